//! `bench_movement`: how fast rows that were there before are copied and compared, against a bare loop of
//! BatchWriteItem over the same items in the same run; and with how much memory.
//! Never here: whether the copy is right under load (see the tests `movement`).

use std::collections::HashMap;
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, PutRequest,
    ScalarAttributeType, WriteRequest,
};
use clap::Parser;
use mysql_async::prelude::Queryable;
use segue_tests::harness::{
    Database, Engine, Items, Kind, SegueConfig, SegueProcess, Server, program,
};
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::Instant;

const SCHEMA: &str = "CREATE TABLE parcel (id BIGINT UNSIGNED NOT NULL PRIMARY KEY, \
    customer INT UNSIGNED NOT NULL, state VARCHAR(20) NOT NULL, weight DECIMAL(8,3) NOT NULL, \
    price DECIMAL(10,2) NOT NULL, street VARCHAR(60) NOT NULL, city VARCHAR(40) NOT NULL, \
    zip CHAR(5) NOT NULL, note VARCHAR(100), fragile TINYINT(1) NOT NULL, sent DATETIME NOT NULL, \
    updated TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP)";
const COLUMNS: [(&str, &str); 12] = [
    ("id", "N"),
    ("customer", "N"),
    ("state", "S"),
    ("weight", "N"),
    ("price", "N"),
    ("street", "S"),
    ("city", "S"),
    ("zip", "S"),
    ("note", "S"),
    ("fragile", "BOOL"),
    ("sent", "S"),
    ("updated", "S"),
];

/// Requests of the bare loop under way, as many as a backfill has.
const BARE_CONCURRENCY: usize = 24;
/// Items of one BatchWriteItem: DynamoDB's limit.
const BATCH: usize = 25;
/// Rows of one INSERT.
const FILL: u64 = 1_000;
const SAMPLE_EVERY: Duration = Duration::from_millis(100);

/// The least part of the bare loop's rate, the least multiple of the backfill's rate, most memory.
const BACKFILL_BAR: f64 = 0.9;
const VERIFY_BAR: f64 = 2.0;
const MEMORY_BAR_MIB: f64 = 200.0;

#[derive(Parser)]
struct Arguments {
    /// Rows of the table
    #[arg(long, default_value_t = 1_000_000)]
    rows: u64,
}

/// One command's figures.
struct Ran {
    seconds: f64,
    rows_per_second: f64,
    peak_mib: f64,
    report: Value,
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let rows = Arguments::parse().rows;
    let server = Server::start_with(Kind::Mysql97, &[]).await?;
    let database = server.database("movement", SCHEMA).await?;
    fill(&database, rows).await?;
    let engine = Engine::start().await?;
    let config = SegueConfig::new(&server, &database, &contract())
        .with_engine(&engine)
        .with_phase("dual-write");
    let segue = SegueProcess::prepare(&config)?;
    segue.create_tables().await?;
    println!("{rows} rows of 12 columns");

    let copied = timed(&segue, &["backfill", "--json"], rows).await?;
    show("backfill, items new", &copied);
    let compared = timed(&segue, &["verify", "--json"], rows).await?;
    show("verify", &compared);
    ensure!(compared.report["total"]["equal"].as_u64() == Some(rows), "{}", compared.report);
    let skipped = timed(&segue, &["backfill", "--json"], rows).await?;
    show("backfill, items equal", &skipped);
    let items = Items::at(&engine.endpoint());
    let bare = bare_loop(items.client(), rows).await?;
    println!("{:<28} {bare:>9.0} items/s", "bare BatchWriteItem loop");
    let mut conn = server.connect().await?;
    conn.query_drop(format!("UPDATE {}.parcel SET state = CONCAT(state, 'x')", database.name))
        .await?;
    let replaced = timed(&segue, &["backfill", "--json"], rows).await?;
    show("backfill, items replaced", &replaced);
    let last = timed(&segue, &["verify", "--json"], rows).await?;
    show("verify", &last);
    ensure!(last.report["total"]["equal"].as_u64() == Some(rows), "{}", last.report);

    let share = copied.rows_per_second / bare;
    let multiple = compared.rows_per_second / copied.rows_per_second;
    let peak = [&copied, &compared, &skipped, &replaced, &last].map(|ran| ran.peak_mib);
    let peak = peak.into_iter().fold(0.0, f64::max);
    println!("backfill / bare loop {share:.2} (bar {BACKFILL_BAR})");
    println!("verify / backfill {multiple:.2} (bar {VERIFY_BAR})");
    println!("peak memory {peak:.0} MiB (bar {MEMORY_BAR_MIB})");
    let met = share >= BACKFILL_BAR && multiple >= VERIFY_BAR && peak <= MEMORY_BAR_MIB;
    Ok(if met { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn contract() -> String {
    let attributes: Vec<String> = COLUMNS
        .iter()
        .map(|(column, kind)| {
            format!(
                r#""{column}": {{"type": "{kind}", "source_table": "parcel", "source_column": "{column}"}}"#
            )
        })
        .collect();
    format!(
        r#"[{{"table": "Parcels", "type": "Table", "source_table": "parcel", "pk": "id",
           "attributes": {{{}}}, "satisfies": ["a parcel"], "estimated_item_size_bytes": 400}}]"#,
        attributes.join(", ")
    )
}

