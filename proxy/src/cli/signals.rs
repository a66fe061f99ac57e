//! The signals that ask a command to end.
//! Never here: what a command does then.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::app::Fault;

/// SIGTERM or SIGINT.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub fn new() -> Result<Signals, Fault> {
        let on = |kind| {
            signal(kind).map_err(|error| {
                Fault::configuration(format!("signals cannot be received: {error}"), "", "")
            })
        };
        Ok(Signals {
            terminate: on(SignalKind::terminate())?,
            interrupt: on(SignalKind::interrupt())?,
        })
    }

    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
