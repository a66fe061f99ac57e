//! The five phases, their order and which changes between them are allowed.
//! Never here: where a phase is stored or who asked for a change.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::value::TableName;

/// The phase of one MySQL table.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    #[default]
    MysqlOnly,
    DualWrite,
    DualRead,
    DynamodbPrimary,
    DynamodbOnly,
}

/// A checked phases file: the default and the tables that differ from it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PhaseMap {
    pub default: Phase,
    pub tables: BTreeMap<TableName, Phase>,
}

impl Phase {
    pub const ALL: [Phase; 5] = [
        Phase::MysqlOnly,
        Phase::DualWrite,
        Phase::DualRead,
        Phase::DynamodbPrimary,
        Phase::DynamodbOnly,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Phase::MysqlOnly => "mysql-only",
            Phase::DualWrite => "dual-write",
            Phase::DualRead => "dual-read",
            Phase::DynamodbPrimary => "dynamodb-primary",
            Phase::DynamodbOnly => "dynamodb-only",
        }
    }

    /// Writes of the table are captured and mirrored.
    pub fn mirrors(self) -> bool {
        self != Phase::MysqlOnly
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is no phase.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a phase; use mysql-only, dual-write, dual-read, dynamodb-primary or dynamodb-only"
)]
pub struct UnknownPhase(pub String);

impl FromStr for Phase {
    type Err = UnknownPhase;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Phase::ALL
            .into_iter()
            .find(|phase| phase.name() == text)
            .ok_or_else(|| UnknownPhase(text.to_owned()))
    }
}

impl PhaseMap {
    pub fn of(&self, table: &str) -> Phase {
        self.tables.get(table).copied().unwrap_or(self.default)
    }

    /// Whether no table is in a phase that needs statements to be planned.
    pub fn all_mysql_only(&self) -> bool {
        self.default == Phase::MysqlOnly && self.tables.values().all(|p| *p == Phase::MysqlOnly)
    }
}

/// A change of phase that is not allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransitionRefused {
    #[error("from {from} to {to} jumps over {next}; set {next} first")]
    Jump { from: Phase, to: Phase, next: Phase },
    #[error("dynamodb-only has no way back: MySQL no longer has the rows")]
    NoWayBack,
}

impl Phase {
    /// The phase after this one.
    pub fn next(self) -> Option<Phase> {
        Phase::ALL.into_iter().find(|phase| *phase > self)
    }

    /// Whether a table may go from this phase to another: forward to the neighbour only, so that
    /// sidecars that have not yet changed are compatible; back from any phase but the last.
    pub fn check_transition(self, to: Phase) -> Result<(), TransitionRefused> {
        match self.next() {
            _ if to == self => Ok(()),
            None => Err(TransitionRefused::NoWayBack),
            Some(_) if to < self => Ok(()),
            Some(next) if to == next => Ok(()),
            Some(next) => Err(TransitionRefused::Jump { from: self, to, next }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_neighbour_is_reached_forward_and_any_phase_backward() {
        for from in Phase::ALL {
            for to in Phase::ALL {
                let (a, b) = (from as usize, to as usize);
                let allowed = b == a || b == a + 1 || (b < a && from != Phase::DynamodbOnly);
                assert_eq!(from.check_transition(to).is_ok(), allowed, "{from} -> {to}");
            }
        }
    }

    #[test]
    fn names_are_read_back() {
        for phase in Phase::ALL {
            assert_eq!(phase.name().parse(), Ok(phase));
        }
        assert!("dual".parse::<Phase>().is_err());
    }

    #[test]
    fn a_table_without_an_entry_has_the_default_phase() {
        let mut phases = PhaseMap::default();
        assert!(phases.all_mysql_only());
        phases.tables.insert("users".into(), Phase::DualWrite);
        assert_eq!(phases.of("users"), Phase::DualWrite);
        assert_eq!(phases.of("orders"), Phase::MysqlOnly);
        assert!(!phases.all_mysql_only());
    }
}
