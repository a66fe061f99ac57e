//! The refreshes of keys whose items are written in one transaction: one read, one TransactWriteItems.
//! Never here: which keys belong together (see `mirror::whole`), the steps of a refresh.

mod request;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::{FutureExt, StreamExt};
use segue_config::limits;
use segue_rules::entity::{DynamoTable, Entity, Ruleset};
use segue_rules::refresh::{Event, Moment, Refresh, RowImage, Step, Write};
use segue_rules::value::{Cell, ItemKey, item_size};

use self::request::{Part, Sent};
use super::prepare::{frozen, machine};
use super::{Ended, Outcome, Read, Run};
use crate::mirror::expand;
use crate::mirror::forthcoming::Number;
use crate::mirror::parts::{Shared, entity_named};
use crate::mirror::queue::{Priority, Target};
use crate::mirror::whole::Sight;
use crate::mysql::control::Snapshot;
use crate::telemetry::Written;

/// Keys that are taken together.
#[derive(Debug, Default)]
pub(crate) struct Group {
    /// With the item keys that each may stand under.
    pub members: Vec<(Target, BTreeSet<ItemKey>)>,
    pub transactions: BTreeSet<Number>,
    /// Under way, and written along as far as they show.
    pub coming: BTreeSet<Number>,
    /// Keys that were asked for after MySQL's state was fixed, maybe: it may be too old for them.
    pub again: BTreeSet<Target>,
    /// Not all that belongs to it is here.
    pub incomplete: bool,
}

/// One key of a group under way.
struct Member<'a> {
    run: Run<'a>,
    machine: Refresh,
    /// Of the last read.
    read: Option<Read>,
    /// What that led to.
    step: Step,
    ended: Option<Outcome>,
}

/// What is the same for all keys of a group.
struct Together<'a> {
    shared: &'a Arc<Shared>,
    transactions: &'a BTreeSet<Number>,
    /// With those under way.
    own: BTreeSet<Number>,
    incomplete: bool,
}

/// A committed state of MySQL.
struct View {
    snapshot: Snapshot,
    /// What was known of items before.
    moment: Moment,
    /// Commits announced later do not show.
    seen: Number,
}

impl View {
    async fn open(shared: &Shared, moment: Moment) -> Result<View, Outcome> {
        let snapshot = shared.control.snapshot().await?;
        Ok(View { snapshot, moment, seen: shared.forthcoming.now() })
    }
}

/// Hears of each key when its group ends.
type Settle<'a> = dyn Fn(&Target, Ended) + Send + Sync + 'a;

/// Refreshes groups; `settle` hears of each key when its group ends.
pub(crate) async fn run_groups(shared: &Arc<Shared>, groups: Vec<Group>, settle: &Settle<'_>) {
    let runs: Vec<_> =
        groups.into_iter().map(|group| run_group(shared, group, settle).boxed()).collect();
    futures_util::stream::iter(runs)
        .buffer_unordered(shared.settings.writes_concurrent)
        .collect::<Vec<()>>()
        .await;
}

async fn run_group(shared: &Arc<Shared>, mut group: Group, settle: &Settle<'_>) {
    let ruleset = shared.ruleset();
    // Everything that conditions will rest on is known before MySQL's state is fixed.
    let moment = shared.tags.now();
    let view = match View::open(shared, moment).await {
        Ok(view) if shared.extend(&mut group) => Ok(view),
        Ok(_) => Err(Outcome::Overtaken),
        Err(outcome) => Err(outcome),
    };
    let Group { members, transactions, coming, again, mut incomplete } = group;
    let mut placed = Vec::new();
    for (target, stale) in members {
        match place(&ruleset, &target) {
            Ok(place) => placed.push((target, stale, place)),
            Err(outcome) => {
                incomplete |= !matches!(outcome, Outcome::Unmapped);
                settle(&target, (outcome, BTreeSet::new()));
            }
        }
    }
    let mut members: Vec<Member> = placed
        .iter()
        .map(|(target, stale, (entity, table))| {
            let machine = machine(shared, entity, target, stale.clone(), moment);
            let (me, ruleset) = (machine.me().clone(), &*ruleset);
            let joins_decide = expand::joins_decide_key(ruleset, entity);
            let run = Run { shared, ruleset, entity, table, target, me, joins_decide };
            let step = machine.start();
            Member { run, machine, read: None, step, ended: None }
        })
        .collect();
    let own = &transactions | &coming;
    let together = Together { shared, transactions: &transactions, own, incomplete };
    let broken = match view {
        Ok(view) => together.go(&mut members, view).await.err(),
        Err(outcome) => Some(outcome),
    };
    if let Some(Outcome::Apart) = broken {
        shared.left(&transactions, &together.own, Written::Torn);
    }
    for member in &mut members {
        // A group that is done has an outcome for each.
        let mut ended =
            member.ended.take().or_else(|| broken.clone()).unwrap_or(Outcome::Overtaken);
        let done = matches!(ended, Outcome::Done | Outcome::Respelled(_));
        if done && again.contains(member.run.target) {
            ended = Outcome::Paused(shared.now());
        }
        settle(member.run.target, (ended, member.machine.candidates().clone()));
    }
}

