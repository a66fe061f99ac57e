//! DynamoDB is away for longer than what is owed fits into memory, or into the journal.
//! Never here: how fast that is (see `bench_outage`), faults at random (see `chaos`).
#![allow(clippy::unwrap_used, reason = "all of this crate is a test")]

use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts};
use segue_config::limits::ENTRIES_WORKED_ON_MAX;
use segue_tests::harness::{Database, Engine, Items, Kind, SegueConfig, SegueProcess, Server};
use segue_tests::on_each_server;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

const SCHEMA: &str =
    "CREATE TABLE note (id INT PRIMARY KEY AUTO_INCREMENT, body VARCHAR(200) NOT NULL);
                      CREATE TABLE tag (name VARCHAR(40) PRIMARY KEY, uses INT NOT NULL DEFAULT 0)";
const CONTRACT: &str = r#"[
  { "table": "Notes", "type": "Table", "source_table": "note", "pk": "Id",
    "attributes": {
      "Id": { "type": "N", "source_table": "note", "source_column": "id" },
      "Body": { "type": "S", "source_table": "note", "source_column": "body" } },
    "satisfies": ["get a note"], "estimated_item_size_bytes": 100 },
  { "table": "Tags", "type": "Table", "source_table": "tag", "pk": "Name",
    "attributes": {
      "Name": { "type": "S", "source_table": "tag", "source_column": "name" },
      "Uses": { "type": "N", "source_table": "tag", "source_column": "uses" } },
    "satisfies": ["get a tag"], "estimated_item_size_bytes": 100 }]"#;

const CLIENTS: u64 = 8;
/// Rows of one statement that makes many.
const ROWS: u64 = 500;
/// More tags than entries of one table are worked on from memory.
const TAGS: u64 = ENTRIES_WORKED_ON_MAX + 100;
/// Tags that are written again and again.
const HOT_TAGS: u64 = 50;
/// Statements of each client on each table.
const WRITES: u64 = 40;
/// What is owed is paid by then, on a busy machine.
const SETTLE: Duration = Duration::from_secs(180);
const PAUSE: Duration = Duration::from_millis(50);

struct Stage {
    segue: SegueProcess,
    items: Items,
    engine: Engine,
    database: Database,
}

impl Stage {
    async fn set(server: &Server, change: impl FnOnce(&mut SegueConfig)) -> Stage {
        let database = server.database("outage", SCHEMA).await.unwrap();
        let engine = Engine::start().await.unwrap();
        let mut config = SegueConfig::new(server, &database, CONTRACT).with_engine(&engine);
        change(&mut config);
        let segue = SegueProcess::start(&config).await.unwrap();
        let items = Items::at(&engine.endpoint());
        let stage = Stage { segue, items, engine, database };
        let tags: Vec<String> = (0..TAGS).map(|number| format!("('tag{number}')")).collect();
        let sql = format!("INSERT INTO tag (name) VALUES {}", tags.join(","));
        stage.client().await.query_drop(sql).await.unwrap();
        stage
    }

    async fn client(&self) -> Conn {
        Conn::new(Opts::from_url(&self.segue.url(&self.database)).unwrap()).await.unwrap()
    }

