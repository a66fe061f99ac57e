//! Rows of `information_schema` put together to a `Catalog`.
//! Never here: queries.

use std::collections::BTreeMap;
use std::sync::Arc;

use segue_rules::catalog::{
    Catalog, ForeignKey, ReferentialAction, ServerKind, Table, TableKind, Trigger, UniqueKey,
};
use segue_rules::value::{Cell, Row, TableName};

use super::column::{column, is_json_check};
use super::{text, word};
use crate::mysql::control::ControlError;

/// Raw rows, in the column order of the queries.
pub(super) struct Parts {
    pub database: String,
    pub server: ServerKind,
    pub version: String,
    pub lower_case_table_names: u8,
    pub tables: Vec<Row>,
    pub columns: Vec<Row>,
    pub keys: Vec<Row>,
    pub foreign_keys: Vec<Row>,
    pub triggers: Vec<Row>,
    pub json_checks: Vec<Row>,
}

type Tables = BTreeMap<TableName, Table>;

pub(super) fn catalog(parts: Parts) -> Result<Catalog, ControlError> {
    let mut tables = tables(&parts.tables);
    for row in &parts.columns {
        // A table made since the first query is left out.
        let Some(table) = tables.get_mut(word(row, 0).as_str()) else { continue };
        let name = word(row, 1);
        let json = parts
            .json_checks
            .iter()
            .any(|check| word(check, 0) == *table.name && is_json_check(&word(check, 1), &name));
        table.columns.push(column(row, parts.server, json));
    }
    keys(&mut tables, &parts.keys)?;
    foreign_keys(&mut tables, &parts)?;
    for row in &parts.triggers {
        if let Some(table) = tables.get_mut(word(row, 0).as_str()) {
            table.triggers.push(Trigger {
                name: word(row, 1),
                event: word(row, 2),
                timing: word(row, 3),
                body: word(row, 4),
            });
        }
    }
    Ok(Catalog {
        database: parts.database,
        server: parts.server,
        version: parts.version,
        lower_case_table_names: parts.lower_case_table_names,
        tables,
    })
}

fn tables(rows: &[Row]) -> Tables {
    let mut tables = BTreeMap::new();
    for row in rows {
        let kind = match word(row, 1).as_str() {
            "VIEW" | "SYSTEM VIEW" => TableKind::View,
            // MariaDB's sequences are listed too; nobody maps them.
            "SEQUENCE" => continue,
            _ => TableKind::Base,
        };
        let name: TableName = Arc::from(word(row, 0));
        let table = Table {
            name: Arc::clone(&name),
            kind,
            engine: word(row, 2),
            columns: Vec::new(),
            primary_key: Vec::new(),
            unique_keys: Vec::new(),
            foreign_keys: Vec::new(),
            triggers: Vec::new(),
        };
        tables.insert(name, table);
    }
    tables
}

fn keys(tables: &mut Tables, rows: &[Row]) -> Result<(), ControlError> {
    for row in rows {
        let Some(table) = tables.get_mut(word(row, 0).as_str()) else { continue };
        let name = word(row, 1);
        let part = row.get(2).and_then(text);
        let whole = part.is_some() && row.get(3).is_none_or(|prefix| *prefix == Cell::Null);
        let position = part.as_deref().map(|part| position(table, part)).transpose()?;
        if name == "PRIMARY" && whole {
            table.primary_key.extend(position);
            continue;
        }
        // Parts come in order, so a key's parts stand together. A primary key over a prefix identifies
        // rows no better than a unique one: it is kept as such, and never used as a row key.
        if table.unique_keys.last().is_none_or(|key| key.name != name) {
            table.unique_keys.push(UniqueKey { name, columns: Vec::new(), exact: true });
        }
        if let Some(key) = table.unique_keys.last_mut() {
            key.columns.extend(position);
            key.exact &= whole;
        }
    }
    for table in tables.values_mut() {
        if table.unique_keys.iter().any(|key| key.name == "PRIMARY") {
            table.primary_key.clear();
        }
    }
    Ok(())
}

fn foreign_keys(tables: &mut Tables, parts: &Parts) -> Result<(), ControlError> {
    for row in &parts.foreign_keys {
        let parent = parent(tables, parts, &word(row, 3), &word(row, 4));
        let Some(table) = tables.get_mut(word(row, 0).as_str()) else { continue };
        let name = word(row, 1);
        let column = position(table, &word(row, 2))?;
        if row.get(6).is_none_or(|rule| *rule == Cell::Null) {
            return Err(ControlError::Rejected(format!(
                "foreign key {name} of table {}: its actions are hidden; GRANT TRIGGER ON `{}`.* to \
                 the control account",
                table.name, parts.database
            )));
        }
        if table.foreign_keys.last().is_none_or(|key| key.name != name) {
            table.foreign_keys.push(ForeignKey {
                name,
                columns: Vec::new(),
                parent,
                parent_columns: Vec::new(),
                on_delete: action(&word(row, 6)),
                on_update: action(&word(row, 7)),
            });
        }
        if let Some(key) = table.foreign_keys.last_mut() {
            key.columns.push(column);
            key.parent_columns.push(word(row, 5));
        }
    }
    Ok(())
}

/// The parent's name in the spelling of its own table; `database.table` in another schema.
fn parent(tables: &Tables, parts: &Parts, schema: &str, name: &str) -> TableName {
    let folded = parts.lower_case_table_names != 0;
    if schema != parts.database && !(folded && schema.eq_ignore_ascii_case(&parts.database)) {
        return Arc::from(format!("{schema}.{name}"));
    }
    let known = tables
        .get_key_value(name)
        .map(|(known, _)| known)
        .or_else(|| tables.keys().find(|known| folded && known.eq_ignore_ascii_case(name)));
    known.cloned().unwrap_or_else(|| Arc::from(name))
}

fn action(rule: &str) -> ReferentialAction {
    match rule {
        "CASCADE" => ReferentialAction::Cascade,
        "SET NULL" => ReferentialAction::SetNull,
        "SET DEFAULT" => ReferentialAction::SetDefault,
        _ => ReferentialAction::Restrict,
    }
}

fn position(table: &Table, column: &str) -> Result<usize, ControlError> {
    table.column_index(column).ok_or_else(|| {
        // The queries are not one snapshot: DDL came between them. Reading again gives the new schema.
        ControlError::Transient(format!("table {} changed while it was read", table.name))
    })
}
