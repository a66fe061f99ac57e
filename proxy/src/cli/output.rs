//! Faults to standard error; reports to standard output.
//! Never here: what a report says.

use std::io::Write;

use serde_json::Value;

use crate::app::Fault;

/// `error: what`, then the place, details and the remedy.
pub(super) fn fault(fault: &Fault) {
    eprintln!("error: {fault}");
}

/// A line of a report. A closed pipe (`| head`) ends the output quietly.
pub(super) fn line(text: impl AsRef<str>) {
    let _ = writeln!(std::io::stdout(), "{}", text.as_ref());
}

/// A report as JSON.
pub(super) fn json(report: &Value) {
    line(format!("{report:#}"));
}

/// Columns of equal width, the first line being the titles.
pub(super) fn table(rows: &[Vec<String>]) {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
    };
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        line(cells.collect::<Vec<_>>().join("  ").trim_end());
    }
}
