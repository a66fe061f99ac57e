//! The demo's result: a table for people, JSON for programs.
//! Never here: finding out what it says.

use serde::Serialize;

use super::compare::EntityOutcome;
use super::sidecar::Progress;

/// Everything the demo found out.
#[derive(Debug, Serialize)]
pub struct Report {
    pub seed: u64,
    pub statements: u64,
    pub committed: u64,
    pub rolled_back: u64,
    /// Deadlocks, duplicates and the like: answered by MySQL, expected by every application.
    pub refused: u64,
    /// Any other error that a customer saw.
    pub failed: u64,
    pub failures: Vec<String>,
    pub segue: Progress,
    /// Seconds from the last statement until nothing was owed.
    pub settled_after_seconds: f64,
    pub entities: Vec<EntityOutcome>,
}

impl Report {
    /// Nothing differs, nothing is owed, no customer saw a strange error.
    pub fn is_well(&self) -> bool {
        self.failed == 0
            && self.segue.owed == 0
            && self.segue.sweeps_owed == 0
            && !self.entities.iter().any(EntityOutcome::differs)
    }

    pub fn render(&self) -> String {
        let header = ["entity", "rows", "items", "missing", "extra", "different"]
            .map(str::to_owned)
            .to_vec();
        let mut rows = vec![header];
        for outcome in &self.entities {
            let numbers = [
                outcome.rows,
                outcome.items,
                outcome.missing,
                outcome.extra,
                outcome.different + outcome.unbuildable,
            ];
            let mut row = vec![outcome.entity.clone()];
            row.extend(numbers.map(|number| number.to_string()));
            rows.push(row);
        }
        let mut text = table(&rows);
        text += &format!(
            "\n{} statements by the clients: {} transactions committed, {} rolled back, {} refused \
             by MySQL (deadlocks, duplicates), {} failed\n",
            self.statements, self.committed, self.rolled_back, self.refused, self.failed
        );
        let segue = &self.segue;
        text += &format!(
            "{} changes seen = {} applied + {} superseded + {} owed; nothing owed {:.1} s after the \
             last statement\n",
            segue.seen, segue.applied, segue.superseded, segue.owed, self.settled_after_seconds
        );
        if segue.sweeps_owed > 0 {
            text += &format!("{} sweeps are still owed\n", segue.sweeps_owed);
        }
        for line in self.failures.iter().chain(self.entities.iter().flat_map(|one| &one.samples)) {
            text += &format!("  {line}\n");
        }
        text += if self.is_well() {
            "every item equals MySQL, and nothing is owed\n"
        } else {
            "DynamoDB DIFFERS from MySQL, or something is owed\n"
        };
        text
    }
}

/// Columns as wide as their widest cell; the first to the left, numbers to the right.
fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        for (column, cell) in row.iter().enumerate() {
            let wide = widths[column];
            text += &match column {
                0 => format!("  {cell:<wide$}"),
                _ => format!("  {cell:>wide$}"),
            };
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(outcome: EntityOutcome, owed: i64) -> Report {
        Report {
            seed: 1,
            statements: 0,
            committed: 0,
            rolled_back: 0,
            refused: 0,
            failed: 0,
            failures: vec![],
            segue: Progress { owed, ..Progress::default() },
            settled_after_seconds: 0.0,
            entities: vec![outcome],
        }
    }

    #[test]
    fn only_equal_items_and_nothing_owed_are_well() {
        assert!(report(EntityOutcome::default(), 0).is_well());
        assert!(!report(EntityOutcome::default(), 1).is_well());
        for faulty in [
            EntityOutcome { missing: 1, ..EntityOutcome::default() },
            EntityOutcome { extra: 1, ..EntityOutcome::default() },
            EntityOutcome { different: 1, ..EntityOutcome::default() },
            EntityOutcome { unbuildable: 1, ..EntityOutcome::default() },
        ] {
            assert!(!report(faulty, 0).is_well());
        }
    }

    #[test]
    fn columns_line_up() {
        let rows = [["entity", "rows"], ["a", "12345"]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(table(&rows), "  entity   rows\n  a       12345\n");
    }
}
