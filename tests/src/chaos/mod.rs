//! Three sidecars on one database and one set of DynamoDB tables, clients that send everything, and
//! whatever can break breaking at random. After each round all is as if nothing had happened.
//! Never here: the statements (see `workload`), or what differs (see `workload::oracle`).

mod fault;
mod perform;
mod plan;
mod round;
mod stage;
mod summary;
mod trace;

use std::time::Duration;

use anyhow::{Result, bail};

use crate::harness::{Kind, Server};
use stage::ChaosStage;
pub use summary::Summary;

/// Sidecars, each with its own journal and its own wire to MySQL.
pub const SIDECARS: usize = 3;

/// A server that keeps what it has committed, whatever is killed.
const SERVER_OPTIONS: [&str; 2] = ["--innodb-flush-log-at-trx-commit=1", "--sync-binlog=1"];

/// What a run is.
#[derive(Clone, Debug)]
pub struct Options {
    pub kind: Kind,
    pub rounds: u64,
    /// Round n has the seed `seed + n`.
    pub seed: u64,
    /// How long clients begin transactions in one round.
    pub load: Duration,
    /// Clients of each sidecar.
    pub clients: usize,
    /// Go on after a failed round, from tables that were swept.
    pub keep_going: bool,
}

impl Options {
    pub fn new(kind: Kind, rounds: u64, seed: u64) -> Options {
        Options {
            kind,
            rounds,
            seed,
            load: Duration::from_millis(1_200),
            clients: 4,
            keep_going: false,
        }
    }
}

/// Runs the rounds. `None` (and a recorded skip) where there is no server that may be killed.
pub async fn run(options: Options) -> Result<Option<Summary>> {
    let settings = SERVER_OPTIONS.map(str::to_owned);
    let Some(server) = Server::own_with(options.kind, &settings).await else { return Ok(None) };
    let stage = ChaosStage::set(server, options.seed).await?;
    let mut summary = Summary::new(&options);
    for seed in options.seed..options.seed.saturating_add(options.rounds) {
        let report = round::play(&stage, &options, seed).await?;
        summary.add(&report);
        println!("{}", report.line());
        if report.problems.is_empty() {
            continue;
        }
        println!("ROUND FAILED: {report}");
        if !options.keep_going {
            break;
        }
        if let Err(error) = stage.mend().await {
            bail!("after the failed round {seed} the tables cannot be mended: {error:#}");
        }
    }
    Ok(Some(summary))
}
