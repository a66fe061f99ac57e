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

/// Why a table may not go from one phase to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PhaseStepRefused {
    #[error("from `{from}` the next phase is `{next}`; `{to}` would jump over it")]
    Jump { from: Phase, next: Phase, to: Phase },
    #[error("MySQL lacks the writes of `dynamodb-only`, so there is no way back to `{to}`")]
    NoWayBack { to: Phase },
}

/// Forward only to the neighbour, because sidecars change one after the other and only neighbouring
/// phases agree on where data is. Back always, but not from `dynamodb-only`.
pub fn change_allowed(from: Phase, to: Phase) -> Result<(), PhaseStepRefused> {
    if from == Phase::DynamodbOnly && to < from {
        return Err(PhaseStepRefused::NoWayBack { to });
    }
    let next = Phase::ALL.into_iter().find(|phase| *phase > from);
    match next {
        Some(next) if to > next => Err(PhaseStepRefused::Jump { from, next, to }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forward_goes_only_to_the_neighbour() {
        for (index, from) in Phase::ALL.into_iter().enumerate() {
            for (target, to) in Phase::ALL.into_iter().enumerate().skip(index) {
                assert_eq!(change_allowed(from, to).is_ok(), target <= index + 1, "{from} {to}");
            }
        }
    }

    #[test]
    fn back_is_allowed_except_from_dynamodb_only() {
        assert!(change_allowed(Phase::DynamodbPrimary, Phase::MysqlOnly).is_ok());
        assert!(change_allowed(Phase::DynamodbOnly, Phase::DynamodbPrimary).is_err());
    }
}
