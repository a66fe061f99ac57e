//! Each kind of fault against the built-in engine: it shows as what it is, and only where it should.

use std::collections::HashMap;

use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{AttributeValue, Put, PutRequest, TransactWriteItem, WriteRequest};
use segue_config::settings::Endpoint;
use segue_rules::entity::DynamoTable;
use serde_json::json;

use super::super::tests::{item, key_of_item, orders, settings, tag};
use super::super::{Billing, Expect, Store, StoreError, WriteOutcome, plan};
use super::*;

struct Stage {
    store: Store,
    table: DynamoTable,
    faults: Faults,
    metrics: Arc<Metrics>,
}

/// A table in an engine, and a script in force.
async fn stage(script: &str) -> Stage {
    let metrics = Arc::new(Metrics::new());
    let faults = Faults::new(metrics.clone());
    let settings = settings(Endpoint::Embedded { file: None });
    let store = Store::connect_with(&settings, metrics.clone(), Some(&faults)).await.unwrap();
    let table = orders();
    let wanted = plan(std::slice::from_ref(&table), store.table_prefix(), Billing::OnDemand);
    store.create(&wanted[0]).await.unwrap();
    faults.take(segue_config::faults::parse(script, "test").unwrap(), "test");
    Stage { store, table, faults, metrics }
}

impl Stage {
    async fn put(&self, pk: &str, tag: &str) -> Result<WriteOutcome, StoreError> {
        self.store.put(&self.table, &item(pk, 1, Some(tag)), &Expect::Absent).await
    }

    async fn holds(&self, pk: &str) -> bool {
        let key = key_of_item(&self.table, &item(pk, 1, None));
        self.store.get(&self.table, &key).await.unwrap().is_some()
    }

