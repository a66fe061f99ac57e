//! Whole transactions: which keys are taken together, whether what was read may be written, what became of them.
//! Never here: reading MySQL, writing items (see `run::together`), how groups are found (see
//! `segue_rules::owed::Groups`).
//!
//! What a reader of DynamoDB is promised rests on three rules:
//!
//! 1. The keys of a transaction are taken and written together, with those of every transaction that shares a
//!    key with it: all of them are read as one committed state.
//! 2. What was read is written only if it can show no commit but theirs. Another one that changes a key of
//!    the group was announced before MySQL heard of it. Where its keys are known by then they are in the group,
//!    which is right whether the commit shows or not; where it came in between, the group is read again.
//! 3. Where that cannot be held, it is said: the transaction counts as `split` or `torn`.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;

use segue_config::limits;
use segue_rules::entity::Ruleset;
use segue_rules::owed;

use super::expand::{Unit, Units};
use super::forthcoming::{self, Announced, Foreseen, Number};
use super::ledger::DebtId;
use super::parts::{Shared, State, entity_named};
use super::queue::{Along, Batch, Priority, Target};
use super::record::Debt;
use super::run::Group;
use crate::telemetry::Written;

/// What a read shows besides the commits that it was made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sight {
    /// Nothing that is written with other keys.
    Clear,
    /// Another commit, maybe: it must be read again with that one's keys.
    Overtaken,
    /// The same, and it is written all the same.
    Torn,
}

impl Shared {
    /// Before a commit is forwarded.
    pub(crate) fn announce(self: &Arc<Self>, ruleset: &Ruleset, debt: &Debt) -> Option<Announced> {
        if !self.settings.whole_transactions || debt.is_sweeps() {
            return None;
        }
        let foreseen = forthcoming::foresee(ruleset, debt);
        let mut state = self.state.lock();
        let number = match foreseen {
            Foreseen::Alone => self.forthcoming.number(None),
            Foreseen::Reach(reach) => self.forthcoming.number(Some(reach)),
            Foreseen::Keys(targets) => {
                let number = self.forthcoming.number(None);
                let served = targets.into_iter().filter(|target| (self.served)(&target.table));
                state.groups.announce(number, served);
                number
            }
        };
        Some(Announced::new(self, number))
    }

    /// Keys of a debt, once they are known, belong together.
    pub(crate) fn join(&self, state: &mut State, debt: DebtId, units: &Units) {
        let number = state.announced.get_mut(&debt).map(|announced| {
            announced.queued = true;
            announced.number
        });
        let mut torn = number.is_some_and(|number| self.forthcoming.arrived(number));
        let mut targets = BTreeSet::new();
        for (_, unit) in units {
            match unit {
                Unit::Refresh { target, .. } => drop(targets.insert(target.clone())),
                Unit::Sweep { .. } => torn = true,
            }
        }
        if targets.len() > limits::GROUP_KEYS_MAX {
            self.written(Written::Split);
        } else if targets.len() > 1 {
            let number = number.unwrap_or_else(|| self.forthcoming.number(None));
            state.groups.join(number, targets, torn);
            return;
        }
        number.map(|number| state.groups.leave(number));
    }

