//! `segue owed`: what the running sidecar still owes to DynamoDB.
//! Never here: the books themselves (`mirror`).

use serde_json::Value;

use super::admin::{Admin, Answer};
use super::{Common, Exit, output};
use crate::app::{Fault, FaultKind};

#[derive(clap::Args, Debug)]
pub(super) struct Arguments {
    #[command(flatten)]
    common: Common,
    /// Report as JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(arguments: &Arguments) -> Result<Exit, Fault> {
    let settings = arguments.common.settings()?;
    let report = match Admin::new(&settings)?.ask("GET", "/api/owed", None).await? {
        Answer::Answered(report) => report,
        Answer::NotRunning => {
            return Err(Fault::new(
                FaultKind::Unreachable,
                "no sidecar runs",
                format!("[listen] admin {}", settings.listen.admin),
                "start `segue serve`; what is owed is kept in the journal",
            ));
        }
    };
    if arguments.json {
        output::json(&report);
    } else {
        print(&report);
    }
    Ok(Exit::Done)
}

fn print(report: &Value) {
    let list = |name: &str| report[name].as_array().cloned().unwrap_or_default();
    let shown = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    let row = |entry: &Value, names: &[&str]| -> Vec<String> {
        names.iter().map(|name| shown(&entry[*name])).collect()
    };
    let section = |name: &str, columns: &[&str]| {
        let entries = list(name);
        if entries.is_empty() {
            return;
        }
        let titles = columns.iter().map(|column| column.to_uppercase().replace('_', " "));
        let mut rows = vec![titles.collect::<Vec<_>>()];
        rows.extend(entries.iter().map(|entry| row(entry, columns)));
        output::table(&rows);
        output::line("");
    };
    section("tables", &["table", "seen", "applied", "superseded", "owed"]);
    section("sweeps", &["table", "state", "reason", "age_seconds"]);
    section("parked", &["entity", "key", "reason", "age_seconds"]);
    let owed: u64 = list("tables").iter().filter_map(|table| table["owed"].as_u64()).sum();
    output::line(format!("{owed} owed, {} parked", shown(&report["parked_total"])));
}
