//! TransactWriteItems: puts and deletes of one transaction, each on a condition of its item's tag.
//! Never here: which writes belong together, or retries.

use std::collections::BTreeSet;
use std::time::Instant;

use aws_sdk_dynamodb::error::{BuildError, SdkError};
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    CancellationReason, Delete, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem,
};
use segue_rules::entity::DynamoTable;
use segue_rules::value::{Item, ItemKey};

use super::attribute::{item_from_sdk, item_to_sdk, key_to_sdk};
use super::fault::{THROTTLING_CODES, classify};
use super::write::Condition;
use super::{Arrival, Expect, Store, StoreError};

const OPERATION: &str = "TransactWriteItems";

/// Reasons of a cancelled transaction that pass: another request was under way, or it came too fast.
const PASSING_REASONS: &[&str] = &["TransactionConflict", "ThrottlingError"];

/// One write of a transaction.
#[derive(Clone, Copy, Debug)]
pub struct TransactWrite<'a> {
    pub table: &'a DynamoTable,
    pub key: &'a ItemKey,
    /// `None`: the item is deleted.
    pub item: Option<&'a Item>,
    pub expect: &'a Expect,
}

/// What became of a transaction.
#[derive(Clone, Debug, PartialEq)]
pub enum TransactOutcome {
    Done,
    /// Conditions failed and nothing was written: for each of those writes its position and the item as it
    /// stands.
    Refused(Vec<(usize, Option<Item>)>),
    /// It was turned away because of the writes at these positions, and may pass later.
    Cancelled {
        at: Vec<usize>,
        error: StoreError,
    },
}

impl Store {
    /// Carries out all of the writes or none. `token`: the request is carried out once, however often it
    /// arrives. At most `limits::TRANSACTION_ITEMS_MAX` writes, each of another item.
    pub async fn transact(
        &self,
        writes: &[TransactWrite<'_>],
        token: &str,
    ) -> Result<TransactOutcome, StoreError> {
        let tables = self.names_of(writes);
        let mut items = Vec::with_capacity(writes.len());
        for write in writes {
            let item = self.transact_item(write);
            items.push(
                item.map_err(|error| rejected(&tables, "InvalidRequest", error.to_string()))?,
            );
        }
        let request = self
            .client
            .transact_write_items()
            .client_request_token(token)
            .set_transact_items(Some(items));
        let begun = Instant::now();
        let answer = request.send().await;
        self.observe(OPERATION, begun);
        let Err(error) = answer else {
            self.count(OPERATION, "ok");
            for write in writes.iter().chain(writes) {
                // Twice: once to prepare, once to commit.
                self.charge(&write.table.name, write.item);
            }
            return Ok(TransactOutcome::Done);
        };
        let Some(reasons) = reasons(&error) else {
            let fault = classify(OPERATION, &tables, &error);
            self.count(OPERATION, fault.outcome);
            return Err(fault.error);
        };
        let refused = self.refused(writes, reasons).await?;
        if refused.is_empty() {
            return self.cancelled(&tables, reasons);
        }
        self.count(OPERATION, "conflict");
        Ok(TransactOutcome::Refused(refused))
    }

    fn names_of(&self, writes: &[TransactWrite<'_>]) -> String {
        let mut names: Vec<String> =
            writes.iter().map(|write| self.table_name(&write.table.name)).collect();
        names.sort();
        names.dedup();
        names.join(", ")
    }

    fn transact_item(&self, write: &TransactWrite<'_>) -> Result<TransactWriteItem, BuildError> {
        let table = self.table_name(&write.table.name);
        let Condition { expression, names, values } = Condition::of(write.table, write.expect);
        let all = ReturnValuesOnConditionCheckFailure::AllOld;
        let item = TransactWriteItem::builder();
        Ok(match write.item {
            Some(written) => {
                let put = Put::builder()
                    .table_name(table)
                    .set_item(Some(item_to_sdk(written)))
                    .condition_expression(expression)
                    .set_expression_attribute_names(Some(names))
                    .set_expression_attribute_values(values)
                    .return_values_on_condition_check_failure(all);
                item.put(put.build()?).build()
            }
            None => {
                let delete = Delete::builder()
                    .table_name(table)
                    .set_key(Some(key_to_sdk(write.table, write.key)))
                    .condition_expression(expression)
                    .set_expression_attribute_names(Some(names))
                    .set_expression_attribute_values(values)
                    .return_values_on_condition_check_failure(all);
                item.delete(delete.build()?).build()
            }
        })
    }

    async fn refused(
        &self,
        writes: &[TransactWrite<'_>],
        reasons: &[CancellationReason],
    ) -> Result<Vec<(usize, Option<Item>)>, StoreError> {
        let mut refused = Vec::new();
        for (position, (write, reason)) in writes.iter().zip(reasons).enumerate() {
            if reason.code() != Some("ConditionalCheckFailed") {
                continue;
            }
            let existing = match reason.item() {
                Some(item) if !item.is_empty() => Some(item_from_sdk(item)),
                // Either there is no item, or the engine does not return it: look.
                _ => self.get(write.table, write.key).await?,
            };
            refused.push((position, existing));
        }
        Ok(refused)
    }

    fn cancelled(
        &self,
        tables: &str,
        reasons: &[CancellationReason],
    ) -> Result<TransactOutcome, StoreError> {
        let codes = || reasons.iter().map(|reason| reason.code().unwrap_or("None")).enumerate();
        let at: Vec<usize> =
            codes().filter(|(_, code)| *code != "None").map(|(position, _)| position).collect();
        let throttles = |code: &str| code == "ThrottlingError" || THROTTLING_CODES.contains(&code);
        let passes = |code: &str| PASSING_REASONS.contains(&code) || throttles(code);
        let throttled = codes().any(|(_, code)| throttles(code));
        self.count(OPERATION, if throttled { "throttled" } else { "error" });
        let names: BTreeSet<&str> =
            codes().map(|(_, code)| code).filter(|code| *code != "None").collect();
        let names: Vec<&str> = names.into_iter().collect();
        let reason = format!("TransactionCanceledException: {}", names.join(", "));
        if let Some(code) = names.iter().find(|code| !passes(code)) {
            return Err(rejected(tables, code, reason));
        }
        let error = StoreError::Transient {
            operation: OPERATION,
            table: tables.to_owned(),
            reason,
            arrival: Arrival::Over,
            throttled,
        };
        Ok(TransactOutcome::Cancelled { at, error })
    }
}

fn reasons<R>(error: &SdkError<TransactWriteItemsError, R>) -> Option<&[CancellationReason]> {
    match error.as_service_error()? {
        TransactWriteItemsError::TransactionCanceledException(cancelled) => {
            Some(cancelled.cancellation_reasons())
        }
        _ => None,
    }
}

fn rejected(tables: &str, code: &str, reason: String) -> StoreError {
    let (operation, table) = (OPERATION, tables.to_owned());
    StoreError::Rejected { operation, table, code: code.to_owned(), reason }
}
