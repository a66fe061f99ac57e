//! The books: which captured entries are owed, how each of them ended, when a debt's record may go.
//! Never here: queues, stores, metrics handles.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};

use serde::Serialize;

use super::backlog::Shape;
use crate::value::TableName;

/// A captured entry of one committed transaction; grows with time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntryId(pub u64);

/// A debt in the books; grows with time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DebtId(pub u64);

/// Entries of one table: `seen = applied + superseded + owed`, always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    pub seen: u64,
    pub applied: u64,
    pub superseded: u64,
    pub owed: u64,
    /// Owed entries that wait for a parked key (a part of `owed`).
    pub parked: u64,
    /// Owed entries that wait in the journal alone (a part of `owed`).
    pub on_disk: u64,
    /// Owed entries for which time or another table does something: parked ones, and those that wait for a
    /// sweep, or for the end of a connection (a part of `owed`).
    #[serde(skip)]
    pub aside: u64,
}

impl Counts {
    /// Entries that are being worked on.
    pub fn active(&self) -> u64 {
        self.owed.saturating_sub(self.aside + self.on_disk)
    }
}

/// How a piece of an entry's work ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// A refresh that was begun for this entry did the work.
    Applied,
    /// A refresh begun for a later entry of the same key did the work.
    Superseded,
    /// There was nothing to do (a hold was let go, the entity is no more).
    Nothing,
}

impl Ending {
    /// How the wait of one of several entries for one refresh ended: a refresh that did the work of the
    /// last did it for all.
    pub fn of(self, index: usize, count: usize) -> Ending {
        if self == Ending::Applied && index + 1 < count { Ending::Superseded } else { self }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Entry<T> {
    debt: DebtId,
    table: TableName,
    /// Refreshes and sweeps still to come, and holds of an expansion under way.
    pending: u32,
    parked: u32,
    /// Sweeps, and ends of connections, that it waits for.
    aside: u32,
    applied: bool,
    superseded: bool,
    since: T,
}

impl<T> Entry<T> {
    fn is_aside(&self) -> bool {
        self.parked > 0 || self.aside > 0
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Open<D, R> {
    journal: Option<R>,
    debt: D,
    entries: Vec<EntryId>,
    left: usize,
}

/// What became of an entry, for the metrics.
#[derive(Debug, PartialEq, Eq)]
pub struct Closed<R, T> {
    pub table: TableName,
    pub superseded: bool,
    pub since: T,
    /// The journal record to remove: this was the last entry of its debt.
    pub record: Option<R>,
}

/// All entries seen by this process. `D`: debts; `R`: journal records; `T`: moments.
#[derive(Clone, Debug)]
pub struct Ledger<D, R, T> {
    entries: BTreeMap<EntryId, Entry<T>>,
    debts: BTreeMap<DebtId, Open<D, R>>,
    counts: BTreeMap<TableName, Counts>,
    next: u64,
}

impl<D, R, T> Default for Ledger<D, R, T> {
    fn default() -> Self {
        let (entries, debts, counts) = Default::default();
        Ledger { entries, debts, counts, next: 0 }
    }
}

/// The counts decide nothing: ledgers that differ only in them go on alike.
impl<D: PartialEq, R: PartialEq, T: PartialEq> PartialEq for Ledger<D, R, T> {
    fn eq(&self, other: &Self) -> bool {
        self.entries == other.entries && self.debts == other.debts && self.next == other.next
    }
}

impl<D: Eq, R: Eq, T: Eq> Eq for Ledger<D, R, T> {}

impl<D: Hash, R: Hash, T: Hash> Hash for Ledger<D, R, T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.entries, &self.debts, self.next).hash(state);
    }
}

impl<D: Clone, R, T: Copy> Ledger<D, R, T> {
    /// Takes up a committed debt with entries of these tables. Every entry starts with one hold, let go
    /// when it is expanded.
    pub fn open<'a>(
        &mut self,
        debt: D,
        tables: impl IntoIterator<Item = &'a TableName>,
        journal: Option<R>,
        now: T,
    ) -> DebtId {
        let id = DebtId(self.number());
        let mut entries = Vec::new();
        for table in tables {
            let entry = EntryId(self.number());
            let table = table.clone();
            let counts = self.counts.entry(table.clone()).or_default();
            counts.seen += 1;
            counts.owed += 1;
            self.entries.insert(
                entry,
                Entry {
                    debt: id,
                    table,
                    pending: 1,
                    parked: 0,
                    aside: 0,
                    applied: false,
                    superseded: false,
                    since: now,
                },
            );
            entries.push(entry);
        }
        let left = entries.len();
        self.debts.insert(id, Open { journal, debt, entries, left });
        id
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// The debt and its entries, in the order they were opened.
    pub fn debt(&self, id: DebtId) -> Option<(D, Vec<EntryId>)> {
        self.debts.get(&id).map(|open| (open.debt.clone(), open.entries.clone()))
    }

    /// Debts not done yet, oldest first.
    pub fn open_debts(&self) -> Vec<DebtId> {
        self.debts.keys().copied().collect()
    }

    /// One more piece of work for an entry. `false`: the entry is done already.
    pub fn add_work(&mut self, entry: EntryId) -> bool {
        match self.entries.get_mut(&entry) {
            Some(entry) => {
                entry.pending += 1;
                true
            }
            None => false,
        }
    }

    /// A piece of work (or a hold) of an entry ended.
    pub fn end_work(&mut self, id: EntryId, ending: Ending) -> Option<Closed<R, T>> {
        let entry = self.entries.get_mut(&id)?;
        match ending {
            Ending::Applied => entry.applied = true,
            Ending::Superseded => entry.superseded = true,
            Ending::Nothing => {}
        }
        entry.pending -= 1;
        if entry.pending > 0 {
            return None;
        }
        let entry = self.entries.remove(&id)?;
        let superseded = entry.superseded && !entry.applied;
        let counts = self.counts.entry(entry.table.clone()).or_default();
        counts.owed -= 1;
        counts.parked -= u64::from(entry.parked > 0);
        counts.aside -= u64::from(entry.is_aside());
        match superseded {
            true => counts.superseded += 1,
            false => counts.applied += 1,
        }
        let record = self.close_in_debt(entry.debt);
        Some(Closed { table: entry.table, superseded, since: entry.since, record })
    }

    fn close_in_debt(&mut self, id: DebtId) -> Option<R> {
        let open = self.debts.get_mut(&id)?;
        open.left -= 1;
        if open.left > 0 {
            return None;
        }
        self.debts.remove(&id).and_then(|open| open.journal)
    }

    /// A key this entry waits for was parked, or is tried again.
    pub fn set_parked(&mut self, id: EntryId, parked: bool) {
        self.change(id, |entry| entry.parked = counted(entry.parked, parked));
    }

    /// This entry waits for a sweep, or for a connection's end; or no longer.
    pub fn set_aside(&mut self, id: EntryId, aside: bool) {
        self.change(id, |entry| entry.aside = counted(entry.aside, aside));
    }

    fn change(&mut self, id: EntryId, change: impl FnOnce(&mut Entry<T>)) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        let before = (entry.parked > 0, entry.is_aside());
        change(entry);
        let after = (entry.parked > 0, entry.is_aside());
        let counts = self.counts.entry(entry.table.clone()).or_default();
        counts.parked = counts.parked + u64::from(after.0) - u64::from(before.0);
        counts.aside = counts.aside + u64::from(after.1) - u64::from(before.1);
    }

