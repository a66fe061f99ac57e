//! Committed debts: taken up in the books, expanded, queued; and the books' echo in the metrics.
//! Never here: refreshing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use segue_config::limits;
use segue_rules::owed::Shape;
use segue_rules::txn::Dirty;
use segue_rules::value::{ItemKey, TableName};

use super::backlog;
use super::expand::{self, Unit, Units};
use super::forthcoming::Announced;
use super::ledger::{Closed, DebtId, Ending, EntryId};
use super::old_image::reached_by_cascades;
use super::parts::{Shared, State};
use super::queue::{Priority, Target, Waiter};
use super::record::Debt;
use super::watermark;
use crate::journal::RecordId;

impl Shared {
    /// Takes up a committed debt: starts looking up its keys, or leaves it to the journal where enough of its
    /// tables' debts are worked on. `narrowed`: it says less than its record.
    pub(crate) fn take_up(
        self: &Arc<Self>,
        debt: Debt,
        record: Option<RecordId>,
        narrowed: bool,
        announced: Option<Announced>,
    ) {
        if debt.entries.is_empty() {
            if let Some(record) = record {
                self.journal.remove(record);
            }
            return;
        }
        let shape = backlog::shape(&debt);
        let (debt, record) = match record {
            // Sweeps show at once, and take the place of those before them.
            _ if debt.is_sweeps() || self.has_room(&shape) => (debt, record),
            Some(record) => return self.shelve(debt, record, narrowed),
            None => (self.sweeps_instead(debt), None),
        };
        let counted = |state: &mut State, id| {
            state.expanding += 1;
            state.announced.extend(announced.map(|announced| (id, announced)));
        };
        let id = self.open(debt, record, self.now(), Seen::First, counted);
        self.spawn_expansion(id, Priority::Live);
        if narrowed && record.is_some() && self.lags(&shape) {
            self.write_again(id);
        }
    }

    /// A debt that is in memory alone must not wait there with many others.
    fn sweeps_instead(&self, debt: Debt) -> Debt {
        let ruleset = self.ruleset();
        let tables = reached_by_cascades(&ruleset, debt.entries.iter().map(Dirty::table));
        Debt { session: debt.session, ..Debt::sweeps(&tables, "journal-failed") }
    }

    /// Opens a debt in the books, its entries held until an expansion of it ends. `since`: when it was
    /// committed. `note`: what else changes at the same moment.
    pub(crate) fn open(
        &self,
        debt: Debt,
        record: Option<RecordId>,
        since: Instant,
        seen: Seen,
        note: impl FnOnce(&mut State, DebtId),
    ) -> DebtId {
        for dirty in &debt.entries {
            if let Dirty::Sweep { table, .. } = dirty {
                watermark::forget(self, table);
            }
        }
        if seen == Seen::First {
            self.count_seen(&backlog::shape(&debt));
        }
        let tables: Vec<_> = debt.entries.iter().map(|dirty| dirty.table().clone()).collect();
        let mut state = self.state.lock();
        if let Seen::Before(shape) = seen {
            state.ledger.unshelve(&shape);
        }
        let id = state.ledger.open(Arc::new(debt), &tables, record, since);
        note(&mut state, id);
        id
    }

    pub(crate) fn count_seen(&self, shape: &Shape) {
        for (table, count) in shape.counts() {
            self.metrics.seen.with_label_values(&[&**table]).inc_by(count);
            self.metrics.owed.with_label_values(&[&**table]).add(count as i64);
        }
    }

    /// Entries that another debt's refreshes stand for.
    pub(crate) fn count_superseded(&self, shape: &Shape) {
        for (table, count) in shape.counts() {
            self.metrics.superseded.with_label_values(&[&**table]).inc_by(count);
            self.metrics.owed.with_label_values(&[&**table]).sub(count as i64);
        }
    }

    /// Starts an expansion that has been counted in `State::expanding`.
    pub(crate) fn spawn_expansion(self: &Arc<Self>, id: DebtId, priority: Priority) {
        self.spawn(expand_debt(self.clone(), id, priority));
    }

    /// Looks up the keys of every open debt again, under the ruleset that is live now.
    pub(crate) fn expand_all_again(self: &Arc<Self>) {
        let ids = self.state.lock().ledger.open_debts();
        for id in ids {
            self.expand_again(id);
        }
    }

    /// Looks up the keys of one open debt once more than it takes to let go of its entries.
    pub(crate) fn expand_again(self: &Arc<Self>, id: DebtId) {
        {
            let mut state = self.state.lock();
            let Some((_, entries)) = state.ledger.debt(id) else { return };
            for entry in entries {
                state.ledger.add_work(entry);
            }
            state.expanding += 1;
        }
        self.spawn_expansion(id, Priority::Owed);
    }

    /// Ends work of entries in the books and in the metrics, and lets done records go.
    pub(crate) fn end_work(&self, endings: impl IntoIterator<Item = (EntryId, Ending)>) {
        let mut closed = Vec::new();
        {
            let mut state = self.state.lock();
            for (entry, ending) in endings {
                closed.extend(state.ledger.end_work(entry, ending));
            }
        }
        self.close(closed);
    }

    pub(crate) fn close(&self, closed: Vec<Closed>) {
        let now = self.now();
        for closed in closed {
            let label = &[&*closed.table];
            self.metrics.owed.with_label_values(label).dec();
            match closed.superseded {
                true => self.metrics.superseded.with_label_values(label).inc(),
                false => self.metrics.applied.with_label_values(label).inc(),
            }
            let lag = now.saturating_duration_since(closed.since);
            self.metrics.lag.with_label_values(label).observe(lag.as_secs_f64());
            if let Some(record) = closed.record {
                self.journal.remove(record);
            }
        }
        self.progress.notify_waiters();
        self.room.notify_one();
    }

