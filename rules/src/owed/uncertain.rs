//! How long a debt waits whose commit nobody saw end: MySQL may still work on it.
//! Never here: reading MySQL's list of connections.
//!
//! ```text
//! waiting --connection gone----------------------------------> expanded, settled as any other
//!         --still there--> expanded early --...--gone or late--> expanded again, settled
//! ```

use std::time::Duration;

/// What a look at the server showed of the debt's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sight {
    /// It has left the server: its last statement has ended.
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
    /// Refresh and settle: every commit that may come has come.
    Settle,
    /// The same, though the connection is still there.
    TooLate,
}

/// The wait of one debt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Patience {
    /// It has been refreshed once, so that what is committed already need not wait.
    early: bool,
}

impl Patience {
    /// `grace`: after this, a hidden connection counts as gone. `longest`: nothing is owed for ever.
    pub fn judge(
        &mut self,
        sight: Sight,
        waited: Duration,
        grace: Duration,
        longest: Duration,
    ) -> Verdict {
        match sight {
            Sight::Nothing => Verdict::Wait,
            Sight::Gone => Verdict::Settle,
            Sight::Hidden if waited >= grace => Verdict::Settle,
            _ if waited >= longest => Verdict::TooLate,
            _ if std::mem::replace(&mut self.early, true) => Verdict::Wait,
            _ => Verdict::Early,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_secs(60);
    const LONGEST: Duration = Duration::from_secs(3_600);

    #[test]
    fn a_debt_is_settled_once_its_connection_is_gone() {
        let mut patience = Patience::default();
        let mut judge =
            |sight, seconds| patience.judge(sight, Duration::from_secs(seconds), GRACE, LONGEST);
        assert_eq!(judge(Sight::Nothing, 9_999), Verdict::Wait);
        assert_eq!(judge(Sight::There, 1), Verdict::Early);
        assert_eq!(judge(Sight::There, 3_599), Verdict::Wait);
        assert_eq!(judge(Sight::There, 3_600), Verdict::TooLate);
        assert_eq!(judge(Sight::Gone, 2), Verdict::Settle);
    }

    #[test]
    fn a_hidden_connection_is_given_its_time() {
        let mut patience = Patience::default();
        let mut judge =
            |seconds| patience.judge(Sight::Hidden, Duration::from_secs(seconds), GRACE, LONGEST);
        assert_eq!(judge(59), Verdict::Early);
        assert_eq!(judge(59), Verdict::Wait);
        assert_eq!(judge(60), Verdict::Settle);
    }
}
