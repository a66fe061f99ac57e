//! What rounds did, added up and printed.
//! Never here: playing them.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::Options;
use super::plan::Planned;
use crate::workload::Report;

/// One round.
#[derive(Debug, Default)]
pub struct RoundReport {
    pub seed: u64,
    pub load: Report,
    pub faults: Vec<&'static str>,
    pub kills: u64,
    pub differences: u64,
    /// Everything that must not be; empty: the round is well.
    pub problems: Vec<String>,
    pub load_time: Duration,
    pub time: Duration,
    /// Where a failed round can be read.
    pub trace: Option<PathBuf>,
}

impl RoundReport {
    pub fn new(seed: u64, planned: &[Planned]) -> RoundReport {
        RoundReport {
            seed,
            faults: planned.iter().map(|planned| planned.fault.name()).collect(),
            kills: planned.iter().map(|planned| planned.fault.kills()).sum(),
            ..RoundReport::default()
        }
    }
}

impl RoundReport {
    /// The round on one line.
    pub fn line(&self) -> String {
        format!(
            "seed {:>6}: {:>4} transactions, load {:4.1} s, settled after {:4.1} s{}: {}",
            self.seed,
            self.load.transactions,
            self.load_time.as_secs_f64(),
            self.time.as_secs_f64(),
            if self.problems.is_empty() { "" } else { " FAILED" },
            self.faults.join(", ")
        )
    }
}

impl fmt::Display for RoundReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "seed {}: {} transactions, {} statements, {} lost connections, {:.1} s ({:.1} s of it load)",
            self.seed,
            self.load.transactions,
            self.load.statements,
            self.load.lost_connections,
            self.time.as_secs_f64(),
            self.load_time.as_secs_f64(),
        )?;
        writeln!(f, "faults: {}", self.faults.join(", "))?;
        for problem in &self.problems {
            writeln!(f, "PROBLEM: {problem}")?;
        }
        match &self.trace {
            Some(folder) => write!(f, "trace: {}", folder.display()),
            None => Ok(()),
        }
    }
}

/// All rounds of a run.
#[derive(Debug)]
pub struct Summary {
    server: &'static str,
    seed: u64,
    pub rounds: u64,
    pub failed: Vec<u64>,
    pub transactions: u64,
    statements: u64,
    lost_connections: u64,
    faults: BTreeMap<&'static str, u64>,
    kills: u64,
    differences: u64,
    times: Vec<Duration>,
}

impl Summary {
    pub fn new(options: &Options) -> Summary {
        Summary {
            server: options.kind.name(),
            seed: options.seed,
            rounds: 0,
            failed: Vec::new(),
            transactions: 0,
            statements: 0,
            lost_connections: 0,
            faults: BTreeMap::new(),
            kills: 0,
            differences: 0,
            times: Vec::new(),
        }
    }

    pub fn add(&mut self, report: &RoundReport) {
        self.rounds += 1;
        self.transactions += report.load.transactions;
        self.statements += report.load.statements;
        self.lost_connections += report.load.lost_connections;
        self.kills += report.kills;
        self.differences += report.differences;
        self.times.push(report.time);
        for fault in &report.faults {
            *self.faults.entry(fault).or_default() += 1;
        }
        if !report.problems.is_empty() {
            self.failed.push(report.seed);
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}, seed {}: {} rounds, {} failed, {} differences",
            self.server,
            self.seed,
            self.rounds,
            self.failed.len(),
            self.differences
        )?;
        writeln!(
            f,
            "{} transactions, {} statements, {} connections lost to faults, {} processes killed",
            self.transactions, self.statements, self.lost_connections, self.kills
        )?;
        for (fault, count) in &self.faults {
            writeln!(f, "  {fault:<28} {count:>6}")?;
        }
        let mut times = self.times.clone();
        times.sort();
        let at = |percent: usize| {
            let index = times.len().saturating_sub(1) * percent / 100;
            times.get(index).map_or(0.0, Duration::as_secs_f64)
        };
        write!(f, "a round took {:.1} s (median), {:.1} s (most)", at(50), at(100))?;
        for seed in &self.failed {
            write!(f, "\nFAILED: seed {seed}")?;
        }
        Ok(())
    }
}
