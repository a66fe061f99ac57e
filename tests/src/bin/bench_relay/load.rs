//! One run of sysbench against one peer: queries a second, and the peer's processor time for a query.
//! Never here: which runs there are.

use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use segue_tests::harness::Database;
use tokio::process::Command;

/// What sysbench fills and queries.
const TABLES: u32 = 4;
const ROWS: u32 = 50_000;
/// Errors that concurrent writers meet at times: duplicate key, lock wait, deadlock, changed row.
const EXPECTED_ERRORS: &str = "1062,1205,1213,1020";
/// The kernel counts processor time in these.
const TICK_MICROS: f64 = 10_000.0;
/// Everything else on the machine may use this much of one processor while a run is measured.
const OTHERS_CORES_MAX: f64 = 0.3;
/// How long a run waits for a quiet machine before it begins all the same.
const QUIET_WAIT: Duration = Duration::from_secs(20);

/// What sysbench does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workload {
    /// Prepared.
    PointSelect,
    /// The same as texts.
    PointSelectText,
    /// Transactions of 14 reads and 4 writes, prepared.
    ReadWrite,
}

/// What one run showed.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    pub queries_per_second: f64,
    /// Processor time of the peer for one query, in microseconds; 0 without a peer.
    pub cpu_micros: f64,
    /// The machine had other work meanwhile.
    pub disturbed: bool,
}

impl Workload {
    pub const ALL: [Workload; 3] =
        [Workload::PointSelect, Workload::PointSelectText, Workload::ReadWrite];

    pub fn name(self) -> &'static str {
        match self {
            Workload::PointSelect => "point select",
            Workload::PointSelectText => "point select, text",
            Workload::ReadWrite => "read-write",
        }
    }

    fn script(self) -> &'static str {
        match self {
            Workload::PointSelect | Workload::PointSelectText => "oltp_point_select",
            Workload::ReadWrite => "oltp_read_write",
        }
    }
}

fn sysbench(port: u16, database: &Database, workload: Workload) -> Command {
    let mut command = Command::new("sysbench");
    command.arg(workload.script()).args([
        "--db-driver=mysql",
        "--mysql-host=127.0.0.1",
        "--mysql-user=root",
        "--mysql-ssl=off",
    ]);
    command.arg(format!("--mysql-port={port}")).arg(format!("--mysql-db={}", database.name));
    let prepared = if workload == Workload::PointSelectText { "disable" } else { "auto" };
    command.arg(format!("--db-ps-mode={prepared}"));
    command.arg(format!("--tables={TABLES}")).arg(format!("--table-size={ROWS}"));
    command.arg(format!("--mysql-ignore-errors={EXPECTED_ERRORS}"));
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// Makes the tables.
pub async fn prepare(port: u16, database: &Database) -> Result<()> {
    let output = sysbench(port, database, Workload::PointSelect).arg("prepare").output().await;
    let output = output.context("run sysbench (Debian's package `sysbench`)")?;
    if !output.status.success() {
        bail!("sysbench prepare: {}", String::from_utf8_lossy(&output.stdout));
    }
    Ok(())
}

/// Runs the load for `seconds`.
pub async fn run(
    (port, pid): (u16, Option<u32>),
    server_pids: &[u32],
    database: &Database,
    (workload, clients): (Workload, u32),
    seconds: u64,
) -> Result<Figures> {
    wait_for_quiet().await?;
    let measured = |pids: &[u32]| pids.iter().map(|&pid| ticks_of(pid)).sum::<Result<f64>>();
    let (peer, servers) = (pid.into_iter().collect::<Vec<_>>(), server_pids);
    let before = (measured(&peer)?, measured(servers)?, busy_ticks()?, Instant::now());
    let mut command = sysbench(port, database, workload);
    command.arg(format!("--threads={clients}")).arg(format!("--time={seconds}")).arg("run");
    let load = command.stdout(Stdio::piped()).spawn().context("run sysbench")?;
    let load_pid = load.id().context("sysbench has a process id")?;
    let mut load_ticks = 0.0;
    let output = load.wait_with_output();
    tokio::pin!(output);
    let output = loop {
        tokio::select! {
            output = &mut output => break output.context("wait for sysbench")?,
            () = tokio::time::sleep(Duration::from_millis(100)) => {
                load_ticks = ticks_of(load_pid).unwrap_or(load_ticks);
            }
        }
    };
    let elapsed = before.3.elapsed().as_secs_f64();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let queries = queries(&text).with_context(|| format!("sysbench said:\n{text}"))?;
    let own = measured(&peer)? - before.0;
    let known = own + measured(servers)? - before.1 + load_ticks;
    let others = (busy_ticks()? - before.2 - known) * TICK_MICROS / 1e6 / elapsed;
    Ok(Figures {
        queries_per_second: queries / seconds as f64,
        cpu_micros: own * TICK_MICROS / queries,
        disturbed: others > OTHERS_CORES_MAX,
    })
}

/// The total in the line `queries:   12345  (678.90 per sec.)`.
fn queries(text: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.trim().strip_prefix("queries:"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// User and system time of a process, in ticks.
fn ticks_of(pid: u32) -> Result<f64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).context("read /proc")?;
    // The name in parentheses may hold spaces.
    let rest = text.rsplit(')').next().context("/proc has another format")?;
    let field = |i: usize| rest.split_whitespace().nth(i).and_then(|t| t.parse::<f64>().ok());
    Ok(field(11).context("utime")? + field(12).context("stime")?)
}

/// Ticks that the machine's processors were not idle.
fn busy_ticks() -> Result<f64> {
    let text = std::fs::read_to_string("/proc/stat").context("read /proc/stat")?;
    let line = text.lines().next().context("/proc/stat is empty")?;
    let fields: Vec<f64> =
        line.split_whitespace().skip(1).filter_map(|field| field.parse().ok()).collect();
    // user, nice, system; idle and iowait are left out; irq, softirq.
    Ok([0, 1, 2, 5, 6].iter().filter_map(|&i| fields.get(i)).sum())
}

async fn wait_for_quiet() -> Result<()> {
    let begin = Instant::now();
    let window = Duration::from_secs(1);
    while begin.elapsed() < QUIET_WAIT {
        let before = busy_ticks()?;
        tokio::time::sleep(window).await;
        if (busy_ticks()? - before) * TICK_MICROS / 1e6 < OTHERS_CORES_MAX {
            break;
        }
    }
    Ok(())
}