    /// The entries of a debt are owed, and wait in the journal alone.
    pub fn shelve(&mut self, shape: &Shape) {
        for (table, count) in shape.counts() {
            let counts = self.counts.entry(table.clone()).or_default();
            counts.seen += count;
            counts.owed += count;
            counts.on_disk += count;
        }
    }

    /// The entries of a debt are opened next, instead of waiting in the journal alone.
    pub fn unshelve(&mut self, shape: &Shape) {
        for (table, count) in shape.counts() {
            let counts = self.counts.entry(table.clone()).or_default();
            counts.seen -= count;
            counts.owed -= count;
            counts.on_disk -= count;
        }
    }

    /// Another debt does what a debt in the journal was to do.
    pub fn supersede_shelved(&mut self, shape: &Shape) {
        for (table, count) in shape.counts() {
            let counts = self.counts.entry(table.clone()).or_default();
            counts.superseded += count;
            counts.owed -= count;
            counts.on_disk -= count;
        }
    }

    /// A debt stands in another record now. Returns the record that may go: this one where the debt is done.
    pub fn replace_record(&mut self, id: DebtId, record: R) -> Option<R> {
        match self.debts.get_mut(&id) {
            Some(open) => open.journal.replace(record),
            None => Some(record),
        }
    }

    /// Debts in the books that the journal does not hold.
    pub fn unjournaled(&self) -> usize {
        self.debts.values().filter(|open| open.journal.is_none()).count()
    }

    pub fn counts(&self) -> &BTreeMap<TableName, Counts> {
        &self.counts
    }

    #[cfg(test)]
    fn count(&self, table: &str) -> Counts {
        self.counts.get(table).copied().unwrap_or_default()
    }

    /// Owed entries in memory.
    pub fn owed(&self) -> usize {
        self.entries.len()
    }

    /// When the oldest owed entry in memory was committed.
    pub fn oldest(&self) -> Option<T> {
        self.entries.values().next().map(|entry| entry.since)
    }
}

