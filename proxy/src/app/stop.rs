//! The graceful stop, in order and with deadlines.
//! Never here: signals (the command listens to them).

use std::time::Duration;

use segue_config::limits;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::handover::Successor;
use crate::dynamo::Store;
use crate::journal::Journal;
use crate::mirror::Mirror;
use crate::mysql::control::Control;
use crate::session::Drain;

/// What a running sidecar holds on to.
pub(super) struct Parts {
    pub sessions: JoinHandle<()>,
    /// The tasks of clients.
    pub clients: TaskTracker,
    pub tracker: TaskTracker,
    /// Cancelled when a part ends that must not.
    pub ended: CancellationToken,
    /// Cancelled when another process has the sockets.
    pub taken_over: CancellationToken,
    /// Tells that process, when it is dropped, that this one has ended.
    pub successor: Successor,
    pub drain: Drain,
    /// What clients get of it.
    pub drain_for: Duration,
    pub stop_rest: CancellationToken,
    pub mirror: Mirror,
    pub journal: Journal,
    pub control: Control,
    pub store: Store,
}

/// How a stop went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StopReport {
    /// Clients that were cut off at the deadline, in a statement or a transaction.
    pub cut_off: usize,
    /// Everything owed was applied; otherwise the rest is in the journal.
    pub settled: bool,
}

impl Parts {
    pub async fn stop(mut self) -> StopReport {
        let cut_off = self.let_clients_go().await;
        let taken_over = self.taken_over.is_cancelled();
        let seconds = match taken_over {
            true => limits::HANDOVER_MIRROR_SECONDS_MAX,
            false => limits::STOP_MIRROR_SECONDS_MAX,
        };
        let limit = Duration::from_secs(seconds);
        let settled = self.mirror.drain(limit).await;
        if !settled {
            tracing::warn!("work is still owed; the journal keeps it for the next start");
        }
        self.stop_rest.cancel();
        self.tracker.close();
        if tokio::time::timeout(limit, self.tracker.wait()).await.is_err() {
            tracing::warn!("some tasks did not end in time");
        }
        if let Err(error) = self.journal.close().await {
            tracing::error!(%error, "the journal could not be closed");
        }
        self.control.close().await;
        self.store.close().await;
        tracing::info!(cut_off, settled, taken_over, "segue stopped");
        drop(self.successor);
        StopReport { cut_off, settled }
    }

    /// Gives clients their time; returns how many had to be cut off.
    async fn let_clients_go(&mut self) -> usize {
        self.drain.begin();
        let half = self.drain_for / 2;
        if tokio::time::timeout(half, &mut self.sessions).await.is_ok() {
            return 0;
        }
        self.drain.hurry();
        if tokio::time::timeout(half, &mut self.sessions).await.is_ok() {
            return 0;
        }
        let cut_off = self.clients.len();
        // What they had not committed is rolled back by MySQL. Nothing may be committed from here on: it
        // could no longer be journaled.
        self.sessions.abort();
        let limit = Duration::from_secs(limits::CUT_OFF_SECONDS_MAX);
        if tokio::time::timeout(limit, self.clients.wait()).await.is_err() {
            tracing::warn!("some clients could not be cut off");
        }
        tracing::warn!(cut_off, "clients did not come to an end in time and were cut off");
        cut_off
    }
}
