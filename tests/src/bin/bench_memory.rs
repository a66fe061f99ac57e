//! `bench_memory`: what idle clients cost Segue in memory, and how far a large result fills it up when
//! its reader is slow. Exits with 1 where a bar is missed.
//! Never here: what statements cost (see `bench_relay`).

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder, SslOpts};
use segue_tests::harness::{Database, Kind, SegueConfig, SegueProcess, Server};
use segue_tests::recorder::{Recorder, Step, capability};
use tokio::time::{Instant, sleep};

const SCHEMA: &str = "CREATE TABLE notes (id BIGINT UNSIGNED NOT NULL PRIMARY KEY, \
                      body VARCHAR(200) NOT NULL)";
const CONTRACT: &str = r##"{"tables":[{"table":"Notes","type":"single-entity","source_table":"notes",
  "pk":"Id","sk":"Kind","gsis":[],"attributes":[
  {"name":"Id","type":"S","source_table":"notes","source_column":"id"},
  {"name":"Kind","type":"S","source_table":"notes","source_column":"id",
   "transformation":{"type":"string-format","format":"#NOTE"}},
  {"name":"body","type":"S","source_table":"notes","source_column":"body"}],
  "satisfies":["a note"],"estimated_item_size_bytes":200}]}"##;

/// What each client does before it falls idle: a small answer, one larger than a read, a write.
const STATEMENTS: [&str; 3] =
    ["SELECT 1", "SELECT REPEAT('x', 100000)", "UPDATE notes SET body = 'b' WHERE id = 0"];
/// Clients before the base is taken: threads, plans and pools are there then.
const WARM_UP: usize = 200;
/// Between the last statement and the look at the memory.
const SETTLE: Duration = Duration::from_secs(2);
/// The large result: rows of a thousand bytes.
const LARGE: &str = "SELECT REPEAT('x', 1000) FROM information_schema.columns a, \
                     information_schema.columns b LIMIT 1000000";
const LARGE_BYTES: usize = 1_000_000_000;
/// The slow reader's first silence, and then the pace.
const SILENCE: Duration = Duration::from_secs(3);
const PACE_BYTES_A_SECOND: usize = 64 << 20;
const READ_BYTES: usize = 256 << 10;

/// Most KiB of an idle client above the base.
const BAR_CLIENT_KIB: f64 = 40.0;
/// Most MiB of the process while the large result passes.
const BAR_RESULT_MIB: f64 = 64.0;

#[derive(Parser)]
struct Arguments {
    /// Idle clients
    #[arg(long, default_value_t = 5000)]
    clients: usize,
}

/// A client that only stays.
enum Client {
    Plain { _held: Recorder },
    Tls { _held: Conn },
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let connections = format!("--max-connections={}", arguments.clients + 100);
    let options = [connections.as_str(), "--open-files-limit=65535"];
    let server = Server::start_with(Kind::Mysql97, &options).await?;
    let database = server.database("memory", SCHEMA).await?;
    println!("{} idle clients; KiB of resident memory", arguments.clients);
    println!("{:<34} {:>9} {:>9} {:>12}", "", "base", "with all", "each client");
    let mut well = true;
    for (phase, tls) in
        [("mysql-only", false), ("dual-write", false), ("mysql-only", true), ("dual-write", true)]
    {
        let segue = start(&server, &database, phase, arguments.clients).await?;
        drop(open(&segue, &database, tls, WARM_UP).await?);
        sleep(SETTLE).await;
        let base = segue.memory_kib("VmRSS")?;
        let clients = open(&segue, &database, tls, arguments.clients).await?;
        sleep(SETTLE).await;
        let all = segue.memory_kib("VmRSS")?;
        let each = (all - base) / arguments.clients as f64;
        let name = format!("{phase}{}", if tls { ", TLS on both legs" } else { "" });
        println!("{name:<34} {base:>9.0} {all:>9.0} {each:>12.1}");
        well &= tls || each <= BAR_CLIENT_KIB;
        drop(clients);
        segue.kill_hard().await?;
    }
    for phase in ["mysql-only", "dual-write"] {
        let segue = start(&server, &database, phase, arguments.clients).await?;
        let begin = Instant::now();
        slow_reader(&segue, &database).await?;
        let (took, peak) = (begin.elapsed().as_secs_f64(), segue.memory_kib("VmHWM")? / 1024.0);
        println!("1 GB through a slow reader, {phase}: {took:.0} s, peak {peak:.1} MiB");
        well &= peak < BAR_RESULT_MIB;
        segue.kill_hard().await?;
    }
    println!("bars: {BAR_CLIENT_KIB} KiB a plain client, {BAR_RESULT_MIB} MiB");
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn start(
    server: &Server,
    database: &Database,
    phase: &str,
    clients: usize,
) -> Result<SegueProcess> {
    let mut config = SegueConfig::new(server, database, CONTRACT).with_phase(phase);
    let most = ("SEGUE_LISTEN_MAX_CONNECTIONS".to_owned(), (clients + 100).to_string());
    config.environment.push(most);
    SegueProcess::start(&config).await
}

async fn open(
    segue: &SegueProcess,
    database: &Database,
    tls: bool,
    count: usize,
) -> Result<Vec<Client>> {
    let mut clients = Vec::with_capacity(count);
    for number in 0..count {
        let client =
            if tls { encrypted(segue, database).await } else { plain(segue, database).await };
        clients.push(client.with_context(|| format!("client {number}"))?);
    }
    Ok(clients)
}

async fn plain(segue: &SegueProcess, database: &Database) -> Result<Client> {
    let address = format!("127.0.0.1:{}", segue.mysql_port());
    let wanted = capability::DEPRECATE_EOF;
    let mut held = Recorder::connect(&address, "root", &database.name, wanted).await?;
    for sql in STATEMENTS {
        held.run(&Step::query(sql)).await?;
    }
    Ok(Client::Plain { _held: held })
}

async fn encrypted(segue: &SegueProcess, database: &Database) -> Result<Client> {
    let any = SslOpts::default()
        .with_danger_accept_invalid_certs(true)
        .with_danger_skip_domain_validation(true);
    let opts = OptsBuilder::default()
        .ip_or_hostname("127.0.0.1")
        .tcp_port(segue.mysql_port())
        .user(Some("root"))
        .db_name(Some(&database.name))
        .prefer_socket(false)
        .ssl_opts(any);
    let mut held = Conn::new(opts).await?;
    for sql in STATEMENTS {
        held.query_drop(sql).await?;
    }
    Ok(Client::Tls { _held: held })
}

async fn slow_reader(segue: &SegueProcess, database: &Database) -> Result<()> {
    let address = format!("127.0.0.1:{}", segue.mysql_port());
    let wanted = capability::DEPRECATE_EOF;
    let mut reader = Recorder::connect(&address, "root", &database.name, wanted).await?;
    reader.send(&Step::query(LARGE)).await?;
    sleep(SILENCE).await;
    let (begin, mut count) = (Instant::now(), 0);
    while count < LARGE_BYTES {
        let bytes = reader.read_some(READ_BYTES).await?;
        anyhow::ensure!(!bytes.is_empty(), "the result ends after {count} bytes");
        count += bytes.len();
        let due = Duration::from_secs_f64(count as f64 / PACE_BYTES_A_SECOND as f64);
        sleep(due.saturating_sub(begin.elapsed())).await;
    }
    Ok(())
}
