//! PutItem and DeleteItem on a condition of the item's tag.
//! Never here: which tag to expect, or retries.

use std::collections::HashMap;
use std::time::Instant;

use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use segue_rules::entity::{BOOKKEEPING, DynamoTable};
use segue_rules::value::{Item, ItemKey};

use super::attribute::{SdkItem, item_from_sdk, item_to_sdk, key_to_sdk};
use super::fault::classify;
use super::{Expect, Store, StoreError, WriteOutcome, key_of};

/// A condition expression with its placeholders.
pub(super) struct Condition {
    pub expression: &'static str,
    pub names: HashMap<String, String>,
    pub values: Option<HashMap<String, AttributeValue>>,
}

impl Condition {
    pub fn of(table: &DynamoTable, expect: &Expect) -> Condition {
        let names = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(short, name)| ((*short).to_owned(), (*name).to_owned())).collect()
        };
        let pk = ("#pk", table.pk.name.as_str());
        let (bookkeeping, tag) = (("#segue", BOOKKEEPING), ("#tag", "tag"));
        match expect {
            Expect::Absent => Condition {
                expression: "attribute_not_exists(#pk)",
                names: names(&[pk]),
                values: None,
            },
            Expect::Tag(expected) => Condition {
                expression: "#segue.#tag = :tag",
                names: names(&[bookkeeping, tag]),
                values: Some(HashMap::from([(
                    ":tag".to_owned(),
                    AttributeValue::S(expected.clone()),
                )])),
            },
            Expect::Untagged => Condition {
                expression: "attribute_exists(#pk) AND attribute_not_exists(#segue.#tag)",
                names: names(&[pk, bookkeeping, tag]),
                values: None,
            },
        }
    }
}

/// An error that can be a failed condition, with the item that stood in the way.
trait FailedCondition {
    /// `None`: another error. `Some(None)`: the condition failed, no item came with the answer.
    fn failed_condition(&self) -> Option<Option<&SdkItem>>;
}

impl FailedCondition for PutItemError {
    fn failed_condition(&self) -> Option<Option<&SdkItem>> {
        match self {
            PutItemError::ConditionalCheckFailedException(failed) => Some(failed.item()),
            _ => None,
        }
    }
}

impl FailedCondition for DeleteItemError {
    fn failed_condition(&self) -> Option<Option<&SdkItem>> {
        match self {
            DeleteItemError::ConditionalCheckFailedException(failed) => Some(failed.item()),
            _ => None,
        }
    }
}

impl Store {
    /// Puts a whole item, conditionally.
    pub async fn put(
        &self,
        table: &DynamoTable,
        item: &Item,
        expect: &Expect,
    ) -> Result<WriteOutcome, StoreError> {
        let name = self.table_name(&table.name);
        let Some(key) = key_of(table, item) else {
            return Err(StoreError::Rejected {
                operation: "PutItem",
                table: name,
                code: "NoKey".to_owned(),
                reason: "the item lacks a key attribute".to_owned(),
            });
        };
        let condition = Condition::of(table, expect);
        let request = self
            .client
            .put_item()
            .table_name(&name)
            .set_item(Some(item_to_sdk(item)))
            .condition_expression(condition.expression)
            .set_expression_attribute_names(Some(condition.names))
            .set_expression_attribute_values(condition.values)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let begun = Instant::now();
        let answer = request.send().await.map(|_| ());
        let outcome = self.outcome("PutItem", table, &key, begun, answer).await;
        if outcome.is_ok() {
            self.charge(&table.name, Some(item));
        }
        outcome
    }

    /// Deletes by key, conditionally. `Expect::Absent` on an absent item is `Done`.
    pub async fn delete(
        &self,
        table: &DynamoTable,
        key: &ItemKey,
        expect: &Expect,
    ) -> Result<WriteOutcome, StoreError> {
        let name = self.table_name(&table.name);
        let condition = Condition::of(table, expect);
        let request = self
            .client
            .delete_item()
            .table_name(&name)
            .set_key(Some(key_to_sdk(table, key)))
            .condition_expression(condition.expression)
            .set_expression_attribute_names(Some(condition.names))
            .set_expression_attribute_values(condition.values)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let begun = Instant::now();
        let answer = request.send().await.map(|_| ());
        let outcome = self.outcome("DeleteItem", table, key, begun, answer).await;
        if outcome.is_ok() {
            self.charge(&table.name, None);
        }
        outcome
    }

    async fn outcome<E>(
        &self,
        operation: &'static str,
        table: &DynamoTable,
        key: &ItemKey,
        begun: Instant,
        answer: Result<(), SdkError<E, HttpResponse>>,
    ) -> Result<WriteOutcome, StoreError>
    where
        E: FailedCondition + ProvideErrorMetadata + std::error::Error + 'static,
    {
        self.observe(operation, begun);
        let Err(error) = answer else {
            self.count(operation, "ok");
            return Ok(WriteOutcome::Done);
        };
        let Some(existing) = error.as_service_error().and_then(E::failed_condition) else {
            let fault = classify(operation, &self.table_name(&table.name), &error);
            self.count(operation, fault.outcome);
            return Err(fault.error);
        };
        self.count(operation, "conflict");
        let existing = match existing {
            Some(item) if !item.is_empty() => Some(item_from_sdk(item)),
            // Either there is no item, or the engine does not return it: look.
            _ => self.get(table, key).await?,
        };
        Ok(WriteOutcome::Conflict { existing })
    }
}
