//! How long a debt waits for what may still come: a commit that nobody saw end, because MySQL may still
//! work on it, or writes that nobody answered.
//! Never here: reading MySQL's list of connections, clocks.
//!
//! ```text
//! waiting --all has come----------------------------------> expanded, settled as any other
//!         --not yet--> expanded early, and again while its connection stays
//!                        --all has come or too late--> expanded once more, settled
//! ```

use std::time::Duration;

/// What is known of the connection that commits the debt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sight {
    /// There is none, or it has left the server: its last statement has ended.
    Gone,
    There,
    /// Other accounts' connections are hidden: time alone tells.
    Hidden,
    /// MySQL does not answer now.
    Nothing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    Wait,
    /// Refresh what is committed already, and go on waiting.
    Early,
    /// Refresh and settle: everything that may come has come.
    Settle,
    /// The same, though it has not.
    TooLate,
}

/// Behind a half-open leg a connection may stay for hours after its last commit. What it has committed is
/// refreshed when it has waited so long, and then each time the wait has doubled.
const EARLY_AGAIN: Duration = Duration::from_secs(1);

/// The wait of one debt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Patience {
    /// When it is refreshed before its end, so that what is committed already need not wait.
    early: Option<Duration>,
}

impl Default for Patience {
    fn default() -> Self {
        Patience { early: Some(Duration::ZERO) }
    }
}

impl Patience {
    /// The wait of a debt that nothing is to be gained for before its end.
    pub fn to_the_end() -> Patience {
        Patience { early: None }
    }

    /// `late_writes`: a write that was not answered may still arrive. `grace`: after this, a hidden
    /// connection counts as gone. `longest`: nothing is owed for ever.
    pub fn judge(
        &mut self,
        sight: Sight,
        late_writes: bool,
        waited: Duration,
        grace: Duration,
        longest: Duration,
    ) -> Verdict {
        let ended = match sight {
            Sight::Nothing => return Verdict::Wait,
            Sight::Gone => true,
            Sight::There => false,
            Sight::Hidden => waited >= grace,
        };
        match ended && !late_writes {
            true => Verdict::Settle,
            false if waited >= longest => Verdict::TooLate,
            false => self.refresh_early(ended, waited),
        }
    }

    fn refresh_early(&mut self, ended: bool, waited: Duration) -> Verdict {
        if self.early.is_none_or(|early| waited < early) {
            return Verdict::Wait;
        }
        // Nothing is committed any more once the connection is gone.
        self.early = (!ended).then(|| EARLY_AGAIN.max(waited * 2));
        Verdict::Early
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_secs(60);
    const LONGEST: Duration = Duration::from_secs(3_600);

    fn judge(patience: &mut Patience, sight: Sight, late_writes: bool, seconds: u64) -> Verdict {
        patience.judge(sight, late_writes, Duration::from_secs(seconds), GRACE, LONGEST)
    }

    #[test]
    fn a_debt_is_settled_once_its_connection_is_gone() {
        let mut patience = Patience::default();
        let mut judge = |sight, seconds| judge(&mut patience, sight, false, seconds);
        assert_eq!(judge(Sight::Nothing, 9_999), Verdict::Wait);
        assert_eq!(judge(Sight::There, 1), Verdict::Early);
        assert_eq!(judge(Sight::There, 1), Verdict::Wait);
        assert_eq!(judge(Sight::There, 3_600), Verdict::TooLate);
        assert_eq!(judge(Sight::Gone, 2), Verdict::Settle);
    }

    #[test]
    fn a_connection_that_stays_is_looked_after_again_and_again() {
        let mut patience = Patience::default();
        let mut judge = |seconds| judge(&mut patience, Sight::There, false, seconds);
        let early: Vec<u64> = (0..100).filter(|s| judge(*s) == Verdict::Early).collect();
        assert_eq!(early, [0, 1, 2, 4, 8, 16, 32, 64]);
    }

    #[test]
    fn a_hidden_connection_is_given_its_time() {
        let mut patience = Patience::default();
        let mut judge = |seconds| judge(&mut patience, Sight::Hidden, false, seconds);
        assert_eq!(judge(59), Verdict::Early);
        assert_eq!(judge(59), Verdict::Wait);
        assert_eq!(judge(60), Verdict::Settle);
    }

    #[test]
    fn a_debt_waits_for_writes_that_may_arrive() {
        let mut patience = Patience::default();
        assert_eq!(judge(&mut patience, Sight::Gone, true, 1), Verdict::Early);
        assert_eq!(judge(&mut patience, Sight::Gone, true, 1), Verdict::Wait);
        assert_eq!(judge(&mut patience, Sight::Gone, false, 1), Verdict::Settle);
        assert_eq!(judge(&mut Patience::to_the_end(), Sight::Gone, true, 1), Verdict::Wait);
    }
}
