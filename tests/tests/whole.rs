//! Whole transactions: a reader of DynamoDB sees all items of one or none, and what is said where that cannot
//! be held.
//! Never here: which keys belong together (see `segue_rules::owed`).
#![allow(clippy::unwrap_used, reason = "all of this crate is a test")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws_sdk_dynamodb::types::{AttributeValue, Get, TransactGetItem};
use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use segue_tests::harness::{Items, Server};
use segue_tests::on_each_server;
use segue_tests::scene::{Scene, Script};
use serde_json::json;
use tokio::time::{Instant, sleep};

const SCHEMA: &str = "CREATE TABLE account (id INT PRIMARY KEY, owner VARCHAR(20) NOT NULL UNIQUE,
      balance INT NOT NULL);
    CREATE TABLE entry (id INT PRIMARY KEY, account INT NOT NULL, amount INT NOT NULL)";
/// The entry's item key is no function of its row's key: it moves with the account.
const CONTRACT: &str = r#"[{ "table": "Accounts", "type": "Table", "source_table": "account", "pk": "Id",
  "attributes": {
    "Id": { "type": "N", "source_table": "account", "source_column": "id" },
    "Balance": { "type": "N", "source_table": "account", "source_column": "balance" } },
  "satisfies": ["get an account"], "estimated_item_size_bytes": 100 },
 { "table": "Entries", "type": "Table", "source_table": "entry", "pk": "Account", "sk": "Id",
  "attributes": {
    "Account": { "type": "N", "source_table": "entry", "source_column": "account" },
    "Id": { "type": "N", "source_table": "entry", "source_column": "id" },
    "Amount": { "type": "N", "source_table": "entry", "source_column": "amount" } },
  "satisfies": ["entries of an account"], "estimated_item_size_bytes": 100 }]"#;

const FAULTS: &str = "[faults]\ninjection = \"on\"\n";
/// Something is expected to happen soon, on a busy machine.
const SOON: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(20);

const BALANCE: i64 = 1_000;

async fn open(server: &Server, accounts: u32, whole: bool) -> Scene {
    let script = Script {
        name: "whole",
        schema: SCHEMA,
        contract: CONTRACT,
        phases: "default = \"dual-write\"\n",
    };
    let mut scene = Scene::open_with(server, script, |config| {
        config.whole_transactions = whole;
        config.more = FAULTS.to_owned();
    })
    .await
    .unwrap();
    let rows: Vec<String> = (0..accounts).map(|id| format!("({id}, 'o{id}', {BALANCE})")).collect();
    scene.run(&format!("INSERT INTO account VALUES {}", rows.join(","))).await;
    scene.settle().await.unwrap();
    scene
}

async fn transfer(client: &mut Conn, from: u32, to: u32) {
    client.query_drop("BEGIN").await.unwrap();
    // In order of their ids: no two transfers wait for each other.
    for (id, amount) in BTreeMap::from([(from, -1), (to, 1)]) {
        let sql = format!("UPDATE account SET balance = balance + {amount} WHERE id = {id}");
        client.query_drop(sql).await.unwrap();
    }
    client.query_drop("COMMIT").await.unwrap();
}

/// What a reader sees of these accounts at one moment; `None`: DynamoDB had no time for it.
async fn balances(items: &Items, accounts: u32) -> Option<Vec<i64>> {
    let get = |id: u32| {
        let key = AttributeValue::N(id.to_string());
        let get = Get::builder().table_name("Accounts").key("Id", key).build().unwrap();
        TransactGetItem::builder().get(get).build()
    };
    let gets = (0..accounts).map(get).collect();
    let answer = items.client().transact_get_items().set_transact_items(Some(gets));
    let answer = answer.send().await.ok()?;
    let balance = |item: &aws_sdk_dynamodb::types::ItemResponse| {
        item.item().map_or(0, |item| item["Balance"].as_n().unwrap().parse().unwrap())
    };
    Some(answer.responses().iter().map(balance).collect())
}

