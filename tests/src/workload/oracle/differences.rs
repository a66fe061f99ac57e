//! What the oracle found, and its print.
//! Never here: finding it.

use std::fmt;

use segue_rules::diff::AttributeDifference;
use segue_rules::value::{Item, ItemKey, SourceKey};

/// Mismatches printed in full; the rest is only counted.
const PRINTED_MAX: usize = 25;

/// One disagreement between MySQL and DynamoDB, or one row that cannot be judged.
#[derive(Clone, Debug, PartialEq)]
pub enum Mismatch {
    /// The row is there, its item is not.
    Missing {
        key: ItemKey,
        source: SourceKey,
    },
    /// The item is there, no row makes it.
    Extra {
        key: ItemKey,
        item: Item,
    },
    Different {
        key: ItemKey,
        source: SourceKey,
        attributes: Vec<AttributeDifference>,
    },
    /// Two rows make items of one key.
    Collision {
        key: ItemKey,
        sources: [SourceKey; 2],
    },
    /// The row cannot become an item (too large, a value that does not fit).
    Unbuildable {
        entity: String,
        source: SourceKey,
        reason: String,
    },
    /// A plain SELECT finds the row, the entity's view query does not.
    NotInView {
        entity: String,
        source: SourceKey,
    },
    /// A scanned item lacks its table's key.
    Keyless {
        table: String,
    },
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Differences {
    pub expected_items: usize,
    pub scanned_items: usize,
    /// Rows that have no item by the contract's own rule (an empty key).
    pub rows_without_item: usize,
    pub mismatches: Vec<Mismatch>,
}

impl Differences {
    pub fn is_empty(&self) -> bool {
        self.mismatches.is_empty()
    }

    /// An error with the whole print where anything differs.
    pub fn check(&self) -> anyhow::Result<()> {
        anyhow::ensure!(self.is_empty(), "{self}");
        Ok(())
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Mismatch::Missing { key, source } => {
                write!(f, "missing    {} (row {})", Key(key), Row(source))
            }
            Mismatch::Extra { key, item } => {
                write!(f, "extra      {} with {} attributes", Key(key), item.len())?;
                match item.get(segue_rules::entity::BOOKKEEPING) {
                    Some(bookkeeping) => write!(f, "; {bookkeeping:?}"),
                    None => f.write_str("; not written by Segue"),
                }
            }
            Mismatch::Different { key, source, attributes } => {
                write!(f, "different  {} (row {})", Key(key), Row(source))?;
                attributes.iter().try_for_each(|attribute| write!(f, "\n             {attribute}"))
            }
            Mismatch::Collision { key, sources: [one, other] } => {
                write!(f, "collision  {} of rows {} and {}", Key(key), Row(one), Row(other))
            }
            Mismatch::Unbuildable { entity, source, reason } => {
                write!(f, "unbuildable {entity} row {}: {reason}", Row(source))
            }
            Mismatch::NotInView { entity, source } => {
                write!(f, "not in view {entity} row {}", Row(source))
            }
            Mismatch::Keyless { table } => write!(f, "an item of {table} without its key"),
        }
    }
}

struct Key<'a>(&'a ItemKey);

impl fmt::Display for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.0.table, self.0.pk)?;
        self.0.sk.iter().try_for_each(|sk| write!(f, " / {sk:?}"))
    }
}

struct Row<'a>(&'a SourceKey);

impl fmt::Display for Row<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.0.table, self.0.key)
    }
}

impl fmt::Display for Differences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} items expected, {} found, {} rows without item, {} mismatches",
            self.expected_items,
            self.scanned_items,
            self.rows_without_item,
            self.mismatches.len()
        )?;
        for mismatch in self.mismatches.iter().take(PRINTED_MAX) {
            writeln!(f, "  {mismatch}")?;
        }
        if self.mismatches.len() > PRINTED_MAX {
            writeln!(f, "  ... and {} more", self.mismatches.len() - PRINTED_MAX)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use segue_rules::value::{Attribute, Cell};

    use super::*;

    #[test]
    fn a_print_names_item_row_and_attribute() {
        let number = |text: &str| Some(Attribute::N(text.to_owned()));
        let mismatch = Mismatch::Different {
            key: ItemKey {
                table: "Products".to_owned(),
                pk: Attribute::S("p".to_owned()),
                sk: number("7"),
            },
            source: SourceKey { table: "product".into(), key: vec![Cell::Int(7)] },
            attributes: vec![AttributeDifference {
                attribute: "price".to_owned(),
                expected: number("1"),
                actual: None,
            }],
        };
        let differences = Differences { mismatches: vec![mismatch], ..Differences::default() };
        let print = differences.check().unwrap_err().to_string();
        for part in ["Products S(\"p\") / N(\"7\")", "product [Int(7)]", "price", "missing"] {
            assert!(print.contains(part), "{part} in {print}");
        }
    }
}
