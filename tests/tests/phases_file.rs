//! The phases file of a running sidecar: edits, replacements, SIGHUP, faults, `segue phase`; clients stay
//! connected meanwhile.
//! Never here: the HTTP API (see `http`), or transactions that are open during a change.

#![allow(clippy::unwrap_used, reason = "all of this crate is a test")]

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts};
use segue_tests::harness::{Database, Engine, Items, Kind, SegueConfig, SegueProcess, Server};
use serde_json::{Value, json};

const SCHEMA: &str = "CREATE TABLE book (id INT PRIMARY KEY, title VARCHAR(40) NOT NULL);
    CREATE TABLE note (id INT PRIMARY KEY, title VARCHAR(40) NOT NULL)";

/// Longer than the slow look at files that the watch falls back to.
const TAKEN_OVER: Duration = Duration::from_secs(15);
const SETTLE: Duration = Duration::from_secs(30);

fn contract() -> String {
    let table = |name: &str, source: &str| {
        json!({
            "table": name, "type": "Table", "source_table": source, "pk": "Id",
            "attributes": {
                "Id": {"type": "N", "source_table": source, "source_column": "id"},
                "Title": {"type": "S", "source_table": source, "source_column": "title"},
            },
            "satisfies": ["get one"], "estimated_item_size_bytes": 100,
        })
    };
    json!([table("Books", "book"), table("Notes", "note")]).to_string()
}

struct Library {
    segue: SegueProcess,
    database: Database,
    items: Items,
    _engine: Engine,
}

impl Library {
    async fn open(phases: &str) -> Option<Library> {
        let server = Server::shared(Kind::MariaDb).await?;
        let database = server.database("phases_file", SCHEMA).await.unwrap();
        let engine = Engine::start().await.unwrap();
        let mut config = SegueConfig::new(server, &database, &contract()).with_engine(&engine);
        config.phases = phases.to_owned();
        let segue = SegueProcess::start(&config).await.unwrap();
        let items = Items::at(&engine.endpoint());
        Some(Library { segue, database, items, _engine: engine })
    }

    async fn client(&self) -> Conn {
        Conn::new(Opts::from_url(&self.segue.url(&self.database)).unwrap()).await.unwrap()
    }

    fn file(&self) -> std::path::PathBuf {
        self.segue.folder().join("phases.toml")
    }

    /// Phase of a table as the running sidecar tells it.
    async fn phase(&self, table: &str) -> String {
        let phases = self.segue.get("/api/phases").await.unwrap();
        let tables = phases["tables"].as_array().unwrap();
        let entry = tables.iter().find(|entry| entry["table"] == table).unwrap();
        entry["phase"].as_str().unwrap().to_owned()
    }

