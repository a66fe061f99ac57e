//! The graceful stop, in order and with deadlines.
//! Never here: signals (the command listens to them).

use std::sync::Arc;
use std::time::Duration;

use segue_config::limits;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::control::Live;
use crate::dynamo::Store;
use crate::journal::Journal;
use crate::mirror::Mirror;
use crate::mysql::control::Control;

/// What a running sidecar holds on to.
pub(super) struct Parts {
    pub sessions: JoinHandle<()>,
    pub tracker: TaskTracker,
    /// Cancelled when a part ends that must not.
    pub ended: CancellationToken,
    pub stop_sessions: CancellationToken,
    pub stop_rest: CancellationToken,
    pub mirror: Mirror,
    pub journal: Journal,
    pub control: Control,
    pub store: Store,
    pub live: Arc<Live>,
}

/// How a stop went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StopReport {
    /// Statements and transactions that were cut off at the deadline.
    pub cut_off: usize,
    /// Everything owed was applied; otherwise the rest is in the journal.
    pub settled: bool,
}

impl Parts {
    pub async fn stop(self) -> StopReport {
        self.stop_sessions.cancel();
        let limit = Duration::from_secs(limits::STOP_STATEMENTS_SECONDS_MAX);
        let mut sessions = self.sessions;
        let mut cut_off = 0;
        if tokio::time::timeout(limit, &mut sessions).await.is_err() {
            cut_off = self.live.active();
            sessions.abort();
            tracing::warn!(cut_off, "statements did not finish in time and are cut off");
        }
        let limit = Duration::from_secs(limits::STOP_MIRROR_SECONDS_MAX);
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
        tracing::info!(cut_off, settled, "segue stopped");
        StopReport { cut_off, settled }
    }
}
