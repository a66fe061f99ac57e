//! Segue as the demo runs it: in this process, from a real settings file, driven by its HTTP API.
//! Never here: what the demo's customers do.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use segue_config::Settings;
use segue_config::settings::{Dynamodb, Endpoint, Log};
use segue_rules::entity::Ruleset;
use serde::Serialize;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::compare::{EntityOutcome, compare};
use super::shop::{CONTRACT, Shop};
use crate::app;
use crate::dynamo::{self, Store};
use crate::mysql::control::Control;
use crate::telemetry::sum_of_metric;
use crate::telemetry::{Metrics, init_logging};

/// Connections for the comparison: one reads at a time, one is spare.
const CONTROL_CONNECTIONS: usize = 2;
/// An answer of the API takes milliseconds; a busy machine gets this.
const API_TIMEOUT: Duration = Duration::from_secs(20);
/// How often the counters are looked at while waiting.
const POLL: Duration = Duration::from_millis(100);

/// Segue's counters, summed over all tables.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Progress {
    pub captured: u64,
    pub seen: u64,
    pub applied: u64,
    pub superseded: u64,
    pub owed: i64,
    pub parked: i64,
    pub sweeps_owed: i64,
    /// Sum of all lags from commit to applied, in seconds, and how many there were.
    pub lag_seconds: f64,
    pub lag_count: u64,
}

/// The running sidecar, and the engine behind it.
pub struct Sidecar {
    running: app::Running,
    store: Store,
    control: Control,
    ruleset: Ruleset,
    token: String,
    folder: TempDir,
}

impl Sidecar {
    /// Starts the built-in engine, creates the contract's tables in it, starts Segue in `mysql-only`.
    pub async fn start(shop: &Shop, control_url: &str) -> Result<Sidecar> {
        let folder = tempfile::Builder::new().prefix("segue-demo-").tempdir();
        let folder = folder.context("make a folder for the demo")?;
        let engine = Dynamodb {
            region: None,
            endpoint: Endpoint::Embedded { file: None },
            table_prefix: String::new(),
        };
        let engine = Dynamodb { region: Some("us-east-1".to_owned()), ..engine };
        let store = Store::connect(&engine, Arc::new(Metrics::new())).await;
        let store = store.context("start the built-in DynamoDB engine")?;
        let control = Control::connect(control_url, CONTROL_CONNECTIONS).await?;
        let catalog = control.catalog(&shop.database).await.context("read the demo's schema")?;
        let ruleset = match Ruleset::compile(CONTRACT, catalog) {
            Ok(ruleset) => ruleset,
            Err(findings) => bail!("the demo's contract has faults: {findings:#?}"),
        };
        for table in dynamo::plan(&ruleset.tables, "", dynamo::Billing::OnDemand) {
            store.create(&table).await.context("create the demo's DynamoDB tables")?;
        }
        let token = uuid::Uuid::new_v4().to_string();
        let settings = settings(shop, control_url, store.endpoint_url(), &token, folder.path())?;
        // Only what has gone wrong, unless RUST_LOG asks for more.
        let log = Log { level: "error".to_owned(), ..settings.log.clone() };
        init_logging(&log, std::env::var("RUST_LOG").ok().as_deref());
        let running = app::start(settings).await.context("start Segue")?;
        Ok(Sidecar { running, store, control, ruleset, token, folder })
    }

    /// Where applications connect.
    pub fn mysql(&self) -> SocketAddr {
        self.running.mysql_addr
    }

    pub fn admin(&self) -> SocketAddr {
        self.running.admin_addr
    }

    pub fn token(&self) -> &str {
        &self.token
    }

