//! The write set of one open transaction: deduplicated and bounded.
//! Never here: when it is owed.

use std::collections::{BTreeMap, HashSet};

use segue_config::limits;
use segue_rules::txn::{Dirty, DirtyEntry, OldImage};
use segue_rules::value::TableName;

/// Refusal code of a table with too many dirty keys in one transaction.
pub const TOO_MANY_KEYS: &str = "too-many-keys";

/// What the open transaction made dirty.
#[derive(Debug, Default)]
pub struct TransactionWrites {
    tables: BTreeMap<TableName, TableWrites>,
}

#[derive(Debug)]
enum TableWrites {
    Entries(HashSet<DirtyEntry>),
    Swept(String),
}

impl TransactionWrites {
    pub fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }

    pub fn add(&mut self, entries: impl IntoIterator<Item = DirtyEntry>) {
        for entry in entries {
            let table = self
                .tables
                .entry(entry.dirty.table().clone())
                .or_insert_with(|| TableWrites::Entries(HashSet::new()));
            let TableWrites::Entries(known) = table else { continue };
            if let Dirty::Sweep { reason, .. } = &entry.dirty {
                *table = TableWrites::Swept(reason.clone());
            } else {
                known.insert(entry);
                if known.len() > limits::DIRTY_KEYS_PER_TRANSACTION_MAX {
                    *table = TableWrites::Swept(TOO_MANY_KEYS.to_owned());
                }
            }
        }
    }

    /// Everything so far; the transaction goes on.
    pub fn entries(&self) -> Vec<DirtyEntry> {
        let mut all = Vec::new();
        for (table, writes) in &self.tables {
            match writes {
                TableWrites::Entries(entries) => all.extend(entries.iter().cloned()),
                TableWrites::Swept(reason) => all.push(sweep(table, reason)),
            }
        }
        all
    }

    pub fn clear(&mut self) {
        self.tables.clear();
    }
}

/// A sweep of a whole table.
pub fn sweep(table: &TableName, reason: &str) -> DirtyEntry {
    DirtyEntry {
        dirty: Dirty::Sweep { table: table.clone(), reason: reason.to_owned() },
        old_image: OldImage::NotNeeded,
    }
}

#[cfg(test)]
mod tests {
    use segue_rules::value::{Cell, SourceKey};

    use super::*;

    fn key(id: i64) -> DirtyEntry {
        let key = SourceKey { table: "orders".into(), key: vec![Cell::Int(id)] };
        DirtyEntry { dirty: Dirty::Key(key), old_image: OldImage::NotNeeded }
    }

    #[test]
    fn equal_keys_are_kept_once() {
        let mut writes = TransactionWrites::default();
        writes.add([key(1), key(1), key(2)]);
        assert_eq!(writes.entries().len(), 2);
        writes.clear();
        assert!(writes.is_empty());
    }

    #[test]
    fn too_many_keys_become_a_sweep() {
        let mut writes = TransactionWrites::default();
        writes.add((0..=limits::DIRTY_KEYS_PER_TRANSACTION_MAX as i64).map(key));
        writes.add([key(-1)]);
        assert_eq!(writes.entries(), [sweep(&"orders".into(), TOO_MANY_KEYS)]);
    }
}
