//! Sessions that meet on the same rows, all through Segue: one predicate that several write, deadlocks that the
//! application tries again, lock waits that end by themselves, under every isolation level.
//! Never here: rivals past Segue (see `isolation`), generated keys (see `generated`).
#![allow(clippy::unwrap_used, reason = "all of this crate is a test")]

use std::time::Duration;

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use segue_tests::harness::{Kind, Server};
use segue_tests::locks::{number_of, wait_for_lock_waits};
use segue_tests::on_each_server;
use segue_tests::scene::{Scene, Script};
use segue_tests::stage::seed;

const SCHEMA: &str = "CREATE TABLE notes (id INT PRIMARY KEY, word VARCHAR(20) NOT NULL, \
        n INT NOT NULL, code INT NULL, KEY word (word), UNIQUE KEY code (code));
    CREATE TABLE copies (id INT PRIMARY KEY, n INT NOT NULL)";
const CONTRACT: &str = r#"{"tables": [
    {"table": "Notes", "type": "single-entity", "source_table": "notes", "pk": "id", "attributes": [
        {"name": "id", "type": "S", "source_table": "notes", "source_column": "id"},
        {"name": "word", "type": "S", "source_table": "notes", "source_column": "word"},
        {"name": "n", "type": "N", "source_table": "notes", "source_column": "n"}]},
    {"table": "Copies", "type": "single-entity", "source_table": "copies", "pk": "id", "attributes": [
        {"name": "id", "type": "S", "source_table": "copies", "source_column": "id"},
        {"name": "n", "type": "N", "source_table": "copies", "source_column": "n"}]}]}"#;

const LEVELS: [&str; 4] = ["READ UNCOMMITTED", "READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"];
const DEADLOCK: u16 = 1213;
const LOCK_WAIT_TIMEOUT: u16 = 1205;
/// Row changed since the snapshot.
const RECORD_CHANGED: u16 = 1020;
const DUPLICATE: u16 = 1062;

/// Segue in `dual-write`, two sessions through it, and one past it that only looks.
struct Race {
    scene: Scene,
    one: Conn,
    other: Conn,
    observer: Conn,
}

impl Race {
    async fn meet(server: &Server) -> Race {
        let phases = "default = \"dual-write\"\n";
        let script = Script { name: "races", schema: SCHEMA, contract: CONTRACT, phases };
        let scene = Scene::open(server, script).await.unwrap();
        let one = scene.another_client().await.unwrap();
        let other = scene.another_client().await.unwrap();
        let observer = scene.outsider().await.unwrap();
        Race { scene, one, other, observer }
    }

    /// The rows that every race begins with.
    async fn fill(&mut self) {
        for sql in [
            "DELETE FROM notes WHERE id > 0",
            "DELETE FROM copies WHERE id > 0",
            "INSERT INTO notes (id, word, n) VALUES (10, 'a', 0), (20, 'a', 0), (30, 'b', 0), \
             (40, 'b', 0), (50, 'c', 0), (60, 'c', 0)",
        ] {
            run(&mut self.one, sql).await;
        }
    }

    async fn both(&mut self, sql: &str) {
        run(&mut self.one, sql).await;
        run(&mut self.other, sql).await;
    }

    /// The other session's statement waits for a lock; then come those of the first. Gives the error code of
    /// each side that got one.
    async fn waiting(&mut self, sql: &str, then: &[&str]) -> (Option<u16>, Option<u16>) {
        let number = number_of(&mut self.other).await.unwrap();
        let Race { one, other, observer, .. } = self;
        let first = async {
            let waits = wait_for_lock_waits(observer, &[number]).await;
            waits.unwrap_or_else(|error| panic!("{sql}: {error}"));
            for sql in then {
                if let Some(code) = send(one, sql).await {
                    return Some(code);
                }
            }
            None
        };
        tokio::join!(send(other, sql), first)
    }

