//! Mapped tables whose definition changes under a running sidecar: followed where the contract still
//! fits, frozen where it does not, thawed when it fits again.
//! Never here: which definitions fit (unit tests of `rules::entity`).

#![allow(clippy::unwrap_used, reason = "all of this crate is a test")]

use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts};
use segue_tests::harness::{Engine, Items, SegueConfig, SegueProcess, Server};
use segue_tests::on_each_server;
use serde_json::{Value, json};

const SCHEMA: &str = "CREATE TABLE book (id INT PRIMARY KEY, title VARCHAR(40) NOT NULL); \
     CREATE TABLE shelf (id INT PRIMARY KEY, place VARCHAR(40))";

const CONTRACT: &str = r#"[
 { "table": "Books", "type": "Table", "source_table": "book", "pk": "Id",
   "attributes": {
     "Id": { "type": "N", "source_table": "book", "source_column": "id" },
     "Title": { "type": "S", "source_table": "book", "source_column": "title" } },
   "satisfies": ["get a book"], "estimated_item_size_bytes": 100 },
 { "table": "Shelves", "type": "Table", "source_table": "shelf", "pk": "Id",
   "attributes": {
     "Id": { "type": "N", "source_table": "shelf", "source_column": "id" },
     "Place": { "type": "S", "source_table": "shelf", "source_column": "place" } },
   "satisfies": ["get a shelf"], "estimated_item_size_bytes": 100 }]"#;

const WAIT: Duration = Duration::from_secs(60);

struct Shop {
    server: &'static Server,
    segue: SegueProcess,
    engine: Engine,
    client: Conn,
    database: String,
}

impl Shop {
    async fn open(server: &'static Server) -> Shop {
        let database = server.database("schema_change", SCHEMA).await.unwrap();
        let engine = Engine::start().await.unwrap();
        let config = SegueConfig::new(server, &database, CONTRACT)
            .with_engine(&engine)
            .with_phase("dual-write");
        let segue = SegueProcess::start(&config).await.unwrap();
        let client = Conn::new(Opts::from_url(&segue.url(&database)).unwrap()).await.unwrap();
        Shop { server, segue, engine, client, database: database.name.clone() }
    }

    async fn run(&mut self, sql: &str) {
        self.client.query_drop(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// Runs a statement that Segue does not see.
    async fn elsewhere(&self, sql: &str) {
        let mut root = self.server.connect().await.unwrap();
        root.query_drop(format!("USE `{}`", self.database)).await.unwrap();
        root.query_drop(sql).await.unwrap();
        root.disconnect().await.unwrap();
    }

    async fn items(&self, table: &str) -> Vec<Value> {
        Items::at(&self.engine.endpoint()).all(table).await.unwrap()
    }

    /// Waits until exactly these tables are frozen, for a reason that says this.
    async fn frozen(&self, tables: &[&str], why: &str) {
        let begin = Instant::now();
        loop {
            let frozen = self.segue.get("/healthz").await.unwrap()["parts"]["frozen"].clone();
            let names: Vec<&str> = frozen.as_object().unwrap().keys().map(String::as_str).collect();
            let mut reasons = frozen.as_object().unwrap().values();
            if names == tables && reasons.all(|reason| reason.as_str().unwrap().contains(why)) {
                return;
            }
            assert!(begin.elapsed() < WAIT, "frozen: {frozen}; log:\n{}", self.segue.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn until_items(&self, table: &str, expected: &[Value]) {
        let begin = Instant::now();
        loop {
            let items = self.items(table).await;
            if items == expected {
                return;
            }
            assert!(begin.elapsed() < WAIT, "{table}: {items:?}; log:\n{}", self.segue.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn end(self) {
        self.client.disconnect().await.unwrap();
        self.segue.stop().await.unwrap();
    }
}

fn book(id: i32, title: &str) -> Value {
    json!({ "Id": id, "Title": title })
}

on_each_server!(a_column_goes_and_comes_back, |server: &'static Server| async move {
    let mut shop = Shop::open(server).await;
    shop.run("INSERT INTO book VALUES (1, 'one')").await;
    shop.segue.settle(WAIT).await.unwrap();

    shop.run("ALTER TABLE book DROP COLUMN title").await;
    shop.frozen(&["book"], "`book` has no column `title`").await;
    assert_eq!(shop.segue.metric("segue_frozen").await.unwrap(), 1.0);
    // The application goes on, on the frozen table and on the other one, which is mirrored as ever.
    shop.run("INSERT INTO book VALUES (2)").await;
    shop.run("BEGIN").await;
    shop.run("UPDATE book SET id = id + 3 WHERE id > 1").await;
    shop.run("INSERT INTO shelf VALUES (7, 'left')").await;
    shop.run("COMMIT").await;
    shop.until_items("Shelves", &[json!({ "Id": 7, "Place": "left" })]).await;
    assert_eq!(shop.items("Books").await, [book(1, "one")], "nothing is guessed meanwhile");
    let owed = shop.segue.get("/api/owed").await.unwrap();
    assert!(owed["sweeps"].to_string().contains("\"book\""), "{owed}");

    shop.elsewhere("ALTER TABLE book ADD COLUMN title VARCHAR(60) NOT NULL DEFAULT 'none'").await;
    shop.segue.hang_up().await.unwrap();
    shop.frozen(&[], "").await;
    shop.segue.settle(WAIT).await.unwrap();
    assert_eq!(shop.items("Books").await, [book(1, "none"), book(5, "none")]);
    shop.end().await;
});

on_each_server!(a_table_is_dropped_and_made_anew, |server: &'static Server| async move {
    let mut shop = Shop::open(server).await;
    shop.run("INSERT INTO book VALUES (1, 'one'), (2, 'two')").await;
    shop.segue.settle(WAIT).await.unwrap();
    shop.run("DROP TABLE book").await;
    shop.frozen(&["book"], "the table is gone").await;
    shop.run("CREATE TABLE book (id INT PRIMARY KEY, title VARCHAR(40) NOT NULL, more INT)").await;
    shop.frozen(&[], "").await;
    shop.run("INSERT INTO book VALUES (2, 'other', 1)").await;
    shop.segue.settle(WAIT).await.unwrap();
    assert_eq!(shop.items("Books").await, [book(2, "other")]);
    shop.end().await;
});