fn counted(count: u32, one_more: bool) -> u32 {
    if one_more { count + 1 } else { count.saturating_sub(1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Books = Ledger<(), u64, ()>;

    fn open(ledger: &mut Books, tables: &[&str]) -> (DebtId, Vec<EntryId>) {
        let tables: Vec<TableName> = tables.iter().map(|name| (*name).into()).collect();
        let id = ledger.open((), &tables, Some(9), ());
        (id, ledger.debt(id).unwrap().1)
    }

    fn balanced(ledger: &Books) {
        for counts in ledger.counts().values() {
            assert_eq!(counts.seen, counts.applied + counts.superseded + counts.owed);
            assert!(counts.parked <= counts.aside && counts.aside + counts.on_disk <= counts.owed);
        }
        let owed: u64 = ledger.counts().values().map(|counts| counts.owed - counts.on_disk).sum();
        assert_eq!(owed as usize, ledger.owed());
    }

    #[test]
    fn a_record_leaves_the_journal_with_its_last_entry() {
        let mut ledger = Books::default();
        let (_, entries) = open(&mut ledger, &["a", "b"]);
        assert_eq!(ledger.end_work(entries[0], Ending::Nothing).unwrap().record, None);
        balanced(&ledger);
        let closed = ledger.end_work(entries[1], Ending::Nothing).unwrap();
        assert_eq!(closed.record, Some(9));
        assert!(ledger.open_debts().is_empty());
        balanced(&ledger);
    }

    #[test]
    fn an_entry_is_superseded_only_if_all_its_work_was() {
        let mut ledger = Books::default();
        let (_, entries) = open(&mut ledger, &["a", "a"]);
        for (entry, endings) in
            entries.iter().zip([[Ending::Superseded; 2], [Ending::Superseded, Ending::Applied]])
        {
            assert!(ledger.add_work(*entry) && ledger.add_work(*entry));
            assert_eq!(ledger.end_work(*entry, Ending::Nothing), None);
            assert_eq!(ledger.end_work(*entry, endings[0]), None);
            balanced(&ledger);
            assert!(ledger.end_work(*entry, endings[1]).is_some());
        }
        let counts = ledger.count("a");
        assert_eq!((counts.applied, counts.superseded, counts.owed), (1, 1, 0));
    }

    #[test]
    fn parked_entries_stay_owed_and_are_counted_once() {
        let mut ledger = Books::default();
        let (_, entries) = open(&mut ledger, &["a"]);
        ledger.set_parked(entries[0], true);
        ledger.set_parked(entries[0], true);
        assert_eq!((ledger.count("a").owed, ledger.count("a").parked), (1, 1));
        ledger.set_parked(entries[0], false);
        assert_eq!(ledger.count("a").parked, 1);
        ledger.end_work(entries[0], Ending::Nothing);
        assert_eq!(ledger.count("a").parked, 0);
        balanced(&ledger);
    }

    #[test]
    fn entries_set_aside_are_not_active_until_every_reason_is_gone() {
        let mut ledger = Books::default();
        let (_, entries) = open(&mut ledger, &["a", "a"]);
        assert_eq!(ledger.count("a").active(), 2);
        ledger.set_aside(entries[0], true);
        ledger.set_parked(entries[0], true);
        balanced(&ledger);
        ledger.set_aside(entries[0], false);
        assert_eq!((ledger.count("a").active(), ledger.count("a").parked), (1, 1));
        ledger.end_work(entries[0], Ending::Applied);
        assert_eq!((ledger.count("a").active(), ledger.count("a").aside), (1, 0));
        balanced(&ledger);
    }

    #[test]
    fn the_books_balance_while_debts_wait_in_the_journal() {
        let mut ledger = Books::default();
        let tables: Vec<TableName> = vec!["a".into(), "a".into(), "b".into()];
        let shape = Shape::of(&tables);
        ledger.shelve(&shape);
        ledger.shelve(&shape);
        balanced(&ledger);
        assert_eq!((ledger.count("a").owed, ledger.count("a").active()), (4, 0));
        ledger.supersede_shelved(&shape);
        balanced(&ledger);
        ledger.unshelve(&shape);
        let id = ledger.open((), &tables, Some(1), ());
        balanced(&ledger);
        let counts = ledger.count("a");
        assert_eq!((counts.seen, counts.superseded, counts.active()), (4, 2, 2));
        assert_eq!(ledger.replace_record(id, 2), Some(1));
        assert_eq!(ledger.replace_record(DebtId(99), 3), Some(3));
    }

    #[test]
    fn work_for_a_done_entry_is_refused() {
        let mut ledger = Books::default();
        let (_, entries) = open(&mut ledger, &["a"]);
        ledger.end_work(entries[0], Ending::Nothing);
        assert!(!ledger.add_work(entries[0]));
        assert_eq!(ledger.end_work(entries[0], Ending::Applied), None);
        balanced(&ledger);
    }
}
