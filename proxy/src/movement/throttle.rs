//! Limits on how fast a table is gone through.
//! Never here: what the limits are, adaptation to DynamoDB's throttling (see `segue_rules::owed`).

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Unused time that may be made up for, so that a burst after a wait stays small.
const BURST: Duration = Duration::from_millis(250);

/// Lets so many units a second through.
#[derive(Debug)]
pub struct Throttle {
    /// `None`: as many as come.
    per_second: Option<f64>,
    /// When the next unit may go.
    next: Option<Instant>,
}

impl Throttle {
    pub fn new(per_second: Option<f64>) -> Throttle {
        Throttle { per_second, next: None }
    }

    /// Waits until `count` more units may go, or the work is to stop. They are let through as a whole, and paid
    /// for afterwards.
    pub async fn pass(&mut self, count: f64, stop: &CancellationToken) {
        let Some(wait) = self.take(count, Instant::now()) else { return };
        let _ = stop.run_until_cancelled(tokio::time::sleep(wait)).await;
    }

    fn take(&mut self, count: f64, now: Instant) -> Option<Duration> {
        let per_second = self.per_second?;
        let next = self.next.unwrap_or(now).max(now - BURST);
        self.next = Some(next + Duration::from_secs_f64(count / per_second));
        let wait = next.saturating_duration_since(now);
        (!wait.is_zero()).then_some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_pass_at_their_rate() {
        let (mut throttle, begin) = (Throttle::new(Some(100.0)), Instant::now());
        assert_eq!(throttle.take(50.0, begin), None);
        assert_eq!(throttle.take(50.0, begin), Some(Duration::from_millis(500)));
        assert_eq!(throttle.take(1.0, begin + Duration::from_secs(1)), None);
        // Little of an idle minute is made up for.
        let late = begin + Duration::from_secs(60);
        assert_eq!(throttle.take(25.0, late), None);
        assert_eq!(throttle.take(10.0, late), None);
        assert_eq!(throttle.take(1.0, late), Some(Duration::from_millis(100)));
        assert_eq!(Throttle::new(None).take(1e9, begin), None);
    }
}
