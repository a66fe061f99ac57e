//! Segue as a child process: settings written, started, killed, started again with the same ports.
//! Never here: what Segue should do.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use xtask::keeper::{ChildCommand, Keeper, Leftovers};
use xtask::servers::free_port;

use super::api::Api;
use super::process::{Kept, program, scratch, wait_until};
use super::{Database, Engine, Server};

/// Token of the HTTP API in tests.
pub const ADMIN_TOKEN: &str = "token-of-the-system-tests-0123456789";

/// Recovery of a full journal on a busy machine stays below this.
const START_LIMIT: Duration = Duration::from_secs(60);

/// Which DynamoDB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Store {
    /// Segue's built-in engine, in memory: dies with Segue.
    EmbeddedMemory,
    /// Segue's built-in engine with its data in a file.
    EmbeddedFile,
    /// A separate engine, or anything else behind a URL.
    Endpoint(String),
}

/// What a test wants of Segue. [`SegueConfig::new`] gives working values for all of it.
#[derive(Clone, Debug)]
pub struct SegueConfig {
    /// `HOST:PORT` of MySQL.
    pub mysql_address: String,
    pub control_url: String,
    pub database: String,
    /// Text of the contract.
    pub contract: String,
    pub store: Store,
    /// Text of the phases file.
    pub phases: String,
    /// `fsync` or `write`.
    pub durability: &'static str,
    /// `as-client`, `always` or `never`.
    pub upstream_tls: &'static str,
    /// `mirror.transactions = "whole"`.
    pub whole_transactions: bool,
    /// Further lines of `segue.toml`, whole sections.
    pub more: String,
    pub environment: Vec<(String, String)>,
    /// `dynamodb.late_write_seconds`.
    pub late_write_seconds: u64,
    /// Writes beyond [`SegueProcess::limit_files`] are errors for it, as on a full disk, and not its end.
    pub full_disks: bool,
}

impl SegueConfig {
    /// Everything in `dual-write`, the journal without fsync, the built-in engine in memory. With the variable
    /// `SEGUE_TEST_WHOLE` transactions are written whole: for runs of tests that do not ask for it.
    pub fn new(server: &Server, database: &Database, contract: &str) -> Self {
        SegueConfig {
            mysql_address: server.address(),
            control_url: database.url.clone(),
            database: database.name.clone(),
            contract: contract.to_owned(),
            store: Store::EmbeddedMemory,
            phases: "default = \"dual-write\"\n".to_owned(),
            durability: "write",
            upstream_tls: "as-client",
            whole_transactions: std::env::var_os("SEGUE_TEST_WHOLE").is_some(),
            more: String::new(),
            environment: vec![],
            late_write_seconds: 1,
            full_disks: false,
        }
    }

    pub fn with_engine(mut self, engine: &Engine) -> Self {
        self.store = Store::Endpoint(engine.endpoint());
        self
    }

    pub fn with_phase(mut self, phase: &str) -> Self {
        self.phases = format!("default = \"{phase}\"\n");
        self
    }

    /// Writes settings, contract and phases; returns the settings' path.
    pub(super) fn write(&self, folder: &Path, mysql_port: u16, admin_port: u16) -> Result<PathBuf> {
        let write = |name: &str, text: &str| {
            let path = folder.join(name);
            std::fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
            Ok::<_, anyhow::Error>(path)
        };
        write("migrationContract.json", &self.contract)?;
        write("phases.toml", &self.phases)?;
        write("segue.toml", &self.render(mysql_port, admin_port))
    }

    /// The settings file. Paths are relative to its folder.
    fn render(&self, mysql_port: u16, admin_port: u16) -> String {
        // JSON's strings are strings of TOML too.
        let quote = |text: &str| Value::from(text).to_string();
        let mut text = String::new();
        let mut line = |name: &str, value: &str| {
            let _ = writeln!(text, "{name} = {}", quote(value));
        };
        line("listen.mysql", &format!("127.0.0.1:{mysql_port}"));
        line("listen.admin", &format!("127.0.0.1:{admin_port}"));
        line("mysql.address", &self.mysql_address);
        line("mysql.control_url", &self.control_url);
        line("mysql.upstream_tls", self.upstream_tls);
        line("contract.path", "migrationContract.json");
        line("contract.database", &self.database);
        line("dynamodb.region", "us-east-1");
        line("dynamodb.late_write_seconds", &self.late_write_seconds.to_string());
        match &self.store {
            Store::EmbeddedMemory => line("dynamodb.endpoint", "embedded"),
            Store::EmbeddedFile => {
                line("dynamodb.endpoint", "embedded");
                line("dynamodb.file", "items.sqlite");
            }
            Store::Endpoint(url) => line("dynamodb.endpoint", url),
        }
        line("journal.path", "journal");
        line("journal.durability", self.durability);
        if self.whole_transactions {
            line("mirror.transactions", "whole");
        }
        line("phases.path", "phases.toml");
        line("admin.token", ADMIN_TOKEN);
        in_sections(&text) + &self.more
    }
}

