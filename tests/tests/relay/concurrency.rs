//! Many clients, large results, slow readers: what Segue's memory and tasks have to stand.
//! Never here: clients that misbehave (see `faults`).

use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts};
use segue_tests::harness::{SegueProcess, Server};
use segue_tests::on_each_server;
use segue_tests::recorder::{Recorder, Step, capability};
use tokio::time::{Instant, sleep};

use crate::shop;

const CLIENTS: usize = 200;
const ROUNDS: usize = 5;
/// Rows of the large result, a thousand bytes each.
const LARGE_ROWS: usize = 120_000;
/// What one large result and its slow reader may add to Segue's memory: buffers of both legs.
const MEMORY_GROWTH_MAX: u64 = 24 << 20;

/// Resident memory of the process.
fn resident_bytes(segue: &SegueProcess) -> u64 {
    let pid = segue.pid().expect("segue runs");
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("VmRSS");
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

on_each_server!(slow_reader_costs_no_memory, |server: &'static Server| async move {
    let database = shop::database(server).await;
    let segue = shop::segue(server, &database, "dual-write").await;
    let address = shop::address(&segue);
    let mut recorder =
        Recorder::connect(&address, "root", &database.name, capability::DEPRECATE_EOF)
            .await
            .unwrap();
    recorder.run(&Step::query("SELECT COUNT(*) FROM users")).await.unwrap();
    let before = resident_bytes(&segue);
    let sql = format!(
        "SELECT REPEAT('x', 1000) FROM information_schema.columns a, \
         information_schema.columns b LIMIT {LARGE_ROWS}"
    );
    recorder.send(&Step::query(sql)).await.unwrap();
    let (begin, mut received, mut largest) = (Instant::now(), 0, 0);
    while received < LARGE_ROWS * 1000 {
        let read = recorder.read_some(256 << 10).await.unwrap();
        assert!(!read.is_empty(), "the result ended after {received} bytes");
        received += read.len();
        largest = largest.max(resident_bytes(&segue));
        // Slow at first, so that everything on the way is full; then as fast as it goes.
        if begin.elapsed() < Duration::from_secs(4) {
            sleep(Duration::from_millis(50)).await;
        }
    }
    let growth = largest.saturating_sub(before);
    println!("{received} bytes, {before} bytes resident before, {growth} more at most");
    assert!(growth < MEMORY_GROWTH_MAX, "{growth} bytes more");
});

on_each_server!(two_hundred_clients_are_served, |server: &'static Server| async move {
    let database = shop::database(server).await;
    let segue = shop::segue(server, &database, "dual-write").await;
    let url = segue.url(&database);
    let mut tasks = vec![];
    for i in 0..CLIENTS {
        let opts = Opts::from_url(&url).unwrap();
        tasks.push(tokio::spawn(async move {
            let mut client = Conn::new(opts).await?;
            for round in 0..ROUNDS {
                let name = format!("u{i}r{round}");
                let insert =
                    "INSERT INTO users (username, email, password_hash) VALUES (?, ?, 'h')";
                client.exec_drop(insert, (&name, format!("{name}@x.org"))).await?;
                let id = client.last_insert_id();
                let own = format!("SELECT id FROM users WHERE username = '{name}'");
                let found: Option<u64> = client.query_first(own).await?;
                assert_eq!(found, id, "every client gets its own answers");
                let update = format!("UPDATE users SET email = '{name}@y.org' WHERE id = ?");
                client.exec_drop(update, (id,)).await?;
                assert_eq!(client.affected_rows(), 1);
            }
            client.disconnect().await
        }));
    }
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    let mut root = server.connect().await.unwrap();
    let count =
        format!("SELECT COUNT(*) FROM `{}`.users WHERE email LIKE '%@y.org'", database.name);
    let rows: Option<usize> = root.query_first(count).await.unwrap();
    assert_eq!(rows, Some(CLIENTS * ROUNDS));
    segue.settle(Duration::from_secs(60)).await.unwrap();
    assert!(segue.metric("segue_connections_total").await.unwrap() >= CLIENTS as f64);
});
