//! Segue inside of the test's own process: the only way to run one that is broken on purpose.
//! Never here: what is broken (see `segue::mirror::MirrorFaults`).

use std::ops::Deref;

use anyhow::{Context, Result, anyhow};
use segue::app::{self, AppOptions, Running};
use segue_config::Settings;

use super::api::Api;
use super::process::scratch;
use super::{Database, SegueConfig};

/// A sidecar in this process. It ends with the process, or by [`InsideSegue::stop`].
pub struct InsideSegue {
    running: Running,
    api: Api,
}

impl InsideSegue {
    /// Writes the settings, creates missing DynamoDB tables, and starts.
    pub async fn start(config: &SegueConfig, options: AppOptions) -> Result<InsideSegue> {
        let folder = scratch("inside")?;
        // Port 0: the system chooses.
        let path = config.write(&folder, 0, 0)?;
        let text = std::fs::read_to_string(&path).context("read the settings")?;
        let settings = Settings::parse(&text, &path.display().to_string(), &|_| None)
            .map_err(|faults| anyhow!("{faults:?}"))?;
        create_tables(&settings).await?;
        let running = app::start_with(settings, options).await?;
        let api = Api::at(running.admin_addr.port());
        Ok(InsideSegue { running, api })
    }

    /// `mysql://root@127.0.0.1:PORT/DATABASE`: the application's URL through this sidecar.
    pub fn url(&self, database: &Database) -> String {
        let port = self.running.mysql_addr.port();
        format!("mysql://root@127.0.0.1:{port}/{}?prefer_socket=false", database.name)
    }

    /// Stops in order.
    pub async fn stop(self) {
        self.running.stop().await;
    }
}

impl Deref for InsideSegue {
    type Target = Api;

    fn deref(&self) -> &Api {
        &self.api
    }
}

async fn create_tables(settings: &Settings) -> Result<()> {
    let control = app::control_pool(settings).await?;
    let ruleset = app::ruleset(settings, &control).await?;
    let metrics = std::sync::Arc::new(segue::telemetry::Metrics::new());
    let store = app::store(settings, &metrics).await?;
    for table in app::wanted_tables(settings, &ruleset) {
        store.create(&table).await?;
    }
    store.close().await;
    control.close().await;
    Ok(())
}