    /// Rows and items of both tables are the same.
    async fn compare(&mut self, context: &str) {
        let of_notes = "SELECT CONCAT(id, '=', word, n) FROM notes";
        let mut rows: Vec<String> = self.observer.query(of_notes).await.unwrap();
        rows.sort();
        self.scene.settle().await.unwrap();
        let items = self.scene.items.all("Notes").await.unwrap();
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let mut shown: Vec<String> = items
            .iter()
            .map(|item| format!("{}={}{}", text(&item["id"]), text(&item["word"]), item["n"]))
            .collect();
        shown.sort();
        assert_eq!(shown, rows, "notes after {context}\n{}", self.scene.segue.log());
        let mut rows: Vec<String> =
            self.observer.query("SELECT CONCAT(id, '=', n) FROM copies").await.unwrap();
        rows.sort();
        let shown = self.scene.shown("Copies", "id", "n").await.unwrap();
        assert_eq!(shown, rows, "copies after {context}");
    }
}

async fn run(client: &mut Conn, sql: &str) {
    client.query_drop(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

/// The code of the error that a statement is answered with.
async fn send(client: &mut Conn, sql: &str) -> Option<u16> {
    match client.query_drop(sql).await {
        Ok(()) => None,
        Err(mysql_async::Error::Server(error)) => Some(error.code),
        Err(error) => panic!("{sql}: {error}"),
    }
}

/// Each meets the rows of word `a`.
const BY_PREDICATE: [&str; 5] = [
    "UPDATE notes SET n = n + 7 WHERE word = 'a'",
    "UPDATE notes SET word = 'd', n = 8 WHERE word = 'a' AND n >= 0",
    "UPDATE notes SET id = id + 100 WHERE word = 'a'",
    "DELETE FROM notes WHERE word = 'a'",
    // Without `n` an index would do, which the writer of `n` does not lock.
    "INSERT INTO copies (id, n) SELECT id, n FROM notes WHERE word = 'a' AND n >= 0",
];

/// One row leaves the predicate, one comes, one is new.
const MEANWHILE: [&str; 4] = [
    "UPDATE notes SET word = 'b' WHERE id = 10",
    "UPDATE notes SET word = 'a' WHERE word = 'c' AND id < 60",
    "INSERT INTO notes (id, word, n) VALUES (15, 'a', 0)",
    "COMMIT",
];

on_each_server!(two_sessions_on_one_predicate_lose_nothing, |server: &'static Server| async move {
    let mut race = Race::meet(server).await;
    for level in LEVELS {
        race.both(&format!("SET SESSION TRANSACTION ISOLATION LEVEL {level}")).await;
        for (number, sql) in BY_PREDICATE.into_iter().enumerate() {
            race.fill().await;
            // Every other statement is part of a transaction.
            let alone = number % 2 == 0;
            run(&mut race.one, "BEGIN").await;
            run(&mut race.one, "UPDATE notes SET n = 5 WHERE id = 10").await;
            if !alone {
                run(&mut race.other, "BEGIN").await;
                run(&mut race.other, "UPDATE notes SET n = 6 WHERE id = 60").await;
            }
            let (of_other, of_one) = race.waiting(sql, &MEANWHILE).await;
            for code in [of_other, of_one].into_iter().flatten() {
                assert_eq!(code, DEADLOCK, "{level}: {sql}");
            }
            if of_one.is_some() {
                for sql in ["BEGIN"].iter().chain(&MEANWHILE) {
                    // The winner may still hold what is needed, until it commits.
                    if !alone {
                        run(&mut race.other, "COMMIT").await;
                    }
                    run(&mut race.one, sql).await;
                }
            }
            if of_other.is_some() {
                run(&mut race.other, sql).await;
            }
            run(&mut race.other, "COMMIT").await;
            race.compare(&format!("{level}: {sql}")).await;
        }
    }
});

/// How the session that gives way in a deadlock comes to it: what it does first, and the statement that waits.
const GIVING_WAY: [(&[&str], &str); 5] = [
    // In the reading of the keys, in a transaction.
    (&["BEGIN", "UPDATE notes SET n = 1 WHERE id = 10"], "UPDATE notes SET n = 2 WHERE word = 'b'"),
    // In the statement, in a transaction.
    (&["BEGIN", "UPDATE notes SET n = 1 WHERE id = 10"], "UPDATE notes SET n = 2 WHERE id = 30"),
    // In the reading of the keys, autocommitted.
    (&[], "UPDATE notes SET n = 2 WHERE id BETWEEN 10 AND 30"),
    (&[], "DELETE FROM notes WHERE n = 0 AND id <= 30 ORDER BY id"),
    // In the statement, autocommitted: the row is locked, its new code is another's.
    (&[], "UPDATE notes SET code = 1 WHERE word = 'a' AND id < 20"),
];

on_each_server!(a_deadlock_can_be_tried_again, |server: &'static Server| async move {
    let mut race = Race::meet(server).await;
    for level in ["READ COMMITTED", "REPEATABLE READ"] {
        race.both(&format!("SET SESSION TRANSACTION ISOLATION LEVEL {level}")).await;
        for (before, sql) in GIVING_WAY {
            race.fill().await;
            // Who has written more wins.
            let heavy =
                "INSERT INTO copies (id, n) VALUES (1, 1), (2, 1), (3, 1), (4, 1), (5, 1), (6, 1)";
            for sql in ["BEGIN", heavy, "UPDATE notes SET n = 3 WHERE id = 30"] {
                run(&mut race.one, sql).await;
            }
            run(&mut race.one, "INSERT INTO notes (id, word, n, code) VALUES (70, 'z', 0, 1)")
                .await;
            for sql in before {
                run(&mut race.other, sql).await;
            }
            let close = ["UPDATE notes SET n = 4 WHERE id = 10", "COMMIT"];
            let (of_other, of_one) = race.waiting(sql, &close).await;
            let context = format!("{level}: {before:?} {sql}");
            assert_eq!((of_other, of_one), (Some(DEADLOCK), None), "{context}");
            // As applications do, without a ROLLBACK.
            for sql in before {
                run(&mut race.other, sql).await;
            }
            let again = send(&mut race.other, sql).await;
            assert!(matches!(again, None | Some(DUPLICATE)), "{context}: {again:?}");
            run(&mut race.other, "COMMIT").await;
            race.compare(&context).await;
        }
    }
});

