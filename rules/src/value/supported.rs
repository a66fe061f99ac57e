//! Which attribute types can hold which column types, for the contract's check.
//! Never here: single values.

use super::AttributeType;
use super::number::NUMBER_DIGITS_MAX;
use crate::catalog::DataType;

/// Whether every value of the column can be stored with this attribute type, or at least those
/// that only their size or range forbids; `Err` is the reason to print.
pub fn supported(column: &DataType, target: AttributeType) -> Result<(), String> {
    if let DataType::Decimal { precision, .. } = column
        && target == AttributeType::N
        && usize::from(*precision) > NUMBER_DIGITS_MAX
    {
        return Err(format!(
            "DECIMAL with {precision} digits exceeds the {NUMBER_DIGITS_MAX} digits of N; use S"
        ));
    }
    supported_type(column, target)
}

/// As [`supported`], but leaves digits to the single value.
pub(super) fn supported_type(column: &DataType, target: AttributeType) -> Result<(), String> {
    use AttributeType as A;
    let targets: &[A] = match column {
        DataType::Integer { display_one: true, .. } | DataType::Bit { width: 1 } => {
            &[A::N, A::S, A::Bool]
        }
        DataType::Integer { .. }
        | DataType::Bit { .. }
        | DataType::Year
        | DataType::Decimal { .. }
        | DataType::Float
        | DataType::Double
        | DataType::DateTime { .. }
        | DataType::Timestamp { .. } => &[A::N, A::S],
        DataType::Char { .. }
        | DataType::Varchar { .. }
        | DataType::Text
        | DataType::Enum { .. }
        | DataType::Date
        | DataType::Time { .. } => &[A::S],
        DataType::Set { .. } => &[A::S, A::SS],
        DataType::Binary { .. } | DataType::Varbinary { .. } | DataType::Blob => &[A::B],
        DataType::Json => &[A::M, A::L, A::S],
        DataType::Other(name) => other(name),
    };
    if target == A::Null || targets.contains(&target) {
        return Ok(());
    }
    let name = type_name(column);
    if targets.is_empty() {
        return Err(format!("columns of type {name} cannot be stored"));
    }
    let choices: Vec<&str> = targets.iter().map(|&target| attribute_name(target)).collect();
    Err(format!(
        "a column of type {name} cannot be stored as {}; possible: {}",
        attribute_name(target),
        choices.join(", ")
    ))
}

/// Types outside the table: those whose binary-protocol value is plain text, or plain bytes that
/// the server takes back unchanged.
fn other(name: &str) -> &'static [AttributeType] {
    let word = name.split(['(', ' ']).next().unwrap_or_default().to_ascii_lowercase();
    match word.as_str() {
        "uuid" | "inet4" | "inet6" => &[AttributeType::S],
        "geometry" | "point" | "linestring" | "polygon" | "multipoint" | "multilinestring"
        | "multipolygon" | "geometrycollection" | "geomcollection" | "vector" => {
            &[AttributeType::B]
        }
        _ => &[],
    }
}

/// The name a contract uses for an attribute type.
pub fn attribute_name(target: AttributeType) -> &'static str {
    match target {
        AttributeType::S => "S",
        AttributeType::N => "N",
        AttributeType::B => "B",
        AttributeType::Bool => "BOOL",
        AttributeType::Null => "NULL",
        AttributeType::M => "M",
        AttributeType::L => "L",
        AttributeType::SS => "SS",
        AttributeType::NS => "NS",
        AttributeType::BS => "BS",
    }
}

/// MySQL's word for a type, for messages.
pub fn type_name(column: &DataType) -> &str {
    match column {
        DataType::Integer { display_one: true, .. } => "TINYINT(1)",
        DataType::Integer { bits: 8, .. } => "TINYINT",
        DataType::Integer { bits: 16, .. } => "SMALLINT",
        DataType::Integer { bits: 24, .. } => "MEDIUMINT",
        DataType::Integer { bits: 32, .. } => "INT",
        DataType::Integer { .. } => "BIGINT",
        DataType::Bit { .. } => "BIT",
        DataType::Year => "YEAR",
        DataType::Decimal { .. } => "DECIMAL",
        DataType::Float => "FLOAT",
        DataType::Double => "DOUBLE",
        DataType::Char { .. } => "CHAR",
        DataType::Varchar { .. } => "VARCHAR",
        DataType::Text => "TEXT",
        DataType::Enum { .. } => "ENUM",
        DataType::Set { .. } => "SET",
        DataType::Binary { .. } => "BINARY",
        DataType::Varbinary { .. } => "VARBINARY",
        DataType::Blob => "BLOB",
        DataType::Date => "DATE",
        DataType::Time { .. } => "TIME",
        DataType::DateTime { .. } => "DATETIME",
        DataType::Timestamp { .. } => "TIMESTAMP",
        DataType::Json => "JSON",
        DataType::Other(name) => name,
    }
}
