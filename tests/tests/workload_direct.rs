//! The workload against a server without Segue in between: most statements succeed, every error is
//! an expected one, lost connections are taken up again.
//! Never here: DynamoDB.

use std::time::Duration;

use mysql_async::Conn;
use mysql_async::prelude::Queryable as _;
use segue_tests::harness::Server;
use segue_tests::on_each_server;
use segue_tests::workload::{self, LostConnection, Plan};

/// Least part of the statements that succeeds; below, the generator makes little sense.
const SUCCEEDED_MIN: f64 = 0.8;

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

async fn most_statements_succeed(server: &Server) -> anyhow::Result<()> {
    let url = server.database("direct", "").await?.url;
    let seed = number("SEGUE_TEST_SEED", 1);
    let rows = workload::prepare(&url, seed).await?;
    println!("{rows} rows to begin with");
    let mut plan = Plan::new(seed, &url);
    plan.transactions = number("SEGUE_TEST_TRANSACTIONS", 150) as usize;
    let report = workload::run(plan).await?;
    println!("{report}");
    let mut connection = Conn::from_url(&url).await?;
    for table in workload::table_names() {
        let count: Option<u64> =
            connection.query_first(format!("SELECT COUNT(*) FROM {table}")).await?;
        println!("  {table:<14} {:>6} rows at the end", count.unwrap_or_default());
        anyhow::ensure!(count > Some(0), "{table} ran empty");
    }
    connection.disconnect().await?;
    report.check()?;
    let part = report.succeeded as f64 / report.statements as f64;
    anyhow::ensure!(part >= SUCCEEDED_MIN, "only {part:.2} of the statements succeeded");
    Ok(())
}

/// The other connections of the database. Two ways, because MariaDB's performance schema is off by
/// default and MySQL's process list fails (error 3854) while a statement with bytes runs.
async fn other_connections(connection: &mut Conn) -> anyhow::Result<Vec<u64>> {
    let threads = "SELECT processlist_id FROM performance_schema.threads \
                   WHERE processlist_db = DATABASE() AND processlist_id <> CONNECTION_ID()";
    let list = "SELECT id FROM information_schema.processlist \
                WHERE db = DATABASE() AND id <> CONNECTION_ID()";
    let others: Vec<u64> = connection.query(threads).await?;
    Ok(if others.is_empty() { connection.query(list).await? } else { others })
}

/// Kills the other connections of a database, `times` times.
async fn kill_connections(url: &str, times: usize) -> anyhow::Result<()> {
    let mut connection = Conn::from_url(url).await?;
    for _ in 0..times {
        tokio::time::sleep(Duration::from_millis(100)).await;
        for id in other_connections(&mut connection).await? {
            // It may be gone already.
            let _ = connection.query_drop(format!("KILL {id}")).await;
        }
    }
    connection.disconnect().await?;
    Ok(())
}

async fn lost_connections(server: &Server) -> anyhow::Result<()> {
    let url = server.database("direct_lost", "").await?.url;
    workload::prepare(&url, 11).await?;
    let mut plan = Plan::new(11, &url);
    plan.transactions = 120;
    plan.pause = Duration::from_millis(5);
    plan.lost_connection = LostConnection::Reconnect;
    let (report, killed) = tokio::join!(workload::run(plan), kill_connections(&url, 5));
    killed?;
    let report = report?;
    println!("{report}");
    report.check()?;
    anyhow::ensure!(report.transactions == 480, "every transaction was begun");
    anyhow::ensure!(report.lost_connections > 0, "connections were killed");
    Ok(())
}

on_each_server!(
    most_statements_succeed_and_all_errors_are_expected,
    |server: &'static Server| async move { most_statements_succeed(server).await.unwrap() }
);

on_each_server!(lost_connections_are_taken_up_again, |server: &'static Server| async move {
    lost_connections(server).await.unwrap();
});
