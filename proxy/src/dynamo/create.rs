//! Creates many items in one request, each on the condition that its key is free.
//! Never here: which items, or what to do about a key that is taken.
//!
//! BatchWriteItem knows no conditions, so it would overwrite what somebody else has just written. A batch of
//! PartiQL INSERTs does not: each of them fails by itself where an item with its key exists.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::Instant;

use aws_sdk_dynamodb::types::{
    AttributeValue, BatchStatementError, BatchStatementErrorCodeEnum as Code,
    BatchStatementRequest, BatchStatementResponse,
};
use futures_util::FutureExt;
use futures_util::stream::{self, StreamExt};
use segue_config::limits::{
    CREATED_AT_ONCE, CREATED_AT_ONCE_BYTES, PUTS_INSTEAD_OF_BATCH, STATEMENT_BYTES_MAX,
};
use segue_rules::entity::DynamoTable;
use segue_rules::value::{Item, ItemKey, item_size};

use super::attribute::to_sdk;
use super::fault::{classify, without_values};
use super::{Arrival, Expect, Store, StoreError, WriteOutcome, key_of};

const OPERATION: &str = "BatchExecuteStatement";

type Outcome = Result<WriteOutcome, StoreError>;

impl Store {
    /// Creates items of one table. One outcome an item, in their order; where a key is taken, the item that
    /// stands there comes with the outcome. Any number; several requests follow each other.
    pub async fn create_many(&self, table: &DynamoTable, items: &[Item]) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(items.len());
        let mut rest = items;
        while !rest.is_empty() {
            let (batch, others) = rest.split_at(batch_length(rest));
            let answered = match self.batches_refused.load(Ordering::Relaxed) {
                true => None,
                false => self.create_batch(table, batch).await,
            };
            match answered {
                Some(answered) => outcomes.extend(answered),
                None => outcomes.extend(self.create_singly(table, batch).await),
            }
            rest = others;
        }
        outcomes
    }

    /// `None`: the request as such is not possible, here or for these items.
    async fn create_batch(&self, table: &DynamoTable, items: &[Item]) -> Option<Vec<Outcome>> {
        let name = self.table_name(&table.name);
        let statements: Option<Vec<BatchStatementRequest>> =
            items.iter().map(|item| insert(&name, item)).collect();
        let begun = Instant::now();
        let request = self.client.batch_execute_statement().set_statements(Some(statements?));
        let answer = request.send().await;
        self.observe(OPERATION, begun);
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                let fault = classify(OPERATION, &name, &error);
                self.count(OPERATION, fault.outcome);
                if let StoreError::Rejected { code, .. } = &fault.error {
                    // Not every engine knows the request, not every account may send it.
                    self.batches_refused.store(true, Ordering::Relaxed);
                    tracing::info!(%code, "items are created one by one: batches are refused");
                    return None;
                }
                return Some(items.iter().map(|_| Err(fault.error.clone())).collect());
            }
        };
        let responses = answer.responses.unwrap_or_default();
        let outcomes: Vec<Outcome> = items
            .iter()
            .enumerate()
            .map(|(place, item)| {
                let outcome = self.created(&name, responses.get(place));
                if outcome.is_ok() {
                    self.charge(&table.name, Some(item));
                }
                outcome
            })
            .collect();
        Some(self.with_existing(table, items, outcomes).await)
    }

    fn created(&self, table: &str, response: Option<&BatchStatementResponse>) -> Outcome {
        let error = response.map(BatchStatementResponse::error);
        let (outcome, label) = match error {
            Some(None) => (Ok(WriteOutcome::Done), "ok"),
            Some(Some(error)) => failed(table, error),
            None => (Err(unanswered(table)), "error"),
        };
        self.count(OPERATION, label);
        outcome
    }

    /// Fills in what stands at the keys that are taken.
    async fn with_existing(
        &self,
        table: &DynamoTable,
        items: &[Item],
        mut outcomes: Vec<Outcome>,
    ) -> Vec<Outcome> {
        let taken: BTreeSet<ItemKey> = items
            .iter()
            .zip(&outcomes)
            .filter(|(_, outcome)| matches!(outcome, Ok(WriteOutcome::Conflict { .. })))
            .filter_map(|(item, _)| key_of(table, item))
            .collect();
        if taken.is_empty() {
            return outcomes;
        }
        let found = self.get_many(table, &taken).await;
        for (item, outcome) in items.iter().zip(&mut outcomes) {
            if matches!(outcome, Ok(WriteOutcome::Conflict { .. })) {
                let key = key_of(table, item);
                *outcome = found.as_ref().map_err(StoreError::clone).map(|found| {
                    let existing = key.and_then(|key| found.get(&key).cloned());
                    WriteOutcome::Conflict { existing }
                });
            }
        }
        outcomes
    }

    async fn create_singly(&self, table: &DynamoTable, items: &[Item]) -> Vec<Outcome> {
        let mut puts = Vec::with_capacity(items.len());
        for item in items {
            puts.push(self.put(table, item, &Expect::Absent).boxed());
        }
        stream::iter(puts).buffered(PUTS_INSTEAD_OF_BATCH).collect().await
    }
}

