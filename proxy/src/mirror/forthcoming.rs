//! Commits under way that are not in the queue yet: from before MySQL hears of them until their keys are queued.
//! A read of MySQL may show them already.
//! Never here: what they change (see `segue_rules::owed::Reach`), what a reader makes of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::Mutex;
use segue_rules::entity::Ruleset;
use segue_rules::owed::Reach;
use segue_rules::value::TableName;

use super::old_image::cascade_closure;
use super::queue::Target;
use super::record::Debt;

/// Numbers grow with time. Locked after the mirror's state, where both are.
#[derive(Default)]
pub(crate) struct Forthcoming(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    next: u64,
    commits: BTreeMap<u64, Commit>,
}

struct Commit {
    reach: Reach,
    /// Some of its items were written with what it changed, before the others.
    torn: bool,
}

/// One of them; gone when dropped.
pub(crate) struct Announced {
    number: u64,
    all: Arc<Mutex<Inner>>,
}

impl Announced {
    pub fn is_torn(&self) -> bool {
        self.all.lock().commits.get(&self.number).is_some_and(|commit| commit.torn)
    }
}

impl Drop for Announced {
    fn drop(&mut self) {
        self.all.lock().commits.remove(&self.number);
    }
}

impl Forthcoming {
    /// Before the commit is forwarded. `None`: nobody needs to know, it changes one item.
    pub fn announce(&self, ruleset: &Ruleset, debt: &Debt) -> Option<Announced> {
        let reach = Reach::of(debt.entries.iter(), elsewhere(ruleset, debt));
        let items = |table| ruleset.sources.get(table).map_or(0, |source| source.drives.len());
        if reach.is_one_row() && debt.entries.iter().all(|dirty| items(dirty.table()) <= 1) {
            return None;
        }
        let mut inner = self.0.lock();
        inner.next += 1;
        let number = inner.next;
        inner.commits.insert(number, Commit { reach, torn: false });
        Some(Announced { number, all: self.0.clone() })
    }

    /// Commits announced after this moment cannot have been seen before it.
    pub fn now(&self) -> u64 {
        self.0.lock().next
    }

    /// Whether a read that ended, or whose snapshot was made, at `seen` may show a commit that changes one of
    /// these rows. `tear`: they are written all the same.
    pub fn may_show<'a>(
        &self,
        targets: impl IntoIterator<Item = &'a Target>,
        seen: u64,
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