/// Statements that wait for row 20.
const LOCKED_OUT: [&str; 4] = [
    "UPDATE notes SET n = 2 WHERE word = 'a' AND id > 10",
    "UPDATE notes SET n = 2 WHERE id = 20",
    "INSERT INTO copies (id, n) SELECT id, n FROM notes WHERE word = 'a' AND n >= 0",
    "INSERT INTO notes (id, word, n) VALUES (20, 'x', 0) ON DUPLICATE KEY UPDATE n = 2",
];

/// `whole`: the server rolls the whole transaction back.
async fn lock_waits_end(server: &Server, whole: bool) {
    let mut race = Race::meet(server).await;
    run(&mut race.other, "SET SESSION innodb_lock_wait_timeout = 1").await;
    for begin in ["BEGIN", "SET autocommit = 0", "DO 0"] {
        for (number, sql) in LOCKED_OUT.into_iter().enumerate() {
            race.fill().await;
            run(&mut race.one, "BEGIN").await;
            run(&mut race.one, "SELECT * FROM notes WHERE id = 20 FOR UPDATE").await;
            run(&mut race.other, begin).await;
            run(&mut race.other, "UPDATE notes SET n = 1 WHERE word = 'b'").await;
            let context = format!("{begin}: {sql}");
            assert_eq!(send(&mut race.other, sql).await, Some(LOCK_WAIT_TIMEOUT), "{context}");
            run(&mut race.other, "UPDATE notes SET n = 1 WHERE id = 50").await;
            let end = if number % 2 == 0 { "COMMIT" } else { "ROLLBACK" };
            run(&mut race.other, end).await;
            run(&mut race.other, "SET autocommit = 1").await;
            run(&mut race.one, "ROLLBACK").await;
            let changed = "SELECT SUM(n) FROM notes";
            let changed: u64 = race.observer.query_first(changed).await.unwrap().unwrap();
            let expected = match (begin, whole, end) {
                ("DO 0", ..) | (_, false, "COMMIT") => 3,
                // What came after it was a transaction of its own, or autocommitted.
                (_, true, "COMMIT") | ("BEGIN", true, _) => 1,
                _ => 0,
            };
            assert_eq!(changed, expected, "{context}; {end}");
            race.compare(&context).await;
        }
    }
}

on_each_server!(a_lock_wait_that_ends_loses_nothing, |server: &'static Server| lock_waits_end(
    server, false
));

