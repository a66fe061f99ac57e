//! What a comparison of both stores found: counts by entity, and differences one by one.
//! Never here: comparing, or printing.

use std::collections::BTreeMap;

use segue_config::limits::DIFFERENCES_KEPT_MAX;
use segue_rules::diff::AttributeDifference;
use segue_rules::value::{Attribute, Cell, ItemKey, TableName};
use serde::{Deserialize, Serialize};

/// How a row and its item differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// A row without its item.
    Missing,
    /// An item without its row.
    Extra,
    /// An item whose content is not its row's.
    Different,
    /// Row or item changed at every look, so nothing can be said.
    Unsettled,
    /// The row has an item that cannot be written.
    Parked,
}

/// Counts of one entity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Rows that were compared with their items.
    pub rows: u64,
    /// Items that were looked up in the other direction.
    pub items: u64,
    pub equal: u64,
    /// No item, and its time to live is over.
    pub expired: u64,
    /// Rows that have no item, by the contract.
    pub without_item: u64,
    pub missing: u64,
    pub extra: u64,
    pub different: u64,
    /// Differed at first and not any more: the write was on its way.
    pub in_flight: u64,
    pub unsettled: u64,
    pub parked: u64,
}

impl Tally {
    pub(super) fn count(&mut self, class: Class) {
        *self.counter(class) += 1;
    }

    /// Takes back one that turned out to be none.
    pub(in crate::movement) fn discount(&mut self, class: Class) {
        let counter = self.counter(class);
        *counter = counter.saturating_sub(1);
    }

    fn counter(&mut self, class: Class) -> &mut u64 {
        match class {
            Class::Missing => &mut self.missing,
            Class::Extra => &mut self.extra,
            Class::Different => &mut self.different,
            Class::Unsettled => &mut self.unsettled,
            Class::Parked => &mut self.parked,
        }
    }

    /// Results of looks at rows, by name.
    pub(in crate::movement) fn results(&self) -> [(&'static str, u64); 6] {
        [
            ("equal", self.equal),
            ("in_flight", self.in_flight),
            ("missing", self.missing),
            ("different", self.different),
            ("unsettled", self.unsettled),
            ("parked", self.parked),
        ]
    }

    /// Of what is not as it should be.
    pub fn differences(&self) -> u64 {
        self.missing + self.extra + self.different + self.unsettled + self.parked
    }

    pub fn add(&mut self, other: &Tally) {
        self.rows += other.rows;
        self.items += other.items;
        self.equal += other.equal;
        self.expired += other.expired;
        self.without_item += other.without_item;
        self.missing += other.missing;
        self.extra += other.extra;
        self.different += other.different;
        self.in_flight += other.in_flight;
        self.unsettled += other.unsettled;
        self.parked += other.parked;
    }
}

/// One attribute in which an item is not as its row says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedDifference {
    pub name: String,
    /// Values only where they were asked for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expected: Option<Attribute>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub found: Option<Attribute>,
}

impl NamedDifference {
    pub(super) fn of(difference: AttributeDifference, show_values: bool) -> NamedDifference {
        let AttributeDifference { attribute: name, expected, actual } = difference;
        match show_values {
            true => NamedDifference { name, expected, found: actual },
            false => NamedDifference { name, expected: None, found: None },
        }
    }
}

/// One row or item that is not as it should be. Its keys are in it, for a repair: they are data.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Difference {
    pub class: Class,
    /// `None`: an item without readable bookkeeping, which no row's item key explains.
    pub entity: Option<String>,
    pub row_key: Option<Vec<Cell>>,
    pub item_key: Option<ItemKey>,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub attributes: Vec<NamedDifference>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
}

/// The result of one comparison.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct VerifyReport {
    /// Fingerprint of contract and schema.
    pub contract: String,
    pub tables: Vec<TableName>,
    /// Share of the keys that were looked at, from 0 to 1.
    pub sample: f64,
    /// Everything was gone through.
    pub complete: bool,
    /// Time at work, over all runs of a comparison that was interrupted.
    pub seconds: f64,
    pub total: Tally,
    pub entities: BTreeMap<String, Tally>,
    /// Items without readable bookkeeping in tables that were not compared as a whole: nothing can be said of them.
    pub foreign_unjudged: u64,
    pub differences: Vec<Difference>,
    /// Differences that are only counted: the list is full.
    pub differences_left_out: u64,
}

impl VerifyReport {
    pub(super) fn count(&mut self, entity: &str, change: impl FnOnce(&mut Tally)) {
        match self.entities.get_mut(entity) {
            Some(tally) => change(tally),
            None => change(self.entities.entry(entity.to_owned()).or_default()),
        }
    }

    pub(super) fn found(&mut self, difference: Difference) {
        match &difference.entity {
            Some(entity) => self.count(entity, |tally| tally.count(difference.class)),
            None => self.total.count(difference.class),
        }
        match self.differences.len() < DIFFERENCES_KEPT_MAX {
            true => self.differences.push(difference),
            false => self.differences_left_out += 1,
        }
    }

    /// Adds the entities up, after the last of them.
    pub(super) fn sum_up(&mut self) {
        let entities: Vec<Tally> = self.entities.values().copied().collect();
        entities.iter().for_each(|tally| self.total.add(tally));
    }

    /// Both stores hold the same, as far as was looked.
    pub fn is_clean(&self) -> bool {
        self.complete && self.total.differences() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entities_and_items_of_nobody_add_up() {
        let difference = |entity: Option<&str>, class| Difference {
            class,
            entity: entity.map(str::to_owned),
            row_key: None,
            item_key: None,
            attributes: Vec::new(),
            reason: None,
        };
        let mut report = VerifyReport { complete: true, ..VerifyReport::default() };
        assert!(report.is_clean());
        report.found(difference(Some("Orders"), Class::Missing));
        report.found(difference(Some("Lines"), Class::Different));
        report.found(difference(None, Class::Extra));
        report.sum_up();
        assert_eq!((report.total.differences(), report.differences.len()), (3, 3));
        assert_eq!(report.entities["Orders"].missing, 1);
        assert!(!report.is_clean());
    }
}
