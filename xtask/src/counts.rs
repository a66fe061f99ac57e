//! Adds up what libtest prints and what tests recorded as skipped.
//! Never here: running tests.

use std::collections::BTreeSet;
use std::fmt;

/// Totals over every test binary.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub passed: u64,
    pub failed: u64,
    pub skipped: u64,
}

impl Counts {
    /// Takes up one line of output; anything but a `test result:` line is ignored.
    pub fn take(&mut self, line: &str) {
        let Some(result) = line.trim().strip_prefix("test result:") else { return };
        for part in result.split([';', '.']) {
            let mut words = part.split_whitespace();
            let (Some(number), Some(what)) = (words.next(), words.next()) else { continue };
            let Ok(number) = number.parse::<u64>() else { continue };
            match what {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.skipped += number,
                _ => {}
            }
        }
    }

    /// Tests that returned early because their server is not there counted as passed so far. Each line
    /// of `record` is `test name<TAB>reason`; a test counts once.
    pub fn move_skipped(&mut self, record: &str) -> u64 {
        let tests: BTreeSet<&str> =
            record.lines().filter_map(|line| line.split('\t').next()).collect();
        let moved = (tests.len() as u64).min(self.passed);
        self.passed -= moved;
        self.skipped += moved;
        moved
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_of_all_binaries_add_up() {
        let mut counts = Counts::default();
        for line in [
            "running 3 tests",
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s",
            "test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 4 filtered out; finished in 1.50s",
        ] {
            counts.take(line);
        }
        assert_eq!(counts.to_string(), "4 passed, 2 failed, 1 skipped");
    }

    #[test]
    fn skipped_test_does_not_count_as_passed() {
        let mut counts = Counts { passed: 3, failed: 0, skipped: 0 };
        assert_eq!(counts.move_skipped("a::mysql97\tno MySQL\na::mysql97\tno MySQL\nb\tno\n"), 2);
        assert_eq!(counts.to_string(), "1 passed, 0 failed, 2 skipped");
    }
}
