//! Takes over changed phases and contracts while running: files, SIGHUP, changed tables.
//! Never here: which changes are allowed (see `control`).

use std::path::PathBuf;
use std::sync::Arc;

use segue_config::Settings;
use segue_config::faults::FaultScript;
use segue_rules::value::TableName;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::build;
use super::fault::Fault;
use super::operations::SidecarOperations;
use crate::control::{FileWatch, Live, PhaseControl, Reloaded};
use crate::dynamo::Store;
use crate::mysql::control::Control;

/// Reason of the sweeps that a new contract brings: every item may look different under it.
const CONTRACT_CHANGED: &str = "contract-changed";

pub(super) struct Reloader {
    settings: Arc<Settings>,
    live: Arc<Live>,
    phases: Arc<PhaseControl>,
    control: Control,
    store: Store,
    operations: Arc<SidecarOperations>,
    watch: FileWatch,
    hangup: Signal,
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
        Ok(Reloader { settings, live, phases, control, store, operations, watch, hangup })
    }

    pub async fn run(mut self, stop: CancellationToken) {
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

    async fn contract(&self, cause: &'static str) {
        let outcome = match self.take_over_contract().await {
            Ok(None) => "same",
            Ok(Some(generation)) => {
                tracing::info!(generation, cause, "a new ruleset is live");
                "accepted"
            }
            Err(error) => {
                tracing::error!(
                    error = format!("{error:#}"),
                    cause,
                    "the contract is refused; the ruleset stays as it is"
                );
                "refused"
            }
        };
        self.operations.metrics.reloads.with_label_values(&["contract", outcome]).inc();
    }

    async fn take_over_contract(&self) -> Result<Option<u64>, Fault> {
        let ruleset = build::ruleset(&self.settings, &self.control).await?;
        let live = self.live.current();
        if ruleset.fingerprint == live.ruleset.fingerprint {
            return Ok(None);
        }
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
            self.operations.sweep_tables(&self.mirrored_tables(), CONTRACT_CHANGED).await;
        }
        Ok(accepted)
    }

    /// Tables that drive items and are mirrored now.
    fn mirrored_tables(&self) -> Vec<TableName> {
        let live = self.live.current();
        let mirrored = |table: &TableName| live.phases.of(table).mirrors();
        live.ruleset
            .sources
            .values()
            .filter(|source| !source.drives.is_empty() && mirrored(&source.name))
            .map(|source| source.name.clone())
            .collect()
    }
}
