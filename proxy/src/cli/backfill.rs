//! `segue backfill`: copies the rows that were there before the first mirrored write.
//! Never here: copying (`movement`).

use std::time::Duration;

use segue_config::Settings;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::admin::{Admin, Answer};
use super::signals::Signals;
use super::{Common, Exit, output, progress};
use crate::app::{Fault, Mover, Stores};
use crate::movement::{Backfill, BackfillOptions, BackfillReport, Checkpoint, Copied};

/// Between two looks at whether older transactions have ended.
const OLDER_WORK_LOOK: Duration = Duration::from_millis(500);
/// Parked rows that are printed; the others are in the JSON report.
const PARKED_PRINTED_MAX: usize = 20;

#[derive(clap::Args, Debug)]
pub(super) struct Arguments {
    #[command(flatten)]
    common: Common,
    /// MySQL tables whose rows are copied; without any, all that are mirrored
    #[arg(value_name = "TABLE")]
    tables: Vec<String>,
    /// Most rows read a second
    #[arg(long, value_name = "ROWS", value_parser = clap::value_parser!(u32).range(1..))]
    rows_per_second: Option<u32>,
    /// Most write capacity units of DynamoDB a second, indexes not counted
    #[arg(long, value_name = "UNITS", value_parser = clap::value_parser!(u32).range(1..))]
    write_units: Option<u32>,
    /// Begin nothing new while MySQL works on more statements than these
    #[arg(long, value_name = "STATEMENTS", value_parser = clap::value_parser!(u32).range(1..))]
    threads_running: Option<u32>,
    /// Begin anew, even if an earlier backfill was interrupted
    #[arg(long)]
    restart: bool,
    /// Report as JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(arguments: &Arguments) -> Result<Exit, Fault> {
    let settings = arguments.common.settings()?;
    let stores = Stores::connect(&settings).await?;
    let copied = match older_work_ends(&settings).await {
        Ok(true) => copy(arguments, &settings, &stores).await,
        Ok(false) => Ok(None),
        Err(fault) => Err(fault),
    };
    stores.close().await;
    let Some(report) = copied? else {
        eprintln!("interrupted; the same command goes on, --restart begins anew");
        return Ok(Exit::Interrupted);
    };
    match arguments.json {
        true => output::json(&as_json(&report)),
        false => print(&report),
    }
    Ok(if report.total().parked == 0 { Exit::Done } else { Exit::Differences })
}

/// Waits until the sidecar has no transaction left that began before its last change of phases: what such a
/// one writes is not mirrored, and a row that is read before its commit would stay old. `false`: interrupted.
async fn older_work_ends(settings: &Settings) -> Result<bool, Fault> {
    let (admin, mut signals) = (Admin::new(settings)?, Signals::new()?);
    let mut told = false;
    loop {
        let older = match admin.ask("GET", "/api/phases", None).await? {
            Answer::Answered(phases) => phases["older_work"].as_u64().unwrap_or_default(),
            Answer::NotRunning => {
                eprintln!(
                    "no sidecar answers at {}: wherever one runs, `segue phase show` must list the phases \
                     meant, and no older work, before rows are copied",
                    settings.listen.admin
                );
                return Ok(true);
            }
        };
        if older == 0 {
            return Ok(true);
        }
        if !told {
            eprintln!("waits for {older} transactions that began before the last change of phases");
            told = true;
        }
        tokio::select! {
            () = tokio::time::sleep(OLDER_WORK_LOOK) => {}
            () = signals.next() => return Ok(false),
        }
    }
}

/// `None`: interrupted.
async fn copy(
    arguments: &Arguments,
    settings: &Settings,
    stores: &Stores,
) -> Result<Option<BackfillReport>, Fault> {
    let options = BackfillOptions {
        tables: stores.copied_tables(&arguments.tables)?,
        rows_per_second: arguments.rows_per_second.map(f64::from),
        write_units_per_second: arguments.write_units.map(f64::from),
        threads_running_max: arguments.threads_running.map(u64::from),
        late_write: settings.late_write,
    };
    let checkpoint = || Checkpoint::new(&settings.movement_path, "backfill");
    let mover = stores.mover(settings, &options.tables).await?;
    if arguments.restart {
        checkpoint().remove()?;
    }
    let ended = work(stores, &mover, options, checkpoint()).await;
    mover.close().await;
    ended
}

async fn work(
    stores: &Stores,
    mover: &Mover,
    options: BackfillOptions,
    checkpoint: Checkpoint,
) -> Result<Option<BackfillReport>, Fault> {
    let stop = CancellationToken::new();
    let (mirror, metrics) = (mover.mirror.clone(), stores.metrics.clone());
    let backfill = match Backfill::new(mirror, metrics, options, checkpoint, stop.clone()) {
        Ok(backfill) => backfill,
        Err(error) => return progress::not_begun(error),
    };
    let progress = backfill.progress();
    progress::finished(&progress, &stop, backfill.run()).await
}

fn as_json(report: &BackfillReport) -> Value {
    let total = report.total();
    let mut value = serde_json::to_value(report).unwrap_or_default();
    value["total"] = json!(total);
    value["rows_per_second"] = json!(rate(report));
    value
}

fn rate(report: &BackfillReport) -> f64 {
    report.total().rows as f64 / report.seconds.max(f64::MIN_POSITIVE)
}

fn print(report: &BackfillReport) {
    let titles = ["ENTITY", "ROWS", "WRITTEN", "EQUAL", "DELETED", "PARKED"];
    let mut rows = vec![titles.map(str::to_owned).to_vec()];
    rows.extend(report.entities.iter().map(|(name, copied)| row(name, copied)));
    let total = report.total();
    rows.push(row("total", &total));
    output::table(&rows);
    output::line("");
    for parked in report.parked.iter().take(PARKED_PRINTED_MAX) {
        output::line(format!("parked {}: {}", parked.entity, parked.reason));
    }
    let more = total.parked.saturating_sub(PARKED_PRINTED_MAX as u64);
    if more > 0 {
        output::line(format!("and {more} more parked rows (--json lists them with their keys)"));
    }
    output::line(format!(
        "{} rows in {:.1} s ({:.0} a second), {} write units at least; `segue verify` tells whether all is there",
        total.rows,
        report.seconds,
        rate(report),
        report.write_units
    ));
}

fn row(name: &str, copied: &Copied) -> Vec<String> {
    let counts = [copied.rows, copied.written, copied.equal, copied.deleted, copied.parked];
    std::iter::once(name.to_owned()).chain(counts.map(|count| count.to_string())).collect()
}
