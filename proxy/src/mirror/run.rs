//! Carries out refreshes: one view query for a batch, then the state machine of each key.
//! Never here: which step follows which (see `segue_rules::refresh`), or when a key is taken.

mod prepare;
mod together;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use futures_util::StreamExt;
use rand::Rng;
use segue_config::limits;
use segue_rules::entity::{BOOKKEEPING, BuildError, DynamoTable, Entity, Ruleset};
use segue_rules::refresh::{
    Condition, Event, Lesson, Moment, Owner, ParkReason, Refresh, RowImage, Step, must_come_to_rest,
};
use segue_rules::value::{Cell, Item, ItemKey};

use self::prepare::{frozen, machine};
pub(crate) use self::together::{Group, run_groups};
use super::beforehand::Beforehand;
use super::bookkeeping;
use super::bulk::Together;
use super::expand;
use super::parts::{Shared, entity_named};
use super::queue::{Batch, Priority, Target};
use super::whole::Sight;
use crate::dynamo::{Arrival, Expect, StoreError, WriteOutcome};
use crate::mysql::control::{ControlError, ViewRow};

/// A run's end, with the item keys under which items of the row may stand.
pub(crate) type Ended = (Outcome, BTreeSet<ItemKey>);

/// How one run of one key ended.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    Done,
    /// MySQL spells the row's key otherwise; the refresh goes on under that key.
    Respelled(Vec<Cell>),
    /// The entity is no longer mapped.
    Unmapped,
    Retry(String),
    /// The item's partition turned writes away a moment ago.
    Paused(Instant),
    /// What was read shows another commit as well, whose other keys must be written with this one.
    Overtaken,
    /// It cannot be written together with others: it is next on its own.
    Apart,
    /// Cannot succeed as things stand.
    Park {
        reason: String,
        kind: ParkKind,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ParkKind {
    /// Only a change of the row helps.
    Row,
    /// Another row stands in the way; tried again slowly.
    Collision,
    /// A store refuses; tried again slowly.
    Refused,
}

impl From<ControlError> for Outcome {
    fn from(error: ControlError) -> Self {
        match error {
            ControlError::Transient(_) => Outcome::Retry(error.to_string()),
            ControlError::Rejected(_) => refused(error.to_string()),
        }
    }
}

impl From<StoreError> for Outcome {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Transient { .. } => Outcome::Retry(error.to_string()),
            StoreError::Rejected { .. } => refused(error.to_string()),
        }
    }
}

fn refused(reason: String) -> Outcome {
    Outcome::Park { reason, kind: ParkKind::Refused }
}

/// What the last read of the row found.
pub(super) struct Read {
    pub image: RowImage,
    pub item: Option<Item>,
    /// MySQL's spelling of the key, where it is another one: under our spelling there is no row,
    /// and an item that was made under it must go.
    respelled: Option<Vec<Cell>>,
    /// Of commits announced by then it may show something.
    seen: u64,
}

/// Everything one key's run needs.
pub(super) struct Run<'a> {
    pub shared: &'a Shared,
    pub ruleset: &'a Ruleset,
    pub entity: &'a Entity,
    pub table: &'a DynamoTable,
    pub target: &'a Target,
    pub me: Owner,
    /// The item key hangs on rows of other tables.
    pub joins_decide: bool,
}

