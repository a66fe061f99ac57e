//! Takes over changed phases and contracts while running: files, SIGHUP, changed tables.
//! Never here: which changes are allowed (see `control`).

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use segue_config::faults::FaultScript;
use segue_config::{Settings, limits};
use segue_rules::entity::Ruleset;
use segue_rules::route::mirrors;
use segue_rules::value::TableName;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::build;
use super::fault::Fault;
use super::operations::SidecarOperations;
use crate::control::{FileWatch, Live, PhaseControl, Reloaded};
use crate::dynamo::Store;
use crate::mysql::control::Control;

/// Reason of the sweeps that a new contract brings: every item may look different under it.
const CONTRACT_CHANGED: &str = "contract-changed";
/// Reason of the sweeps of tables whose definition changed, or fits again.
const SCHEMA_CHANGED: &str = "schema-changed";
/// Cause of a reload that nobody asked for.
const LOOK: &str = "look";
const DEFINITIONS_LOOK: Duration = Duration::from_secs(limits::DEFINITIONS_LOOK_SECONDS);

pub(super) struct Reloader {
    settings: Arc<Settings>,
    live: Arc<Live>,
    phases: Arc<PhaseControl>,
    control: Control,
    store: Store,
    operations: Arc<SidecarOperations>,
    watch: FileWatch,
    hangup: Signal,
    /// Why the last reload was refused.
    refusal: Option<String>,
}

impl Reloader {
    pub fn new(
        settings: Arc<Settings>,
        live: Arc<Live>,
        phases: Arc<PhaseControl>,
        control: Control,
        store: Store,
        operations: Arc<SidecarOperations>,
    ) -> Result<Reloader, Fault> {
        let script = settings.faults.as_ref().and_then(|faults| faults.path.as_deref());
        let mut watched = vec![settings.phases_path.as_path(), &settings.contract.path];
        watched.extend(script);
        let watch = FileWatch::new(&watched);
        let hangup = signal(SignalKind::hangup()).map_err(|error| {
            Fault::configuration(format!("SIGHUP cannot be received: {error}"), "", "")
        })?;
        Ok(Reloader {
            settings,
            live,
            phases,
            control,
            store,
            operations,
            watch,
            hangup,
            refusal: None,
        })
    }

    pub async fn run(mut self, stop: CancellationToken) {
        let mut look_at = Instant::now() + DEFINITIONS_LOOK;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                changed = self.watch.changed() => {
                    // The contract first: phases may name tables that only the new one maps.
                    if changed.contains(&self.settings.contract.path) {
                        self.contract("file").await;
                    }
                    if changed.contains(&self.settings.phases_path) {
                        self.phases().await;
                    }
                    if self.fault_script().is_some_and(|script| changed.contains(script)) {
                        self.faults();
                    }
                }
                _ = self.hangup.recv() => {
                    self.contract("SIGHUP").await;
                    self.phases().await;
                    self.faults();
                }
                () = self.live.rebuild_asked() => self.contract("schema").await,
                // Others change tables too: administrators, other sidecars.
                () = tokio::time::sleep_until(look_at) => {
                    let begun = Instant::now();
                    self.contract(LOOK).await;
                    // A schema of thousands of tables takes seconds to read.
                    let rest = begun.elapsed() * limits::DEFINITIONS_LOOK_REST;
                    look_at = Instant::now() + rest.max(DEFINITIONS_LOOK);
                }
            }
        }
    }

    fn fault_script(&self) -> Option<&PathBuf> {
        self.settings.faults.as_ref()?.path.as_ref()
    }

    /// A script that is refused ends the faults: nothing is to fail that nobody asked for.
    fn faults(&self) {
        let (Some(path), Some(faults)) = (self.fault_script(), &self.operations.faults) else {
            return;
        };
        let (script, outcome) = match build::fault_script(path) {
            Ok(script) => (script, "accepted"),
            Err(error) => {
                let error = format!("{error:#}");
                tracing::error!(error, "the fault script is refused; no faults are injected");
                (FaultScript::default(), "refused")
            }
        };
        faults.take(script, &path.display().to_string());
        self.operations.metrics.reloads.with_label_values(&["faults", outcome]).inc();
    }

    async fn phases(&self) {
        match self.phases.reload().await {
            Ok(Reloaded::Same) => {}
            Ok(Reloaded::Changed { generation, tables }) => {
                tracing::info!(generation, ?tables, "phases taken over from the file");
            }
            Err(refused) => {
                let error = Fault::from(refused);
                tracing::error!(
                    error = format!("{error:#}"),
                    "the phases file is refused; the phases stay as they are"
                );
            }
        }
    }

    async fn contract(&mut self, cause: &'static str) {
        let taken = self.take_over_contract().await;
        let refusal = taken.as_ref().err().map(|error| format!("{error:#}"));
        let outcome = match taken {
            Ok(None) => "same",
            Ok(Some(generation)) => {
                tracing::info!(generation, cause, "a new ruleset is live");
                "accepted"
            }
            Err(_) => "refused",
        };
        // A look that finds what the last one found is no news.
        let news = cause != LOOK || refusal != self.refusal;
        if news && let Some(error) = &refusal {
            let what = "the contract is refused; the ruleset stays as it is";
            tracing::error!(error, cause, what);
        }
        self.refusal = refusal;
        if news {
            self.operations.metrics.reloads.with_label_values(&["contract", outcome]).inc();
        }
    }

    async fn take_over_contract(&self) -> Result<Option<u64>, Fault> {
        let live = self.live.current();
        let ruleset = build::adapted(&self.settings, &self.control, &live.ruleset).await?;
        if ruleset.fingerprint == live.ruleset.fingerprint {
            return Ok(None);
        }
        let differing = ruleset.differing_sources(&live.ruleset);
        report_frozen(&live.ruleset, &ruleset);
        build::grants(&self.settings, &self.control, &ruleset).await?;
        build::tables(&self.settings, &ruleset, &live.phases, &self.store).await?;
        let accepted = self.phases.accept_ruleset(ruleset).await.map_err(|refused| {
            let place = self.settings.phases_path.display().to_string();
            Fault::configuration(
                refused.to_string(),
                place,
                "remove the table from the phases file",
            )
        })?;
        if accepted.is_some() {
            self.operations.ruleset_changed();
            let (tables, reason) = match differing {
                Some(differing) => {
                    (self.mirrored(|table| differing.contains(table)), SCHEMA_CHANGED)
                }
                None => (self.mirrored(|_| true), CONTRACT_CHANGED),
            };
            self.operations.sweep_tables(&tables, reason).await;
        }
        Ok(accepted)
    }

    /// Those tables that show in items mirrored now.
    fn mirrored(&self, wanted: impl Fn(&TableName) -> bool) -> Vec<TableName> {
        let live = self.live.current();
        let mirrored = |table: &&TableName| mirrors(&live.ruleset, &live.phases, table);
        live.ruleset.sources.keys().filter(|t| wanted(t)).filter(mirrored).cloned().collect()
    }
}

/// Tells of tables whose mapping is frozen from now on, and of those that thaw.
fn report_frozen(old: &Ruleset, new: &Ruleset) {
    for (table, reason) in
        new.frozen.iter().filter(|(table, why)| old.frozen.get(*table) != Some(why))
    {
        let remedy = "correct the table or the contract until `segue check` passes";
        tracing::error!(%table, reason, remedy, "a table no longer fits the contract: it is frozen");
    }
    for table in old.frozen.keys().filter(|table| !new.frozen.contains_key(*table)) {
        tracing::info!(%table, "a frozen table fits the contract again");
    }
}