/// How many of the items go into the next request; at least one.
fn batch_length(items: &[Item]) -> usize {
    let mut bytes = 0;
    let fitting = items.iter().take(CREATED_AT_ONCE).take_while(|item| {
        bytes += item_size(item);
        bytes <= CREATED_AT_ONCE_BYTES
    });
    fitting.count().max(1)
}

/// `None`: the statement would be longer than DynamoDB takes.
fn insert(table: &str, item: &Item) -> Option<BatchStatementRequest> {
    let members: Vec<String> =
        item.keys().map(|name| format!("'{}': ?", name.replace('\'', "''"))).collect();
    let statement = format!("INSERT INTO \"{table}\" VALUE {{{}}}", members.join(", "));
    let parameters: Vec<AttributeValue> = item.values().map(to_sdk).collect();
    (statement.len() <= STATEMENT_BYTES_MAX).then_some(())?;
    BatchStatementRequest::builder()
        .statement(statement)
        .set_parameters(Some(parameters))
        .build()
        .ok()
}

/// One statement's error, with the label of the metric.
fn failed(table: &str, error: &BatchStatementError) -> (Outcome, &'static str) {
    let message = error.message().unwrap_or_default();
    let transient = |throttled| StoreError::Transient {
        operation: OPERATION,
        table: table.to_owned(),
        reason: message.to_owned(),
        arrival: Arrival::Over,
        throttled,
    };
    match error.code() {
        Some(Code::DuplicateItem | Code::ConditionalCheckFailed) => {
            (Ok(WriteOutcome::Conflict { existing: None }), "conflict")
        }
        Some(
            Code::ThrottlingError
            | Code::ProvisionedThroughputExceeded
            | Code::RequestLimitExceeded,
        ) => (Err(transient(true)), "throttled"),
        Some(Code::InternalServerError | Code::TransactionConflict) => {
            (Err(transient(false)), "error")
        }
        code => {
            let rejected = StoreError::Rejected {
                operation: OPERATION,
                table: table.to_owned(),
                code: code.map_or("no code", Code::as_str).to_owned(),
                reason: without_values(message).to_owned(),
            };
            (Err(rejected), "error")
        }
    }
}

/// An answer with fewer parts than statements: what became of the others is not known.
fn unanswered(table: &str) -> StoreError {
    StoreError::Transient {
        operation: OPERATION,
        table: table.to_owned(),
        reason: "the answer has no part for this statement".to_owned(),
        arrival: Arrival::MayBeLate,
        throttled: false,
    }
}

#[cfg(test)]
mod tests {
    use segue_rules::value::Attribute;

    use super::*;

    fn item(bytes: usize) -> Item {
        Item::from([("it's".to_owned(), Attribute::S("x".repeat(bytes)))])
    }

    #[test]
    fn names_are_quoted_and_values_are_parameters() {
        let statement = insert("shop-Orders", &item(3)).expect("it is short");
        assert_eq!(statement.statement(), "INSERT INTO \"shop-Orders\" VALUE {'it''s': ?}");
        assert_eq!(statement.parameters().len(), 1);
        let wide = (0..2_000).map(|n| (format!("attribute{n}"), Attribute::Null)).collect();
        assert!(insert("t", &wide).is_none());
    }

    #[test]
    fn requests_are_bounded_by_count_and_bytes() {
        assert_eq!(batch_length(&vec![item(10); 40]), CREATED_AT_ONCE);
        assert_eq!(batch_length(&vec![item(CREATED_AT_ONCE_BYTES / 3); 40]), 2);
        assert_eq!(batch_length(&[item(CREATED_AT_ONCE_BYTES)]), 1);
    }
}