    /// Whether these keys' rows, as read, may be written. `own`: the transactions they are written for. `seen`: the
    /// moment in which the read saw MySQL. `insist`: there is no use in another read.
    pub(crate) fn sight<'a>(
        &self,
        targets: impl IntoIterator<Item = &'a Target> + Clone,
        own: &BTreeSet<Number>,
        seen: Number,
        insist: bool,
    ) -> Sight {
        if !self.settings.whole_transactions {
            return Sight::Clear;
        }
        let mut state = self.state.lock();
        let mut others = state.groups.others(targets.clone(), own);
        others.retain(|other| *other <= seen);
        let coming = self.forthcoming.may_show(targets.clone(), seen, false);
        if others.is_empty() && !coming {
            return Sight::Clear;
        }
        let insist = insist || targets.clone().into_iter().any(|target| state.insists(target));
        if !insist {
            return Sight::Overtaken;
        }
        for other in others {
            state.groups.tear(other);
        }
        self.forthcoming.may_show(targets, seen, true);
        Sight::Torn
    }

    /// The transactions' items are written, or are written one by one from now on. `own`: with those under way
    /// that were written along.
    pub(crate) fn left(
        &self,
        transactions: &BTreeSet<Number>,
        own: &BTreeSet<Number>,
        written: Written,
    ) {
        let mut state = self.state.lock();
        if written != Written::Whole {
            own.iter().for_each(|transaction| state.groups.tear(*transaction));
        }
        let hidden = state.commits_are_hidden();
        for transaction in transactions {
            let Some(torn) = state.groups.leave(*transaction) else { continue };
            match written {
                Written::Whole if torn || hidden => self.written(Written::Torn),
                written => self.written(written),
            }
        }
    }

    fn written(&self, written: Written) {
        self.metrics.transaction(written);
        if written == Written::Whole {
            return;
        }
        let now = self.now();
        let mut logged = self.torn_logged.lock();
        if logged.is_some_and(|at| now.saturating_duration_since(at) < limits::TORN_LOGGED_EVERY) {
            return;
        }
        *logged = Some(now);
        tracing::info!(
            split = self.metrics.transactions(Written::Split),
            torn = self.metrics.transactions(Written::Torn),
            "transactions were not written whole; so many since the start"
        );
    }

    /// Parts a batch into keys that may run alone, which stay in it, and groups.
    pub(crate) fn gather(&self, state: &mut State, batch: &mut Batch, now: Instant) -> Vec<Group> {
        if !self.settings.whole_transactions || state.groups.is_empty() {
            return Vec::new();
        }
        let ruleset = self.ruleset();
        let order: Vec<Target> = batch.keys.iter().map(|(target, _)| target.clone()).collect();
        let mut taken: HashMap<Target, _> = std::mem::take(&mut batch.keys).into_iter().collect();
        let mut groups = Vec::new();
        for target in order {
            if !taken.contains_key(&target) {
                continue;
            }
            let around = match state.queue.is_apart(&target) {
                true => None,
                false => state.groups.around(&target, limits::GROUP_KEYS_MAX),
            };
            let Some(around) = around else {
                batch.keys.extend(taken.remove_entry(&target));
                continue;
            };
            let here = |key: &&Target| !state.queue.is_apart(key);
            let members =
                around.keys.iter().filter(here).filter_map(|key| taken.remove_entry(key)).collect();
            let mut group = Group { members, ..Group::default() };
            let busy = !self.take_in(state, &mut group, around, batch.priority, false);
            let members = &group.members;
            let wait = if busy { Some(now + limits::GROUP_WAIT) } else { None };
            let tables = tables_of(&ruleset, members);
            let full = tables.keys().filter_map(|table| self.paces.room(table, now).err()).max();
            if let Some(due) = wait.or(full) {
                // Whichever comes first takes the others along.
                for (member, _) in members {
                    match busy && *member == target {
                        true => state.queue.wait_behind(member, due),
                        false => state.queue.delay(member, BTreeSet::new(), due),
                    }
                }
                continue;
            }
            for (table, count) in tables {
                self.paces.begin(table, now, count);
            }
            groups.push(group);
        }
        groups
    }
}

impl Shared {
    /// Takes in what has come since the group was taken, after MySQL's state was fixed. `false`: some of it is in
    /// other hands. Whether that state shows it cannot be told, so nothing of it is done by this.
    pub(crate) fn extend(&self, group: &mut Group) -> bool {
        let mut state = self.state.lock();
        let keys: Vec<Target> = group.members.iter().map(|(target, _)| target.clone()).collect();
        let mut complete = true;
        for key in keys {
            if group.incomplete {
                break;
            }
            // Mostly nothing has come; to look around each key of many would take long.
            let own = &group.transactions | &group.coming;
            if state.groups.others([&key], &own).is_empty() {
                continue;
            }
            if let Some(around) = state.groups.around(&key, limits::GROUP_KEYS_MAX) {
                let around = owed::Group {
                    coming: &around.coming | &around.transactions,
                    transactions: BTreeSet::new(),
                    ..around
                };
                complete &= self.take_in(&mut state, group, around, Priority::Live, true);
            }
        }
        let insist = group.members.iter().any(|(target, _)| state.insists(target));
        group.incomplete |= !complete && insist;
        complete || insist
    }

    fn take_in(
        &self,
        state: &mut State,
        group: &mut Group,
        around: owed::Group<Number, Target>,
        priority: Priority,
        late: bool,
    ) -> bool {
        let mut complete = true;
        let known: BTreeSet<Target> =
            group.members.iter().map(|(target, _)| target.clone()).collect();
        for key in around.keys.into_iter().filter(|key| !known.contains(key)) {
            let mut along = state.queue.take_along(&key);
            if along == Along::Idle {
                // Of a commit under way.
                state.request(key.clone(), [], None, priority);
                along = state.queue.take_along(&key);
            } else if late {
                group.again.insert(key.clone());
            }
            match along {
                Along::Taken(stale) => group.members.push((key, stale)),
                Along::Busy => complete = false,
                Along::Parked | Along::Alone | Along::Idle => group.incomplete = true,
            }
        }
        group.transactions.extend(around.transactions);
        group.coming.extend(around.coming);
        group.incomplete |= around.cut;
        complete
    }
}

impl State {
    /// There is no use in another read for this key.
    fn insists(&self, target: &Target) -> bool {
        self.queue.is_apart(target)
            || self.queue.times_overtaken(target) >= limits::GROUP_OVERTAKEN_MAX
    }
}

/// How many of the keys are written to each of DynamoDB's tables.
fn tables_of<'a, S>(ruleset: &'a Ruleset, members: &[(Target, S)]) -> HashMap<&'a str, usize> {
    let mut tables = HashMap::new();
    for (target, _) in members {
        if let Some(entity) = entity_named(ruleset, &target.entity) {
            *tables.entry(entity.dynamo_table.as_str()).or_default() += 1;
        }
    }
    tables
}
