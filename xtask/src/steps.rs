//! One printed line per step, with its time; and running programs in steps.
//! Never here: which steps there are.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

/// Prints steps; long outputs of programs go to log files in `folder`.
pub struct Steps {
    folder: PathBuf,
}

impl Steps {
    pub fn new(folder: PathBuf) -> Result<Self> {
        std::fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
        Ok(Steps { folder })
    }

    /// Folder for logs and scratch data of the chores.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Runs `work` and prints `name`, its outcome and its time on one line.
    pub fn step<T>(&self, name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        print!("{name} ... ");
        let _ = std::io::stdout().flush();
        let begin = Instant::now();
        let outcome = work();
        let word = if outcome.is_ok() { "done" } else { "FAILED" };
        println!("{word} ({:.1} s)", begin.elapsed().as_secs_f64());
        outcome
    }

    /// Prints a finding as a line of its own.
    pub fn note(&self, text: &str) {
        println!("{text}");
    }

    /// Runs a program whose output is worth reading only when it fails.
    pub fn quietly(&self, name: &str, command: &mut Command) -> Result<()> {
        self.step(name, || {
            let path = self.folder.join("last-step.log");
            let log = File::create(&path).with_context(|| format!("create {}", path.display()))?;
            let errors = log.try_clone().context("share the log file")?;
            command.stdin(Stdio::null()).stdout(log).stderr(errors);
            let status = command.status().with_context(|| format!("run {command:?}"))?;
            if !status.success() {
                bail!("{command:?} ended with {status}:\n{}", tail(&path));
            }
            Ok(())
        })
    }

    /// Runs a program whose output people want to see.
    pub fn openly(&self, name: &str, command: &mut Command) -> Result<bool> {
        println!("{name}:");
        let begin = Instant::now();
        let status = command.status().with_context(|| format!("run {command:?}"))?;
        let word = if status.success() { "done" } else { "FAILED" };
        println!("{name} ... {word} ({:.1} s)", begin.elapsed().as_secs_f64());
        Ok(status.success())
    }
}

/// Lines of a log that an error message quotes.
const TAIL_LINES: usize = 25;

fn tail(path: &Path) -> String {
    let bytes = std::fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}
