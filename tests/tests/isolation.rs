//! Rows that other sessions bring between the reading of a statement's keys and the statement, under
//! every isolation level: made to happen by row locks, not by chance.
//! Never here: statements without rivals (see `capture`).

#![allow(clippy::unwrap_used, reason = "all of this crate is a test")]

use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts};
use segue_tests::harness::{Database, Engine, Items, SegueConfig, SegueProcess, Server};
use segue_tests::on_each_server;
use segue_tests::stage::create_tables;

const SCHEMA: &str =
    "CREATE TABLE notes (id INT PRIMARY KEY, word VARCHAR(20) NOT NULL, n INT NOT NULL);
    CREATE TABLE copies (id INT PRIMARY KEY, word VARCHAR(20) NOT NULL)";
const CONTRACT: &str = r#"{"tables": [
    {"table": "Notes", "type": "single-entity", "source_table": "notes", "pk": "id", "attributes": [
        {"name": "id", "type": "S", "source_table": "notes", "source_column": "id"},
        {"name": "n", "type": "N", "source_table": "notes", "source_column": "n"}]},
    {"table": "Copies", "type": "single-entity", "source_table": "copies", "pk": "id", "attributes": [
        {"name": "id", "type": "S", "source_table": "copies", "source_column": "id"}]}]}"#;

const SETTLE: Duration = Duration::from_secs(30);
const DEADLOCK: u16 = 1213;
/// Milliseconds between looks at who waits: InnoDB renews its table of transactions only when nobody has
/// read it for 100 ms, so several tests must not look too often.
const LOOK_MS: u64 = 230;

/// Segue in `dual-write` over two tables; one session through Segue, one past it.
struct Rivals {
    segue: SegueProcess,
    items: Items,
    database: Database,
    session: Conn,
    /// Past Segue, so that what it brings is in step only if the other session's capture covers it.
    rival: Conn,
    _engine: Engine,
}

impl Rivals {
    async fn meet(server: &Server) -> Rivals {
        let database = server.database("isolation", SCHEMA).await.unwrap();
        let engine = Engine::start().await.unwrap();
        let config = SegueConfig::new(server, &database, CONTRACT).with_engine(&engine);
        let segue = SegueProcess::prepare(&config).unwrap();
        create_tables(&segue).await.unwrap();
        segue.start_again().await.unwrap();
        let session = Conn::new(Opts::from_url(&segue.url(&database)).unwrap()).await.unwrap();
        let rival = Conn::new(Opts::from_url(&database.url).unwrap()).await.unwrap();
        let items = Items::at(&engine.endpoint());
        Rivals { segue, items, database, session, rival, _engine: engine }
    }

