//! MariaDB's bulk executions and cached metadata: the same answers, and every row captured.
//! Never here: drivers that use them (see `cargo xtask drivers`).

use std::time::Duration;

use segue::mysql::control::Control;
use segue_tests::harness::{Engine, Items, Kind, SegueConfig, SegueProcess, Server};
use segue_tests::recorder::{Parameter, Recorder, Step, capability};
use segue_tests::stage::create_tables;
use segue_tests::workload::oracle::{Source, Target, compare};

use crate::shop;

/// Everything owed is done by then, on a busy machine.
const SETTLED: Duration = Duration::from_secs(60);

const WANTED: u64 = capability::DEPRECATE_EOF | capability::BULK | capability::CACHE_METADATA;

fn text(text: String) -> Parameter {
    Parameter::Text(text)
}

/// An INSERT of so many users, the server choosing their ids.
fn users(name: &str, count: usize) -> [Step; 2] {
    let row = |i| vec![text(format!("{name}{i}")), text(format!("{name}{i}@x.org"))];
    [
        Step::Prepare(
            "INSERT INTO users (username, email, password_hash) VALUES (?, ?, 'h')".into(),
        ),
        Step::Bulk((0..count).map(row).collect()),
    ]
}

/// Every way in which keys are learnt, failures in the midst, and transactions.
fn steps() -> Vec<Step> {
    let prepare = |sql: &str| Step::Prepare(sql.into());
    let ids = |range: std::ops::Range<i64>| -> Vec<Vec<Parameter>> {
        range.map(|i| vec![text(format!("named {i}")), Parameter::Int(i)]).collect()
    };
    let mut steps = users("a", 40).to_vec();
    steps.extend([
        prepare("INSERT INTO users (id, username, email, password_hash) VALUES (?, ?, ?, 'h')"),
        Step::Bulk(
            (70_000..70_050)
                .map(|i| vec![Parameter::Int(i), text(format!("i{i}")), text(format!("i{i}"))])
                .collect(),
        ),
        prepare("UPDATE users SET first_name = ? WHERE id = ?"),
        Step::Bulk(ids(70_000..70_020)),
        Step::Bulk(vec![vec![Parameter::Null, Parameter::Int(70_001)]]),
        prepare("UPDATE users SET last_name = ? WHERE username = ?"),
        Step::Bulk((0..30).map(|i| vec![text(format!("L{i}")), text(format!("a{i}"))]).collect()),
        prepare("UPDATE users SET email = ? WHERE id = ?"),
        // The second row fails; the first stays.
        Step::Bulk(vec![
            vec![text("first@x.org".into()), Parameter::Int(70_002)],
            vec![text("first@x.org".into()), Parameter::Int(70_003)],
            vec![text("third@x.org".into()), Parameter::Int(70_004)],
        ]),
        Step::query("BEGIN"),
    ]);
    steps.extend(users("rolled", 5));
    steps.extend([Step::query("ROLLBACK"), Step::query("BEGIN")]);
    steps.extend(users("kept", 5));
    steps.extend([
        prepare("DELETE FROM users WHERE id = ?"),
        Step::Bulk((70_010..70_015).map(|i| vec![Parameter::Int(i)]).collect()),
        Step::query("COMMIT"),
        Step::query("SET autocommit = 0"),
        Step::Bulk(vec![vec![Parameter::Int(70_020)]]),
        Step::query("SET autocommit = 1"),
    ]);
    // Twice the same name: nothing of it stays.
    steps.extend([users("b", 3), users("b", 3)].concat());
    steps.extend([
        prepare("SELECT ? + 1"),
        Step::Bulk(vec![vec![Parameter::Int(1)]]),
        prepare(
            "SELECT id, username, first_name, last_name, email FROM users WHERE id > ? ORDER BY id",
        ),
    ]);
    // The definitions of the columns come once.
    for _ in 0..3 {
        steps.push(Step::Execute { cursor: 0, parameters: vec![Parameter::Int(69_999)] });
    }
    steps.push(Step::query("SELECT COUNT(*) FROM users"));
    steps
}

async fn answers(address: &str, database: &str) -> Vec<Vec<u8>> {
    let mut recorder = Recorder::connect(address, "root", database, WANTED).await.unwrap();
    recorder.run(&Step::query("SET TIMESTAMP = 1700000000")).await.unwrap();
    let mut answers = vec![];
    for step in steps() {
        let mut answer = recorder.run(&step).await.unwrap();
        if let Step::Prepare(_) = step {
            // MariaDB numbers the statements of all sessions.
            answer[5..9].fill(0);
        }
        answers.push(answer);
    }
    answers
}

async fn mariadb() -> Option<&'static Server> {
    Server::shared(Kind::MariaDb).await
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_the_servers() {
    let Some(server) = mariadb().await else { return };
    let database = shop::database(server).await;
    let expected = answers(&server.address(), &database.name).await;
    let errors = expected.iter().filter(|answer| answer[4] == 0xff).count();
    assert!((2..=4).contains(&errors), "{errors} errors");
    // Five columns, and no definitions of them.
    assert_eq!(expected[expected.len() - 2][4..6], [5, 0]);
    for phase in ["mysql-only", "dual-write"] {
        shop::refill(server, &database).await.unwrap();
        let segue = shop::segue(server, &database, phase).await;
        let found = answers(&shop::address(&segue), &database.name).await;
        for (i, step) in steps().iter().enumerate() {
            let shown = |bytes: &[u8]| bytes[..bytes.len().min(200)].escape_ascii().to_string();
            let (expected, found) = (shown(&expected[i]), shown(&found[i]));
            assert_eq!(expected, found, "{phase}, step {i}: {step:?}");
        }
        assert!(expected == found, "{phase}");
        segue.stop().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_row_is_captured() {
    let Some(server) = mariadb().await else { return };
    let database = shop::database(server).await;
    let engine = Engine::start().await.unwrap();
    let config = SegueConfig::new(server, &database, shop::CONTRACT).with_engine(&engine);
    let segue = SegueProcess::prepare(&config).unwrap();
    create_tables(&segue).await.unwrap();
    segue.start_again().await.unwrap();
    answers(&shop::address(&segue), &database.name).await;
    segue.settle(SETTLED).await.unwrap();
    let control = Control::connect(&database.url, 2).await.unwrap();
    let source = Source { control: &control, contract: shop::CONTRACT, database: &database.name };
    let items = Items::at(&engine.endpoint());
    let differences = compare(source, Target { client: items.client(), prefix: "" }).await.unwrap();
    assert!(differences.is_empty(), "{differences}\n{}", segue.log());
    assert!(differences.expected_items > 80, "{differences}");
}
