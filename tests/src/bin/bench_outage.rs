//! `bench_outage`: DynamoDB goes away under a steady load of writes and comes back. What the application
//! notices, what Segue keeps meanwhile, and how fast the debt is paid. Exits with 1 where a bar is missed.
//! Never here: faults other than absence (see `chaos`).

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Result;
use clap::Parser;
use segue_tests::harness::SegueProcess;
use segue_tests::load::{self, Load, Seen, Stand, Stretch};
use tokio::time::{Instant, sleep};

/// Between two looks at memory, journal and debt.
const LOOK: Duration = Duration::from_secs(1);
/// Owed entries of a load that is kept up with, in seconds of the load.
const STEADY_SECONDS: u64 = 1;
/// What is still owed after the load has ended is paid by then.
const SETTLE: Duration = Duration::from_secs(120);

/// Most that the p99 during the outage is of the one before it.
const BAR_P99_RATIO: f64 = 1.1;
/// Most that memory grows during the outage: what is worked on from memory, and some bytes for each further row.
const BAR_MEMORY_MIB: f64 = 64.0;

#[derive(Parser)]
struct Arguments {
    /// Minutes without DynamoDB
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,
    /// Seconds of the time before it
    #[arg(long, default_value_t = 60)]
    before: u64,
    /// Writes in a second
    #[arg(long, default_value_t = 500)]
    rate: u64,
    /// Rows that are written at random
    #[arg(long, default_value_t = 50_000)]
    rows: u64,
    /// Clients that share the writes
    #[arg(long, default_value_t = 8)]
    clients: u64,
}

/// One look at the process.
#[derive(Clone, Copy, Debug)]
struct Look {
    memory_mib: f64,
    journal_mib: f64,
    owed: u64,
    /// Of these, transactions that wait in the journal alone.
    on_disk: u64,
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let stand = Stand::set("outage", arguments.rows).await?;
    let Stand { segue, engine, .. } = &stand;
    let seen = Arc::new(Seen::default());
    let Arguments { rate, rows, clients, .. } = arguments;
    let clients = load::start(Load { rate, rows, clients }, &stand, &seen).await?;

    sleep(Duration::from_secs(arguments.before)).await;
    let before = Stretch::taken_from(&seen);
    let look_before = look(segue).await?;
    engine.stop().await?;
    let looks = outage(segue, Duration::from_secs_f64(arguments.minutes * 60.0)).await?;
    let during = Stretch::taken_from(&seen);
    engine.restart().await?;
    let drained = drain(segue, &seen, arguments.rate).await?;
    let after = Stretch::taken_from(&seen);
    seen.stop();
    for client in clients {
        client.await?;
    }
    segue.settle(SETTLE).await?;
    let look_after = look(segue).await?;