    async fn run(&mut self, sql: &str) {
        self.session.query_drop(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// The rival holds row 20 until the session waits for it, then commits a row 5: the session's scan
    /// has passed its place. A deadlock makes one of them give way.
    async fn race(&mut self, begin: &[&str], sql: &str) {
        self.run("DELETE FROM notes WHERE id > 0").await;
        self.run("DELETE FROM copies WHERE id > 0").await;
        self.run("INSERT INTO notes VALUES (10, 'a', 0), (20, 'a', 0)").await;
        for sql in begin {
            self.run(sql).await;
        }
        let session: u64 =
            self.session.query_first("SELECT CONNECTION_ID()").await.unwrap().unwrap();
        let url = &self.database.url;
        let mut watcher = Conn::new(Opts::from_url(url).unwrap()).await.unwrap();
        let rival = &mut self.rival;
        rival.query_drop("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED").await.unwrap();
        rival.query_drop("BEGIN").await.unwrap();
        rival.query_drop("SELECT * FROM notes WHERE id = 20 FOR UPDATE").await.unwrap();
        let between = async {
            waits(&mut watcher, session).await;
            let brought = rival.query_drop("INSERT INTO notes VALUES (5, 'a', 0)").await;
            if !is_deadlock(&brought) {
                brought.unwrap();
                rival.query_drop("COMMIT").await.unwrap();
            }
        };
        let (outcome, ()) = tokio::join!(self.session.query_drop(sql), between);
        if is_deadlock(&outcome) {
            self.run(sql).await;
        } else {
            outcome.unwrap_or_else(|error| panic!("{sql}: {error}"));
        }
    }

    /// All rows as `id=n`, as MySQL has them and as the items show them.
    async fn compare(&mut self, context: &str) {
        self.segue.settle(SETTLE).await.unwrap_or_else(|e| panic!("{e}\n{}", self.segue.log()));
        let mut rows: Vec<String> =
            self.rival.query("SELECT CONCAT(id, '=', n) FROM notes WHERE n > 0").await.unwrap();
        let items = self.items.all("Notes").await.unwrap();
        let mut shown: Vec<String> = items
            .iter()
            .filter(|item| item["n"] != 0)
            .map(|item| format!("{}={}", item["id"].as_str().expect("a string"), item["n"]))
            .collect();
        rows.sort();
        shown.sort();
        assert_eq!(shown, rows, "notes after {context}");
        let mut rows: Vec<String> =
            self.rival.query("SELECT CAST(id AS CHAR) FROM copies").await.unwrap();
        let items = self.items.all("Copies").await.unwrap();
        let mut shown: Vec<&str> = items.iter().filter_map(|item| item["id"].as_str()).collect();
        rows.sort();
        shown.sort_unstable();
        assert_eq!(shown, rows, "copies after {context}");
    }
}

/// Until this session waits for a row lock.
async fn waits(watcher: &mut Conn, session: u64) {
    let query = format!(
        "SELECT COUNT(*) FROM information_schema.innodb_trx
         WHERE trx_state = 'LOCK WAIT' AND trx_mysql_thread_id = {session}"
    );
    loop {
        let waiting: u64 = watcher.query_first(&query).await.unwrap().unwrap();
        if waiting > 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(LOOK_MS + session % 7 * 17)).await;
    }
}

fn is_deadlock(outcome: &mysql_async::Result<()>) -> bool {
    matches!(outcome, Err(mysql_async::Error::Server(error)) if error.code == DEADLOCK)
}

const WRITES: [&str; 6] = [
    "UPDATE notes SET n = 7 WHERE word = 'a'",
    // Nobody else reads it as the session does.
    "UPDATE notes SET n = 7 WHERE LOWER(word) = 'a'",
    "UPDATE notes SET n = 7 WHERE word = 'a' AND RAND() >= 0",
    "UPDATE notes SET n = 7 WHERE word = 'a' ORDER BY id LIMIT 2",
    "UPDATE notes a JOIN notes b ON b.id = a.id SET a.n = 7 WHERE b.word = 'a'",
    "INSERT INTO copies (id, word) SELECT id + 100, word FROM notes WHERE word = 'a'",
];

on_each_server!(
    single_statements_catch_rows_that_came_in_between,
    |server: &'static Server| async move {
        let mut rivals = Rivals::meet(server).await;
        for level in ["READ COMMITTED", "READ UNCOMMITTED", "REPEATABLE READ"] {
            rivals.run(&format!("SET SESSION TRANSACTION ISOLATION LEVEL {level}")).await;
            for sql in WRITES {
                rivals.race(&[], sql).await;
                rivals.compare(&format!("{level}: {sql}")).await;
            }
        }
    }
);

on_each_server!(
    transactions_catch_rows_that_came_in_between,
    |server: &'static Server| async move {
        let mut rivals = Rivals::meet(server).await;
        for sql in WRITES {
            rivals.run("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED").await;
            rivals.race(&["SET autocommit = 0"], sql).await;
            rivals.run("COMMIT").await;
            rivals.run("SET autocommit = 1").await;
            rivals.compare(&format!("transaction: {sql}")).await;
        }
        // The level of one transaction only; the server's own is REPEATABLE READ.
        rivals.run("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ").await;
        let next = "SET TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE";
        rivals.race(&[next, "BEGIN"], WRITES[0]).await;
        rivals.run("COMMIT").await;
        rivals.compare("SET TRANSACTION").await;
    }
);

on_each_server!(numbers_that_agree_need_no_sweep, |server: &'static Server| async move {
    let mut rivals = Rivals::meet(server).await;
    rivals.run("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED").await;
    rivals.run("INSERT INTO notes VALUES (1, 'a', 0), (2, 'a', 7), (3, 'b', 0)").await;
    for sql in [
        "BEGIN",
        // Two rows are found, one is changed.
        "UPDATE notes SET n = 7 WHERE word = 'a'",
        "UPDATE notes SET n = 7 WHERE LOWER(word) = 'a'",
        "INSERT INTO copies (id, word) SELECT id + 100, word FROM notes WHERE word = 'a'",
        "DELETE FROM notes WHERE word = 'b'",
        "COMMIT",
    ] {
        rivals.run(sql).await;
    }
    rivals.compare("a calm transaction").await;
    assert_eq!(rivals.segue.metric("segue_sweeps_total").await.unwrap(), 0.0);
});
