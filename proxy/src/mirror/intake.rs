//! Committed debts: taken up in the books, expanded, queued; and the books' echo in the metrics.
//! Never here: refreshing.

use std::sync::Arc;
use std::time::Duration;

use segue_config::limits;
use segue_rules::txn::Dirty;

use super::expand::{self, Unit, Units};
use super::ledger::{Closed, DebtId, Ending, EntryId};
use super::parts::{Shared, State};
use super::queue::{Priority, Waiter};
use super::record::Debt;
use super::watermark;
use crate::journal::RecordId;

impl Shared {
    /// Takes up a committed debt and starts looking up its keys.
    pub(crate) fn take_up(
        self: &Arc<Self>,
        debt: Debt,
        record: Option<RecordId>,
    ) -> Option<DebtId> {
        if debt.entries.is_empty() {
            if let Some(record) = record {
                self.journal.remove(record);
            }
            return None;
        }
        let id = self.open(debt, record, |state, _| state.expanding += 1);
        self.spawn_expansion(id, Priority::Live);
        Some(id)
    }

    /// Opens a debt in the books, its entries held until an expansion of it ends. `note`: what else
    /// changes at the same moment.
    pub(crate) fn open(
        &self,
        debt: Debt,
        record: Option<RecordId>,
        note: impl FnOnce(&mut State, DebtId),
    ) -> DebtId {
        for dirty in &debt.entries {
            if let Dirty::Sweep { table, .. } = dirty {
                watermark::forget(self, table);
            }
        }
        let tables: Vec<_> = debt.entries.iter().map(|dirty| dirty.table().clone()).collect();
        let id = {
            let mut state = self.state.lock();
            let id = state.ledger.open(Arc::new(debt), &tables, record, self.now());
            note(&mut state, id);
            id
        };
        for table in &tables {
            self.metrics.seen.with_label_values(&[&**table]).inc();
            self.metrics.owed.with_label_values(&[&**table]).inc();
        }
        id
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
        let Some((_, entries)) = state.ledger.debt(id) else { return };
        let mut swept = false;
        for (index, unit) in units {
            let Some(&entry) = entries.get(index) else { continue };
            if !state.ledger.add_work(entry) {
                continue;
            }
            match unit {
                Unit::Refresh { target, stale } => {
                    let waiter = Some(Waiter::Entry(entry));
                    let unparked = state.queue.request(target, stale, waiter, priority);
                    for entry in unparked {
                        state.ledger.set_parked(entry, false);
                    }
                }
                Unit::Sweep { table, reason } => {
                    swept = true;
                    state.sweeps.owe(&table, &reason, entry, self.now());
                }
            }
        }
        self.set_gauges_if(swept, &state);
        drop(state);
        self.work.notify_one();
        if swept {
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
        let state = self.state.lock();
        state.queue.len() >= self.settings.owed_keys_max
            || state.ledger.owed() >= self.settings.owed_keys_max
    }
}

/// Looks up the keys of one debt, queues them, and lets go of its hold on the entries.
async fn expand_debt(shared: Arc<Shared>, id: DebtId, priority: Priority) {
    let mut wait = Duration::from_millis(limits::REFRESH_RETRY_MS_MIN);
    loop {
        let Some((debt, entries)) = shared.state.lock().ledger.debt(id) else { break };
        let ruleset = shared.ruleset();
        let units = if shared.overloaded() {
            Ok(expand::collapse(&ruleset, &debt, "too-many-owed-keys"))
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
    shared.state.lock().expanding -= 1;
    shared.progress.notify_waiters();
}
