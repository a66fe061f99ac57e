//! Builds items and item keys from rows, within DynamoDB's sizes.
//! Never here: how a single attribute is made (see `make`).

use std::collections::BTreeMap;

use super::make::make;
use super::plan::AttributePlan;
use super::{BuildError, Built, Entity};
use crate::value::{Attribute, Cell, ITEM_BYTES_MAX, Item, ItemKey, Row, cell_text, item_size};

/// DynamoDB's bound on a partition key value, in bytes.
pub(super) const PARTITION_KEY_BYTES_MAX: usize = 2048;
/// DynamoDB's bound on a sort key value, in bytes.
pub(super) const SORT_KEY_BYTES_MAX: usize = 1024;

/// Tag, time, fingerprint, member names and overheads of the bookkeeping map, in bytes, with slack.
const BOOKKEEPING_FIXED_BYTES: usize = 256;
/// Overhead of one row-key cell in the bookkeeping map, in bytes.
const CELL_BYTES: usize = 8;

/// The attribute recipes of one entity.
#[derive(Debug)]
pub(crate) struct Builder {
    pub(super) attributes: Vec<AttributePlan>,
    /// Position of the partition key attribute.
    pub(super) pk: usize,
    pub(super) sk: Option<usize>,
    /// Index key attributes and the least bound on their bytes.
    pub(super) index_keys: BTreeMap<String, usize>,
    pub(super) ttl: Option<String>,
}

impl Entity {
    /// Builds the item of one driving row. `children[i]` are the rows of `view.children[i]` that
    /// belong to this driving row, in order, key columns included.
    pub fn build(&self, main: &Row, children: &[Vec<Row>]) -> Result<Built, BuildError> {
        let builder = &self.builder;
        let key = self.key_from(main)?;
        let mut item = Item::new();
        for plan in &builder.attributes {
            let made = make(plan, main, children).map_err(|reason| unconvertible(plan, reason))?;
            let Some(attribute) = made else { continue };
            if let Some(&limit) = builder.index_keys.get(&plan.name) {
                // An index skips items that lack its keys; an empty key would be refused.
                if is_empty(&attribute) {
                    continue;
                }
                check_length(plan, &attribute, limit)?;
            }
            item.insert(plan.name.clone(), attribute);
        }
        let row_key: Vec<Cell> = main.iter().take(self.view.key_width).cloned().collect();
        let bytes = item_size(&item) + self.bookkeeping_bytes(&row_key);
        if bytes > ITEM_BYTES_MAX {
            return Err(BuildError::TooLarge { bytes });
        }
        Ok(Built { row_key, key, item })
    }

    /// The item key computed from the driving row's key alone, where `key_from_row_key`.
    pub fn key_of(&self, row_key: &[Cell]) -> Option<ItemKey> {
        if !self.key_from_row_key || row_key.len() != self.view.key_width {
            return None;
        }
        self.key_from(&row_key.to_vec()).ok()
    }

    /// Only the item key of a driving row (as [`Entity::build`] would give), `None` where absent.
    pub fn item_key(&self, main: &Row) -> Option<ItemKey> {
        self.key_from(main).ok()
    }

    /// Name of the attribute that the contract marks for DynamoDB's TTL.
    pub fn ttl_attribute(&self) -> Option<&str> {
        self.builder.ttl.as_deref()
    }

    /// Room that the bookkeeping map takes in the item.
    fn bookkeeping_bytes(&self, row_key: &[Cell]) -> usize {
        let cells = row_key.iter().filter_map(cell_text).map(|text| text.len() + CELL_BYTES);
        BOOKKEEPING_FIXED_BYTES + self.name.len() + cells.sum::<usize>()
    }

    fn key_from(&self, main: &Row) -> Result<ItemKey, BuildError> {
        let builder = &self.builder;
        let part = |position: usize, limit: usize| -> Result<Attribute, BuildError> {
            let plan = &builder.attributes[position];
            let made = make(plan, main, &[]).map_err(|reason| unconvertible(plan, reason))?;
            let attribute = made
                .filter(|attribute| !is_empty(attribute))
                .ok_or_else(|| BuildError::KeyAbsent { attribute: plan.name.clone() })?;
            check_length(plan, &attribute, limit)?;
            Ok(attribute)
        };
        let pk = part(builder.pk, PARTITION_KEY_BYTES_MAX)?;
        let sk = builder.sk.map(|sk| part(sk, SORT_KEY_BYTES_MAX)).transpose()?;
        Ok(ItemKey { table: self.dynamo_table.clone(), pk, sk })
    }
}

fn unconvertible(plan: &AttributePlan, reason: String) -> BuildError {
    BuildError::Unconvertible { attribute: plan.name.clone(), reason }
}

fn is_empty(attribute: &Attribute) -> bool {
    match attribute {
        Attribute::S(text) => text.is_empty(),
        Attribute::B(bytes) => bytes.is_empty(),
        Attribute::Null => true,
        _ => false,
    }
}

fn check_length(
    plan: &AttributePlan,
    attribute: &Attribute,
    limit: usize,
) -> Result<(), BuildError> {
    let bytes = match attribute {
        Attribute::S(text) => text.len(),
        Attribute::B(bytes) => bytes.len(),
        _ => 0,
    };
    if bytes > limit {
        return Err(BuildError::KeyTooLong { attribute: plan.name.clone(), bytes, limit });
    }
    Ok(())
}
