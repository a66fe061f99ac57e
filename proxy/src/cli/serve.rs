//! `segue serve`: runs until a signal, then stops gracefully; a second signal stops at once.
//! Never here: the order of start and stop (`app`).

use super::signals::Signals;
use super::{Common, Exit};
use crate::app::{self, AppOptions, Ended, Fault, FaultKind};

#[derive(clap::Args, Debug)]
pub(super) struct Arguments {
    #[command(flatten)]
    common: Common,
    /// Take the clients of the process that serves now with the same journal: it gives its listening
    /// sockets, finishes its transactions and ends. Without such a process an ordinary start
    #[arg(long)]
    take_over: bool,
}

pub(super) async fn run(arguments: &Arguments) -> Result<Exit, Fault> {
    let settings = arguments.common.settings()?;
    let options = AppOptions { take_over: arguments.take_over, ..AppOptions::default() };
    let mut signals = Signals::new()?;
    let running = tokio::select! {
        running = app::start_with(settings, options) => running?,
        () = signals.next() => return Ok(Exit::Done),
    };
    let asked = tokio::select! {
        () = signals.next() => true,
        ended = running.wait() => ended == Ended::TakenOver,
    };
    tracing::info!("stopping; a second signal stops at once");
    tokio::select! {
        _ = running.stop() => {}
        () = signals.next() => {
            tracing::warn!("stopped at once; what is owed stays in the journal");
        }
    }
    if asked {
        return Ok(Exit::Done);
    }
    Err(Fault::new(FaultKind::Unreachable, "a part of the sidecar ended", "", "look at the log"))
}
