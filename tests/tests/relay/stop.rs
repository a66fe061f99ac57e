//! The graceful stop: who is let go when, who is cut off, what the process says at its end.
//! Never here: a successor that takes over (see `handover`).

use std::time::Duration;

use mysql_async::prelude::Queryable;
use segue_tests::harness::{Database, SegueProcess, Server};
use segue_tests::on_each_server;
use segue_tests::recorder::{Recorder, Step, capability};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use crate::shop;

const CAPABILITIES: u64 = capability::DEPRECATE_EOF;
/// Something is expected to happen soon, on a busy machine.
const SOON: Duration = Duration::from_secs(30);
/// A drain that no test waits for.
const LONG: [(&str, &str); 1] = [("SEGUE_SHUTDOWN_DRAIN_SECONDS", "600")];

async fn open(segue: &SegueProcess, database: &Database) -> Recorder {
    open_with(segue, database, CAPABILITIES).await
}

async fn open_with(segue: &SegueProcess, database: &Database, capabilities: u64) -> Recorder {
    Recorder::connect(&shop::address(segue), "root", &database.name, capabilities).await.unwrap()
}

async fn run(client: &mut Recorder, sql: &str) {
    let answer = client.run(&Step::query(sql)).await.unwrap();
    assert_ne!(answer[4], 0xff, "{sql}: {}", answer.escape_ascii());
}

/// Waits for the end of a connection on which nothing more is said.
async fn is_let_go(client: &mut Recorder) {
    let bytes = timeout(SOON, client.read_some(100)).await.expect("the connection ends");
    assert!(bytes.is_err() || bytes.unwrap().is_empty());
}

async fn refuses(segue: &SegueProcess) {
    let begin = Instant::now();
    while TcpStream::connect(shop::address(segue)).await.is_ok() {
        assert!(begin.elapsed() < SOON, "new clients are accepted");
        sleep(Duration::from_millis(50)).await;
    }
}

async fn users(server: &Server, database: &Database) -> i64 {
    let mut root = server.connect().await.unwrap();
    let sql = format!("SELECT COUNT(*) FROM `{}`.users", database.name);
    root.query_first(sql).await.unwrap().unwrap()
}

const INSERT: &str = "INSERT INTO users (username, email, password_hash) VALUES ('a', 'a', 'h')";

on_each_server!(a_stop_waits_for_transactions_only, |server: &'static Server| async move {
    let database = shop::database(server).await;
    let segue = shop::segue_with(server, &database, "dual-write", &LONG).await;
    let mut idle = open(&segue, &database).await;
    let compressed = CAPABILITIES | capability::COMPRESS;
    let mut compressed = open_with(&segue, &database, compressed).await;
    run(&mut compressed, "SELECT 1").await;
    let mut busy = open(&segue, &database).await;
    let mut working = open(&segue, &database).await;
    run(&mut busy, "BEGIN").await;
    run(&mut busy, INSERT).await;
    working.send(&Step::query("SELECT SLEEP(3), 'done'")).await.unwrap();
    let clients = async {
        is_let_go(&mut idle).await;
        is_let_go(&mut compressed).await;
        refuses(&segue).await;
        let answer = timeout(SOON, working.read_some(1000)).await.unwrap().unwrap();
        assert!(answer.windows(4).any(|w| w == b"done"), "{}", answer.escape_ascii());
        is_let_go(&mut working).await;
        run(&mut busy, "UPDATE users SET first_name = 'b'").await;
        run(&mut busy, "COMMIT").await;
        is_let_go(&mut busy).await;
    };
    let (status, ()) = tokio::join!(segue.stop(), clients);
    assert_eq!(status.unwrap(), 0);
    assert!(segue.log().contains("cut_off=0"), "{}", segue.log());
    assert_eq!(users(server, &database).await, 1);
});

on_each_server!(what_outlasts_the_drain_is_cut_off, |server: &'static Server| async move {
    let database = shop::database(server).await;
    let short = [("SEGUE_SHUTDOWN_DRAIN_SECONDS", "1")];
    let segue = shop::segue_with(server, &database, "dual-write", &short).await;
    let mut open_end = open(&segue, &database).await;
    let mut asleep = open(&segue, &database).await;
    run(&mut open_end, "BEGIN").await;
    run(&mut open_end, INSERT).await;
    asleep.send(&Step::query("SELECT SLEEP(100)")).await.unwrap();
    let begin = Instant::now();
    let clients = async {
        is_let_go(&mut open_end).await;
        is_let_go(&mut asleep).await;
    };
    let (status, ()) = tokio::join!(segue.stop(), clients);
    assert_eq!(status.unwrap(), 0);
    assert!(begin.elapsed() < SOON);
    assert!(segue.log().contains("cut_off=2"), "{}", segue.log());
    assert_eq!(users(server, &database).await, 0, "the transaction was rolled back");
});

on_each_server!(a_second_signal_ends_at_once, |server: &'static Server| async move {
    let database = shop::database(server).await;
    let segue = shop::segue_with(server, &database, "dual-write", &LONG).await;
    let mut busy = open(&segue, &database).await;
    run(&mut busy, "BEGIN").await;
    run(&mut busy, INSERT).await;
    segue.signal("TERM").await.unwrap();
    refuses(&segue).await;
    let status = timeout(SOON, segue.stop()).await.expect("nothing is waited for");
    assert_eq!(status.unwrap(), 0);
    assert!(segue.log().contains("stopped at once"), "{}", segue.log());
    is_let_go(&mut busy).await;
});
