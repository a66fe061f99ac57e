//! Breaks things, waits, and mends them. What one fault has in its hands another waits for.
//! Never here: which faults, or what follows from them.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row};
use parking_lot::Mutex;
use tokio::time::{sleep, timeout};

use super::fault::Fault;
use super::plan::Planned;
use super::stage::{ChaosStage, Sidecar};
use crate::harness::Break;

/// A statement of the one who disturbs: in a server that is away or locked by another it fails.
const STATEMENT_LIMIT: Duration = Duration::from_secs(5);

/// What happened when, for the trace; and processes that ended by themselves.
pub struct Timeline {
    began: Instant,
    lines: Mutex<Vec<String>>,
    problems: Mutex<Vec<String>>,
}

impl Timeline {
    pub fn new(began: Instant) -> Timeline {
        Timeline { began, lines: Mutex::default(), problems: Mutex::default() }
    }

    pub fn note(&self, text: impl AsRef<str>) {
        let at = self.began.elapsed().as_secs_f64();
        self.lines.lock().push(format!("{at:9.4} {}", text.as_ref()));
    }

    pub fn problem(&self, text: String) {
        self.note(&text);
        self.problems.lock().push(text);
    }

    pub fn text(&self) -> String {
        self.lines.lock().join("\n")
    }

    pub fn problems(&self) -> Vec<String> {
        self.problems.lock().clone()
    }
}

/// Waits for the fault's moment, and is done when all is mended.
pub async fn perform(stage: &ChaosStage, planned: &Planned, timeline: &Timeline) -> Result<()> {
    sleep(planned.at).await;
    timeline.note(format!("asks for: {}", planned.fault));
    let done = carry_out(stage, &planned.fault, timeline).await;
    done.with_context(|| format!("{}", planned.fault))?;
    timeline.note(format!("is over: {}", planned.fault.name()));
    Ok(())
}

async fn carry_out(stage: &ChaosStage, fault: &Fault, timeline: &Timeline) -> Result<()> {
    let sidecar = |number: &usize| &stage.sidecars[*number];
    match fault {
        Fault::Script { sidecar: number, rules, time } => {
            // A dead sidecar takes no script, and a new one has none.
            let _ = sidecar(number).segue.set_faults(rules).await;
            sleep(*time).await;
            let _ = sidecar(number).segue.set_faults("").await;
        }
        Fault::KillSidecar { sidecar: number, away } => {
            kill(sidecar(number), *number, *away, timeline).await?;
        }
        Fault::KillEverySidecar { away } => {
            let kills = stage.sidecars.iter().enumerate();
            let kills = kills.map(|(number, sidecar)| kill(sidecar, number, *away, timeline));
            for killed in futures(kills).await {
                killed?;
            }
        }
        Fault::PauseSidecar { sidecar: number, time } => {
            let _held = sidecar(number).hands.lock().await;
            sidecar(number).segue.pause().await?;
            sleep(*time).await;
            sidecar(number).segue.resume().await?;
        }
        Fault::FullDisk { sidecar: number, time } => {
            let _held = sidecar(number).hands.lock().await;
            sidecar(number).segue.limit_files(Some(0)).await?;
            sleep(*time).await;
            sidecar(number).segue.limit_files(None).await?;
        }
        Fault::KillEngine { away } => {
            let _held = stage.engine_hands.lock().await;
            stage.engine.kill_hard().await?;
            sleep(*away).await;
            stage.engine.restart().await?;
        }
        Fault::PauseEngine { time } => {
            let _held = stage.engine_hands.lock().await;
            stage.engine.pause().await?;
            sleep(*time).await;
            stage.engine.resume().await?;
        }
        Fault::CutWire { sidecar: number } => sidecar(number).wire.cut(Break::Both),
        Fault::HalfOpenWire { sidecar: number, time } => {
            sidecar(number).wire.cut(Break::HalfOpen(*time));
        }
        Fault::FreezeWire { sidecar: number, time } => {
            sidecar(number).wire.freeze();
            sleep(*time).await;
            sidecar(number).wire.thaw();
        }
        Fault::SlowWire { sidecar: number, delay, time } => {
            sidecar(number).wire.delay(*delay);
            sleep(*time).await;
            sidecar(number).wire.delay(Duration::ZERO);
        }
        Fault::SilentWire { sidecar: number, time } => {
            sidecar(number).wire.cut(Break::Silent);
            sleep(*time).await;
            sidecar(number).wire.cut(Break::Both);
        }
        Fault::KillMysql => {
            let _held = stage.server_hands.lock().await;
            stage.server.kill_hard().await?;
            stage.server.restart().await?;
        }
        Fault::RestartMysql => {
            let _held = stage.server_hands.lock().await;
            stage.server.stop().await?;
            stage.server.restart().await?;
        }
        of_mysql => {
            // A server that refuses is one fault less.
            if let Err(error) = disturb_mysql(stage, of_mysql).await {
                timeline.note(format!("not to be had: {error:#}"));
            }
        }
    }
    Ok(())
}

