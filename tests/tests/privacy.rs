//! Values of rows and statements stay out of Segue's log and of what the API shows without a token.
//! Never here: passwords of the settings (see the unit tests of `redact`).

#![allow(clippy::unwrap_used, reason = "all of this crate is a test")]

use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts};
use segue_tests::harness::{Database, Engine, SegueConfig, SegueProcess, Server};
use segue_tests::on_each_server;

/// In every value of this test and in nothing else.
const SECRET: &str = "s3cretvalue";

const SCHEMA: &str = "CREATE TABLE person (id INT AUTO_INCREMENT PRIMARY KEY, email VARCHAR(80) NOT NULL UNIQUE,
    title VARCHAR(80), born DATE, notes LONGTEXT);
    CREATE TABLE visit (id INT AUTO_INCREMENT PRIMARY KEY, person_id INT NOT NULL, place VARCHAR(80),
    FOREIGN KEY (person_id) REFERENCES person (id) ON DELETE CASCADE);
    CREATE TABLE token (name VARCHAR(80) PRIMARY KEY, owner VARCHAR(80) NOT NULL)";

/// Persons go by their e-mail address, so that keys hold the secret; two tokens of one owner meet on one item.
const CONTRACT: &str = r#"[
  { "table": "People", "type": "Table", "source_table": "person", "pk": "Email",
    "attributes": {
      "Email": { "type": "S", "source_table": "person", "source_column": "email" },
      "Title": { "type": "S", "source_table": "person", "source_column": "title" },
      "Notes": { "type": "S", "source_table": "person", "source_column": "notes" } },
    "satisfies": ["get a person"], "estimated_item_size_bytes": 100 },
  { "table": "Visits", "type": "Table", "source_table": "visit", "pk": "Id",
    "attributes": {
      "Id": { "type": "N", "source_table": "visit", "source_column": "id" },
      "Place": { "type": "S", "source_table": "visit", "source_column": "place" } },
    "satisfies": ["get a visit"], "estimated_item_size_bytes": 100 },
  { "table": "Owners", "type": "Table", "source_table": "token", "pk": "Owner",
    "attributes": {
      "Owner": { "type": "S", "source_table": "token", "source_column": "owner" },
      "Name": { "type": "S", "source_table": "token", "source_column": "name" } },
    "satisfies": ["get an owner's token"], "estimated_item_size_bytes": 100 }]"#;

/// Statements that succeed.
const GOOD: &[&str] = &[
    "INSERT INTO person (email, title) VALUES ('a@s3cretvalue', 's3cretvalue'), ('b@s3cretvalue', NULL)",
    "INSERT INTO visit (person_id, place) VALUES (1, 's3cretvalue'), (2, 's3cretvalue')",
    "UPDATE person SET title = 's3cretvalue' WHERE email LIKE '%s3cretvalue'",
    "INSERT INTO person (email) VALUES ('b@s3cretvalue') ON DUPLICATE KEY UPDATE title = 's3cretvalue two'",
    "BEGIN",
    "UPDATE visit SET place = 's3cretvalue again' WHERE place = 's3cretvalue'",
    "SAVEPOINT s3cretvalue",
    "DELETE FROM person WHERE email = 'b@s3cretvalue'",
    "ROLLBACK TO s3cretvalue",
    "COMMIT",
    "SET @x = 's3cretvalue'",
    "CREATE TEMPORARY TABLE s3cretvalue_table (a INT)",
    "ALTER TABLE visit COMMENT = 's3cretvalue'",
    // Parked: two rows that meet on one item.
    "INSERT INTO token VALUES ('one s3cretvalue', 'owner s3cretvalue'), ('two s3cretvalue', 'owner s3cretvalue')",
    // Parked: larger than an item may be, with a key of its own.
    "INSERT INTO person (email, notes) VALUES ('large@s3cretvalue', REPEAT('s3cretvalue ', 50000))",
];

/// Statements that MySQL refuses, with messages that quote them or their values.
const BAD: &[&str] = &[
    "SELECT s3cretvalue FROM person",
    "SELEC 's3cretvalue'",
    "INSERT INTO person (email) VALUES ('a@s3cretvalue')",
    "INSERT INTO person (email, born) VALUES ('d', 's3cretvalue')",
    "UPDATE person SET born = 's3cretvalue' WHERE email = 'a@s3cretvalue'",
    "UPDATE person SET title = 's3cretvalue' WHERE title = 's3cretvalue' AND id = (SELECT id FROM visit)",
    "INSERT INTO visit (person_id, place) VALUES (99, 's3cretvalue')",
    "CALL s3cretvalue('s3cretvalue')",
    "USE s3cretvalue",
    "LOAD DATA INFILE '/s3cretvalue' INTO TABLE visit",
    "KILL CONNECTION 's3cretvalue'",
];

