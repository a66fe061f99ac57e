//! What a sweep needs from the mirror: its tickets, and refreshes at low priority.
//! Never here: the order in which a sweep goes through a table (see `movement`), reads of the stores.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use segue_config::limits;
use segue_rules::entity::{Entity, Ruleset};
use segue_rules::txn::{Dirty, DirtyEntry, OldImage};
use segue_rules::value::{Cell, ItemKey, SourceKey, TableName};
use tokio::sync::oneshot;

use super::Mirror;
use super::expand::target;
use super::ledger::Ending;
use super::parts::Shared;
use super::queue::{Priority, RefreshEnd, Waiter};
use super::survey::Survey;
use super::sweeps::SweepProgress;

/// The right to carry out one owed sweep. Dropped, the sweep stays owed and starts anew.
pub struct SweepTicket {
    shared: Arc<Shared>,
    pub table: TableName,
    pub reason: String,
    progress: Arc<Mutex<SweepProgress>>,
    ended: bool,
}

impl SweepTicket {
    /// Notes how far the sweep is.
    pub fn note(&self, change: impl FnOnce(&mut SweepProgress)) {
        change(&mut self.progress.lock());
    }

    /// Everything was gone through.
    pub fn done(mut self) {
        self.ended = true;
        let waiters = {
            let mut state = self.shared.state.lock();
            let waiters = state.sweeps.done(&self.table, self.shared.now());
            for entry in &waiters {
                state.ledger.set_aside(*entry, false);
            }
            self.shared.set_gauges(&state);
            waiters
        };
        self.shared.end_work(waiters.into_iter().map(|entry| (entry, Ending::Applied)));
        self.shared.sweep_ready.notify_one();
    }

    /// It could not be finished.
    pub fn failed(mut self, reason: String) {
        self.fail(reason, limits::SWEEP_RETRY_MS);
    }

    /// Only another ruleset lets it start.
    pub fn held(mut self, reason: String) {
        self.fail(reason, limits::SWEEP_HELD_MS);
    }

    fn fail(&mut self, reason: String, pause_ms: u64) {
        self.ended = true;
        let retry_at = self.shared.now() + Duration::from_millis(pause_ms);
        self.shared.state.lock().sweeps.failed(&self.table, reason, retry_at);
        self.shared.sweep_ready.notify_one();
    }
}

impl Drop for SweepTicket {
    fn drop(&mut self) {
        if !self.ended {
            self.fail("interrupted".to_owned(), limits::SWEEP_RETRY_MS);
        }
    }
}

impl Mirror {
    /// The next owed sweep that may start, oldest first; `None` when the mirror stops.
    pub async fn next_sweep(&self) -> Option<SweepTicket> {
        let shared = &self.shared;
        loop {
            let (started, due) = {
                let mut state = shared.state.lock();
                let now = shared.now();
                (state.sweeps.start(now), state.sweeps.next_due())
            };
            if let Some((table, reason, progress)) = started {
                shared.metrics.sweeps.with_label_values(&[&*table]).inc();
                return Some(SweepTicket {
                    shared: shared.clone(),
                    table,
                    reason,
                    progress,
                    ended: false,
                });
            }
            let due = async {
                match due {
                    Some(due) => tokio::time::sleep_until(due.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = shared.stop.cancelled() => return None,
                () = shared.sweep_ready.notified() => {}
                () = due => {}
            }
        }
    }

    /// Whether this entity's items may be touched now.
    pub fn serves(&self, entity: &Entity) -> bool {
        (self.shared.served)(&entity.source)
    }

    /// The live ruleset.
    pub fn ruleset(&self) -> Arc<Ruleset> {
        self.shared.ruleset()
    }

    /// Refreshes one driving row after everything live; `stale`: an item key it may have had.
    /// It is queued when this returns; the answer comes by the future.
    pub fn refresh(
        &self,
        entity: &Entity,
        row_key: Vec<Cell>,
        stale: Option<ItemKey>,
    ) -> impl Future<Output = RefreshEnd> + Send + use<> {
        let (sender, receiver) = oneshot::channel();
        {
            let mut state = self.shared.state.lock();
            let waiter = Some(Waiter::Caller(sender));
            let target = target(entity, row_key);
            state.request(target, stale, waiter, Priority::Sweep);
        }
        self.shared.work.notify_one();
        let stop = self.shared.stop.clone();
        async move {
            let answer = stop.run_until_cancelled(receiver).await.and_then(Result::ok);
            answer.unwrap_or_else(|| RefreshEnd::Refused("the mirror stopped".to_owned()))
        }
    }

    /// Owes one row by itself, so that it outlives the sweep that could not mirror it.
    pub async fn owe_row(&self, table: &TableName, key: Vec<Cell>) {
        let dirty = Dirty::Key(SourceKey { table: table.clone(), key });
        let entry = DirtyEntry { dirty, old_image: OldImage::NotNeeded };
        self.owe(self.ruleset(), vec![entry], None).await.committed(None);
    }

    /// Reads of both stores, as this mirror sees them.
    pub fn survey(&self) -> Survey {
        Survey { control: self.shared.control.clone(), store: self.shared.store.clone() }
    }
}
