//! The stages of a graceful stop, as sessions see them.
//! Never here: how long a stage lasts (see `app`).

use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// Tells sessions to come to their end. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Drain {
    /// Without a statement for so long a client is idle.
    idle: Duration,
    begun: CancellationToken,
    hurried: CancellationToken,
}

impl Drain {
    pub fn new(idle: Duration) -> Self {
        Drain { idle, begun: CancellationToken::new(), hurried: CancellationToken::new() }
    }

    /// No new clients; those that are idle for a moment are let go.
    pub fn begin(&self) {
        self.begun.cancel();
    }

    /// Half of the time is over: every client without a transaction is let go after its statement.
    pub fn hurry(&self) {
        self.begun.cancel();
        self.hurried.cancel();
    }

    pub fn has_begun(&self) -> bool {
        self.begun.is_cancelled()
    }

    pub async fn begun(&self) {
        self.begun.cancelled().await;
    }

    /// Ends when a client that has been idle since the call may be let go.
    pub async fn let_go(&self) {
        self.begun.cancelled().await;
        // A client in the middle of its work sends its next statement sooner.
        let _ = tokio::time::timeout(self.idle, self.hurried.cancelled()).await;
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[tokio::test]
    async fn idle_clients_are_let_go_when_the_drain_begins() {
        let drain = Drain::new(Duration::ZERO);
        let wait = Duration::from_millis(50);
        assert!(timeout(wait, drain.let_go()).await.is_err(), "it has not begun");
        drain.begin();
        timeout(HOUR, drain.let_go()).await.expect("nothing is waited for");
    }

    #[tokio::test]
    async fn a_hurry_waits_for_nobody_to_fall_idle() {
        let drain = Drain::new(HOUR);
        drain.hurry();
        timeout(HOUR, drain.let_go()).await.expect("nothing is waited for");
        assert!(drain.has_begun());
    }
}
