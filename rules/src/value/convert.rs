//! Cell to attribute and back, by column type and attribute type: the table of stored forms.
//! Never here: how a single form is written (see `number`, `temporal`, `json`, `text`).
//!
//! Rules that the types alone do not tell:
//! * numbers are stored in canonical text (DynamoDB normalises them anyway); a DECIMAL's scale is
//!   restored on the way back; `-0` of a DOUBLE stored as `N` comes back as `0`;
//! * a SET stored as `SS` lists its members; DynamoDB has no empty set, so the empty SET is the set
//!   with the empty string (MySQL prints a member `''` and the empty SET alike);
//! * JSON stored as `M` or `L` is native (either of them, as the document is) or, where that would
//!   lose something and for scalars, its text;
//! * an epoch number is exact: fractions finer than its unit become decimals;
//! * `BOOL` holds 0 and 1 only.

use std::collections::BTreeSet;

use thiserror::Error;

use super::number::{self, Number, normalise_number};
use super::temporal::{self, Zone};
use super::{Attribute, AttributeType, Cell, json, supported, text};
use crate::catalog::DataType;

/// Unit of an epoch number made from a DATETIME or TIMESTAMP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EpochUnit {
    #[default]
    Seconds,
    Milliseconds,
}

/// Why a value has no stored form, or a stored form no value. Texts name types, never data, except
/// for a number that is not 0 or 1.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ConvertError {
    /// The pair of types has no conversion.
    #[error("{0}")]
    Unsupported(String),
    /// The types fit, this value does not.
    #[error("{0}")]
    Unfit(String),
}

/// Converts a cell to the attribute stored for it; `Ok(None)` leaves the attribute out (NULL).
pub fn to_attribute(
    cell: &Cell,
    column: &DataType,
    target: AttributeType,
    epoch: EpochUnit,
) -> Result<Option<Attribute>, ConvertError> {
    if matches!(cell, Cell::Null) {
        return Ok((target == AttributeType::Null).then_some(Attribute::Null));
    }
    supported::supported_type(column, target).map_err(ConvertError::Unsupported)?;
    let attribute = match target {
        AttributeType::S => Attribute::S(string_of(cell, column)?),
        AttributeType::N => Attribute::N(number_of(cell, column, epoch)?),
        AttributeType::Bool => bool_of(&integer_of(cell)?)?,
        AttributeType::B => Attribute::B(bytes_of(cell)?),
        AttributeType::M | AttributeType::L => document_of(cell)?,
        AttributeType::SS => Attribute::SS(members_of(cell)?),
        AttributeType::Null => {
            return Err(unfit(
                "a value that is not NULL cannot be stored in an attribute of type NULL",
            ));
        }
        AttributeType::NS | AttributeType::BS => {
            return Err(ConvertError::Unsupported(format!("{target:?} is not supported")));
        }
    };
    Ok(Some(attribute))
}

/// Converts a computed value, whose MySQL column type is unknown (an aggregate, a CASE).
pub fn infer_attribute(
    cell: &Cell,
    target: AttributeType,
    epoch: EpochUnit,
) -> Result<Option<Attribute>, ConvertError> {
    if matches!(cell, Cell::Null) {
        return Ok((target == AttributeType::Null).then_some(Attribute::Null));
    }
    let attribute = match target {
        AttributeType::S => {
            Attribute::S(text::cell_text(cell).ok_or_else(|| unfit("the value has no text"))?)
        }
        AttributeType::N => Attribute::N(match cell {
            Cell::DateTime { .. } => normalise_number(&temporal::epoch_text(cell, epoch)?)?,
            _ => normalise_number(&numeral_of(cell)?)?,
        }),
        AttributeType::Bool => bool_of(&integer_of(cell)?)?,
        AttributeType::B => Attribute::B(bytes_of(cell)?),
        AttributeType::M | AttributeType::L => document_of(cell)?,
        AttributeType::SS | AttributeType::NS | AttributeType::BS | AttributeType::Null => {
            return Err(ConvertError::Unsupported(format!(
                "a computed value cannot be stored as {target:?}"
            )));
        }
    };
    Ok(Some(attribute))
}

pub(super) fn unfit(reason: &str) -> ConvertError {
    ConvertError::Unfit(reason.to_owned())
}

fn mismatch(cell: &Cell, column: &str) -> ConvertError {
    let kind = match cell {
        Cell::Null => "NULL",
        Cell::Int(_) | Cell::UInt(_) => "integer",
        Cell::Float(_) | Cell::Double(_) => "floating-point",
        Cell::Text(_) => "text",
        Cell::Bytes(_) => "binary",
        Cell::Date { .. } => "date",
        Cell::DateTime { .. } => "date and time",
        Cell::Time { .. } => "time",
    };
    ConvertError::Unfit(format!("a {kind} value does not fit a {column} column"))
}

/// Text of any numeric cell.
fn numeral_of(cell: &Cell) -> Result<String, ConvertError> {
    match cell {
        Cell::Int(value) => Ok(value.to_string()),
        Cell::UInt(value) => Ok(value.to_string()),
        Cell::Float(value) if value.is_finite() => Ok(number::float_text(*value)),
        Cell::Double(value) if value.is_finite() => Ok(number::double_text(*value)),
        Cell::Text(text) => Ok(text.clone()),
        _ => Err(mismatch(cell, "numeric")),
    }
}

fn parsed(cell: &Cell) -> Result<Number, ConvertError> {
    Number::parse(&numeral_of(cell)?).ok_or_else(|| mismatch(cell, "numeric"))
}

