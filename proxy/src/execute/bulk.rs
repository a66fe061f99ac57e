//! MariaDB's COM_STMT_BULK_EXECUTE under a scope that captures: one prepared statement, many rows.
//! Never here: the packet (see `wire::bulk`), or executions of one row (see `query`).
//!
//! The server may commit row by row and stop at an error in the midst, so nothing is wrapped here: keys that
//! are known are owed before, and where they are not the table is swept.

use segue_config::limits;
use segue_rules::plan::{SlotValue, WritePlan};
use segue_rules::route::Route;
use segue_rules::sql::slot_values;
use segue_rules::txn::DirtyEntry;
use segue_rules::value::TableName;

use super::Connection;
use super::command::Command;
use super::failure::SessionError;
use super::planner::Scope;
use super::query::{RoutedPrepared, sweep_of_all};
use super::statement::{Sweep, Unit};
use super::transaction::Ends;
use super::write::sweeps;

/// Refusal code of bulk executions whose keys are not known before they run.
const BULK: &str = "bulk-execute";

impl Connection {
    /// Carries out a COM_STMT_BULK_EXECUTE.
    pub async fn bulk(&mut self, scope: &Scope, command: &Command) -> Result<(), SessionError> {
        self.forget_questions();
        let payload = command.payload();
        let whole = command.rest.is_none();
        let charset = self.facts().charset;
        let rows = self.prepared.bulk(&payload, whole, &charset);
        let routed = match self.route_prepared(scope, &payload, whole).await? {
            Ok(routed) => routed,
            Err(reason) => return self.relay_unknown(scope, command, reason).await,
        };
        match &routed.route {
            Route::Relay => {
                let mut reply = self.reply(&command.frames);
                self.exchange(&command.frames, &mut reply).await.map(|_| ())
            }
            Route::Capture(plan) => {
                self.bulk_write(scope, plan, &routed, rows.as_deref(), command).await
            }
            route => {
                let commits = !matches!(route, Route::Sweep { commits: false, .. });
                let swept = sweep_of_all(scope, std::slice::from_ref(&routed.route));
                let sweep = Sweep { reason: BULK, commits, ..swept };
                self.opaque_command(scope, sweep, command).await
            }
        }
    }

    async fn bulk_write(
        &mut self,
        scope: &Scope,
        plan: &WritePlan,
        routed: &RoutedPrepared,
        rows: Option<&[Vec<SlotValue>]>,
        command: &Command,
    ) -> Result<(), SessionError> {
        let mut reply = self.reply(&command.frames);
        if !plan.captures.iter().any(|capture| scope.tables.contains(&capture.table)) {
            return self.exchange(&command.frames, &mut reply).await.map(|_| ());
        }
        self.learn_settings(scope).await?;
        self.learn_status().await?;
        self.settle_late(scope).await;
        let bound = rows.and_then(|rows| self.bulk_entries(scope, plan, routed, rows, command));
        let outcome = if bound.is_some() { "captured" } else { "swept" };
        for capture in &plan.captures {
            self.count(&capture.table, outcome);
        }
        let (mut entries, from_answer) = bound.unwrap_or_else(|| (sweeps(scope, plan, BULK), None));
        if let Some(table) = from_answer {
            entries.extend(self.keys_to_come(scope, table).await);
        }
        entries.retain(|entry| scope.tables.contains(entry.dirty.table()));
        let debt = self.owe_before(scope, &entries).await;
        let seen = self.exchange(&command.frames, &mut reply).await?;
        if seen.error.is_some() && self.state.autocommits() {
            // Rows before the one that failed may have been committed.
            if let Some(debt) = debt {
                debt.committed(None);
            }
        } else {
            self.settle_debt(debt, entries, Ends::AsFlagged, seen);
        }
        Ok(())
    }

    /// What all rows make dirty, and the table whose keys the server generates. `None`: a row's keys are
    /// not known beforehand, or there are too many.
    fn bulk_entries(
        &self,
        scope: &Scope,
        plan: &WritePlan,
        routed: &RoutedPrepared,
        rows: &[Vec<SlotValue>],
        command: &Command,
    ) -> Option<(Vec<DirtyEntry>, Option<TableName>)> {
        let digested = routed.digested();
        let (mut entries, mut from_answer) = (Vec::new(), None);
        for row in rows {
            let values = slot_values(digested, &routed.text, row, &routed.charset);
            let unit = Unit { frames: &command.frames, values: &values, digested, prepared: true };
            let bound = self.bind(scope, plan, unit, self.state.autocommits());
            if bound.wrap || !bound.preselects.is_empty() {
                return None;
            }
            entries.extend(bound.entries);
            from_answer = bound.from_answer.or(from_answer);
            if entries.len() > limits::DIRTY_KEYS_PER_TRANSACTION_MAX {
                return None;
            }
        }
        Some((entries, from_answer))
    }
}
