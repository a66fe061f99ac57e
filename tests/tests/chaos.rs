//! The main promise when things break: DynamoDB away, Segue killed, phases flipped, all under load; and
//! a few rounds of everything at random (`cargo xtask chaos` plays more).
//! Never here: single statements (see `capture`).

#![allow(clippy::unwrap_used, reason = "all of this crate is a test")]

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use segue_tests::chaos;
use segue_tests::harness::{Kind, Server};
use segue_tests::stage::{Stage, seed};
use segue_tests::workload::{self, CONTRACT_B, LostConnection, Plan};
use serde_json::json;
use tokio::time::{Instant, sleep};

/// How long DynamoDB is away.
const OUTAGE: Duration = Duration::from_secs(30);
/// Load before and after the outage.
const AROUND_OUTAGE: Duration = Duration::from_secs(10);
const KILLS: usize = 20;
const FLIPS: usize = 200;
/// Pause between two probes of the application's latency.
const PROBE_INTERVAL: Duration = Duration::from_millis(20);
/// Rounds of faults at random, some seconds each.
const ROUNDS: u64 = 6;
/// During an outage the application's median latency may be this much above the one before.
const OUTAGE_LATENCY_FACTOR: u32 = 2;
/// ... and noise of a busy machine this much.
const OUTAGE_LATENCY_NOISE: Duration = Duration::from_millis(5);

/// A workload that goes on until it is told to stop by its time.
fn load(stage: &Stage, clients: usize, time: Duration) -> Plan {
    let mut plan = stage.plan();
    plan.clients = clients;
    plan.transactions = usize::MAX;
    plan.pause = Duration::from_millis(10);
    plan.time_max = Some(time);
    plan
}

/// Latencies of a small captured write through Segue, until `time` is over, sorted.
async fn probe(stage: &Stage, time: Duration) -> Result<Vec<Duration>> {
    let mut client = Conn::new(Opts::from_url(&stage.segue.url(&stage.database))?).await?;
    let (began, mut latencies) = (Instant::now(), Vec::new());
    while began.elapsed() < time {
        let sent = Instant::now();
        let sql = "INSERT INTO setting (name, content) VALUES (?, ?)";
        let name = format!("probe-{}", rand::random::<u64>());
        client.exec_drop(sql, (name, "x")).await.context("probe")?;
        latencies.push(sent.elapsed());
        sleep(PROBE_INTERVAL).await;
    }
    client.disconnect().await?;
    latencies.sort();
    Ok(latencies)
}

async fn outage(kind: Kind) -> Result<()> {
    let Some(server) = Server::shared(kind).await else { return Ok(()) };
    let stage = Stage::mirrored(server, CONTRACT_B, seed()).await?;
    let whole = AROUND_OUTAGE * 2 + OUTAGE;
    let run = workload::run(load(&stage, 4, whole));
    let script = async {
        let before = probe(&stage, AROUND_OUTAGE).await?;
        stage.engine.stop().await?;
        let during = probe(&stage, OUTAGE).await?;
        let owed = stage.segue.metric("segue_owed").await?;
        stage.engine.restart().await?;
        Ok::<_, anyhow::Error>((before, during, owed))
    };
    let (report, script) = tokio::join!(run, script);
    let (report, (before, during, owed)) = (report?, script?);
    println!("{report}");
    report.check()?;
    let at =
        |latencies: &[Duration], percent: usize| latencies[(latencies.len() - 1) * percent / 100];
    println!(
        "application latency p50/p99: before {:?}/{:?}, during the outage {:?}/{:?}; {owed} owed at its end",
        at(&before, 50),
        at(&before, 99),
        at(&during, 50),
        at(&during, 99),
    );
    ensure!(owed > 0.0, "the outage left work owed");
    let allowed = at(&before, 50) * OUTAGE_LATENCY_FACTOR + OUTAGE_LATENCY_NOISE;
    ensure!(at(&during, 50) < allowed, "the application waited for DynamoDB");
    stage.converged().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn outage_of_dynamodb_is_invisible_and_made_up_for_on_mysql() {
    outage(Kind::Mysql97).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn outage_of_dynamodb_is_invisible_and_made_up_for_on_mariadb() {
    outage(Kind::MariaDb).await.unwrap();
}

/// After every kill the load ends, Segue starts again and must converge by itself.
async fn kills(kind: Kind) -> Result<()> {
    let Some(server) = Server::shared(kind).await else { return Ok(()) };
    let seed = seed();
    let stage = Stage::mirrored(server, CONTRACT_B, seed).await?;
    let mut random = StdRng::seed_from_u64(seed);
    for round in 0..KILLS {
        let delay = Duration::from_millis(random.random_range(200..1_500));
        let mut plan = load(&stage, 4, delay + Duration::from_millis(300));
        plan.seed = seed.wrapping_add(round as u64);
        plan.pause = Duration::ZERO;
        plan.lost_connection = LostConnection::Reconnect;
        let kill = async {
            sleep(delay).await;
            stage.segue.kill_hard().await?;
            // The clients meet a closed port for a moment, as applications would.
            sleep(Duration::from_millis(50)).await;
            stage.segue.start_again().await
        };
        let (report, killed) = tokio::join!(workload::run(plan), kill);
        killed?;
        report?.check().with_context(|| format!("round {round}"))?;
        let differences = stage.differences().await?;
        ensure!(differences.is_empty(), "seed {seed}, round {round}: {differences}");
    }
    println!("{KILLS} kills, 0 differences after each");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_segue_loses_nothing_on_mysql() {
    kills(Kind::Mysql97).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_segue_loses_nothing_on_mariadb() {
    kills(Kind::MariaDb).await.unwrap();
}

async fn flips(kind: Kind) -> Result<()> {
    let Some(server) = Server::shared(kind).await else { return Ok(()) };
    let stage = Stage::set(server, CONTRACT_B, "mysql-only", seed()).await?;
    let run = workload::run(load(&stage, 4, Duration::from_secs(20)));
    let flip = async {
        for flip in 0..FLIPS {
            let phase = if flip % 2 == 0 { "dual-write" } else { "mysql-only" };
            stage.segue.put("/api/phases", &json!({ "default": phase })).await?;
            sleep(Duration::from_millis(70)).await;
        }
        // An even number of flips ends in mysql-only: once more up, then what was written in it.
        stage.segue.put("/api/phases", &json!({ "default": "dual-write" })).await?;
        stage.refresh_existing().await
    };
    let (report, flipped) = tokio::join!(run, flip);
    flipped?;
    let report = report?;
    println!("{report}");
    report.check()?;
    ensure!(report.lost_connections == 0, "{} connections were lost", report.lost_connections);
    println!("{FLIPS} flips, 0 failed statements, 0 lost connections");
    stage.converged().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flipped_phases_fail_no_statement_on_mysql() {
    flips(Kind::Mysql97).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flipped_phases_fail_no_statement_on_mariadb() {
    flips(Kind::MariaDb).await.unwrap();
}

async fn rounds(kind: Kind) {
    let Some(summary) = chaos::run(chaos::Options::new(kind, ROUNDS, seed())).await.unwrap() else {
        return;
    };
    println!("{summary}");
    assert!(summary.failed.is_empty(), "{summary}");
    assert_eq!(summary.rounds, ROUNDS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_sidecars_survive_faults_at_random_on_mysql() {
    rounds(Kind::Mysql97).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_sidecars_survive_faults_at_random_on_mariadb() {
    rounds(Kind::MariaDb).await;
}
