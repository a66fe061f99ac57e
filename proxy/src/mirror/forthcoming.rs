//! Commits under way that are not in the queue yet: from before MySQL hears of them until their keys are queued.
//! A read of MySQL may show them already.
//! Never here: what they change (see `segue_rules::owed::Reach`), what a reader makes of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use segue_config::limits;
use segue_rules::entity::Ruleset;
use segue_rules::owed::Reach;
use segue_rules::txn::Dirty;
use segue_rules::value::TableName;

use super::expand;
use super::old_image::cascade_closure;
use super::parts::Shared;
use super::queue::Target;
use super::record::Debt;

/// A transaction, from before its commit until its items are written; grows with time.
pub(crate) type Number = u64;

/// Locked after the mirror's state, where both are.
#[derive(Default)]
pub(crate) struct Forthcoming(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    last: Number,
    commits: BTreeMap<Number, Commit>,
}

/// One whose keys cannot be told before they are looked up.
struct Commit {
    reach: Reach,
    /// Some of its items were written with what it changed, before the others.
    torn: bool,
}

/// What of a commit to come is known before MySQL hears of it.
pub(crate) enum Foreseen {
    /// One key at most.
    Alone,
    /// Exactly these keys.
    Keys(BTreeSet<Target>),
    Reach(Reach),
}

/// A commit under way. Dropped before its keys were queued, it is withdrawn; never drop it so while the mirror's
/// state is locked.
pub(crate) struct Announced {
    pub number: Number,
    mirror: Weak<Shared>,
    /// Its keys are in the queue.
    pub queued: bool,
}

impl Announced {
    pub fn new(mirror: &Arc<Shared>, number: Number) -> Announced {
        Announced { number, mirror: Arc::downgrade(mirror), queued: false }
    }
}

impl Drop for Announced {
    fn drop(&mut self) {
        let Some(mirror) = self.mirror.upgrade() else { return };
        mirror.forthcoming.arrived(self.number);
        if !self.queued {
            mirror.state.lock().groups.leave(self.number);
        }
    }
}

impl Forthcoming {
    /// The number of one more transaction.
    pub fn number(&self, reach: Option<Reach>) -> Number {
        let mut inner = self.0.lock();
        inner.last += 1;
        let number = inner.last;
        inner.commits.extend(reach.map(|reach| (number, Commit { reach, torn: false })));
        number
    }

    /// What is announced later cannot have been seen before.
    pub fn now(&self) -> Number {
        self.0.lock().last
    }

    /// Its keys are known now, or it is none. Whether it was torn.
    pub fn arrived(&self, number: Number) -> bool {
        self.0.lock().commits.remove(&number).is_some_and(|commit| commit.torn)
    }

    /// Whether a read that saw MySQL at `seen` may show a commit that changes one of these rows. `tear`: they are
    /// written all the same.
    pub fn may_show<'a>(
        &self,
        targets: impl IntoIterator<Item = &'a Target>,
        seen: Number,
        tear: bool,
    ) -> bool {
        let mut inner = self.0.lock();
        if inner.commits.is_empty() {
            return false;
        }
        let targets: Vec<&Target> = targets.into_iter().collect();
        let mut shows = false;
        for commit in inner.commits.range_mut(..=seen).map(|(_, commit)| commit) {
            let touched = targets.iter().any(|target| commit.reach.has(&target.table, &target.key));
            shows |= touched;
            commit.torn |= touched && tear;
        }
        shows
    }
}

/// What a debt will change, as far as it says so itself.
pub(crate) fn foresee(ruleset: &Ruleset, debt: &Debt) -> Foreseen {
    let elsewhere = elsewhere(ruleset, debt);
    let mut keys = BTreeSet::new();
    let mut exact = elsewhere.is_empty() && debt.entries.len() <= limits::TRANSACTION_ITEMS_MAX;
    for dirty in &debt.entries {
        let Dirty::Key(key) = dirty else {
            exact = false;
            break;
        };
        let drives = ruleset.sources.get(&key.table).into_iter().flat_map(|source| &source.drives);
        keys.extend(drives.map(|id| expand::target(ruleset.entity(*id), key.key.clone())));
    }
    match exact {
        true if keys.len() <= 1 => Foreseen::Alone,
        true => Foreseen::Keys(keys),
        false => {
            let generated = |table: &TableName| is_generated(ruleset, table);
            Foreseen::Reach(Reach::of(debt.entries.iter(), elsewhere, generated))
        }
    }
}

fn is_generated(ruleset: &Ruleset, table: &TableName) -> bool {
    let Some(table) = ruleset.catalog.tables.get(table) else { return false };
    match table.row_key() {
        Some([column]) => table.columns.get(*column).is_some_and(|column| column.auto_increment),
        _ => false,
    }
}

/// Driving tables of items that may change beyond the rows that the entries name: rows changed by foreign
/// keys, and rows whose items show rows of other tables.
fn elsewhere(ruleset: &Ruleset, debt: &Debt) -> BTreeSet<TableName> {
    let named: BTreeSet<&TableName> = debt.entries.iter().map(|dirty| dirty.table()).collect();
    let mut tables = BTreeSet::new();
    for table in named.into_iter().flat_map(|table| cascade_closure(ruleset, table)) {
        let Some(source) = ruleset.sources.get(&table) else { continue };
        tables.extend(source.cascades.iter().map(|cascade| cascade.child.clone()));
        let joins = source.joins.iter();
        tables.extend(joins.map(|join| ruleset.entity(join.entity).source.clone()));
    }
    tables
}
