//! `cargo xtask chaos`: sets servers up and runs rounds of random faults.
//! Never here: the rounds (see `segue_tests::chaos`).

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use xtask::servers::Kind;

use crate::steps::Steps;
use crate::{cargo, setup, target_folder};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Database {
    #[value(alias = "mysql97")]
    Mysql,
    Mariadb,
}

#[derive(Args)]
pub struct Arguments {
    /// Rounds of some seconds each
    #[arg(long, default_value_t = 20)]
    rounds: u64,
    /// Round n has the seed S + n; a random one where it is not given
    #[arg(long)]
    seed: Option<u64>,
    #[arg(long, value_enum, default_value = "mysql")]
    server: Database,
    /// Go on after a failed round
    #[arg(long)]
    keep_going: bool,
}

pub fn run(steps: &Steps, repository: &Path, arguments: &Arguments) -> Result<ExitCode> {
    let (kind, name) = match arguments.server {
        Database::Mysql => (Kind::Mysql97, "mysql"),
        Database::Mariadb => (Kind::MariaDb, "mariadb"),
    };
    let prepared = setup::servers(steps, &[kind]);
    if !steps.openly("build", cargo(repository).args(["build", "--workspace", "--bins"]))? {
        bail!("the programs do not build");
    }
    let mut command = Command::new(target_folder(repository).join("debug/chaos"));
    command.args(["--server", name, "--rounds", &arguments.rounds.to_string()]);
    command.args(arguments.seed.map(|seed| format!("--seed={seed}")));
    command.args(arguments.keep_going.then_some("--keep-going"));
    command.current_dir(repository);
    command.envs(prepared.environment.iter().map(|(name, value)| (name, value)));
    let well = steps.openly("chaos", &mut command)?;
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
