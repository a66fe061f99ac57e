//! Owing: the journal record before a commit, and what MySQL's answer makes of it.
//! Never here: looking up keys, refreshing.

use std::collections::BTreeSet;
use std::sync::Arc;

use segue_rules::entity::Ruleset;
use segue_rules::owed::{Answer, Fate, fate};
use segue_rules::txn::{Dirty, DirtyEntry};
use segue_rules::value::TableName;

use super::gap::Unwritten;
use super::old_image::{self, cascade_closure};
use super::parts::Shared;
use super::record::Debt;
use super::uncertain::Session;
use crate::journal::RecordId;

/// Owed work of one transaction, on disk, waiting for MySQL's answer to the commit.
/// Dropping it means that no answer came: MySQL may commit even after that.
#[must_use]
pub struct Owed(Option<Pending>);

struct Pending {
    shared: Arc<Shared>,
    debt: Debt,
    record: Option<RecordId>,
    /// Let go when the debt is in the books.
    _unwritten: Option<Unwritten>,
}

impl Owed {
    /// MySQL answered, and committed (or may have). `narrowed`: exact entries that replace `Range` intents.
    pub fn committed(mut self, narrowed: Option<Vec<Dirty>>) {
        if let (Some(pending), Some(exact)) = (&mut self.0, narrowed) {
            pending.debt.narrow(exact);
        }
        self.end(Answer::Committed);
    }

    /// MySQL certainly rolled back: nothing is owed.
    pub fn rolled_back(mut self) {
        self.end(Answer::RolledBack);
    }

    fn end(&mut self, answer: Answer) {
        let Some(Pending { shared, debt, record, _unwritten }) = self.0.take() else { return };
        match fate(answer, debt.session.is_some(), false) {
            Fate::TakeUp => drop(shared.take_up(debt, record)),
            Fate::Wait => shared.take_up_uncertain(debt, record),
            Fate::Forget => {
                if let Some(record) = record {
                    shared.journal.remove(record);
                }
            }
        }
    }
}

impl Drop for Owed {
    fn drop(&mut self) {
        self.end(Answer::None);
    }
}

pub(crate) async fn owe(
    shared: &Arc<Shared>,
    ruleset: Arc<Ruleset>,
    entries: Vec<DirtyEntry>,
    session: Option<Session>,
) -> Owed {
    if entries.is_empty() {
        return Owed(None);
    }
    for entry in &entries {
        shared.metrics.captured.with_label_values(&[&**entry.dirty.table()]).inc();
    }
    let debt = Debt { session, ..old_image::read(shared, &ruleset, entries).await };
    let tables: BTreeSet<TableName> =
        debt.entries.iter().map(|dirty| dirty.table().clone()).collect();
    // A task of its own: a client that leaves while the record is being written must not leave a
    // record behind that nobody works off.
    let worker = shared.clone();
    let written = shared.tasks.spawn_on(
        async move {
            let (record, unwritten) = record(&worker, &ruleset, &debt).await;
            Owed(Some(Pending { shared: worker, debt, record, _unwritten: unwritten }))
        },
        &shared.runtime,
    );
    written.await.unwrap_or_else(|error| {
        tracing::error!(%error, "a debt was lost while it was written; sweeping its tables");
        let debt = Debt { session, ..Debt::sweeps(&tables, "journal-failed") };
        Owed(Some(Pending { shared: shared.clone(), debt, record: None, _unwritten: None }))
    })
}

/// Puts a debt into the journal; where that fails, a short record that sweeps its tables. Where
/// that fails as well the debt lives in memory alone, and the journal is marked, so that the next process
/// sweeps everything.
pub(crate) async fn record(
    shared: &Shared,
    ruleset: &Ruleset,
    debt: &Debt,
) -> (Option<RecordId>, Option<Unwritten>) {
    if shared.faults.skip_journal {
        return (None, None);
    }
    match append(shared, debt).await {
        Ok(record) => return (Some(record), None),
        Err(error) => tracing::error!(%error, "owed keys could not be journaled"),
    }
    let tables: BTreeSet<TableName> = debt
        .entries
        .iter()
        .flat_map(|dirty| cascade_closure(ruleset, dirty.table()))
        .chain(debt.old.rows.iter().map(|row| row.table.clone()))
        .collect();
    let sweeps = Debt { session: debt.session, ..Debt::sweeps(&tables, "journal-failed") };
    match append(shared, &sweeps).await {
        Ok(record) => (Some(record), None),
        Err(error) => {
            tracing::error!(%error, "nor could a sweep; after a crash everything is swept");
            (None, Some(shared.mark_gap().await))
        }
    }
}

async fn append(shared: &Shared, debt: &Debt) -> Result<RecordId, String> {
    let bytes = debt.encode().map_err(|error| error.to_string())?;
    shared.journal.append(bytes).await.map_err(|error| error.to_string())
}
