//! Keys that only MySQL's answer tells, under every `innodb_autoinc_lock_mode`: many sessions at once with
//! increments of their own, and Segue killed between MySQL's commit and the answer.
//! Never here: statements whose keys are known beforehand (see `uncertain` and `races`).
#![allow(clippy::unwrap_used, reason = "all of this crate is a test")]

use std::time::Duration;

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use segue_tests::harness::{Break, Kind, Server, Wire};
use segue_tests::locks::{number_of, wait_for_lock_waits};
use segue_tests::on_each_server;
use segue_tests::scene::{Scene, Script};
use segue_tests::stage::seed;
use tokio::time::{Instant, sleep};

/// A statement without an answer, on a table of its own.
struct Form {
    table: &'static str,
    /// What comes before it, on the same connection.
    before: &'static [&'static str],
    /// What somebody does past Segue between the two. It changes no row.
    unseen: &'static str,
    sql: &'static str,
    /// Rows that the table has then.
    rows: u64,
}

const fn form(table: &'static str, sql: &'static str, rows: u64) -> Form {
    Form { table, before: &[], unseen: "", sql, rows }
}

/// Autocommitted, and sent as they are: what is wrapped has its keys journaled before its COMMIT.
const FORMS: &[Form] = &[
    form("plain", "INSERT INTO plain (n) VALUES (1)", 1),
    form("several", "INSERT INTO several (n) VALUES (1), (2), (3)", 3),
    form("mixed", "INSERT INTO mixed (id, n) VALUES (NULL, 1), (50, 2), (0, 3)", 3),
    form("selected", "INSERT INTO selected (n) SELECT n FROM source", 5),
    Form {
        before: &["INSERT INTO ignored (word, n) VALUES ('taken', 0)"],
        ..form(
            "ignored",
            "INSERT IGNORE INTO ignored (word, n) VALUES ('new', 1), ('taken', 2), ('newer', 3)",
            3,
        )
    },
    // Numbers of several masters, and then of one.
    Form {
        before: &[
            "SET SESSION auto_increment_increment = 10, auto_increment_offset = 7",
            "INSERT INTO stepped (n) VALUES (1), (2)",
            "SET SESSION auto_increment_increment = 1, auto_increment_offset = 1",
        ],
        ..form("stepped", "INSERT INTO stepped (n) VALUES (3), (4)", 4)
    },
    // The answer's insert id is a count, no key.
    Form {
        before: &[
            "INSERT INTO counted (word, n) VALUES ('visits', 1000000)",
            "INSERT INTO counted (word, n) VALUES ('visits', 1) \
             ON DUPLICATE KEY UPDATE n = LAST_INSERT_ID(n + 1)",
        ],
        ..form("counted", "INSERT INTO counted (n) VALUES (1)", 2)
    },
    Form {
        before: &[
            "INSERT INTO refused (word, n) VALUES ('taken', 1)",
            "INSERT IGNORE INTO refused (word, n) VALUES ('taken', LAST_INSERT_ID(5000))",
        ],
        ..form("refused", "INSERT INTO refused (n) VALUES (1)", 2)
    },
    // The counter goes back.
    Form {
        before: &[
            "INSERT INTO reset (id, n) VALUES (3000, 1)",
            "INSERT INTO reset (n) VALUES (2)",
            "DELETE FROM reset WHERE id >= 3000",
        ],
        unseen: "ALTER TABLE reset AUTO_INCREMENT = 1",
        ..form("reset", "INSERT INTO reset (n) VALUES (3)", 1)
    },
    // MariaDB's counter does not follow an UPDATE.
    Form {
        before: &[
            "INSERT INTO moved (id, n) VALUES (1, 1)",
            "UPDATE moved SET id = 900 WHERE id = 1",
        ],
        ..form("moved", "INSERT INTO moved (n) VALUES (2)", 2)
    },
    // A number that the session chooses.
    Form {
        before: &["INSERT INTO chosen (id, n) VALUES (700, 1)", "SET insert_id = 30"],
        ..form("chosen", "INSERT INTO chosen (n) VALUES (2)", 2)
    },
];

