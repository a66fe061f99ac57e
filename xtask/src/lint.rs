//! The quick checks: house rules, formatting, clippy.
//! Never here: changing any file.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;

use crate::cargo;
use crate::steps::Steps;

/// Only the house rules.
pub fn tidy(steps: &Steps, repository: &Path) -> Result<ExitCode> {
    let mut command = cargo(repository);
    command.args(["test", "--package", "segue-tests", "--test", "tidy"]);
    Ok(exit(steps.openly("house rules", &mut command)?))
}

/// rustfmt and clippy.
pub fn lint(steps: &Steps, repository: &Path) -> Result<ExitCode> {
    let formatted =
        steps.openly("rustfmt", cargo(repository).args(["fmt", "--all", "--", "--check"]))?;
    let mut clippy = cargo(repository);
    clippy.args(["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"]);
    Ok(exit(steps.openly("clippy", &mut clippy)? && formatted))
}

fn exit(well: bool) -> ExitCode {
    if well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
