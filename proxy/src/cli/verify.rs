//! `segue verify`: whether both stores hold the same.
//! Never here: comparing (`movement`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use segue_config::Settings;
use segue_config::limits::VERIFY_LOOKS_MAX;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{Common, Exit, output, progress};
use crate::app::{Fault, Stores};
use crate::movement::{Checkpoint, Class, Tally, Verifier, VerifyOptions, VerifyReport};

#[derive(clap::Args, Debug)]
pub(super) struct Arguments {
    #[command(flatten)]
    common: Common,
    /// MySQL tables whose rows and items are compared; without any, all that are mirrored
    #[arg(value_name = "TABLE")]
    tables: Vec<String>,
    /// Compare only this share of the keys, in percent
    #[arg(long, value_name = "PERCENT", default_value = "100", value_parser = percent)]
    sample: f64,
    /// Most rows compared a second
    #[arg(long, value_name = "ROWS", value_parser = clap::value_parser!(u32).range(1..))]
    rows_per_second: Option<u32>,
    /// Seconds after which a difference is looked at again; longer where more is on its way
    #[arg(long, value_name = "SECONDS", default_value = "2", value_parser = clap::value_parser!(u32).range(0..=3600))]
    settle: u32,
    /// Begin anew, even if an earlier comparison was interrupted
    #[arg(long)]
    restart: bool,
    /// Where the report goes, for people and for `segue repair`; it holds keys of rows
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Put the attributes' values into the report
    #[arg(long)]
    show_values: bool,
    /// Report as JSON
    #[arg(long)]
    json: bool,
}

fn percent(text: &str) -> Result<f64, String> {
    let percent: f64 = text.trim_end_matches('%').parse().map_err(|_| "not a number".to_owned())?;
    match percent > 0.0 && percent <= 100.0 {
        true => Ok(percent),
        false => Err("more than 0, at most 100".to_owned()),
    }
}

pub(super) async fn run(arguments: &Arguments) -> Result<Exit, Fault> {
    let settings = arguments.common.settings()?;
    let stores = Stores::connect(&settings).await?;
    let verified = verify(arguments, &settings, &stores).await;
    stores.close().await;
    let Some(report) = verified? else {
        eprintln!("interrupted; the same command goes on, --restart begins anew");
        return Ok(Exit::Interrupted);
    };
    let path = report_path(arguments.report.as_deref(), &settings);
    write_report(&path, &report)?;
    match arguments.json {
        true => output::json(&json(&report)),
        false => print(&report, &path),
    }
    Ok(if report.is_clean() { Exit::Done } else { Exit::Differences })
}

/// `None`: interrupted.
async fn verify(
    arguments: &Arguments,
    settings: &Settings,
    stores: &Stores,
) -> Result<Option<VerifyReport>, Fault> {
    let options = VerifyOptions {
        tables: stores.driving_tables(&arguments.tables)?,
        sample: arguments.sample / 100.0,
        rows_per_second: arguments.rows_per_second.map(f64::from),
        settle: Duration::from_secs(arguments.settle.into()),
        looks_max: VERIFY_LOOKS_MAX,
        show_values: arguments.show_values,
    };
    compare(stores, settings, options, arguments.restart).await
}

/// One comparison, with its progress shown. `None`: interrupted.
pub(super) async fn compare(
    stores: &Stores,
    settings: &Settings,
    options: VerifyOptions,
    restart: bool,
) -> Result<Option<VerifyReport>, Fault> {
    let checkpoint = || Checkpoint::new(&settings.movement_path, "verify");
    if restart {
        checkpoint().remove()?;
    }
    let stop = CancellationToken::new();
    let (survey, ruleset) = (stores.survey(), stores.ruleset.clone());
    let verifier = match Verifier::new(survey, ruleset, options, checkpoint(), stop.clone()) {
        Ok(verifier) => verifier,
        Err(error) => return progress::not_begun(error),
    };
    let progress = verifier.progress();
    progress::finished(&progress, &stop, verifier.run()).await
}

fn report_path(asked: Option<&Path>, settings: &Settings) -> PathBuf {
    asked.map_or_else(|| settings.movement_path.join("verify-report.json"), Path::to_owned)
}

