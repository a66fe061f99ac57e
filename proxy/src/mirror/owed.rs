//! Owing: the journal record before a commit, and what MySQL's answer makes of it.
//! Never here: looking up keys, refreshing.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use segue_rules::entity::Ruleset;
use segue_rules::owed::{Answer, Fate, fate};
use segue_rules::txn::{Dirty, DirtyEntry};
use segue_rules::value::TableName;

use super::forthcoming::Announced;
use super::gap::Unwritten;
use super::old_image::{self, reached_by_cascades};
use super::parts::Shared;
use super::record::Debt;
use super::uncertain::Session;
use crate::journal::{JournalError, RecordId};

/// Owed work of one transaction, on disk, waiting for MySQL's answer to the commit.
/// Dropping it means that no answer came: MySQL may commit even after that.
#[must_use]
pub struct Owed(Option<Pending>);

struct Pending {
    shared: Arc<Shared>,
    debt: Debt,
    record: Option<RecordId>,
    /// The debt says less than its record.
    narrowed: bool,
    /// Let go when the debt is in the books.
    _unwritten: Option<Unwritten>,
    announced: Option<Announced>,
}

impl Owed {
    /// MySQL answered, and committed (or may have). `narrowed`: exact entries that replace `Range` intents.
    pub fn committed(mut self, narrowed: Option<Vec<Dirty>>) {
        if let (Some(pending), Some(exact)) = (&mut self.0, narrowed) {
            pending.debt.narrow(exact);
            pending.narrowed = true;
        }
        self.end(Answer::Committed);
    }

    /// MySQL certainly rolled back: nothing is owed.
    pub fn rolled_back(mut self) {
        self.end(Answer::RolledBack);
    }

    fn end(&mut self, answer: Answer) {
        let Some(pending) = self.0.take() else { return };
        let Pending { shared, debt, record, narrowed, _unwritten, announced } = pending;
        match fate(answer, debt.session.is_some(), false) {
            Fate::TakeUp => shared.take_up(debt, record, narrowed, announced),
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
    let announced = shared.announce(&ruleset, &debt);
    let worker = shared.clone();
    let written = shared.tasks.spawn_on(
        async move {
            let (debt, record, unwritten) = record(&worker, &ruleset, debt).await;
            let (shared, narrowed, _unwritten) = (worker, false, unwritten);
            Owed(Some(Pending { shared, debt, record, narrowed, _unwritten, announced }))
        },
        &shared.runtime,
    );
    written.await.unwrap_or_else(|error| {
        tracing::error!(%error, "a debt was lost while it was written; sweeping its tables");
        let debt = Debt { session, ..Debt::sweeps(&tables, "journal-failed") };
        let (record, narrowed, _unwritten, announced) = (None, false, None, None);
        let shared = shared.clone();
        Owed(Some(Pending { shared, debt, record, narrowed, _unwritten, announced }))
    })
}

/// Puts a debt into the journal; where that fails, a short record that sweeps its tables. In a full journal
/// the sweeps are the debt from then on. Where even they cannot be written the debt lives in memory alone, and
/// the journal is marked, so that the next process sweeps everything.
pub(crate) async fn record(
    shared: &Shared,
    ruleset: &Ruleset,
    debt: Debt,
) -> (Debt, Option<RecordId>, Option<Unwritten>) {
    if shared.faults.skip_journal {
        return (debt, None, None);
    }
    let error = match append(shared, &debt).await {
        Ok(record) => return (debt, Some(record), None),
        Err(error) => error,
    };
    let full = matches!(error, AppendError::Journal(JournalError::Full { .. }));
    // Once, not for every write.
    if !full || !shared.journal_full.swap(true, Ordering::Relaxed) {
        tracing::error!(%error, "owed keys could not be journaled; their tables are swept");
    }
    let mut tables = reached_by_cascades(ruleset, debt.entries.iter().map(Dirty::table));
    tables.extend(debt.old.rows.iter().map(|row| row.table.clone()));
    let reason = if full { "journal-full" } else { "journal-failed" };
    let sweeps = Debt { session: debt.session, ..Debt::sweeps(&tables, reason) };
    match append(shared, &sweeps).await {
        // What is refreshed by its keys now would be swept as well, in case of a crash: once is enough.
        Ok(record) if full => (sweeps, Some(record), None),
        Ok(record) => (debt, Some(record), None),
        Err(error) => {
            if !full || !shared.gap.is_set() {
                tracing::error!(%error, "nor could a sweep; after a crash everything is swept");
            }
            let unwritten = shared.mark_gap().await;
            (debt, None, Some(unwritten))
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum AppendError {
    #[error("it cannot be written down: {0}")]
    Encoding(#[from] serde_json::Error),
    #[error(transparent)]
    Journal(#[from] JournalError),
}

pub(crate) async fn append(shared: &Shared, debt: &Debt) -> Result<RecordId, AppendError> {
    let bytes = debt.encode()?;
    let record = match debt.is_sweeps() {
        // They stand for any number of others.
        true => shared.journal.append_in_reserve(bytes).await?,
        false => shared.journal.append(bytes).await?,
    };
    let was_full = shared.journal_full.load(Ordering::Relaxed);
    if was_full && shared.journal.has_room() && shared.journal_full.swap(false, Ordering::Relaxed) {
        tracing::info!("the journal has room again");
    }
    Ok(record)
}
