//! `segue demo`: a small online store under traffic while it moves from `mysql-only` to `dual-write`,
//! ending with a comparison of every item.
//! Never here: anything that `segue serve` does otherwise.

mod compare;
mod customer;
mod report;
mod screen;
mod shop;
mod sidecar;
mod tally;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use mysql_async::{Opts, OptsBuilder};
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use customer::Customer;
use report::Report;
use screen::Screen;
use shop::Shop;
use sidecar::Sidecar;
use tally::Tally;

use super::Exit;
use crate::app::{Fault, FaultKind};

pub use compare::{EntityOutcome, compare};

/// Part of the time after which the phase changes, and after which the existing rows are refreshed.
const SWITCH_AFTER: f64 = 0.3;
const REFRESH_AFTER: f64 = 0.5;
/// How often the screen is renewed.
const FRAME: Duration = Duration::from_millis(250);
/// The last owed entries are done within milliseconds; a minute means that something is wrong.
const SETTLE_LIMIT: Duration = Duration::from_secs(60);

#[derive(Args, Debug)]
pub struct Arguments {
    /// A MySQL or MariaDB server; the demo makes and drops a database of its own there
    #[arg(long, default_value = "mysql://root@127.0.0.1:3306")]
    mysql_url: String,
    /// Clients that shop at the same time
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u64).range(1..=64))]
    clients: u64,
    /// Length of the traffic
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(2..=3600))]
    seconds: u64,
    /// Leave both ports open afterwards, until Ctrl-C
    #[arg(long)]
    keep: bool,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    /// Repeat the random choices of an earlier run
    #[arg(long)]
    seed: Option<u64>,
}

/// Runs the demo. `Done` means: nothing differs and nothing is owed.
pub async fn run(arguments: Arguments) -> Result<Exit, Fault> {
    run_in_own_database(&arguments).await.map_err(fault)
}

async fn run_in_own_database(arguments: &Arguments) -> Result<Exit> {
    let server = Opts::from_url(&arguments.mysql_url).context("read --mysql-url")?;
    let interrupted = CancellationToken::new();
    let watcher = tokio::spawn({
        let interrupted = interrupted.clone();
        async move {
            if tokio::signal::ctrl_c().await.is_ok() {
                interrupted.cancel();
            }
        }
    });
    let name = format!("segue_demo_{}", std::process::id());
    let shop = Shop::open(server, &name).await?;
    let outcome = in_shop(arguments, &shop, &interrupted).await;
    watcher.abort();
    shop.drop_database().await?;
    outcome
}

async fn in_shop(
    arguments: &Arguments,
    shop: &Shop,
    interrupted: &CancellationToken,
) -> Result<Exit> {
    let seed = arguments.seed.unwrap_or_else(rand::random);
    eprintln!("seed {seed}; database `{}` on {}", shop.database, shop.address());
    shop.stock(&mut StdRng::seed_from_u64(seed)).await?;
    let mut control_url = url::Url::parse(&arguments.mysql_url).context("read --mysql-url")?;
    control_url.set_path(&shop.database);
    let sidecar = Sidecar::start(shop, control_url.as_str()).await?;
    let shown = show(arguments, shop, &sidecar, seed, interrupted).await;
    let code = match shown {
        Ok(report) => {
            let json = serde_json::to_string_pretty(&report).context("write the report")?;
            println!("{}", if arguments.json { json } else { report.render() });
            if arguments.keep && !interrupted.is_cancelled() {
                tell_ports(&sidecar, shop);
                interrupted.cancelled().await;
            }
            Ok(if report.is_well() { Exit::Done } else { Exit::Differences })
        }
        Err(error) => Err(error),
    };
    sidecar.stop().await;
    code
}

