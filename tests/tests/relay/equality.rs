//! Byte for byte: what the server sends after the login, directly and through Segue.
//! Never here: which statements (see `steps`).

use std::time::Duration;

use mysql_async::prelude::Queryable;
use segue_tests::harness::{Database, Kind, Server};
use segue_tests::on_each_server;
use segue_tests::recorder::{Recorder, Step, capability};

use crate::grammar::{self, Form, Maker};
use crate::shop;
use crate::steps;

/// No statement of the list takes longer, on a busy machine either.
const STEP_LIMIT: Duration = Duration::from_secs(60);

/// Different statements that the grammar makes, each as text and prepared.
const STATEMENTS_MIN: usize = 2_000;

/// Seed of the grammar; `SEGUE_TEST_SEED` gives another.
const SEED: u64 = 20_260_101;

/// How much of a differing answer is shown.
const SHOWN_BYTES: usize = 300;

const MODERN: u64 = capability::SESSION_TRACK | capability::DEPRECATE_EOF;
const OLD: u64 = capability::FOUND_ROWS;
const NEWEST: u64 = MODERN | capability::QUERY_ATTRIBUTES | capability::OPTIONAL_METADATA;

fn shown(bytes: &[u8]) -> String {
    let cut = &bytes[..bytes.len().min(SHOWN_BYTES)];
    format!("{} bytes: {}", bytes.len(), cut.escape_ascii())
}

fn label(steps: &[Step], at: usize) -> String {
    let mut text = match &steps[at] {
        Step::Query(sql) => {
            String::from_utf8_lossy(&sql[..sql.len().min(SHOWN_BYTES)]).into_owned()
        }
        other => {
            let prepared = steps[..at].iter().rev().find(|step| matches!(step, Step::Prepare(_)));
            format!("{other:?} of {prepared:?}")
        }
    };
    text.truncate(text.floor_char_boundary(SHOWN_BYTES));
    text
}

/// An error of a fetch, or a warning of it, that tells the statement's number.
fn names_a_statement(answer: &[u8]) -> bool {
    answer.windows(18).any(|part| part == b"has no open cursor")
}

/// An answer without the number of a statement that its text names, and so without lengths: its letters. (No
/// such packet is so long that its length is a letter.)
fn without_digits(answer: Vec<u8>) -> Vec<u8> {
    answer.into_iter().filter(u8::is_ascii_alphabetic).collect()
}

async fn record(
    way: &str,
    address: &str,
    database: &Database,
    capabilities: u64,
    steps: &[Step],
) -> Vec<Vec<u8>> {
    let mut recorder =
        Recorder::connect(address, "root", &database.name, capabilities).await.unwrap();
    let mut answers = Vec::with_capacity(steps.len());
    for (i, step) in steps.iter().enumerate() {
        let label = || label(steps, i);
        let answer = tokio::time::timeout(STEP_LIMIT, recorder.run(step)).await;
        let answer = answer.unwrap_or_else(|_| panic!("{way}: no answer to {}", label()));
        let mut answer = answer.unwrap_or_else(|error| panic!("{way}: {}: {error:#}", label()));
        // MariaDB numbers the statements of all sessions.
        if names_a_statement(&answer) {
            answer = without_digits(answer);
        } else if let (Step::Prepare(_), Some(id)) = (step, answer.get_mut(4..9))
            && id[0] == 0
        {
            id.fill(0);
        }
        answers.push(answer);
    }
    let compression = capabilities & (capability::COMPRESS | capability::ZSTD) != 0;
    assert_eq!(recorder.compressed() > 0, compression, "{way}");
    answers
}

/// Runs the steps on three equal databases: directly, and through Segue in both phases.
async fn same(
    server: &Server,
    capabilities: u64,
    steps: impl Fn(&str) -> Vec<Step>,
) -> (usize, usize) {
    let database = shop::database(server).await;
    let steps = steps(&database.name);
    let expected = record("directly", &server.address(), &database, capabilities, &steps).await;
    for phase in ["mysql-only", "dual-write"] {
        shop::refill(server, &database).await.unwrap();
        let segue = shop::segue(server, &database, phase).await;
        let found = record(phase, &shop::address(&segue), &database, capabilities, &steps).await;
        let differing: Vec<String> = (0..steps.len())
            .filter(|&i| expected[i] != found[i])
            .map(|i| {
                let (directly, through) = (shown(&expected[i]), shown(&found[i]));
                format!("{i}: {}\n  directly: {directly}\n  {phase}: {through}", label(&steps, i))
            })
            .collect();
        assert!(differing.is_empty(), "{} differ\n{}", differing.len(), differing.join("\n"));
        let counted = segue.metric("segue_statements_total").await.unwrap();
        assert_eq!(counted > 0.0, phase == "dual-write", "statements were captured: {counted}");
        segue.stop().await.unwrap();
    }
    let errors = expected.iter().filter(|answer| answer.get(4) == Some(&0xff)).count();
    (expected.len() - errors, errors)
}

