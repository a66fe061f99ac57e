//! The room against the embedded engine, over HTTP as against DynamoDB.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use segue_config::settings::{Dynamodb, Endpoint};
use segue_rules::entity::{BOOKKEEPING, DynamoTable, KeyAttribute, Projection, SecondaryIndex};
use segue_rules::value::{Attribute, AttributeType, Item, ItemKey};

use super::*;
use crate::telemetry::Metrics;

pub(super) fn settings(endpoint: Endpoint) -> Dynamodb {
    Dynamodb { region: None, endpoint, table_prefix: "t-".into() }
}

async fn store() -> Store {
    let settings = settings(Endpoint::Embedded { file: None });
    Store::connect(&settings, Arc::new(Metrics::new())).await.unwrap()
}

fn key(name: &str, kind: AttributeType) -> KeyAttribute {
    KeyAttribute { name: name.into(), kind }
}

pub(super) fn orders() -> DynamoTable {
    DynamoTable {
        name: "Orders".into(),
        pk: key("pk", AttributeType::S),
        sk: Some(key("sk", AttributeType::N)),
        indexes: vec![SecondaryIndex {
            name: "by_customer".into(),
            pk: key("customer", AttributeType::S),
            sk: Some(key("sk", AttributeType::N)),
            projection: Projection::Include(vec!["total".into()]),
        }],
    }
}

async fn store_with_orders() -> (Store, DynamoTable) {
    let store = store().await;
    let table = orders();
    for wanted in plan(std::slice::from_ref(&table), store.table_prefix(), Billing::OnDemand) {
        store.create(&wanted).await.unwrap();
    }
    (store, table)
}

pub(super) fn item(pk: &str, sk: u32, tag: Option<&str>) -> Item {
    let mut item = Item::from([
        ("pk".to_owned(), Attribute::S(pk.into())),
        ("sk".to_owned(), Attribute::N(sk.to_string())),
        ("total".to_owned(), Attribute::N("12.50".into())),
    ]);
    if let Some(tag) = tag {
        let map = BTreeMap::from([("tag".to_owned(), Attribute::S(tag.into()))]);
        item.insert(BOOKKEEPING.to_owned(), Attribute::M(map));
    }
    item
}

pub(super) fn key_of_item(table: &DynamoTable, item: &Item) -> ItemKey {
    key_of(table, item).unwrap()
}

pub(super) fn tag(text: &str) -> Expect {
    Expect::Tag(text.into())
}

#[tokio::test]
async fn many_items_are_created_only_where_there_is_none() {
    let (store, table) = store_with_orders().await;
    let mut there = item("p7", 1, Some("old"));
    there.insert("total".to_owned(), Attribute::N("12.5".into()));
    store.put(&table, &there, &Expect::Absent).await.unwrap();
    let mut items: Vec<Item> = (0..60).map(|n| item(&format!("p{n}"), 1, Some("new"))).collect();
    items[9].insert("total".to_owned(), Attribute::N("not a number".into()));
    for batches_refused in [false, true] {
        store.batches_refused.store(batches_refused, Ordering::Relaxed);
        let outcomes = store.create_many(&table, &items).await;
        assert_eq!(outcomes.len(), 60);
        for (place, outcome) in outcomes.iter().enumerate() {
            match (place, outcome) {
                (9, outcome) => {
                    let rejected = matches!(outcome, Err(StoreError::Rejected { .. }));
                    assert!(rejected, "{outcome:?}");
                    assert!(!outcome.as_ref().unwrap_err().to_string().contains("not a number"));
                }
                (7, outcome) => {
                    let existing = Some(there.clone());
                    assert_eq!(*outcome, Ok(WriteOutcome::Conflict { existing }));
                }
                (_, outcome) if batches_refused => {
                    assert!(matches!(outcome, Ok(WriteOutcome::Conflict { existing: Some(_) })));
                }
                (_, outcome) => assert_eq!(*outcome, Ok(WriteOutcome::Done)),
            }
        }
    }
    let keys: BTreeSet<ItemKey> = items.iter().map(|item| key_of_item(&table, item)).collect();
    let found = store.get_many(&table, &keys).await.unwrap();
    assert_eq!(found.len(), 59);
}

#[tokio::test]
async fn many_items_are_read_though_one_answer_cannot_hold_them() {
    let (store, table) = store_with_orders().await;
    let mut keys = BTreeSet::new();
    for n in 0..130 {
        let mut item = item(&format!("p{n}"), 1, None);
        item.insert("body".to_owned(), Attribute::S("x".repeat(200_000)));
        keys.insert(key_of_item(&table, &item));
        store.put(&table, &item, &Expect::Absent).await.unwrap();
    }
    assert_eq!(store.get_many(&table, &keys).await.unwrap().len(), 130);
}

