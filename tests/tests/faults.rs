//! Faults on purpose: where they are refused, how they come and go, and that none of them loses a write
//! or reaches an application.
//! Never here: faults at random (see `chaos`), or what single kinds look like (see `segue::dynamo`).
#![allow(clippy::unwrap_used, reason = "all of this crate is a test")]

use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts};
use segue_tests::harness::{Database, Engine, Items, Kind, SegueConfig, SegueProcess, Server};
use segue_tests::on_each_server;
use segue_tests::stage::{Stage, seed};
use segue_tests::workload::{self, CONTRACT_B, Forms};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

const SCHEMA: &str = "CREATE TABLE book (id INT PRIMARY KEY, title VARCHAR(40) NOT NULL)";
const CONTRACT: &str = r#"[{ "table": "Books", "type": "Table", "source_table": "book", "pk": "Id",
  "attributes": {
    "Id": { "type": "N", "source_table": "book", "source_column": "id" },
    "Title": { "type": "S", "source_table": "book", "source_column": "title" } },
  "satisfies": ["get a book"], "estimated_item_size_bytes": 100 }]"#;

const ALLOWED: &str = "[faults]\ninjection = \"on\"\npath = \"faults.toml\"\n";
/// Something is expected to happen soon, on a busy machine.
const SOON: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(20);

struct Books {
    segue: SegueProcess,
    items: Items,
    client: Conn,
    engine: Engine,
    _database: Database,
}

impl Books {
    async fn open(server: &Server, change: impl FnOnce(&mut SegueConfig)) -> Books {
        let database = server.database("faults", SCHEMA).await.unwrap();
        let engine = Engine::start().await.unwrap();
        let mut config = SegueConfig::new(server, &database, CONTRACT).with_engine(&engine);
        change(&mut config);
        let segue = SegueProcess::start(&config).await.unwrap();
        let items = Items::at(&engine.endpoint());
        let client = Conn::new(Opts::from_url(&segue.url(&database)).unwrap()).await.unwrap();
        Books { segue, items, client, engine, _database: database }
    }

