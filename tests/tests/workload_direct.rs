//! The workload against a server without Segue in between: most statements succeed, and every
//! error is an expected one.
//! Never here: DynamoDB. Set SEGUE_TEST_MYSQL_URL to an empty database's URL to run it.

use mysql_async::prelude::Queryable as _;
use segue_tests::workload::{self, Plan};

/// Least part of the statements that succeeds; below, the generator makes little sense.
const SUCCEEDED_MIN: f64 = 0.7;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn most_statements_succeed_and_all_errors_are_expected() -> anyhow::Result<()> {
    let Ok(url) = std::env::var("SEGUE_TEST_MYSQL_URL") else {
        println!("skipped: SEGUE_TEST_MYSQL_URL is not set");
        return Ok(());
    };
    let number = |name: &str, otherwise: u64| {
        std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
    };
    let seed = number("SEGUE_TEST_SEED", 1);
    let rows = workload::prepare(&url, seed).await?;
    println!("{rows} rows to begin with");
    let mut plan = Plan::new(seed, &url);
    plan.transactions = number("SEGUE_TEST_TRANSACTIONS", 150) as usize;
    let report = workload::run(plan).await?;
    println!("{report}");
    let mut connection = mysql_async::Conn::from_url(&url).await?;
    for table in workload::table_names() {
        let count: Option<u64> =
            connection.query_first(format!("SELECT COUNT(*) FROM {table}")).await?;
        println!("  {table:<14} {:>6} rows at the end", count.unwrap_or_default());
    }
    connection.disconnect().await?;
    report.check()?;
    let part = report.succeeded as f64 / report.statements as f64;
    anyhow::ensure!(part >= SUCCEEDED_MIN, "only {part:.2} of the statements succeeded");
    Ok(())
}
