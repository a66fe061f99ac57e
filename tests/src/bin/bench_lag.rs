//! `bench_lag`: how long after MySQL's commit a row's item is right, under a steady load of half of what the
//! DynamoDB engine can take. Exits with 1 where a bar is missed.
//! Never here: faults (see `chaos`), or what the application's writes cost (see `bench_write`).

use std::collections::HashMap;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use clap::Parser;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts};
use segue_tests::harness::{Database, Items, SegueProcess};
use segue_tests::load::{self, BODY, Load, Seen, Stand, Stretch};
use tokio::time::{Instant, sleep};

const TABLE: &str = "Notes";
/// Between two looks at an item that is waited for.
const LOOK: Duration = Duration::from_millis(1);
/// Between two writes whose items are waited for.
const SAMPLE: Duration = Duration::from_millis(50);
/// An item that is not right by then never will be.
const NEVER: Duration = Duration::from_secs(60);
/// What is owed when the load ends is paid by then.
const SETTLE: Duration = Duration::from_secs(60);

/// Most of the lag's 99th percentile, in milliseconds.
const BAR_P99_MS: f64 = 50.0;

#[derive(Parser)]
struct Arguments {
    /// Seconds that are measured
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Seconds in which the engine's capacity is measured
    #[arg(long, default_value_t = 10)]
    capacity_seconds: u64,
    /// Part of the engine's capacity that is used
    #[arg(long, default_value_t = 0.5)]
    part: f64,
    /// Requests under way at a time while the capacity is measured
    #[arg(long, default_value_t = 16)]
    concurrency: u64,
    /// Rows that are written at random
    #[arg(long, default_value_t = 50_000)]
    rows: u64,
    /// Clients that share the writes
    #[arg(long, default_value_t = 8)]
    clients: u64,
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let stand = Stand::set("lag", arguments.rows).await?;
    let Stand { segue, engine, database, .. } = &stand;
    let items = Items::at(&engine.endpoint());
    let capacity = capacity(&arguments, items.client()).await?;
    let rate = ((capacity * arguments.part) as u64).max(1);
    let load = Load { rate, rows: arguments.rows, clients: arguments.clients };
    let seen = Arc::new(Seen::default());
    let clients = load::start(load, &stand, &seen).await?;

    let before = histogram(segue).await?;
    let (begin, written) = (Instant::now(), seen.writes.load(Ordering::Relaxed));
    let time = Duration::from_secs(arguments.seconds);
    let sampled = sample(&arguments, segue, database, items.client(), time).await?;
    let done = seen.writes.load(Ordering::Relaxed) - written;
    let rate = done as f64 / begin.elapsed().as_secs_f64();
    let after = histogram(segue).await?;
    seen.stop();
    for client in clients {
        client.await?;
    }
    segue.settle(SETTLE).await?;

    println!("the engine takes {capacity:.0} writes a second; the load was {rate:.0} a second");
    Stretch::taken_from(&seen).show("application");
    let ms = |part| sampled.percentile(part) as f64 / 1000.0;
    println!(
        "commit answered to item right, sampled: p50 {:.1} ms, p99 {:.1} ms, most {:.1} ms (bar: p99 {BAR_P99_MS} ms)",
        ms(0.5),
        ms(0.99),
        ms(1.0)
    );
    report(&before, &after);
    let errors = seen.errors.load(Ordering::Relaxed);
    println!("application errors: {errors}");
    let well = errors == 0 && ms(0.99) < BAR_P99_MS;
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Items of the load's size that the engine takes in a second, written like Segue's: the whole item, on a
/// condition.
async fn capacity(arguments: &Arguments, client: &Client) -> Result<f64> {
    let done = Arc::new(AtomicU64::new(0));
    let end = Instant::now() + Duration::from_secs(arguments.capacity_seconds);
    let mut writers = vec![];
    for writer in 0..arguments.concurrency {
        let (client, done) = (client.clone(), done.clone());
        let first = 1_000_000_000 + writer * 1_000_000;
        writers.push(tokio::spawn(async move {
            for id in (first..).take_while(|_| Instant::now() < end) {
                put(&client, id).await?;
                done.fetch_add(1, Ordering::Relaxed);
            }
            anyhow::Ok(())
        }));
    }
    for writer in writers {
        writer.await??;
    }
    Ok(done.load(Ordering::Relaxed) as f64 / arguments.capacity_seconds as f64)
}

async fn put(client: &Client, id: u64) -> Result<()> {
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let bookkeeping = HashMap::from([
        ("tag".to_owned(), text("7c9f2d5e-8a53-4c5e-9f5e-1d2f3a4b5c6d")),
        ("at".to_owned(), text("2026-01-31T12:00:00.123Z")),
        ("contract".to_owned(), text("0123456789abcdef")),
        ("entity".to_owned(), text(TABLE)),
    ]);
    client
        .put_item()
        .table_name(TABLE)
        .item("Id", AttributeValue::N(id.to_string()))
        .item("body", text(BODY))
        .item("changed", AttributeValue::N("0".to_owned()))
        .item("_segue", AttributeValue::M(bookkeeping))
        .condition_expression("attribute_not_exists(Id)")
        .send()
        .await
        .context("put an item")?;
    Ok(())
}

/// Writes rows of its own beside the load and looks at their items until they are right.
async fn sample(
    arguments: &Arguments,
    segue: &SegueProcess,
    database: &Database,
    client: &Client,
    time: Duration,
) -> Result<Stretch> {
    let mut connection = Conn::new(Opts::from_url(&segue.url(database))?).await?;
    let (begin, mut lags) = (Instant::now(), vec![]);
    for id in arguments.rows + 1.. {
        if begin.elapsed() >= time {
            break;
        }
        connection.exec_drop("INSERT INTO notes VALUES (?, ?, 0)", (id, BODY)).await?;
        let committed = Instant::now();
        while !is_there(client, id).await? {
            anyhow::ensure!(committed.elapsed() < NEVER, "row {id} has no item");
            sleep(LOOK).await;
        }
        lags.push(committed.elapsed().as_micros() as u64);
        sleep(SAMPLE).await;
    }
    Ok(Stretch::of(lags))
}

async fn is_there(client: &Client, id: u64) -> Result<bool> {
    let get = client.get_item().table_name(TABLE).consistent_read(true);
    let found = get.key("Id", AttributeValue::N(id.to_string())).send().await?;
    Ok(found.item().is_some())
}

/// Entries by the most of their lag, in seconds, as Segue's own metric has them.
async fn histogram(segue: &SegueProcess) -> Result<Vec<(String, f64)>> {
    let text = segue.metrics().await?;
    let buckets = text.lines().filter_map(|line| {
        let rest = line.strip_prefix("segue_lag_seconds_bucket{")?;
        let (labels, count) = rest.rsplit_once(' ')?;
        let most = labels.rsplit("le=\"").next()?.split('"').next()?;
        Some((most.to_owned(), count.parse().ok()?))
    });
    Ok(buckets.collect())
}

fn report(before: &[(String, f64)], after: &[(String, f64)]) {
    let counts =
        after.iter().zip(before).map(|((most, after), (_, before))| (most, after - before));
    let total = after.last().map_or(0.0, |(_, count)| *count)
        - before.last().map_or(0.0, |(_, count)| *count);
    let shares: Vec<String> = counts
        .filter(|(most, _)| ["0.005", "0.01", "0.02", "0.05", "0.1", "1"].contains(&most.as_str()))
        .map(|(most, count)| format!("{:.2} % within {most} s", count / total * 100.0))
        .collect();
    println!("segue_lag_seconds, {total:.0} entries: {}", shares.join(", "));
}