#[tokio::test]
async fn a_put_succeeds_only_on_the_expected_tag() {
    let (store, table) = store_with_orders().await;
    let (first, second) = (item("a", 1, Some("t1")), item("a", 1, Some("t2")));
    assert_eq!(
        store.put(&table, &first, &tag("t0")).await.unwrap(),
        WriteOutcome::Conflict { existing: None }
    );
    assert_eq!(store.put(&table, &first, &Expect::Absent).await.unwrap(), WriteOutcome::Done);
    let conflict = store.put(&table, &second, &Expect::Absent).await.unwrap();
    let WriteOutcome::Conflict { existing: Some(existing) } = conflict else {
        panic!("expected the item in the way, got {conflict:?}");
    };
    assert_eq!(existing[BOOKKEEPING], first[BOOKKEEPING]);
    assert!(matches!(
        store.put(&table, &second, &Expect::Untagged).await.unwrap(),
        WriteOutcome::Conflict { existing: Some(_) }
    ));
    assert_eq!(store.put(&table, &second, &tag("t1")).await.unwrap(), WriteOutcome::Done);
    let read = store.get(&table, &key_of_item(&table, &first)).await.unwrap().unwrap();
    assert_eq!(read[BOOKKEEPING], second[BOOKKEEPING]);
}

#[tokio::test]
async fn a_delete_succeeds_only_on_the_expected_tag() {
    let (store, table) = store_with_orders().await;
    let it = item("a", 1, Some("t1"));
    let key = key_of_item(&table, &it);
    assert_eq!(store.delete(&table, &key, &Expect::Absent).await.unwrap(), WriteOutcome::Done);
    assert_eq!(
        store.delete(&table, &key, &tag("t1")).await.unwrap(),
        WriteOutcome::Conflict { existing: None }
    );
    store.put(&table, &it, &Expect::Absent).await.unwrap();
    for expect in [Expect::Absent, Expect::Untagged, tag("t9")] {
        let outcome = store.delete(&table, &key, &expect).await.unwrap();
        assert!(matches!(outcome, WriteOutcome::Conflict { existing: Some(_) }), "{expect:?}");
    }
    assert_eq!(store.delete(&table, &key, &tag("t1")).await.unwrap(), WriteOutcome::Done);
    assert_eq!(store.get(&table, &key).await.unwrap(), None);
}

#[tokio::test]
async fn a_transaction_passes_as_a_whole_or_says_what_stood_in_the_way() {
    let (store, table) = store_with_orders().await;
    let (mut old, mut new) = (item("ann", 1, Some("t1")), item("ann", 2, Some("t2")));
    for item in [&mut old, &mut new] {
        // As it is given back.
        item.insert("total".to_owned(), Attribute::N("12".into()));
    }
    store.put(&table, &old, &Expect::Absent).await.unwrap();
    let keys = [key_of_item(&table, &old), key_of_item(&table, &new)];
    let (absent, t1, t0) = (Expect::Absent, tag("t1"), tag("t0"));
    let delete = |expect| TransactWrite { table: &table, key: &keys[0], item: None, expect };
    let put = TransactWrite { table: &table, key: &keys[1], item: Some(&new), expect: &absent };
    let refused = store.transact(&[put, delete(&t0)], "one").await.unwrap();
    assert_eq!(refused, TransactOutcome::Refused(vec![(1, Some(old))]));
    assert_eq!(store.get(&table, &keys[1]).await.unwrap(), None);
    for _ in 0..2 {
        // The same request again is the same transaction.
        let done = store.transact(&[put, delete(&t1)], "two").await.unwrap();
        assert_eq!(done, TransactOutcome::Done);
    }
    assert_eq!(store.get(&table, &keys[0]).await.unwrap(), None);
    assert_eq!(store.get(&table, &keys[1]).await.unwrap(), Some(new));
}

#[tokio::test]
async fn items_without_our_bookkeeping_count_as_untagged() {
    let (store, table) = store_with_orders().await;
    let foreign = item("a", 1, None);
    let mut odd = item("b", 1, None);
    odd.insert(BOOKKEEPING.to_owned(), Attribute::S("not a map".into()));
    for it in [foreign, odd] {
        assert!(matches!(
            store.put(&table, &it, &Expect::Untagged).await.unwrap(),
            WriteOutcome::Conflict { existing: None }
        ));
        store.put(&table, &it, &Expect::Absent).await.unwrap();
        let key = key_of_item(&table, &it);
        assert!(matches!(
            store.put(&table, &it, &tag("t1")).await.unwrap(),
            WriteOutcome::Conflict { existing: Some(_) }
        ));
        assert_eq!(
            store.delete(&table, &key, &Expect::Untagged).await.unwrap(),
            WriteOutcome::Done
        );
    }
}

