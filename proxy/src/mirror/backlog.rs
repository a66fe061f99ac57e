//! Debts that wait in the journal alone: when a debt waits there, and how it comes back.
//! Never here: their order (see `segue_rules::owed::Backlog`), the journal's bytes.
//!
//! ```text
//! committed --room--> ledger --> expand --> queue --> refresh
//!           --none--> backlog --room again, read from the journal--> ledger
//! recovered --room--> waits in memory; refreshed early, and once more when nothing can arrive any more
//!           --none--> backlog; the same, read from the journal both times
//! ```
//!
//! So the memory that an outage takes is that of a bounded number of debts of each table, and a few bytes for
//! each further one.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

use segue_config::limits;
use segue_rules::owed::{Print, Shape};
use segue_rules::txn::Dirty;
use segue_rules::value::TableName;

use super::expand::{self, Unit};
use super::intake::Seen;
use super::ledger::DebtId;
use super::old_image::reached_by_cascades;
use super::owed;
use super::parts::{Shared, State};
use super::queue::Priority;
use super::record::Debt;
use crate::journal::RecordId;

pub(crate) type Backlog = segue_rules::owed::Backlog<RecordId, Instant>;
pub(crate) type Shelved = segue_rules::owed::Shelved<RecordId, Instant>;

/// A backstop: whoever makes room says so.
const LOOK: Duration = Duration::from_secs(1);

/// Makes prints; its keys are this process's own, so nobody can make two debts meet.
#[derive(Default)]
pub(crate) struct Prints(RandomState, RandomState);

impl Prints {
    /// Of everything that the debt asks for. Not of who committed it: it is committed.
    fn of(&self, debt: &Debt) -> Print {
        let asked = (&debt.entries, &debt.old);
        (self.0.hash_one(asked), self.1.hash_one(asked))
    }
}

pub(crate) fn shape(debt: &Debt) -> Shape {
    Shape::of(debt.entries.iter().map(Dirty::table))
}

/// Whether less than `most` entries of each of the tables are worked on.
fn has_room(state: &State, shape: &Shape, most: u64) -> bool {
    let active = |table| state.ledger.counts().get(table).map_or(0, |counts| counts.active());
    shape.tables().all(|table| active(table) < most)
}

impl Shared {
    pub(crate) fn has_room(&self, shape: &Shape) -> bool {
        has_room(&self.state.lock(), shape, self.settings.entries_worked_on_max)
    }

    /// Whether debts of this shape have to wait for long.
    pub(crate) fn lags(&self, shape: &Shape) -> bool {
        !has_room(&self.state.lock(), shape, limits::ENTRIES_NARROWED_IN_MEMORY_MAX)
    }

    /// Leaves a committed debt to the journal. `narrowed`: its record says more than it.
    pub(crate) fn shelve(self: &Arc<Self>, debt: Debt, record: RecordId, narrowed: bool) {
        if self.state.lock().backlog.len() >= self.settings.backlog_debts_max {
            self.sweep_instead(debt, record);
        } else if narrowed {
            self.state.lock().expanding += 1;
            let worker = self.clone();
            self.spawn(async move {
                let record = worker.written_again(&debt, record).await;
                worker.put_aside(&debt, record);
                worker.expansion_ended();
            });
        } else {
            self.put_aside(&debt, record);
        }
    }

    fn put_aside(&self, debt: &Debt, record: RecordId) {
        let (shape, print, now) = (shape(debt), self.prints.of(debt), self.now());
        self.count_seen(&shape);
        let superseded = {
            let mut state = self.state.lock();
            state.ledger.shelve(&shape);
            let superseded = state.backlog.shelve(record, now, shape, Some(print));
            if let Some(superseded) = &superseded {
                state.ledger.supersede_shelved(&superseded.shape);
            }
            superseded
        };
        if let Some(superseded) = superseded {
            self.count_superseded(&superseded.shape);
            self.journal.remove(superseded.record);
        }
        self.room.notify_one();
    }

