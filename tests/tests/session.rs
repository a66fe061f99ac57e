//! The session as Segue mirrors it: random statements that change it, in their many spellings, and writes
//! whose keys depend on it. What is read wrongly is captured wrongly, and the items show it.
//! Never here: one statement form at a time (see `capture`).

#![allow(clippy::unwrap_used, reason = "all of this crate is a test")]

use mysql_async::prelude::Queryable;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use segue_tests::harness::{Kind, Server};
use segue_tests::on_each_server;
use segue_tests::recorder::{Recorder, Step, capability};
use segue_tests::scene::{Scene, Script};
use segue_tests::stage::seed;

const SCHEMA: &str = r"CREATE TABLE texts (
        tag VARCHAR(40) COLLATE utf8mb4_bin PRIMARY KEY, n INT NOT NULL DEFAULT 0,
        a VARCHAR(40) COLLATE utf8mb4_bin);
    CREATE TABLE notes (id INT AUTO_INCREMENT PRIMARY KEY, n INT NOT NULL DEFAULT 0);
    CREATE PROCEDURE calm() SET sql_mode = 'ANSI_QUOTES', @x = 1";

const CONTRACT: &str = r#"{"tables": [
    {"table": "Texts", "type": "single-entity", "source_table": "texts", "pk": "id", "attributes": [
        {"name": "id", "type": "S", "source_table": "texts", "source_column": "tag"},
        {"name": "n", "type": "N", "source_table": "texts", "source_column": "n"}]},
    {"table": "Notes", "type": "single-entity", "source_table": "notes", "pk": "id", "attributes": [
        {"name": "id", "type": "S", "source_table": "notes", "source_column": "id"},
        {"name": "n", "type": "N", "source_table": "notes", "source_column": "n"}]}]}"#;

/// Episodes of one run. Only a few writes lie between two looks at the items: a later refresh of the same
/// row would heal what was missed.
const EPISODES: usize = 25;
/// A change of the session and a write in turn.
const ROUNDS: usize = 5;

/// Rows that are told apart only by reading quotes, backslashes and bytes as the session does.
const ROWS: [&str; 3] = [
    r"INSERT INTO texts (tag, a) VALUES ('a', 'z'), ('b', 'b'), ('é', 'z'), ('Ã©', 'z')",
    r"INSERT INTO texts (tag, a) VALUES ('c\\d', 'z'), ('c\\\\d', 'z'), ('e', 'e')",
    "INSERT INTO notes (n) VALUES (1), (2), (3), (4)",
];

/// Writes that mean different rows in different sessions, and all of them something.
const WRITES: [&str; 9] = [
    r#"UPDATE texts SET n = n + 1 WHERE tag = "a""#,
    r"UPDATE texts SET n = n + 1 WHERE tag = 'c\\d'",
    "UPDATE texts SET n = n + 1 WHERE tag = 'é'",
    r#"UPDATE texts SET n = n + 1 WHERE tag IN ("b", 'c\\d')"#,
    "UPDATE notes SET n = n + 1 WHERE id % 2 = 0",
    "INSERT INTO notes (n) VALUES (10), (11), (12)",
    "DELETE FROM notes WHERE id > 30 AND n > 11",
    r#"INSERT INTO texts (tag, n) VALUES ('c\\d', 1), ('é', 1) ON DUPLICATE KEY UPDATE n = n + 5"#,
    "UPDATE texts SET n = n + 1 WHERE n >= 0 ORDER BY tag LIMIT 3",
];

/// Changes that Segue does not follow but asks about. It sweeps every table after them, so they come first
/// in an episode.
fn opaque(random: &mut StdRng, kind: Kind) -> Vec<&'static str> {
    let several: [&[&str]; 4] = [
        &["CALL calm()"],
        &["PREPARE s FROM 'SET sql_mode = ''ANSI_QUOTES'''", "EXECUTE s"],
        &["PREPARE s FROM 'SET NAMES latin1'", "EXECUTE s"],
        &["EXECUTE IMMEDIATE 'SET sql_mode = ''NO_BACKSLASH_ESCAPES'''"],
    ];
    let known = if kind == Kind::MariaDb { 4 } else { 3 };
    several[random.random_range(0..known)].to_vec()
}

fn mode(random: &mut StdRng, kind: Kind) -> String {
    let modes = ["", "ANSI_QUOTES", "NO_BACKSLASH_ESCAPES", "ANSI_QUOTES,NO_BACKSLASH_ESCAPES"];
    let mode = *modes.choose(random).unwrap();
    let mut spellings = vec![
        format!("SET sql_mode = '{mode}'"),
        format!("SET SESSION sql_mode = '{mode}'"),
        format!("SET LOCAL `sql_mode` = '{mode}'"),
        format!("SET @@sql_mode = '{mode}'"),
        format!("SET @@session.sql_mode := '{mode}'"),
        format!("/*!40101 SET sql_mode = '{mode}' */"),
        format!("SET @m = '{mode}', sql_mode = @m"),
        format!("SET sql_mode = (SELECT '{mode}')"),
        "SET sql_mode = 4".to_owned(),
        "SET sql_mode = 'ANSI'".to_owned(),
        "SET sql_mode = CONCAT_WS(',', @@sql_mode, 'NO_BACKSLASH_ESCAPES')".to_owned(),
        format!("SET GLOBAL sort_buffer_size = 262144, SESSION sql_mode = '{mode}'"),
        format!("SET NAMES utf8mb4, sql_mode = '{mode}'"),
    ];
    if kind == Kind::MariaDb {
        spellings.push("SET STATEMENT sql_mode = 'ANSI_QUOTES' FOR SELECT 1".to_owned());
        spellings.push(format!("SET sql_mode = '{mode}', ROLE NONE"));
    }
    spellings.choose(random).unwrap().clone()
}

