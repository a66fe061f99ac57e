//! The leg to MySQL when it falls silent, stays half open, or ends at a server that refuses or restarts: the
//! application gets what MySQL itself says, and items follow what MySQL committed.
//! Never here: faults at random (see `chaos`), answers that are held back (see `generated`).
#![allow(clippy::unwrap_used, reason = "all of this crate is a test")]

use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts};
use segue_tests::harness::{Break, Kind, Server, Wire};
use segue_tests::locks::{number_of, wait_for_lock_waits};
use segue_tests::on_each_server;
use segue_tests::scene::{Scene, Script};
use tokio::time::{Instant, sleep};

const SCHEMA: &str = "CREATE TABLE buyer (id INT PRIMARY KEY, email VARCHAR(40) NOT NULL);
    CREATE TABLE bill (number INT PRIMARY KEY, buyer_id INT NOT NULL, n INT NOT NULL, KEY (buyer_id));
    INSERT INTO buyer VALUES (1, 'ann@x'), (2, 'bob@x');";
/// A bill's item stands under its buyer's address, so that a change of it needs the control account.
const CONTRACT: &str = r#"{ "tables": [{ "table": "Bills", "type": "multi-entity",
  "source_table": "bill", "pk": "PK", "sk": "SK", "entities": [{ "entity_type": "BILL",
  "source_table": "bill", "pk_template": "{email}", "sk_template": "BILL#{number}", "attributes": [
    { "name": "PK", "type": "S", "source_table": "bill", "source_column": "buyer_id",
      "join": { "type": "foreign-key", "target_table": "buyer",
        "join_condition": "buyer.id = bill.buyer_id", "select_column": "buyer.email" },
      "denormalized": true, "justification": "found by its buyer" },
    { "name": "SK", "type": "S", "source_table": "bill", "source_column": "number",
      "transformation": { "type": "string-format", "format": "BILL#{number}" } },
    { "name": "n", "type": "N", "source_table": "bill", "source_column": "n" } ] }] }] }"#;

/// The items as rows would have them.
const ROWS: &str =
    "SELECT CONCAT(email, ' ', number, '=', n) FROM bill JOIN buyer ON id = buyer_id";
/// Segue gives a control statement half a minute, and a machine under load more.
const PATIENCE: Duration = Duration::from_secs(240);
/// Times that the leg falls silent under load, and the load's clients.
const SILENCES: usize = 4;
const CLIENTS: usize = 6;
const BUSY: Duration = Duration::from_millis(700);
/// MySQL's refusal while it is read-only, and MariaDB's.
const READ_ONLY: [u16; 2] = [1290, 1836];

/// Segue behind a wire, with all that it has to say to MySQL.
async fn set(server: &Server) -> (Scene, Wire) {
    let wire = Wire::to(&server.address()).await.unwrap();
    let phases = "default = \"dual-write\"\n";
    let script = Script { name: "leg", schema: SCHEMA, contract: CONTRACT, phases };
    let address = wire.address();
    let mut scene = Scene::open_with(server, script, |config| {
        config.control_url = format!("mysql://root@{address}/{}", config.database);
        config.mysql_address = address;
    })
    .await
    .unwrap();
    scene.run("INSERT INTO bill VALUES (1, 1, 0), (2, 1, 0), (3, 2, 0)").await;
    compare(&scene, "the first rows").await;
    (scene, wire)
}

async fn compare(scene: &Scene, context: &str) {
    let settled = scene.segue.settle(PATIENCE).await;
    settled.unwrap_or_else(|error| panic!("{context}: {error}\n{}", scene.segue.log()));
    let (shown, rows) = both(scene).await;
    assert_eq!(shown, rows, "{context}\n{}", scene.segue.log());
}

/// Items, and what they should be.
async fn both(scene: &Scene) -> (Vec<String>, Vec<String>) {
    let mut outsider = scene.outsider().await.unwrap();
    let mut rows: Vec<String> = outsider.query(ROWS).await.unwrap();
    rows.sort();
    let items = scene.items.all("Bills").await.unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let mut shown: Vec<String> = items
        .iter()
        .map(|item| {
            let number = text(&item["SK"]).replace("BILL#", "");
            format!("{} {number}={}", text(&item["PK"]), item["n"])
        })
        .collect();
    shown.sort();
    (shown, rows)
}

