//! What a run stands on: a server of its own, a DynamoDB engine, the sidecars and their wires.
//! Never here: faults, or judging a round.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use mysql_async::prelude::Queryable;
use segue::mysql::control::Control;
use serde_json::json;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};

use super::SIDECARS;
use crate::harness::{Database, Engine, Items, SegueConfig, SegueProcess, Server, Wire};
use crate::stage::create_tables;
use crate::workload::oracle::{self, Differences, Source, Target};
use crate::workload::{self, CONTRACT_A, CONTRACT_B};

/// Longest wait until nothing is owed. A parked key comes again after half a minute or more.
const SETTLE_LIMIT: Duration = Duration::from_secs(240);
/// How long a sidecar is started again while what it needs is away.
const START_LIMIT: Duration = Duration::from_secs(120);
const START_PAUSE: Duration = Duration::from_millis(100);
/// Connections of the oracle.
const ORACLE_CONNECTIONS: usize = 4;
/// Tries of a comparison whose connections MySQL has ended meanwhile.
const COMPARISONS_MAX: usize = 10;

/// Scripts come by the API.
const MORE_SETTINGS: &str = "[faults]\ninjection = \"on\"\n";

pub struct Sidecar {
    pub segue: SegueProcess,
    pub wire: Wire,
    /// Held by whoever kills, freezes or starves it.
    pub hands: Mutex<()>,
}

pub struct ChaosStage {
    pub server: Server,
    /// Held by whoever stops or locks the server.
    pub server_hands: Mutex<()>,
    pub engine: Engine,
    pub engine_hands: Mutex<()>,
    pub sidecars: Vec<Sidecar>,
    pub database: Database,
    items: Items,
    control: Control,
    contract: &'static str,
}

impl ChaosStage {
    /// Tables filled, everything mirrored.
    pub async fn set(server: Server, seed: u64) -> Result<ChaosStage> {
        let database = server.database("chaos", "").await?;
        workload::prepare(&database.url, seed).await?;
        application_account(&server, &database).await?;
        let engine = Engine::start().await?;
        let contract = if seed.is_multiple_of(2) { CONTRACT_B } else { CONTRACT_A };
        let mut sidecars = Vec::new();
        for number in 0..SIDECARS {
            let wire = Wire::to(&server.address()).await?;
            let mut config = SegueConfig::new(&server, &database, contract).with_engine(&engine);
            config.mysql_address = wire.address();
            config.control_url = format!("mysql://root@{}/{}", wire.address(), database.name);
            config.more = MORE_SETTINGS.to_owned();
            config.full_disks = true;
            // Sidecars that write transactions whole stand beside others that do not.
            config.whole_transactions = (seed >> number) & 1 == 1;
            // What a script delays, and an engine that stands still meanwhile, stay below it.
            config.late_write_seconds = 2;
            config.environment.push(("RUST_LOG".into(), "info,segue::mirror=debug".into()));
            let segue = SegueProcess::prepare(&config)?;
            if number == 0 {
                create_tables(&segue).await?;
            }
            segue.start_again().await?;
            sidecars.push(Sidecar { segue, wire, hands: Mutex::new(()) });
        }
        let control = Control::connect(&database.url, ORACLE_CONNECTIONS).await?;
        let items = Items::at(&engine.endpoint());
        let stage = ChaosStage {
            server,
            server_hands: Mutex::new(()),
            engine,
            engine_hands: Mutex::new(()),
            sidecars,
            database,
            items,
            control,
            contract,
        };
        stage.mend().await.context("before the first round")?;
        Ok(stage)
    }

    /// The application's URL through a sidecar: an account that `read_only` binds.
    pub fn url(&self, sidecar: usize) -> String {
        let port = self.sidecars[sidecar].segue.mysql_port();
        format!("mysql://app@127.0.0.1:{port}/{}?prefer_socket=false", self.database.name)
    }

    /// Waits until nothing is owed, on every sidecar at once: refreshes of one may change what another
    /// still looks at.
    pub async fn settle(&self) -> Result<()> {
        for (number, sidecar) in self.sidecars.iter().enumerate() {
            let settled = sidecar.segue.settle(SETTLE_LIMIT).await;
            if settled.is_err() {
                let owed = sidecar.segue.get("/api/owed").await.unwrap_or_default();
                settled.with_context(|| format!("sidecar {number}: {owed}"))?;
            }
        }
        Ok(())
    }

    /// The books of every sidecar are exact and empty.
    pub async fn books(&self) -> Result<()> {
        for (number, sidecar) in self.sidecars.iter().enumerate() {
            let count = async |name: &str| sidecar.segue.metric(name).await;
            let (seen, owed) = (count("segue_seen_total").await?, count("segue_owed").await?);
            let (applied, superseded) =
                (count("segue_applied_total").await?, count("segue_superseded_total").await?);
            ensure!(
                owed == 0.0 && seen == applied + superseded,
                "books of sidecar {number}: {seen} seen, {applied} applied, {superseded} superseded, {owed} owed"
            );
        }
        Ok(())
    }

    pub async fn differences(&self) -> Result<Differences> {
        let mut tries = 0;
        loop {
            let source = Source {
                control: &self.control,
                contract: self.contract,
                database: &self.database.name,
            };
            let target = Target { client: self.items.client(), prefix: "" };
            match oracle::compare(source, target).await {
                Err(_) if tries < COMPARISONS_MAX => tries += 1,
                answer => return answer,
            }
            sleep(START_PAUSE).await;
        }
    }

    /// Sweeps everything, and finds nothing that differs then.
    pub async fn mend(&self) -> Result<()> {
        self.sidecars[0].segue.post("/api/sweeps", &json!({"all": true})).await?;
        self.settle().await?;
        self.differences().await?.check()
    }
}

impl Sidecar {
    /// Starts it, again and again while MySQL or its wire is away.
    pub async fn start(&self) -> Result<()> {
        let begin = Instant::now();
        loop {
            let Err(error) = self.segue.start_again().await else { return Ok(()) };
            ensure!(begin.elapsed() < START_LIMIT, "a sidecar does not start: {error:#}");
            // It may still be there, and not healthy; its keeper forgets only what it has ended.
            let _ = self.segue.kill_hard().await;
            sleep(START_PAUSE).await;
        }
    }
}

async fn application_account(server: &Server, database: &Database) -> Result<()> {
    let mut root = server.connect().await?;
    // By both names: an anonymous account at localhost would come first otherwise.
    for account in ["app@'%'", "app@localhost"] {
        root.query_drop(format!("CREATE USER IF NOT EXISTS {account}")).await?;
        root.query_drop(format!("GRANT ALL ON `{}`.* TO {account}", database.name)).await?;
    }
    root.disconnect().await.context("disconnect")
}