    /// A record that says what is owed now, instead of one that says more. The old one where the journal
    /// does not take another.
    async fn written_again(&self, debt: &Debt, record: RecordId) -> RecordId {
        match owed::append(self, debt).await {
            Ok(again) => {
                self.journal.remove(record);
                again
            }
            Err(_) => record,
        }
    }

    /// Writes an open debt's record anew: what it asked for before the answer came may be half a table by the
    /// time another process reads it.
    pub(crate) fn write_again(self: &Arc<Self>, id: DebtId) {
        let worker = self.clone();
        self.spawn(async move {
            let Some((debt, _)) = worker.state.lock().ledger.debt(id) else { return };
            let Ok(again) = owed::append(&worker, &debt).await else { return };
            let replaced = worker.state.lock().ledger.replace_record(id, again);
            if let Some(replaced) = replaced {
                worker.journal.remove(replaced);
            }
        });
    }

    /// There are too many: the debt's tables are swept.
    fn sweep_instead(self: &Arc<Self>, debt: Debt, record: RecordId) {
        self.state.lock().expanding += 1;
        let worker = self.clone();
        self.spawn(async move {
            worker.owe_sweeps_of(&debt, "too-many-owed-keys").await;
            worker.journal.remove(record);
            worker.expansion_ended();
        });
    }

    /// Owes sweeps of all tables that a debt may reach; durably when this returns.
    pub(crate) async fn owe_sweeps_of(self: &Arc<Self>, debt: &Debt, reason: &str) {
        self.owe_sweeps(&shape(debt), reason).await;
    }

    async fn owe_sweeps(self: &Arc<Self>, shape: &Shape, reason: &str) {
        let ruleset = self.ruleset();
        let tables = reached_by_cascades(&ruleset, shape.tables());
        let sweeps = Debt::sweeps(&tables, reason);
        let (sweeps, record, unwritten) = owed::record(self, &ruleset, sweeps).await;
        self.take_up(sweeps, record, false, None);
        drop(unwritten);
    }

    pub(crate) fn expansion_ended(&self) {
        self.state.lock().expanding -= 1;
        self.progress.notify_waiters();
    }

    /// Leaves a debt of an earlier process to the journal.
    pub(crate) fn shelve_recovered(&self, debt: &Debt, record: RecordId) {
        let shape = shape(debt);
        self.count_seen(&shape);
        let mut state = self.state.lock();
        state.ledger.shelve(&shape);
        // Never merged: the connection of the earlier one may commit last.
        state.recovered.shelve(record, self.now(), shape, None);
    }

    /// The next debts to be read again; counted in `State::expanding` until they are in the books.
    fn next_shelved(&self, settled: Instant) -> (Vec<Shelved>, Origin) {
        let most = limits::BACKLOG_READ_RECORDS;
        // Some room is left for commits of now, which go first.
        let worked_on_max = self.settings.entries_worked_on_max.div_ceil(2);
        let mut state = self.state.lock();
        let State { ledger, backlog, recovered, uncertain, expanding, .. } = &mut *state;
        let mut admitted: BTreeMap<TableName, u64> = BTreeMap::new();
        let mut admit = |shape: &Shape| {
            let admit = shape.tables().all(|table| {
                let active = ledger.counts().get(table).map_or(0, |counts| counts.active());
                active + admitted.get(table).copied().unwrap_or(0) < worked_on_max
            });
            for (table, count) in shape.counts().filter(|_| admit) {
                *admitted.entry(table.clone()).or_default() += count;
            }
            admit
        };
        let of_now = backlog.take(most, &mut admit);
        let taken = if of_now.is_empty() && self.now() >= settled {
            let left = self.settings.debts_waiting_max.saturating_sub(uncertain.len());
            (recovered.take(most.min(left), admit), Origin::Earlier)
        } else {
            (of_now, Origin::Now)
        };
        *expanding += taken.0.len();
        taken
    }

