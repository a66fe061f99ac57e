//! Applies the schema and drives the clients of a run.
//! Never here: which statements are made, or what a single client does.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Opts};
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use super::client::Client;
use super::record::Record;
use super::tables::TABLES;
use super::{Report, SCHEMA, inserts};

/// What a client does when its connection is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LostConnection {
    /// A lost connection is a failure.
    Fail,
    /// Connect again and go on with the next transaction (for tests that kill servers).
    Reconnect,
}

/// One run. The same plan makes the same statements, whatever the server answers.
#[derive(Clone, Debug)]
pub struct Plan {
    pub seed: u64,
    pub clients: usize,
    /// Transactions of each client.
    pub transactions: usize,
    /// `mysql://user@host:port/database`, database included.
    pub url: String,
    /// Pause between two transactions of a client.
    pub pause: Duration,
    pub lost_connection: LostConnection,
    /// Clients stop beginning transactions after this time.
    pub time_max: Option<Duration>,
    /// Error codes that are no failure, besides the usual ones.
    pub more_errors: &'static [u16],
    /// Notes every statement with its answer.
    pub record: Option<Record>,
    /// The seed is printed by somebody else.
    pub quiet: bool,
    pub forms: Forms,
}

/// Which statements are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forms {
    All,
    /// Only such as Segue can follow row by row, but for a few: a sweep is slow, and mends what other
    /// statements lost.
    Followed,
}

impl Plan {
    /// Four clients of 100 transactions each, without pauses.
    pub fn new(seed: u64, url: &str) -> Self {
        Plan {
            seed,
            clients: 4,
            transactions: 100,
            url: url.to_owned(),
            pause: Duration::ZERO,
            lost_connection: LostConnection::Fail,
            time_max: None,
            more_errors: &[],
            record: None,
            quiet: false,
            forms: Forms::All,
        }
    }
}

/// The statements of the schema, in order.
pub fn schema_statements() -> Vec<String> {
    let without_comments: Vec<&str> =
        SCHEMA.lines().filter(|line| !line.starts_with("--")).collect();
    without_comments
        .join("\n")
        .split(";\n")
        .map(|statement| statement.trim().trim_end_matches(';').to_owned())
        .filter(|statement| !statement.is_empty())
        .collect()
}

/// Creates the tables in the URL's (empty) database and fills them. Returns how many rows are in.
pub async fn prepare(url: &str, seed: u64) -> anyhow::Result<u64> {
    let mut connection = Conn::new(Opts::from_url(url)?).await.context("connect to prepare")?;
    for statement in schema_statements() {
        connection
            .query_drop(statement.as_str())
            .await
            .with_context(|| format!("apply the schema: {statement}"))?;
    }
    let mut random = StdRng::seed_from_u64(seed);
    let mut rows = 0;
    for table in TABLES {
        for number in 0..table.filling {
            let statement = inserts::filling(&mut random, table, number);
            match connection.query_drop(statement.text()).await {
                Ok(()) => rows += connection.affected_rows(),
                // A value that does not fit, or a parent that is not there: fewer rows.
                Err(mysql_async::Error::Server(_)) => {}
                Err(error) => return Err(error).context("fill the tables"),
            }
        }
    }
    connection.disconnect().await?;
    Ok(rows)
}

/// Runs the plan's clients to their end and prints the seed first.
pub async fn run(plan: Plan) -> anyhow::Result<Report> {
    if !plan.quiet {
        println!(
            "workload: seed {}, {} clients, {} transactions each",
            plan.seed, plan.clients, plan.transactions
        );
    }
    let began = Instant::now();
    let mut tasks = Vec::new();
    for index in 0..plan.clients {
        let plan = plan.clone();
        tasks.push(tokio::spawn(async move { Client::new(plan, index).run(began).await }));
    }
    let mut report = Report { seed: plan.seed, ..Report::default() };
    for task in tasks {
        report.merge(task.await.context("a client of the workload panicked")?);
    }
    report.elapsed = began.elapsed();
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::transaction;

    #[test]
    fn the_schema_splits_into_statements() {
        let statements = schema_statements();
        assert!(statements.iter().all(|s| s.starts_with("CREATE T")), "{statements:?}");
        let triggers = statements.iter().filter(|s| s.starts_with("CREATE TRIGGER")).count();
        assert_eq!((statements.len(), triggers), (18, 3));
    }

    #[test]
    fn one_seed_makes_one_sequence_of_statements() {
        let sequence = |seed| {
            let mut random = StdRng::seed_from_u64(seed);
            let all: Vec<_> = (0..200).map(|_| transaction(&mut random)).collect();
            all
        };
        assert!(sequence(1) == sequence(1));
        assert!(sequence(1) != sequence(2));
    }

    #[test]
    fn every_statement_has_a_text_with_all_its_parameters() {
        let mut random = StdRng::seed_from_u64(3);
        for statement in (0..2_000).flat_map(|_| transaction(&mut random)) {
            let marks = statement.sql.matches('?').count();
            assert_eq!(marks, statement.parameters.len(), "{}", statement.sql);
            assert!(!statement.text().is_empty());
        }
    }
}
