//! Which driving rows a commit under way may change, as far as its entries tell.
//! Never here: looking keys up; a reach may be too wide, never too narrow.

use std::collections::BTreeMap;

use crate::entity::Dirty;
use crate::value::{Cell, TableName};

/// Entries that are compared one by one; more of them reach the whole table.
const ENTRIES_COMPARED_MAX: usize = 64;

/// What a commit may change.
#[derive(Clone, Debug, Default)]
pub struct Reach {
    tables: BTreeMap<TableName, Rows>,
}

#[derive(Clone, Debug)]
enum Rows {
    All,
    Keys(Vec<Vec<Cell>>),
}

impl Reach {
    /// `elsewhere`: tables whose rows the entries may change, or whose items show what they change, beyond the
    /// rows they name.
    pub fn of<'a>(
        entries: impl ExactSizeIterator<Item = &'a Dirty>,
        elsewhere: impl IntoIterator<Item = TableName>,
    ) -> Reach {
        let mut reach = Reach::default();
        let few = entries.len() <= ENTRIES_COMPARED_MAX;
        for dirty in entries {
            let rows = reach.tables.entry(dirty.table().clone()).or_insert(Rows::Keys(Vec::new()));
            match (dirty, &mut *rows) {
                (Dirty::Key(key), Rows::Keys(keys)) if few => keys.push(key.key.clone()),
                _ => *rows = Rows::All,
            }
        }
        reach.tables.extend(elsewhere.into_iter().map(|table| (table, Rows::All)));
        reach
    }

    /// One row of one table.
    pub fn is_one_row(&self) -> bool {
        let rows = |rows: &Rows| match rows {
            Rows::All => usize::MAX,
            Rows::Keys(keys) => keys.len(),
        };
        self.tables.values().map(rows).fold(0, usize::saturating_add) <= 1
    }

    /// Whether the row may be among them.
    pub fn has(&self, table: &TableName, key: &[Cell]) -> bool {
        match self.tables.get(table) {
            None => false,
            Some(Rows::All) => true,
            Some(Rows::Keys(keys)) => keys.iter().any(|other| may_be_one(other, key)),
        }
    }
}

fn may_be_one(left: &[Cell], right: &[Cell]) -> bool {
    left.len() != right.len()
        || left.iter().zip(right).all(|pair| match pair {
            (Cell::Int(left), Cell::Int(right)) => left == right,
            (Cell::UInt(left), Cell::UInt(right)) => left == right,
            (Cell::Text(left), Cell::Text(right)) => may_be_one_text(left, right),
            // Spelled in ways that only MySQL can tell apart.
            _ => true,
        })
}

/// Collations take many texts for one. Of printable ASCII the widest of them ignore case and spaces at the end.
fn may_be_one_text(left: &str, right: &str) -> bool {
    let plain = |text: &str| text.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    if !plain(left) || !plain(right) {
        return true;
    }
    left.trim_end_matches(' ').eq_ignore_ascii_case(right.trim_end_matches(' '))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::SourceKey;

    fn key(table: &str, cell: Cell) -> Dirty {
        Dirty::Key(SourceKey { table: table.into(), key: vec![cell] })
    }

    fn reach(entries: &[Dirty], elsewhere: &[&str]) -> Reach {
        Reach::of(entries.iter(), elsewhere.iter().map(|table| TableName::from(*table)))
    }

    #[test]
    fn rows_are_told_apart_where_their_keys_surely_differ() {
        let reach = reach(&[key("t", Cell::Int(1)), key("t", Cell::Text("Ann ".into()))], &[]);
        let has = |cell| reach.has(&"t".into(), &[cell]);
        assert!(has(Cell::Int(1)) && has(Cell::Text("ANN".into())));
        assert!(has(Cell::Text("änn".into())), "a collation may take it for the same");
        assert!(!reach.has(&"u".into(), &[Cell::Int(1)]));
        let reach = self::reach(&[key("t", Cell::Int(1))], &["v"]);
        assert!(!reach.has(&"t".into(), &[Cell::Int(2)]));
        assert!(reach.has(&"t".into(), &[Cell::UInt(2)]), "of another type: MySQL may convert");
        assert!(reach.has(&"v".into(), &[Cell::Int(2)]));
    }

    #[test]
    fn what_names_no_rows_reaches_the_whole_table() {
        let range = Dirty::Range { table: "t".into(), from: 7, to: None };
        assert!(reach(&[range], &[]).has(&"t".into(), &[Cell::Int(1)]));
        let many: Vec<Dirty> = (0..100).map(|number| key("t", Cell::Int(number))).collect();
        assert!(reach(&many, &[]).has(&"t".into(), &[Cell::Int(1_000)]));
    }

    #[test]
    fn one_row_alone_is_one_row() {
        assert!(reach(&[key("t", Cell::Int(1))], &[]).is_one_row());
        assert!(!reach(&[key("t", Cell::Int(1)), key("t", Cell::Int(2))], &[]).is_one_row());
        assert!(!reach(&[key("t", Cell::Int(1))], &["u"]).is_one_row());
    }
}
