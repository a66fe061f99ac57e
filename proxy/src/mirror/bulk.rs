//! Keys of a sweep, refreshed together: new items are created many at once, and their rows are read again many
//! at once. Each key takes the same steps as by itself; only requests are shared.
//! Never here: which step follows which (see `segue_rules::refresh`).

use std::collections::{BTreeMap, BTreeSet, HashMap};

use futures_util::FutureExt;
use futures_util::stream::{self, StreamExt};
use segue_config::limits;
use segue_rules::diff::{Verdict, judge};
use segue_rules::entity::{DynamoTable, Entity, Ruleset};
use segue_rules::refresh::{Condition, Event, Moment, Refresh, RowImage, Step};
use segue_rules::value::{Cell, Item, ItemKey};

use super::bookkeeping;
use super::parts::Shared;
use super::queue::Target;
use super::run::{Ended, Outcome, Read, Run};
use crate::dynamo::{Arrival, StoreError, WriteOutcome};
use crate::mysql::control::ViewRow;

/// What the keys of one batch have in common.
pub(super) struct Together<'a> {
    pub shared: &'a Shared,
    pub ruleset: &'a Ruleset,
    pub entity: &'a Entity,
    pub table: &'a DynamoTable,
    pub joins_decide: bool,
}

/// One key on its way.
struct OnItsWay<'a> {
    run: Run<'a>,
    machine: Refresh,
    read: Read,
    step: Step,
}

/// A key whose item is to be created.
struct Creation<'a> {
    way: OnItsWay<'a>,
    key: ItemKey,
    tag: String,
    item: Item,
}

/// What a key does next.
enum Next<'a> {
    Create(Creation<'a>),
    /// Anything else.
    Alone(OnItsWay<'a>),
}

impl Together<'_> {
    /// `rows`: read at `moment`, after the tags that the machines know. `found`: items that were looked at before.
    pub async fn run(
        &self,
        machines: Vec<(Target, Refresh)>,
        mut rows: BTreeMap<Vec<Cell>, ViewRow>,
        found: HashMap<ItemKey, Item>,
        moment: Moment,
        settle: impl Fn(&Target, Ended) + Sync,
    ) {
        let targets: Vec<Target> = machines.iter().map(|(target, _)| target.clone()).collect();
        let mut ways: Vec<OnItsWay<'_>> = machines
            .into_iter()
            .zip(&targets)
            .map(|((_, mut machine), target)| {
                let run = self.run_of(target, &machine);
                let read = run.image(rows.remove(&target.key), moment);
                let step = machine.next(Event::Row(read.image.clone()));
                OnItsWay { run, machine, read, step }
            })
            .collect();
        if self.shared.settings.skip_equal {
            ways = self.without_equal(ways, found, &settle).await;
        }
        let (mut creations, mut others) = (Vec::new(), Vec::new());
        for way in ways {
            match way.next() {
                Next::Create(creation) => creations.push(creation),
                Next::Alone(way) => others.push(way),
            }
        }
        let created = self.create(creations, &settle).await;
        others.extend(self.read_again(created, &settle).await);
        let mut runs = Vec::with_capacity(others.len());
        for way in others {
            runs.push(go_on(way, &settle).boxed());
        }
        let runs = stream::iter(runs).buffer_unordered(self.shared.settings.writes_concurrent);
        runs.collect::<Vec<()>>().await;
    }

    fn run_of<'b>(&'b self, target: &'b Target, machine: &Refresh) -> Run<'b> {
        Run {
            shared: self.shared,
            ruleset: self.ruleset,
            entity: self.entity,
            table: self.table,
            target,
            me: machine.me().clone(),
            joins_decide: self.joins_decide,
        }
    }

    /// Settles keys whose item is right already. Only for whoever holds no promise towards a commit: a slow
    /// refresh of an older state may still pass where the tag stays.
    async fn without_equal<'b>(
        &self,
        ways: Vec<OnItsWay<'b>>,
        mut found: HashMap<ItemKey, Item>,
        settle: &(impl Fn(&Target, Ended) + Sync),
    ) -> Vec<OnItsWay<'b>> {
        let is_movable = !self.entity.key_from_row_key;
        if is_movable && self.shared.items_expected(&self.entity.name) {
            found = self.items_of(&ways).await;
        }
        let (equal, others): (Vec<_>, Vec<_>) = ways.into_iter().partition(|way| {
            way.item_key().and_then(|key| found.get(key)).is_some_and(|item| way.is_equal(item))
        });
        for way in equal {
            way.run.count("equal");
            settle(way.run.target, (Outcome::Done, way.machine.candidates().clone()));
        }
        others
    }

    /// What stands at the keys of rows that may move: only the rows tell them.
    async fn items_of(&self, ways: &[OnItsWay<'_>]) -> HashMap<ItemKey, Item> {
        let wanted: BTreeSet<ItemKey> =
            ways.iter().filter_map(|way| way.item_key().cloned()).collect();
        if wanted.is_empty() {
            return HashMap::new();
        }
        // Where they cannot be read the refreshes find out by themselves.
        let found = self.shared.store.get_many(self.table, &wanted).await.unwrap_or_default();
        self.shared.expect_items(&self.entity.name, found.len() * 2 > wanted.len());
        found
    }

    /// Creates items; those keys that are not settled by it go on.
    async fn create<'b>(
        &self,
        creations: Vec<Creation<'b>>,
        settle: &(impl Fn(&Target, Ended) + Sync),
    ) -> Vec<OnItsWay<'b>> {
        let (mut batches, mut rest) = (Vec::new(), creations);
        while !rest.is_empty() {
            let batch = rest.split_off(rest.len().saturating_sub(limits::CREATED_AT_ONCE));
            batches.push(self.create_batch(batch, settle).boxed());
        }
        let batches = stream::iter(batches).buffer_unordered(limits::CREATIONS_CONCURRENT);
        let on: Vec<Vec<_>> = batches.collect().await;
        on.into_iter().flatten().collect()
    }

    async fn create_batch<'b>(
        &self,
        mut batch: Vec<Creation<'b>>,
        settle: &(impl Fn(&Target, Ended) + Sync),
    ) -> Vec<OnItsWay<'b>> {
        let items: Vec<Item> =
            batch.iter_mut().map(|creation| std::mem::take(&mut creation.item)).collect();
        let answers = self.shared.store.create_many(self.table, &items).await;
        let mut on = Vec::with_capacity(batch.len());
        for (creation, answer) in batch.into_iter().zip(answers) {
            on.extend(self.created(creation, answer, settle).await);
        }
        on
    }

    async fn created<'b>(
        &self,
        creation: Creation<'b>,
        answer: Result<WriteOutcome, StoreError>,
        settle: &(impl Fn(&Target, Ended) + Sync),
    ) -> Option<OnItsWay<'b>> {
        let Creation { mut way, key, tag, .. } = creation;
        let shared = self.shared;
        shared.paces.answered(&key, shared.now(), &answer);
        if let Err(StoreError::Transient { arrival: Arrival::MayBeLate, .. }) = &answer {
            shared.owe_late(way.run.target, &key).await;
        }
        let event = match answer {
            Ok(WriteOutcome::Done) => {
                way.run.count("written");
                Event::PutDone { tag }
            }
            Ok(WriteOutcome::Conflict { existing }) => {
                shared.expect_items(&self.entity.name, true);
                if shared.settings.skip_equal
                    && existing.as_ref().is_some_and(|item| way.is_equal(item))
                {
                    way.run.count("equal");
                    settle(way.run.target, (Outcome::Done, way.machine.candidates().clone()));
                    return None;
                }
                Event::PutConflict { tag, existing: existing.as_ref().map(bookkeeping::read) }
            }
            Err(error) => {
                let outcome = Outcome::from(error);
                settle(way.run.target, (outcome, way.machine.candidates().clone()));
                return None;
            }
        };
        way.step = way.machine.next(way.run.learnt(&key, event));
        Some(way)
    }

    /// The look at the rows of created items, for all of them at once.
    async fn read_again<'b>(
        &self,
        ways: Vec<OnItsWay<'b>>,
        settle: &(impl Fn(&Target, Ended) + Sync),
    ) -> Vec<OnItsWay<'b>> {
        let skip = self.shared.faults.skip_reread_after_create;
        let (mut created, mut on): (Vec<_>, Vec<_>) =
            ways.into_iter().partition(|way| !skip && matches!(way.step, Step::RereadAfterCreate));
        if created.is_empty() {
            return on;
        }
        let moment = self.shared.tags.now();
        let keys: Vec<Vec<Cell>> = created.iter().map(|way| way.run.target.key.clone()).collect();
        let rows = match self.shared.control.view(self.entity, &keys).await {
            Ok(rows) => rows,
            Err(error) => {
                for way in created {
                    let outcome = Outcome::from(error.clone());
                    settle(way.run.target, (outcome, way.machine.candidates().clone()));
                }
                return on;
            }
        };
        let mut rows: HashMap<Vec<Cell>, ViewRow> =
            rows.into_iter().map(|row| (row.row_key(&self.entity.view).to_vec(), row)).collect();
        for way in &mut created {
            // A row under another spelling of its key counts as gone: the next look at it is by itself.
            way.read = way.run.image(rows.remove(&way.run.target.key), moment);
            way.step = way.machine.next(Event::Row(way.read.image.clone()));
        }
        on.append(&mut created);
        on
    }
}

