//! GetItem, BatchGetItem and Scan, strongly consistent.
//! Never here: queries of an index.

use std::collections::{BTreeSet, HashMap};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::KeysAndAttributes;
use aws_sdk_dynamodb::types::builders::KeysAndAttributesBuilder;
use segue_config::limits::ITEMS_READ_AT_ONCE;
use segue_rules::entity::{BOOKKEEPING, DynamoTable};
use segue_rules::value::{Item, ItemKey};

use super::attribute::{SdkItem, item_from_sdk, item_to_sdk, key_to_sdk};
use super::{Arrival, ScanPage, Store, StoreError, key_of};

impl Store {
    /// Strongly consistent read of one item.
    pub async fn get(
        &self,
        table: &DynamoTable,
        key: &ItemKey,
    ) -> Result<Option<Item>, StoreError> {
        let name = self.table_name(&table.name);
        let client: &Client = &self.client;
        let request = client
            .get_item()
            .table_name(&name)
            .set_key(Some(key_to_sdk(table, key)))
            .consistent_read(true);
        let answer = self.timed("GetItem", &name, request.send()).await?;
        Ok(answer.item.as_ref().map(item_from_sdk))
    }

    /// Strongly consistent read of many items (at most `limits::ITEMS_READ_AT_ONCE`): their keys and
    /// bookkeeping alone. Items that DynamoDB has no time for now are left out, like those that are not there.
    pub async fn bookkeeping(
        &self,
        table: &DynamoTable,
        keys: &BTreeSet<ItemKey>,
    ) -> Result<HashMap<ItemKey, Item>, StoreError> {
        let mut names = HashMap::from([
            ("#segue".to_owned(), BOOKKEEPING.to_owned()),
            ("#pk".to_owned(), table.pk.name.clone()),
        ]);
        let mut projection = "#segue, #pk".to_owned();
        if let Some(sk) = &table.sk {
            names.insert("#sk".to_owned(), sk.name.clone());
            projection.push_str(", #sk");
        }
        let wanted = KeysAndAttributes::builder()
            .set_keys(Some(keys.iter().map(|key| key_to_sdk(table, key)).collect()))
            .projection_expression(projection)
            .set_expression_attribute_names(Some(names))
            .consistent_read(true);
        Ok(self.batch_get(table, wanted).await?.0)
    }

    /// Strongly consistent read of many items, whole; those that are not there are absent. Any number of keys:
    /// what does not fit into one answer is asked for again.
    pub async fn get_many(
        &self,
        table: &DynamoTable,
        keys: &BTreeSet<ItemKey>,
    ) -> Result<HashMap<ItemKey, Item>, StoreError> {
        let mut items = HashMap::with_capacity(keys.len());
        let mut waiting: Vec<SdkItem> = keys.iter().map(|key| key_to_sdk(table, key)).collect();
        while !waiting.is_empty() {
            let later = waiting.split_off(waiting.len().min(ITEMS_READ_AT_ONCE));
            let asked = waiting.len();
            let wanted = KeysAndAttributes::builder().set_keys(Some(waiting)).consistent_read(true);
            let (found, unprocessed) = self.batch_get(table, wanted).await?;
            if found.is_empty() && unprocessed.len() == asked {
                return Err(StoreError::Transient {
                    operation: "BatchGetItem",
                    table: self.table_name(&table.name),
                    reason: "no item was read".to_owned(),
                    arrival: Arrival::Over,
                    throttled: true,
                });
            }
            items.extend(found);
            waiting = unprocessed;
            waiting.extend(later);
        }
        Ok(items)
    }

    /// One request, with the keys that it left out.
    async fn batch_get(
        &self,
        table: &DynamoTable,
        wanted: KeysAndAttributesBuilder,
    ) -> Result<(HashMap<ItemKey, Item>, Vec<SdkItem>), StoreError> {
        let name = self.table_name(&table.name);
        let wanted = wanted.build().map_err(|error| StoreError::Rejected {
            operation: "BatchGetItem",
            table: name.clone(),
            code: "InvalidRequest".to_owned(),
            reason: error.to_string(),
        })?;
        let request = self.client.batch_get_item().request_items(&name, wanted);
        let answer = self.timed("BatchGetItem", &name, request.send()).await?;
        let items = answer.responses.unwrap_or_default().remove(&name).unwrap_or_default();
        let left = answer.unprocessed_keys.unwrap_or_default().remove(&name);
        let keyed = |item: Item| Some((key_of(table, &item)?, item));
        let items = items.iter().map(item_from_sdk).filter_map(keyed).collect();
        Ok((items, left.map(|left| left.keys).unwrap_or_default()))
    }

    /// Strongly consistent scan, one page. `segment`: (index, total) of a parallel scan.
    pub async fn scan(
        &self,
        table: &DynamoTable,
        from: Option<Item>,
        segment: (i32, i32),
    ) -> Result<ScanPage, StoreError> {
        let name = self.table_name(&table.name);
        let mut request = self
            .client
            .scan()
            .table_name(&name)
            .consistent_read(true)
            .set_exclusive_start_key(from.as_ref().map(item_to_sdk));
        if segment.1 > 1 {
            request = request.segment(segment.0).total_segments(segment.1);
        }
        let answer = self.timed("Scan", &name, request.send()).await?;
        Ok(ScanPage {
            items: answer.items.unwrap_or_default().iter().map(item_from_sdk).collect(),
            next: answer
                .last_evaluated_key
                .as_ref()
                .filter(|key| !key.is_empty())
                .map(item_from_sdk),
        })
    }
}