    /// Takes up what a record holds.
    async fn take_up_again(
        self: &Arc<Self>,
        shelved: Shelved,
        bytes: Option<Vec<u8>>,
        origin: Origin,
        settled: Instant,
    ) {
        let Some(debt) = bytes.as_deref().and_then(Debt::decode) else {
            tracing::error!("an owed record cannot be read any more; its tables are swept");
            self.owe_sweeps(&shelved.shape, "journal-damaged").await;
            self.drop_shelved(&shelved);
            self.journal.remove(shelved.record);
            self.expansion_ended();
            return;
        };
        let seen = match shape(&debt) == *shelved.shape {
            true => Seen::Before(shelved.shape.clone()),
            // The record could not be written anew, and says more than was counted.
            false => {
                self.drop_shelved(&shelved);
                Seen::First
            }
        };
        match origin {
            Origin::Now => {
                let open = |state: &mut State, _| state.expanding += 1;
                let id = self.open(debt, Some(shelved.record), shelved.since, seen, open);
                self.spawn_expansion(id, Priority::Owed);
            }
            Origin::Earlier => {
                self.hold(debt, Some(shelved.record), shelved.since, settled, seen);
            }
        }
        self.expansion_ended();
    }

    fn drop_shelved(&self, shelved: &Shelved) {
        self.state.lock().ledger.supersede_shelved(&shelved.shape);
        self.count_superseded(&shelved.shape);
    }
}

/// Whose debts they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    Now,
    /// Of an earlier process.
    Earlier,
}

/// Reads debts again as there is room for them, until the mirror stops. `settled`: when writes of an earlier
/// process can arrive no more.
pub(crate) async fn read_again(shared: Arc<Shared>, settled: Instant) {
    let stop = shared.stop.clone();
    let reading = async {
        loop {
            let (taken, origin) = shared.next_shelved(settled);
            if taken.is_empty() {
                let _ = tokio::time::timeout(LOOK, shared.room.notified()).await;
                continue;
            }
            let records = taken.iter().map(|shelved| shelved.record).collect();
            let read = shared.journal.read(records).await;
            for (shelved, bytes) in taken.into_iter().zip(read) {
                shared.take_up_again(shelved, bytes, origin, settled).await;
            }
        }
    };
    let _ = stop.run_until_cancelled(reading).await;
}

/// Refreshes the rows of debts of an earlier process once, as far as they are known, so that they need not stay
/// as they are until nothing can arrive any more. Nobody waits for these refreshes: the debts stay owed.
pub(crate) async fn refresh_early(shared: Arc<Shared>, settled: Instant) {
    let stop = shared.stop.clone();
    let records: Vec<RecordId> = {
        let state = shared.state.lock();
        state.recovered.iter().map(|shelved| shelved.record).collect()
    };
    let refreshing = async {
        for chunk in records.chunks(limits::BACKLOG_READ_RECORDS) {
            for bytes in shared.journal.read(chunk.to_vec()).await {
                let Some(debt) = bytes.as_deref().and_then(Debt::decode) else { continue };
                let calm = tokio::time::timeout_at(settled.into(), shared.wait_for_calm());
                if calm.await.is_err() {
                    return;
                }
                shared.request_early(&debt).await;
            }
        }
    };
    let _ = stop.run_until_cancelled(refreshing).await;
}

impl Shared {
    /// Waits until the queue is short.
    async fn wait_for_calm(&self) {
        loop {
            let mut progress = std::pin::pin!(self.progress.notified());
            progress.as_mut().enable();
            {
                let state = self.state.lock();
                let waiting = state.queue.len() - state.queue.parked_len();
                if waiting < limits::BACKLOG_EARLY_REFRESHES {
                    return;
                }
            }
            progress.await;
        }
    }

    async fn request_early(&self, debt: &Debt) {
        let ruleset = self.ruleset();
        let Ok(_permit) = self.expansions.acquire().await else { return };
        // Whatever fails here is done in its time.
        let Ok(units) = expand::expand(self, &ruleset, debt).await else { return };
        let mut state = self.state.lock();
        for (_, unit) in units {
            if let Unit::Refresh { target, stale } = unit {
                state.request(target, stale, None, Priority::Owed);
            }
        }
        drop(state);
        self.work.notify_one();
    }
}
