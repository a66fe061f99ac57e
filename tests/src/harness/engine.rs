//! A DynamoDB engine in a process of its own, so that it outlives Segue and can be stopped alone.
//! Never here: tables or items.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::net::TcpStream;
use xtask::keeper::{ChildCommand, Keeper, Leftovers};
use xtask::servers::free_port;

use super::process::{Kept, program, scratch, wait_until};

/// Opening an empty file takes milliseconds; the rest is a busy machine.
const START_LIMIT: Duration = Duration::from_secs(30);

/// The engine, with its data in a file that survives `kill -9`.
pub struct Engine {
    kept: Kept,
    port: u16,
    log: PathBuf,
}

impl Engine {
    /// Starts an empty engine on a free loopback port.
    pub async fn start() -> Result<Engine> {
        let folder = scratch("engine")?;
        let port = free_port().context("find a free port")?;
        let log = folder.with_extension("log");
        let command = ChildCommand::new([
            program("engine")?.into_os_string(),
            port.to_string().into(),
            folder.join("items.sqlite").into_os_string(),
        ]);
        let kept = Kept::new(Keeper::new(&command, &log, Leftovers::Remove(folder))?);
        let engine = Engine { kept, port, log };
        engine.resume_from_stop().await?;
        Ok(engine)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// `http://127.0.0.1:PORT`, as `[dynamodb] endpoint` takes it.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Orderly end: connections are refused from now on.
    pub async fn stop(&self) -> Result<()> {
        self.kept.with(|keeper| keeper.stop().map(|_| ())).await
    }

    /// `kill -9`.
    pub async fn kill_hard(&self) -> Result<()> {
        self.kept.with(|keeper| keeper.kill().map(|_| ())).await
    }

    /// Starts it again after a stop or a kill, with the same items.
    pub async fn restart(&self) -> Result<()> {
        self.resume_from_stop().await
    }

    /// Freezes it: connections are accepted by the kernel and never answered.
    pub async fn pause(&self) -> Result<()> {
        self.kept.with(Keeper::pause).await
    }

    /// Thaws it.
    pub async fn resume(&self) -> Result<()> {
        self.kept.with(Keeper::resume).await
    }

    async fn resume_from_stop(&self) -> Result<()> {
        self.kept.with(|keeper| keeper.start().map(|_| ())).await?;
        let port = self.port;
        wait_until("the DynamoDB engine", &self.kept, &self.log, START_LIMIT, || async move {
            TcpStream::connect(("127.0.0.1", port)).await.is_ok()
        })
        .await
    }
}
