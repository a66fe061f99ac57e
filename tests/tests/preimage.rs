//! Writes by predicate wait for no lock that MySQL's own statement would not wait for: their keys are read from
//! the committed rows after it, where that finds them all, and before it elsewhere.
//! Never here: several sessions at random on the same rows (see `races`).
#![allow(clippy::unwrap_used, reason = "all of this crate is a test")]

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use segue_tests::harness::{SegueConfig, Server, Wire};
use segue_tests::on_each_server;
use segue_tests::scene::{Scene, Script};

const SCHEMA: &str =
    "CREATE TABLE notes (id INT PRIMARY KEY, word VARCHAR(20) NOT NULL, n INT NOT NULL,
        at TIMESTAMP NULL, boss INT NULL, KEY word (word));
    CREATE TABLE owners (id INT PRIMARY KEY);
    CREATE TABLE pets (id INT PRIMARY KEY, owner INT NULL, n INT NOT NULL,
        FOREIGN KEY (owner) REFERENCES owners (id) ON UPDATE CASCADE ON DELETE SET NULL);
    CREATE TABLE chiefs (id INT PRIMARY KEY, chief INT NULL, n INT NOT NULL,
        FOREIGN KEY (chief) REFERENCES chiefs (id) ON DELETE SET NULL);
    CREATE TABLE parts (id INT PRIMARY KEY, n INT NOT NULL) PARTITION BY HASH (id) PARTITIONS 3";
const CONTRACT: &str = r#"{"tables": [
    {"table": "Notes", "type": "single-entity", "source_table": "notes", "pk": "id", "attributes": [
        {"name": "id", "type": "S", "source_table": "notes", "source_column": "id"},
        {"name": "n", "type": "N", "source_table": "notes", "source_column": "n"}]},
    {"table": "Pets", "type": "single-entity", "source_table": "pets", "pk": "id", "attributes": [
        {"name": "id", "type": "S", "source_table": "pets", "source_column": "id"},
        {"name": "n", "type": "N", "source_table": "pets", "source_column": "n"}]},
    {"table": "Chiefs", "type": "single-entity", "source_table": "chiefs", "pk": "id", "attributes": [
        {"name": "id", "type": "S", "source_table": "chiefs", "source_column": "id"},
        {"name": "n", "type": "N", "source_table": "chiefs", "source_column": "n"}]},
    {"table": "Parts", "type": "single-entity", "source_table": "parts", "pk": "id", "attributes": [
        {"name": "id", "type": "S", "source_table": "parts", "source_column": "id"},
        {"name": "n", "type": "N", "source_table": "parts", "source_column": "n"}]}]}"#;

const TABLES: [(&str, &str); 4] =
    [("Notes", "notes"), ("Pets", "pets"), ("Chiefs", "chiefs"), ("Parts", "parts")];

const LOCK_WAIT_TIMEOUT: u16 = 1205;

/// The rows that every case begins with.
const FILL: [&str; 10] = [
    "DELETE FROM notes WHERE id > 0",
    "DELETE FROM pets WHERE id > 0",
    "DELETE FROM owners WHERE id > 0",
    "DELETE FROM chiefs WHERE id > 0",
    "DELETE FROM parts WHERE id > 0",
    "INSERT INTO notes (id, word, n, at) VALUES (10, 'a', 0, '2026-01-01 12:00:00'), \
     (20, 'a', 1, '2026-01-01 00:00:00'), (30, 'B', 2, NULL), (40, 'b', 3, NULL), (50, 'c', 4, NULL)",
    "INSERT INTO owners (id) VALUES (1), (2)",
    "INSERT INTO pets (id, owner, n) VALUES (1, 1, 0), (2, 1, 1), (3, 2, 2)",
    "INSERT INTO chiefs (id, chief, n) VALUES (1, NULL, 0), (2, 1, 1), (3, 2, 2), (4, 3, 3)",
    "INSERT INTO parts (id, n) VALUES (1, 0), (2, 1), (3, 2), (4, 3), (5, 4)",
];

struct Play {
    scene: Scene,
    outsider: Conn,
}

impl Play {
    async fn open(server: &Server) -> Play {
        Play::open_by(server, &server.address()).await
    }

    /// `address`: where the control account finds the server.
    async fn open_by(server: &Server, address: &str) -> Play {
        let phases = "default = \"dual-write\"\n";
        let script = Script { name: "preimage", schema: SCHEMA, contract: CONTRACT, phases };
        let control = |config: &mut SegueConfig| {
            config.control_url = format!("mysql://root@{address}/{}", config.database);
        };
        let scene = Scene::open_with(server, script, control).await.unwrap();
        let outsider = scene.outsider().await.unwrap();
        Play { scene, outsider }
    }

    async fn fill(&mut self) {
        for sql in FILL {
            self.scene.run(sql).await;
        }
    }

    /// Rows and items of all tables are the same.
    async fn compare(&mut self, context: &str) {
        for (items, table) in TABLES {
            let query = format!("SELECT CONCAT(id, '=', n) FROM {table}");
            let mut rows: Vec<String> = self.outsider.query(query).await.unwrap();
            rows.sort();
            let shown = self.scene.shown(items, "id", "n").await.unwrap();
            assert_eq!(shown, rows, "{table} after {context}\n{}", self.scene.segue.log());
        }
    }