async fn disturb_mysql(stage: &ChaosStage, fault: &Fault) -> Result<()> {
    let _held = stage.server_hands.lock().await;
    match fault {
        Fault::KillSessions => kill_sessions(stage).await?,
        Fault::ReadOnly { time } => {
            let mut root = stage.server.connect().await?;
            say(&mut root, "SET GLOBAL read_only = 1").await;
            sleep(*time).await;
            say(&mut root, "SET GLOBAL read_only = 0").await;
        }
        Fault::SuperReadOnly { time } => {
            let mut root = stage.server.connect().await?;
            // It takes the other with it, in MySQL; MariaDB has none.
            say(&mut root, "SET GLOBAL super_read_only = 1").await;
            sleep(*time).await;
            say(&mut root, "SET GLOBAL super_read_only = 0").await;
            say(&mut root, "SET GLOBAL read_only = 0").await;
        }
        Fault::Deadlocks { time } => {
            let mut root = stage.server.connect().await?;
            lock_against_all_order(&mut root, &stage.database.name, *time).await;
        }
        Fault::RebuildTable { table } => {
            let mut root = stage.server.connect().await?;
            say(&mut root, "SET lock_wait_timeout = 2").await;
            say(&mut root, &format!("ALTER TABLE `{}`.{table} FORCE", stage.database.name)).await;
        }
        Fault::RowLocks { time } => {
            let mut root = stage.server.connect().await?;
            let database = &stage.database.name;
            say(&mut root, "SET innodb_lock_wait_timeout = 1").await;
            say(&mut root, "BEGIN").await;
            for table in ["region", "account", "product"] {
                let lock = format!("SELECT * FROM `{database}`.{table} LIMIT 20 FOR UPDATE");
                say(&mut root, &lock).await;
            }
            sleep(*time).await;
            say(&mut root, "ROLLBACK").await;
        }
        Fault::GlobalLock { time } => {
            let mut root = stage.server.connect().await?;
            say(&mut root, "SET lock_wait_timeout = 2").await;
            say(&mut root, "FLUSH TABLES WITH READ LOCK").await;
            sleep(*time).await;
            say(&mut root, "UNLOCK TABLES").await;
        }
        _ => {}
    }
    Ok(())
}

/// Many rows written, so that the others give way in a deadlock.
async fn lock_against_all_order(root: &mut Conn, database: &str, time: Duration) {
    let (began, rows) = (Instant::now(), ["('heavy')"; 200].join(", "));
    say(root, "SET innodb_lock_wait_timeout = 1").await;
    while began.elapsed() < time {
        say(root, "BEGIN").await;
        say(root, &format!("INSERT INTO `{database}`.unmapped (filler) VALUES {rows}")).await;
        for table in ["product", "account", "region"] {
            let sql =
                format!("SELECT * FROM `{database}`.{table} ORDER BY 1 DESC LIMIT 20 FOR UPDATE");
            say(root, &sql).await;
            sleep(Duration::from_millis(10)).await;
        }
        say(root, "ROLLBACK").await;
    }
}

/// A refusal is as good as an answer: then there is one fault less.
async fn say(root: &mut Conn, sql: &str) {
    let _ = timeout(STATEMENT_LIMIT, root.query_drop(sql)).await;
}

/// Half of the application's connections, through whichever sidecar.
async fn kill_sessions(stage: &ChaosStage) -> Result<()> {
    let mut root = stage.server.connect().await?;
    // `information_schema` fails on MySQL while a statement with bytes runs.
    let listed: Vec<Row> = root.query("SHOW PROCESSLIST").await?;
    let of_application = |row: &Row| row.get::<String, _>(1).is_some_and(|user| user == "app");
    let sessions: Vec<u64> =
        listed.iter().filter(|row| of_application(row)).filter_map(|row| row.get(0)).collect();
    for session in sessions.iter().step_by(2) {
        say(&mut root, &format!("KILL {session}")).await;
    }
    Ok(())
}

async fn kill(sidecar: &Sidecar, number: usize, away: Duration, timeline: &Timeline) -> Result<()> {
    let _held = sidecar.hands.lock().await;
    if !sidecar.segue.is_alive() {
        timeline.problem(format!("sidecar {number} had ended by itself"));
    }
    sidecar.segue.kill_hard().await?;
    timeline.note(format!("sidecar {number} is killed"));
    sleep(away).await;
    sidecar.start().await?;
    timeline.note(format!("sidecar {number} serves again"));
    Ok(())
}

/// All of them at once; their results in order.
pub async fn futures<T>(all: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut waiting: Vec<_> = all.map(Box::pin).collect();
    let mut done: Vec<Option<T>> = waiting.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (future, result) in waiting.iter_mut().zip(&mut done) {
            if result.is_none()
                && let std::task::Poll::Ready(value) = future.as_mut().poll(context)
            {
                *result = Some(value);
            }
        }
        match done.iter().all(Option::is_some) {
            true => std::task::Poll::Ready(()),
            false => std::task::Poll::Pending,
        }
    })
    .await;
    done.into_iter().flatten().collect()
}
