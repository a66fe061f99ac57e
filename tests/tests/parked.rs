//! Rows that cannot be mirrored: parked with the reason, listed, in nobody's way, and tried again after a
//! change.
//! Never here: which values do not fit (see `rules/src/value`).
#![allow(clippy::unwrap_used, reason = "all of this crate is a test")]

use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts};
use segue_tests::harness::{Database, Engine, Items, SegueConfig, SegueProcess, Server};
use segue_tests::on_each_server;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

const SCHEMA: &str =
    "CREATE TABLE page (id INT PRIMARY KEY, slug VARCHAR(40) NOT NULL, body LONGTEXT NOT NULL)";
const CONTRACT: &str = r#"[{ "table": "Pages", "type": "Table", "source_table": "page", "pk": "Slug",
  "attributes": {
    "Slug": { "type": "S", "source_table": "page", "source_column": "slug" },
    "Id": { "type": "N", "source_table": "page", "source_column": "id" },
    "Body": { "type": "S", "source_table": "page", "source_column": "body" } },
  "satisfies": ["get a page"], "estimated_item_size_bytes": 100 }]"#;

const SOON: Duration = Duration::from_secs(90);
const PAUSE: Duration = Duration::from_millis(50);

struct Stage {
    segue: SegueProcess,
    items: Items,
    client: Conn,
    _engine: Engine,
    database: Database,
}

impl Stage {
    async fn set(server: &Server) -> Stage {
        let database = server.database("parked", SCHEMA).await.unwrap();
        let engine = Engine::start().await.unwrap();
        let config = SegueConfig::new(server, &database, CONTRACT).with_engine(&engine);
        let segue = SegueProcess::start(&config).await.unwrap();
        let items = Items::at(&engine.endpoint());
        let client = Conn::new(Opts::from_url(&segue.url(&database)).unwrap()).await.unwrap();
        Stage { segue, items, client, _engine: engine, database }
    }

    async fn run(&mut self, sql: &str) {
        self.client.query_drop(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// The report once this many keys are parked and nothing else is owed.
    async fn parked(&self, keys: u64) -> Value {
        let begin = Instant::now();
        loop {
            let report = self.segue.get("/api/owed").await.unwrap();
            let quiet = ["refreshes", "expanding"].iter().all(|name| report[*name] == 0);
            if quiet && report["parked_total"] == keys {
                return report;
            }
            assert!(begin.elapsed() < SOON, "{report}\n{}", self.segue.log());
            sleep(PAUSE).await;
        }
    }

    async fn slugs(&self) -> Vec<String> {
        let items = self.items.all("Pages").await.unwrap();
        items.iter().map(|item| item["Slug"].as_str().unwrap().to_owned()).collect()
    }

    async fn command(&self, words: &[&str]) -> String {
        let output = self.segue.command(words).await.unwrap();
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success(), "{text}");
        text
    }
}

on_each_server!(
    what_cannot_be_mirrored_blocks_nobody_and_comes_after_a_change,
    |server: &'static Server| async move {
        let mut stage = Stage::set(server).await;
        stage.run("INSERT INTO page VALUES (1, 'large', REPEAT('x', 500000))").await;
        let report = stage.parked(1).await;
        let parked = &report["parked"][0];
        assert_eq!(
            (&parked["table"], &parked["entity"]),
            (&json!("page"), &json!("Pages")),
            "{report}"
        );
        assert!(parked["key"].as_str().unwrap().contains('1'), "{report}");
        assert!(parked["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{report}");
        assert!(parked["since"].as_str().is_some_and(|since| since.ends_with('Z')), "{report}");
        assert!(parked["attempts"].as_u64() > Some(0), "{report}");

        // Rows of the same table go on, also those that are changed with it.
        stage.run("INSERT INTO page VALUES (2, 'small', 'x'), (3, 'other', 'y')").await;
        stage.run("UPDATE page SET body = CONCAT(body, 'z') WHERE id < 9").await;
        let report = stage.parked(1).await;
        assert_eq!(stage.slugs().await.len(), 2, "{report}");
        let table = &report["tables"][0];
        assert_eq!(table["owed"], table["parked"], "{report}");

        // Two rows on one item: the second one is parked, and both are named.
        stage.run("INSERT INTO page VALUES (4, 'small', 'again')").await;
        let report = stage.parked(2).await;
        let list = |report: &Value| report["parked"].as_array().unwrap().clone();
        let collision =
            list(&report).into_iter().find(|one| one["reason"].to_string().contains("same"));
        assert!(collision.is_some(), "{report}");
        let text = stage.command(&["owed"]).await;
        assert!(text.contains("2 parked") && text.contains("same item key"), "{text}");
        let listed: Value =
            serde_json::from_str(&stage.command(&["owed", "--json"]).await).unwrap();
        assert_eq!(list(&listed).len(), 2, "{listed}");
        let words = ["owed", "--table", "page", "--limit", "1", "--json"];
        let listed: Value = serde_json::from_str(&stage.command(&words).await).unwrap();
        assert_eq!((list(&listed).len(), &listed["parked_matching"]), (1, &json!(2)), "{listed}");
        let words = ["owed", "--entity", "nobody", "--json"];
        let listed: Value = serde_json::from_str(&stage.command(&words).await).unwrap();
        assert_eq!((list(&listed).len(), &listed["parked_total"]), (0, &json!(2)), "{listed}");

        // They outlive the process, and are tried again after a change of the row, or when somebody asks.
        stage.segue.kill_hard().await.unwrap();
        stage.segue.start_again().await.unwrap();
        stage.parked(2).await;
        let url = stage.segue.url(&stage.database);
        stage.client = Conn::new(Opts::from_url(&url).unwrap()).await.unwrap();
        stage.run("UPDATE page SET body = 'short now' WHERE id = 1").await;
        stage.parked(1).await;
        assert_eq!(stage.slugs().await.len(), 3);
        stage.run("DELETE FROM page WHERE id = 2").await;
        stage.parked(1).await;
        let text = stage.command(&["owed", "--retry"]).await;
        assert!(text.contains("parked"), "{text}");
        stage.segue.settle(SOON).await.unwrap();
        stage.parked(0).await;
        let small = stage.items.having("Pages", "Slug", "small").await.unwrap();
        assert_eq!(small[0]["Id"], 4, "the row that was in the way is gone");
    }
);
