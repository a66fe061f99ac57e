//! The random workload's stage: its tables in a database of one test, a separate DynamoDB engine with
//! the contract's tables, Segue in between, and the oracle's view of both.
//! Never here: what a test does on it.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use segue::mysql::control::Control;
use serde_json::json;

use crate::harness::{Database, Engine, Items, SegueConfig, SegueProcess, Server, program};
use crate::workload::oracle::{self, Differences, Source, Target};
use crate::workload::{self, Plan};

/// Longest wait until nothing is owed, on a busy machine.
const SETTLE_LIMIT: Duration = Duration::from_secs(180);
/// Connections of the oracle.
const ORACLE_CONNECTIONS: usize = 4;

pub struct Stage {
    pub database: Database,
    pub engine: Engine,
    pub segue: SegueProcess,
    pub items: Items,
    pub control: Control,
    pub contract: &'static str,
    pub seed: u64,
}

/// Seed of a random test: `SEGUE_TEST_SEED`, else a new one. Workloads print it.
pub fn seed() -> u64 {
    let given = std::env::var("SEGUE_TEST_SEED").ok().and_then(|text| text.parse().ok());
    given.unwrap_or_else(|| u64::from(rand::random::<u32>()))
}

impl Stage {
    /// Tables filled, Segue running in `phase`; nothing is mirrored yet of what is in the tables.
    pub async fn set(
        server: &Server,
        contract: &'static str,
        phase: &str,
        seed: u64,
    ) -> Result<Stage> {
        Stage::set_with(server, contract, phase, seed, |_| {}).await
    }

    /// The same with other settings.
    pub async fn set_with(
        server: &Server,
        contract: &'static str,
        phase: &str,
        seed: u64,
        change: impl FnOnce(&mut SegueConfig),
    ) -> Result<Stage> {
        let database = server.database("stage", "").await?;
        workload::prepare(&database.url, seed).await?;
        let engine = Engine::start().await?;
        let mut config =
            SegueConfig::new(server, &database, contract).with_engine(&engine).with_phase(phase);
        change(&mut config);
        let segue = SegueProcess::prepare(&config)?;
        create_tables(&segue).await?;
        segue.start_again().await?;
        let control = Control::connect(&database.url, ORACLE_CONNECTIONS).await?;
        let items = Items::at(&engine.endpoint());
        Ok(Stage { database, engine, segue, items, control, contract, seed })
    }

    /// As [`Stage::set`] in `dual-write`, with the existing rows refreshed.
    pub async fn mirrored(server: &Server, contract: &'static str, seed: u64) -> Result<Stage> {
        let stage = Stage::set(server, contract, "dual-write", seed).await?;
        stage.refresh_existing().await?;
        stage.converged().await?;
        Ok(stage)
    }

    /// A plan through Segue.
    pub fn plan(&self) -> Plan {
        Plan::new(self.seed, &self.segue.url(&self.database))
    }

    /// Owes a sweep of every table.
    pub async fn refresh_existing(&self) -> Result<()> {
        self.segue.post("/api/sweeps", &json!({"all": true})).await.map(|_| ())
    }

    /// What differs once nothing is owed.
    pub async fn differences(&self) -> Result<Differences> {
        self.segue.settle(SETTLE_LIMIT).await.with_context(|| self.tail())?;
        let source = Source {
            control: &self.control,
            contract: self.contract,
            database: &self.database.name,
        };
        oracle::compare(source, Target { client: self.items.client(), prefix: "" }).await
    }

    /// Nothing is owed, nothing differs, and the books are exact.
    pub async fn converged(&self) -> Result<()> {
        let differences = self.differences().await?;
        ensure!(differences.is_empty(), "seed {}: {differences}\n{}", self.seed, self.tail());
        ensure!(differences.expected_items > 0, "there is something to compare");
        let seen = self.segue.metric("segue_seen_total").await?;
        let applied = self.segue.metric("segue_applied_total").await?;
        let superseded = self.segue.metric("segue_superseded_total").await?;
        ensure!(
            seen == applied + superseded,
            "{seen} seen, {applied} applied, {superseded} superseded"
        );
        Ok(())
    }

    /// The end of Segue's log.
    fn tail(&self) -> String {
        let log = self.segue.log();
        let lines: Vec<&str> = log.lines().collect();
        format!("segue's log ends:\n{}", lines[lines.len().saturating_sub(30)..].join("\n"))
    }
}

/// `segue tables create` for a prepared Segue.
pub async fn create_tables(segue: &SegueProcess) -> Result<()> {
    let mut command = tokio::process::Command::new(program("segue")?);
    command.args(["tables", "create", "--config"]).arg(segue.folder().join("segue.toml"));
    command.env("AWS_ACCESS_KEY_ID", "tests").env("AWS_SECRET_ACCESS_KEY", "tests");
    let output = command.output().await.context("run `segue tables create`")?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "`segue tables create`: {errors}");
    Ok(())
}