fn place<'a>(
    ruleset: &'a Ruleset,
    target: &Target,
) -> Result<(&'a Entity, &'a DynamoTable), Outcome> {
    let entity = entity_named(ruleset, &target.entity).ok_or(Outcome::Unmapped)?;
    let mut tables = ruleset.tables.iter();
    let table = tables.find(|table| table.name == entity.dynamo_table).ok_or(Outcome::Unmapped)?;
    match frozen(ruleset, entity) {
        _ if target.table != entity.source => Err(Outcome::Unmapped),
        Some(outcome) => Err(outcome()),
        None => Ok((entity, table)),
    }
}

impl Together<'_> {
    /// Leaves an outcome with each member that is done; an error is the outcome of the others.
    async fn go(&self, members: &mut [Member<'_>], view: View) -> Result<(), Outcome> {
        let sight = self.read(members, view).await?;
        let sizes = parts(members).ok_or(Outcome::Apart)?;
        if let [_] = sizes[..] {
            return self.write(members, None, sight).await;
        }
        self.shared.left(self.transactions, &self.own, Written::Split);
        let id = uuid::Uuid::new_v4().to_string();
        let (mut rest, parts) = (members, sizes.len());
        for (index, size) in sizes.into_iter().enumerate() {
            let (now, later) = rest.split_at_mut(size);
            let part = Part { id: &id, number: index + 1, parts };
            self.write(now, Some(part), Sight::Torn).await?;
            rest = later;
        }
        Ok(())
    }

    /// Reads all rows as one committed state, and tells the machines.
    async fn read(&self, members: &mut [Member<'_>], view: View) -> Result<Sight, Outcome> {
        let View { mut snapshot, moment, seen } = view;
        let mut places: BTreeMap<&str, (&Entity, Vec<Vec<Cell>>)> = BTreeMap::new();
        for member in members.iter() {
            let entity = member.run.entity;
            let place = places.entry(&entity.name).or_insert((entity, Vec::new()));
            place.1.push(member.run.target.key.clone());
        }
        let mut rows = BTreeMap::new();
        for (entity, keys) in places.into_values() {
            for row in snapshot.view(entity, &keys).await? {
                let key = row.row_key(&entity.view).to_vec();
                rows.insert((entity.name.clone(), key), row);
            }
        }
        snapshot.end().await?;
        for member in members.iter_mut() {
            let place = (member.run.entity.name.clone(), member.run.target.key.clone());
            let found = rows.remove(&place);
            member.read = Some(member.run.image(found, moment));
        }
        if !rows.is_empty() {
            self.find_respelled(members).await?;
        }
        for member in members.iter_mut() {
            let image = member.read.as_ref().map_or(RowImage::Gone, |read| read.image.clone());
            member.step = member.machine.next(Event::Row(image));
        }
        let targets: Vec<&Target> = members.iter().map(|member| member.run.target).collect();
        let sight = self.shared.sight(targets.iter().copied(), &self.own, seen, self.incomplete);
        match sight {
            Sight::Overtaken => Err(Outcome::Overtaken),
            Sight::Clear if self.incomplete => Ok(Sight::Torn),
            sight => Ok(sight),
        }
    }

    /// MySQL spells someone's key otherwise. The row under its right key belongs to the group as well.
    async fn find_respelled(&self, members: &mut [Member<'_>]) -> Result<(), Outcome> {
        let asked: BTreeSet<Target> =
            members.iter().map(|member| member.run.target.clone()).collect();
        let mut missing = Vec::new();
        for member in members.iter_mut() {
            if member.read.as_ref().is_some_and(|read| read.image != RowImage::Gone) {
                continue;
            }
            let read = member.run.read().await?;
            match &read.respelled {
                Some(key) => {
                    let right = Target { key: key.clone(), ..member.run.target.clone() };
                    missing.extend((!asked.contains(&right)).then_some(right));
                    member.read = Some(read);
                }
                None if read.image == RowImage::Gone => {}
                // It came up meanwhile.
                None => return Err(Outcome::Overtaken),
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        let mut state = self.shared.state.lock();
        for right in missing {
            for &transaction in &self.own {
                state.groups.add(transaction, right.clone());
            }
            state.request(right, [], None, Priority::Live);
        }
        Err(Outcome::Overtaken)
    }

    /// Writes the items of these members at once, reading again as often as conditions fail.
    async fn write(
        &self,
        members: &mut [Member<'_>],
        part: Option<Part<'_>>,
        mut sight: Sight,
    ) -> Result<(), Outcome> {
        let mut conflicts = 0;
        loop {
            let Sent::Refused = self.send(members, part).await? else { break };
            conflicts += 1;
            if conflicts > limits::REFRESH_CONFLICTS_MAX {
                return Err(Outcome::Retry("others keep writing these items".to_owned()));
            }
            let view = View::open(self.shared, self.shared.tags.now()).await?;
            sight = match (self.read(members, view).await?, sight) {
                (Sight::Clear, Sight::Torn) => Sight::Torn,
                (sight, _) => sight,
            };
        }
        if part.is_none() {
            let written = if sight == Sight::Clear { Written::Whole } else { Written::Torn };
            self.shared.left(self.transactions, &self.own, written);
        }
        self.look_again(members).await;
        for member in members.iter_mut() {
            self.end(member).await;
        }
        Ok(())
    }

    /// After items were created: a row that has gone or moved since is refreshed again.
    async fn look_again(&self, members: &mut [Member<'_>]) {
        let created = |member: &Member<'_>| member.step == Step::RereadAfterCreate;
        if self.shared.faults.skip_reread_after_create {
            let created = members.iter_mut().filter(|member| created(member));
            return created.for_each(|member| member.ended = Some(Outcome::Done));
        }
        let looks: Vec<_> =
            members.iter_mut().filter(|member| created(member)).map(Member::look_again).collect();
        futures_util::stream::iter(looks)
            .buffer_unordered(self.shared.settings.writes_concurrent)
            .collect::<Vec<()>>()
            .await;
    }

    async fn end(&self, member: &mut Member<'_>) {
        if member.ended.is_some() {
            return;
        }
        let ended = match (&member.step, &member.read) {
            (Step::Done, Some(read)) => match member.run.settle_home(read).await {
                Ok(()) => read.respelled.clone().map_or(Outcome::Done, Outcome::Respelled),
                Err(outcome) => outcome,
            },
            // It takes another look, alone.
            _ => Outcome::Apart,
        };
        member.ended = Some(ended);
    }
}

impl Member<'_> {
    async fn look_again(&mut self) {
        let home = self.read.as_ref().and_then(home).cloned();
        match self.run.read().await {
            Ok(read) if home.is_some() && home.as_ref() == self::home(&read) => {
                self.step = self.machine.next(Event::Row(read.image.clone()));
                self.pass(&BTreeMap::new());
                self.read = Some(read);
            }
            Ok(_) => self.ended = Some(Outcome::Overtaken),
            Err(outcome) => self.ended = Some(outcome),
        }
    }

    fn writes(&self) -> Option<Vec<Write>> {
        self.machine.writes(&self.step)
    }

    fn bytes(&self) -> usize {
        let item = self.read.as_ref().and_then(|read| read.item.as_ref());
        item.map_or(0, item_size) + BOOKKEEPING_BYTES
    }
}

/// What the bookkeeping adds to an item, or a little more, unless its key is long.
const BOOKKEEPING_BYTES: usize = 1_000;

/// The item key that was read, if there is one.
fn home(read: &Read) -> Option<&ItemKey> {
    match &read.image {
        RowImage::Present { key, .. } => Some(key),
        _ => None,
    }
}

/// How many members go into each request. `None`: it takes more than writes.
fn parts(members: &[Member<'_>]) -> Option<Vec<usize>> {
    let (mut parts, mut members_in, mut writes_in, mut bytes_in) = (Vec::new(), 0, 0, 0);
    for member in members {
        let (writes, bytes) = (member.writes()?.len(), member.bytes());
        if writes > limits::TRANSACTION_ITEMS_MAX {
            return None;
        }
        let full = writes_in + writes > limits::TRANSACTION_ITEMS_MAX
            || bytes_in + bytes > limits::TRANSACTION_BYTES_MAX;
        if full && members_in > 0 {
            parts.push(members_in);
            (members_in, writes_in, bytes_in) = (0, 0, 0);
        }
        (members_in, writes_in, bytes_in) = (members_in + 1, writes_in + writes, bytes_in + bytes);
    }
    parts.push(members_in);
    Some(parts)
}
