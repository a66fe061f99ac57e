//! What the console asks for, done with the parts of the running sidecar.
//! Never here: HTTP, or the work of a sweep.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use segue_config::faults::FaultScript;
use segue_config::limits::HEALTH_ANSWER_MS_MAX;
use segue_rules::value::TableName;
use serde_json::Value;

use crate::console::{FaultsAtWork, Health, Operations, Part};
use crate::control::Live;
use crate::dynamo::{Faults, Store};
use crate::mirror::{Mirror, ParkedFilter};
use crate::movement::Validation;
use crate::mysql::control::Control;
use crate::telemetry::Metrics;

/// Reason of a sweep that an operator asked for.
const EXISTING_ROWS: &str = "existing-rows";

pub(super) struct SidecarOperations {
    pub live: Arc<Live>,
    pub mirror: Mirror,
    pub control: Control,
    pub store: Store,
    /// `None`: not allowed.
    pub faults: Option<Faults>,
    pub validation: Arc<Mutex<Validation>>,
    pub metrics: Arc<Metrics>,
}

impl SidecarOperations {
    /// Owes sweeps, on disk when this returns. They start when nothing works any more under older
    /// generations, which may still write rows that nobody captures.
    pub async fn sweep_tables(&self, tables: &[TableName], reason: &str) {
        let older = self.live.current().number - 1;
        for table in tables {
            let live = self.live.clone();
            self.mirror.sweep_after(table, reason, async move { live.drained(older).await }).await;
        }
    }

    /// A new ruleset is live: what is owed is looked up again under it.
    pub fn ruleset_changed(&self) {
        self.mirror.ruleset_changed();
    }

    async fn mysql(&self) -> Part {
        part(async { self.control.select("SELECT 1", &[]).await.map(drop) }).await
    }

    async fn dynamodb(&self) -> Part {
        let live = self.live.current();
        let Some(table) = live.ruleset.tables.first() else { return Part::well() };
        if live.phases.all_mysql_only() {
            // Not touched at all in this phase.
            return Part::well();
        }
        part(async { self.store.describe(&table.name).await.map(drop) }).await
    }

    fn journal(&self) -> Part {
        match self.metrics.journal_errors.get() {
            0 if self.mirror.journal_full() => {
                Part::ill("full: single keys become owed sweeps (journal.max_bytes)")
            }
            0 => Part::well(),
            errors => Part::ill(format!("{errors} write failure(s) since the start")),
        }
    }
}

async fn part<E: ToString>(answer: impl Future<Output = Result<(), E>>) -> Part {
    match tokio::time::timeout(Duration::from_millis(HEALTH_ANSWER_MS_MAX), answer).await {
        Ok(Ok(())) => Part::well(),
        Ok(Err(error)) => Part::ill(error.to_string()),
        Err(_) => Part::ill(format!("no answer within {HEALTH_ANSWER_MS_MAX} ms")),
    }
}

/// A report as JSON. Reports hold texts, numbers and lists only.
fn shown(report: &impl serde::Serialize) -> Value {
    serde_json::to_value(report).unwrap_or_else(|error| Value::String(error.to_string()))
}

impl Operations for SidecarOperations {
    fn health(&self) -> BoxFuture<'_, Health> {
        Box::pin(async {
            let (mysql, dynamodb) = tokio::join!(self.mysql(), self.dynamodb());
            let live = self.live.current();
            Health {
                mysql,
                dynamodb,
                journal: self.journal(),
                faults: self.faults.as_ref().map(|faults| {
                    let report = faults.report();
                    FaultsAtWork { rules: report.active, injected: report.injected }
                }),
                generation: live.number,
                ruleset: live.ruleset.fingerprint.clone(),
                frozen: live.ruleset.frozen.clone(),
            }
        })
    }

    fn owed(&self, filter: &ParkedFilter) -> Value {
        shown(&self.mirror.owed(filter))
    }

    fn retry_parked(&self) -> usize {
        self.mirror.retry_parked()
    }

    fn sweep(&self, tables: Vec<TableName>) -> BoxFuture<'_, ()> {
        Box::pin(async move { self.sweep_tables(&tables, EXISTING_ROWS).await })
    }

    fn sweeps(&self) -> Value {
        shown(&self.mirror.owed(&ParkedFilter::default()).sweeps)
    }

    fn validation(&self) -> Value {
        shown(&*self.validation.lock())
    }

    fn faults(&self) -> Option<Value> {
        self.faults.as_ref().map(|faults| shown(&faults.report()))
    }

    fn take_faults(&self, script: FaultScript) {
        if let Some(faults) = &self.faults {
            faults.take(script, "api");
        }
    }
}
