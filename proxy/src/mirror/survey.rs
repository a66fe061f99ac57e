//! What a sweep needs from the mirror: its tickets, reads of both stores, refreshes at low priority.
//! Never here: the order in which a sweep goes through a table (see `movement`).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use segue_config::limits;
use segue_rules::entity::{DynamoTable, Entity, Ruleset};
use segue_rules::refresh::is_stray;
use segue_rules::txn::{Dirty, DirtyEntry, OldImage};
use segue_rules::value::{Cell, Item, ItemKey, SourceKey, TableName};
use tokio::sync::oneshot;

use super::Mirror;
use super::bookkeeping;
use super::expand::target;
use super::ledger::Ending;
use super::lookup::quote;
use super::parts::{Shared, entity_named};
use super::queue::{Priority, RefreshEnd, Waiter};
use super::sweeps::SweepProgress;
use crate::dynamo;

/// A store could not be read, or refuses; the sweep starts anew later.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct SurveyError(pub String);

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

/// An item of ours, as its bookkeeping names it.
#[derive(Clone, Debug)]
pub struct OwnedItem {
    pub entity: Arc<Entity>,
    pub row_key: Vec<Cell>,
    pub key: ItemKey,
}

/// One page of a DynamoDB table.
pub struct ItemPage {
    pub ours: Vec<OwnedItem>,
    /// All items of the page.
    pub items: u64,
    /// Items without readable bookkeeping.
    pub foreign: u64,
    pub next: Option<Item>,
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

    /// The next driving keys in key order.
    pub async fn driving_keys(
        &self,
        entity: &Entity,
        last: Option<&[Cell]>,
    ) -> Result<Vec<Vec<Cell>>, SurveyError> {
        let scanned = self.shared.control.scan_keys(entity, last, limits::SWEEP_SCAN_KEYS).await;
        scanned.map_err(|error| SurveyError(error.to_string()))
    }

    /// How many rows a table has, where that is quick to tell.
    pub async fn row_count(&self, table: &TableName) -> Option<u64> {
        const COUNTED_MAX: u64 = 100_000;
        let sql = format!(
            "SELECT COUNT(*) FROM (SELECT 1 FROM {} LIMIT {COUNTED_MAX}) AS counted",
            quote(table)
        );
        let rows = self.shared.control.select(&sql, &[]).await.ok()?;
        let count = match rows.first()?.first()? {
            Cell::Int(count) => u64::try_from(*count).ok()?,
            Cell::UInt(count) => *count,
            _ => return None,
        };
        (count < COUNTED_MAX).then_some(count)
    }

    /// The next page of a DynamoDB table's items.
    pub async fn items(
        &self,
        ruleset: &Ruleset,
        table: &DynamoTable,
        from: Option<Item>,
    ) -> Result<ItemPage, SurveyError> {
        let page = self.shared.store.scan(table, from, (0, 1)).await;
        let page = page.map_err(|error| SurveyError(error.to_string()))?;
        let mut out = ItemPage { ours: Vec::new(), items: 0, foreign: 0, next: page.next };
        for item in &page.items {
            out.items += 1;
            match owned(ruleset, table, item) {
                Some(owned) => out.ours.push(owned),
                None => out.foreign += 1,
            }
        }
        Ok(out)
    }

    /// Those items whose row is gone or lives under another item key.
    pub async fn strays(&self, items: Vec<OwnedItem>) -> Result<Vec<OwnedItem>, SurveyError> {
        let mut by_entity: BTreeMap<String, Vec<OwnedItem>> = BTreeMap::new();
        for item in items {
            by_entity.entry(item.entity.name.clone()).or_default().push(item);
        }
        let mut strays = Vec::new();
        for items in by_entity.into_values() {
            let Some(entity) = items.first().map(|item| item.entity.clone()) else { continue };
            let keys: Vec<Vec<Cell>> = items.iter().map(|item| item.row_key.clone()).collect();
            let rows = self.shared.control.view(&entity, &keys).await;
            let rows = rows.map_err(|error| SurveyError(error.to_string()))?;
            let width = entity.view.key_width;
            let homes: BTreeMap<&[Cell], Option<ItemKey>> = rows
                .iter()
                .map(|row| (&row.main[..width.min(row.main.len())], entity.item_key(&row.main)))
                .collect();
            strays.extend(items.into_iter().filter(|item| {
                let home = homes.get(item.row_key.as_slice()).and_then(Option::as_ref);
                is_stray(&item.key, home)
            }));
        }
        Ok(strays)
    }
}

fn owned(ruleset: &Ruleset, table: &DynamoTable, item: &Item) -> Option<OwnedItem> {
    let owner = bookkeeping::read(item).owner?;
    let entity = entity_named(ruleset, &owner.entity)?;
    let source = ruleset.catalog.tables.get(&entity.source)?;
    let row_key = bookkeeping::decode_key(source, &owner.key)?;
    Some(OwnedItem { entity: entity.clone(), row_key, key: dynamo::key_of(table, item)? })
}
