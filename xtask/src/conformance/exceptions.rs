//! Tests that are known to differ, each with its reason. The compatibility page shows them.
//! Never here: judging a run.

/// One line a test: suite, test, modes and phases that it concerns (or `all`), reason.
const FILE: &str = include_str!("exceptions.tsv");

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exception {
    pub suite: &'static str,
    pub test: &'static str,
    /// Modes and phases, parted by commas; `all` is every one.
    pub scope: &'static str,
    pub reason: &'static str,
}

pub fn all() -> Vec<Exception> {
    FILE.lines().filter(|line| !line.starts_with('#')).filter_map(parse).collect()
}

fn parse(line: &'static str) -> Option<Exception> {
    let mut fields = line.split('\t');
    let (suite, test) = (fields.next()?, fields.next()?);
    let (scope, reason) = (fields.next()?, fields.next()?);
    Some(Exception { suite, test, scope, reason })
}

impl Exception {
    pub fn covers(&self, suite: &str, test: &str, mode: &str, phase: &str) -> bool {
        let within = |word: &str| word == "all" || word == mode || word == phase;
        self.suite == suite && self.test == test && self.scope.split(',').any(within)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn the_compatibility_page_lists_the_exceptions() {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference/compatibility.md");
        let page = fs::read_to_string(page).unwrap();
        for Exception { suite, test, scope, reason } in all() {
            let row = format!("| {suite} | `{test}` | {scope} | {reason} |");
            assert!(page.contains(&row), "the page lacks the row\n{row}");
        }
    }

    #[test]
    fn every_line_has_a_reason() {
        let lines = FILE.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        assert_eq!(lines.count(), all().len());
        assert!(all().iter().all(|exception| exception.reason.len() > 20));
    }
}
