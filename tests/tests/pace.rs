//! Which refresh goes first, and how fast: hot partitions, tables without capacity, tables that are away.
//! Never here: figures (see `bench_lag`), how a pace changes (see `segue_rules::owed`).
#![allow(clippy::unwrap_used, reason = "all of this crate is a test")]

use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts};
use segue_tests::harness::{Database, Engine, Items, Kind, SegueConfig, SegueProcess, Server};
use tokio::time::{Instant, sleep};

const SCHEMA: &str = "CREATE TABLE book (id INT PRIMARY KEY, title VARCHAR(40) NOT NULL);
    CREATE TABLE shelf (id INT PRIMARY KEY, room VARCHAR(40) NOT NULL)";
const CONTRACT: &str = r#"[{ "table": "Books", "type": "Table", "source_table": "book", "pk": "Id",
  "attributes": {
    "Id": { "type": "N", "source_table": "book", "source_column": "id" },
    "Title": { "type": "S", "source_table": "book", "source_column": "title" } },
  "satisfies": ["get a book"], "estimated_item_size_bytes": 100 },
 { "table": "Shelves", "type": "Table", "source_table": "shelf", "pk": "Id",
  "attributes": {
    "Id": { "type": "N", "source_table": "shelf", "source_column": "id" },
    "Room": { "type": "S", "source_table": "shelf", "source_column": "room" } },
  "satisfies": ["get a shelf"], "estimated_item_size_bytes": 100 }]"#;

/// Something is expected to happen soon, on a busy machine.
const SOON: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(20);
/// Requests a second.
const ASKED_RARELY: f64 = 20.0;

struct Library {
    segue: SegueProcess,
    items: Items,
    client: Conn,
    _engine: Engine,
    database: Database,
}

impl Library {
    async fn open(server: &Server) -> Library {
        let database = server.database("pace", SCHEMA).await.unwrap();
        let engine = Engine::start().await.unwrap();
        let mut config = SegueConfig::new(server, &database, CONTRACT).with_engine(&engine);
        config.more = "[faults]\ninjection = \"on\"\npath = \"faults.toml\"\n".to_owned();
        let segue = SegueProcess::start(&config).await.unwrap();
        let items = Items::at(&engine.endpoint());
        let client = Conn::new(Opts::from_url(&segue.url(&database)).unwrap()).await.unwrap();
        Library { segue, items, client, _engine: engine, database }
    }

