//! `cargo xtask test`: set-up, build, every test, counts.
//! Never here: how a server is installed or started.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{ExitCode, Stdio};
use std::time::Instant;

use anyhow::{Context, Result};
use clap::Args;
use xtask::servers::Kind;

use crate::counts::Counts;
use crate::steps::Steps;
use crate::{cargo, setup};

/// Names the file in which skipped tests are recorded (see `segue_tests::harness::skip`).
const SKIPS_VARIABLE: &str = "SEGUE_TEST_SKIPS";

#[derive(Args)]
pub struct Arguments {
    /// Use what is installed; install nothing
    #[arg(long)]
    no_setup: bool,
    /// Only this package
    #[arg(long, short)]
    package: Vec<String>,
    /// Passed to the test binaries (filters and libtest options)
    #[arg(last = true)]
    rest: Vec<String>,
}

pub fn run(steps: &Steps, repository: &Path, arguments: &Arguments) -> Result<ExitCode> {
    let begin = Instant::now();
    let prepared = if arguments.no_setup {
        setup::Prepared::default()
    } else {
        setup::servers(steps, &Kind::ALL)
    };
    // System tests run the program itself, so it is built first, by the profile the tests use.
    let built =
        steps.openly("build", cargo(repository).args(["build", "--workspace", "--bins"]))?;
    let (counts, well) = if built {
        test(steps, repository, arguments, &prepared)?
    } else {
        (Counts { failed: 1, ..Counts::default() }, false)
    };
    for missing in &prepared.missing {
        println!("{missing}");
    }
    println!("finished in {:.0} s", begin.elapsed().as_secs_f64());
    println!("{counts}");
    Ok(if well && counts.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn test(
    steps: &Steps,
    repository: &Path,
    arguments: &Arguments,
    prepared: &setup::Prepared,
) -> Result<(Counts, bool)> {
    let record = steps.folder().join("skipped.tsv");
    fs::write(&record, "").with_context(|| format!("write {}", record.display()))?;
    let mut command = cargo(repository);
    command.args(["test", "--no-fail-fast"]);
    if arguments.package.is_empty() {
        command.arg("--workspace");
    }
    for package in &arguments.package {
        command.args(["--package", package]);
    }
    command.arg("--").args(&arguments.rest);
    command.env(SKIPS_VARIABLE, &record);
    command.envs(prepared.environment.iter().map(|(name, value)| (name, value)));
    let mut child = command.stdout(Stdio::piped()).spawn().context("run cargo test")?;
    let output = child.stdout.take().context("cargo test has no output")?;
    let mut counts = Counts::default();
    for line in BufReader::new(output).lines() {
        // Tests print what they like: bytes that are no text end nothing.
        let Ok(line) = line else { continue };
        counts.take(&line);
        println!("{line}");
    }
    let status = child.wait().context("wait for cargo test")?;
    let skipped = fs::read_to_string(&record).unwrap_or_default();
    counts.move_skipped(&skipped);
    for line in skipped.lines() {
        println!("SKIPPED: {}", line.replace('\t', ": "));
    }
    if !status.success() && counts.failed == 0 {
        // A test binary that did not build or died has no result line.
        counts.failed = 1;
    }
    Ok((counts, status.success()))
}
