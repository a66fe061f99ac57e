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
#[error("`{0}` is not a phase; use mysql-only, dual-write, dual-read, dynamodb-primary or dynamodb-only")]
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