async fn lock_waits_end_transactions(kind: Kind) {
    let option = "--innodb-rollback-on-timeout=ON".to_owned();
    let Some(server) = Server::own_with(kind, &[option]).await else { return };
    lock_waits_end(&server, true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_wait_that_ends_the_transaction_loses_nothing_on_mysql() {
    lock_waits_end_transactions(Kind::Mysql97).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_wait_that_ends_the_transaction_loses_nothing_on_mariadb() {
    lock_waits_end_transactions(Kind::MariaDb).await;
}

const SESSIONS: u64 = 8;
const TURNS: usize = 30;

on_each_server!(sessions_at_random_on_the_same_rows, |server: &'static Server| async move {
    let seed = seed();
    println!("seed {seed}");
    let mut race = Race::meet(server).await;
    race.fill().await;
    let mut sessions = Vec::new();
    for number in 0..SESSIONS {
        let client = race.scene.another_client().await.unwrap();
        let random = StdRng::seed_from_u64(seed.wrapping_add(number));
        sessions.push(tokio::spawn(write_on(client, random, server.kind())));
    }
    for session in sessions {
        session.await.unwrap();
    }
    race.compare(&format!("seed {seed}")).await;
});

async fn write_on(mut client: Conn, mut random: StdRng, kind: Kind) {
    run(&mut client, "SET SESSION innodb_lock_wait_timeout = 1").await;
    if kind == Kind::MariaDb && random.random_bool(0.5) {
        run(&mut client, "SET SESSION innodb_snapshot_isolation = ON").await;
    }
    for _ in 0..TURNS {
        let level = LEVELS[random.random_range(0..LEVELS.len())];
        run(&mut client, &format!("SET SESSION TRANSACTION ISOLATION LEVEL {level}")).await;
        let end = ["", "COMMIT", "COMMIT", "ROLLBACK"][random.random_range(0..4)];
        if !end.is_empty() {
            run(&mut client, "BEGIN").await;
        }
        for _ in 0..random.random_range(1..=4) {
            let sql = write(&mut random);
            match send(&mut client, &sql).await {
                None | Some(DUPLICATE | LOCK_WAIT_TIMEOUT) => {}
                // Every other application goes on as if nothing had happened.
                Some(DEADLOCK | RECORD_CHANGED) if random.random_bool(0.5) => {}
                Some(DEADLOCK | RECORD_CHANGED) => break,
                Some(code) => panic!("{sql}: {code}"),
            }
            tokio::time::sleep(Duration::from_millis(random.random_range(0..10))).await;
        }
        if !end.is_empty() {
            run(&mut client, end).await;
        }
    }
}

fn write(random: &mut StdRng) -> String {
    let words = ["a", "b", "c"];
    let (from, to) = (words[random.random_range(0..3)], words[random.random_range(0..3)]);
    let (id, n) = (random.random_range(1..8) * 10, random.random_range(0..100));
    match random.random_range(0..12) {
        0 => format!("UPDATE notes SET n = {n} WHERE word = '{from}'"),
        1 => format!("UPDATE notes SET word = '{to}', n = {n} WHERE word = '{from}' AND n % 2 = 0"),
        2 => format!("UPDATE notes SET word = '{to}' WHERE id = {id}"),
        3 => format!("UPDATE notes SET n = n + 1 WHERE word = '{from}' ORDER BY id LIMIT 2"),
        4 => format!(
            "UPDATE notes a JOIN copies b ON b.id = a.id SET a.n = b.n, b.n = {n} WHERE a.word = '{from}'"
        ),
        5 => format!("DELETE FROM notes WHERE word = '{from}' AND n > 50"),
        6 => format!("DELETE FROM notes WHERE id = {id}"),
        7 => format!("INSERT INTO notes (id, word, n) VALUES ({id}, '{to}', {n})"),
        8 => format!(
            "INSERT INTO notes (id, word, n, code) VALUES ({id}, '{to}', {n}, {n} % 5) \
             ON DUPLICATE KEY UPDATE n = n + 1, code = VALUES(code)"
        ),
        9 => format!("REPLACE INTO notes (id, word, n, code) VALUES ({id}, '{to}', {n}, {n} % 5)"),
        10 => format!(
            "INSERT IGNORE INTO copies (id, n) SELECT id, n FROM notes WHERE word = '{from}'"
        ),
        _ => format!("UPDATE notes SET id = id + 10 WHERE id = {id}"),
    }
}
