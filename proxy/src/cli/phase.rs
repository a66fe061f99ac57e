//! `segue phase show|set`: through the API of the running sidecar, else on the file itself.
//! Never here: which changes are allowed.

use clap::Subcommand;
use segue_config::Settings;
use segue_config::phases::HIGHEST_PHASE;
use segue_rules::phase::{Phase, UnknownPhase};
use segue_rules::value::TableName;
use serde_json::{Value, json};

use super::admin::{Admin, Answer};
use super::{Common, Exit, output};
use crate::app::{self, Fault, FaultKind};
use crate::control::{PhaseChangeRefused, Target, change_file, read_file};

#[derive(Subcommand, Debug)]
pub(super) enum PhaseCommand {
    /// Show the phase of every mapped table
    Show(ShowArguments),
    /// Change the phase of a table, or the default
    Set(SetArguments),
}

#[derive(clap::Args, Debug)]
pub(super) struct ShowArguments {
    #[command(flatten)]
    common: Common,
    /// Report as JSON
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args, Debug)]
pub(super) struct SetArguments {
    #[command(flatten)]
    common: Common,
    /// MySQL table, or `default` for all tables without a phase of their own
    table: String,
    /// Phase, for example `dual-write`
    phase: String,
    /// Also refresh the rows that exist already (needs the running sidecar)
    #[arg(long)]
    refresh_rows: bool,
    /// Report as JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(command: &PhaseCommand) -> Result<Exit, Fault> {
    match command {
        PhaseCommand::Show(arguments) => show(arguments).await,
        PhaseCommand::Set(arguments) => set(arguments).await,
    }
}

async fn show(arguments: &ShowArguments) -> Result<Exit, Fault> {
    let settings = arguments.common.settings()?;
    let report = match Admin::new(&settings)?.ask("GET", "/api/phases", None).await? {
        Answer::Answered(mut report) => {
            report["running"] = Value::Bool(true);
            report
        }
        Answer::NotRunning => of_file(&settings).await?,
    };
    if arguments.json {
        output::json(&report);
        return Ok(Exit::Done);
    }
    if report["running"] != Value::Bool(true) {
        output::line("(no sidecar runs; this is the file)");
    }
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut rows = vec![vec!["TABLE".to_owned(), "PHASE".to_owned()]];
    rows.push(vec!["(default)".to_owned(), word(&report["default"])]);
    for table in report["tables"].as_array().into_iter().flatten() {
        rows.push(vec![word(&table["table"]), word(&table["phase"])]);
    }
    output::table(&rows);
    if let Some(older @ 1..) = report["older_work"].as_u64() {
        output::line(format!("{older} transactions or statements began before the last change"));
    }
    Ok(Exit::Done)
}

/// The file's phases in the form of the API.
async fn of_file(settings: &Settings) -> Result<Value, Fault> {
    let known = known_tables(settings).await?;
    let phases = read_file(&settings.phases_path, &known)?;
    let table = |name: &TableName| {
        json!({
            "table": name,
            "phase": phases.of(name),
            "explicit": phases.tables.contains_key(name),
        })
    };
    Ok(json!({
        "default": phases.default,
        "tables": known.iter().map(table).collect::<Vec<_>>(),
        "highest": HIGHEST_PHASE,
        "file": settings.phases_path,
        "running": false,
    }))
}

async fn set(arguments: &SetArguments) -> Result<Exit, Fault> {
    let settings = arguments.common.settings()?;
    let phase: Phase = arguments.phase.parse().map_err(|error: UnknownPhase| {
        let help = format!("phases up to `{HIGHEST_PHASE}` are served");
        Fault::configuration(error.to_string(), "", help)
    })?;
    let target = match arguments.table.as_str() {
        "default" => Target::Default,
        table => Target::Table(table.to_owned()),
    };
    let admin = Admin::new(&settings)?;
    let request = match &target {
        Target::Default => json!({ "default": phase, "who": who() }),
        Target::Table(table) => json!({ "table": table, "phase": phase, "who": who() }),
    };
    let mut report = match admin.ask("PUT", "/api/phases", Some(&request)).await? {
        Answer::Answered(report) => report,
        Answer::NotRunning => in_file(&settings, &target, phase).await?,
    };
    if arguments.refresh_rows {
        report["sweeps"] = refresh(&admin, &target).await?;
    }
    if arguments.json {
        output::json(&report);
        return Ok(Exit::Done);
    }
    let word = |name: &str| report[name].as_str().unwrap_or_default();
    output::line(format!("{}: {} -> {}", arguments.table, word("from"), word("to")));
    if arguments.refresh_rows {
        output::line("existing rows are being refreshed; `segue owed` shows how far");
    } else if !word("hint").is_empty() {
        output::line(format!("note: {}", word("hint")));
    }
    Ok(Exit::Done)
}

async fn refresh(admin: &Admin, target: &Target) -> Result<Value, Fault> {
    let request = match target {
        Target::Default => json!({ "all": true }),
        Target::Table(table) => json!({ "table": table }),
    };
    match admin.ask("POST", "/api/sweeps", Some(&request)).await? {
        Answer::Answered(report) => Ok(report["owed"].clone()),
        Answer::NotRunning => Err(Fault::new(
            FaultKind::Unreachable,
            "the phase is changed, but no sidecar runs that could refresh rows",
            "",
            "start `segue serve`, then run the command again",
        )),
    }
}

/// No sidecar runs: the file changes under the same checks.
async fn in_file(settings: &Settings, target: &Target, phase: Phase) -> Result<Value, Fault> {
    let known = known_tables(settings).await?;
    let change =
        change_file(&settings.phases_path, &known, target, phase, &who()).map_err(|refused| {
            match refused {
                PhaseChangeRefused::Step { .. }
                | PhaseChangeRefused::NotServed(_)
                | PhaseChangeRefused::Frozen { .. }
                | PhaseChangeRefused::UnknownTable { .. } => {
                    Fault { kind: FaultKind::Differences, ..refused.into() }
                }
                other => other.into(),
            }
        })?;
    Ok(json!({
        "from": change.from,
        "to": change.to,
        "tables": change.tables,
        "hint": "no sidecar runs; the file was changed and is read at the next start",
    }))
}

async fn known_tables(settings: &Settings) -> Result<Vec<TableName>, Fault> {
    let control = app::control_pool(settings).await?;
    let ruleset = app::ruleset(settings, &control).await;
    control.close().await;
    Ok(app::mapped_tables(&ruleset?))
}

/// For the audit log.
fn who() -> String {
    let user = std::env::var("USER").or_else(|_| std::env::var("LOGNAME"));
    format!("cli {}", user.unwrap_or_default()).trim_end().to_owned()
}