    async fn run(&mut self, sql: &str) {
        self.client.query_drop(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    async fn insert(&mut self, table: &str, ids: std::ops::Range<u32>) {
        let rows: Vec<String> = ids.map(|id| format!("({id}, 'x')")).collect();
        self.run(&format!("INSERT INTO {table} VALUES {}", rows.join(","))).await;
    }

    async fn count(&self, table: &str) -> usize {
        self.items.all(table).await.unwrap().len()
    }

    /// Waits until a metric's value fits.
    async fn metric_becomes(&self, name: &str, fits: impl Fn(f64) -> bool) {
        let begin = Instant::now();
        loop {
            let value = self.segue.metric(name).await.unwrap();
            if fits(value) {
                return;
            }
            assert!(begin.elapsed() < SOON, "{name} is {value}\n{}", self.segue.log());
            sleep(PAUSE).await;
        }
    }

    async fn arrive(&self, table: &str, count: usize) {
        let begin = Instant::now();
        while self.count(table).await < count {
            assert!(begin.elapsed() < SOON, "{}", self.segue.log());
            sleep(PAUSE).await;
        }
    }

    async fn settle(&self) {
        let settled = self.segue.settle(SOON).await;
        settled.unwrap_or_else(|error| panic!("{error}\n{}", self.segue.log()));
    }

    /// The ids of a table's items in the order in which they were written, by their own word.
    async fn written(&self, table: &str) -> Vec<String> {
        let mut written = Vec::new();
        let mut start = None;
        loop {
            let scan = self.items.client().scan().table_name(table).consistent_read(true);
            let page = scan.set_exclusive_start_key(start).send().await.unwrap();
            for item in page.items() {
                let at = item["_segue"].as_m().unwrap()["at"].as_s().unwrap().clone();
                written.push((at, item["Id"].as_n().unwrap().clone()));
            }
            start = page.last_evaluated_key().cloned();
            if start.is_none() {
                break;
            }
        }
        written.sort();
        written.into_iter().map(|(_, id)| id).collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hot_partition_delays_no_other_and_does_not_slow_down_its_table() {
    let Some(server) = Server::shared(Kind::MariaDb).await else { return };
    let mut library = Library::open(server).await;
    let script = "[[rule]]\nkind = \"throttle\"\ntable = \"Books\"\npartition = \"Id=1\"\n";
    library.segue.set_faults(script).await.unwrap();
    library.insert("book", 1..2).await;
    library.metric_becomes("segue_partitions_paused", |paused| paused == 1.0).await;
    for first in (2..302).step_by(30) {
        library.run("UPDATE book SET title = CONCAT(title, 'x') WHERE id = 1").await;
        library.insert("book", first..first + 30).await;
    }
    library.arrive("Books", 300).await;
    assert_eq!(library.segue.metric("segue_pace").await.unwrap(), 0.0);
    assert!(library.segue.metric("segue_owed").await.unwrap() > 0.0);
    library.segue.set_faults("").await.unwrap();
    library.settle().await;
    assert_eq!(library.count("Books").await, 301);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_is_away_is_asked_rarely_and_holds_up_no_other() {
    let Some(server) = Server::shared(Kind::MariaDb).await else { return };
    let mut library = Library::open(server).await;
    library
        .segue
        .set_faults("[[rule]]\nkind = \"unavailable\"\ntable = \"Books\"\n")
        .await
        .unwrap();
    library.insert("book", 0..5_000).await;
    library.metric_becomes("segue_pace", |pace| pace > 0.0 && pace < ASKED_RARELY).await;
    let begin = Instant::now();
    let faults = library.segue.metric("segue_faults_injected_total").await.unwrap();
    library.insert("shelf", 0..50).await;
    library.arrive("Shelves", 50).await;
    sleep(Duration::from_secs(2)).await;
    let more = library.segue.metric("segue_faults_injected_total").await.unwrap() - faults;
    let most = ASKED_RARELY * (begin.elapsed().as_secs_f64() + 1.0);
    assert!(more > 0.0 && more < most, "{more} of {most} requests to a table that answers none");
    library.segue.set_faults("").await.unwrap();
    library.settle().await;
    assert_eq!(library.count("Books").await, 5_000);
    library.metric_becomes("segue_pace", |pace| pace == 0.0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_of_now_goes_before_what_has_been_owed_for_long() {
    let Some(server) = Server::shared(Kind::MariaDb).await else { return };
    let mut library = Library::open(server).await;
    // A file: it outlives the process.
    let script = library.segue.folder().join("faults.toml");
    std::fs::write(&script, "[[rule]]\nkind = \"throughput\"\n").unwrap();
    library.metric_becomes("segue_fault_rules", |rules| rules == 1.0).await;
    library.insert("book", 0..5_000).await;
    library.metric_becomes("segue_pace", |pace| pace > 0.0 && pace < 50.0).await;
    library.segue.kill_hard().await.unwrap();
    library.segue.start_again().await.unwrap();
    library.metric_becomes("segue_pace", |pace| pace > 0.0 && pace < 50.0).await;
    let opts = Opts::from_url(&library.segue.url(&library.database)).unwrap();
    library.client = Conn::new(opts).await.unwrap();
    library.segue.set_faults("").await.unwrap();
    library.insert("book", 9_000..9_001).await;
    library.settle().await;
    let written = library.written("Books").await;
    assert_eq!(written.len(), 5_001);
    let place = written.iter().position(|id| id == "9000").unwrap();
    assert!(place < 2_500, "it came as number {place}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sweep_looks_at_its_items_before_it_reads_their_rows() {
    let Some(server) = Server::shared(Kind::MariaDb).await else { return };
    let mut library = Library::open(server).await;
    library.insert("book", 0..300).await;
    library.settle().await;
    // What is known of the items is gone with the process.
    library.segue.stop().await.unwrap();
    library.segue.start_again().await.unwrap();
    let opts = Opts::from_url(&library.segue.url(&library.database)).unwrap();
    library.client = Conn::new(opts).await.unwrap();
    library.run("UPDATE book, (SELECT 1) AS one SET title = 'y' WHERE 1 = 1").await;
    library.settle().await;
    assert_eq!(library.items.having("Books", "Title", "y").await.unwrap().len(), 300);
    let metrics = library.segue.metrics().await.unwrap();
    let calls = |operation: &str, outcome: &str| {
        let labels = format!("{{operation=\"{operation}\",outcome=\"{outcome}\"}} ");
        let line = metrics.lines().find(|line| line.contains(&labels));
        line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or(0)
    };
    assert!(calls("PutItem", "ok") >= 300 && calls("BatchGetItem", "ok") > 0, "{metrics}");
    // Without the look, each of them.
    assert!(calls("PutItem", "conflict") < 30, "{metrics}");
}