    pub fn endpoint(&self) -> &str {
        self.store.endpoint_url()
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Sets the phase of every table, as `curl -X PUT .../api/phases` does.
    pub async fn set_phase(&self, phase: &str) -> Result<()> {
        let body = serde_json::json!({ "default": phase, "who": "demo" });
        self.ask("PUT", "/api/phases", &body.to_string()).await.map(|_| ())
    }

    /// Has all existing rows refreshed, as `curl -X POST .../api/sweeps` does.
    pub async fn refresh_existing_rows(&self) -> Result<()> {
        self.ask("POST", "/api/sweeps", r#"{"all":true}"#).await.map(|_| ())
    }

    pub async fn progress(&self) -> Result<Progress> {
        let text = self.ask("GET", "/metrics", "").await?;
        let sum = |name: &str| sum_of_metric(&text, name);
        Ok(Progress {
            captured: sum("segue_captured_total") as u64,
            seen: sum("segue_seen_total") as u64,
            applied: sum("segue_applied_total") as u64,
            superseded: sum("segue_superseded_total") as u64,
            owed: sum("segue_owed") as i64,
            parked: sum("segue_parked") as i64,
            sweeps_owed: sum("segue_sweeps_owed") as i64,
            lag_seconds: sum("segue_lag_seconds_sum"),
            lag_count: sum("segue_lag_seconds_count") as u64,
        })
    }

    /// Waits until nothing is owed, at most `limit`; the caller looks at the progress that is returned.
    pub async fn settle(&self, limit: Duration) -> Result<Progress> {
        let waiting = async {
            loop {
                let progress = self.progress().await?;
                // Twice: between two entries of one transaction the count may touch zero.
                if progress.owed == 0 && progress.sweeps_owed == 0 {
                    tokio::time::sleep(POLL).await;
                    let again = self.progress().await?;
                    if again.owed == 0 && again.sweeps_owed == 0 {
                        return Ok(again);
                    }
                }
                tokio::time::sleep(POLL).await;
            }
        };
        match tokio::time::timeout(limit, waiting).await {
            Ok(progress) => progress,
            Err(_) => self.progress().await,
        }
    }

    /// Every item against MySQL.
    pub async fn compare(&self) -> Result<Vec<EntityOutcome>> {
        compare(&self.ruleset, &self.control, &self.store).await
    }

    pub async fn stop(self) {
        self.running.stop().await;
        self.control.close().await;
        self.store.close().await;
    }

    /// One request of the HTTP API; the body of a successful answer.
    async fn ask(&self, method: &str, path: &str, body: &str) -> Result<String> {
        let asking = async {
            let mut stream =
                TcpStream::connect(self.admin()).await.context("connect to the API")?;
            let request = format!(
                "{method} {path} HTTP/1.0\r\nHost: {}\r\nAuthorization: Bearer {}\r\n\
                 Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                self.admin(),
                self.token,
                body.len()
            );
            stream.write_all(request.as_bytes()).await.context("ask the API")?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.context("read the API's answer")?;
            Ok::<String, anyhow::Error>(answer)
        };
        let answer =
            tokio::time::timeout(API_TIMEOUT, asking).await.context("wait for the API")??;
        let (head, content) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head.split_whitespace().nth(1).unwrap_or("");
        if !status.starts_with('2') {
            bail!("{method} {path}: {status}: {content}");
        }
        Ok(content.to_owned())
    }
}

/// The settings as an operator would write them, read by the same code.
fn settings(
    shop: &Shop,
    control_url: &str,
    endpoint: &str,
    token: &str,
    folder: &Path,
) -> Result<Settings> {
    let quote = |text: &str| serde_json::Value::from(text).to_string();
    let text = format!(
        "[listen]\nmysql = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n\
         [mysql]\naddress = {}\ncontrol_url = {}\n\
         [dynamodb]\nregion = \"us-east-1\"\nendpoint = {}\n\
         [contract]\npath = \"migrationContract.json\"\ndatabase = {}\n\
         [journal]\npath = \"journal\"\n[phases]\npath = \"phases.toml\"\n[admin]\ntoken = {}\n",
        quote(&shop.address()),
        quote(control_url),
        quote(endpoint),
        quote(&shop.database),
        quote(token)
    );
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::write(&path, text).with_context(|| format!("write {}", path.display()))
    };
    write("migrationContract.json", CONTRACT)?;
    write("phases.toml", "default = \"mysql-only\"\n")?;
    let name = folder.join("segue.toml").display().to_string();
    match Settings::parse(&text, &name, &|_| None) {
        Ok(settings) => Ok(settings),
        Err(faults) => bail!("the demo's settings have faults: {faults:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metric_is_summed_over_its_labels_only() {
        let text = "segue_owed{table=\"a\"} 2\nsegue_owed{table=\"b\"} 3\nsegue_owed_x 9\n";
        assert_eq!(sum_of_metric(text, "segue_owed"), 5.0);
    }
}
