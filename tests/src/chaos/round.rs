//! One round: clients and faults at the same time, then peace, then the reckoning.
//! Never here: the run of many rounds.

use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::time::timeout;

use super::Options;
use super::perform::{Timeline, futures, perform};
use super::plan::{Planned, plan};
use super::stage::ChaosStage;
use super::summary::RoundReport;
use super::trace;
use crate::workload::{self, Forms, LostConnection, Plan, Record, Report};

/// Beyond this, clients hang: every fault is over after a few seconds.
const CLIENTS_LIMIT: Duration = Duration::from_secs(120);

/// Errors that MySQL gives for what is done to it: a statement interrupted by KILL, read-only, a table that was
/// rebuilt under a snapshot.
const MYSQL_ERRORS: &[u16] = &[1223, 1290, 1317, 1412, 1836];

/// Plays a round. Everything that is wrong afterwards is in the report; an error is a fault of the test.
pub async fn play(stage: &ChaosStage, options: &Options, seed: u64) -> Result<RoundReport> {
    let began = Instant::now();
    let planned = plan(seed, options.load);
    let timeline = Timeline::new(began);
    let record = Record::new(began);
    let logs = trace::log_lengths(stage);
    let loads = (0..stage.sidecars.len()).map(|sidecar| {
        let plan = load(stage, options, seed, sidecar, &record);
        timeout(CLIENTS_LIMIT, workload::run(plan))
    });
    let faults = planned.iter().map(|planned| perform(stage, planned, &timeline));
    let (loads, faults) = tokio::join!(futures(loads), futures(faults));
    for fault in faults {
        fault?;
    }
    timeline.note("every fault is over");
    let mut report = RoundReport::new(seed, &planned);
    report.problems = timeline.problems();
    for (sidecar, load) in loads.into_iter().enumerate() {
        match load {
            Ok(load) => judge_clients(load?, sidecar, &planned, &mut report),
            Err(_) => report.problems.push(format!("clients of sidecar {sidecar} hang")),
        }
    }
    for (number, sidecar) in stage.sidecars.iter().enumerate() {
        if !sidecar.segue.is_alive() {
            report.problems.push(format!("sidecar {number} ended by itself"));
            sidecar.start().await?;
        }
    }
    report.load_time = began.elapsed();
    reckon(stage, &mut report).await;
    report.time = began.elapsed();
    timeline.note("the round is over");
    if !report.problems.is_empty() {
        let folder = trace::write(stage, &report, &planned, &timeline, &record, &logs)?;
        report.trace = Some(folder);
    }
    Ok(report)
}

/// What the clients of one sidecar do.
fn load(stage: &ChaosStage, options: &Options, seed: u64, sidecar: usize, record: &Record) -> Plan {
    // Rounds and sidecars have seeds of their own.
    let stream = seed.wrapping_mul(stage.sidecars.len() as u64).wrapping_add(sidecar as u64);
    let mut plan = Plan::new(stream, &stage.url(sidecar));
    plan.clients = options.clients;
    plan.transactions = usize::MAX;
    plan.time_max = Some(options.load);
    plan.lost_connection = LostConnection::Reconnect;
    plan.more_errors = MYSQL_ERRORS;
    plan.record = Some(record.of(sidecar));
    plan.quiet = true;
    // Sweeps mend what other statements lost: most rounds do without.
    plan.forms = if seed.is_multiple_of(4) { Forms::All } else { Forms::Followed };
    plan
}

/// No connection is lost and no error given but by what was done to MySQL or to the sidecar itself.
fn judge_clients(load: Report, sidecar: usize, planned: &[Planned], report: &mut RoundReport) {
    let may_lose = planned.iter().any(|planned| planned.fault.breaks_connections_of(sidecar));
    if load.lost_connections > 0 && !may_lose {
        let lost = load.lost_connections;
        report.problems.push(format!("clients of sidecar {sidecar} lost {lost} connection(s)"));
    }
    for failure in &load.failures {
        report.problems.push(format!("a client of sidecar {sidecar}: {failure}"));
    }
    report.load.merge(load);
}

/// Everything settles; then nothing differs, nothing is extra, nothing is missing, the books are exact.
async fn reckon(stage: &ChaosStage, report: &mut RoundReport) {
    if let Err(error) = stage.settle().await {
        report.problems.push(format!("{error:#}"));
    }
    if let Err(error) = stage.books().await {
        report.problems.push(format!("{error:#}"));
    }
    match stage.differences().await {
        Ok(differences) => {
            report.differences = differences.mismatches.len() as u64;
            if let Err(error) = differences.check() {
                report.problems.push(format!("{error:#}"));
            }
        }
        Err(error) => report.problems.push(format!("the comparison failed: {error:#}")),
    }
}
