//! Phase changes and the reload of what operators change: checked, audited, written, swapped.
//! Never here: HTTP, signals, or the tasks that watch.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use segue_config::phases;
use segue_config::{SettingError, nearest};
use segue_rules::entity::Ruleset;
use segue_rules::phase::{Phase, PhaseMap, TransitionRefused};
use segue_rules::value::TableName;
use tokio::sync::Mutex;

use super::audit::{AuditLog, AuditRecord};
use super::live::Live;
use super::store_file::{read_bounded, write_atomically};
use crate::telemetry::Metrics;

/// What a change is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    Default,
    Table(String),
}

/// An accepted change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PhaseChange {
    pub from: Phase,
    pub to: Phase,
    /// Tables whose phase differs now.
    pub tables: Vec<TableName>,
    /// Generation that has the new phases; older ones may still be at work.
    pub generation: u64,
}

/// Why a change was refused. Nothing changed then.
#[derive(Debug, thiserror::Error)]
pub enum PhaseChangeRefused {
    #[error("the contract maps no table `{table}`")]
    UnknownTable { table: String, nearest: Option<String> },
    #[error("{0}")]
    NotServed(String),
    #[error("table `{table}`: {step}")]
    Step { table: String, step: TransitionRefused },
    #[error("table `{table}` is frozen: {reason}")]
    Frozen { table: TableName, reason: String },
    #[error("{path}: {reason}")]
    File { path: String, reason: String },
    #[error("{} fault(s): {}", .0.len(), .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Faults(Vec<SettingError>),
}

impl PhaseChangeRefused {
    /// What an operator can do.
    pub fn remedy(&self) -> String {
        match self {
            PhaseChangeRefused::UnknownTable { nearest: Some(name), .. } => {
                format!("did you mean `{name}`?")
            }
            PhaseChangeRefused::UnknownTable { .. } => {
                "name a MySQL table that the contract reads".to_owned()
            }
            PhaseChangeRefused::NotServed(_) => {
                format!("use a phase up to `{}`", phases::HIGHEST_PHASE)
            }
            PhaseChangeRefused::Step { .. } => "go one phase at a time".to_owned(),
            PhaseChangeRefused::Frozen { .. } => {
                "correct the table or the contract until `segue check` passes".to_owned()
            }
            PhaseChangeRefused::File { .. } => "check the path and its permissions".to_owned(),
            PhaseChangeRefused::Faults(_) => "correct the file".to_owned(),
        }
    }
}

/// Outcome of reading the phases file again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reloaded {
    /// The file says what is live already.
    Same,
    Changed {
        generation: u64,
        tables: Vec<TableName>,
    },
}

/// Why a new ruleset does not replace the live one.
#[derive(Debug, thiserror::Error)]
#[error("the phases file names table `{table}`, which the new contract does not map")]
pub struct RulesetRefused {
    pub table: TableName,
}

/// The one place where phases change while running.
pub struct PhaseControl {
    live: Arc<Live>,
    path: PathBuf,
    audit: AuditLog,
    metrics: Arc<Metrics>,
    /// One change at a time: from the check to the swap nothing else may come between.
    changing: Mutex<()>,
}