    async fn sweeps(&self) -> f64 {
        self.scene.segue.metric("segue_sweeps_total").await.unwrap()
    }
}

/// The code of the error that a statement is answered with, which waits for a lock no longer than it must.
async fn send(client: &mut Conn, sql: &str) -> Option<u16> {
    client.query_drop("SET SESSION innodb_lock_wait_timeout = 1").await.unwrap();
    let outcome = client.query_drop(sql).await;
    client.query_drop("SET SESSION innodb_lock_wait_timeout = DEFAULT").await.unwrap();
    match outcome {
        Ok(()) => None,
        Err(mysql_async::Error::Server(error)) => Some(error.code),
        Err(error) => panic!("{sql}: {error}"),
    }
}

/// None of them matches row 10, which somebody else holds. They read the whole table, and there UPDATE passes over
/// such a row; DELETE waits for it.
const BESIDE_A_LOCKED_ROW: [&str; 4] = [
    "UPDATE notes SET word = 'x' WHERE n = 4",
    "UPDATE notes SET n = 40 WHERE n BETWEEN 3 AND 9",
    "UPDATE notes SET n = 40 WHERE n IN (3, 4)",
    "DELETE FROM notes WHERE n = 4",
];

on_each_server!(rows_that_do_not_match_hold_up_nothing, |server: &'static Server| async move {
    let mut play = Play::open(server).await;
    let mut holder = play.scene.outsider().await.unwrap();
    for level in ["READ COMMITTED", "READ UNCOMMITTED"] {
        let level = format!("SET SESSION TRANSACTION ISOLATION LEVEL {level}");
        play.outsider.query_drop(&level).await.unwrap();
        play.scene.run(&level).await;
        for (number, sql) in BESIDE_A_LOCKED_ROW.into_iter().enumerate() {
            play.fill().await;
            holder.query_drop("BEGIN").await.unwrap();
            holder.query_drop("UPDATE notes SET n = 99 WHERE id = 10").await.unwrap();
            play.outsider.query_drop("BEGIN").await.unwrap();
            let direct = send(&mut play.outsider, sql).await;
            play.outsider.query_drop("ROLLBACK").await.unwrap();
            assert!(sql.starts_with("DELETE") || direct.is_none(), "{sql} direct: {direct:?}");
            assert!(matches!(direct, None | Some(LOCK_WAIT_TIMEOUT)), "{sql} direct: {direct:?}");
            // Every other statement is part of a transaction.
            let own = ["DO 0", "BEGIN"][number % 2];
            play.scene.run(own).await;
            let through = send(&mut play.scene.client, sql).await;
            assert_eq!(through, direct, "{level}: {sql}");
            play.scene.run("COMMIT").await;
            holder.query_drop("ROLLBACK").await.unwrap();
            play.compare(&format!("{level}: {sql}")).await;
        }
    }
    assert_eq!(play.sweeps().await, 0.0, "keys were found one by one");
});

