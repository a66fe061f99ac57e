//! Tables in different phases: what one entity needs captured must not reach another's items, and a
//! change of phase misses no transaction.
//! Never here: which changes of phase are allowed (see `segue_rules::phase`).

#![allow(clippy::unwrap_used, reason = "all of this crate is a test")]

use std::time::Duration;

use mysql_async::prelude::Queryable;
use segue_tests::harness::Server;
use segue_tests::on_each_server;
use segue_tests::scene::{Scene, Script};
use serde_json::json;

const SCHEMA: &str = "CREATE TABLE authors (id INT PRIMARY KEY, name VARCHAR(40) NOT NULL);
    CREATE TABLE books (id INT PRIMARY KEY, author_id INT NOT NULL, title VARCHAR(40) NOT NULL,
        FOREIGN KEY (author_id) REFERENCES authors (id) ON DELETE CASCADE)";
const CONTRACT: &str = r#"{"tables": [
    {"table": "Authors", "type": "single-entity", "source_table": "authors", "pk": "id", "attributes": [
        {"name": "id", "type": "S", "source_table": "authors", "source_column": "id"},
        {"name": "name", "type": "S", "source_table": "authors", "source_column": "name"}]},
    {"table": "Books", "type": "single-entity", "source_table": "books", "pk": "id", "attributes": [
        {"name": "id", "type": "S", "source_table": "books", "source_column": "id"},
        {"name": "author", "type": "S", "source_table": "books", "source_column": "author_id", "join": {
            "type": "foreign-key", "target_table": "authors",
            "join_condition": "authors.id = books.author_id", "select_column": "authors.name"}}]}]}"#;

async fn library(server: &Server, phases: &str) -> Scene {
    let script = Script { name: "phases", schema: SCHEMA, contract: CONTRACT, phases };
    Scene::open(server, script).await.unwrap()
}

const WRITES: [&str; 6] = [
    "BEGIN",
    "INSERT INTO authors VALUES (1, 'Ann'), (2, 'Bob')",
    "INSERT INTO books VALUES (10, 1, 'Atlas'), (20, 2, 'Novel')",
    "UPDATE authors SET name = 'Anna' WHERE name = 'Ann'",
    "UPDATE books b JOIN authors a ON a.id = b.author_id SET b.title = 'x', a.name = 'Rob'
     WHERE a.name = 'Bob'",
    "COMMIT",
];

on_each_server!(
    a_joined_table_in_mysql_only_is_shown_but_gets_no_items,
    |server: &'static Server| async move {
        let phases = "default = \"dual-write\"\n[tables]\nauthors = \"mysql-only\"\n";
        let mut scene = library(server, phases).await;
        for sql in WRITES {
            scene.run(sql).await;
        }
        let books = async |scene: &Scene| scene.shown("Books", "id", "author").await.unwrap();
        assert_eq!(books(&scene).await, ["10=Anna", "20=Rob"]);
        // A whole sweep of the joined table, for a reason of its own, leaves its items alone, too.
        scene.run("UPDATE authors SET name = CONCAT(name, '!')").await;
        assert_eq!(books(&scene).await, ["10=Anna!", "20=Rob!"]);
        scene.run("DELETE FROM authors WHERE id = 2").await;
        assert_eq!(books(&scene).await, ["10=Anna!"]);
        assert_eq!(scene.shown("Authors", "id", "name").await.unwrap(), Vec::<String>::new());
    }
);

on_each_server!(
    a_driving_table_in_mysql_only_gets_no_items,
    |server: &'static Server| async move {
        let phases = "default = \"mysql-only\"\n[tables]\nauthors = \"dual-write\"\n";
        let mut scene = library(server, phases).await;
        for sql in WRITES {
            scene.run(sql).await;
        }
        assert_eq!(scene.shown("Authors", "id", "name").await.unwrap(), ["1=Anna", "2=Rob"]);
        scene.run("UPDATE authors SET name = CONCAT(name, '!')").await;
        scene.run("DELETE FROM authors WHERE name LIKE 'Rob%'").await;
        assert_eq!(scene.shown("Authors", "id", "name").await.unwrap(), ["1=Anna!"]);
        assert_eq!(scene.shown("Books", "id", "author").await.unwrap(), Vec::<String>::new());
    }
);

on_each_server!(
    a_transaction_older_than_the_phase_is_covered_by_the_sweep,
    |server: &'static Server| async move {
        let mut scene = library(server, "default = \"mysql-only\"\n").await;
        scene.run("INSERT INTO authors VALUES (1, 'Ann')").await;
        scene.run("BEGIN").await;
        scene.run("INSERT INTO authors VALUES (2, 'Bob')").await;
        scene.run("UPDATE authors SET name = 'Anna' WHERE id = 1").await;
        let change = json!({"default": "dual-write"});
        scene.segue.put("/api/phases", &change).await.unwrap();
        scene.segue.post("/api/sweeps", &json!({"all": true})).await.unwrap();
        let mut other = scene.another_client().await.unwrap();
        other.query_drop("INSERT INTO authors VALUES (3, 'Cy')").await.unwrap();
        // The sweep must not have looked before the old transaction has ended.
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        assert!(scene.segue.metric("segue_sweeps_owed").await.unwrap() > 0.0);
        scene.run("INSERT INTO books VALUES (20, 2, 'Novel')").await;
        scene.run("COMMIT").await;
        let authors = scene.shown("Authors", "id", "name").await.unwrap();
        assert_eq!(authors, ["1=Anna", "2=Bob", "3=Cy"]);
        assert_eq!(scene.shown("Books", "id", "author").await.unwrap(), ["20=Bob"]);
    }
);
