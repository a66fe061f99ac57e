//! The main promise under a random workload: after it every item equals its rows, none is extra,
//! none is missing, and the books are exact.
//! Never here: faults (see `chaos`).
//!
//! `SEGUE_TEST_SEED` repeats a run, `SEGUE_TEST_TRANSACTIONS` sets its length.

#![allow(clippy::unwrap_used, reason = "all of this crate is a test")]

use segue_tests::harness::{Kind, Server};
use segue_tests::stage::{Stage, seed};
use segue_tests::workload::{self, CONTRACT_A, CONTRACT_B};

/// Concurrent clients.
const CLIENTS: usize = 8;
/// Transactions of one run, over all clients.
const TRANSACTIONS: usize = 10_000;

async fn every_item_follows(kind: Kind, contract: &'static str) {
    let Some(server) = Server::shared(kind).await else { return };
    let stage = Stage::mirrored(server, contract, seed()).await.unwrap();
    let mut plan = stage.plan();
    plan.clients = CLIENTS;
    let total = std::env::var("SEGUE_TEST_TRANSACTIONS").ok().and_then(|text| text.parse().ok());
    plan.transactions = total.unwrap_or(TRANSACTIONS) / CLIENTS;
    let report = workload::run(plan).await.unwrap();
    println!("{}", report.summary());
    report.check().unwrap();
    stage.converged().await.unwrap();
    let count = async |name: &str| stage.segue.metric(name).await.unwrap();
    println!(
        "captured {} keys, {} entries applied, {} superseded, {} refusals",
        count("segue_captured_total").await,
        count("segue_applied_total").await,
        count("segue_superseded_total").await,
        count("segue_refusals_total").await,
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn items_follow_random_transactions_on_mysql_by_dialect_a() {
    every_item_follows(Kind::Mysql97, CONTRACT_A).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn items_follow_random_transactions_on_mysql_by_dialect_b() {
    every_item_follows(Kind::Mysql97, CONTRACT_B).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn items_follow_random_transactions_on_mariadb_by_dialect_a() {
    every_item_follows(Kind::MariaDb, CONTRACT_A).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn items_follow_random_transactions_on_mariadb_by_dialect_b() {
    every_item_follows(Kind::MariaDb, CONTRACT_B).await;
}