    async fn becomes_held(&self, pk: &str) {
        while !self.holds(pk).await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn calls(&self, outcome: &str) -> u64 {
        self.metrics.dynamodb_calls.with_label_values(&["PutItem", outcome]).get()
    }

    fn injected(&self) -> u64 {
        self.faults.report().injected
    }
}

#[tokio::test]
async fn errors_are_what_dynamodb_would_say_and_leave_nothing_behind() {
    for (kind, code, outcome) in [
        ("throttle", "ThrottlingException", "throttled"),
        ("throughput", "ProvisionedThroughputExceededException", "throttled"),
        ("request-limit", "RequestLimitExceeded", "throttled"),
        ("conflict", "TransactionConflictException", "error"),
        ("server-error", "InternalServerError", "error"),
        ("unavailable", "", "error"),
        ("reset", "connection reset", "error"),
    ] {
        let stage = stage(&format!("[[rule]]\nkind = \"{kind}\"\ncount = 1\n")).await;
        let error = stage.put("a", "t").await.unwrap_err();
        assert!(matches!(error, StoreError::Transient { .. }), "{kind}: {error}");
        assert!(error.to_string().contains(code), "{kind}: {error}");
        assert_eq!(stage.calls(outcome), 1, "{kind}");
        assert!(!stage.holds("a").await, "{kind}");
        assert_eq!(stage.put("a", "t").await.unwrap(), WriteOutcome::Done, "one was asked for");
        let text = stage.metrics.render(false);
        assert!(text.contains(&format!("segue_faults_injected_total{{kind=\"{kind}\"}} 1")));
        assert!(text.contains("segue_fault_rules 0"), "its count is over");
    }
}

#[tokio::test]
async fn a_lost_answer_leaves_the_write_applied() {
    let stage =
        stage("[[rule]]\nkind = \"answer-lost\"\noperation = \"PutItem\"\ncount = 1\n").await;
    let error = stage.put("a", "t").await.unwrap_err();
    assert!(matches!(error, StoreError::Transient { .. }), "{error}");
    assert!(stage.holds("a").await);
}

#[tokio::test]
async fn a_late_request_arrives_after_its_sender_has_given_up() {
    let stage = stage("[[rule]]\nkind = \"late\"\ncount = 1\ndelay_ms = 50\n").await;
    assert!(stage.put("a", "t").await.is_err());
    stage.becomes_held("a").await;
}

#[tokio::test]
async fn a_request_that_is_sent_twice_meets_its_own_item() {
    let stage = stage("[[rule]]\nkind = \"twice\"\ncount = 1\n").await;
    let WriteOutcome::Conflict { existing } = stage.put("a", "t1").await.unwrap() else {
        panic!("the first one was applied");
    };
    assert_eq!(existing.unwrap()["_segue"], item("a", 1, Some("t1"))["_segue"]);
}

#[tokio::test]
async fn silence_and_slowness_end_in_our_own_time_out() {
    let silent = stage("[[rule]]\nkind = \"silent\"\noperation = \"PutItem\"\n").await;
    let slow = "[[rule]]\nkind = \"slow\"\noperation = \"PutItem\"\ndelay_ms = 60000\n";
    let slow = stage(slow).await;
    let brief = stage("[[rule]]\nkind = \"slow\"\ndelay_ms = 5\n").await;
    let (one, other) = tokio::join!(silent.put("a", "t"), slow.put("a", "t"));
    assert!(matches!(one.unwrap_err(), StoreError::Transient { .. }));
    assert!(matches!(other.unwrap_err(), StoreError::Transient { .. }));
    assert!(!silent.holds("a").await);
    assert!(slow.holds("a").await, "only its answer was late");
    assert_eq!(brief.put("a", "t").await.unwrap(), WriteOutcome::Done);
}

#[tokio::test]
async fn a_rule_meets_only_what_it_names() {
    let stage = stage(
        "[[rule]]\nkind = \"reset\"\ntable = \"t-Others\"\n\
         [[rule]]\nkind = \"reset\"\noperation = [\"Scan\", \"DeleteItem\"]\n\
         [[rule]]\nkind = \"throughput\"\npartition = \"pk=hot\"\n",
    )
    .await;
    assert_eq!(stage.put("cold", "t").await.unwrap(), WriteOutcome::Done);
    assert!(stage.put("hot", "t").await.is_err());
    let key = key_of_item(&stage.table, &item("hot", 1, None));
    assert!(stage.store.get(&stage.table, &key).await.is_err(), "by its key, too");
    assert!(stage.store.scan(&stage.table, None, (0, 1)).await.is_err());
    assert_eq!(stage.injected(), 3);
    stage.faults.take(FaultScript::default(), "test");
    assert_eq!(stage.put("hot", "t").await.unwrap(), WriteOutcome::Done);
}

/// Strongly consistent reads are never stale in DynamoDB, and the product makes no others.
#[tokio::test]
async fn only_reads_that_allow_it_are_stale() {
    let stage = stage("[[rule]]\nkind = \"stale\"\n").await;
    stage.put("a", "t1").await.unwrap();
    let name = stage.store.table_name("Orders");
    let read = || async {
        let client = &stage.store.client;
        let (pk, sk) = (AttributeValue::S("a".into()), AttributeValue::N("1".into()));
        let request = client.get_item().table_name(&name).key("pk", pk).key("sk", sk);
        let item = request.send().await.unwrap().item.unwrap();
        item["_segue"].as_m().unwrap()["tag"].as_s().unwrap().clone()
    };
    assert_eq!(read().await, "t1");
    let second = item("a", 1, Some("t2"));
    stage.store.put(&stage.table, &second, &tag("t1")).await.unwrap();
    assert_eq!(read().await, "t1", "stale");
    let key = key_of_item(&stage.table, &second);
    let strong = stage.store.get(&stage.table, &key).await.unwrap().unwrap();
    assert_eq!(strong["_segue"], second["_segue"]);
}

#[tokio::test]
async fn batches_come_back_unprocessed_and_transactions_cancelled() {
    let stage = stage(
        "[[rule]]\nkind = \"unprocessed\"\ncount = 1\n[[rule]]\nkind = \"conflict\"\ncount = 1\n",
    )
    .await;
    let (client, name) = (&stage.store.client, stage.store.table_name("Orders"));
    let row = || {
        let (pk, sk) = (AttributeValue::S("a".into()), AttributeValue::N("1".into()));
        HashMap::from([("pk".to_owned(), pk), ("sk".to_owned(), sk)])
    };
    let put = PutRequest::builder().set_item(Some(row())).build().unwrap();
    let write = WriteRequest::builder().put_request(put).build();
    let batch = client.batch_write_item().request_items(&name, vec![write]);
    let answer = batch.send().await.unwrap();
    assert_eq!(answer.unprocessed_items().unwrap()[&name].len(), 1);
    let put = Put::builder().table_name(&name).set_item(Some(row())).build().unwrap();
    let transaction =
        client.transact_write_items().transact_items(TransactWriteItem::builder().put(put).build());
    let error = transaction.clone().send().await.unwrap_err().into_service_error();
    let TransactWriteItemsError::TransactionCanceledException(cancelled) = error else {
        panic!("{error:?}");
    };
    assert_eq!(cancelled.cancellation_reasons()[0].code(), Some("TransactionConflict"));
    transaction.send().await.unwrap();
}

#[test]
fn one_seed_meets_the_same_requests() {
    let script = |seed| {
        let text = format!("seed = {seed}\n[[rule]]\nkind = \"reset\"\nprobability = 0.3\n");
        let mut rules =
            Rules::new(segue_config::faults::parse(&text, "f").unwrap(), Instant::now());
        let request = Request::from_parts("PutItem".into(), json!({"TableName": "T"}));
        (0..64).map(|_| rules.choose(&request, Instant::now()).is_some()).collect::<Vec<_>>()
    };
    assert_eq!(script(1), script(1));
    assert_ne!(script(1), script(2));
    let met = script(3).into_iter().filter(|met| *met).count();
    assert!((5..=40).contains(&met), "{met} of 64");
}

#[test]
fn a_rule_ends_with_its_time() {
    let text = "[[rule]]\nkind = \"reset\"\nseconds = 10\n";
    let begin = Instant::now();
    let mut rules = Rules::new(segue_config::faults::parse(text, "f").unwrap(), begin);
    let request = Request::from_parts("Scan".into(), json!({"TableName": "T"}));
    assert!(rules.choose(&request, begin + Duration::from_secs(9)).is_some());
    assert!(rules.choose(&request, begin + Duration::from_secs(10)).is_none());
    assert_eq!(rules.active(begin + Duration::from_secs(10)), 0);
}

#[test]
fn keys_are_found_in_every_shape_of_request() {
    let key = json!({"pk": {"S": "a"}});
    for body in [
        json!({"TableName": "T", "Key": key}),
        json!({"TableName": "T", "Item": key}),
        json!({"TransactItems": [{"Delete": {"TableName": "T", "Key": key}}]}),
        json!({"RequestItems": {"T": [{"PutRequest": {"Item": key}}]}}),
        json!({"RequestItems": {"T": {"Keys": [key]}}}),
        json!({"Statements": [{
            "Statement": "INSERT INTO \"T\" VALUE {'it''s': ?, 'pk': ?}",
            "Parameters": [{"S": "x"}, {"S": "a"}],
        }]}),
    ] {
        let request = Request::from_parts("Any".into(), body.clone());
        assert_eq!(request.tables, ["T"], "{body}");
        assert!(request.touches("pk", "a"), "{body}");
        assert!(!request.touches("pk", "b") && !request.touches("sk", "a"), "{body}");
    }
}