    async fn becomes(&self, table: &str, phase: &str) {
        let begin = tokio::time::Instant::now();
        while self.phase(table).await != phase {
            let log = || self.segue.log();
            assert!(begin.elapsed() < TAKEN_OVER, "{table} is not in {phase}:\n{}", log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn reloads(&self, outcome: &str) -> bool {
        let text =
            reqwest::get(self.segue.admin_url("/metrics")).await.unwrap().text().await.unwrap();
        let refused = format!("segue_reloads_total{{file=\"phases\",outcome=\"{outcome}\"}}");
        text.lines().any(|line| line.starts_with(&refused))
    }

    /// Titles of a DynamoDB table, once nothing is owed.
    async fn titles(&self, table: &str) -> Vec<Value> {
        self.segue.settle(SETTLE).await.unwrap();
        self.items.all(table).await.unwrap().iter().map(|item| item["Title"].clone()).collect()
    }
}

/// As editors and configuration managers do.
fn replace(path: &Path, text: &str) {
    let new = path.with_extension("new");
    std::fs::write(&new, text).unwrap();
    std::fs::rename(&new, path).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn edits_and_replacements_flip_the_phase_under_an_open_connection() {
    let Some(library) = Library::open("default = \"mysql-only\"\n").await else { return };
    let mut client = library.client().await;
    let connection: u64 = client.query_first("SELECT CONNECTION_ID()").await.unwrap().unwrap();
    client.query_drop("INSERT INTO book VALUES (1, 'before')").await.unwrap();

    std::fs::write(library.file(), "default = \"mysql-only\"\n[tables]\nbook = \"dual-write\"\n")
        .unwrap();
    library.becomes("book", "dual-write").await;
    assert_eq!(library.phase("note").await, "mysql-only");
    client.query_drop("INSERT INTO book VALUES (2, 'mirrored')").await.unwrap();
    client.query_drop("INSERT INTO note VALUES (1, 'not yet')").await.unwrap();
    assert_eq!(library.titles("Books").await, ["mirrored"]);
    assert_eq!(library.titles("Notes").await, Vec::<Value>::new());

    replace(&library.file(), "default = \"dual-write\"\n");
    library.becomes("note", "dual-write").await;
    client.query_drop("UPDATE note SET title = 'now' WHERE id = 1").await.unwrap();
    assert_eq!(library.titles("Notes").await, ["now"]);

    replace(&library.file(), "default = \"mysql-only\"\n");
    library.becomes("book", "mysql-only").await;
    client.query_drop("UPDATE book SET title = 'unseen'").await.unwrap();
    assert_eq!(library.titles("Books").await, ["mirrored"]);

    let now: u64 = client.query_first("SELECT CONNECTION_ID()").await.unwrap().unwrap();
    assert_eq!(now, connection, "the client's connection to MySQL stayed the same");
    library.segue.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hang_up_reads_a_file_that_looks_unchanged() {
    let of =
        |table: &str| format!("default = \"mysql-only\"\n[tables]\n{table} = \"dual-write\"\n");
    let Some(library) = Library::open(&of("book")).await else { return };
    // The same size and time: only the signal tells.
    let modified = std::fs::metadata(library.file()).unwrap().modified().unwrap();
    let new = library.file().with_extension("new");
    std::fs::write(&new, of("note")).unwrap();
    File::options().append(true).open(&new).unwrap().set_modified(modified).unwrap();
    std::fs::rename(&new, library.file()).unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(library.phase("note").await, "mysql-only");
    library.segue.hang_up().await.unwrap();
    library.becomes("note", "dual-write").await;
    assert_eq!(library.phase("book").await, "mysql-only");
    library.segue.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_files_and_jumps_keep_the_old_state_and_say_why() {
    let Some(library) = Library::open("default = \"dual-write\"\n").await else { return };
    let generation = library.segue.get("/api/phases").await.unwrap()["generation"].clone();
    for (text, word) in [
        ("default = \"dual-", "phases.toml"),
        ("default = \"dual-wriet\"\n", "dual-wriet"),
        ("[tables]\nboook = \"dual-write\"\n", "boook"),
        ("default = \"dynamodb-only\"\n", "dynamodb-only"),
    ] {
        replace(&library.file(), text);
        let begin = tokio::time::Instant::now();
        while !(library.reloads("refused").await && library.segue.log().contains(word)) {
            assert!(begin.elapsed() < TAKEN_OVER, "{text}:\n{}", library.segue.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let phases = library.segue.get("/api/phases").await.unwrap();
        assert_eq!(phases["default"], "dual-write", "{text}");
        assert_eq!(phases["generation"], generation, "{text}");
    }
    // A right file after the bad ones is taken over.
    replace(&library.file(), "default = \"mysql-only\"\n");
    library.becomes("book", "mysql-only").await;
    library.segue.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn phase_command_shows_and_sets_with_and_without_a_sidecar() {
    let Some(library) = Library::open("default = \"mysql-only\"\n").await else { return };
    let run = async |words: &[&str]| {
        let output = library.segue.command(words).await.unwrap();
        let shown = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.code(), shown + &String::from_utf8_lossy(&output.stderr))
    };
    let mut client = library.client().await;
    client.query_drop("INSERT INTO book VALUES (1, 'old')").await.unwrap();

    let (code, text) = run(&["phase", "set", "book", "dual-write", "--refresh-rows"]).await;
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("mysql-only -> dual-write"), "{text}");
    assert_eq!(library.titles("Books").await, ["old"], "rows that existed are refreshed");

    let (code, text) = run(&["phase", "show", "--json"]).await;
    let shown: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, &shown["running"]), (Some(0), &json!(true)), "{text}");
    assert_eq!(
        shown["tables"][0],
        json!({"table": "book", "phase": "dual-write", "explicit": true})
    );

    for (words, expected, word) in [
        (&["phase", "set", "book", "dual-read"][..], 1, "dual-read"),
        (&["phase", "set", "boook", "dual-write"], 1, "book"),
        (&["phase", "set", "book", "dual-wriet"], 2, "dual-write"),
        (&["phase", "set", "book"], 2, "Usage"),
    ] {
        let (code, text) = run(words).await;
        assert_eq!(code, Some(expected), "{words:?}: {text}");
        assert!(text.contains(word), "{words:?}: {text}");
    }

    library.segue.stop().await.unwrap();
    let (code, text) = run(&["phase", "set", "default", "dual-write"]).await;
    assert_eq!(code, Some(0), "{text}");
    let (code, text) = run(&["phase", "set", "note", "dynamodb-only"]).await;
    assert_eq!(code, Some(1), "{text}");
    let (_, text) = run(&["phase", "show"]).await;
    assert!(text.contains("no sidecar runs") && text.contains("dual-write"), "{text}");
    assert_eq!(run(&["owed"]).await.0, Some(3));
    library.segue.start_again().await.unwrap();
    assert_eq!(library.phase("note").await, "dual-write", "the file is read at the start");
    library.segue.stop().await.unwrap();
}
