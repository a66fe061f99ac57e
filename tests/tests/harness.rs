//! The harness itself, on real processes.
//! Never here: Segue's behaviour.

#![allow(clippy::unwrap_used, reason = "all of this crate is a test")]

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts};
use segue_tests::harness::{Engine, Kind, Server};
use segue_tests::on_each_server;

async fn first_number(connection: &mut Conn, sql: &str) -> u64 {
    connection.query_first::<u64, _>(sql).await.unwrap().unwrap()
}

on_each_server!(database_is_made_and_filled, |server: &'static Server| async move {
    let schema = "CREATE TABLE t (a INT PRIMARY KEY); INSERT INTO t VALUES (1), (2)";
    let database = server.database("harness", schema).await.unwrap();
    let mut connection = Conn::new(Opts::from_url(&database.url).unwrap()).await.unwrap();
    assert_eq!(first_number(&mut connection, "SELECT COUNT(*) FROM t").await, 2);
});

async fn committed_row_survives(kind: Kind) {
    let Some(server) = Server::own(kind).await else { return };
    let schema = "CREATE TABLE t (a INT PRIMARY KEY)";
    let database = server.database("harness", schema).await.unwrap();
    let mut connection = Conn::new(Opts::from_url(&database.url).unwrap()).await.unwrap();
    connection.query_drop("INSERT INTO t VALUES (7)").await.unwrap();
    server.kill_hard().await.unwrap();
    assert!(connection.query_drop("SELECT 1").await.is_err());
    server.restart().await.unwrap();
    let mut connection = Conn::new(Opts::from_url(&database.url).unwrap()).await.unwrap();
    assert_eq!(first_number(&mut connection, "SELECT a FROM t").await, 7);
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_mysql_keeps_its_committed_rows() {
    committed_row_survives(Kind::Mysql97).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_mariadb_keeps_its_committed_rows() {
    committed_row_survives(Kind::MariaDb).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn engine_stops_and_comes_back() {
    let engine = Engine::start().await.unwrap();
    assert!(reqwest::get(engine.endpoint()).await.is_ok());
    engine.stop().await.unwrap();
    assert!(reqwest::get(engine.endpoint()).await.is_err());
    engine.restart().await.unwrap();
    assert!(reqwest::get(engine.endpoint()).await.is_ok());
    engine.kill_hard().await.unwrap();
    assert!(reqwest::get(engine.endpoint()).await.is_err());
}
