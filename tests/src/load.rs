//! A steady load of small writes for benches: a table of notes, clients at a fixed pace, latencies.
//! Never here: what is measured meanwhile, or what it means.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts};
use parking_lot::Mutex;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};

use crate::harness::{Database, Engine, Kind, SegueConfig, SegueProcess, Server};

const SCHEMA: &str = "CREATE TABLE notes (id BIGINT UNSIGNED NOT NULL PRIMARY KEY, \
                          body VARCHAR(200) NOT NULL, changed INT UNSIGNED NOT NULL DEFAULT 0)";
const CONTRACT: &str = r##"[{"table":"Notes","type":"Table","source_table":"notes","pk":"Id",
  "attributes":{
    "Id":{"type":"N","source_table":"notes","source_column":"id"},
    "body":{"type":"S","source_table":"notes","source_column":"body"},
    "changed":{"type":"N","source_table":"notes","source_column":"changed"}},
  "satisfies":["a note"],"estimated_item_size_bytes":200}]"##;
pub const BODY: &str = "a note";

/// Before figures count: plans, connections and caches settle.
const WARM_UP: Duration = Duration::from_secs(5);

/// A load: so many writes a second at random rows, by so many clients.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    pub rate: u64,
    pub rows: u64,
    pub clients: u64,
}

/// What the clients have seen since it was taken last.
#[derive(Default)]
pub struct Seen {
    latencies_us: Mutex<Vec<u64>>,
    pub errors: AtomicUsize,
    pub writes: AtomicU64,
    stop: AtomicBool,
}

impl Seen {
    /// The clients end after their next write.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Latencies of one stretch of the run, sorted, in microseconds.
pub struct Stretch(Vec<u64>);

impl Stretch {
    pub fn of(mut latencies_us: Vec<u64>) -> Stretch {
        latencies_us.sort_unstable();
        Stretch(latencies_us)
    }

    /// The writes since the last call.
    pub fn taken_from(seen: &Seen) -> Stretch {
        Stretch::of(std::mem::take(&mut *seen.latencies_us.lock()))
    }

    pub fn percentile(&self, part: f64) -> u64 {
        let at = (self.0.len().saturating_sub(1) as f64 * part).round() as usize;
        self.0.get(at).copied().unwrap_or(0)
    }

    pub fn show(&self, name: &str) {
        let (p50, p99) = (self.percentile(0.5), self.percentile(0.99));
        println!("{name:<22} {:>9} writes, p50 {p50:>6} us, p99 {p99:>6} us", self.0.len());
    }
}

/// MySQL with the filled table, an engine, and a sidecar in `dual-write` between them.
pub struct Stand {
    pub segue: SegueProcess,
    pub engine: Engine,
    pub database: Database,
    /// Ends last.
    _server: Server,
}

impl Stand {
    /// `name`: of the database.
    pub async fn set(name: &str, rows: u64) -> Result<Stand> {
        let server = Server::start_with(Kind::Mysql97, &[]).await?;
        let database = server.database(name, SCHEMA).await?;
        fill(&database, rows).await?;
        let engine = Engine::start().await?;
        let config = SegueConfig::new(&server, &database, CONTRACT)
            .with_engine(&engine)
            .with_phase("dual-write");
        let segue = SegueProcess::start(&config).await?;
        Ok(Stand { segue, engine, database, _server: server })
    }
}

async fn fill(database: &Database, rows: u64) -> Result<()> {
    let mut root = Conn::new(Opts::from_url(&database.url)?).await?;
    for first in (1..=rows).step_by(1000) {
        let ids = first..=rows.min(first + 999);
        let values: Vec<String> = ids.map(|id| format!("({id}, '{BODY}', 0)")).collect();
        root.query_drop(format!("INSERT INTO notes VALUES {}", values.join(","))).await?;
    }
    root.disconnect().await.context("disconnect")
}

/// Starts the clients, their writes evenly apart, and waits until figures count.
pub async fn start(load: Load, stand: &Stand, seen: &Arc<Seen>) -> Result<Vec<JoinHandle<()>>> {
    let mut clients = vec![];
    let pause = Duration::from_secs_f64(load.clients as f64 / load.rate as f64);
    for number in 0..load.clients {
        let connection = Conn::new(Opts::from_url(&stand.segue.url(&stand.database))?).await?;
        let offset = pause.mul_f64(number as f64 / load.clients as f64);
        clients.push(tokio::spawn(client(connection, load.rows, pause, offset, seen.clone())));
    }
    sleep(WARM_UP).await;
    drop(Stretch::taken_from(seen));
    Ok(clients)
}

/// Writes at a fixed pace: a write late by the one before it starts at once, and its wait counts.
async fn client(
    mut connection: Conn,
    rows: u64,
    pause: Duration,
    offset: Duration,
    seen: Arc<Seen>,
) {
    let mut due = Instant::now() + offset;
    while !seen.stop.load(Ordering::Relaxed) {
        sleep_until(due).await;
        let id = rand::random_range(1..=rows);
        let update = "UPDATE notes SET changed = changed + 1 WHERE id = ?";
        if connection.exec_drop(update, (id,)).await.is_err() {
            seen.errors.fetch_add(1, Ordering::Relaxed);
        }
        seen.writes.fetch_add(1, Ordering::Relaxed);
        seen.latencies_us.lock().push(due.elapsed().as_micros() as u64);
        due += pause;
    }
}
