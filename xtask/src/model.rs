//! `cargo xtask model`: explores the model of capture and refresh within its larger bounds.
//! Never here: the model (the crate `model`).

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use crate::cargo;
use crate::steps::Steps;

#[derive(Args)]
pub struct Arguments {
    /// The bounds of the tests instead: seconds
    #[arg(long)]
    small: bool,
    /// Only scenarios whose names contain one of these
    names: Vec<String>,
}

pub fn run(steps: &Steps, repository: &Path, arguments: &Arguments) -> Result<ExitCode> {
    // Optimised, in a folder of its own: the states are many, and what it depends on is little.
    let mut command = cargo(repository);
    command.args(["run", "--quiet", "--profile", "model", "--package", "segue-model"]);
    command.arg("--").args(arguments.small.then_some("--small")).args(&arguments.names);
    let held = steps.openly("model", &mut command)?;
    Ok(if held { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
