//! The migration contract: raw dialects in, a checked `Contract` out, every fault at once.
//! Never here: SQL generation (see `entity`) or file access.

mod check;
pub mod codes;
mod dialect_a;
mod dialect_b;
mod expression;
mod findings;
mod format;
mod join;
mod lexer;
mod model;
mod node;
mod template;

use serde::Serialize;

pub use codes::Code;
pub(crate) use expression::quote_text;
pub use expression::{ColumnName, Expression};
pub(crate) use findings::Findings;
pub use format::{DateFormat, Moment, NumberFormat};
pub use model::*;
pub use template::{Template, TemplatePart};

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

/// Reads a contract of either dialect, told apart by shape: an array of tables is dialect A, an
/// object with `tables` is dialect B. The contract holds what could be read; it must not be used
/// when the findings have an error.
pub fn parse(text: &str) -> (Contract, Vec<Finding>) {
    let mut findings = Findings::default();
    let contract = parse_into(text, &mut findings);
    (contract, findings.into_vec())
}

pub(crate) fn parse_into(text: &str, findings: &mut Findings) -> Contract {
    let value: serde_json::Value = match serde_json::from_str(text) {
        Ok(value) => value,
        Err(error) => {
            let place = format!("line {} column {}", error.line(), error.column());
            findings.report(&codes::JSON_SYNTAX, "$", format!("{place}: {error}"));
            return Contract::default();
        }
    };
    let contract = match &value {
        serde_json::Value::Array(entries) => dialect_a::read(entries, findings),
        serde_json::Value::Object(map) if map.contains_key("tables") => {
            dialect_b::read(&value, findings)
        }
        _ => {
            findings.report(
                &codes::SHAPE,
                "$",
                "neither an array of tables nor an object with `tables`".to_owned(),
            );
            return Contract::default();
        }
    };
    check::check(&contract, findings);
    contract
}
