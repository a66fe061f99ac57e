//! `cargo xtask fuzz`: builds the fuzzing program with the stable compiler's coverage flags and lets
//! libFuzzer look for inputs that crash, hang or eat memory.
//! Never here: what is tried (the crate `fuzz`), or a fuzzer's own work.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::setup;
use crate::steps::Steps;
use crate::{cargo, target_folder};

/// Minutes over all targets, unless told otherwise.
const MINUTES: f64 = 10.0;
/// One input may take so long: each is a few kilobytes, so more is a hang.
const INPUT_SECONDS_MAX: u32 = 10;
/// Resident memory of the process, in MiB: inputs are small, so more is an unbounded allocation.
const RESIDENT_MIB_MAX: u32 = 512;
/// Address space in KiB, so that memory which is asked for and not touched counts as well.
const ADDRESS_KIB_MAX: u32 = 2 << 20;
/// Largest part of the found corpora that goes into the repository, a target, in bytes.
const CORPUS_BYTES_MAX: u64 = 48 << 10;
/// Most inputs that a target has in the repository, seeds and past failures aside.
const KEPT_MAX: usize = 100;
/// Larger inputs do not go into the repository.
const INPUT_BYTES_MAX: u64 = 2 << 10;

#[derive(Args)]
pub struct Arguments {
    /// What to try; all of it by default
    targets: Vec<String>,
    /// Minutes in total, shared by the targets
    #[arg(long, default_value_t = MINUTES)]
    minutes: f64,
    /// Processes at a time
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// Afterwards, take what was found into the corpora of the repository, minimized
    #[arg(long)]
    keep: bool,
}

/// One target with its folders.
struct Run {
    target: String,
    /// Of the repository.
    corpus: PathBuf,
    /// What earlier runs found.
    found: PathBuf,
    /// Where inputs that fail are put.
    failures: PathBuf,
    log: PathBuf,
    seconds: u64,
}

