//! From an item back to the driving row's columns, as far as the item keeps them.
//! Never here: serving reads from items (see `plan`).

use super::Entity;
use super::plan::{AttributePlan, Recipe};
use crate::value::{Attribute, Cell, Item, from_attribute};

/// What an item tells of one driving column.
#[derive(Clone, Debug, PartialEq)]
pub enum Recovered {
    Value(Cell),
    /// No attribute holds the column unchanged, or its stored form does not read back.
    NotRecoverable,
}

impl Entity {
    /// Every driving column with what the item tells of it, in the table's order.
    pub fn recover(&self, item: &Item) -> Vec<(String, Recovered)> {
        (self.driving_columns.iter().enumerate())
            .map(|(column, name)| {
                let plans = self.builder.attributes.iter().filter(|p| p.stores == Some(column));
                let value = plans
                    .filter(|plan| {
                        !self.builder.index_keys.contains_key(&plan.name)
                            || item.contains_key(&plan.name)
                    })
                    .find_map(|plan| restore(plan, item.get(&plan.name)));
                (name.clone(), value.map_or(Recovered::NotRecoverable, Recovered::Value))
            })
            .collect()
    }

    /// Driving columns that no attribute holds unchanged.
    pub fn missing_columns(&self) -> Vec<&str> {
        (self.driving_columns.iter().enumerate())
            .filter(|(column, _)| {
                !self.builder.attributes.iter().any(|p| p.stores == Some(*column))
            })
            .map(|(_, name)| name.as_str())
            .collect()
    }
}

fn restore(plan: &AttributePlan, attribute: Option<&Attribute>) -> Option<Cell> {
    let Recipe::Cell(operand) = &plan.recipe else { return None };
    from_attribute(attribute, operand.data_type.as_ref()?, plan.epoch).ok()
}
