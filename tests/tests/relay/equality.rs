//! Byte for byte: what the server sends after the login, directly and through Segue.
//! Never here: which statements (see `steps`).

use std::time::Duration;

use mysql_async::prelude::Queryable;
use segue_tests::harness::{Database, Server};
use segue_tests::on_each_server;
use segue_tests::recorder::{Recorder, Step, capability};

use crate::shop;
use crate::steps;

/// No statement of the list takes longer, on a busy machine either.
const STEP_LIMIT: Duration = Duration::from_secs(60);

/// How much of a differing answer is shown.
const SHOWN_BYTES: usize = 300;

const MODERN: u32 = capability::SESSION_TRACK | capability::DEPRECATE_EOF;
const OLD: u32 = capability::FOUND_ROWS;
const NEWEST: u32 = MODERN | capability::QUERY_ATTRIBUTES | capability::OPTIONAL_METADATA;

fn shown(bytes: &[u8]) -> String {
    let cut = &bytes[..bytes.len().min(SHOWN_BYTES)];
    format!("{} bytes: {}", bytes.len(), cut.escape_ascii())
}

fn label(step: &Step) -> String {
    let mut text = match step {
        Step::Query(sql) => {
            String::from_utf8_lossy(&sql[..sql.len().min(SHOWN_BYTES)]).into_owned()
        }
        other => format!("{other:?}"),
    };
    text.truncate(text.floor_char_boundary(SHOWN_BYTES));
    text
}

async fn record(
    way: &str,
    address: &str,
    database: &Database,
    capabilities: u32,
    steps: &[Step],
) -> Vec<Vec<u8>> {
    let mut recorder =
        Recorder::connect(address, "root", &database.name, capabilities).await.unwrap();
    let mut answers = Vec::with_capacity(steps.len());
    for step in steps {
        let answer = tokio::time::timeout(STEP_LIMIT, recorder.run(step)).await;
        let answer = answer.unwrap_or_else(|_| panic!("{way}: no answer to {}", label(step)));
        let mut answer = answer.unwrap_or_else(|error| panic!("{way}: {}: {error:#}", label(step)));
        if let (Step::Prepare(_), Some(id)) = (step, answer.get_mut(4..9))
            && id[0] == 0
        {
            // MariaDB numbers the statements of all sessions.
            id.fill(0);
        }
        answers.push(answer);
    }
    answers
}

/// Runs the steps on three equal databases: directly, and through Segue in both phases.
async fn same(server: &Server, capabilities: u32, steps: impl Fn(&str) -> Vec<Step>) {
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
                format!("{i}: {}\n  directly: {directly}\n  {phase}: {through}", label(&steps[i]))
            })
            .collect();
        assert!(differing.is_empty(), "{} differ\n{}", differing.len(), differing.join("\n"));
        let counted = segue.metric("segue_statements_total").await.unwrap();
        assert_eq!(counted > 0.0, phase == "dual-write", "statements were captured: {counted}");
        segue.stop().await.unwrap();
    }
}

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

on_each_server!(packets_of_several_frames, |server: &'static Server| async move {
    let mut root = server.connect().await.unwrap();
    root.query_drop("SET GLOBAL max_allowed_packet = 67108864").await.unwrap();
    same(server, MODERN, |_| steps::large()).await;
});
