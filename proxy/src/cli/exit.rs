//! How the process exits.
//! Never here: printing.

use std::process::ExitCode;

use crate::app::FaultKind;

/// The exit codes, documented in `--help` and `docs/reference/exit-codes.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    Done,
    /// Differences were found, or a change was refused.
    Differences,
    BadConfiguration,
    Unreachable,
    /// Long work was interrupted, and goes on when it is started again.
    Interrupted,
}

impl Exit {
    pub const ALL: [Exit; 5] = [
        Exit::Done,
        Exit::Differences,
        Exit::BadConfiguration,
        Exit::Unreachable,
        Exit::Interrupted,
    ];

    pub fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Differences => 1,
            Exit::BadConfiguration => 2,
            Exit::Unreachable => 3,
            Exit::Interrupted => 4,
        }
    }
}

impl From<FaultKind> for Exit {
    fn from(kind: FaultKind) -> Exit {
        match kind {
            FaultKind::Differences => Exit::Differences,
            FaultKind::Configuration => Exit::BadConfiguration,
            FaultKind::Unreachable => Exit::Unreachable,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::Fault;
    use crate::dynamo::{Arrival, StoreError};
    use crate::journal::JournalError;
    use crate::mysql::control::ControlError;

    #[test]
    fn exits_have_the_documented_codes() {
        assert_eq!(Exit::ALL.map(Exit::code), [0, 1, 2, 3, 4]);
    }

    #[test]
    fn silent_stores_exit_3_and_refusing_ones_2() {
        let code = |fault: Fault| Exit::from(fault.kind).code();
        assert_eq!(code(ControlError::Transient("refused".into()).into()), 3);
        assert_eq!(code(ControlError::Rejected("denied".into()).into()), 2);
        let table = || "t".to_owned();
        let reason = || "r".to_owned();
        let transient = StoreError::Transient {
            operation: "PutItem",
            table: table(),
            reason: reason(),
            arrival: Arrival::Over,
            throttled: false,
        };
        assert_eq!(code(transient.into()), 3);
        let rejected = StoreError::Rejected {
            operation: "PutItem",
            table: table(),
            code: "AccessDenied".into(),
            reason: reason(),
        };
        assert_eq!(code(rejected.into()), 2);
        assert_eq!(code(JournalError::InUse { path: "var/journal".into() }.into()), 2);
    }
}