/// Reports hold texts, numbers and lists only.
fn json(report: &VerifyReport) -> Value {
    serde_json::to_value(report).unwrap_or_default()
}

/// For the owner of the process alone: keys of rows are data.
pub(super) fn write_report(path: &Path, report: &VerifyReport) -> Result<(), Fault> {
    use std::os::unix::fs::OpenOptionsExt;
    let fault = |error: std::io::Error| {
        Fault::configuration(
            format!("{}: {error}", path.display()),
            "--report",
            "name a file that can be written",
        )
    };
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(fault)?;
    }
    let mut options = std::fs::OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(path);
    let mut file = std::io::BufWriter::new(file.map_err(fault)?);
    serde_json::to_writer_pretty(&mut file, report).map_err(|error| fault(error.into()))?;
    std::io::Write::flush(&mut file).map_err(fault)
}

/// Counts by entity, what kinds of differences there are, and where they are listed.
pub(super) fn print(report: &VerifyReport, path: &Path) {
    let titles = [
        "ENTITY",
        "ROWS",
        "ITEMS",
        "EQUAL",
        "MISSING",
        "EXTRA",
        "DIFFERENT",
        "PARKED",
        "UNSETTLED",
        "IN FLIGHT",
        "EXPIRED",
        "NO ITEM",
    ];
    let mut rows = vec![titles.map(str::to_owned).to_vec()];
    rows.extend(report.entities.iter().map(|(name, tally)| row(name, tally)));
    rows.push(row("total", &report.total));
    output::table(&rows);
    output::line("");
    for (kind, count) in kinds(report) {
        output::line(format!("{count:>10}  {kind}"));
    }
    if report.foreign_unjudged > 0 {
        output::line(format!(
            "{} items without readable bookkeeping were not judged: not every table of their items was compared",
            report.foreign_unjudged
        ));
    }
    let sample = match report.sample < 1.0 {
        true => format!(" (a sample of {} %)", report.sample * 100.0),
        false => String::new(),
    };
    let verdict = match report.total.differences() {
        0 => "no difference".to_owned(),
        count => format!("{count} differences, listed in {}", path.display()),
    };
    output::line(format!(
        "{} rows and {} items compared in {:.1} s{sample}: {verdict}",
        report.total.rows, report.total.items, report.seconds
    ));
    if report.total.differences() > 0 {
        output::line("`segue repair` shows how they would be mended");
    }
}

fn row(name: &str, tally: &Tally) -> Vec<String> {
    let counts = [
        tally.rows,
        tally.items,
        tally.equal,
        tally.missing,
        tally.extra,
        tally.different,
        tally.parked,
        tally.unsettled,
        tally.in_flight,
        tally.expired,
        tally.without_item,
    ];
    std::iter::once(name.to_owned()).chain(counts.map(|count| count.to_string())).collect()
}

/// Differences of the same kind: class, entity, and attributes or reason. Values are not in it.
fn kinds(report: &VerifyReport) -> BTreeMap<String, usize> {
    let mut kinds = BTreeMap::new();
    for difference in &report.differences {
        let class = match difference.class {
            Class::Missing => "missing",
            Class::Extra => "extra",
            Class::Different => "different",
            Class::Unsettled => "unsettled",
            Class::Parked => "parked",
        };
        let entity = difference.entity.as_deref().unwrap_or("(nobody's)");
        let names: Vec<&str> = difference.attributes.iter().map(|a| a.name.as_str()).collect();
        let mut kind = format!("{class} {entity}");
        if !names.is_empty() {
            kind.push_str(&format!(": {}", names.join(", ")));
        }
        if let Some(reason) = &difference.reason {
            kind.push_str(&format!(": {reason}"));
        }
        *kinds.entry(kind).or_default() += 1;
    }
    kinds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_a_part_of_all() {
        assert_eq!(percent("5"), Ok(5.0));
        assert_eq!(percent("0.5%"), Ok(0.5));
        for wrong in ["0", "101", "-1", "x", "NaN"] {
            assert!(percent(wrong).is_err(), "{wrong}");
        }
    }
}
