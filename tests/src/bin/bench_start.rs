//! `bench_start`: a start with a journal of many owed keys, as a crash late in a long outage leaves it. How
//! long it takes until clients are served, and what memory.
//! Never here: paying the debt (see `bench_outage`).

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use clap::Parser;
use segue::journal::{Durability, Journal, JournalOptions};
use segue::mirror::debt_written_again;
use segue::telemetry::Metrics;
use segue_tests::harness::{Engine, Kind, SegueConfig, SegueProcess, Server};
use serde_json::json;
use tokio::time::Instant;

const SCHEMA: &str = "CREATE TABLE notes (id BIGINT UNSIGNED NOT NULL PRIMARY KEY, \
                      body VARCHAR(200) NOT NULL)";
const CONTRACT: &str = r##"[{"table":"Notes","type":"Table","source_table":"notes","pk":"Id",
  "attributes":{
    "Id":{"type":"N","source_table":"notes","source_column":"id"},
    "body":{"type":"S","source_table":"notes","source_column":"body"}},
  "satisfies":["a note"],"estimated_item_size_bytes":200}]"##;

/// Records that are appended at the same time.
const TOGETHER: u64 = 1_000;
/// Longest start.
const BAR: Duration = Duration::from_secs(60);

#[derive(Parser)]
struct Arguments {
    /// Owed keys, each in a record of its own
    #[arg(long, default_value_t = 1_000_000)]
    keys: u64,
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let server = Server::start_with(Kind::Mysql97, &[]).await?;
    let database = server.database("start", SCHEMA).await?;
    let engine = Engine::start().await?;
    let mut config = SegueConfig::new(&server, &database, CONTRACT)
        .with_engine(&engine)
        .with_phase("dual-write");
    // Nothing is paid while it is looked at.
    config.late_write_seconds = 3_600;
    let segue = SegueProcess::prepare(&config)?;
    segue.create_tables().await?;
    segue.start_again().await?;
    let empty_mib = segue.memory_kib("VmRSS")? / 1024.0;
    segue.stop().await?;
    engine.stop().await?;
    fill(&segue, arguments.keys).await?;

    let begin = Instant::now();
    segue.start_again().await?;
    let took = begin.elapsed();
    let (resident, peak) = (segue.memory_kib("VmRSS")?, segue.memory_kib("VmHWM")?);
    let owed = segue.metric("segue_owed").await?;
    let journal = segue.metric("segue_journal_bytes").await? / f64::from(1 << 20);
    println!("{} owed keys, {journal:.1} MiB of journal", arguments.keys);
    println!("serving after {:.1} s", took.as_secs_f64());
    println!(
        "memory MiB: empty {empty_mib:.1}, with the debt {:.1} (peak {:.1})",
        resident / 1024.0,
        peak / 1024.0
    );
    for line in segue.log().lines().filter(|line| line.contains("earlier run")) {
        println!("  {line}");
    }
    ensure!(owed as u64 == arguments.keys, "{owed} entries are owed");
    segue.kill_hard().await?;
    Ok(if took <= BAR { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Writes the journal as a sidecar does.
async fn fill(segue: &SegueProcess, keys: u64) -> Result<()> {
    let options = JournalOptions { durability: Durability::Write, bytes_max: u64::MAX / 2 };
    let folder = segue.folder().join("journal");
    let (journal, _) = Journal::open(&folder, options, Arc::new(Metrics::new())).await?;
    for first in (1..=keys).step_by(TOGETHER as usize) {
        let mut written = Vec::new();
        for id in first..=keys.min(first + TOGETHER - 1) {
            let key = json!({"Key": {"table": "notes", "key": [{"UInt": id}]}});
            let session = json!({"connection": 7, "owed_at": 1_700_000_000_000_u64});
            let debt = json!({"v": 1, "debt": {"entries": [key], "session": session}});
            let Some(record) = debt_written_again(debt.to_string().as_bytes()) else {
                bail!("this is no debt: {debt}");
            };
            let journal = journal.clone();
            written.push(tokio::spawn(async move { journal.append(record).await }));
        }
        for record in written {
            record.await??;
        }
    }
    journal.close().await?;
    Ok(())
}
