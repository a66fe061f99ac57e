//! `drivers`: runs every driver's script directly and through Segue and compares what they print.
//! Never here: which drivers there are (see `list`), or what they do.

mod list;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use mysql_async::prelude::Queryable;
use segue_tests::harness::{Database, Kind, SegueConfig, SegueProcess, Server};
use segue_tests::shop;

use list::{Driver, Login};

const SCHEMA: &str = include_str!("../../../drivers/schema.sql");
const USER: &str = "driver";
const PASSWORD: &str = "Secret-7-of-drivers";
/// No script takes so long, on a busy machine either.
const RUN_LIMIT: Duration = Duration::from_secs(300);
/// A transcript with fewer lines means that the driver did not even log in (one line, and the exit code).
const LINES_MIN: usize = 4;
/// The table is of use only with so many drivers.
const DRIVERS_MIN: usize = 8;

#[derive(Parser)]
struct Arguments {
    /// Folder of what the set-up made
    prepared: PathBuf,
    /// Only drivers whose name contains this (may be given several times)
    #[arg(long)]
    only: Vec<String>,
    /// Only this server: mysql97 or mariadb
    #[arg(long)]
    server: Option<String>,
}

/// What came of one driver, server, phase and encryption.
struct Cell {
    driver: String,
    server: &'static str,
    phase: &'static str,
    tls: bool,
    outcome: Outcome,
}

enum Outcome {
    Same {
        lines: usize,
    },
    /// The driver cannot log in directly, and not through Segue either, with the same words.
    SameRefusal(String),
    Differs(String),
    Missing(String),
}

/// One server with the database of all runs.
struct Place {
    server: Server,
    database: Database,
    transcripts: PathBuf,
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("drivers").canonicalize()?;
    list::share_scripts(&scripts).context("share the scripts' files")?;
    let prepared = arguments.prepared.canonicalize().context("the folder of the set-up")?;
    let mut drivers = list::all(&scripts, &prepared);
    let all = arguments.only.is_empty();
    drivers.retain(|d| all || arguments.only.iter().any(|only| d.name.contains(only.as_str())));
    let mut cells = vec![];
    for kind in Kind::ALL {
        if arguments.server.as_ref().is_some_and(|only| only != kind.slug()) {
            continue;
        }
        let place = place(kind, &prepared).await?;
        for driver in &drivers {
            for tls in [false, true] {
                cells.extend(place.compare(driver, &scripts, &prepared, tls).await?);
            }
        }
    }
    Ok(report(&cells, all))
}

async fn place(kind: Kind, prepared: &Path) -> Result<Place> {
    let mut options = vec!["--max-allowed-packet=64M".to_owned()];
    if kind == Kind::MariaDb {
        // MySQL makes certificates for itself.
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()])?;
        let (certificate, key) = (prepared.join("certificate.pem"), prepared.join("key.pem"));
        std::fs::write(&certificate, made.cert.pem())?;
        std::fs::write(&key, made.signing_key.serialize_pem())?;
        options.push(format!("--ssl-cert={}", certificate.display()));
        options.push(format!("--ssl-key={}", key.display()));
    }
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let server = Server::start_with(kind, &options).await?;
    let database = server.database("drivers", "").await?;
    let mut root = server.connect().await?;
    root.query_drop("SET GLOBAL innodb_stats_auto_recalc = OFF").await?;
    root.query_drop(format!("CREATE USER '{USER}'@'%' IDENTIFIED BY '{PASSWORD}'")).await?;
    root.query_drop(format!("GRANT ALL ON *.* TO '{USER}'@'%'")).await?;
    root.disconnect().await?;
    let transcripts = prepared.join("transcripts").join(kind.slug());
    std::fs::create_dir_all(&transcripts)?;
    Ok(Place { server, database, transcripts })
}

impl Place {
    /// One driver, directly and in both phases.
    async fn compare(
        &self,
        driver: &Driver,
        scripts: &Path,
        prepared: &Path,
        tls: bool,
    ) -> Result<Vec<Cell>> {
        let mut cells = vec![];
        let run = async |port, way: &'static str| {
            self.refill().await?;
            let login =
                Login { port, user: USER, password: PASSWORD, database: &self.database.name, tls };
            let secure = if tls { "tls" } else { "plain" };
            let name = driver.name.replace(['/', ' ', ':'], "-");
            let path = self.transcripts.join(format!("{name}-{secure}-{way}.txt"));
            anyhow::Ok(transcript(driver.command(scripts, prepared, login), &path).await)
        };
        let directly = run(self.server.port(), "direct").await?;
        for phase in ["mysql-only", "dual-write"] {
            let outcome = match &directly {
                Err(reason) => Outcome::Missing(reason.clone()),
                Ok(directly) => {
                    let config = SegueConfig::new(&self.server, &self.database, shop::CONTRACT);
                    let segue = SegueProcess::start(&config.with_phase(phase)).await?;
                    let through = run(segue.mysql_port(), phase).await?;
                    segue.stop().await?;
                    judge(directly, &through)
                }
            };
            let cell = Cell {
                driver: driver.name.clone(),
                server: self.server.kind().name(),
                phase,
                tls,
                outcome,
            };
            println!("{}", cell.line());
            cells.push(cell);
        }
        Ok(cells)
    }

    /// The same rows before each run, and no passwords in the server's cache.
    async fn refill(&self) -> Result<()> {
        shop::refill(&self.server, &self.database).await?;
        let mut root = self.server.connect().await?;
        root.query_drop(format!("USE `{}`", self.database.name)).await?;
        root.query_drop(SCHEMA).await?;
        root.query_drop("FLUSH PRIVILEGES").await?;
        root.disconnect().await?;
        Ok(())
    }
}