/// `section.key = value` lines under their `[section]` headers.
fn in_sections(lines: &str) -> String {
    let mut text = String::new();
    let mut current = "";
    for line in lines.lines() {
        let (section, rest) = line.split_once('.').unwrap_or(("", line));
        if section != current {
            let _ = writeln!(text, "[{section}]");
            current = section;
        }
        let _ = writeln!(text, "{rest}");
    }
    text
}

/// A running (or killed) Segue.
pub struct SegueProcess {
    kept: Kept,
    folder: PathBuf,
    log: PathBuf,
    mysql_port: u16,
    admin_port: u16,
    api: Api,
    environment: Vec<(String, String)>,
}

impl SegueProcess {
    /// Writes the settings, creates the DynamoDB tables where Segue does not do so itself, starts
    /// `segue serve` and waits until it is healthy.
    pub async fn start(config: &SegueConfig) -> Result<SegueProcess> {
        let segue = SegueProcess::prepare(config)?;
        if matches!(config.store, Store::Endpoint(_)) {
            segue.create_tables().await?;
        }
        segue.start_again().await?;
        Ok(segue)
    }

    /// Writes the settings only: for tests of a start that fails, or of other commands.
    pub fn prepare(config: &SegueConfig) -> Result<SegueProcess> {
        let folder = scratch("segue")?;
        let mysql_port = free_port().context("find a free port")?;
        let admin_port = free_port().context("find a free port")?;
        let settings = config.write(&folder, mysql_port, admin_port)?.into_os_string();
        // An ignored signal stays ignored in the program that the shell becomes.
        let shell = ["/bin/sh", "-c", "trap '' XFSZ; exec \"$@\"", "segue"].map(OsString::from);
        let words = [program("segue")?.into(), "serve".into(), "--config".into(), settings];
        let shell = shell.into_iter().filter(|_| config.full_disks);
        let mut command = ChildCommand::new(shell.chain(words));
        command.environment = vec![
            ("AWS_ACCESS_KEY_ID".into(), "tests".into()),
            ("AWS_SECRET_ACCESS_KEY".into(), "tests".into()),
            ("AWS_EC2_METADATA_DISABLED".into(), "true".into()),
        ];
        command.environment.extend(config.environment.clone());
        let environment = command.environment.clone();
        // The folder stays: journal and log are what a failed test is understood by.
        let log = folder.join("segue.log");
        let kept = Kept::new(Keeper::new(&command, &log, Leftovers::Keep)?);
        let api = Api::at(admin_port);
        Ok(SegueProcess { kept, folder, log, mysql_port, admin_port, api, environment })
    }

    /// Starts it (again), on the same ports, journal and phases file.
    pub async fn start_again(&self) -> Result<()> {
        self.kept.with(|keeper| keeper.start().map(|_| ())).await?;
        wait_until("segue", &self.kept, &self.log, START_LIMIT, || self.api.is_healthy()).await
    }

    /// Another process on the same ports, files and environment, prepared to take over. It writes its own
    /// log, and is started with [`SegueProcess::start_again`].
    pub fn successor(&self, environment: &[(&str, &str)]) -> Result<SegueProcess> {
        let settings = self.folder.join("segue.toml").into_os_string();
        let program = program("segue")?.into_os_string();
        let words = [program, "serve".into(), "--take-over".into(), "--config".into(), settings];
        let mut command = ChildCommand::new(words);
        let own = environment.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        command.environment = self.environment.iter().cloned().chain(own).collect();
        let environment = command.environment.clone();
        let folder = scratch("successor")?;
        let log = folder.join("segue.log");
        let kept = Kept::new(Keeper::new(&command, &log, Leftovers::Keep)?);
        let (mysql_port, admin_port) = (self.mysql_port, self.admin_port);
        let api = Api::at(admin_port);
        Ok(SegueProcess {
            kept,
            folder: self.folder.clone(),
            log,
            mysql_port,
            admin_port,
            api,
            environment,
        })
    }