/// Where sessions meet, and what they select from.
const CROWD: &str = "crowd";
const SOURCE: &str = "source";
const SOURCE_ROWS: u32 = 5;
/// How long MySQL may take to end what waited, on a busy machine.
const LOOK_LIMIT: Duration = Duration::from_secs(30);
/// Increment and offset of each session.
const STEPS: [(u32, u32); 6] = [(1, 1), (10, 1), (10, 7), (3, 2), (1, 1), (5, 5)];
/// Statements or transactions of each session.
const TURNS: usize = 25;
/// Duplicate key, lock wait timeout, deadlock, row changed since the snapshot; MariaDB's word for a deadlock
/// over the lock of AUTO_INCREMENT; and MySQL's for an UPDATE that takes a number which was just allotted.
const EXPECTED: [u16; 6] = [1062, 1205, 1213, 1020, 1467, 1869];

fn schema() -> String {
    let table = |name: &str| {
        format!(
            "CREATE TABLE {name} (id INT AUTO_INCREMENT PRIMARY KEY, \
             word VARCHAR(40) NULL UNIQUE, n INT NOT NULL);\n"
        )
    };
    let tables: String = tables().map(table).collect();
    let rows: Vec<String> = (1..=SOURCE_ROWS).map(|n| format!("({n})")).collect();
    format!("{tables}INSERT INTO {SOURCE} (n) VALUES {};", rows.join(", "))
}

fn contract() -> String {
    let entity = |table: &str| {
        format!(
            r#"{{"table": "{table}", "type": "single-entity", "source_table": "{table}", "pk": "id",
            "attributes": [
            {{"name": "id", "type": "S", "source_table": "{table}", "source_column": "id"}},
            {{"name": "n", "type": "N", "source_table": "{table}", "source_column": "n"}}]}}"#
        )
    };
    let entities: Vec<String> = mapped().map(entity).collect();
    format!(r#"{{"tables": [{}]}}"#, entities.join(",\n"))
}

fn mapped() -> impl Iterator<Item = &'static str> {
    FORMS.iter().map(|form| form.table).chain([CROWD])
}

fn tables() -> impl Iterator<Item = &'static str> {
    mapped().chain([SOURCE])
}

/// Segue over a wire whose answers can be held.
async fn set(server: &Server) -> (Scene, Wire) {
    let wire = Wire::to(&server.address()).await.unwrap();
    let (schema, contract) = (schema(), contract());
    let phases = "default = \"dual-write\"\n";
    let script = Script { name: "generated", schema: &schema, contract: &contract, phases };
    let address = wire.address();
    let scene = Scene::open_with(server, script, |config| config.mysql_address = address).await;
    (scene.unwrap(), wire)
}

async fn compare(scene: &Scene, context: &str) {
    let mut outsider = scene.outsider().await.unwrap();
    let mut wrong = Vec::new();
    for table in mapped() {
        let shown = scene.shown(table, "id", "n").await.unwrap();
        let sql = format!("SELECT CONCAT(id, '=', n) FROM {table}");
        let mut rows: Vec<String> = outsider.query(sql).await.unwrap();
        rows.sort();
        if shown != rows {
            wrong.push(format!("{table}: rows {rows:?}, items {shown:?}"));
        }
    }
    assert!(wrong.is_empty(), "{context}:\n{}\n{}", wrong.join("\n"), scene.segue.log());
}