async fn work(segue: &SegueProcess, database: &Database) {
    let url = segue.url(database);
    let mut client = Conn::new(Opts::from_url(&url).unwrap()).await.unwrap();
    client.query_drop("SET SESSION sql_mode = 'STRICT_ALL_TABLES'").await.unwrap();
    for sql in GOOD {
        client.query_drop(*sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
    for sql in BAD {
        let failed = client.query_drop(*sql).await.expect_err(sql).to_string();
        assert!(!failed.contains("Lost connection"), "{sql}: {failed}");
    }
    for email in ["c@s3cretvalue", "a@s3cretvalue"] {
        let insert = "INSERT INTO person (email, title) VALUES (?, ?)";
        let outcome = client.exec_drop(insert, (email, SECRET)).await;
        assert_eq!(outcome.is_ok(), email.starts_with('c'));
    }
    let prepared = client.prep("SELECT s3cretvalue WHERE ?").await;
    assert!(prepared.is_err());
    // A login that fails, and a client that goes away in the middle of a transaction.
    let login = url.replace("root@", "s3cretvalue:s3cretvalue@");
    assert!(Conn::new(Opts::from_url(&login).unwrap()).await.is_err());
    client.query_drop("BEGIN").await.unwrap();
    client.query_drop("DELETE FROM visit WHERE place LIKE 's3cretvalue%'").await.unwrap();
}

async fn private(server: &Server, level: &str, rust_log: Option<&str>) {
    let database = server.database("privacy", SCHEMA).await.unwrap();
    let engine = Engine::start().await.unwrap();
    let mut config = SegueConfig::new(server, &database, CONTRACT).with_engine(&engine);
    config.more = format!("[log]\nlevel = \"{level}\"\n");
    config.environment.extend(rust_log.map(|text| ("RUST_LOG".to_owned(), text.to_owned())));
    let segue = SegueProcess::start(&config).await.unwrap();
    work(&segue, &database).await;
    parked(&segue, 2).await;

    // An outage: errors of DynamoDB's client, and work that is tried again.
    engine.stop().await.unwrap();
    let mut client = Conn::new(Opts::from_url(&segue.url(&database)).unwrap()).await.unwrap();
    client.query_drop("UPDATE person SET title = 's3cretvalue late'").await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    segue.kill_hard().await.unwrap();
    engine.restart().await.unwrap();
    segue.start_again().await.unwrap();
    parked(&segue, 2).await;

    let open = reqwest::get(segue.admin_url("/api/owed")).await.unwrap().text().await.unwrap();
    assert!(!open.contains(SECRET), "{open}");
    let owed = segue.get("/api/owed").await.unwrap().to_string();
    assert!(owed.contains(SECRET), "with the token the keys are shown: {owed}");
    let metrics = reqwest::get(segue.admin_url("/metrics")).await.unwrap().text().await.unwrap();
    assert!(!metrics.contains(SECRET));
    segue.stop().await.unwrap();
    let log = segue.log();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains(SECRET)).collect();
    assert!(lines.is_empty(), "{}", lines.join("\n"));
    assert!(log.contains("a key is parked"), "{log}");
}

/// Waits until this many keys are parked and nothing else is owed.
async fn parked(segue: &SegueProcess, keys: u64) {
    let begin = tokio::time::Instant::now();
    loop {
        let report = segue.get("/api/owed").await.unwrap();
        let settled = report["refreshes"] == 0 && report["expanding"] == 0;
        if settled
            && report["parked_total"] == keys
            && report["sweeps"].as_array().unwrap().is_empty()
        {
            return;
        }
        assert!(begin.elapsed() < Duration::from_secs(60), "{report}\n{}", segue.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

on_each_server!(no_value_is_logged_at_the_default_level, |server: &'static Server| {
    private(server, "info", None)
});

on_each_server!(no_value_is_logged_at_trace_level, |server: &'static Server| {
    private(server, "trace", None)
});

on_each_server!(
    no_value_is_logged_when_every_library_is_asked_to_talk,
    |server: &'static Server| { private(server, "info", Some("trace")) }
);
