//! `segue repair`: mends what a comparison found; without `--apply` it only shows what it would do.
//! Never here: comparing, mending (`movement`).

use std::path::{Path, PathBuf};
use std::time::Duration;

use segue_config::Settings;
use segue_config::limits::VERIFY_LOOKS_MAX;
use segue_rules::value::TableName;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::verify::{compare, print as print_differences, write_report};
use super::{Common, Exit, output, progress};
use crate::app::{Fault, Stores};
use crate::movement::{Checkpoint, Repair, RepairCounts, Verifier, VerifyOptions, VerifyReport};

#[derive(clap::Args, Debug)]
pub(super) struct Arguments {
    #[command(flatten)]
    common: Common,
    /// MySQL tables to compare first, where no report is given; without any, all that are mirrored
    #[arg(value_name = "TABLE", conflicts_with = "report")]
    tables: Vec<String>,
    /// Mend what this report of `segue verify` lists, and nothing else
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Do it. Without this nothing is changed
    #[arg(long)]
    apply: bool,
    /// Also delete items without readable bookkeeping that no row explains
    #[arg(long)]
    delete_foreign: bool,
    /// Most rows mended a second
    #[arg(long, value_name = "ROWS", value_parser = clap::value_parser!(u32).range(1..))]
    rows_per_second: Option<u32>,
    /// Seconds after which a difference is looked at again
    #[arg(long, value_name = "SECONDS", default_value = "2", value_parser = clap::value_parser!(u32).range(0..=3600))]
    settle: u32,
    /// Report as JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(arguments: &Arguments) -> Result<Exit, Fault> {
    let settings = arguments.common.settings()?;
    let stores = Stores::connect(&settings).await?;
    let repaired = repair(arguments, &settings, &stores).await;
    stores.close().await;
    repaired
}

async fn repair(
    arguments: &Arguments,
    settings: &Settings,
    stores: &Stores,
) -> Result<Exit, Fault> {
    let Some(found) = differences(arguments, settings, stores).await? else {
        eprintln!("interrupted; nothing was changed");
        return Ok(Exit::Interrupted);
    };
    let counts = RepairCounts::of(&found);
    if !arguments.apply {
        show_plan(arguments, &counts, &found);
        let clean = found.differences.is_empty();
        return Ok(if clean { Exit::Done } else { Exit::Differences });
    }
    let Some(left) = apply(arguments, settings, stores, &found).await? else {
        eprintln!("interrupted; what was mended stays mended, the same command does the rest");
        return Ok(Exit::Interrupted);
    };
    let path = settings.movement_path.join("repair-report.json");
    write_report(&path, &left)?;
    if arguments.json {
        output::json(&json!({ "repaired": counts, "left": left }));
    } else {
        show_counts("repaired", &counts, arguments.delete_foreign);
        print_differences(&left, &path);
    }
    Ok(if left.is_clean() { Exit::Done } else { Exit::Differences })
}

/// From the report, or by a comparison. `None`: interrupted.
async fn differences(
    arguments: &Arguments,
    settings: &Settings,
    stores: &Stores,
) -> Result<Option<VerifyReport>, Fault> {
    let Some(path) = &arguments.report else {
        let tables = stores.copied_tables(&arguments.tables)?;
        return compare(stores, settings, options(arguments, tables), true).await;
    };
    let report = read(path)?;
    if report.contract != stores.ruleset.fingerprint {
        return Err(Fault::configuration(
            "the report is of another contract or schema",
            path.display().to_string(),
            "run `segue verify` again",
        ));
    }
    let named: Vec<String> = report.tables.iter().map(ToString::to_string).collect();
    stores.copied_tables(&named)?;
    Ok(Some(report))
}

fn options(arguments: &Arguments, tables: Vec<TableName>) -> VerifyOptions {
    VerifyOptions {
        tables,
        sample: 1.0,
        rows_per_second: arguments.rows_per_second.map(f64::from),
        settle: Duration::from_secs(arguments.settle.into()),
        looks_max: VERIFY_LOOKS_MAX,
        show_values: false,
    }
}

fn read(path: &Path) -> Result<VerifyReport, Fault> {
    let place = || path.display().to_string();
    let text = std::fs::read(path)
        .map_err(|error| Fault::configuration(error.to_string(), place(), "name a report"))?;
    serde_json::from_slice(&text).map_err(|error| {
        let what = format!("this is no report of `segue verify`: {error}");
        Fault::configuration(what, place(), "run `segue verify` again")
    })
}

/// `None`: interrupted.
async fn apply(
    arguments: &Arguments,
    settings: &Settings,
    stores: &Stores,
    found: &VerifyReport,
) -> Result<Option<VerifyReport>, Fault> {
    let mover = stores.mover(settings, &found.tables).await?;
    let repair = Repair {
        mirror: mover.mirror.clone(),
        rows_per_second: arguments.rows_per_second.map(f64::from),
        delete_foreign: arguments.delete_foreign,
        progress: Default::default(),
        stop: CancellationToken::new(),
    };
    let ended = progress::shown(&repair.progress, &repair.stop, repair.run(found)).await?;
    mover.close().await;
    match ended.transpose()? {
        Some(true) => look_again(arguments, settings, stores, found).await,
        Some(false) | None => Ok(None),
    }
}

/// Whether what was found is mended. `None`: interrupted.
async fn look_again(
    arguments: &Arguments,
    settings: &Settings,
    stores: &Stores,
    found: &VerifyReport,
) -> Result<Option<VerifyReport>, Fault> {
    let stop = CancellationToken::new();
    let checkpoint = Checkpoint::new(&settings.movement_path, "repair");
    let options = options(arguments, found.tables.clone());
    let (survey, ruleset) = (stores.survey(), stores.ruleset.clone());
    let verifier = match Verifier::new(survey, ruleset, options, checkpoint, stop.clone()) {
        Ok(verifier) => verifier,
        Err(error) => return progress::not_begun(error),
    };
    let progress = verifier.progress();
    progress::finished(&progress, &stop, verifier.run_again(found)).await
}

fn show_plan(arguments: &Arguments, counts: &RepairCounts, found: &VerifyReport) {
    if arguments.json {
        return output::json(&json!({ "would_repair": counts, "found": found.total }));
    }
    show_counts("would repair", counts, arguments.delete_foreign);
    if found.differences_left_out > 0 {
        let more = found.differences_left_out;
        output::line(format!("{more} more differences are not listed: repair again afterwards"));
    }
    match found.differences.is_empty() {
        true => output::line("nothing to mend"),
        false => output::line("nothing was changed; --apply does it"),
    }
}

fn show_counts(what: &str, counts: &RepairCounts, delete_foreign: bool) {
    let RepairCounts { add, update, delete, foreign, parked } = counts;
    output::line(format!("{what}: {add} items added, {update} replaced, {delete} deleted"));
    if *foreign > 0 {
        let fate = if delete_foreign { "deleted" } else { "left (--delete-foreign deletes them)" };
        output::line(format!("{foreign} items without readable bookkeeping are {fate}"));
    }
    if *parked > 0 {
        output::line(format!("{parked} rows have items that cannot be written as things stand"));
    }
}