async fn fill(database: &Database, rows: u64) -> Result<()> {
    let pool = mysql_async::Pool::new(database.url.as_str());
    let mut conn = pool.get_conn().await?;
    let row = |id: u64| {
        format!(
            "({id},{},'on its way',{}.125,{}.95,'{} Long Street','A City Somewhere','{:05}',{},{},\
             '2024-05-06 07:08:09',DEFAULT)",
            id % 9_973,
            id % 900,
            id % 5_000,
            id % 200,
            id % 99_999,
            if id.is_multiple_of(3) { "NULL".to_owned() } else { format!("'parcel number {id}'") },
            id % 2
        )
    };
    for first in (1..=rows).step_by(FILL as usize) {
        let values: Vec<String> = (first..=rows.min(first + FILL - 1)).map(row).collect();
        conn.query_drop(format!("INSERT INTO parcel VALUES {}", values.join(","))).await?;
    }
    drop(conn);
    Ok(pool.disconnect().await?)
}

/// Runs a command to its end; its memory is watched from outside.
async fn timed(segue: &SegueProcess, words: &[&str], rows: u64) -> Result<Ran> {
    let mut command = tokio::process::Command::new(program("segue")?);
    command.args(words).arg("--config").arg(segue.folder().join("segue.toml"));
    command.env("AWS_ACCESS_KEY_ID", "bench").env("AWS_SECRET_ACCESS_KEY", "bench");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    let begin = Instant::now();
    let child = command.spawn()?;
    let pid = child.id().context("it runs")?;
    let mut output = std::pin::pin!(child.wait_with_output());
    let mut peak_mib: f64 = 0.0;
    let output = loop {
        tokio::select! {
            output = &mut output => break output?,
            () = tokio::time::sleep(SAMPLE_EVERY) => peak_mib = peak_mib.max(peak_of(pid)),
        }
    };
    let seconds = begin.elapsed().as_secs_f64();
    if !output.status.success() {
        bail!("{words:?}: {}: {}", output.status, String::from_utf8_lossy(&output.stdout));
    }
    let report = serde_json::from_slice(&output.stdout).context("read the report")?;
    Ok(Ran { seconds, rows_per_second: rows as f64 / seconds, peak_mib, report })
}

/// Most memory that a process has had so far, in MiB.
fn peak_of(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kib.unwrap_or(0.0) / 1_024.0
}

fn show(name: &str, ran: &Ran) {
    println!(
        "{name:<28} {:>9.0} rows/s   {:.1} s, peak {:.0} MiB",
        ran.rows_per_second, ran.seconds, ran.peak_mib
    );
}

/// Writes the items that the backfill made into another table, as fast as this client can. Items a second;
/// reading them does not count.
async fn bare_loop(client: &Client, rows: u64) -> Result<f64> {
    let definition = AttributeDefinition::builder()
        .attribute_name("id")
        .attribute_type(ScalarAttributeType::N)
        .build()?;
    let schema =
        KeySchemaElement::builder().attribute_name("id").key_type(KeyType::Hash).build()?;
    let create = client.create_table().table_name("Bare").billing_mode(BillingMode::PayPerRequest);
    create.attribute_definitions(definition).key_schema(schema).send().await?;
    let (mut written, mut spent, mut start) = (0, Duration::ZERO, None);
    loop {
        let scan = client.scan().table_name("Parcels").set_exclusive_start_key(start);
        let page = scan.send().await?;
        let requests: Vec<WriteRequest> = page.items().iter().map(put).collect::<Result<_>>()?;
        written += requests.len();
        let begin = Instant::now();
        write_all(client, requests).await?;
        spent += begin.elapsed();
        start = page.last_evaluated_key().cloned();
        if start.is_none() {
            break;
        }
    }
    ensure!(written as u64 == rows, "{written} items were there");
    Ok(written as f64 / spent.as_secs_f64())
}

fn put(item: &HashMap<String, AttributeValue>) -> Result<WriteRequest> {
    let put = PutRequest::builder().set_item(Some(item.clone())).build()?;
    Ok(WriteRequest::builder().put_request(put).build())
}

async fn write_all(client: &Client, requests: Vec<WriteRequest>) -> Result<()> {
    let mut tasks = JoinSet::new();
    for batch in requests.chunks(BATCH) {
        if tasks.len() >= BARE_CONCURRENCY {
            tasks.join_next().await.context("one is under way")??;
        }
        let write = client.batch_write_item().request_items("Bare", batch.to_vec());
        tasks.spawn(async move {
            let answer = write.send().await.expect("the engine takes every write");
            assert!(answer.unprocessed_items().is_none_or(HashMap::is_empty));
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended?;
    }
    Ok(())
}