    println!(
        "{} writes a second, {} clients, {} rows",
        arguments.rate, arguments.clients, arguments.rows
    );
    before.show("before");
    during.show("without DynamoDB");
    after.show("while paying");
    report_looks(&looks);
    let (total, applied, superseded) = accounts(segue).await?;
    println!("seen {total}, applied {applied}, superseded {superseded}");
    let run = Run {
        errors: seen.errors.load(Ordering::Relaxed),
        p99_ratio: during.percentile(0.99) as f64 / before.percentile(0.99) as f64,
        look_before,
        look_end: looks.last().copied().unwrap_or(look_before),
        look_after,
        drained,
        balanced: total == applied + superseded,
    };
    Ok(if run.report() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What the bars are held against.
struct Run {
    errors: usize,
    p99_ratio: f64,
    look_before: Look,
    look_end: Look,
    look_after: Look,
    drained: Drained,
    balanced: bool,
}

impl Run {
    /// Whether every bar was met.
    fn report(&self) -> bool {
        let Run { errors, p99_ratio, look_before, look_end, look_after, drained, balanced } = self;
        let growth = look_end.memory_mib - look_before.memory_mib;
        println!(
            "memory MiB: before {:.1}, at the end of the outage {:.1}, after {:.1}",
            look_before.memory_mib, look_end.memory_mib, look_after.memory_mib
        );
        println!(
            "journal MiB: at the end of the outage {:.1}, after {:.1}",
            look_end.journal_mib, look_after.journal_mib
        );
        println!(
            "owed when it came back: {}; paid in {:.1} s: {:.0} entries a second, {:.0} new ones a second",
            drained.owed,
            drained.seconds,
            drained.paid_rate(),
            drained.new_rate()
        );
        let advantage = drained.paid_rate() / drained.new_rate().max(1.0);
        let bars = [
            (format!("application errors: {errors} (bar 0)"), *errors == 0),
            (
                format!(
                    "p99 without DynamoDB against before: {p99_ratio:.3} (bar {BAR_P99_RATIO})"
                ),
                *p99_ratio <= BAR_P99_RATIO,
            ),
            (
                format!("memory grew by {growth:.1} MiB (bar {BAR_MEMORY_MIB})"),
                growth <= BAR_MEMORY_MIB,
            ),
            (format!("paid against new: {advantage:.2} (bar above 1)"), advantage > 1.0),
            ("nothing is owed, and the accounts balance".to_owned(), *balanced),
        ];
        for (bar, met) in &bars {
            println!("{} {bar}", if *met { "met   " } else { "MISSED" });
        }
        bars.iter().all(|(_, met)| *met)
    }
}

async fn look(segue: &SegueProcess) -> Result<Look> {
    Ok(Look {
        memory_mib: segue.memory_kib("VmRSS")? / 1024.0,
        journal_mib: segue.metric("segue_journal_bytes").await? / f64::from(1 << 20),
        owed: segue.metric("segue_owed").await? as u64,
        on_disk: segue.get("/api/owed").await?["on_disk"].as_u64().unwrap_or_default(),
    })
}

async fn outage(segue: &SegueProcess, time: Duration) -> Result<Vec<Look>> {
    let (begin, mut looks) = (Instant::now(), vec![]);
    while begin.elapsed() < time {
        looks.push(look(segue).await?);
        sleep(LOOK).await;
    }
    looks.push(look(segue).await?);
    Ok(looks)
}

fn report_looks(looks: &[Look]) {
    let titles = ["", "memory MiB", "journal MiB", "owed", "on disk"];
    let [first, memory, journal, owed, on_disk] = titles;
    println!("{first:>10} {memory:>12} {journal:>13} {owed:>10} {on_disk:>10}");
    for tenth in 0..=10 {
        let Some(look) = looks.get((looks.len() - 1) * tenth / 10) else { continue };
        let Look { memory_mib, journal_mib, owed, on_disk } = look;
        let part = tenth * 10;
        println!("{part:>8} % {memory_mib:>12.1} {journal_mib:>13.1} {owed:>10} {on_disk:>10}");
    }
}

struct Drained {
    owed: u64,
    new: u64,
    seconds: f64,
}

impl Drained {
    fn paid_rate(&self) -> f64 {
        (self.owed + self.new) as f64 / self.seconds
    }

    fn new_rate(&self) -> f64 {
        self.new as f64 / self.seconds
    }
}

/// Waits until no more is owed than a load that is kept up with leaves.
async fn drain(segue: &SegueProcess, seen: &Seen, rate: u64) -> Result<Drained> {
    let (begin, written) = (Instant::now(), seen.writes.load(Ordering::Relaxed));
    let owed = look(segue).await?.owed;
    while look(segue).await?.owed > rate * STEADY_SECONDS {
        sleep(LOOK / 4).await;
    }
    let new = seen.writes.load(Ordering::Relaxed) - written;
    Ok(Drained { owed, new, seconds: begin.elapsed().as_secs_f64() })
}

async fn accounts(segue: &SegueProcess) -> Result<(u64, u64, u64)> {
    let mut figures = [0; 3];
    for (figure, name) in figures.iter_mut().zip(["seen", "applied", "superseded"]) {
        *figure = segue.metric(&format!("segue_{name}_total")).await? as u64;
    }
    Ok(figures.into())
}