    /// Every client runs its statements; none may fail.
    async fn write(&self, statements: impl Fn(u64) -> Vec<String>) {
        let mut running = Vec::new();
        for number in 0..CLIENTS {
            let (mut client, statements) = (self.client().await, statements(number));
            running.push(tokio::spawn(async move {
                for sql in statements {
                    client.query_drop(&sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
                }
            }));
        }
        for client in running {
            client.await.unwrap();
        }
    }

    async fn run(&self, statements: Vec<String>) {
        let mut client = self.client().await;
        for sql in statements {
            client.query_drop(&sql).await.unwrap();
        }
    }

    async fn owed(&self) -> Value {
        let report = self.segue.get("/api/owed").await.unwrap();
        for table in report["tables"].as_array().unwrap() {
            let count = |name: &str| table[name].as_u64().unwrap();
            let ended = count("applied") + count("superseded");
            assert_eq!(count("seen"), ended + count("owed"), "{report}");
        }
        report
    }

    async fn owes(&self, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let begin = Instant::now();
        loop {
            let report = self.owed().await;
            if holds(&report) {
                return report;
            }
            assert!(begin.elapsed() < SETTLE, "not {what}: {report}\n{}", self.segue.log());
            sleep(PAUSE).await;
        }
    }

    /// Nothing is owed any more, and every item is as its row.
    async fn converges(&self) {
        let settled = self.segue.settle(SETTLE).await;
        settled.unwrap_or_else(|error| panic!("{error}\n{}", self.segue.log()));
        let report = self.owes("paid", |report| sum(report, "owed") == 0).await;
        assert_eq!(report["on_disk"], 0, "{report}");
        let mut direct = Conn::new(Opts::from_url(&self.database.url).unwrap()).await.unwrap();
        let notes: Vec<(u64, String)> = direct.query("SELECT id, body FROM note").await.unwrap();
        let tags: Vec<(String, u64)> = direct.query("SELECT name, uses FROM tag").await.unwrap();
        let notes = notes.into_iter().map(|(id, body)| json!({"Body": body, "Id": id}));
        let tags = tags.into_iter().map(|(name, uses)| json!({"Name": name, "Uses": uses}));
        self.equal("Notes", notes.collect()).await;
        self.equal("Tags", tags.collect()).await;
    }

    async fn equal(&self, table: &str, mut rows: Vec<Value>) {
        rows.sort_by_key(Value::to_string);
        let items = self.items.all(table).await.unwrap();
        let differs = rows.iter().zip(&items).find(|(row, item)| row != item);
        assert_eq!(differs, None, "{table}");
        assert_eq!(rows.len(), items.len(), "{table}");
    }
}

fn sum(report: &Value, name: &str) -> u64 {
    report["tables"].as_array().unwrap().iter().map(|table| table[name].as_u64().unwrap()).sum()
}

/// New notes, whose keys only MySQL's answers tell, and tags used again and again.
fn notes_and_tags(client: u64, count: u64) -> Vec<String> {
    let both = |number: u64| {
        let tag = (client * 7 + number) % HOT_TAGS;
        [
            format!("INSERT INTO note (body) VALUES ('{client}.{number}')"),
            format!("UPDATE tag SET uses = uses + 1 WHERE name = 'tag{tag}'"),
        ]
    };
    (0..count).flat_map(both).collect()
}

/// Statements that insert notes by the hundred.
fn many_notes(count: u64) -> Vec<String> {
    let statement = |number: u64| {
        let first = 1_000_000 + number * ROWS;
        let rows: Vec<String> = (first..first + ROWS).map(|id| format!("({id}, 'many')")).collect();
        format!("INSERT INTO note (id, body) VALUES {}", rows.join(","))
    };
    (0..count).map(statement).collect()
}

/// All tags but one: rows that a predicate chooses, so that each is owed by itself.
fn most_tags(but: u64) -> String {
    format!("UPDATE tag SET uses = uses + 5 WHERE name <> 'tag{but}'")
}

fn of_table<'a>(report: &'a Value, table: &str) -> &'a Value {
    report["tables"].as_array().unwrap().iter().find(|found| found["table"] == table).unwrap()
}