/// Transactions written so.
async fn written(scene: &Scene, outcome: &str) -> u64 {
    let metrics = scene.segue.metrics().await.unwrap();
    let name = format!("segue_transactions_total{{outcome=\"{outcome}\"}} ");
    let line = metrics.lines().find_map(|line| line.strip_prefix(&name));
    line.unwrap_or_else(|| panic!("{metrics}")).parse().unwrap()
}

async fn faults_become(scene: &Scene, least: f64) {
    let begin = Instant::now();
    while scene.segue.metric("segue_faults_injected_total").await.unwrap() < least {
        assert!(begin.elapsed() < SOON, "{}", scene.segue.log());
        sleep(PAUSE).await;
    }
}

/// Every row has its item and the other way round, and the books balance.
async fn expect_converged(scene: &mut Scene) {
    if let Err(error) = scene.settle().await {
        panic!("{error}\n{}", scene.segue.get("/api/owed").await.unwrap());
    }
    let rows: Vec<(u32, i64)> =
        scene.client.query("SELECT id, balance FROM account").await.unwrap();
    let rows: BTreeSet<String> = rows.iter().map(|(id, sum)| format!("{id}={sum}")).collect();
    let items = scene.shown("Accounts", "Id", "Balance").await.unwrap();
    assert_eq!(items.into_iter().collect::<BTreeSet<_>>(), rows, "{}", scene.segue.log());
    let rows: Vec<(u32, u32, i64)> =
        scene.client.query("SELECT id, account, amount FROM entry").await.unwrap();
    let rows: BTreeSet<String> = rows.iter().map(|(id, of, _)| format!("{of}={id}")).collect();
    let items = scene.shown("Entries", "Account", "Id").await.unwrap();
    assert_eq!(items.into_iter().collect::<BTreeSet<_>>(), rows, "{}", scene.segue.log());
    let report = scene.segue.get("/api/owed").await.unwrap();
    for table in report["tables"].as_array().unwrap() {
        let of = |name: &str| table[name].as_u64().unwrap();
        assert_eq!((of("seen"), of("owed")), (of("applied") + of("superseded"), 0), "{table}");
    }
}

/// One account's partition turns writes away, and so shows what is written without it.
async fn half_a_transfer(server: &Server, whole: bool) -> Vec<i64> {
    let mut scene = open(server, 2, whole).await;
    scene.segue.set_faults("[[rule]]\nkind = \"throttle\"\npartition = \"Id=1\"\n").await.unwrap();
    transfer(&mut scene.client, 0, 1).await;
    faults_become(&scene, 3.0).await;
    let begin = Instant::now();
    let seen = loop {
        let seen = balances(&scene.items, 2).await.unwrap();
        // The first half may still be on its way.
        if whole || seen.iter().sum::<i64>() != 2 * BALANCE || begin.elapsed() > SOON {
            break seen;
        }
        sleep(PAUSE).await;
    };
    scene.segue.set_faults("").await.unwrap();
    expect_converged(&mut scene).await;
    assert_eq!(balances(&scene.items, 2).await.unwrap(), [BALANCE - 1, BALANCE + 1]);
    seen
}

async fn one_by_one_a_half_shows(server: &Server) {
    assert_eq!(half_a_transfer(server, false).await, [BALANCE - 1, BALANCE]);
}

async fn a_transaction_that_cannot_be_written_whole_yet_does_not_show(server: &Server) {
    assert_eq!(half_a_transfer(server, true).await, [BALANCE, BALANCE]);
}