pub fn run(steps: &Steps, repository: &Path, arguments: &Arguments) -> Result<ExitCode> {
    let program = build(steps, repository)?;
    let corpora = repository.join("fuzz/corpus");
    let targets = targets(&corpora, &arguments.targets)?;
    let jobs = arguments.jobs.clamp(1, targets.len());
    let share = arguments.minutes * 60.0 * jobs as f64 / targets.len() as f64;
    let seconds = (share as u64).max(1);
    let folder = steps.folder().join("fuzz");
    let run = |target: String| Run {
        corpus: corpora.join(&target),
        found: folder.join("found").join(&target),
        failures: folder.join("failures").join(&target),
        log: folder.join(format!("{target}.log")),
        target,
        seconds,
    };
    let runs: Vec<Run> = targets.into_iter().map(run).collect();
    println!("{} targets, {seconds} s each, {jobs} at a time", runs.len());
    let failed = all(&program, &runs, jobs)?;
    if arguments.keep {
        for run in &runs {
            keep(&program, run)?;
        }
    }
    println!("{} targets, {failed} failed", runs.len());
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The program, in the workspace's own target folder: cargo keeps what was built through another compiler
/// wrapper apart.
fn build(steps: &Steps, repository: &Path) -> Result<PathBuf> {
    setup::compiler(steps)?;
    let mut command = cargo(repository);
    // With the features of the whole workspace, so that dependencies are those that are there already.
    command.args([
        "build",
        "--workspace",
        "--features",
        "segue-fuzz/engine",
        "--bin",
        "segue-fuzz",
    ]);
    command.env("RUSTC_WORKSPACE_WRAPPER", repository.join("fuzz/instrument.sh"));
    if !steps.openly("build", &mut command)? {
        bail!(
            "libFuzzer's program does not build, so nothing is tried; `cargo test -p segue-fuzz` runs the corpora without it"
        );
    }
    Ok(target_folder(repository).join("debug/segue-fuzz"))
}

/// The names given, or those of all corpora: each target has one.
fn targets(corpora: &Path, named: &[String]) -> Result<Vec<String>> {
    let entries = std::fs::read_dir(corpora).context("read fuzz/corpus")?;
    let mut known: Vec<String> =
        entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    known.sort();
    if named.is_empty() {
        return Ok(known);
    }
    if let Some(unknown) = named.iter().find(|name| !known.contains(name)) {
        bail!("no target is named `{unknown}`; there are {}", known.join(", "));
    }
    Ok(named.to_vec())
}

/// Runs them, `jobs` at a time. Returns how many failed.
fn all(program: &Path, runs: &[Run], jobs: usize) -> Result<usize> {
    let mut waiting = runs.iter();
    let mut running: Vec<(&Run, Child, Instant)> = Vec::new();
    let mut failed = 0;
    loop {
        while running.len() < jobs
            && let Some(run) = waiting.next()
        {
            running.push((run, start(program, run)?, Instant::now()));
        }
        if running.is_empty() {
            return Ok(failed);
        }
        let mut still = Vec::new();
        for (run, mut child, begin) in running {
            match child.try_wait().context("wait for libFuzzer")? {
                Some(status) => failed += usize::from(!report(run, status.success(), begin)),
                None => still.push((run, child, begin)),
            }
        }
        running = still;
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// libFuzzer under a limit of address space.
fn limited(program: &Path, run: &Run) -> Command {
    let mut command = Command::new("/bin/sh");
    let script = format!("ulimit -v {ADDRESS_KIB_MAX}; exec nice -n 10 \"$@\"");
    command.args(["-c", &script, "fuzz"]).arg(program);
    command.env("SEGUE_FUZZ_TARGET", &run.target).env("RUST_BACKTRACE", "0");
    command.stdin(Stdio::null());
    command
}

fn start(program: &Path, run: &Run) -> Result<Child> {
    for folder in [&run.found, &run.failures] {
        std::fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
    }
    let log = std::fs::File::create(&run.log).context("create the log")?;
    let mut command = limited(program, run);
    command
        .arg(format!("-max_total_time={}", run.seconds))
        .arg(format!("-timeout={INPUT_SECONDS_MAX}"))
        .arg(format!("-rss_limit_mb={RESIDENT_MIB_MAX}"))
        .arg("-print_final_stats=1")
        .arg(format!("-artifact_prefix={}/", run.failures.display()))
        .args([&run.found, &run.corpus])
        .stdout(Stdio::null())
        .stderr(log);
    command.spawn().context("start libFuzzer")
}

/// Prints how a target went; false where it failed.
fn report(run: &Run, well: bool, begin: Instant) -> bool {
    let log = std::fs::read(&run.log).unwrap_or_default();
    let log = String::from_utf8_lossy(&log);
    let number = |name: &str| {
        let line = log.lines().find_map(|line| line.strip_prefix(name));
        line.map_or("?", str::trim).to_owned()
    };
    let coverage = log.lines().rev().find_map(|line| {
        let (_, rest) = line.split_once(" cov: ")?;
        rest.split_whitespace().next()
    });
    println!(
        "{:<20} {:>5.0} s {:>12} executions {:>6} edges {:>5} MiB  {}",
        run.target,
        begin.elapsed().as_secs_f64(),
        number("stat::number_of_executed_units:"),
        coverage.unwrap_or("?"),
        number("stat::peak_rss_mb:"),
        if well { "clean" } else { "FAILED" },
    );
    if !well {
        let telling = |line: &&str| {
            ["panicked", "ERROR", "SUMMARY", "Test unit written", "assertion", " left:", "right:"]
                .iter()
                .any(|word| line.contains(word))
        };
        log.lines().filter(telling).for_each(|line| println!("    {line}"));
        println!("    log: {}", run.log.display());
    }
    well
}

/// Takes the smallest inputs that reach what the repository's corpus does not reach.
fn keep(program: &Path, run: &Run) -> Result<()> {
    let merged = run.log.with_extension("merged");
    if merged.exists() {
        std::fs::remove_dir_all(&merged).context("remove the last merge")?;
    }
    std::fs::create_dir_all(&merged).context("create a folder for the merge")?;
    let mut command = limited(program, run);
    command.arg("-merge=1").args([&merged, &run.corpus, &run.found]);
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status().context("merge")?;
    if !status.success() {
        bail!("the corpus of {} cannot be merged", run.target);
    }
    let size = |path: &Path| path.metadata().map_or(u64::MAX, |data| data.len());
    let mut inputs: Vec<PathBuf> =
        std::fs::read_dir(&merged)?.flatten().map(|entry| entry.path()).collect();
    inputs.sort_by_key(|path| size(path));
    let kept: Vec<PathBuf> =
        std::fs::read_dir(&run.corpus)?.flatten().map(|entry| entry.path()).collect();
    let mut bytes: u64 = kept.iter().map(|path| size(path)).sum();
    let places = KEPT_MAX.saturating_sub(kept.len());
    // Evenly over the sizes: the smallest are all alike.
    let step = inputs.len().div_ceil(places.max(1)).max(1);
    for input in inputs.into_iter().step_by(step).take(places) {
        let length = size(&input);
        let Some(name) = input.file_name() else { continue };
        if length > INPUT_BYTES_MAX || bytes + length > CORPUS_BYTES_MAX {
            break;
        }
        let place = run.corpus.join(name);
        if !place.exists() {
            std::fs::copy(&input, &place).context("keep an input")?;
            bytes += length;
        }
    }
    Ok(())
}