/// Each one's last write meets rows that nobody else finds by its predicate, or not so.
const HARD_CASES: &[&[&str]] = &[
    // Changed, inserted or moved by the same transaction.
    &[
        "BEGIN",
        "UPDATE notes SET word = 'z' WHERE id = 10",
        "UPDATE notes SET n = 7 WHERE word = 'z'",
    ],
    &[
        "BEGIN",
        "UPDATE notes SET word = 'z' WHERE word = 'a'",
        "DELETE FROM notes WHERE word = 'z'",
    ],
    &[
        "BEGIN",
        "INSERT INTO notes (id, word, n) VALUES (60, 'z', 5)",
        "UPDATE notes SET n = 7 WHERE word = 'z'",
    ],
    &["BEGIN", "UPDATE notes SET id = 15 WHERE id = 10", "UPDATE notes SET n = 7 WHERE word = 'a'"],
    &[
        "SET autocommit = 0",
        "UPDATE notes SET word = 'z' WHERE word = 'a'",
        "UPDATE notes SET n = 7 WHERE word = 'z'",
    ],
    &[
        "BEGIN",
        "SAVEPOINT s",
        "UPDATE notes SET n = 7 WHERE word = 'a'",
        "ROLLBACK TO SAVEPOINT s",
        "UPDATE notes SET n = 8 WHERE word = 'b'",
    ],
    // Changed by foreign keys.
    &["BEGIN", "UPDATE owners SET id = 9 WHERE id = 1", "UPDATE pets SET n = 7 WHERE owner = 9"],
    &["BEGIN", "DELETE FROM owners WHERE id < 2", "UPDATE pets SET n = 7 WHERE owner IS NULL"],
    &["DELETE FROM chiefs WHERE chief IS NULL"],
    &["DELETE FROM chiefs WHERE n < 1"],
    &["UPDATE chiefs SET n = 7 WHERE chief IS NOT NULL"],
    // By what Segue does not follow.
    &[
        "BEGIN",
        "PREPARE s FROM 'UPDATE notes SET word = ''z'' WHERE id = 10'",
        "EXECUTE s",
        "UPDATE notes SET n = 7 WHERE word = 'z'",
    ],
    &[
        "XA START 'x'",
        "UPDATE notes SET word = 'z' WHERE id = 10",
        "UPDATE notes SET n = 7 WHERE word = 'z'",
        "XA END 'x'",
        "XA COMMIT 'x' ONE PHASE",
    ],
    &[
        "SET autocommit = 0",
        "LOCK TABLES notes WRITE",
        "UPDATE notes SET n = 7 WHERE word = 'a'",
        "COMMIT",
        "UNLOCK TABLES",
    ],
    // Read under other settings.
    &["SET sql_mode = 'ANSI_QUOTES'", "UPDATE notes SET n = 7 WHERE \"word\" = 'a'"],
    &["SET NAMES binary", "UPDATE notes SET n = 7 WHERE word <> 'b'"],
    &["SET character_set_connection = binary", "UPDATE notes SET n = 7 WHERE word <> 'b'"],
    &["SET time_zone = '+05:00'", "UPDATE notes SET n = 7 WHERE at = '2026-01-01 17:00:00'"],
    &["SET @w = 'a'", "UPDATE notes SET n = 7 WHERE word = @w"],
    &["UPDATE notes SET n = 7 WHERE word = 'a'; UPDATE notes SET n = 8 WHERE word = 'b'"],
    &[
        "BEGIN; UPDATE notes SET word = 'z' WHERE word = 'a'; UPDATE notes SET n = 8 WHERE word = 'z'",
    ],
    // The first rows, parts of a table, both.
    &["UPDATE notes SET n = 7 WHERE n < 4 ORDER BY n LIMIT 2"],
    &["DELETE FROM notes WHERE n < 4 LIMIT 2"],
    &["UPDATE parts SET n = 7 WHERE n > 1", "DELETE FROM parts WHERE n = 7 AND id <> 3"],
    &["UPDATE parts PARTITION (p0, p1) SET n = 9 WHERE n > 1"],
    &["SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", "UPDATE parts SET n = 9 WHERE n > 1"],
    // Hidden by a temporary table of the same name.
    &[
        "CREATE TEMPORARY TABLE parts (id INT PRIMARY KEY, n INT)",
        "INSERT INTO parts VALUES (1, 2)",
        "UPDATE parts SET n = 9 WHERE n = 2",
        "DROP TEMPORARY TABLE parts",
        "UPDATE parts SET n = 9 WHERE n = 2",
    ],
];

on_each_server!(no_changed_row_is_missed, |server: &'static Server| async move {
    let mut play = Play::open(server).await;
    for case in HARD_CASES {
        play.fill().await;
        for sql in *case {
            play.scene.run(sql).await;
        }
        for sql in [
            "COMMIT",
            "SET autocommit = 1",
            "SET NAMES utf8mb4",
            "SET sql_mode = ''",
            "SET time_zone = '+00:00'",
        ] {
            play.scene.run(sql).await;
        }
        play.compare(&format!("{case:?}")).await;
    }
});

on_each_server!(
    rows_committed_after_the_snapshot_are_found,
    |server: &'static Server| async move {
        let mut play = Play::open(server).await;
        play.fill().await;
        play.scene.run("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ").await;
        play.scene.run("START TRANSACTION WITH CONSISTENT SNAPSHOT").await;
        for sql in [
            "INSERT INTO notes (id, word, n) VALUES (15, 'a', 5)",
            "UPDATE notes SET word = 'a' WHERE id = 40",
            "UPDATE notes SET word = 'b' WHERE id = 10",
        ] {
            play.outsider.query_drop(sql).await.unwrap();
        }
        play.scene.run("UPDATE notes SET n = 7 WHERE word = 'a'").await;
        // In its own view of then the row is still one of them.
        let seen: u64 = (play.scene.client)
            .query_first("SELECT COUNT(*) FROM notes WHERE word = 'a' AND id = 10")
            .await
            .unwrap()
            .unwrap();
        assert_eq!(seen, 1);
        play.scene.run("COMMIT").await;
        let changed: u64 = play
            .outsider
            .query_first("SELECT COUNT(*) FROM notes WHERE n = 7")
            .await
            .unwrap()
            .unwrap();
        assert_eq!(changed, 3);
        // What came past Segue and is of no concern here.
        play.scene.run("UPDATE notes SET n = 8 WHERE id = 10").await;
        play.compare("a snapshot").await;
        assert_eq!(play.sweeps().await, 0.0);
    }
);

on_each_server!(
    a_control_account_without_answer_is_no_error,
    |server: &'static Server| async move {
        let wire = Wire::to(&server.address()).await.unwrap();
        let mut play = Play::open_by(server, &wire.address()).await;
        play.fill().await;
        play.scene.settle().await.unwrap();
        wire.freeze();
        play.scene.run("UPDATE notes SET n = 7 WHERE word = 'a'").await;
        wire.thaw();
        play.compare("silence").await;
        assert!(play.sweeps().await > 0.0, "its keys are not known");
    }
);