/// Every form runs in MySQL and none is answered; then `end` comes over Segue.
async fn unanswered(scene: &Scene, wire: &Wire, end: impl AsyncFnOnce()) {
    let mut holder = scene.outsider().await.unwrap();
    let mut observer = scene.outsider().await.unwrap();
    let mut clients = Vec::new();
    for form in FORMS {
        let mut client = scene.another_client().await.unwrap();
        for sql in form.before {
            client.query_drop(*sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        }
        // The counter is that of the statement before.
        if !form.unseen.is_empty() {
            observer.query_drop(form.unseen).await.unwrap();
        }
        clients.push((form, number_of(&mut client).await.unwrap(), client));
    }
    scene.settle().await.unwrap();
    holder.query_drop("BEGIN").await.unwrap();
    for form in FORMS {
        let sql = format!("SELECT * FROM {} WHERE id > 0 FOR UPDATE", form.table);
        holder.query_drop(sql).await.unwrap();
    }
    let numbers: Vec<u64> = clients.iter().map(|(_, number, _)| *number).collect();
    let running: Vec<_> = clients
        .into_iter()
        .map(|(form, _, mut client)| {
            tokio::spawn(async move {
                let answer = client.query_drop(form.sql).await;
                assert!(answer.is_err(), "`{}` was answered", form.sql);
            })
        })
        .collect();
    wait_for_lock_waits(&mut observer, &numbers).await.unwrap();
    wire.freeze();
    holder.query_drop("COMMIT").await.unwrap();
    for form in FORMS {
        let sql = format!("SELECT COUNT(*) FROM {}", form.table);
        let began = Instant::now();
        while observer.query_first::<u64, _>(&sql).await.unwrap() != Some(form.rows) {
            assert!(began.elapsed() < LOOK_LIMIT, "`{}` does not end", form.sql);
            sleep(Duration::from_millis(20)).await;
        }
    }
    end().await;
    for running in running {
        running.await.unwrap();
    }
    wire.thaw();
}

/// Sessions that insert in every way at the same time.
async fn crowd(scene: &Scene) {
    let seed = seed();
    println!("seed {seed}");
    let mut outsider = scene.outsider().await.unwrap();
    let mut sessions = Vec::new();
    for (number, (increment, offset)) in STEPS.into_iter().enumerate() {
        if number == STEPS.len() / 2 {
            // Those who come now begin with other steps, and do not change them.
            outsider.query_drop("SET GLOBAL auto_increment_increment = 4").await.unwrap();
        }
        let mut client = scene.another_client().await.unwrap();
        client.query_drop("SET SESSION innodb_lock_wait_timeout = 2").await.unwrap();
        if number < STEPS.len() / 2 {
            let sql = format!(
                "SET SESSION auto_increment_increment = {increment}, auto_increment_offset = {offset}"
            );
            client.query_drop(sql).await.unwrap();
        }
        let random = StdRng::seed_from_u64(seed.wrapping_add(number as u64));
        sessions.push(tokio::spawn(insert_on(client, random)));
    }
    for session in sessions {
        session.await.unwrap();
    }
    outsider.query_drop("SET GLOBAL auto_increment_increment = 1").await.unwrap();
    let rows: Option<u64> = outsider.query_first("SELECT COUNT(*) FROM crowd").await.unwrap();
    assert!(rows > Some(100), "{rows:?}");
    compare(scene, &format!("seed {seed}")).await;
    let sweeps = scene.segue.metric("segue_sweeps_total").await.unwrap();
    assert_eq!(sweeps, 0.0, "a sweep would mend what capture lost");
}

async fn insert_on(mut client: Conn, mut random: StdRng) {
    for _ in 0..TURNS {
        let end = ["", "", "COMMIT", "ROLLBACK"][random.random_range(0..4)];
        let statements = if end.is_empty() { 1 } else { random.random_range(1..=3) };
        if !end.is_empty() {
            client.query_drop("BEGIN").await.unwrap();
        }
        for _ in 0..statements {
            let sql = insert(&mut random);
            match client.query_drop(&sql).await {
                Err(mysql_async::Error::Server(error)) => {
                    assert!(EXPECTED.contains(&error.code), "{sql}: {error}");
                }
                answer => answer.unwrap_or_else(|error| panic!("{sql}: {error}")),
            }
        }
        if !end.is_empty() {
            client.query_drop(end).await.unwrap();
        }
    }
}

fn insert(random: &mut StdRng) -> String {
    let n: u32 = random.random_range(0..1000);
    let (id, other) = (random.random_range(1..3000), random.random_range(1..3000));
    let (one, two) = (random.random_range(0..12), random.random_range(0..12));
    match random.random_range(0..9) {
        0 => "INSERT INTO crowd (n) SELECT n FROM source".to_owned(),
        1 => format!("INSERT INTO crowd (n) VALUES ({n}), ({n} + 1), ({n} + 2)"),
        2 => format!("INSERT INTO crowd (id, n) VALUES (NULL, {n}), ({id}, {n}), (0, {n})"),
        3 => {
            format!("INSERT INTO crowd (id, n) VALUES ({id}, {n}), (DEFAULT, {n}), ({other}, {n})")
        }
        4 => format!(
            "INSERT IGNORE INTO crowd (word, n) VALUES ('w{one}', {n}), ('w{two}', {n}), (NULL, {n})"
        ),
        5 => format!(
            "INSERT INTO crowd (word, n) VALUES ('w{one}', {n}), (NULL, {n}), ('w{two}', {n}) \
             ON DUPLICATE KEY UPDATE n = n + 1, id = LAST_INSERT_ID(id)"
        ),
        6 => format!(
            "INSERT INTO crowd (word, n) VALUES (NULL, {n}), ('w{one}', {n}), (NULL, {n}) \
             ON DUPLICATE KEY UPDATE id = {other}"
        ),
        7 => format!("REPLACE INTO crowd (word, n) VALUES ('w{one}', {n}), ('w{two}', {n})"),
        _ => {
            format!("REPLACE INTO crowd (id, word, n) VALUES ({id}, 'w{one}', {n}), (0, NULL, {n})")
        }
    }
}

/// Only the counter that went back is worth a sweep; a second one comes when the connection is known to have
/// ended.
async fn swept_once(scene: &Scene) {
    let sweeps = scene.segue.metric("segue_sweeps_total").await.unwrap();
    assert!((1.0..=2.0).contains(&sweeps), "{sweeps} sweeps");
}

/// On a server of its own, in one lock mode.
async fn in_mode(kind: Kind, mode: u32) {
    let option = format!("--innodb-autoinc-lock-mode={mode}");
    let Some(server) = Server::own_with(kind, &[option]).await else { return };
    let (scene, wire) = set(&server).await;
    crowd(&scene).await;
    unanswered(&scene, &wire, async || {
        scene.segue.kill_hard().await.unwrap();
        wire.thaw();
        scene.segue.start_again().await.unwrap();
    })
    .await;
    compare(&scene, "killed before the answers").await;
    swept_once(&scene).await;
}

on_each_server!(
    answers_that_a_cut_connection_took_are_made_up_for,
    |server: &'static Server| async move {
        let (scene, wire) = set(server).await;
        unanswered(&scene, &wire, async || {
            wire.cut(Break::Both);
        })
        .await;
        compare(&scene, "cut before the answers").await;
        swept_once(&scene).await;
    }
);

macro_rules! in_each_mode {
    ($($name:ident: $kind:expr, $mode:expr;)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            in_mode($kind, $mode).await;
        }
    )*};
}

in_each_mode! {
    generated_keys_are_safe_in_mode_0_of_mysql: Kind::Mysql97, 0;
    generated_keys_are_safe_in_mode_1_of_mysql: Kind::Mysql97, 1;
    generated_keys_are_safe_in_mode_2_of_mysql: Kind::Mysql97, 2;
    generated_keys_are_safe_in_mode_0_of_mariadb: Kind::MariaDb, 0;
    generated_keys_are_safe_in_mode_1_of_mariadb: Kind::MariaDb, 1;
    generated_keys_are_safe_in_mode_2_of_mariadb: Kind::MariaDb, 2;
}