/// Traffic, the change of phase, the refresh of existing rows, the comparison.
async fn show(
    arguments: &Arguments,
    shop: &Shop,
    sidecar: &Sidecar,
    seed: u64,
    interrupted: &CancellationToken,
) -> Result<Report> {
    let length = Duration::from_secs(arguments.seconds);
    let mut screen = Screen::new(length);
    let tally = Arc::new(Tally::default());
    tally.users.store(shop::EARLY_CUSTOMERS, std::sync::atomic::Ordering::Relaxed);
    let stop = CancellationToken::new();
    let _stop_on_return = stop.clone().drop_guard();
    let mut clients = open_store(arguments, shop, sidecar, seed, &tally, &stop).await?;
    screen.say(&format!("{} clients shop through {}", arguments.clients, sidecar.mysql()));
    let begin = Instant::now();
    let mut phase = "mysql-only";
    let mut refreshed = false;
    while begin.elapsed() < length {
        tokio::select! {
            () = interrupted.cancelled() => bail!(Interrupted),
            () = tokio::time::sleep(FRAME) => {}
        }
        let part = begin.elapsed().as_secs_f64() / length.as_secs_f64();
        if part >= SWITCH_AFTER && phase == "mysql-only" {
            sidecar.set_phase("dual-write").await?;
            phase = "dual-write";
            screen.say("phase of every table set to dual-write, under traffic");
        }
        if part >= REFRESH_AFTER && !refreshed {
            sidecar.refresh_existing_rows().await?;
            refreshed = true;
            screen.say("refresh of all rows that existed before");
        }
        screen.show(phase, &tally, &sidecar.progress().await?);
    }
    stop.cancel();
    while clients.join_next().await.is_some() {}
    screen.say("clients stopped; waiting until nothing is owed");
    let last_statement = Instant::now();
    let progress = tokio::select! {
        () = interrupted.cancelled() => bail!(Interrupted),
        progress = sidecar.settle(SETTLE_LIMIT) => progress?,
    };
    let settled_after_seconds = last_statement.elapsed().as_secs_f64();
    screen.show(phase, &tally, &progress);
    screen.say("comparing every item with MySQL");
    let entities = sidecar.compare().await?;
    screen.close();
    Ok(Report {
        seed,
        statements: Tally::of(&tally.statements),
        committed: Tally::of(&tally.committed),
        rolled_back: Tally::of(&tally.rolled_back),
        refused: Tally::of(&tally.refused),
        failed: Tally::of(&tally.failed),
        failures: tally.failures(),
        segue: progress,
        settled_after_seconds,
        entities,
    })
}

/// The clients, each a task with a connection of its own to Segue's port.
async fn open_store(
    arguments: &Arguments,
    shop: &Shop,
    sidecar: &Sidecar,
    seed: u64,
    tally: &Arc<Tally>,
    stop: &CancellationToken,
) -> Result<JoinSet<()>> {
    let port = sidecar.mysql().port();
    let options = OptsBuilder::from_opts(shop.options())
        .ip_or_hostname("127.0.0.1")
        .tcp_port(port)
        // A driver on the same machine would otherwise go around Segue by MySQL's socket.
        .prefer_socket(false);
    let mut clients = JoinSet::new();
    for number in 1..=arguments.clients {
        let customer =
            Customer::connect(options.clone().into(), number, seed, Arc::clone(tally)).await;
        let customer = customer.context("connect a client through Segue")?;
        clients.spawn(customer.shop(stop.clone()));
    }
    Ok(clients)
}

/// How to look around with one's own tools.
fn tell_ports(sidecar: &Sidecar, shop: &Shop) {
    let (mysql, admin, token) = (sidecar.mysql(), sidecar.admin(), sidecar.token());
    eprintln!(
        "Segue is still running, in dual-write:\n  \
         mysql -h127.0.0.1 -P{} -uroot {}\n  \
         curl -H 'Authorization: Bearer {token}' http://{admin}/api/owed\n  \
         curl http://{admin}/metrics\n  \
         aws dynamodb scan --table-name Accounts --endpoint-url {} --region us-east-1\n  \
         journal and phases: {}\nCtrl-C ends it and drops the database.",
        mysql.port(),
        shop.database,
        sidecar.endpoint(),
        sidecar.folder().display()
    );
}

/// Ctrl-C before the result was there.
#[derive(Debug, thiserror::Error)]
#[error("interrupted before the result; the demo's database is dropped")]
struct Interrupted;

/// The commands' own fault: what a store did not answer is told apart from what it refused.
fn fault(error: anyhow::Error) -> Fault {
    if error.is::<Interrupted>() {
        return Fault::new(FaultKind::Differences, error.to_string(), "", "");
    }
    let unreachable = error.chain().any(|cause| {
        matches!(
            cause.downcast_ref(),
            Some(mysql_async::Error::Io(_) | mysql_async::Error::Driver(_))
        )
    });
    let error = match error.downcast::<Fault>() {
        Ok(fault) => return fault,
        Err(error) => error,
    };
    let kind = if unreachable { FaultKind::Unreachable } else { FaultKind::Configuration };
    let help = "give a MySQL account that may create databases by --mysql-url; `cargo xtask demo` \
                brings a server of its own";
    Fault::new(kind, format!("{error:#}"), "segue demo", help)
}