/// What the script prints, kept in the file; an error where it does not run at all.
async fn transcript(command: std::process::Command, path: &Path) -> Result<String, String> {
    let file = std::fs::File::create(path).map_err(|error| error.to_string())?;
    let mut command = tokio::process::Command::from(command);
    command.stdin(Stdio::null()).env("LC_ALL", "C.UTF-8").env("TZ", "UTC").kill_on_drop(true);
    let run = command.stdout(file).stderr(Stdio::piped()).spawn().map_err(|e| e.to_string())?;
    let output = tokio::time::timeout(RUN_LIMIT, run.wait_with_output()).await;
    let text = lossy(&std::fs::read(path).map_err(|error| error.to_string())?);
    let output = match output {
        Err(_) => return Ok(format!("{text}the script does not end\n")),
        Ok(output) => output.map_err(|error| error.to_string())?,
    };
    let errors = lossy(&output.stderr);
    if text.is_empty() {
        let line =
            errors.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it says nothing");
        return Err(line.to_owned());
    }
    Ok(format!("{text}exit {:?}\n", output.status.code()))
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn judge(directly: &str, through: &Result<String, String>) -> Outcome {
    let through = match through {
        Ok(through) => through,
        Err(reason) => return Outcome::Differs(format!("through Segue it fails: {reason}")),
    };
    let lines = directly.lines().count();
    if directly == through {
        return match lines {
            LINES_MIN.. => Outcome::Same { lines },
            _ => Outcome::SameRefusal(directly.lines().next().unwrap_or_default().to_owned()),
        };
    }
    let mut text = String::new();
    let differing = directly.lines().zip(through.lines()).filter(|(a, b)| a != b);
    for (a, b) in differing.take(3) {
        let _ = write!(text, "\n  directly: {}\n  through:  {}", cut(a), cut(b));
    }
    if lines != through.lines().count() {
        let _ = write!(text, "\n  {lines} lines directly, {} through", through.lines().count());
    }
    Outcome::Differs(text)
}

fn cut(line: &str) -> String {
    line.chars().take(400).collect()
}

impl Cell {
    fn line(&self) -> String {
        let secure = if self.tls { "TLS" } else { "plain" };
        let outcome = match &self.outcome {
            Outcome::Same { lines } => format!("same ({lines} lines)"),
            Outcome::SameRefusal(reason) => format!("same: direct fails too: {}", cut(reason)),
            Outcome::Differs(text) => format!("DIFFERS{text}"),
            Outcome::Missing(reason) => format!("missing: {}", cut(reason)),
        };
        format!("{:32} {:14} {:11} {:6} {outcome}", self.driver, self.server, self.phase, secure)
    }
}

/// The table, and whether it is good.
fn report(cells: &[Cell], complete: bool) -> ExitCode {
    println!("\n{:32} {:14} {:11} {:6}", "driver", "server", "phase", "TLS");
    for cell in cells {
        println!("{}", cell.line().lines().next().unwrap_or_default());
    }
    let count = |wanted: fn(&Outcome) -> bool| cells.iter().filter(|c| wanted(&c.outcome)).count();
    let same = count(|o| matches!(o, Outcome::Same { .. } | Outcome::SameRefusal(_)));
    let differs = count(|o| matches!(o, Outcome::Differs(_)));
    let missing = count(|o| matches!(o, Outcome::Missing(_)));
    let mut drivers: Vec<&str> = cells
        .iter()
        .filter(|c| matches!(c.outcome, Outcome::Same { .. }))
        .map(|c| c.driver.as_str())
        .collect();
    drivers.dedup();
    drivers.sort_unstable();
    drivers.dedup();
    println!("\n{} drivers; {same} same, {differs} differ, {missing} missing", drivers.len());
    if differs == 0 && (!complete || drivers.len() >= DRIVERS_MIN) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
