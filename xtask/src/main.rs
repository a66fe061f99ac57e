//! `cargo xtask`: sets the machine up and runs tests, demo and benchmarks. No product code.
//! Never here: what a chore does (one file each).

mod bench;
mod chaos;
mod conformance;
mod counts;
mod demo;
mod drivers;
mod fuzz;
mod lint;
mod model;
mod setup;
mod steps;
mod test;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

use crate::steps::Steps;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Set-up and chores")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Set up what is missing, run every test, print counts
    Test(test::Arguments),
    /// Set up MySQL and run the demo against it
    Demo(demo::Arguments),
    /// Set up drivers of many languages and compare what they see directly and through Segue
    Drivers(drivers::Arguments),
    /// Measure
    #[command(subcommand)]
    Bench(bench::Benchmark),
    /// Run MySQL's and MariaDB's regression suites direct and through Segue, and compare
    Conformance(conformance::Arguments),
    /// Break everything at random, round after round, and compare
    Chaos(chaos::Arguments),
    /// Look for inputs that crash, hang or eat memory, in whatever reads bytes or texts
    Fuzz(fuzz::Arguments),
    /// Explore the model of capture and refresh, every order of events within bounds
    Model(model::Arguments),
    /// Only the house rules
    Tidy,
    /// rustfmt and clippy, nothing changed
    Lint,
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: Arguments) -> Result<ExitCode> {
    let repository = repository()?;
    let steps = Steps::new(target_folder(&repository).join("xtask"))?;
    match arguments.chore {
        Chore::Test(arguments) => test::run(&steps, &repository, &arguments),
        Chore::Demo(arguments) => demo::run(&steps, &repository, &arguments),
        Chore::Drivers(arguments) => drivers::run(&steps, &repository, &arguments),
        Chore::Bench(benchmark) => bench::run(&steps, &repository, &benchmark),
        Chore::Conformance(arguments) => conformance::run(&steps, &repository, &arguments),
        Chore::Chaos(arguments) => chaos::run(&steps, &repository, &arguments),
        Chore::Fuzz(arguments) => fuzz::run(&steps, &repository, &arguments),
        Chore::Model(arguments) => model::run(&steps, &repository, &arguments),
        Chore::Tidy => lint::tidy(&steps, &repository),
        Chore::Lint => lint::lint(&steps, &repository),
    }
}

/// `cargo` in the repository, the same cargo that runs us.
fn cargo(repository: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(repository);
    command
}

fn repository() -> Result<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    Ok(here.parent().context("xtask lies in the repository")?.to_path_buf())
}

fn target_folder(repository: &Path) -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => repository.join(folder),
        None => repository.join("target"),
    }
}
