//! What the server says about itself.
//! Never here: judging it.

use std::collections::BTreeMap;

use segue_rules::catalog::ServerKind;

use super::catalog::text;
use super::{Control, ControlError};

/// Facts that preflight and reports need. Settings are the global ones: what the application's sessions
/// start with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerFacts {
    pub kind: ServerKind,
    /// For example `9.7.0` or `10.11.6-MariaDB`.
    pub version: String,
    pub server_id: u64,
    /// `server_uuid` (MySQL) or `server_uid` (MariaDB 11 and some 10): tells two servers apart.
    pub server_uuid: Option<String>,
    pub lower_case_table_names: u8,
    pub sql_mode: String,
    pub auto_increment_increment: u64,
    pub auto_increment_offset: u64,
    pub read_only: bool,
    pub binary_log: bool,
    /// `ROW`, `MIXED`, `STATEMENT`; empty where there is no such variable.
    pub binlog_format: String,
    pub binlog_row_image: String,
    pub time_zone: String,
    pub transaction_isolation: String,
    pub max_connections: u64,
}

const VARIABLES: &[&str] = &[
    "version",
    "version_comment",
    "server_id",
    "server_uuid",
    "server_uid",
    "lower_case_table_names",
    "sql_mode",
    "auto_increment_increment",
    "auto_increment_offset",
    "read_only",
    "log_bin",
    "binlog_format",
    "binlog_row_image",
    "time_zone",
    "transaction_isolation",
    "tx_isolation",
    "max_connections",
];

impl Control {
    /// Asks the server for its version, identity and settings.
    pub async fn server_facts(&self) -> Result<ServerFacts, ControlError> {
        let names: Vec<String> = VARIABLES.iter().map(|name| format!("'{name}'")).collect();
        let sql = format!("SHOW GLOBAL VARIABLES WHERE Variable_name IN ({})", names.join(","));
        let rows = self.connection().await?.query(&sql).await?;
        let variables: BTreeMap<String, String> = rows
            .iter()
            .filter_map(|row| Some((text(row.first()?)?.to_ascii_lowercase(), text(row.get(1)?)?)))
            .collect();
        Ok(facts(&variables))
    }
}

pub(super) fn server_kind(version: &str, comment: &str) -> ServerKind {
    let maria = |text: &str| text.to_ascii_lowercase().contains("mariadb");
    if maria(version) || maria(comment) { ServerKind::MariaDb } else { ServerKind::MySql }
}

fn facts(variables: &BTreeMap<String, String>) -> ServerFacts {
    let word = |name: &str| variables.get(name).cloned().unwrap_or_default();
    let number = |name: &str| word(name).parse().unwrap_or(0);
    let first = |names: [&str; 2]| names.iter().find_map(|name| variables.get(*name).cloned());
    let on = |name: &str| matches!(word(name).to_ascii_uppercase().as_str(), "ON" | "1");
    ServerFacts {
        kind: server_kind(&word("version"), &word("version_comment")),
        version: word("version"),
        server_id: number("server_id"),
        server_uuid: first(["server_uuid", "server_uid"]),
        lower_case_table_names: word("lower_case_table_names").parse().unwrap_or(0),
        sql_mode: word("sql_mode"),
        auto_increment_increment: number("auto_increment_increment").max(1),
        auto_increment_offset: number("auto_increment_offset").max(1),
        read_only: on("read_only"),
        binary_log: on("log_bin"),
        binlog_format: word("binlog_format"),
        binlog_row_image: word("binlog_row_image"),
        time_zone: word("time_zone"),
        transaction_isolation: first(["transaction_isolation", "tx_isolation"]).unwrap_or_default(),
        max_connections: number("max_connections"),
    }
}
