//! `segue tables plan|create|diff`: the contract's DynamoDB tables.
//! Never here: what a table should look like (`segue_rules`), or requests (`dynamo`).

use std::sync::Arc;

use clap::Subcommand;
use segue_config::Settings;
use segue_rules::entity::Ruleset;
use serde_json::{Value, json};

use super::{Common, Exit, output};
use crate::app::{self, Fault};
use crate::dynamo::{CreateTable, Store, billing_note, difference};
use crate::telemetry::Metrics;

#[derive(Subcommand, Debug)]
pub(super) enum Tables {
    /// Print the tables that the contract wants, as CreateTable requests
    Plan(Arguments),
    /// Create those that are missing and wait until they are active
    Create(Arguments),
    /// Compare what the contract wants with what exists
    Diff(Arguments),
}

#[derive(clap::Args, Debug)]
pub(super) struct Arguments {
    #[command(flatten)]
    common: Common,
    /// Report as JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(tables: &Tables) -> Result<Exit, Fault> {
    let (Tables::Plan(arguments) | Tables::Create(arguments) | Tables::Diff(arguments)) = tables;
    let settings = arguments.common.settings()?;
    let ruleset = ruleset(&settings).await?;
    let wanted = app::wanted_tables(&settings, &ruleset);
    match tables {
        Tables::Plan(_) => {
            plan(&wanted, arguments.json);
            Ok(Exit::Done)
        }
        Tables::Create(_) => create(&settings, &wanted, arguments.json).await,
        Tables::Diff(_) => diff(&settings, &ruleset, &wanted, arguments.json).await,
    }
}

async fn ruleset(settings: &Settings) -> Result<Ruleset, Fault> {
    let control = app::control_pool(settings).await?;
    let ruleset = app::ruleset(settings, &control).await;
    control.close().await;
    ruleset
}

fn plan(wanted: &[CreateTable], as_json: bool) {
    let requests: Vec<Value> = wanted.iter().map(CreateTable::to_json).collect();
    if as_json {
        return output::json(&json!({ "tables": requests }));
    }
    for request in &requests {
        output::json(request);
    }
}

async fn create(settings: &Settings, wanted: &[CreateTable], as_json: bool) -> Result<Exit, Fault> {
    let store = app::store(settings, &Arc::new(Metrics::new())).await?;
    let created = create_each(&store, wanted, as_json).await;
    store.close().await;
    created
}

async fn create_each(store: &Store, wanted: &[CreateTable], as_json: bool) -> Result<Exit, Fault> {
    let (mut report, mut differs) = (Vec::new(), false);
    for table in wanted {
        let existed = store.describe(&table.table.name).await?.is_some();
        let existing = store.create(table).await?;
        let differences = difference(&table.table, &existing);
        differs |= !differences.is_empty();
        let outcome = if existed { "exists" } else { "created" };
        if !as_json {
            output::line(format!("{}: {outcome}", table.name));
            differences.iter().for_each(|found| output::line(format!("  differs: {found}")));
        }
        report.push(json!({
            "table": table.name, "outcome": outcome, "differences": differences,
        }));
    }
    if as_json {
        output::json(&json!({ "tables": report }));
    }
    Ok(if differs { Exit::Differences } else { Exit::Done })
}

async fn diff(
    settings: &Settings,
    ruleset: &Ruleset,
    wanted: &[CreateTable],
    as_json: bool,
) -> Result<Exit, Fault> {
    let store = app::store(settings, &Arc::new(Metrics::new())).await?;
    let compared = compare_each(&store, ruleset, wanted, as_json).await;
    store.close().await;
    compared
}

async fn compare_each(
    store: &Store,
    ruleset: &Ruleset,
    wanted: &[CreateTable],
    as_json: bool,
) -> Result<Exit, Fault> {
    let (mut report, mut differs) = (Vec::new(), false);
    for (table, create) in ruleset.tables.iter().zip(wanted) {
        let existing = store.describe(&table.name).await?;
        let (differences, note) = match &existing {
            None => (vec!["missing".to_owned()], None),
            Some(existing) => (difference(table, existing), billing_note(create.billing, existing)),
        };
        differs |= !differences.is_empty();
        if !as_json {
            let verdict = if differences.is_empty() { "as wanted" } else { "differs" };
            output::line(format!("{}: {verdict}", create.name));
            differences.iter().for_each(|found| output::line(format!("  {found}")));
            note.iter().for_each(|note| output::line(format!("  note: {note}")));
        }
        report.push(json!({ "table": create.name, "differences": differences, "note": note }));
    }
    if as_json {
        output::json(&json!({ "tables": report }));
    }
    Ok(if differs { Exit::Differences } else { Exit::Done })
}