impl PhaseControl {
    pub fn new(live: Arc<Live>, path: PathBuf, metrics: Arc<Metrics>) -> PhaseControl {
        let audit = AuditLog::beside(&path);
        let control = PhaseControl { live, path, audit, metrics, changing: Mutex::new(()) };
        control.show();
        control
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Changes one table's phase, or the default: file first, then the live state.
    pub async fn set(
        &self,
        target: &Target,
        phase: Phase,
        who: &str,
    ) -> Result<PhaseChange, PhaseChangeRefused> {
        let _alone = self.changing.lock().await;
        let live = self.live.current();
        let known = known_tables(&live.ruleset);
        let new = check_change(&live.phases, &known, target, phase)?;
        not_frozen(&live.ruleset, &live.phases, &new)?;
        let (path, audit) = (self.path.clone(), self.audit.clone());
        let (from, what) = described(&live.phases, target);
        let (to_write, who) = (new.clone(), who.to_owned());
        tokio::task::spawn_blocking(move || {
            let record = Audited { who: &who, what: &what, from: from.name(), to: phase.name() };
            write_audited(&path, &audit, &to_write, &record)
        })
        .await
        .unwrap_or_else(|error| Err(file_refusal(&self.path, error)))?;
        let tables = differing(&live.phases, &new, &known);
        let generation = self.live.replace_phases(new);
        self.show();
        tracing::info!(target = ?target, %from, to = %phase, generation, "phase changed");
        Ok(PhaseChange { from, to: phase, tables, generation })
    }

    /// Reads the phases file again. A file that is missing, faulty or jumps over a phase is refused and
    /// the live state stays.
    pub async fn reload(&self) -> Result<Reloaded, PhaseChangeRefused> {
        let result = self.reload_file().await;
        let outcome = match &result {
            Ok(Reloaded::Same) => "same",
            Ok(Reloaded::Changed { .. }) => "accepted",
            Err(_) => "refused",
        };
        self.metrics.reloads.with_label_values(&["phases", outcome]).inc();
        result
    }

    async fn reload_file(&self) -> Result<Reloaded, PhaseChangeRefused> {
        let _alone = self.changing.lock().await;
        let live = self.live.current();
        let known = known_tables(&live.ruleset);
        let new = read_file(&self.path, &known)?;
        if new == live.phases {
            return Ok(Reloaded::Same);
        }
        allowed(&live.phases, &new, &known)?;
        not_frozen(&live.ruleset, &live.phases, &new)?;
        let (from, to) = (compact(&live.phases), compact(&new));
        let record = AuditRecord { who: "file", what: "file", from, to, outcome: "done" };
        if let Err(error) = self.audit.append(&record) {
            return Err(file_refusal(self.audit.path(), error));
        }
        let tables = differing(&live.phases, &new, &known);
        let generation = self.live.replace_phases(new);
        self.show();
        Ok(Reloaded::Changed { generation, tables })
    }

    /// Takes over a newly compiled ruleset, unless the phases would then name unmapped tables.
    /// `None`: it is the live one already.
    pub async fn accept_ruleset(&self, new: Ruleset) -> Result<Option<u64>, RulesetRefused> {
        let _alone = self.changing.lock().await;
        let live = self.live.current();
        if live.ruleset.fingerprint == new.fingerprint {
            return Ok(None);
        }
        if let Some(table) =
            live.phases.tables.keys().find(|table| !new.sources.contains_key(*table))
        {
            return Err(RulesetRefused { table: table.clone() });
        }
        let generation = self.live.replace_ruleset(Arc::new(new));
        self.show();
        Ok(Some(generation))
    }

    /// Shows the live phases as metrics.
    fn show(&self) {
        let live = self.live.current();
        self.metrics.phase.reset();
        self.metrics.frozen.reset();
        for table in live.ruleset.sources.keys() {
            let number = live.phases.of(table) as i64 + 1;
            self.metrics.phase.with_label_values(&[&**table]).set(number);
            let frozen = i64::from(live.ruleset.frozen.contains_key(table));
            self.metrics.frozen.with_label_values(&[&**table]).set(frozen);
            self.metrics.show_table(table);
        }
    }
}

/// Changes the phases file of a sidecar that does not run, with the same checks and audit.
pub fn change_file(
    path: &Path,
    known: &[TableName],
    target: &Target,
    phase: Phase,
    who: &str,
) -> Result<PhaseChange, PhaseChangeRefused> {
    let old = if path.exists() { read_file(path, known)? } else { PhaseMap::default() };
    let new = check_change(&old, known, target, phase)?;
    let (from, what) = described(&old, target);
    let record = Audited { who, what: &what, from: from.name(), to: phase.name() };
    write_audited(path, &AuditLog::beside(path), &new, &record)?;
    Ok(PhaseChange { from, to: phase, tables: differing(&old, &new, known), generation: 0 })
}

/// Reads and checks a phases file.
pub fn read_file(path: &Path, known: &[TableName]) -> Result<PhaseMap, PhaseChangeRefused> {
    let text = read_bounded(path).map_err(|error| file_refusal(path, error))?;
    phases::parse(&text, &path.display().to_string(), known).map_err(PhaseChangeRefused::Faults)
}

/// The phases after a change, if the change is allowed.
pub fn check_change(
    old: &PhaseMap,
    known: &[TableName],
    target: &Target,
    phase: Phase,
) -> Result<PhaseMap, PhaseChangeRefused> {
    phases::served(phase).map_err(PhaseChangeRefused::NotServed)?;
    let mut new = old.clone();
    match target {
        Target::Default => {
            new.default = phase;
        }
        Target::Table(name) => {
            let Some(table) = known.iter().find(|known| ***known == **name) else {
                let nearest = nearest(name, known.iter().map(|known| &**known)).map(str::to_owned);
                return Err(PhaseChangeRefused::UnknownTable { table: name.clone(), nearest });
            };
            new.tables.insert(table.clone(), phase);
        }
    }
    allowed(old, &new, known)?;
    Ok(new)
}

/// Every table's step must be allowed.
fn allowed(old: &PhaseMap, new: &PhaseMap, known: &[TableName]) -> Result<(), PhaseChangeRefused> {
    for table in known {
        old.of(table)
            .check_transition(new.of(table))
            .map_err(|step| PhaseChangeRefused::Step { table: table.to_string(), step })?;
    }
    Ok(())
}

/// A frozen table stays at its phase. Back is always allowed.
fn not_frozen(ruleset: &Ruleset, old: &PhaseMap, new: &PhaseMap) -> Result<(), PhaseChangeRefused> {
    match ruleset.frozen.iter().find(|(table, _)| new.of(table) > old.of(table)) {
        Some((table, reason)) => {
            Err(PhaseChangeRefused::Frozen { table: table.clone(), reason: reason.clone() })
        }
        None => Ok(()),
    }
}

struct Audited<'a> {
    who: &'a str,
    what: &'a str,
    from: &'a str,
    to: &'a str,
}

