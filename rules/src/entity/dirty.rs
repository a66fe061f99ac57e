//! What a write may have changed, in terms of source keys.
//! Never here: how that is learnt from a statement (see `plan`), or collected (see `txn`).

use serde::{Deserialize, Serialize};

use crate::value::{Cell, SourceKey, TableName};

/// Something a transaction may have changed. A superset is always right; less is never.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Dirty {
    /// The row with this key, before and after.
    Key(SourceKey),
    /// Rows whose AUTO_INCREMENT column lies in `from..=to` after the commit (`to: None`: no end).
    Range { table: TableName, from: u64, to: Option<u64> },
    /// Rows found by the values of a unique key, before the commit and after it.
    Unique { table: TableName, columns: Vec<usize>, values: Vec<Vec<Cell>> },
    /// The whole table: the keys cannot be known. `reason` is a refusal code.
    Sweep { table: TableName, reason: String },
}

impl Dirty {
    pub fn table(&self) -> &TableName {
        match self {
            Dirty::Key(key) => &key.table,
            Dirty::Range { table, .. }
            | Dirty::Unique { table, .. }
            | Dirty::Sweep { table, .. } => table,
        }
    }

    /// Where a range begins.
    pub fn first_generated(&self) -> Option<u64> {
        match self {
            Dirty::Range { from, .. } => Some(*from),
            _ => None,
        }
    }
}

/// One entry of a transaction's write set.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DirtyEntry {
    pub dirty: Dirty,
    /// The committed image must be read before the commit (old item keys, old links, cascades).
    pub old_image: OldImage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum OldImage {
    NotNeeded,
    Needed,
}