#[tokio::test]
async fn every_attribute_type_is_stored_and_read_back() {
    let (store, table) = store_with_orders().await;
    let mut it = item("a", 1, Some("t"));
    it.insert("b".into(), Attribute::B(vec![0, 1, 255]));
    it.insert("bool".into(), Attribute::Bool(true));
    it.insert("null".into(), Attribute::Null);
    it.insert("l".into(), Attribute::L(vec![Attribute::Null, Attribute::S(String::new())]));
    it.insert("ss".into(), Attribute::SS(BTreeSet::from(["x".into(), "y".into()])));
    it.insert("ns".into(), Attribute::NS(BTreeSet::from(["1".into(), "2".into()])));
    it.insert("bs".into(), Attribute::BS(BTreeSet::from([vec![1], vec![2]])));
    store.put(&table, &it, &Expect::Absent).await.unwrap();
    let mut read = store.get(&table, &key_of_item(&table, &it)).await.unwrap().unwrap();
    // DynamoDB drops trailing zeros of numbers.
    assert_eq!(read.insert("total".into(), it["total"].clone()), Some(Attribute::N("12.5".into())));
    assert_eq!(read, it);
}

#[tokio::test]
async fn a_scan_pages_through_every_item_once() {
    let (store, table) = store_with_orders().await;
    for number in 0..25 {
        let mut it = item(&format!("p{number}"), number, Some("t"));
        it.insert("fill".into(), Attribute::S("x".repeat(100_000)));
        store.put(&table, &it, &Expect::Absent).await.unwrap();
    }
    let mut seen = BTreeSet::new();
    let mut pages = 0;
    for segment in 0..2 {
        let mut from = None;
        loop {
            let page = store.scan(&table, from, (segment, 2)).await.unwrap();
            pages += 1;
            seen.extend(page.items.iter().map(|item| key_of_item(&table, item)));
            match page.next {
                None => break,
                next => from = next,
            }
        }
    }
    assert_eq!(seen.len(), 25);
    assert!(pages > 2, "2.5 MB do not fit into one page a segment");
}

#[tokio::test]
async fn a_created_table_is_described_as_planned() {
    let (store, table) = store_with_orders().await;
    let existing = store.describe("Orders").await.unwrap().unwrap();
    assert_eq!(existing.table.name, "t-Orders");
    assert!(existing.is_active());
    assert_eq!(difference(&table, &existing), Vec::<String>::new());
    assert_eq!(billing_note(Billing::OnDemand, &existing), None);
    assert_eq!(store.describe("Nothing").await.unwrap(), None);
    let again = CreateTable { name: "t-Orders".into(), table, billing: Billing::OnDemand };
    assert_eq!(store.create(&again).await.unwrap().table, existing.table);
}

#[tokio::test]
async fn differences_name_keys_types_indexes_and_projections() {
    let (store, mut table) = store_with_orders().await;
    let existing = store.describe("Orders").await.unwrap().unwrap();
    table.sk = Some(key("sk", AttributeType::S));
    table.indexes[0].projection = Projection::All;
    table.indexes.push(SecondaryIndex { name: "by_day".into(), ..table.indexes[0].clone() });
    assert_eq!(
        difference(&table, &existing),
        [
            "sort key is sk (N), the contract wants sk (S)",
            "index by_customer: projection is INCLUDE (total), the contract wants ALL",
            "index by_day: missing",
        ]
    );
    let faults = store.tables_ready(&[table]).await.unwrap();
    assert_eq!(faults.len(), 3);
}

#[tokio::test]
async fn provisioned_capacity_is_created_and_noted() {
    let store = store().await;
    let billing = Billing::Provisioned { read: 5, write: 7 };
    let wanted = plan(&[orders()], "t-", billing).remove(0);
    assert_eq!(
        wanted.to_json()["GlobalSecondaryIndexes"][0]["ProvisionedThroughput"]["WriteCapacityUnits"],
        7
    );
    let existing = store.create(&wanted).await.unwrap();
    assert_eq!(existing.billing, billing);
    assert!(billing_note(Billing::OnDemand, &existing).is_some());
}

