//! Reads a schema from `information_schema`, in a handful of queries for the whole schema.
//! Never here: judging the schema.

mod assemble;
mod column;
mod data_type;

use segue_rules::catalog::{Catalog, ServerKind};
use segue_rules::value::{Cell, Row};

use super::{Control, ControlError};
use assemble::Parts;

const SERVER: &str = "SELECT VERSION(), @@lower_case_table_names";

const SCHEMA: &str = "SELECT schema_name FROM information_schema.schemata WHERE schema_name = ?";

const TABLES: &str = "SELECT table_name, table_type, engine FROM information_schema.tables \
    WHERE table_schema = ?";

const COLUMNS: &str = "SELECT table_name, column_name, column_type, is_nullable, column_default, \
    extra, character_set_name, collation_name FROM information_schema.columns \
    WHERE table_schema = ? ORDER BY table_name, ordinal_position";

/// `column_name` is NULL for a functional key part (MySQL 8.0.13 and later).
const KEYS: &str = "SELECT table_name, index_name, column_name, sub_part \
    FROM information_schema.statistics WHERE table_schema = ? AND non_unique = 0 \
    ORDER BY table_name, index_name, seq_in_index";

/// MariaDB's constraint names are unique in a table only, so the table belongs to the join. It hides the
/// actions from accounts with too few privileges: the outer join makes that visible.
const FOREIGN_KEYS: &str = "SELECT k.table_name, k.constraint_name, k.column_name, \
    k.referenced_table_schema, k.referenced_table_name, k.referenced_column_name, r.delete_rule, \
    r.update_rule FROM information_schema.key_column_usage k \
    LEFT JOIN information_schema.referential_constraints r \
    ON r.constraint_schema = ? AND r.constraint_name = k.constraint_name \
    AND r.table_name = k.table_name \
    WHERE k.table_schema = ? AND k.referenced_table_name IS NOT NULL \
    ORDER BY k.table_name, k.constraint_name, k.ordinal_position";

const TRIGGERS: &str = "SELECT event_object_table, trigger_name, event_manipulation, action_timing, \
    action_statement FROM information_schema.triggers WHERE event_object_schema = ? \
    ORDER BY event_object_table, action_timing, event_manipulation, action_order";

/// MariaDB's JSON is LONGTEXT with this check.
const JSON_CHECKS: &str = "SELECT table_name, check_clause FROM \
    information_schema.check_constraints WHERE constraint_schema = ?";

impl Control {
    /// Reads the schema. The account sees only what it has privileges on (see `grants_check`).
    pub async fn catalog(&self, database: &str) -> Result<Catalog, ControlError> {
        let mut session = self.connection().await?;
        let server = session.execute(SERVER, vec![]).await?;
        let Some([version, lower_case]) = server.first().map(Vec::as_slice) else {
            return Err(ControlError::Transient("no answer to a version query".to_owned()));
        };
        if session.execute(SCHEMA, vec![database.into()]).await?.is_empty() {
            return Err(ControlError::Rejected(format!(
                "there is no database {database}, or the account has no privilege on it"
            )));
        }
        let mut parts = Parts {
            database: database.to_owned(),
            lower_case_table_names: number(lower_case).and_then(|n| n.try_into().ok()).unwrap_or(0),
            tables: session.execute(TABLES, vec![database.into()]).await?,
            columns: session.execute(COLUMNS, vec![database.into()]).await?,
            keys: session.execute(KEYS, vec![database.into()]).await?,
            foreign_keys: session
                .execute(FOREIGN_KEYS, vec![database.into(), database.into()])
                .await?,
            triggers: session.execute(TRIGGERS, vec![database.into()]).await?,
            json_checks: Vec::new(),
            version: text(version).unwrap_or_default(),
            server: self.server(),
        };
        if parts.server == ServerKind::MariaDb {
            parts.json_checks = session.execute(JSON_CHECKS, vec![database.into()]).await?;
        }
        assemble::catalog(parts)
    }
}

/// Text of a cell; `information_schema` returns some text columns as binary.
pub(super) fn text(cell: &Cell) -> Option<String> {
    match cell {
        Cell::Text(text) => Some(text.clone()),
        Cell::Bytes(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        _ => None,
    }
}

fn number(cell: &Cell) -> Option<u64> {
    match cell {
        Cell::UInt(number) => Some(*number),
        Cell::Int(number) => u64::try_from(*number).ok(),
        _ => None,
    }
}

/// Text at a position of a row, empty where NULL.
fn word(row: &Row, position: usize) -> String {
    row.get(position).and_then(text).unwrap_or_default()
}
