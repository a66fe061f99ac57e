//! A small schema, its contract, Segue in between and one client through it: for tests of one corner.
//! Never here: what a test does or asserts.

use std::time::Duration;

use anyhow::{Context, Result};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts};

use crate::harness::{Database, Engine, Items, SegueConfig, SegueProcess, Server};
use crate::stage::create_tables;

/// Longest wait until nothing is owed, on a busy machine.
const SETTLE_LIMIT: Duration = Duration::from_secs(60);

/// What a scene is made of.
#[derive(Clone, Copy, Debug)]
pub struct Script<'a> {
    /// Begins the database's name.
    pub name: &'a str,
    pub schema: &'a str,
    pub contract: &'a str,
    /// The phases file.
    pub phases: &'a str,
}

pub struct Scene {
    pub segue: SegueProcess,
    pub items: Items,
    pub database: Database,
    pub client: Conn,
    _engine: Engine,
}

impl Scene {
    pub async fn open(server: &Server, script: Script<'_>) -> Result<Scene> {
        Scene::open_with(server, script, |_| {}).await
    }

    /// The same with other settings.
    pub async fn open_with(
        server: &Server,
        script: Script<'_>,
        change: impl FnOnce(&mut SegueConfig),
    ) -> Result<Scene> {
        let database = server.database(script.name, script.schema).await?;
        let engine = Engine::start().await?;
        let mut config = SegueConfig::new(server, &database, script.contract).with_engine(&engine);
        config.phases = script.phases.to_owned();
        change(&mut config);
        let segue = SegueProcess::prepare(&config)?;
        create_tables(&segue).await?;
        segue.start_again().await?;
        let client = connect(&segue.url(&database)).await?;
        let items = Items::at(&engine.endpoint());
        Ok(Scene { segue, items, database, client, _engine: engine })
    }

    /// Another client through Segue.
    pub async fn another_client(&self) -> Result<Conn> {
        connect(&self.segue.url(&self.database)).await
    }

    /// A client past Segue.
    pub async fn outsider(&self) -> Result<Conn> {
        connect(&self.database.url).await
    }

    /// Runs a statement of the client's; panics if it fails.
    pub async fn run(&mut self, sql: &str) {
        self.client.query_drop(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    pub async fn settle(&self) -> Result<()> {
        self.segue.settle(SETTLE_LIMIT).await.with_context(|| self.segue.log())
    }

    /// Two attributes of every item as `first=second`, in order, once nothing is owed.
    pub async fn shown(&self, table: &str, first: &str, second: &str) -> Result<Vec<String>> {
        self.settle().await?;
        let text = |value: &serde_json::Value| {
            value.as_str().map_or_else(|| value.to_string(), str::to_owned)
        };
        let items = self.items.all(table).await?;
        let mut shown: Vec<String> = items
            .iter()
            .map(|item| format!("{}={}", text(&item[first]), text(&item[second])))
            .collect();
        shown.sort();
        Ok(shown)
    }
}

async fn connect(url: &str) -> Result<Conn> {
    Conn::new(Opts::from_url(url).context("read a URL")?).await.context("connect")
}
