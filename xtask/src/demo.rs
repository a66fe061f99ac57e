//! `cargo xtask demo`: MySQL for the demo, then the demo.
//! Never here: what the demo shows.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Context, Result, bail};
use clap::Args;
use xtask::servers::{Installation, Kind, ServerProcess, URL_VARIABLE};

use crate::steps::Steps;
use crate::{cargo, setup};

#[derive(Args)]
pub struct Arguments {
    /// Passed to `segue demo`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

pub fn run(steps: &Steps, repository: &Path, arguments: &Arguments) -> Result<ExitCode> {
    // Ctrl-C is the demo's to handle; we only wait for it and then end the server.
    let interrupted = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(signal_hook::consts::SIGINT, interrupted)
        .context("take over Ctrl-C")?;
    let mut command = cargo(repository);
    command.args(["run", "--package", "segue", "--bin", "segue", "--", "demo"]);
    let given = arguments.rest.iter().any(|word| word.starts_with("--mysql-url"));
    let asks_help = arguments.rest.iter().any(|word| word == "--help" || word == "-h");
    let mut running = None;
    if !given && !asks_help {
        let server = start_mysql(steps)?;
        command.args(["--mysql-url", &server.url]);
        running = Some(server);
    }
    if !steps.openly("build", cargo(repository).args(["build", "--package", "segue"]))? {
        bail!("the program does not build");
    }
    let status = command.args(&arguments.rest).status().context("run the demo")?;
    drop(running);
    Ok(match status.code() {
        Some(0) => ExitCode::SUCCESS,
        Some(code) => ExitCode::from(u8::try_from(code).unwrap_or(1)),
        None => ExitCode::FAILURE,
    })
}

/// A MySQL for the time of the demo, from whatever source.
struct RunningMysql {
    url: String,
    _server: Option<ServerProcess>,
    _prepared: setup::Prepared,
}

fn start_mysql(steps: &Steps) -> Result<RunningMysql> {
    let prepared = setup::servers(steps, &[Kind::Mysql97]);
    let by_container = prepared.environment.iter().find(|(name, _)| *name == URL_VARIABLE);
    if let Some((_, url)) = by_container {
        let url = url.clone();
        return Ok(RunningMysql { url, _server: None, _prepared: prepared });
    }
    let (kind, installation) = match Installation::find(Kind::Mysql97) {
        Ok(installation) => (Kind::Mysql97, installation),
        // The demo is as true on MariaDB.
        Err(reason) => match Installation::find(Kind::MariaDb) {
            Ok(installation) => (Kind::MariaDb, installation),
            Err(other) => bail!("{reason}; {other}"),
        },
    };
    let scratch = steps.folder().join("servers");
    let server = steps.step(&format!("start {}", kind.name()), || {
        ServerProcess::start(kind, &installation, &scratch, &[])
    })?;
    let url = server.url().to_owned();
    Ok(RunningMysql { url, _server: Some(server), _prepared: prepared })
}