async fn a_reader_never_sees_half_a_transfer(server: &Server) {
    const ACCOUNTS: u32 = 6;
    const CLIENTS: u32 = 4;
    const TRANSFERS: u32 = 125;
    let mut scene = open(server, ACCOUNTS, true).await;
    let before = written(&scene, "whole").await;
    let mut clients = Vec::new();
    for number in 0..CLIENTS {
        let mut client = scene.another_client().await.unwrap();
        clients.push(tokio::spawn(async move {
            for turn in 0..TRANSFERS {
                let from = (number + turn) % ACCOUNTS;
                let to = (from + 1 + turn % (ACCOUNTS - 1)) % ACCOUNTS;
                transfer(&mut client, from, to).await;
            }
        }));
    }
    let (mut reads, mut halves) = (0, Vec::new());
    let mut known = BTreeSet::new();
    loop {
        let last = clients.iter().all(|client| client.is_finished());
        if last {
            scene.settle().await.unwrap();
        }
        if let Some(seen) = balances(&scene.items, ACCOUNTS).await {
            reads += 1;
            if seen.iter().sum::<i64>() != i64::from(ACCOUNTS) * BALANCE {
                halves.push(seen.clone());
            }
            known.insert(seen);
        }
        if last {
            break;
        }
    }
    for client in clients {
        client.await.unwrap();
    }
    expect_converged(&mut scene).await;
    let torn = written(&scene, "torn").await;
    let whole = written(&scene, "whole").await - before;
    println!("{reads} reads, {} states, {whole} whole, {torn} torn", known.len());
    // On a machine that hardly gets to it, a transaction may be torn; then it says so.
    assert!(torn > 0 || halves.is_empty(), "{halves:?}\n{}", scene.segue.log());
    assert_eq!(whole + torn, u64::from(CLIENTS * TRANSFERS));
    assert!(whole > torn, "{whole} whole, {torn} torn");
}

/// Old item keys go in the same moment in which the new ones come.
async fn a_moved_item_never_shows_twice(server: &Server) {
    let mut scene = open(server, 2, true).await;
    scene.run("INSERT INTO entry VALUES (1, 0, 5), (2, 1, 7)").await;
    scene.settle().await.unwrap();
    let script = "[[rule]]\nkind = \"unavailable\"\noperation = [\"DeleteItem\", \"PutItem\"]\n";
    scene.segue.set_faults(script).await.unwrap();
    // They change places, and one is replaced under its key.
    scene.run("UPDATE entry SET account = 1 - account WHERE id < 9").await;
    scene.run("BEGIN").await;
    scene.run("DELETE FROM account WHERE id = 1").await;
    scene.run("INSERT INTO account VALUES (7, 'o1', 3)").await;
    scene.run("DELETE FROM entry WHERE id = 2").await;
    scene.run("COMMIT").await;
    expect_converged(&mut scene).await;
    assert_eq!(scene.shown("Entries", "Account", "Id").await.unwrap(), ["1=1"]);
    assert_eq!(scene.shown("Accounts", "Id", "Balance").await.unwrap(), ["0=1000", "7=3"]);
}

async fn beyond_the_limit_it_is_split_and_marked(server: &Server) {
    let mut scene = open(server, 250, true).await;
    assert_eq!((written(&scene, "whole").await, written(&scene, "split").await), (0, 1));
    scene.run("UPDATE account SET balance = balance + 1 WHERE id < 60").await;
    expect_converged(&mut scene).await;
    assert_eq!((written(&scene, "whole").await, written(&scene, "split").await), (1, 1));
    assert_eq!(written(&scene, "torn").await, 0);
    let scan = scene.items.client().scan().table_name("Accounts").consistent_read(true);
    let (mut parts, mut ids, mut unmarked) = (BTreeMap::new(), BTreeSet::new(), 0);
    for item in scan.send().await.unwrap().items() {
        let Some(split) = item["_segue"].as_m().unwrap().get("split") else {
            unmarked += 1;
            continue;
        };
        let split = split.as_m().unwrap();
        assert_eq!(split["parts"], AttributeValue::N("3".to_owned()));
        ids.insert(split["id"].as_s().unwrap().clone());
        *parts.entry(split["part"].as_n().unwrap().clone()).or_insert(0) += 1;
    }
    // Those written whole since bear no mark.
    assert_eq!((ids.len(), unmarked, parts.len()), (1, 60, 3), "{parts:?}");
    assert!(scene.segue.log().contains("transactions were not written whole"));
    let report = scene.segue.get("/api/owed").await.unwrap();
    assert_eq!(report["transactions"], json!({"whole": 1, "split": 1, "torn": 0}));
}