#[tokio::test]
async fn the_permission_probe_changes_nothing() {
    let (store, table) = store_with_orders().await;
    assert_eq!(store.missing_permissions(std::slice::from_ref(&table)).await.unwrap(), []);
    assert!(store.scan(&table, None, (0, 1)).await.unwrap().items.is_empty());
}

#[tokio::test]
async fn a_missing_table_is_rejected_and_a_dead_endpoint_is_transient() {
    let store = store().await;
    let error = store.put(&orders(), &item("a", 1, None), &Expect::Absent).await.unwrap_err();
    assert!(
        matches!(&error, StoreError::Rejected { code, .. } if code == "ResourceNotFoundException"),
        "{error}"
    );
    store.close().await;
    let error = store.put(&orders(), &item("a", 1, None), &Expect::Absent).await.unwrap_err();
    assert!(matches!(error, StoreError::Transient { .. }), "{error}");
}

#[tokio::test]
async fn an_engine_with_a_file_keeps_its_items() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("deep/items.db");
    let settings = settings(Endpoint::Embedded { file: Some(file) });
    let table = orders();
    let it = item("a", 1, Some("t"));
    for round in 0..2 {
        let store = Store::connect(&settings, Arc::new(Metrics::new())).await.unwrap();
        if round == 0 {
            store
                .create(&plan(std::slice::from_ref(&table), "t-", Billing::OnDemand)[0])
                .await
                .unwrap();
            store.put(&table, &it, &Expect::Absent).await.unwrap();
        } else {
            assert!(store.get(&table, &key_of_item(&table, &it)).await.unwrap().is_some());
        }
        store.close().await;
    }
}

/// Answers every request with one canned response and counts the requests.
async fn canned(status: &'static str, body: &'static str) -> (Store, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let requests = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&requests);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            read_request(&mut stream);
            counter.fetch_add(1, Ordering::SeqCst);
            let answer = format!(
                "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    let settings = settings(Endpoint::Url(url));
    (Store::connect(&settings, Arc::new(Metrics::new())).await.unwrap(), requests)
}

/// Reads to the end of the body: closing with unread bytes would reset the connection.
fn read_request(stream: &mut TcpStream) {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
    }
    reader.read_exact(&mut vec![0; length]).unwrap();
}

async fn put_against(status: &'static str, body: &'static str) -> StoreError {
    let (store, requests) = canned(status, body).await;
    let error = store.put(&orders(), &item("a", 1, None), &Expect::Absent).await.unwrap_err();
    assert_eq!(requests.load(Ordering::SeqCst), 1, "retries belong to the caller");
    error
}

#[tokio::test]
async fn errors_are_told_apart_by_code_and_status() {
    for (status, body) in [
        ("400 Bad Request", r#"{"__type":"com.amazonaws.dynamodb.v20120810#ThrottlingException"}"#),
        ("400 Bad Request", r#"{"__type":"x#ProvisionedThroughputExceededException"}"#),
        ("500 Internal Server Error", r#"{"__type":"x#InternalServerError"}"#),
        ("503 Service Unavailable", "<html>not JSON</html>"),
    ] {
        let error = put_against(status, body).await;
        assert!(matches!(error, StoreError::Transient { .. }), "{body}: {error}");
    }
    let error = put_against(
        "400 Bad Request",
        r#"{"__type":"com.amazon.coral.validate#ValidationException","message":"no"}"#,
    )
    .await;
    assert!(
        matches!(&error, StoreError::Rejected { code, .. } if code == "ValidationException"),
        "{error}"
    );
}

#[tokio::test]
async fn denied_actions_are_listed() {
    let body = r#"{"__type":"com.amazon.coral.service#AccessDeniedException","Message":"no"}"#;
    let (store, _) = canned("400 Bad Request", body).await;
    let missing = store.missing_permissions(&[orders()]).await.unwrap();
    let actions: Vec<&str> = missing.iter().map(|missing| missing.action).collect();
    let wanted: Vec<&str> = IAM_ACTIONS
        .iter()
        .map(|(action, _)| *action)
        // Segue runs without them.
        .filter(|action| !["dynamodb:PartiQLInsert", "dynamodb:CreateTable"].contains(action))
        .collect();
    assert_eq!(actions, wanted);
}

#[tokio::test]
async fn an_endpoint_by_url_needs_no_credentials() {
    let embedded = store().await;
    let settings = settings(Endpoint::Url(embedded.endpoint_url().to_owned()));
    let store = Store::connect(&settings, Arc::new(Metrics::new())).await.unwrap();
    assert_eq!(store.describe("Nothing").await.unwrap(), None);
}
