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
    /// Parked keys of this MySQL table only
    #[arg(long)]
    table: Option<String>,
    /// Parked keys of this entity only
    #[arg(long)]
    entity: Option<String>,
    /// Most parked keys to list, at most 1,000
    #[arg(long)]
    limit: Option<usize>,
    /// Try every parked key again now, before the report
    #[arg(long)]
    retry: bool,
    /// Report as JSON
    #[arg(long)]
    json: bool,
}

impl Arguments {
    /// `/api/owed` with what is asked for. Names are MySQL's, so they may hold anything.
    fn path(&self) -> String {
        let text = |name: &str, value: &Option<String>| {
            let encoded: String = value.as_deref()?.bytes().map(percent_encoded).collect();
            Some(format!("{name}={encoded}"))
        };
        let asked = [
            text("table", &self.table),
            text("entity", &self.entity),
            self.limit.map(|limit| format!("limit={limit}")),
        ];
        let asked: Vec<String> = asked.into_iter().flatten().collect();
        match asked.is_empty() {
            true => "/api/owed".to_owned(),
            false => format!("/api/owed?{}", asked.join("&")),
        }
    }
}

fn percent_encoded(byte: u8) -> String {
    match byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    }
}

pub(super) async fn run(arguments: &Arguments) -> Result<Exit, Fault> {
    let settings = arguments.common.settings()?;
    let admin = Admin::new(&settings)?;
    let ask = async |method, path: &str| match admin.ask(method, path, None).await? {
        Answer::Answered(report) => Ok(report),
        Answer::NotRunning => Err(Fault::new(
            FaultKind::Unreachable,
            "no sidecar runs",
            format!("[listen] admin {}", settings.listen.admin),
            "start `segue serve`; what is owed is kept in the journal",
        )),
    };
    if arguments.retry {
        ask("POST", "/api/owed/retry").await?;
    }
    let report = ask("GET", &arguments.path()).await?;
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
    section("tables", &["table", "seen", "applied", "superseded", "owed", "parked", "on_disk"]);
    section("sweeps", &["table", "state", "reason", "age_seconds"]);
    section("parked", &["table", "entity", "key", "since", "attempts", "reason"]);
    if let (Some(matching), listed) = (report["parked_matching"].as_u64(), list("parked").len())
        && matching > listed as u64
    {
        output::line(format!("{listed} of {matching} parked keys listed"));
    }
    let owed: u64 = list("tables").iter().filter_map(|table| table["owed"].as_u64()).sum();
    output::line(format!("{owed} owed, {} parked", shown(&report["parked_total"])));
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    #[test]
    fn what_is_asked_for_becomes_a_query() {
        let path = |words: &[&str]| {
            let words = ["owed"].iter().chain(words);
            Line::try_parse_from(words).unwrap().arguments.path()
        };
        assert_eq!(path(&[]), "/api/owed");
        assert_eq!(
            path(&["--table", "a b&c", "--entity", "Ünit", "--limit", "5"]),
            "/api/owed?table=a%20b%26c&entity=%C3%9Cnit&limit=5"
        );
    }
}