async fn conflicts_throttling_and_lost_answers_lose_nothing(server: &Server) {
    let script = ["conflict", "throughput", "answer-lost", "twice", "late", "server-error"]
        .map(|kind| format!("[[rule]]\nkind = \"{kind}\"\nprobability = 0.1\ndelay_ms = 30\n"))
        .concat();
    let mut scene = open(server, 5, true).await;
    scene.segue.set_faults(&script).await.unwrap();
    for turn in 0..60 {
        transfer(&mut scene.client, turn % 5, (turn + 2) % 5).await;
        scene
            .run(&format!("INSERT INTO entry VALUES ({turn}, 1, 1), ({}, 2, 1)", turn + 100))
            .await;
        scene.run(&format!("UPDATE entry SET account = 3 WHERE id IN ({turn}, 100)")).await;
        scene.run(&format!("DELETE FROM entry WHERE id > 100 AND id < {}", turn + 50)).await;
    }
    faults_become(&scene, 20.0).await;
    scene.segue.set_faults("").await.unwrap();
    expect_converged(&mut scene).await;
}

async fn a_row_that_cannot_be_written_holds_up_no_other(server: &Server) {
    let mut scene = open(server, 3, true).await;
    let script = "[[rule]]\nkind = \"throttle\"\npartition = \"Id=2\"\n";
    scene.segue.set_faults(script).await.unwrap();
    scene.run("UPDATE account SET balance = 7 WHERE id > 0").await;
    faults_become(&scene, 2.0).await;
    // Not of that transaction.
    scene.run("UPDATE account SET balance = 9 WHERE id = 0").await;
    let begin = Instant::now();
    while balances(&scene.items, 3).await.unwrap() != [9, BALANCE, BALANCE] {
        assert!(begin.elapsed() < SOON, "{}", scene.segue.log());
        sleep(PAUSE).await;
    }
    scene.segue.set_faults("").await.unwrap();
    expect_converged(&mut scene).await;
    assert_eq!(written(&scene, "torn").await, 0);
}

async fn killed_in_the_middle_it_converges(server: &Server) {
    let mut scene = open(server, 6, true).await;
    let script =
        "[[rule]]\nkind = \"slow\"\noperation = [\"TransactWriteItems\"]\ndelay_ms = 200\n";
    scene.segue.set_faults(script).await.unwrap();
    for turn in 0..40 {
        transfer(&mut scene.client, turn % 6, (turn + 1) % 6).await;
    }
    scene.segue.kill_hard().await.unwrap();
    scene.segue.start_again().await.unwrap();
    scene.client = scene.another_client().await.unwrap();
    expect_converged(&mut scene).await;
    let sum: i64 = balances(&scene.items, 6).await.unwrap().iter().sum();
    assert_eq!(sum, 6 * BALANCE);
}

on_each_server!(one_by_one_a_half_shows, super::one_by_one_a_half_shows);
on_each_server!(
    a_transaction_that_cannot_be_written_whole_yet_does_not_show,
    super::a_transaction_that_cannot_be_written_whole_yet_does_not_show
);
on_each_server!(a_reader_never_sees_half_a_transfer, super::a_reader_never_sees_half_a_transfer);
on_each_server!(a_moved_item_never_shows_twice, super::a_moved_item_never_shows_twice);
on_each_server!(
    beyond_the_limit_it_is_split_and_marked,
    super::beyond_the_limit_it_is_split_and_marked
);
on_each_server!(
    conflicts_throttling_and_lost_answers_lose_nothing,
    super::conflicts_throttling_and_lost_answers_lose_nothing
);
on_each_server!(
    a_row_that_cannot_be_written_holds_up_no_other,
    super::a_row_that_cannot_be_written_holds_up_no_other
);
on_each_server!(killed_in_the_middle_it_converges, super::killed_in_the_middle_it_converges);