/// Waits until items are right, whatever is owed.
async fn right(scene: &Scene) {
    let began = Instant::now();
    loop {
        let (shown, rows) = both(scene).await;
        if shown == rows {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "{shown:?} for {rows:?}\n{}", scene.segue.log());
        sleep(Duration::from_millis(100)).await;
    }
}

/// The code of the error that a statement is answered with.
async fn send(client: &mut Conn, sql: &str) -> Option<u16> {
    match client.query_drop(sql).await {
        Ok(()) => None,
        Err(mysql_async::Error::Server(error)) => Some(error.code),
        Err(error) => panic!("{sql}: {error}"),
    }
}

on_each_server!(a_leg_that_falls_silent_is_given_up, |server: &'static Server| async move {
    let (mut scene, wire) = set(server).await;
    let buyers: Vec<usize> = (10..10 + SILENCES * CLIENTS).collect();
    for id in &buyers {
        scene.run(&format!("INSERT INTO buyer VALUES ({id}, 'new{id}@x')")).await;
        scene.run(&format!("INSERT INTO bill VALUES ({id}, {id}, 0)")).await;
    }
    for buyers in buyers.chunks(CLIENTS) {
        let url = scene.segue.url(&scene.database);
        let busy = buyers.iter().map(|buyer| tokio::spawn(write_on(url.clone(), *buyer)));
        let busy: Vec<_> = busy.collect();
        sleep(BUSY).await;
        // What every connection of now says from here on is swallowed, those of the control account as well.
        wire.cut(Break::Silent);
        sleep(BUSY).await;
        for client in busy {
            client.abort();
        }
    }
    let mut client = scene.another_client().await.unwrap();
    client.query_drop("UPDATE bill SET n = 2 WHERE number = 1").await.unwrap();
    client.query_drop("UPDATE buyer SET email = 'ann@v' WHERE id = 1").await.unwrap();
    // MySQL was not told either, so the debts of those connections are owed for now.
    right(&scene).await;
    wire.cut(Break::Both);
    compare(&scene, "silence under load").await;
    // Nothing is under way now.
    wire.cut(Break::Silent);
    let mut client = scene.another_client().await.unwrap();
    client.query_drop("UPDATE bill SET n = 1 WHERE number = 1").await.unwrap();
    client.query_drop("UPDATE buyer SET email = 'ann@y' WHERE id = 1").await.unwrap();
    client.query_drop("DELETE FROM bill WHERE buyer_id = 2").await.unwrap();
    compare(&scene, "a silent leg").await;
    client.query_drop("UPDATE buyer SET email = 'ann@z' WHERE id = 1").await.unwrap();
    compare(&scene, "and after it").await;
});

/// Changes what needs the control account at every commit, as long as it can. The row may stay locked then: MySQL
/// keeps the transaction of a connection whose end nobody told it.
async fn write_on(url: String, buyer: usize) {
    let Ok(mut client) = Conn::new(Opts::from_url(&url).unwrap()).await else { return };
    for number in 0.. {
        let sql = format!("UPDATE buyer SET email = 'm{number}-{buyer}@x' WHERE id = {buyer}");
        let _ = client.query_drop(sql).await;
    }
}

on_each_server!(a_half_open_leg_hides_no_commit, |server: &'static Server| async move {
    let (mut scene, wire) = set(server).await;
    let mut holder = scene.outsider().await.unwrap();
    let mut observer = scene.outsider().await.unwrap();
    holder.query_drop("BEGIN").await.unwrap();
    holder.query_drop("SELECT * FROM bill WHERE number = 2 FOR UPDATE").await.unwrap();
    let number = number_of(&mut scene.client).await.unwrap();
    let late = scene.client.query_drop("UPDATE bill SET n = 9 WHERE number = 2");
    let between = async {
        wait_for_lock_waits(&mut observer, &[number]).await.unwrap();
        // Segue sees the connection end; MySQL goes on with the statement.
        wire.cut(Break::HalfOpen(PATIENCE));
    };
    let (answer, ()) = tokio::join!(late, between);
    assert!(answer.is_err(), "nobody can know");
    // Another change of the row's item, long before the lost one ends.
    let mut client = scene.another_client().await.unwrap();
    client.query_drop("UPDATE buyer SET email = 'ann@y' WHERE id = 1").await.unwrap();
    holder.query_drop("COMMIT").await.unwrap();
    let done = "SELECT COUNT(*) FROM bill WHERE number = 2 AND n = 9";
    while observer.query_first::<u64, _>(done).await.unwrap() != Some(1) {
        sleep(Duration::from_millis(20)).await;
    }
    // MySQL still has the connection, and the debt is owed, but the item need not wait for its end.
    right(&scene).await;
    assert!(scene.segue.metric("segue_owed").await.unwrap() > 0.0);
    wire.cut(Break::Both);
    compare(&scene, "a half-open leg").await;
});