on_each_server!(an_outage_longer_than_memory_loses_nothing, |server: &'static Server| async move {
    let stage = Stage::set(server, |_| {}).await;
    stage.converges().await;
    stage.engine.stop().await.unwrap();
    // More of each table than is worked on from memory, then many small ones.
    let statements = ENTRIES_WORKED_ON_MAX / ROWS + 1;
    stage.run(many_notes(statements)).await;
    stage.run(vec![most_tags(1)]).await;
    stage.owes("looked up", |report| report["expanding"] == 0).await;
    stage.write(|client| notes_and_tags(client, WRITES)).await;
    let report = stage.owes("looked up", |report| report["expanding"] == 0).await;
    let (notes, tags) = (of_table(&report, "note"), of_table(&report, "tag"));
    let single = CLIENTS * WRITES;
    assert_eq!(notes["owed"].as_u64(), Some(statements * ROWS + single), "{report}");
    assert_eq!(notes["on_disk"].as_u64(), Some(single), "{report}");
    let merged = (1..=HOT_TAGS).contains(&tags["on_disk"].as_u64().unwrap());
    assert!(merged, "the same tags again and again: {report}");
    assert_eq!(report["on_disk"].as_u64(), Some(single + tags["on_disk"].as_u64().unwrap()));

    // What waits on disk only is owed by the next process, too.
    stage.segue.kill_hard().await.unwrap();
    stage.segue.start_again().await.unwrap();
    let owed = sum(&stage.owed().await, "owed");
    assert!(owed >= sum(&report, "owed"), "{owed}, and before {report}");
    stage.write(|client| notes_and_tags(client, 5)).await;
    stage.run(vec!["DELETE FROM note WHERE id % 100 = 3".to_owned()]).await;
    stage.engine.restart().await.unwrap();
    stage.converges().await;
});

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_journal_owes_sweeps_and_refuses_no_write() {
    let Some(server) = Server::shared(Kind::MariaDb).await else { return };
    let small = ("SEGUE_JOURNAL_MAX_BYTES".to_owned(), (1 << 20).to_string());
    let stage = Stage::set(server, |config| config.environment.push(small)).await;
    stage.engine.stop().await.unwrap();
    // More than what is worked on from memory, then much that is asked for once.
    stage.run(vec![most_tags(1)]).await;
    let some = |number| format!("UPDATE tag SET uses = uses + 1 WHERE name LIKE 'tag{number}%'");
    stage.run((1..30).map(some).collect()).await;
    stage.write(|client| notes_and_tags(client, WRITES)).await;
    let swept = |report: &Value| report["sweeps"].as_array().is_some_and(|list| list.len() == 2);
    let report = stage.owes("swept", swept).await;
    assert_eq!(report["sweeps"][0]["reason"], "journal-full", "{report}");
    let report = stage.owes("looked up", |report| report["expanding"] == 0).await;
    let entries = report["sweeps"][0]["entries"].as_u64();
    assert!(entries <= Some(CLIENTS), "each sweep stands for those before it: {report}");
    let journal = stage.segue.metric("segue_journal_bytes").await.unwrap();
    assert!(journal < f64::from(64 << 20), "{journal} bytes");
    assert_eq!(stage.segue.metric("segue_journal_errors_total").await.unwrap(), 0.0);
    let health = stage.segue.get("/healthz").await.unwrap();
    assert_eq!(health["parts"]["journal"]["ok"], false, "{health}");
    let log = stage.segue.log();
    assert_eq!(log.matches("could not be journaled").count(), 1, "said once: {log}");
    assert!(!stage.segue.folder().join("journal/gaps").exists(), "the sweeps are on disk");

    stage.segue.kill_hard().await.unwrap();
    stage.segue.start_again().await.unwrap();
    stage.engine.restart().await.unwrap();
    stage.converges().await;
}

/// What a bad disk leaves is noticed, and what it may have named is swept.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_record_is_swept_and_a_torn_one_is_not() {
    let Some(server) = Server::shared(Kind::MariaDb).await else { return };
    let stage = Stage::set(server, |_| {}).await;
    stage.converges().await;
    stage.engine.stop().await.unwrap();
    stage.write(|client| notes_and_tags(client, 2)).await;
    stage.segue.kill_hard().await.unwrap();
    let journal = stage.segue.folder().join("journal");
    let mut segments: Vec<_> = std::fs::read_dir(&journal)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
        .collect();
    segments.sort();
    let last = segments.last().unwrap();
    let whole = std::fs::read(last).unwrap();

    // The beginning of a record that a power cut let nobody finish.
    let begun = &whole[..whole.len().min(15)];
    std::fs::write(last, [whole.as_slice(), begun].concat()).unwrap();
    stage.segue.start_again().await.unwrap();
    let report = stage.owed().await;
    assert_eq!(report["sweeps"], json!([]), "{report}");
    assert!(sum(&report, "owed") > 0, "{report}");
    stage.segue.kill_hard().await.unwrap();

    let mut damaged = std::fs::read(last).unwrap();
    let at = damaged.windows(5).position(|window| window == b"entri").unwrap();
    damaged[at] ^= 1;
    std::fs::write(last, damaged).unwrap();
    stage.segue.start_again().await.unwrap();
    let report = stage.owed().await;
    let reasons: Vec<&Value> =
        report["sweeps"].as_array().unwrap().iter().map(|sweep| &sweep["reason"]).collect();
    assert_eq!(reasons, ["journal-damaged", "journal-damaged"], "{report}");
    assert!(stage.segue.log().contains("damaged=true"), "{}", stage.segue.log());
    stage.engine.restart().await.unwrap();
    stage.converges().await;
}
