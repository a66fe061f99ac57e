//! What a MySQL schema says, as data: tables, columns, keys, foreign keys, triggers.
//! Never here: reading it from a server (see `proxy`'s `mysql::control`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::value::TableName;

/// A MySQL server family; the SQL that Segue sends differs in a few places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ServerKind {
    MySql,
    MariaDb,
}

/// One MySQL schema (database) as read at one instant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Catalog {
    /// Name of the schema.
    pub database: String,
    pub server: ServerKind,
    /// Server version as it names itself, for example `9.7.0` or `10.11.6-MariaDB`.
    pub version: String,
    /// `lower_case_table_names`: 0 means names are case-sensitive.
    pub lower_case_table_names: u8,
    pub tables: BTreeMap<TableName, Table>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Table {
    pub name: TableName,
    pub kind: TableKind,
    /// Storage engine name, empty for views.
    pub engine: String,
    pub columns: Vec<Column>,
    /// Primary key: column positions in key order; empty if there is none.
    pub primary_key: Vec<usize>,
    /// Unique keys other than the primary key.
    pub unique_keys: Vec<UniqueKey>,
    /// Foreign keys declared on this table (it is the child).
    pub foreign_keys: Vec<ForeignKey>,
    pub triggers: Vec<Trigger>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TableKind {
    Base,
    View,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Column {
    pub name: String,
    pub data_type: DataType,
    /// `COLUMN_TYPE` as the server prints it, for messages.
    pub type_text: String,
    pub nullable: bool,
    /// Literal default in the server's text, if it has one; expressions are `DefaultValue::Expression`.
    pub default: DefaultValue,
    pub auto_increment: bool,
    /// Generated column (virtual or stored).
    pub generated: bool,
    /// Has `ON UPDATE CURRENT_TIMESTAMP`.
    pub on_update_now: bool,
    /// Left out by `*` and by an INSERT without a column list.
    #[serde(default)]
    pub invisible: bool,
    /// Character set, for character columns.
    pub charset: Option<String>,
    pub collation: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DefaultValue {
    None,
    Null,
    Literal(String),
    Expression(String),
}

/// A column's type with what matters for conversion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DataType {
    /// TINYINT..BIGINT. `bits`: 8, 16, 24, 32, 64. `display_one`: declared `TINYINT(1)` / BOOLEAN.
    Integer {
        bits: u8,
        unsigned: bool,
        display_one: bool,
    },
    Bit {
        width: u8,
    },
    Year,
    Decimal {
        precision: u8,
        scale: u8,
        unsigned: bool,
    },
    Float,
    Double,
    Char {
        length: u64,
    },
    Varchar {
        length: u64,
    },
    Text,
    Enum {
        values: Vec<String>,
    },
    Set {
        values: Vec<String>,
    },
    Binary {
        length: u64,
    },
    Varbinary {
        length: u64,
    },
    Blob,
    Date,
    Time {
        fraction: u8,
    },
    DateTime {
        fraction: u8,
    },
    Timestamp {
        fraction: u8,
    },
    Json,
    /// GEOMETRY, VECTOR, UUID, INET6 and whatever comes: not converted, named in messages.
    Other(String),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UniqueKey {
    pub name: String,
    /// Column positions in key order. A prefix or functional part makes `exact` false.
    pub columns: Vec<usize>,
    /// Every part is a whole column.
    pub exact: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignKey {
    pub name: String,
    /// Child columns, in order.
    pub columns: Vec<usize>,
    /// Parent table in the same schema; parents in other schemas are kept as `database.table`.
    pub parent: TableName,
    pub parent_columns: Vec<String>,
    pub on_delete: ReferentialAction,
    pub on_update: ReferentialAction,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReferentialAction {
    /// RESTRICT or NO ACTION.
    Restrict,
    Cascade,
    SetNull,
    SetDefault,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trigger {
    pub name: String,
    /// `INSERT`, `UPDATE` or `DELETE`.
    pub event: String,
    /// `BEFORE` or `AFTER`.
    pub timing: String,
    /// The trigger's body, to see which tables it writes.
    pub body: String,
}

impl Catalog {
    /// Finds a table by the name a statement used, minding `lower_case_table_names`.
    pub fn table(&self, name: &str) -> Option<&Table> {
        self.tables.get(name).or_else(|| {
            (self.lower_case_table_names != 0)
                .then(|| self.tables.values().find(|t| t.name.eq_ignore_ascii_case(name)))
                .flatten()
        })
    }

    /// Foreign keys of other tables that reference `parent`: (child table, key).
    pub fn children_of<'a>(
        &'a self,
        parent: &'a str,
    ) -> impl Iterator<Item = (&'a Table, &'a ForeignKey)> + 'a {
        self.tables.values().flat_map(move |table| {
            table
                .foreign_keys
                .iter()
                .filter(move |fk| &*fk.parent == parent)
                .map(move |fk| (table, fk))
        })
    }
}

impl Table {
    /// The columns that identify a row: the primary key, else the first exact unique key whose
    /// columns are all NOT NULL. `None` where rows have no identity.
    pub fn row_key(&self) -> Option<&[usize]> {
        if !self.primary_key.is_empty() {
            return Some(&self.primary_key);
        }
        self.unique_keys
            .iter()
            .find(|key| key.exact && key.columns.iter().all(|&c| !self.columns[c].nullable))
            .map(|key| key.columns.as_slice())
    }

    /// Position of a column by name (MySQL column names are case-insensitive).
    pub fn column_index(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|c| c.name.eq_ignore_ascii_case(name))
    }

    /// Position of the AUTO_INCREMENT column.
    pub fn auto_increment(&self) -> Option<usize> {
        self.columns.iter().position(|c| c.auto_increment)
    }
}
