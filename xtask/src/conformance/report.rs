//! The table that a run ends with.
//! Never here: running anything.

use std::fmt::Write as _;

use super::exceptions::Exception;
use super::results::Results;
use super::suite::{Mode, Path, Suite};

/// One suite in one mode and phase.
pub struct Cell {
    suite: Suite,
    mode: Mode,
    phase: Path,
    /// Tests looked at; those that pass direct; those of them that pass through.
    tests: usize,
    direct: usize,
    through: usize,
    /// Pass direct, and fail through or have not been run: with the first lines of why.
    differ: Vec<(String, Vec<String>)>,
}

impl Cell {
    pub fn new(
        suite: Suite,
        mode: Mode,
        phase: Path,
        tests: usize,
        passing: &[String],
        through: &Results,
    ) -> Cell {
        let differ: Vec<(String, Vec<String>)> = passing
            .iter()
            .filter(|test| !through.passed(test))
            .map(|test| {
                let outcome = through.get(test);
                let why = outcome.map(|o| [vec![o.word.clone()], o.detail.clone()].concat());
                (test.clone(), why.unwrap_or_else(|| vec!["not run".to_owned()]))
            })
            .collect();
        let direct = passing.len();
        Cell { suite, mode, phase, tests, direct, through: direct - differ.len(), differ }
    }

    /// Differences that no exception covers.
    pub fn unexplained(&self, exceptions: &[Exception]) -> Vec<&(String, Vec<String>)> {
        let (suite, mode, phase) = (self.suite.name(), self.mode.name(), self.phase.name());
        let covered = |test: &str| exceptions.iter().any(|e| e.covers(suite, test, mode, phase));
        self.differ.iter().filter(|(test, _)| !covered(test)).collect()
    }
}

pub fn text(cells: &[Cell], exceptions: &[Exception]) -> String {
    let mut text = String::new();
    for cell in cells {
        let unexplained = cell.unexplained(exceptions);
        for (test, why) in &unexplained {
            let (mode, phase) = (cell.mode.name(), cell.phase.name());
            let _ = writeln!(text, "{} {mode} {phase}: {test}", cell.suite.name());
            for line in why {
                let _ = writeln!(text, "    {line}");
            }
        }
    }
    let _ = writeln!(
        text,
        "{:<8} {:<7} {:<11} {:>6} {:>12} {:>13} {:>10} {:>7}",
        "suite", "mode", "phase", "tests", "pass direct", "pass through", "exceptions", "differ"
    );
    for cell in cells {
        let unexplained = cell.unexplained(exceptions).len();
        let _ = writeln!(
            text,
            "{:<8} {:<7} {:<11} {:>6} {:>12} {:>13} {:>10} {:>7}",
            cell.suite.name(),
            cell.mode.name(),
            cell.phase.name(),
            cell.tests,
            cell.direct,
            cell.through,
            cell.differ.len() - unexplained,
            unexplained
        );
    }
    text
}