fn change(random: &mut StdRng, kind: Kind, databases: [&str; 2]) -> Step {
    let fixed = [
        "SET NAMES latin1",
        "SET NAMES utf8mb4",
        "SET NAMES DEFAULT",
        "SET CHARACTER SET latin1",
        "SET character_set_client = utf8mb4",
        "SET autocommit = 0",
        "SET autocommit = 1",
        "SET @x = 1, autocommit = 0",
        "SET @@autocommit = DEFAULT",
        "BEGIN",
        "START TRANSACTION",
        "COMMIT",
        "ROLLBACK",
        "SET TRANSACTION ISOLATION LEVEL READ COMMITTED",
        "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
        "SET sql_select_limit = 1",
        "SET sql_select_limit = DEFAULT",
        "SET auto_increment_increment = 3",
        "SET @@session.auto_increment_increment = 1",
        "SET GLOBAL sort_buffer_size = 262144",
        "SELECT 'x' INTO @x",
    ];
    match random.random_range(0..10) {
        0..4 => Step::query(mode(random, kind)),
        4 => Step::query(format!("USE `{}`", databases.choose(random).unwrap())),
        5 => Step::InitDb((*databases.choose(random).unwrap()).to_owned()),
        6 if random.random_bool(0.3) => Step::ResetConnection,
        _ => Step::query(*fixed.choose(random).unwrap()),
    }
}

on_each_server!(
    items_follow_whatever_the_session_is_set_to,
    |server: &'static Server| async move {
        let seed = seed();
        println!("SEGUE_TEST_SEED={seed}");
        let random = &mut StdRng::seed_from_u64(seed);
        let script = Script {
            name: "session",
            schema: SCHEMA,
            contract: CONTRACT,
            phases: "default = \"dual-write\"\n",
        };
        let scene = Scene::open(server, script).await.unwrap();
        let other = server.database("session_other", SCHEMA).await.unwrap();
        let databases = [scene.database.name.as_str(), other.name.as_str()];
        let address = format!("127.0.0.1:{}", scene.segue.mysql_port());
        let mut client =
            Recorder::connect(&address, "root", databases[0], capability::DEPRECATE_EOF)
                .await
                .unwrap();
        let mut said = vec![];
        for row in ROWS {
            client.run(&Step::query(row)).await.unwrap();
        }
        for _ in 0..EPISODES {
            if random.random_bool(0.2) {
                for sql in opaque(random, server.kind()) {
                    client.run(&Step::query(sql)).await.unwrap();
                    said.push(sql.to_owned());
                }
                scene.settle().await.unwrap();
            }
            for _ in 0..ROUNDS {
                for step in round(random, server.kind(), databases) {
                    // Duplicate keys and the like are answers as well.
                    client.run(&step).await.unwrap();
                    said.push(match &step {
                        Step::Query(sql) => String::from_utf8_lossy(sql).into_owned(),
                        step => format!("{step:?}"),
                    });
                }
            }
            client.run(&Step::query("COMMIT")).await.unwrap();
            compare(server, &scene, || format!("seed {seed}, after:\n{}", said.join("\n"))).await;
        }
    }
);

/// A change and a write, now and then in one command: the second is read as the first has set it.
fn round(random: &mut StdRng, kind: Kind, databases: [&str; 2]) -> Vec<Step> {
    let step = change(random, kind, databases);
    let write = *WRITES.choose(random).unwrap();
    match &step {
        Step::Query(sql) if random.random_bool(0.3) => {
            vec![Step::query([sql, &b"; "[..], write.as_bytes()].concat())]
        }
        _ => vec![step, Step::query(write)],
    }
}

async fn compare(server: &Server, scene: &Scene, place: impl Fn() -> String) {
    let mut root = server.connect().await.unwrap();
    for (table, source, key) in [("Texts", "texts", "tag"), ("Notes", "notes", "id")] {
        let database = &scene.database.name;
        let sql = format!("SELECT CONCAT({key}, '=', n) FROM `{database}`.{source}");
        let mut rows: Vec<String> = root.query(sql).await.unwrap();
        rows.sort();
        let items = scene.shown(table, "id", "n").await.unwrap();
        assert_eq!(items, rows, "{table}, {}", place());
    }
    root.disconnect().await.unwrap();
}

on_each_server!(
    statements_that_the_server_does_not_split_are_not_split,
    |server: &'static Server| async move {
        let phases = "default = \"dual-write\"\n";
        let script = Script { name: "session", schema: SCHEMA, contract: CONTRACT, phases };
        let scene = Scene::open(server, script).await.unwrap();
        let address = format!("127.0.0.1:{}", scene.segue.mysql_port());
        let name = &scene.database.name;
        let two = Step::query("SELECT 1; INSERT INTO notes (n) VALUES (7)");
        let mut answers = vec![];
        for address in [server.address(), address] {
            let wanted = capability::DEPRECATE_EOF;
            let mut client = Recorder::connect(&address, "root", name, wanted).await.unwrap();
            client.run(&Step::SetOption(1)).await.unwrap();
            let mut answer = client.run(&two).await.unwrap();
            client.run(&Step::SetOption(0)).await.unwrap();
            answer.extend(client.run(&two).await.unwrap());
            answers.push(answer);
        }
        // The insert ids differ.
        let length = answers[0].len();
        assert_eq!(answers[0][..length - 11], answers[1][..answers[1].len() - 11]);
        scene.settle().await.unwrap();
        let mut root = server.connect().await.unwrap();
        let count: Option<i64> =
            root.query_first(format!("SELECT COUNT(*) FROM `{name}`.notes")).await.unwrap();
        assert_eq!(count, Some(2), "each once, where it was allowed");
    }
);