    async fn run(&mut self, sql: &str) {
        self.client.query_drop(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    async fn titles(&self) -> Vec<String> {
        let items = self.items.all("Books").await.unwrap();
        items.iter().map(|item| item["Title"].as_str().unwrap().to_owned()).collect()
    }

    async fn settle(&self) {
        let settled = self.segue.settle(SOON).await;
        settled.unwrap_or_else(|error| panic!("{error}\n{}", self.segue.log()));
    }

    async fn report(&self) -> Value {
        self.segue.get("/api/faults").await.unwrap()
    }

    /// Waits until the report says so.
    async fn becomes(&self, what: &str, holds: impl Fn(&Value) -> bool) {
        let begin = Instant::now();
        loop {
            let report = self.report().await;
            if holds(&report) {
                return;
            }
            assert!(begin.elapsed() < SOON, "not {what}: {report}");
            sleep(PAUSE).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_are_refused_unless_the_settings_allow_them() {
    let Some(server) = Server::shared(Kind::MariaDb).await else { return };
    let books = Books::open(server, |_| {}).await;
    let refused = books.segue.set_faults("[[rule]]\nkind = \"reset\"\n").await.unwrap_err();
    let refused = refused.to_string();
    assert!(refused.contains("409") && refused.contains("faults.injection"), "{refused}");
    assert!(books.segue.get("/api/faults").await.is_err());
    assert!(books.segue.get("/healthz").await.unwrap()["parts"].get("faults").is_none());
    let database = server.database("faults", SCHEMA).await.unwrap();
    let mut config = SegueConfig::new(server, &database, CONTRACT);
    config.more = "[faults]\npath = \"faults.toml\"\n".to_owned();
    let segue = SegueProcess::prepare(&config).unwrap();
    for command in ["serve", "check"] {
        let output = segue.command(&[command]).await.unwrap();
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains("faults.injection = \"on\""), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_script_comes_by_file_or_api_and_shows_while_it_is_in_force() {
    let Some(server) = Server::shared(Kind::MariaDb).await else { return };
    let mut books = Books::open(server, |config| config.more = ALLOWED.to_owned()).await;
    let script = books.segue.folder().join("faults.toml");
    std::fs::write(&script, "[[rule]]\nkind = \"throughput\"\noperation = \"PutItem\"\n").unwrap();
    books.becomes("active", |report| report["active"] == 1).await;
    books.run("INSERT INTO book VALUES (1, 'one')").await;
    books.becomes("used", |report| report["injected"].as_u64() > Some(0)).await;
    let health = books.segue.get("/healthz").await.unwrap();
    assert_eq!(health["status"], "degraded");
    assert_eq!(health["parts"]["faults"]["rules"], 1, "{health}");
    assert!(books.segue.log().contains("FAULTS ARE INJECTED"));
    assert!(books.titles().await.is_empty());
    // A broken script ends the faults that were there.
    std::fs::write(&script, "[[rule]]\nkind = \"thruput\"\n").unwrap();
    books.becomes("ended", |report| report["active"] == 0).await;
    books.settle().await;
    assert_eq!(books.titles().await, ["one"]);
    assert!(books.segue.log().contains("the fault script is refused"));
    let report = books.segue.set_faults("[[rule]]\nkind = \"reset\"\ncount = 2\n").await.unwrap();
    assert_eq!((&report["source"], &report["active"]), (&json!("api"), &json!(1)));
    books.run("INSERT INTO book VALUES (2, 'two')").await;
    books.becomes("over", |report| report["active"] == 0 && report["injected"] == 2).await;
    let broken = books.segue.set_faults("rules = 3").await.unwrap_err().to_string();
    assert!(broken.contains("400") && broken.contains("[[rule]]"), "{broken}");
    books.settle().await;
    assert_eq!(books.titles().await.len(), 2);
    assert!(books.segue.metric("segue_faults_injected_total").await.unwrap() >= 3.0);
}

/// Kinds of faults, each for about every other request.
const KINDS: [&str; 10] = [
    "throttle",
    "throughput",
    "request-limit",
    "conflict",
    "server-error",
    "unavailable",
    "reset",
    "answer-lost",
    "twice",
    "slow",
];

on_each_server!(no_fault_loses_a_write_or_reaches_a_client, |server: &'static Server| async move {
    let allow = |config: &mut SegueConfig| config.more = ALLOWED.to_owned();
    let stage = Stage::set_with(server, CONTRACT_B, "dual-write", seed(), allow).await.unwrap();
    stage.refresh_existing().await.unwrap();
    stage.converged().await.unwrap();
    // Each server gets every other kind: the kinds are DynamoDB's business, not MySQL's.
    let first = usize::from(server.kind() == Kind::MariaDb);
    for (number, kind) in KINDS.iter().enumerate().skip(first).step_by(2) {
        let script = format!(
            "seed = {}\n[[rule]]\nkind = \"{kind}\"\nprobability = 0.5\ndelay_ms = 20\n",
            stage.seed
        );
        stage.segue.set_faults(&script).await.unwrap();
        let mut plan = stage.plan();
        plan.seed = stage.seed.wrapping_add(number as u64);
        plan.transactions = 10;
        // Sweeps would mend what a fault lost.
        plan.forms = Forms::Followed;
        // Any error that MySQL itself did not cause fails the check.
        workload::run(plan).await.unwrap().check().unwrap();
        let report = stage.segue.get("/api/faults").await.unwrap();
        assert!(report["injected"].as_u64() > Some(0), "{kind}: {report}");
        stage.segue.set_faults("").await.unwrap();
        stage.converged().await.unwrap_or_else(|error| panic!("{kind}: {error:#}"));
    }
});

/// A request that its sender has given up arrives after a delete that found nothing to delete.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_create_that_arrives_late_brings_no_row_back() {
    const LATE: Duration = Duration::from_millis(1_500);
    let Some(server) = Server::shared(Kind::MariaDb).await else { return };
    let mut books = Books::open(server, |config| {
        config.more = ALLOWED.to_owned();
        config.late_write_seconds = 3;
    })
    .await;
    let script = format!(
        "[[rule]]\nkind = \"late\"\noperation = \"PutItem\"\ncount = 1\ndelay_ms = {}\n\
         [[rule]]\nkind = \"reset\"\noperation = \"PutItem\"\n",
        LATE.as_millis()
    );
    books.segue.set_faults(&script).await.unwrap();
    let sent = Instant::now();
    books.run("INSERT INTO book VALUES (1, 'late')").await;
    books.becomes("used", |report| report["rules"][0]["injected"] == 1).await;
    books.run("DELETE FROM book").await;
    // Long enough for a sidecar that does not wait for the late one.
    while books.titles().await.is_empty() && sent.elapsed() < LATE * 2 {
        sleep(PAUSE).await;
    }
    books.settle().await;
    assert!(books.titles().await.is_empty(), "the row is gone, its item is back");
}

/// Nothing can be written down, and then the process that knows is killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_and_a_kill_lose_nothing() {
    let Some(server) = Server::shared(Kind::MariaDb).await else { return };
    let mut books = Books::open(server, |config| config.full_disks = true).await;
    books.run("INSERT INTO book VALUES (1, 'one'), (2, 'two')").await;
    books.settle().await;
    books.engine.stop().await.unwrap();
    books.segue.limit_files(Some(0)).await.unwrap();
    for sql in [
        "INSERT INTO book VALUES (3, 'three')",
        "UPDATE book SET title = 'eins' WHERE id = 1",
        "DELETE FROM book WHERE id = 2",
    ] {
        books.run(sql).await;
    }
    assert!(books.segue.metric("segue_journal_errors_total").await.unwrap() > 0.0);
    books.segue.kill_hard().await.unwrap();
    books.engine.restart().await.unwrap();
    books.segue.start_again().await.unwrap();
    books.settle().await;
    let mut titles = books.titles().await;
    titles.sort();
    assert_eq!(titles, ["eins", "three"], "{}", books.segue.log());
}

/// A disk that was full for a while costs nothing later: what was in memory was worked off.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_was_full_once_is_forgotten_when_nothing_is_owed() {
    let Some(server) = Server::shared(Kind::MariaDb).await else { return };
    let mut books = Books::open(server, |config| config.full_disks = true).await;
    books.segue.limit_files(Some(0)).await.unwrap();
    books.run("INSERT INTO book VALUES (1, 'one')").await;
    books.segue.limit_files(None).await.unwrap();
    books.run("INSERT INTO book VALUES (2, 'two')").await;
    books.settle().await;
    assert_eq!(books.titles().await.len(), 2);
    let begin = Instant::now();
    while books.segue.folder().join("journal/gaps").exists() {
        assert!(begin.elapsed() < SOON, "the mark is still there");
        sleep(PAUSE).await;
    }
    books.segue.kill_hard().await.unwrap();
    books.segue.start_again().await.unwrap();
    books.settle().await;
    let log = books.segue.log();
    assert!(!log.contains("a sweep starts"), "{log}");
}
