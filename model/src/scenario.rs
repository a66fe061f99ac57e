//! What one exploration covers: who takes part, what transactions may do, how much may go wrong.
//! Never here: the scenarios that are explored (see `scenarios`), or what happens in them.

use segue_rules::refresh::Owner;
use segue_rules::value::{Attribute, ItemKey, TableName};

use crate::broken::Broken;

/// How item keys follow from rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// From the row's own key.
    Own,
    /// From a column of the row.
    Column,
    /// From a column of the row and one of its parent.
    Joined,
}

/// What a transaction does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Change {
    /// Writes the row. `at`: the column that decides the item key. `value`: what it shows, something new
    /// every time where it is `None`.
    Put {
        at: u8,
        value: Option<u8>,
    },
    Delete,
    /// Writes the parent's column.
    Parent {
        at: u8,
    },
}

/// A change of one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Touch {
    pub row: u8,
    pub change: Change,
    /// Capture cannot tell which rows the statement changes: a sweep is owed.
    pub swept: bool,
}

#[derive(Clone, Debug)]
pub struct Scenario {
    pub name: &'static str,
    pub layout: Layout,
    pub sidecars: u8,
    /// Rows that are there at the start, by the column that decides their item key; their items are right.
    pub rows: Vec<Option<u8>>,
    pub touches: Vec<Touch>,
    /// Bounds.
    pub transactions: usize,
    /// Requests to DynamoDB that are given up; they may still arrive.
    pub given_up: u8,
    /// Requests to DynamoDB that are carried out twice.
    pub repeated: u8,
    pub crashes: u8,
    /// Commits whose answer is never heard.
    pub unheard: u8,
    pub rollbacks: u8,
    /// Tags are remembered between refreshes.
    pub cached: bool,
    pub broken: Broken,
}

impl Scenario {
    pub fn broken(mut self, broken: Broken) -> Scenario {
        self.broken = broken;
        self
    }

    /// Item keys there are.
    pub(crate) fn keys(&self) -> u8 {
        match self.layout {
            Layout::Own => self.rows.len() as u8,
            Layout::Column => 2,
            Layout::Joined => 4,
        }
    }

    pub(crate) fn home(&self, row: u8, at: u8, parent: u8) -> u8 {
        match self.layout {
            Layout::Own => row,
            Layout::Column => at,
            Layout::Joined => at + 2 * parent,
        }
    }

    /// The row's item key, where it follows from the row's key alone.
    pub(crate) fn own_key(&self, row: u8) -> Option<ItemKey> {
        (self.layout == Layout::Own).then(|| item_key(row))
    }

    pub(crate) fn is(&self, broken: Broken) -> bool {
        self.broken == broken
    }
}

pub(crate) fn item_key(key: u8) -> ItemKey {
    ItemKey { table: "T".into(), pk: Attribute::N(key.to_string()), sk: None }
}

pub(crate) fn number_of(key: &ItemKey) -> u8 {
    number(&key.pk)
}

pub(crate) fn owner(row: u8) -> Owner {
    Owner { entity: "E".into(), key: vec![Attribute::N(row.to_string())] }
}

pub(crate) fn row_of(owner: &Owner) -> u8 {
    owner.key.first().map_or(u8::MAX, number)
}

fn number(attribute: &Attribute) -> u8 {
    match attribute {
        Attribute::N(digits) => digits.parse().unwrap_or(u8::MAX),
        _ => u8::MAX,
    }
}

pub(crate) fn table() -> TableName {
    "rows".into()
}
