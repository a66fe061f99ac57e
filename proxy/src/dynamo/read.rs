//! GetItem and Scan, strongly consistent.
//! Never here: queries of an index.

use aws_sdk_dynamodb::Client;
use segue_rules::entity::DynamoTable;
use segue_rules::value::{Item, ItemKey};

use super::attribute::{item_from_sdk, item_to_sdk, key_to_sdk};
use super::{ScanPage, Store, StoreError};

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
