//! `bench_write`: what an application's writes cost in `dual-write` against `mysql-only`, at a fixed
//! rate, with one client. The DynamoDB engine is a process of its own; rounds of the cases alternate.
//! Never here: peak throughput.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Parser;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts};
use segue_tests::harness::{Engine, Kind, SegueConfig, SegueProcess, Server};

const SCHEMA: &str = "CREATE TABLE notes (id BIGINT UNSIGNED NOT NULL PRIMARY KEY, \
                      body VARCHAR(200) NOT NULL, changed INT UNSIGNED NOT NULL DEFAULT 0)";
const CONTRACT: &str = r##"{"tables":[{"table":"Notes","type":"single-entity","source_table":"notes",
  "pk":"Id","sk":"Kind","gsis":[],"attributes":[
  {"name":"Id","type":"S","source_table":"notes","source_column":"id"},
  {"name":"Kind","type":"S","source_table":"notes","source_column":"id",
   "transformation":{"type":"string-format","format":"#NOTE"}},
  {"name":"body","type":"S","source_table":"notes","source_column":"body"},
  {"name":"changed","type":"N","source_table":"notes","source_column":"changed"}],
  "satisfies":["a note"],"estimated_item_size_bytes":200}]}"##;
/// Rows that are updated in turn.
const ROWS: u64 = 1000;
/// Statements before a round that are not measured: plans, connections and caches settle.
const WARM_UP: usize = 50;
/// What is owed after a round is done before the next one begins.
const SETTLE: Duration = Duration::from_secs(60);

#[derive(Parser)]
struct Arguments {
    /// Rounds of each case
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds of one round
    #[arg(long, default_value_t = 4)]
    seconds: u64,
    /// Statements in a second
    #[arg(long, default_value_t = 100)]
    rate: u64,
}

/// One thing that is measured.
struct Case {
    name: &'static str,
    /// `None`: straight to MySQL.
    segue: Option<SegueProcess>,
    connection: Conn,
    /// Latencies of all rounds, in microseconds.
    latencies_us: Vec<u64>,
}

impl Case {
    /// One round at the fixed rate: a statement late by the one before it starts at once.
    async fn round(&mut self, arguments: &Arguments) -> Result<()> {
        let pause = Duration::from_secs(1) / u32::try_from(arguments.rate).context("rate")?;
        let count = usize::try_from(arguments.rate * arguments.seconds).context("seconds")?;
        let mut due = Instant::now();
        for number in 0..WARM_UP + count {
            if let Some(wait) = due.checked_duration_since(Instant::now()) {
                tokio::time::sleep(wait).await;
            }
            due += pause;
            let update = "UPDATE notes SET changed = changed + 1 WHERE id = ?";
            let begin = Instant::now();
            self.connection.exec_drop(update, (number as u64 % ROWS + 1,)).await?;
            if number >= WARM_UP {
                self.latencies_us.push(begin.elapsed().as_micros() as u64);
            }
        }
        match &self.segue {
            Some(segue) => segue.settle(SETTLE).await,
            None => Ok(()),
        }
    }

    fn percentile(&mut self, part: f64) -> u64 {
        self.latencies_us.sort_unstable();
        let last = self.latencies_us.len().saturating_sub(1);
        let at = (last as f64 * part).round() as usize;
        self.latencies_us.get(at).copied().unwrap_or(0)
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    // A commit must cost what it costs in production: both servers sync by default.
    let options = ["--innodb-flush-log-at-trx-commit=1", "--sync-binlog=1"];
    let server = Server::start_with(Kind::Mysql97, &options).await?;
    let database = server.database("bench", SCHEMA).await?;
    let mut direct = Conn::new(Opts::from_url(&database.url)?).await?;
    for id in 1..=ROWS {
        direct.exec_drop("INSERT INTO notes (id, body) VALUES (?, 'a note')", (id,)).await?;
    }
    let case = |name, segue, connection| Case { name, segue, connection, latencies_us: vec![] };
    let mut cases = vec![case("direct to MySQL", None, direct)];
    // One database and one server for all cases; each Segue has an engine of its own.
    let mut engines = vec![];
    for (name, phase, durability) in [
        ("mysql-only", "mysql-only", "write"),
        ("dual-write, journal write", "dual-write", "write"),
        ("dual-write, journal fsync", "dual-write", "fsync"),
    ] {
        let engine = Engine::start().await?;
        let mut config = SegueConfig::new(&server, &database, CONTRACT).with_engine(&engine);
        config = config.with_phase(phase);
        config.durability = durability;
        engines.push(engine);
        let segue = SegueProcess::start(&config).await?;
        let connection = Conn::new(Opts::from_url(&segue.url(&database))?).await?;
        cases.push(case(name, Some(segue), connection));
    }
    for round in 1..=arguments.rounds {
        eprintln!("round {round} of {}", arguments.rounds);
        for case in &mut cases {
            case.round(&arguments).await.with_context(|| case.name.to_owned())?;
        }
    }
    print(&arguments, &mut cases);
    Ok(())
}

fn print(arguments: &Arguments, cases: &mut [Case]) {
    println!(
        "UPDATE by primary key, prepared, one client, {} statements a second, {} rounds of {} s",
        arguments.rate, arguments.rounds, arguments.seconds
    );
    println!("{:<28} {:>9} {:>9} {:>12} {:>12}", "", "p50 us", "p99 us", "p50 added", "p99 added");
    let base = cases.iter_mut().find(|case| case.name == "mysql-only");
    let base = base.map_or((0, 0), |case| (case.percentile(0.5), case.percentile(0.99)));
    for case in cases {
        let (p50, p99) = (case.percentile(0.5), case.percentile(0.99));
        let added = |now: u64, before: u64| now as i64 - before as i64;
        println!(
            "{:<28} {p50:>9} {p99:>9} {:>+12} {:>+12}",
            case.name,
            added(p50, base.0),
            added(p99, base.1)
        );
    }
    println!("added: against `mysql-only` through Segue");
}