/// On a server of its own: what is done to it concerns everybody.
async fn refusals_and_restarts(kind: Kind) {
    let Some(server) = Server::own(kind).await else { return };
    let mut root = server.connect().await.unwrap();
    for sql in ["CREATE USER app@'%'", "CREATE USER app@localhost"] {
        root.query_drop(sql).await.unwrap();
    }
    let (scene, _wire) = set(&server).await;
    for host in ["'%'", "localhost"] {
        let sql = format!("GRANT ALL ON `{}`.* TO app@{host}", scene.database.name);
        root.query_drop(sql).await.unwrap();
    }
    let url = scene.segue.url(&scene.database).replace("root@", "app@");
    let client = async || Conn::new(Opts::from_url(&url).unwrap()).await.unwrap();
    let mut app = client().await;
    let modes: &[&str] = match kind {
        Kind::Mysql97 => &["read_only", "super_read_only"],
        Kind::MariaDb => &["read_only"],
    };
    for mode in modes {
        for sql in [
            "BEGIN",
            "UPDATE bill SET n = n + 1 WHERE buyer_id = 1",
            "UPDATE buyer SET email = CONCAT('x', email) WHERE id = 1",
            "INSERT INTO bill VALUES (4, 2, 4)",
        ] {
            app.query_drop(sql).await.unwrap();
        }
        root.query_drop(format!("SET GLOBAL {mode} = 1")).await.unwrap();
        for sql in [
            "COMMIT",
            "UPDATE bill SET n = 7 WHERE buyer_id = 2",
            "UPDATE buyer SET email = 'no@x' WHERE id = 2",
            "DELETE FROM bill WHERE number = 1",
        ] {
            let code = send(&mut app, sql).await;
            assert!(code.is_some_and(|code| READ_ONLY.contains(&code)), "{mode}: {sql}: {code:?}");
        }
        app.query_drop("ROLLBACK").await.unwrap();
        compare(&scene, mode).await;
        for sql in [format!("SET GLOBAL {mode} = 0"), "SET GLOBAL read_only = 0".to_owned()] {
            root.query_drop(sql).await.unwrap();
        }
        app.query_drop("UPDATE bill SET n = n + 1 WHERE buyer_id = 1").await.unwrap();
        compare(&scene, "writes again").await;
    }
    for end in ["in order", "by force"] {
        let mut app = client().await;
        app.query_drop("UPDATE bill SET n = n + 10 WHERE buyer_id = 1").await.unwrap();
        for sql in [
            "BEGIN",
            "UPDATE buyer SET email = 'gone@x' WHERE id = 1",
            "DELETE FROM bill WHERE number = 3",
        ] {
            app.query_drop(sql).await.unwrap();
        }
        match end {
            "in order" => server.stop().await.unwrap(),
            _ => server.kill_hard().await.unwrap(),
        }
        assert!(app.query_drop("COMMIT").await.is_err());
        server.restart().await.unwrap();
        compare(&scene, end).await;
        let mut app = client().await;
        app.query_drop("UPDATE buyer SET email = CONCAT('y', email) WHERE id = 1").await.unwrap();
        compare(&scene, end).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_and_restarts_of_mysql_lose_nothing() {
    refusals_and_restarts(Kind::Mysql97).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_and_restarts_of_mariadb_lose_nothing() {
    refusals_and_restarts(Kind::MariaDb).await;
}