    /// Starts it and waits for nothing.
    pub async fn launch(&self) -> Result<()> {
        self.kept.with(|keeper| keeper.start().map(|_| ())).await
    }

    /// Sends a signal by its name, as `kill` knows it.
    pub async fn signal(&self, name: &str) -> Result<()> {
        let pid = self.kept.pid().context("segue does not run")?.to_string();
        let sent = tokio::process::Command::new("kill").args(["-s", name, &pid]).status().await;
        anyhow::ensure!(sent.context("run kill")?.success(), "kill -s {name} {pid} failed");
        Ok(())
    }

    /// Runs `segue tables create`: engines behind a URL get their tables only so.
    pub async fn create_tables(&self) -> Result<()> {
        let output = self.command(&["tables", "create"]).await?;
        if !output.status.success() {
            let text = String::from_utf8_lossy(&output.stderr);
            bail!("segue tables create: {}: {}", output.status, text.trim());
        }
        Ok(())
    }

    /// Runs another command with the same settings file; `--config` is added.
    pub async fn command(&self, words: &[&str]) -> Result<std::process::Output> {
        let mut command = tokio::process::Command::new(program("segue")?);
        command.args(words).arg("--config").arg(self.folder.join("segue.toml"));
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(std::process::Stdio::null()).output().await.context("run segue")
    }

    /// SIGTERM; returns the exit status.
    pub async fn stop(&self) -> Result<i32> {
        self.kept.with(Keeper::stop).await
    }

    /// `kill -9`.
    pub async fn kill_hard(&self) -> Result<()> {
        self.kept.with(|keeper| keeper.kill().map(|_| ())).await
    }

    pub fn is_alive(&self) -> bool {
        self.kept.is_alive()
    }

    /// SIGHUP: files are read again.
    pub async fn hang_up(&self) -> Result<()> {
        self.signal("HUP").await
    }

    /// Freezes it: it holds its connections and answers nothing.
    pub async fn pause(&self) -> Result<()> {
        self.kept.with(Keeper::pause).await
    }

    /// Thaws it.
    pub async fn resume(&self) -> Result<()> {
        self.kept.with(Keeper::resume).await
    }

    /// From now on no file of it can grow beyond so many bytes; `None`: all can again. A new process has
    /// no limit. See [`SegueConfig::full_disks`].
    pub async fn limit_files(&self, bytes: Option<u64>) -> Result<()> {
        let pid = self.kept.pid().context("segue does not run")?.to_string();
        let limit = bytes.map_or("unlimited".to_owned(), |bytes| bytes.to_string());
        let mut command = tokio::process::Command::new("prlimit");
        command.args(["--pid", &pid, &format!("--fsize={limit}:")]);
        let set = command.status().await.context("run prlimit")?;
        anyhow::ensure!(set.success(), "prlimit failed");
        Ok(())
    }

    /// Process id while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.kept.pid()
    }

    /// Where applications connect.
    /// A figure of `/proc/PID/status`, in KiB.
    pub fn memory_kib(&self, name: &str) -> Result<f64> {
        let pid = self.pid().context("segue does not run")?;
        let path = format!("/proc/{pid}/status");
        let status = std::fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let figure = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        figure.with_context(|| format!("{name} in {path}"))
    }

    pub fn mysql_port(&self) -> u16 {
        self.mysql_port
    }

    pub fn admin_port(&self) -> u16 {
        self.admin_port
    }

    /// `mysql://root@127.0.0.1:PORT/DATABASE`: the application's URL through Segue.
    pub fn url(&self, database: &Database) -> String {
        // The driver must not find the server's own socket and go around Segue.
        format!("mysql://root@127.0.0.1:{}/{}?prefer_socket=false", self.mysql_port, database.name)
    }

    /// Folder with `segue.toml`, contract, phases, journal and log.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The log so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Deref for SegueProcess {
    type Target = Api;

    fn deref(&self) -> &Api {
        &self.api
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_file_has_each_section_once() {
        let text = in_sections("a.x = \"1\"\na.y = \"2\"\nb.x = \"3\"\n");
        assert_eq!(text, "[a]\nx = \"1\"\ny = \"2\"\n[b]\nx = \"3\"\n");
    }
}
