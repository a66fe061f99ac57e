//! The migration contract: raw dialects in, a checked `Contract` out, every fault at once.
//! Never here: SQL generation (see `entity`) or file access.

use serde::Serialize;

/// How serious a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Warning,
    Error,
}

/// One fault or warning of a contract, with the place and a remedy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub severity: Severity,
    /// Stable code, for example `C012-key-nullable`; every code is documented in the reference.
    pub code: &'static str,
    /// JSON path, for example `$.tables[0].entities[1].attributes[3].join.join_condition`.
    pub path: String,
    pub message: String,
    pub hint: String,
}