/// An integer cell, or one that holds an integer in another numeric form.
fn integer_of(cell: &Cell) -> Result<i128, ConvertError> {
    match cell {
        Cell::Int(value) => Ok(i128::from(*value)),
        Cell::UInt(value) => Ok(i128::from(*value)),
        _ => parsed(cell)?.to_integer().ok_or_else(|| mismatch(cell, "integer")),
    }
}

fn bool_of(value: &i128) -> Result<Attribute, ConvertError> {
    match value {
        0 => Ok(Attribute::Bool(false)),
        1 => Ok(Attribute::Bool(true)),
        other => Err(ConvertError::Unfit(format!("{other} is neither 0 nor 1, so it is no BOOL"))),
    }
}

/// Smallest and largest value of an integer column.
fn integer_range(column: &DataType) -> Option<(i128, i128)> {
    match column {
        DataType::Integer { bits, unsigned: true, .. } => Some((0, (1 << bits) - 1)),
        DataType::Integer { bits, .. } => Some((-(1 << (bits - 1)), (1 << (bits - 1)) - 1)),
        DataType::Bit { width } => Some((0, (1 << width) - 1)),
        DataType::Year => Some((0, 2155)),
        _ => None,
    }
}

pub(super) fn ranged(value: i128, column: &DataType) -> Result<i128, ConvertError> {
    match integer_range(column) {
        Some((least, most)) if !(least..=most).contains(&value) => {
            Err(unfit("the number is out of the column's range"))
        }
        _ => Ok(value),
    }
}

pub(super) fn decimal_text(text: &str, scale: u8) -> Result<String, ConvertError> {
    Number::parse(text)
        .ok_or_else(|| unfit("the text is not a decimal number"))?
        .with_scale(scale)
        .ok_or_else(|| unfit("the number has more decimals than the column's scale"))
}

fn number_of(cell: &Cell, column: &DataType, epoch: EpochUnit) -> Result<String, ConvertError> {
    match column {
        DataType::Integer { .. } | DataType::Bit { .. } | DataType::Year => {
            Ok(ranged(integer_of(cell)?, column)?.to_string())
        }
        DataType::Decimal { scale, .. } => match cell {
            Cell::Float(_) | Cell::Double(_) => Err(mismatch(cell, "DECIMAL")),
            _ => normalise_number(&decimal_text(&numeral_of(cell)?, *scale)?),
        },
        DataType::DateTime { .. } | DataType::Timestamp { .. } => {
            normalise_number(&temporal::epoch_text(&temporal_of(cell, column)?, epoch)?)
        }
        _ => normalise_number(&numeral_of(cell)?),
    }
}

fn string_of(cell: &Cell, column: &DataType) -> Result<String, ConvertError> {
    match column {
        DataType::Integer { .. } | DataType::Bit { .. } | DataType::Year => {
            Ok(ranged(integer_of(cell)?, column)?.to_string())
        }
        DataType::Decimal { scale, .. } => match cell {
            Cell::Float(_) | Cell::Double(_) => Err(mismatch(cell, "DECIMAL")),
            _ => decimal_text(&numeral_of(cell)?, *scale),
        },
        DataType::Float | DataType::Double => {
            parsed(cell)?;
            numeral_of(cell)
        }
        DataType::Date
        | DataType::Time { .. }
        | DataType::DateTime { .. }
        | DataType::Timestamp { .. } => temporal_text(&temporal_of(cell, column)?, column),
        _ => match cell {
            Cell::Text(text) => Ok(text.clone()),
            Cell::Bytes(bytes) => String::from_utf8(bytes.clone())
                .map_err(|_| unfit("the value is not valid UTF-8, so it has no text")),
            _ => Err(mismatch(cell, "character")),
        },
    }
}

/// A temporal cell; text of one is read first (the text protocol sends it so).
pub(super) fn temporal_of(cell: &Cell, column: &DataType) -> Result<Cell, ConvertError> {
    let Cell::Text(text) = cell else { return Ok(cell.clone()) };
    match column {
        DataType::Date => temporal::parse_date(text),
        DataType::Time { .. } => temporal::parse_time(text),
        _ => temporal::parse_datetime(text),
    }
}

fn temporal_text(cell: &Cell, column: &DataType) -> Result<String, ConvertError> {
    match (column, cell) {
        (DataType::Date, Cell::Date { year, month, day })
        | (
            DataType::Date,
            Cell::DateTime { year, month, day, hour: 0, minute: 0, second: 0, micros: 0 },
        ) => Ok(temporal::date_text(*year, *month, *day)),
        (DataType::Time { fraction }, Cell::Time { negative, hours, minutes, seconds, micros }) => {
            temporal::time_text(*negative, *hours, *minutes, *seconds, *micros, *fraction)
        }
        (DataType::DateTime { fraction }, _) => {
            temporal::datetime_text(cell, *fraction, Zone::None)
        }
        (DataType::Timestamp { fraction }, _) => {
            temporal::datetime_text(cell, *fraction, Zone::Utc)
        }
        _ => Err(mismatch(cell, "temporal")),
    }
}

fn bytes_of(cell: &Cell) -> Result<Vec<u8>, ConvertError> {
    match cell {
        Cell::Bytes(bytes) => Ok(bytes.clone()),
        _ => Err(mismatch(cell, "binary")),
    }
}

fn text_of(cell: &Cell) -> Result<String, ConvertError> {
    string_of(cell, &DataType::Text)
}

fn document_of(cell: &Cell) -> Result<Attribute, ConvertError> {
    let text = text_of(cell)?;
    Ok(json::native(&text).unwrap_or(Attribute::S(text)))
}

fn members_of(cell: &Cell) -> Result<BTreeSet<String>, ConvertError> {
    Ok(text_of(cell)?.split(',').map(str::to_owned).collect())
}