/// Refreshes keys of one entity; `settle` hears of each as soon as it ends.
pub(crate) async fn run_batch(
    shared: &Arc<Shared>,
    Batch { priority, keys: batch }: Batch,
    settle: impl Fn(&Target, Ended) + Sync,
) {
    let ruleset = shared.ruleset();
    let Some((first, _)) = batch.first() else { return };
    let entity = entity_named(&ruleset, &first.entity).cloned();
    let table = entity
        .as_ref()
        .and_then(|entity| ruleset.tables.iter().find(|table| table.name == entity.dynamo_table));
    let (Some(entity), Some(table)) = (&entity, table) else {
        batch.iter().for_each(|(target, _)| settle(target, (Outcome::Unmapped, BTreeSet::new())));
        return;
    };
    let (batch, moved): (Vec<_>, Vec<_>) =
        batch.into_iter().partition(|(target, _)| target.table == entity.source);
    moved.iter().for_each(|(target, _)| settle(target, (Outcome::Unmapped, BTreeSet::new())));
    if let Some(outcome) = frozen(&ruleset, entity) {
        batch.iter().for_each(|(target, _)| settle(target, (outcome(), BTreeSet::new())));
        return;
    }
    let look = Beforehand { shared, entity, table };
    let found = look.at_items(priority, &batch).await;
    // Everything that conditions will rest on is looked up before MySQL is read.
    let moment = shared.tags.now();
    let machines: Vec<_> = batch
        .into_iter()
        .map(|(target, stale)| {
            let machine = machine(shared, entity, &target, stale, moment);
            (target, machine)
        })
        .collect();
    let keys: Vec<Vec<Cell>> = machines.iter().map(|(target, _)| target.key.clone()).collect();
    let rows = match shared.control.view(entity, &keys).await {
        Ok(rows) => rows,
        Err(error) => {
            for (target, _) in &machines {
                settle(target, (Outcome::from(error.clone()), BTreeSet::new()));
            }
            return;
        }
    };
    let joins_decide = expand::joins_decide_key(&ruleset, entity);
    let mut rows: BTreeMap<Vec<Cell>, ViewRow> =
        rows.into_iter().map(|row| (row.row_key(&entity.view).to_vec(), row)).collect();
    // Rows under a key that nobody asked for in that spelling: someone's key is spelled otherwise.
    let asked: BTreeSet<&Vec<Cell>> = keys.iter().collect();
    let respelled = rows.keys().any(|key| !asked.contains(key));
    if priority == Priority::Sweep && !respelled {
        let batch = Together { shared, ruleset: &ruleset, entity, table, joins_decide };
        return batch.run(machines, rows, found, moment, settle).await;
    }
    let runs = machines.into_iter().map(|(target, mut machine)| {
        let found = rows.remove(&target.key);
        let (ruleset, settle) = (&ruleset, &settle);
        async move {
            let me = machine.me().clone();
            let target = &target;
            let run = Run { shared, ruleset, entity, table, target, me, joins_decide };
            let first = match found {
                None if respelled => None,
                found => Some(run.image(found, moment)),
            };
            let outcome = match run.go(&mut machine, first).await {
                Ok(outcome) | Err(outcome) => outcome,
            };
            settle(target, (outcome, machine.candidates().clone()));
        }
    });
    futures_util::stream::iter(runs)
        .buffer_unordered(shared.settings.writes_concurrent)
        .collect::<Vec<()>>()
        .await;
}

