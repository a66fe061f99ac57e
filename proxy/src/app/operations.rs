//! What the console asks for, done with the parts of the running sidecar.
//! Never here: HTTP, or the work of a sweep.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use segue_config::limits::HEALTH_ANSWER_MS_MAX;
use segue_rules::value::TableName;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::mirroring::Mirroring;
use crate::console::{Health, Operations, Part};
use crate::control::Live;
use crate::dynamo::Store;
use crate::mysql::control::Control;
use crate::telemetry::Metrics;

/// Reason of a sweep that an operator asked for.
const EXISTING_ROWS: &str = "existing-rows";

pub(super) struct SidecarOperations {
    pub live: Arc<Live>,
    pub mirroring: Mirroring,
    pub control: Control,
    pub store: Store,
    pub metrics: Arc<Metrics>,
    pub tasks: TaskTracker,
    pub stop: CancellationToken,
}

impl SidecarOperations {
    /// Owes sweeps that see everything written under generations before the present one.
    pub fn sweep_tables(&self, tables: Vec<TableName>, reason: &'static str) {
        let older = self.live.current().number - 1;
        // Owed at once, so that a crash does not forget it.
        self.owe(&tables, reason);
        if self.live.is_drained(older) {
            return;
        }
        // Older work may still write rows that nobody captures: what it wrote is swept after it ended.
        let (live, mirroring, stop) =
            (self.live.clone(), self.mirroring.clone(), self.stop.clone());
        self.tasks.spawn(async move {
            let drained = stop.run_until_cancelled(live.drained(older)).await;
            if drained.is_some() {
                tables.iter().for_each(|table| mirroring.sweep(table, reason));
            }
        });
    }

    fn owe(&self, tables: &[TableName], reason: &'static str) {
        tables.iter().for_each(|table| self.mirroring.sweep(table, reason));
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

impl Operations for SidecarOperations {
    fn health(&self) -> BoxFuture<'_, Health> {
        Box::pin(async {
            let (mysql, dynamodb) = tokio::join!(self.mysql(), self.dynamodb());
            let live = self.live.current();
            Health {
                mysql,
                dynamodb,
                journal: self.journal(),
                generation: live.number,
                ruleset: live.ruleset.fingerprint.clone(),
            }
        })
    }

    fn owed(&self) -> Value {
        self.mirroring.owed()
    }

    fn sweep(&self, tables: Vec<TableName>) -> BoxFuture<'_, ()> {
        self.sweep_tables(tables, EXISTING_ROWS);
        Box::pin(async {})
    }

    fn sweeps(&self) -> Value {
        self.mirroring.sweeps()
    }
}
