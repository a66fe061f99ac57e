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
    Some {
        keys: Vec<Vec<Cell>>,
        /// The least generated key.
        from: Option<u64>,
    },
}

impl Reach {
    /// `elsewhere`: tables whose rows the entries may change, or whose items show what they change, beyond the
    /// rows they name. `generated`: whether a table's row key is its AUTO_INCREMENT column.
    pub fn of<'a>(
        entries: impl ExactSizeIterator<Item = &'a Dirty>,
        elsewhere: impl IntoIterator<Item = TableName>,
        generated: impl Fn(&TableName) -> bool,
    ) -> Reach {
        let mut reach = Reach::default();
        let few = entries.len() <= ENTRIES_COMPARED_MAX;
        for dirty in entries {
            let none = || Rows::Some { keys: Vec::new(), from: None };
            let rows = reach.tables.entry(dirty.table().clone()).or_insert_with(none);
            match (dirty, &mut *rows) {
                (Dirty::Key(key), Rows::Some { keys, .. }) if few => keys.push(key.key.clone()),
                (Dirty::Range { table, from: first, .. }, Rows::Some { from, .. })
                    if generated(table) =>
                {
                    *from = Some(from.map_or(*first, |least| least.min(*first)));
                }
                _ => *rows = Rows::All,
            }
        }
        reach.tables.extend(elsewhere.into_iter().map(|table| (table, Rows::All)));
        reach
    }

    /// Whether the row may be among them.
    pub fn has(&self, table: &TableName, key: &[Cell]) -> bool {
        match self.tables.get(table) {
            None => false,
            Some(Rows::All) => true,
            Some(Rows::Some { keys, from }) => {
                keys.iter().any(|other| may_be_one(other, key))
                    || from.is_some_and(|from| may_be_from(from, key))
            }
        }
    }
}

fn may_be_from(from: u64, key: &[Cell]) -> bool {
    match key {
        [Cell::UInt(number)] => *number >= from,
        [Cell::Int(number)] => u64::try_from(*number).is_ok_and(|number| number >= from),
        _ => true,
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
        let elsewhere = elsewhere.iter().map(|table| TableName::from(*table));
        Reach::of(entries.iter(), elsewhere, |table| **table == *"g")
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
    fn generated_keys_reach_no_older_row() {
        let range = |table: &str| Dirty::Range { table: table.into(), from: 7, to: None };
        let reach = reach(&[range("g")], &[]);
        assert!(
            reach.has(&"g".into(), &[Cell::Int(7)]) && reach.has(&"g".into(), &[Cell::UInt(9)])
        );
        assert!(
            !reach.has(&"g".into(), &[Cell::Int(6)]) && !reach.has(&"g".into(), &[Cell::Int(-1)])
        );
    }
}
