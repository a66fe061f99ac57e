//! How long a client has sent nothing.
//! Never here: what is then done.

use std::pin::Pin;
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// Runs out when no command has begun for so long. A command costs a look at the clock, no timer.
pub struct IdleTimer {
    limit: Duration,
    since: Instant,
    sleep: Pin<Box<Sleep>>,
}

impl IdleTimer {
    pub fn new(limit: Duration) -> Self {
        let since = Instant::now();
        IdleTimer { limit, since, sleep: Box::pin(sleep_until(since + limit)) }
    }

    /// The client is idle from now on.
    pub fn begin(&mut self) {
        self.since = Instant::now();
    }

    /// Cancel safe.
    pub async fn over(&mut self) {
        loop {
            self.sleep.as_mut().await;
            let due = self.since + self.limit;
            if due <= Instant::now() {
                return;
            }
            self.sleep.as_mut().reset(due);
        }
    }
}
