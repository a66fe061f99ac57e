//! What a failed round leaves: a folder to read.
//! Never here: judging the round.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::perform::Timeline;
use super::plan::Planned;
use super::stage::ChaosStage;
use super::summary::RoundReport;
use crate::workload::Record;

/// How long each sidecar's log is now.
pub fn log_lengths(stage: &ChaosStage) -> Vec<usize> {
    stage.sidecars.iter().map(|sidecar| sidecar.segue.log().len()).collect()
}

/// Writes problems, faults, statements and the round's part of each log; returns the folder.
pub fn write(
    stage: &ChaosStage,
    report: &RoundReport,
    planned: &[Planned],
    timeline: &Timeline,
    record: &Record,
    logs: &[usize],
) -> Result<PathBuf> {
    let kind = stage.server.kind().slug();
    let name = format!("{kind}-seed-{}", report.seed);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/chaos").join(name);
    fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).with_context(|| format!("write {}", path.display()))
    };
    let mut text = format!("{report}\n\nplanned:\n");
    for planned in planned {
        let _ = writeln!(text, "{:9.4} {}", planned.at.as_secs_f64(), planned.fault);
    }
    let _ = write!(
        text,
        "\nagain: cargo xtask chaos --rounds 1 --server {kind} --seed {}\n",
        report.seed
    );
    write("problems.txt", &text)?;
    write("faults.txt", &timeline.text())?;
    write("statements.txt", &record.text())?;
    for (number, (sidecar, from)) in stage.sidecars.iter().zip(logs).enumerate() {
        let log = sidecar.segue.log();
        write(&format!("sidecar-{number}.log"), log.get(*from..).unwrap_or(&log))?;
    }
    folder.canonicalize().context("resolve the trace's folder")
}