impl Run<'_> {
    async fn go(&self, machine: &mut Refresh, first: Option<Read>) -> Result<Outcome, Outcome> {
        let read = match first {
            Some(read) => read,
            None => self.read().await?,
        };
        let step = machine.next(Event::Row(read.image.clone()));
        self.go_on(machine, read, step).await
    }

    /// From any step on; `read`: what the row was when it was read last.
    pub(super) async fn go_on(
        &self,
        machine: &mut Refresh,
        mut read: Read,
        mut step: Step,
    ) -> Result<Outcome, Outcome> {
        let mut conflicts = 0;
        loop {
            let event = match step {
                Step::ReadRow => {
                    conflicts += 1;
                    if conflicts > limits::REFRESH_CONFLICTS_MAX {
                        return Err(Outcome::Retry("others keep writing this item".to_owned()));
                    }
                    read = self.read().await?;
                    Event::Row(read.image.clone())
                }
                Step::RereadAfterCreate if self.shared.faults.skip_reread_after_create => {
                    return Ok(Outcome::Done);
                }
                Step::RereadAfterCreate => {
                    read = self.read().await?;
                    Event::Row(read.image.clone())
                }
                Step::Put { key, expect } => {
                    self.may_write(&read)?;
                    let item = read.item.clone().unwrap_or_default();
                    let late = machine.put_may_come_late();
                    if late {
                        // Since it was settled, the row may have lived elsewhere.
                        self.shared.homes.unsettle(&self.me);
                    }
                    self.put(&key, item, expect, late).await?
                }
                Step::Delete { key, expect } => {
                    self.may_write(&read)?;
                    self.delete(&key, expect).await?
                }
                Step::CheckOwner { owner, key } => {
                    Event::OwnerHolds(self.holds(&owner, &key).await?)
                }
                Step::Park { reason } => return Ok(self.park(reason)),
                Step::Done => {
                    self.settle_home(&read).await?;
                    return Ok(read.respelled.map_or(Outcome::Done, Outcome::Respelled));
                }
            };
            step = machine.next(event);
        }
    }

    /// A transaction that is still open may have read the row's old item key before this one came up, and
    /// whoever refreshes after its commit would not know of it. So the refresh is not done before no such
    /// transaction is left.
    async fn settle_home(&self, read: &Read) -> Result<(), Outcome> {
        let RowImage::Present { key, .. } = &read.image else { return Ok(()) };
        let settled = self.shared.homes.settled(&self.me);
        if !must_come_to_rest(self.joins_decide, settled.as_ref(), Some(key)) {
            return Ok(());
        }
        match self.shared.control.is_at_rest(self.entity, &self.target.key).await {
            Ok(true) => {}
            Ok(false) => return Err(Outcome::Retry("a transaction may move the row".to_owned())),
            // Not every server and engine locks like this; then it is as it is.
            Err(error) => tracing::debug!(%error, "rows behind an item key cannot be locked"),
        }
        match self.read().await?.image {
            RowImage::Present { key: now, .. } if now == *key => {
                self.shared.homes.settle(&self.me, key);
                Ok(())
            }
            _ => Err(Outcome::Retry("the row has moved meanwhile".to_owned())),
        }
    }

    async fn read(&self) -> Result<Read, Outcome> {
        let moment = self.shared.tags.now();
        let keys = std::slice::from_ref(&self.target.key);
        let row = self.shared.control.view(self.entity, keys).await?.into_iter().next();
        Ok(self.image(row, moment))
    }

    /// With whole transactions, what was read may be written alone only if it shows no other key's commit.
    pub(super) fn may_write(&self, read: &Read) -> Result<(), Outcome> {
        match self.shared.sight([self.target], &BTreeSet::new(), read.seen, false) {
            Sight::Overtaken => Err(Outcome::Overtaken),
            Sight::Clear | Sight::Torn => Ok(()),
        }
    }

    pub(super) fn image(&self, row: Option<ViewRow>, moment: Moment) -> Read {
        // Of a moment after the read: commits that it cannot show as well, which does no harm.
        let seen = self.shared.forthcoming.now();
        let gone = |respelled| Read { image: RowImage::Gone, item: None, respelled, seen };
        let Some(row) = row else { return gone(None) };
        let spelled = row.row_key(&self.entity.view);
        if spelled != self.target.key {
            return gone(Some(spelled.to_vec()));
        }
        match self.entity.build(&row.main, &row.children) {
            Ok(built) => {
                let tag = self.shared.tags.known_at(&built.key, &self.me, moment);
                let image = RowImage::Present { key: built.key, tag };
                Read { image, item: Some(built.item), respelled: None, seen }
            }
            Err(BuildError::KeyAbsent { .. }) => gone(None),
            Err(error) => {
                let image = RowImage::Unbuildable { reason: error.to_string() };
                Read { image, item: None, respelled: None, seen }
            }
        }
    }

    async fn put(
        &self,
        key: &ItemKey,
        mut item: Item,
        expect: Condition,
        may_come_late: bool,
    ) -> Result<Event, Outcome> {
        let tag = self.stamp(&mut item);
        let mut expect = expected(expect);
        self.pause().await;
        loop {
            self.wait_for_partition(key)?;
            let answer = self.shared.store.put(self.table, &item, &expect).await;
            self.shared.paces.answered(key, self.shared.now(), &answer);
            if let Err(StoreError::Transient { arrival: Arrival::MayBeLate, .. }) = &answer
                && may_come_late
            {
                self.shared.owe_late(self.target, key).await;
            }
            match answer? {
                WriteOutcome::Done => {
                    self.count("written");
                    return Ok(self.learnt(key, Event::PutDone { tag }));
                }
                WriteOutcome::Conflict { existing } => {
                    let existing = existing.as_ref().map(bookkeeping::read);
                    if self.shared.faults.ignore_conditions {
                        expect = match existing {
                            None => Expect::Absent,
                            Some(existing) => existing.tag.map_or(Expect::Untagged, Expect::Tag),
                        };
                        continue;
                    }
                    return Ok(self.learnt(key, Event::PutConflict { tag, existing }));
                }
            }
        }
    }

    /// Gives the item its bookkeeping, with a fresh tag.
    pub(super) fn stamp(&self, item: &mut Item) -> String {
        let tag = uuid::Uuid::new_v4().to_string();
        let map = bookkeeping::stamp(&self.me, &tag, &self.ruleset.fingerprint, SystemTime::now());
        item.insert(BOOKKEEPING.to_owned(), map);
        tag
    }

    /// The run ends where the item's partition is paused: others need its place.
    pub(super) fn wait_for_partition(&self, key: &ItemKey) -> Result<(), Outcome> {
        match self.shared.paces.paused(key, self.shared.now()) {
            Some(until) => Err(Outcome::Paused(until)),
            None => Ok(()),
        }
    }

    async fn pause(&self) {
        let longest = self.shared.faults.pause_before_put;
        if !longest.is_zero() {
            let pause = rand::rng().random_range(Duration::ZERO..=longest);
            tokio::time::sleep(pause).await;
        }
    }

    async fn delete(&self, key: &ItemKey, expect: Condition) -> Result<Event, Outcome> {
        let removes = expect != Condition::Absent;
        self.wait_for_partition(key)?;
        let answer = self.shared.store.delete(self.table, key, &expected(expect)).await;
        self.shared.paces.answered(key, self.shared.now(), &answer);
        match answer? {
            WriteOutcome::Done => {
                if removes {
                    self.count("deleted");
                }
                Ok(self.learnt(key, Event::DeleteDone))
            }
            WriteOutcome::Conflict { existing } => {
                let existing = existing.as_ref().map(bookkeeping::read);
                Ok(self.learnt(key, Event::DeleteConflict { existing }))
            }
        }
    }

    /// Remembers what a write's answer taught about the item key.
    pub(super) fn learnt(&self, key: &ItemKey, event: Event) -> Event {
        let (tags, homes) = (&self.shared.tags, &self.shared.homes);
        match Lesson::of(&event) {
            Some(Lesson::Written { tag }) => {
                tags.learn(key, &self.me, &tag);
                if !self.entity.key_from_row_key {
                    homes.moved(&self.me, key);
                }
            }
            Some(Lesson::Deleted) => {
                tags.forget(key);
                homes.gone(&self.me, key);
            }
            Some(Lesson::Found { tag, owner }) => tags.learn(key, &owner, &tag),
            Some(Lesson::Unknown) => tags.forget(key),
            None => {}
        }
        event
    }

    /// Whether the other row exists and its item key is this one.
    async fn holds(&self, owner: &Owner, key: &ItemKey) -> Result<bool, Outcome> {
        let Some(entity) = entity_named(self.ruleset, &owner.entity) else { return Ok(false) };
        if entity.dynamo_table != key.table {
            return Ok(false);
        }
        let table = self.ruleset.catalog.tables.get(&entity.source);
        let row_key = table.and_then(|table| bookkeeping::decode_key(table, &owner.key));
        let Some(row_key) = row_key else { return Ok(false) };
        let rows = self.shared.control.view(entity, std::slice::from_ref(&row_key)).await?;
        // A row that MySQL spells otherwise is our own row under its old spelling, or another's.
        Ok(rows.iter().any(|row| {
            row.main.starts_with(&row_key) && entity.item_key(&row.main).as_ref() == Some(key)
        }))
    }

    fn park(&self, reason: ParkReason) -> Outcome {
        match reason {
            ParkReason::Unbuildable(reason) => Outcome::Park { reason, kind: ParkKind::Row },
            ParkReason::Collision { key, holder } => {
                let reason = format!(
                    "rows {} {:?} and {} {:?} have the same item key {:?} {:?} in {}",
                    self.target.entity,
                    bookkeeping::encode_key(&self.target.key),
                    holder.entity,
                    holder.key,
                    key.pk,
                    key.sk,
                    key.table,
                );
                Outcome::Park { reason, kind: ParkKind::Collision }
            }
        }
    }

    pub(super) fn count(&self, action: &str) {
        self.shared.metrics.items.with_label_values(&[self.target.entity.as_ref(), action]).inc();
    }
}

fn expected(condition: Condition) -> Expect {
    match condition {
        Condition::Absent => Expect::Absent,
        Condition::Tag(tag) => Expect::Tag(tag),
        Condition::Untagged => Expect::Untagged,
    }
}

/// The wait before attempt `attempts + 1`: doubling between the bounds, the upper half at random so
/// that keys that failed together do not come back together.
pub(crate) fn back_off(attempts: u32, min_ms: u64, max_ms: u64) -> Duration {
    let ceiling = min_ms.saturating_mul(1 << attempts.min(20)).min(max_ms);
    Duration::from_millis(rand::rng().random_range(ceiling / 2..=ceiling))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_their_bound() {
        for attempts in 0..64 {
            let wait = back_off(attempts, 50, 5_000).as_millis();
            let ceiling = (50u128 << attempts.min(20)).min(5_000);
            assert!(wait >= ceiling / 2 && wait <= ceiling, "{attempts}: {wait}");
        }
    }
}
