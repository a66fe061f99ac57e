//! What can break, and whom it concerns.
//! Never here: breaking it (see `perform`), or when (see `plan`).

use std::fmt;
use std::time::Duration;

/// One thing that goes wrong, and for how long.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// Requests of one sidecar to DynamoDB fail as a script says.
    Script {
        sidecar: usize,
        rules: String,
        time: Duration,
    },
    KillSidecar {
        sidecar: usize,
        away: Duration,
    },
    KillEverySidecar {
        away: Duration,
    },
    PauseSidecar {
        sidecar: usize,
        time: Duration,
    },
    FullDisk {
        sidecar: usize,
        time: Duration,
    },
    KillEngine {
        away: Duration,
    },
    PauseEngine {
        time: Duration,
    },
    KillMysql,
    /// In order, with its own word to every connection.
    RestartMysql,
    CutWire {
        sidecar: usize,
    },
    /// MySQL does not hear of the end for so long.
    HalfOpenWire {
        sidecar: usize,
        time: Duration,
    },
    /// Packets are swallowed and nobody is told, for so long.
    SilentWire {
        sidecar: usize,
        time: Duration,
    },
    FreezeWire {
        sidecar: usize,
        time: Duration,
    },
    SlowWire {
        sidecar: usize,
        delay: Duration,
        time: Duration,
    },
    KillSessions,
    ReadOnly {
        time: Duration,
    },
    /// For accounts with every right too, where the server knows that.
    SuperReadOnly {
        time: Duration,
    },
    /// Longer than clients wait, sometimes.
    RowLocks {
        time: Duration,
    },
    /// Somebody locks rows in an order of his own, and has written too much to give way.
    Deadlocks {
        time: Duration,
    },
    /// A table's definition is the same afterwards, and its rows; snapshots of it are gone.
    RebuildTable {
        table: &'static str,
    },
    GlobalLock {
        time: Duration,
    },
}

impl Fault {
    /// For counting.
    pub fn name(&self) -> &'static str {
        match self {
            Fault::Script { .. } => "DynamoDB faults by script",
            Fault::KillSidecar { .. } => "kill -9 of a sidecar",
            Fault::KillEverySidecar { .. } => "kill -9 of every sidecar",
            Fault::PauseSidecar { .. } => "a sidecar stands still",
            Fault::FullDisk { .. } => "full disk of a sidecar",
            Fault::KillEngine { .. } => "kill -9 of DynamoDB",
            Fault::PauseEngine { .. } => "DynamoDB stands still",
            Fault::KillMysql => "kill -9 of MySQL",
            Fault::RestartMysql => "MySQL restarted",
            Fault::CutWire { .. } => "MySQL leg cut",
            Fault::HalfOpenWire { .. } => "MySQL leg half open",
            Fault::SilentWire { .. } => "MySQL leg silent",
            Fault::FreezeWire { .. } => "MySQL leg frozen",
            Fault::SlowWire { .. } => "MySQL leg slow",
            Fault::KillSessions => "sessions killed by MySQL",
            Fault::ReadOnly { .. } => "MySQL read-only",
            Fault::SuperReadOnly { .. } => "MySQL read-only for all",
            Fault::RowLocks { .. } => "rows locked",
            Fault::Deadlocks { .. } => "deadlocks",
            Fault::RebuildTable { .. } => "table rebuilt",
            Fault::GlobalLock { .. } => "global read lock",
        }
    }

    /// Processes that die of it, by `kill -9`.
    pub fn kills(&self) -> u64 {
        match self {
            Fault::KillSidecar { .. } | Fault::KillEngine { .. } | Fault::KillMysql => 1,
            Fault::KillEverySidecar { .. } => super::SIDECARS as u64,
            _ => 0,
        }
    }

    /// Whether clients of this sidecar may lose their connections by it.
    pub fn breaks_connections_of(&self, of: usize) -> bool {
        match self {
            Fault::KillSidecar { sidecar, .. }
            | Fault::CutWire { sidecar }
            | Fault::SilentWire { sidecar, .. }
            | Fault::HalfOpenWire { sidecar, .. } => *sidecar == of,
            Fault::KillEverySidecar { .. }
            | Fault::KillMysql
            | Fault::RestartMysql
            | Fault::KillSessions => true,
            _ => false,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Script { sidecar, rules, time } => {
                let rules = rules.replace("\n", " ").replace("[[rule]]", "|");
                write!(f, "sidecar {sidecar}: DynamoDB fails for {time:?}: {rules}")
            }
            other => write!(f, "{other:?}"),
        }
    }
}