    /// Gauges that follow from the books; called after parking and after changes of sweeps.
    pub(crate) fn set_gauges(&self, state: &State) {
        for (table, counts) in state.ledger.counts() {
            let label = &[&**table];
            self.metrics.parked.with_label_values(label).set(counts.parked as i64);
            let owed = i64::from(state.sweeps.owed(table));
            self.metrics.sweeps_owed.with_label_values(label).set(owed);
        }
    }

    fn queue_units(&self, id: DebtId, units: Units, priority: Priority) {
        let mut state = self.state.lock();
        let Some((debt, entries)) = state.ledger.debt(id) else { return };
        let (mut swept, mut superseded) = (false, Vec::new());
        if self.settings.whole_transactions {
            self.join(&mut state, id, &units);
        }
        for (index, unit) in units {
            let Some(&entry) = entries.get(index) else { continue };
            if !state.ledger.add_work(entry) {
                continue;
            }
            match unit {
                Unit::Refresh { target, stale } => {
                    let waiter = Some(Waiter::Entry(entry));
                    state.request(target, stale, waiter, priority);
                }
                Unit::Sweep { table, reason } => {
                    swept = true;
                    state.owe_sweep(&table, &reason, entry, self.now());
                    if matches!(&debt.entries[index], Dirty::Sweep { table: own, .. } if *own == table)
                    {
                        superseded.extend(state.sweeps_superseded(&table));
                    }
                }
            }
        }
        self.set_gauges_if(swept, &state);
        drop(state);
        self.work.notify_one();
        if swept {
            self.end_work(superseded.into_iter().map(|entry| (entry, Ending::Superseded)));
            self.sweep_ready.notify_one();
        }
    }

    fn set_gauges_if(&self, changed: bool, state: &State) {
        if changed {
            self.set_gauges(state);
        }
    }

    /// Whether new keys must collapse to sweeps to bound memory.
    fn overloaded(&self) -> bool {
        self.state.lock().queue.len() >= self.settings.owed_keys_max
    }
}

impl State {
    /// Asks for a refresh; entries that waited for the key while it was parked are parked no more.
    pub(crate) fn request(
        &mut self,
        target: Target,
        stale: impl IntoIterator<Item = ItemKey>,
        waiter: Option<Waiter>,
        priority: Priority,
    ) {
        let unparked = self.queue.request(target, stale, waiter, priority);
        self.unparked(unparked);
    }

    pub(crate) fn unparked(&mut self, entries: Vec<EntryId>) {
        for entry in entries {
            self.ledger.set_parked(entry, false);
        }
    }

    /// An entry waits for a sweep; it is no work until then.
    pub(crate) fn owe_sweep(
        &mut self,
        table: &TableName,
        reason: &str,
        entry: EntryId,
        now: Instant,
    ) {
        self.ledger.set_aside(entry, true);
        self.sweeps.owe(table, reason, entry, now);
    }

    /// Entries that need not wait for a table's sweep any more, because the one that came last waits for it,
    /// and its record alone says that the table is to be swept.
    pub(crate) fn sweeps_superseded(&mut self, table: &TableName) -> Vec<EntryId> {
        let superseded = self.sweeps.superseded(table);
        for entry in &superseded {
            self.ledger.set_aside(*entry, false);
        }
        superseded
    }
}

/// Looks up the keys of one debt, queues them, and lets go of its hold on the entries.
async fn expand_debt(shared: Arc<Shared>, id: DebtId, priority: Priority) {
    let mut wait = Duration::from_millis(limits::REFRESH_RETRY_MS_MIN);
    loop {
        let Some((debt, entries)) = shared.state.lock().ledger.debt(id) else { break };
        let ruleset = shared.ruleset();
        let sweeps = debt.is_sweeps();
        let units = if shared.overloaded() && !sweeps {
            // Nobody waits in memory for these: the sweeps have a record of their own.
            shared.owe_sweeps_of(&debt, "too-many-owed-keys").await;
            shared.end_work(entries.into_iter().map(|entry| (entry, Ending::Superseded)));
            break;
        } else if sweeps {
            // Nothing is looked up; whoever holds the journal's reserve must not wait for those who read MySQL.
            expand::expand(&shared, &ruleset, &debt).await
        } else {
            let Ok(_permit) = shared.expansions.acquire().await else { break };
            expand::expand(&shared, &ruleset, &debt).await
        };
        let units = match units {
            Ok(units) => units,
            Err(error) if error.is_transient() => {
                tracing::debug!(%error, "looking up owed keys failed; trying again");
                let stopped = shared.stop.run_until_cancelled(tokio::time::sleep(wait)).await;
                if stopped.is_none() {
                    break;
                }
                wait = (wait * 2).min(Duration::from_millis(limits::REFRESH_RETRY_MS_MAX));
                continue;
            }
            Err(error) => {
                tracing::warn!(%error, "owed keys could not be looked up; sweeping");
                expand::collapse(&ruleset, &debt, "lookup-refused")
            }
        };
        shared.queue_units(id, units, priority);
        if !Arc::ptr_eq(&ruleset, &shared.ruleset()) {
            continue;
        }
        shared.end_work(entries.into_iter().map(|entry| (entry, Ending::Nothing)));
        break;
    }
    let announced = {
        let mut state = shared.state.lock();
        state.expanding -= 1;
        state.announced.remove(&id)
    };
    // Only now: it may have to lock the state.
    drop(announced);
    shared.progress.notify_waiters();
}

/// Whether a debt's entries are in the books' counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    First,
    /// As entries of this shape that wait in the journal alone.
    Before(Arc<Shape>),
}