/// The rest of one key's way, by itself.
async fn go_on(way: OnItsWay<'_>, settle: &(impl Fn(&Target, Ended) + Sync)) {
    let OnItsWay { run, mut machine, read, step } = way;
    let outcome = match run.go_on(&mut machine, read, step).await {
        Ok(outcome) | Err(outcome) => outcome,
    };
    settle(run.target, (outcome, machine.candidates().clone()));
}

impl OnItsWay<'_> {
    fn item_key(&self) -> Option<&ItemKey> {
        match &self.read.image {
            RowImage::Present { key, .. } => Some(key),
            RowImage::Gone | RowImage::Unbuildable { .. } => None,
        }
    }

    /// The item is this row's and says what the row says, and nothing else may stand elsewhere.
    fn is_equal(&self, found: &Item) -> bool {
        let Some(item) = &self.read.item else { return false };
        let is_owned = bookkeeping::read(found).owner.as_ref() == Some(&self.run.me);
        let alone = self.machine.candidates().iter().all(|key| Some(key) == self.item_key());
        alone && judge(item, Some(found), is_owned, false) == Verdict::Equal
    }
}

impl<'a> OnItsWay<'a> {
    fn next(self) -> Next<'a> {
        let Step::Put { key, expect: Condition::Absent } = &self.step else {
            return Next::Alone(self);
        };
        let Some(mut item) = self.read.item.clone() else { return Next::Alone(self) };
        if self.run.wait_for_partition(key).is_err() || self.run.may_write(&self.read).is_err() {
            return Next::Alone(self);
        }
        let (key, tag) = (key.clone(), self.run.stamp(&mut item));
        if self.machine.put_may_come_late() {
            // Since it was settled, the row may have lived elsewhere.
            self.run.shared.homes.unsettle(&self.run.me);
        }
        Next::Create(Creation { way: self, key, tag, item })
    }
}
