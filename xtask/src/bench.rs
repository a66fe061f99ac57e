//! `cargo xtask bench`: sets up servers and runs a measuring program of the tests crate.
//! Never here: the measuring.

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Result, bail};
use clap::Subcommand;
use xtask::servers::Kind;

use crate::steps::Steps;
use crate::{cargo, setup, target_folder};

#[derive(Subcommand)]
pub enum Benchmark {
    /// What a query costs through Segue in mysql-only, against a plain relay, HAProxy and MySQL Router
    Relay {
        /// Passed to the measuring program
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        rest: Vec<String>,
    },
    /// What idle clients and a slow reader of a large result cost in memory
    Memory {
        /// Passed to the measuring program
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        rest: Vec<String>,
    },
    /// What reading a statement's text and finding its plan takes, without any connection
    Digest {
        /// Passed to the measuring program
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        rest: Vec<String>,
    },
    /// How long after MySQL's commit an item is right, at half of the engine's capacity
    Lag {
        /// Passed to the measuring program
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        rest: Vec<String>,
    },
    /// DynamoDB goes away for minutes under a steady load of writes, and comes back
    Outage {
        /// Passed to the measuring program
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        rest: Vec<String>,
    },
    /// Backfill and verify, against a bare loop of BatchWriteItem
    Movement {
        /// Passed to the measuring program
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        rest: Vec<String>,
    },
    /// How long a start takes, and what memory, with a journal of many owed keys
    Start {
        /// Passed to the measuring program
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        rest: Vec<String>,
    },
    /// Latency that dual-write adds to an application's writes, against mysql-only
    Write {
        /// Passed to the measuring program
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        rest: Vec<String>,
    },
}

pub fn run(steps: &Steps, repository: &Path, benchmark: &Benchmark) -> Result<ExitCode> {
    let kinds: &[Kind] = match benchmark {
        Benchmark::Digest { .. } => &[],
        _ => &[Kind::Mysql97],
    };
    let prepared = setup::servers(steps, kinds);
    let (program, rest) = match benchmark {
        Benchmark::Relay { rest } => {
            setup::peers(steps);
            ("bench_relay", rest)
        }
        Benchmark::Memory { rest } => ("bench_memory", rest),
        Benchmark::Digest { rest } => ("bench_digest", rest),
        Benchmark::Lag { rest } => ("bench_lag", rest),
        Benchmark::Outage { rest } => ("bench_outage", rest),
        Benchmark::Movement { rest } => ("bench_movement", rest),
        Benchmark::Start { rest } => ("bench_start", rest),
        Benchmark::Write { rest } => ("bench_write", rest),
    };
    let mut build = cargo(repository);
    // Figures are those of the optimised build; the first one takes minutes.
    // The workspace as a whole, as everywhere: other selections build dependencies with other features.
    build.args(["build", "--release", "--workspace", "--bins"]);
    if !steps.openly("build", &mut build)? {
        bail!("the programs do not build");
    }
    let mut command = Command::new(target_folder(repository).join("release").join(program));
    command.current_dir(repository);
    command.args(rest).envs(prepared.environment.iter().map(|(name, value)| (name, value)));
    let well = steps.openly(program, &mut command)?;
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
