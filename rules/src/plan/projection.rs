//! Selecting row keys on the application's connection, free of its character set and time zone.
//! Never here: reading the rows that come back (see `decode`).

use super::preimage::PreImage;
use super::template::Template;
use crate::catalog::{Column, DataType};

/// A SELECT of row keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySelect {
    pub template: Template,
    /// What the first result columns are, one per row key column.
    pub kind: KeyKind,
    /// For each row key column: the result column of its new value, or `None` where it stays.
    pub new: Option<Vec<Option<usize>>>,
    /// AUTO_INCREMENT is in the key and may be generated where the query gives NULL or 0.
    pub generates: bool,
    pub proof: Proof,
    /// The same keys, or more, for another connection to read after the statement.
    pub pre_image: Option<PreImage>,
}

/// What shows that the statement met no row that a SELECT before it did not find. Only needed where
/// other sessions may bring rows in between: without gap locks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// It reads no table.
    NotNeeded,
    /// The rows it found stay locked and go on to match, so equal numbers mean equal rows. What the
    /// answer counts them in is said by the variant.
    Matched,
    Affected,
    /// Nothing: it may find more rows than the statement (a part of the predicate or a LIMIT is left
    /// out), or others.
    None,
}

/// What the first result columns are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// The key columns of rows that exist: read as the type says.
    Columns,
    /// Expressions to be stored in the key columns: read only where the text is already canonical.
    Expressions,
}

/// The projection of a stored column, given its qualified name.
pub fn column_projection(column: &Column, name: &str) -> String {
    match column.data_type {
        DataType::Char { .. }
        | DataType::Varchar { .. }
        | DataType::Text
        | DataType::Enum { .. }
        | DataType::Set { .. }
        | DataType::Json
        | DataType::Other(_) => format!("HEX(CONVERT({name} USING utf8mb4))"),
        DataType::Binary { .. } | DataType::Varbinary { .. } | DataType::Blob => {
            format!("HEX({name})")
        }
        DataType::Timestamp { .. } => format!("UNIX_TIMESTAMP({name})"),
        DataType::Bit { .. } => format!("{name}+0"),
        DataType::Float | DataType::Double => format!("{name}+0e0"),
        _ => name.to_owned(),
    }
}

/// What stands before and after an expression that a key column will get; `None` where the server's
/// conversion is not repeated here.
pub fn expression_projection(column: &Column) -> Option<(String, String)> {
    Some(match &column.data_type {
        DataType::Integer { .. } | DataType::Year => ("(".into(), ")".into()),
        DataType::Char { .. } | DataType::Varchar { .. } | DataType::Enum { .. } => {
            ("HEX(CONVERT((".into(), ") USING utf8mb4))".into())
        }
        DataType::Binary { .. } | DataType::Varbinary { .. } => {
            ("HEX(CAST((".into(), ") AS BINARY))".into())
        }
        DataType::Decimal { precision, scale, .. } => {
            ("CAST((".into(), format!(") AS DECIMAL({precision},{scale}))"))
        }
        DataType::Date => ("CAST((".into(), ") AS DATE)".into()),
        DataType::DateTime { fraction } => ("CAST((".into(), format!(") AS DATETIME({fraction}))")),
        _ => return None,
    })
}
