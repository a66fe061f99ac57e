//! What commands that go through whole tables are built from.
//! Never here: the work itself (`movement`).

use std::collections::BTreeSet;
use std::sync::Arc;

use segue_config::settings::{Endpoint, Journal as JournalSettings};
use segue_config::{Settings, nearest};
use segue_rules::entity::Ruleset;
use segue_rules::phase::PhaseMap;
use segue_rules::value::TableName;

use super::build;
use super::fault::Fault;
use crate::dynamo::Store;
use crate::journal::Journal;
use crate::mirror::{Mirror, MirrorFaults, MirrorParts, MirrorSettings, Survey, SurveyError};
use crate::movement::{CheckpointError, MovementError};
use crate::mysql::control::Control;
use crate::telemetry::Metrics;

/// Both stores and the contract, for one command.
pub struct Stores {
    pub control: Control,
    pub store: Store,
    pub ruleset: Arc<Ruleset>,
    pub phases: PhaseMap,
    pub metrics: Arc<Metrics>,
}

impl Stores {
    /// Connects as the settings say. Tables that cannot be used are a fault here.
    pub async fn connect(settings: &Settings) -> Result<Stores, Fault> {
        if let Endpoint::Embedded { file: None } = settings.dynamodb.endpoint {
            return Err(Fault::configuration(
                "the built-in DynamoDB engine without a file lives in the sidecar's memory alone",
                "[dynamodb] endpoint",
                "name a DynamoDB that other processes can reach",
            ));
        }
        let control = build::control_pool(settings).await?;
        build::same_server(settings, &control).await?;
        let ruleset = build::ruleset(settings, &control).await?;
        build::grants(settings, &control, &ruleset).await?;
        let phases = build::phases(settings, &build::mapped_tables(&ruleset))?;
        let metrics = Arc::new(Metrics::new());
        let faults = build::faults(settings, &metrics)?;
        let store = build::store_with(settings, &metrics, faults.as_ref()).await?;
        build::tables(settings, &ruleset, &phases, &store).await?;
        Ok(Stores { control, store, ruleset: Arc::new(ruleset), phases, metrics })
    }

    pub fn survey(&self) -> Survey {
        Survey::new(self.control.clone(), self.store.clone())
    }

    /// The driving tables that are meant: those named, or all that are mirrored.
    pub fn driving_tables(&self, named: &[String]) -> Result<Vec<TableName>, Fault> {
        let drives = |table: &&TableName| {
            self.ruleset.sources.get(*table).is_some_and(|source| !source.drives.is_empty())
        };
        let driving: Vec<&TableName> = self.ruleset.sources.keys().filter(drives).collect();
        if named.is_empty() {
            let mirrored = driving.into_iter().filter(|table| self.phases.of(table).mirrors());
            let mirrored: Vec<TableName> = mirrored.cloned().collect();
            if mirrored.is_empty() {
                return Err(Fault::configuration(
                    "every table is in mysql-only: there are no items yet",
                    "phases",
                    "name tables, or set their phase to dual-write first (`segue phase set`)",
                ));
            }
            return Ok(mirrored);
        }
        named
            .iter()
            .map(|name| {
                let found = driving.iter().find(|table| table.as_ref() == name.as_str());
                found.map(|table| TableName::clone(table)).ok_or_else(|| {
                    let known = driving.iter().map(|table| &***table);
                    let help = match nearest(name, known.clone()) {
                        Some(near) => format!("did you mean `{near}`?"),
                        None => format!("these do: {}", known.collect::<Vec<_>>().join(", ")),
                    };
                    let what = format!("table `{name}` drives no items of the contract");
                    Fault::configuration(what, "TABLE", help)
                })
            })
            .collect()
    }

    /// A mirror for these driving tables alone, with a journal of its own for writes whose answers are lost.
    /// Sidecars may mirror the same tables at the same time.
    pub async fn mover(&self, settings: &Settings, tables: &[TableName]) -> Result<Mover, Fault> {
        let own = JournalSettings {
            path: settings.movement_path.join("journal"),
            ..settings.journal.clone()
        };
        let (journal, recovery) = build::journal(&own, &self.metrics).await.map_err(|fault| {
            let place = "[movement] path".to_owned();
            let help = "wait for the other backfill or repair, or give this one its own folder";
            Fault { place, help: help.to_owned(), ..fault }
        })?;
        let (ruleset, tables): (_, BTreeSet<TableName>) =
            (self.ruleset.clone(), tables.iter().cloned().collect());
        let parts = MirrorParts {
            control: self.control.clone(),
            store: self.store.clone(),
            journal: journal.clone(),
            recovery,
            metrics: self.metrics.clone(),
            rulesets: Arc::new(move || ruleset.clone()),
            served: Arc::new(move |table| tables.contains(table)),
            settings: MirrorSettings {
                skip_equal: true,
                sampled_per_second: 0,
                ..build::mirror_settings(settings)
            },
            faults: MirrorFaults::default(),
        };
        Ok(Mover { mirror: build::mirror(parts).await, journal })
    }

    /// The tables that may be copied now: writes to the others are not mirrored meanwhile.
    pub fn copied_tables(&self, named: &[String]) -> Result<Vec<TableName>, Fault> {
        let tables = self.driving_tables(named)?;
        match tables.iter().find(|table| !self.phases.of(table).mirrors()) {
            None => Ok(tables),
            Some(table) => Err(Fault::configuration(
                format!(
                    "table `{table}` is in mysql-only: what is written to it now would be missed"
                ),
                "phases",
                format!("set it to dual-write first: segue phase set dual-write {table}"),
            )),
        }
    }

    pub async fn close(&self) {
        self.control.close().await;
        self.store.close().await;
    }
}

/// A mirror at work for one command.
pub struct Mover {
    pub mirror: Mirror,
    journal: Journal,
}

impl Mover {
    /// Stops; what waits for a lost answer stays in the journal for the next command.
    pub async fn close(self) {
        self.mirror.stop().await;
        if let Err(error) = self.journal.close().await {
            tracing::error!(%error, "the journal could not be closed");
        }
    }
}

impl From<SurveyError> for Fault {
    fn from(error: SurveyError) -> Fault {
        match error.passing {
            true => Fault::new(
                super::FaultKind::Unreachable,
                error.reason,
                "",
                "run the command again when the store is back: it goes on where it was",
            ),
            false => Fault::configuration(error.reason, "", "`segue check` says more"),
        }
    }
}

impl From<CheckpointError> for Fault {
    fn from(error: CheckpointError) -> Fault {
        Fault::configuration(error.to_string(), "[movement] path", "make the folder writable")
    }
}

/// `None`: interrupted, which is no fault.
pub fn movement_fault(error: MovementError) -> Option<Fault> {
    match error {
        MovementError::Survey(error) => Some(error.into()),
        MovementError::Checkpoint(error) => Some(error.into()),
        MovementError::Interrupted => None,
    }
}
