//! Several sidecars on one database, and changes that none of them saw.
//! Never here: broken sidecars (see `broken`), kills (see `chaos`).
#![allow(clippy::unwrap_used, reason = "all of this crate is a test")]

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts};
use segue_tests::harness::{Engine, Items, SegueConfig, SegueProcess, Server, Wire};
use segue_tests::on_each_server;
use segue_tests::stage::{Stage, seed};
use segue_tests::workload::{self, CONTRACT_B, Plan};

/// Transactions of each client.
const TRANSACTIONS: usize = 40;
/// Longest wait until the second sidecar owes nothing.
const SETTLE_LIMIT: std::time::Duration = std::time::Duration::from_secs(180);

on_each_server!(
    items_follow_transactions_through_two_sidecars,
    |server: &'static Server| async move {
        let stage = Stage::mirrored(server, CONTRACT_B, seed()).await.unwrap();
        let config =
            SegueConfig::new(server, &stage.database, CONTRACT_B).with_engine(&stage.engine);
        let second = SegueProcess::start(&config).await.unwrap();
        let plan = |seed: u64, url: &str| {
            let mut plan = Plan::new(seed, url);
            plan.transactions = TRANSACTIONS;
            plan
        };
        let one = plan(stage.seed, &stage.segue.url(&stage.database));
        let two = plan(stage.seed.wrapping_add(1), &second.url(&stage.database));
        let (one, two) = tokio::join!(workload::run(one), workload::run(two));
        one.unwrap().check().unwrap();
        two.unwrap().check().unwrap();
        second.settle(SETTLE_LIMIT).await.unwrap();
        stage.converged().await.unwrap();
        assert!(second.metric("segue_applied_total").await.unwrap() > 0.0, "both had work");
    }
);

on_each_server!(a_sweep_finds_what_nobody_saw, |server: &'static Server| async move {
    let stage = Stage::mirrored(server, CONTRACT_B, seed()).await.unwrap();
    let mut direct = Conn::new(Opts::from_url(&stage.database.url).unwrap()).await.unwrap();
    for sql in [
        "UPDATE account SET name = CONCAT('unseen ', id)",
        "UPDATE account SET email = CONCAT('unseen-', id, '@x.org') WHERE id % 2 = 0",
        "DELETE FROM purchase_line WHERE line_no % 2 = 0",
        "DELETE FROM remark WHERE id % 3 = 0",
    ] {
        direct.query_drop(sql).await.unwrap();
    }
    direct.disconnect().await.unwrap();
    assert!(!stage.differences().await.unwrap().is_empty(), "the changes show");
    stage.refresh_existing().await.unwrap();
    stage.converged().await.unwrap();
});

const ORDERS: &str = "CREATE TABLE buyer (id INT PRIMARY KEY, email VARCHAR(40) NOT NULL); \
    CREATE TABLE bill (number INT PRIMARY KEY, buyer_id INT NOT NULL)";

/// A bill's item stands under its buyer's e-mail address.
const ORDERS_CONTRACT: &str = r#"{ "tables": [{ "table": "Bills", "type": "multi-entity",
  "source_table": "bill", "pk": "PK", "sk": "SK", "entities": [{ "entity_type": "BILL",
  "source_table": "bill", "pk_template": "{email}", "sk_template": "BILL#{number}", "attributes": [
    { "name": "PK", "type": "S", "source_table": "bill", "source_column": "buyer_id",
      "join": { "type": "foreign-key", "target_table": "buyer",
        "join_condition": "buyer.id = bill.buyer_id", "select_column": "buyer.email" },
      "denormalized": true, "justification": "found by its buyer" },
    { "name": "SK", "type": "S", "source_table": "bill", "source_column": "number",
      "transformation": { "type": "string-format", "format": "BILL#{number}" } } ] }] }] }"#;

/// How long the second sidecar's words take to MySQL and back: time for the first one to do its work
/// in between.
const FAR: std::time::Duration = std::time::Duration::from_millis(300);

// One transaction moves the bill to another buyer, one changes the buyer's address. Each reads the old item
// key before the other commits, so neither learns of the key between the two.
on_each_server!(a_key_between_two_commits_leaves_no_item, |server: &'static Server| async move {
    let database = server.database("several", ORDERS).await.unwrap();
    let engine = Engine::start().await.unwrap();
    let config = SegueConfig::new(server, &database, ORDERS_CONTRACT).with_engine(&engine);
    let near = SegueProcess::start(&config).await.unwrap();
    let wire = Wire::to(&server.address()).await.unwrap();
    let mut config = config.clone();
    config.mysql_address = wire.address();
    config.control_url = format!("mysql://root@{}/{}", wire.address(), database.name);
    let far = SegueProcess::prepare(&config).unwrap();
    far.start_again().await.unwrap();
    let connect = async |segue: &SegueProcess| {
        Conn::new(Opts::from_url(&segue.url(&database)).unwrap()).await.unwrap()
    };
    let (mut one, mut other) = (connect(&near).await, connect(&far).await);
    one.query_drop("INSERT INTO buyer VALUES (1, 'ann@x'), (2, 'bob@x')").await.unwrap();
    one.query_drop("INSERT INTO bill VALUES (7, 1)").await.unwrap();
    near.settle(SETTLE_LIMIT).await.unwrap();
    other.query_drop("BEGIN").await.unwrap();
    other.query_drop("UPDATE bill SET buyer_id = 2 WHERE number = 7").await.unwrap();
    wire.delay(FAR);
    let commit = tokio::spawn(async move {
        other.query_drop("COMMIT").await.unwrap();
    });
    // Some of these come between the far one's look at the old item key and its COMMIT's arrival.
    let mut number = 0;
    while !commit.is_finished() {
        let sql = format!("UPDATE buyer SET email = 'ann{number}@x' WHERE id = 1");
        one.query_drop(sql).await.unwrap();
        number += 1;
        tokio::time::sleep(FAR / 10).await;
    }
    commit.await.unwrap();
    wire.delay(std::time::Duration::ZERO);
    far.settle(SETTLE_LIMIT).await.unwrap();
    near.settle(SETTLE_LIMIT).await.unwrap();
    far.settle(SETTLE_LIMIT).await.unwrap();
    let items = Items::at(&engine.endpoint()).all("Bills").await.unwrap();
    let owners: Vec<&str> = items.iter().filter_map(|item| item["PK"].as_str()).collect();
    let swept = far.metric("segue_refusals_total").await.unwrap();
    assert_eq!((owners, swept), (vec!["bob@x"], 0.0), "{}", far.log());
});