/// The audit line comes first: no change without a trace.
fn write_audited(
    path: &Path,
    audit: &AuditLog,
    new: &PhaseMap,
    change: &Audited<'_>,
) -> Result<(), PhaseChangeRefused> {
    let record = |outcome| AuditRecord {
        who: change.who,
        what: change.what,
        from: change.from.to_owned(),
        to: change.to.to_owned(),
        outcome,
    };
    audit.append(&record("asked")).map_err(|error| file_refusal(audit.path(), error))?;
    if let Err(error) = write_atomically(path, &phases::render(new)) {
        // The disk that refused the file may refuse this line too; the caller hears of the first.
        let _ = audit.append(&record("failed"));
        return Err(file_refusal(path, error));
    }
    Ok(())
}

fn file_refusal(path: &Path, reason: impl ToString) -> PhaseChangeRefused {
    PhaseChangeRefused::File { path: path.display().to_string(), reason: reason.to_string() }
}

fn known_tables(ruleset: &Ruleset) -> Vec<TableName> {
    ruleset.sources.keys().cloned().collect()
}

fn described(phases: &PhaseMap, target: &Target) -> (Phase, String) {
    match target {
        Target::Default => (phases.default, "default".to_owned()),
        Target::Table(table) => (phases.of(table), table.clone()),
    }
}

fn differing(old: &PhaseMap, new: &PhaseMap, known: &[TableName]) -> Vec<TableName> {
    known.iter().filter(|table| old.of(table) != new.of(table)).cloned().collect()
}

/// One line for the audit log.
fn compact(phases: &PhaseMap) -> String {
    let tables: Vec<String> =
        phases.tables.iter().map(|(table, phase)| format!("{table}={phase}")).collect();
    format!("default={} {}", phases.default, tables.join(" ")).trim_end().to_owned()
}
