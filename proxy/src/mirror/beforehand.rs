//! A look at items before their rows are read: one request for many, instead of a failed condition and another
//! look at MySQL for each.
//! Never here: refreshes, or what stands at keys that only the rows tell.

use std::collections::{BTreeSet, HashMap};

use segue_config::limits;
use segue_rules::entity::{DynamoTable, Entity};
use segue_rules::refresh::Existing;
use segue_rules::value::{Item, ItemKey};

use super::bookkeeping;
use super::parts::Shared;
use super::queue::{Priority, Target};

/// Items of one entity.
pub(super) struct Beforehand<'a> {
    pub shared: &'a Shared,
    pub entity: &'a Entity,
    pub table: &'a DynamoTable,
}

impl Beforehand<'_> {
    /// Learns the tags of items that are there already, as those of rows owed for long and of swept ones mostly
    /// are. Gives the items themselves where those that are right already need not be written.
    pub async fn at_items(
        &self,
        priority: Priority,
        batch: &[(Target, BTreeSet<ItemKey>)],
    ) -> HashMap<ItemKey, Item> {
        if priority == Priority::Live || !self.entity.key_from_row_key {
            return HashMap::new();
        }
        let skips = priority == Priority::Sweep && self.shared.settings.skip_equal;
        if skips && !self.shared.items_expected(&self.entity.name) {
            return HashMap::new();
        }
        let keys: BTreeSet<ItemKey> = batch
            .iter()
            .filter_map(|(target, _)| self.entity.key_of(&target.key))
            .filter(|key| skips || !self.shared.tags.is_known(key))
            .take(limits::ITEMS_READ_AT_ONCE)
            .collect();
        if keys.len() < limits::TAGS_LOOKED_UP_MIN {
            return HashMap::new();
        }
        let items = match skips {
            true => self.shared.store.get_many(self.table, &keys).await,
            false => self.shared.store.bookkeeping(self.table, &keys).await,
        };
        let items = match items {
            Ok(items) => items,
            // The refreshes find out by themselves.
            Err(error) => {
                tracing::debug!(%error, "items could not be looked at beforehand");
                return HashMap::new();
            }
        };
        for (key, item) in &items {
            if let Existing { tag: Some(tag), owner: Some(owner) } = bookkeeping::read(item) {
                self.shared.tags.learn(key, &owner, &tag);
            }
        }
        match skips {
            true => {
                self.shared.expect_items(&self.entity.name, items.len() * 2 > keys.len());
                items
            }
            false => HashMap::new(),
        }
    }
}