/// The statements that the grammar makes, after the settings that keep the clock out of them.
async fn made(server: &Server, capabilities: u64, form: Form) {
    let seed = std::env::var("SEGUE_TEST_SEED").map_or(SEED, |text| text.parse().unwrap());
    let begin = ["SET NAMES utf8mb4", "SET TIMESTAMP = 1700000000", "SET time_zone = '+00:00'"];
    let (answers, errors) = same(server, capabilities, |database| {
        let made = Maker::new(seed, form, database).make(STATEMENTS_MIN);
        println!("seed {seed}: {} statements, {form:?}", made.len());
        let begin = begin.iter().chain(&FILLED).map(|sql| Step::query(*sql));
        begin.chain(grammar::steps(&made, form)).collect()
    })
    .await;
    println!("{}, {form:?}: {answers} answers and {errors} errors equal", server.kind().name());
    assert!(answers > errors, "most statements are to be right: {answers}, {errors}");
}

/// Rows of the mapped tables that the grammar's statements find.
const FILLED: [&str; 5] = [
    "INSERT INTO users (username, email, password_hash) VALUES ('ann', 'ann@x.org', 'h'), ('bob', 'b', 'h'), \
     ('cy', 'c', 'h'), ('di', 'd', 'h'), ('ed', 'e', 'h')",
    "INSERT INTO categories (name) VALUES ('Books'), ('Films')",
    "INSERT INTO products (seller_id, category_id, name, price) VALUES (1, 1, 'Atlas', 12.5), \
     (1, 2, 'Film', 7), (2, 1, 'Novel', 8), (2, 1, 'Poems', 3)",
    "INSERT INTO shopping_carts (user_id, product_id) VALUES (1, 1), (2, 2), (2, 3)",
    "INSERT INTO scratch VALUES (1, 'one', 1), (2, 'two', NULL), (3, NULL, DEFAULT), (4, 'four', 4)",
];

on_each_server!(texts_of_a_modern_client, |server: &'static Server| async move {
    same(server, MODERN, steps::texts).await;
});

on_each_server!(texts_of_an_old_client, |server: &'static Server| async move {
    same(server, OLD, steps::texts).await;
});

on_each_server!(texts_of_the_newest_client, |server: &'static Server| async move {
    same(server, NEWEST, steps::texts).await;
});

on_each_server!(prepared_statements_of_a_modern_client, |server: &'static Server| async move {
    same(server, MODERN, steps::prepared).await;
});

on_each_server!(prepared_statements_of_an_old_client, |server: &'static Server| async move {
    same(server, OLD, steps::prepared).await;
});

on_each_server!(binary_protocol_of_a_modern_client, |server: &'static Server| async move {
    same(server, MODERN, steps::binary).await;
});

on_each_server!(binary_protocol_of_an_old_client, |server: &'static Server| async move {
    same(server, OLD, steps::binary).await;
});

on_each_server!(binary_protocol_of_the_newest_client, |server: &'static Server| async move {
    same(server, NEWEST, steps::binary).await;
});

/// The newest that the server has.
fn compression(server: &Server) -> u64 {
    match server.kind() {
        Kind::Mysql97 => capability::ZSTD,
        Kind::MariaDb => capability::COMPRESS,
    }
}

on_each_server!(texts_in_the_compressed_protocol, |server: &'static Server| async move {
    same(server, MODERN | capability::COMPRESS, steps::texts).await;
});

on_each_server!(binary_in_the_compressed_protocol, |server: &'static Server| async move {
    same(server, NEWEST | compression(server), steps::binary).await;
});

on_each_server!(several_frames_in_the_compressed_protocol, |server: &'static Server| async move {
    let mut root = server.connect().await.unwrap();
    root.query_drop("SET GLOBAL max_allowed_packet = 67108864").await.unwrap();
    same(server, MODERN | compression(server), |_| steps::large()).await;
});

on_each_server!(packets_of_several_frames, |server: &'static Server| async move {
    let mut root = server.connect().await.unwrap();
    root.query_drop("SET GLOBAL max_allowed_packet = 67108864").await.unwrap();
    same(server, MODERN, |_| steps::large()).await;
});

// Servers of their own: made statements may be what a server does not survive.
on_each_server!(made_texts, |shared: &'static Server| async move {
    let Some(server) = Server::own(shared.kind()).await else { return };
    made(&server, MODERN, Form::Text).await;
});

on_each_server!(made_prepared_statements, |shared: &'static Server| async move {
    let Some(server) = Server::own(shared.kind()).await else { return };
    made(&server, NEWEST, Form::Prepared).await;
});
