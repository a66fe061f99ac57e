//! What a transaction has made dirty, and how statements end or begin transactions.
//! Never here: packets, or the journal.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::entity::Ruleset;
use crate::plan::{reached_by_cascades, refusal_codes};
use crate::value::TableName;

pub use crate::entity::{Dirty, DirtyEntry, OldImage};

/// What a transaction has written so far: each entry once, and not more entries per table than the
/// limit; beyond it the table's entries become one sweep.
#[derive(Clone, Debug)]
pub struct TransactionWrites {
    entries: HashMap<Dirty, OldImage>,
    per_table: BTreeMap<TableName, TableWrites>,
    /// Tables that statements have written or tried to, also those of which no entry is kept.
    touched: BTreeSet<TableName>,
    entries_per_table_max: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct TableWrites {
    entries: usize,
    /// A sweep covers the keys that come; what needs an old image is still kept one by one, because
    /// it reaches other tables.
    swept: bool,
    /// The limit was met: only sweeps are kept, also of the tables that foreign keys reach.
    overflowed: bool,
}

impl TransactionWrites {
    pub fn new(entries_per_table_max: usize) -> Self {
        TransactionWrites {
            entries: HashMap::new(),
            per_table: BTreeMap::new(),
            touched: BTreeSet::new(),
            entries_per_table_max,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Entries that are held.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// A statement writes the table.
    pub fn touch(&mut self, table: &TableName) {
        if !self.touched.contains(table) {
            self.touched.insert(table.clone());
        }
    }

    /// Whether rows of the table may have been changed, by foreign-key actions too: another connection does
    /// not see the rows as the next statement will.
    pub fn may_have_changed(&self, ruleset: &Ruleset, table: &TableName) -> bool {
        self.touched.iter().any(|touched| {
            touched == table || reached_by_cascades(ruleset, touched).contains(table)
        })
    }

    /// Adds an entry. The same entry twice is one, which needs the old image if either does.
    pub fn add(&mut self, entry: DirtyEntry) {
        let table = entry.dirty.table().clone();
        self.touch(&table);
        let writes = self.per_table.entry(table.clone()).or_default();
        let sweep = matches!(entry.dirty, Dirty::Sweep { .. });
        if !sweep && (writes.overflowed || (writes.swept && entry.old_image == OldImage::NotNeeded))
        {
            return;
        }
        if let Some(old_image) = self.entries.get_mut(&entry.dirty) {
            *old_image = (*old_image).max(entry.old_image);
            return;
        }
        if !sweep && writes.entries >= self.entries_per_table_max {
            writes.overflowed = true;
            writes.swept = true;
            self.retain(&table, |dirty, _| matches!(dirty, Dirty::Sweep { .. }));
            let reason = refusal_codes::TOO_MANY_KEYS.code.to_owned();
            self.entries.insert(Dirty::Sweep { table, reason }, OldImage::NotNeeded);
            return;
        }
        writes.entries += 1;
        let first_sweep = sweep && !writes.swept;
        writes.swept |= sweep;
        self.entries.insert(entry.dirty, entry.old_image);
        if first_sweep {
            self.retain(&table, |dirty, old_image| {
                old_image == OldImage::Needed || matches!(dirty, Dirty::Sweep { .. })
            });
        }
    }

    pub fn extend(&mut self, entries: impl IntoIterator<Item = DirtyEntry>) {
        entries.into_iter().for_each(|entry| self.add(entry));
    }

    /// Adds all entries of another write set.
    pub fn merge(&mut self, other: TransactionWrites) {
        other.touched.iter().for_each(|table| self.touch(table));
        for (table, writes) in other.per_table.iter().filter(|(_, writes)| writes.overflowed) {
            let mine = self.per_table.entry(table.clone()).or_default();
            mine.overflowed |= writes.overflowed;
            mine.swept = true;
            self.retain(table, |dirty, _| matches!(dirty, Dirty::Sweep { .. }));
        }
        self.extend(
            other.entries.into_iter().map(|(dirty, old_image)| DirtyEntry { dirty, old_image }),
        );
    }

    /// Whether any entry needs the committed image before the commit.
    pub fn needs_old_image(&self) -> bool {
        self.entries.values().any(|old_image| *old_image == OldImage::Needed)
    }

    /// The entries in a stable order, with sweeps of what foreign keys reach from tables whose
    /// entries were too many.
    pub fn entries(&self, ruleset: &Ruleset) -> Vec<DirtyEntry> {
        let mut all = self.entries.clone();
        let overflowed = self.per_table.iter().filter(|(_, writes)| writes.overflowed);
        for table in overflowed.flat_map(|(table, _)| reached_by_cascades(ruleset, table)) {
            let reason = refusal_codes::TOO_MANY_KEYS.code.to_owned();
            all.insert(Dirty::Sweep { table, reason }, OldImage::NotNeeded);
        }
        let mut entries: Vec<DirtyEntry> =
            all.into_iter().map(|(dirty, old_image)| DirtyEntry { dirty, old_image }).collect();
        entries.sort_by(|a, b| a.dirty.cmp(&b.dirty));
        entries
    }

    /// Takes everything out: the transaction is over.
    pub fn take(&mut self, ruleset: &Ruleset) -> Vec<DirtyEntry> {
        let entries = self.entries(ruleset);
        self.clear();
        entries
    }

    /// Forgets everything: the transaction was rolled back.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.per_table.clear();
        self.touched.clear();
    }

    fn retain(&mut self, table: &TableName, keep: impl Fn(&Dirty, OldImage) -> bool) {
        let mut dropped = 0;
        self.entries.retain(|dirty, old_image| {
            let kept = dirty.table() != table || keep(dirty, *old_image);
            dropped += usize::from(!kept);
            kept
        });
        if let Some(writes) = self.per_table.get_mut(table) {
            writes.entries = writes.entries.saturating_sub(dropped);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::test_ruleset::shop;
    use crate::value::{Cell, SourceKey};

    fn key(table: &str, id: i64) -> Dirty {
        Dirty::Key(SourceKey { table: table.into(), key: vec![Cell::Int(id)] })
    }

    fn entry(dirty: Dirty, old_image: OldImage) -> DirtyEntry {
        DirtyEntry { dirty, old_image }
    }

    fn sweep(table: &str) -> Dirty {
        Dirty::Sweep { table: table.into(), reason: "W002-call".into() }
    }

    #[test]
    fn an_entry_is_kept_once_and_needs_what_any_of_them_needs() {
        let mut writes = TransactionWrites::new(10);
        writes.add(entry(key("users", 1), OldImage::Needed));
        writes.add(entry(key("users", 1), OldImage::NotNeeded));
        assert_eq!(writes.len(), 1);
        assert!(writes.needs_old_image());
    }

    #[test]
    fn beyond_the_limit_a_table_is_swept_with_what_its_foreign_keys_reach() {
        let ruleset = shop();
        let mut writes = TransactionWrites::new(3);
        writes.extend((0..100).map(|id| entry(key("users", id), OldImage::Needed)));
        writes.add(entry(key("products", 1), OldImage::NotNeeded));
        let entries = writes.take(&ruleset);
        assert!(writes.is_empty());
        let tables: Vec<&str> = entries.iter().map(|e| &**e.dirty.table()).collect();
        assert_eq!(entries.len(), 4, "{entries:?}");
        for table in ["users", "orders", "items", "products"] {
            assert!(tables.contains(&table), "{table}");
        }
        assert!(entries.contains(&entry(key("products", 1), OldImage::NotNeeded)));
    }

    #[test]
    fn the_limit_holds_whatever_is_added() {
        let mut writes = TransactionWrites::new(3);
        writes.add(entry(sweep("users"), OldImage::NotNeeded));
        writes.extend((0..1_000).map(|id| entry(key("users", id), OldImage::Needed)));
        assert!(writes.len() <= 4);
    }

    #[test]
    fn a_touched_table_may_have_changed_with_all_that_its_foreign_keys_reach() {
        let ruleset = shop();
        let mut writes = TransactionWrites::new(10);
        writes.touch(&"orders".into());
        let changed = |writes: &TransactionWrites, table: &str| {
            writes.may_have_changed(&ruleset, &table.into())
        };
        assert!(changed(&writes, "orders") && changed(&writes, "items"));
        assert!(!changed(&writes, "users"));
        assert!(writes.is_empty(), "nothing is owed for it");
        let mut other = TransactionWrites::new(10);
        other.add(entry(key("users", 1), OldImage::NotNeeded));
        assert!(changed(&other, "orders"));
        writes.merge(other);
        assert!(changed(&writes, "users"));
        writes.clear();
        assert!(!changed(&writes, "orders"));
    }

    #[test]
    fn a_sweep_covers_plain_keys_but_not_old_images() {
        let mut writes = TransactionWrites::new(10);
        writes.add(entry(key("users", 1), OldImage::Needed));
        writes.add(entry(key("users", 2), OldImage::NotNeeded));
        writes.add(entry(sweep("users"), OldImage::NotNeeded));
        writes.add(entry(key("users", 3), OldImage::NotNeeded));
        assert_eq!(writes.len(), 2);
        assert!(writes.needs_old_image());
    }

    #[test]
    fn rollback_discards_recorded_changes() {
        let mut writes = TransactionWrites::new(10);
        writes.add(entry(key("users", 1), OldImage::NotNeeded));
        writes.clear();
        assert!(writes.is_empty());
        assert!(writes.take(&shop()).is_empty());
    }

    #[test]
    fn merged_sets_hold_both() {
        let mut writes = TransactionWrites::new(10);
        writes.add(entry(key("users", 1), OldImage::NotNeeded));
        let mut other = TransactionWrites::new(10);
        other.add(entry(key("users", 1), OldImage::Needed));
        other.add(entry(key("users", 2), OldImage::NotNeeded));
        writes.merge(other);
        assert_eq!(writes.len(), 2);
        assert!(writes.needs_old_image());
    }
}
