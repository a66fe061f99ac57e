//! Canonical text of a cell: what `S` stores and what string-format templates splice in.
//! Never here: numbers' and temporals' own forms (see `number`, `temporal`).

use std::fmt::Write as _;

use super::number::{double_text, float_text};
use super::temporal::{self, Zone};
use super::{Attribute, AttributeType, Cell, EpochUnit, convert};
use crate::catalog::DataType;

/// Text of a cell whose column is unknown; `None` is NULL. A date and time has no zone, six digits
/// of fraction or none; bytes are lower-case hexadecimal (so text order is byte order).
pub fn cell_text(cell: &Cell) -> Option<String> {
    Some(match cell {
        Cell::Null => return None,
        Cell::Int(value) => value.to_string(),
        Cell::UInt(value) => value.to_string(),
        Cell::Float(value) => float_text(*value),
        Cell::Double(value) => double_text(*value),
        Cell::Text(text) => text.clone(),
        Cell::Bytes(bytes) => hex(bytes),
        Cell::Date { year, month, day } => temporal::date_text(*year, *month, *day),
        Cell::DateTime { micros, .. } => {
            let fraction = temporal::natural_fraction(*micros);
            temporal::datetime_text(cell, fraction, Zone::None).ok()?
        }
        Cell::Time { negative, hours, minutes, seconds, micros } => {
            let fraction = temporal::natural_fraction(*micros);
            temporal::time_text(*negative, *hours, *minutes, *seconds, *micros, fraction).ok()?
        }
    })
}

/// Text of a column's cell: as [`cell_text`], with what only the column knows (a TIMESTAMP's `Z`,
/// the digits of a fraction, a DECIMAL's scale).
pub fn column_text(cell: &Cell, column: &DataType) -> Option<String> {
    match convert::to_attribute(cell, column, AttributeType::S, EpochUnit::Seconds) {
        Ok(Some(Attribute::S(text))) => Some(text),
        // Binary columns have no S form of their own, but templates need some text.
        _ => cell_text(cell),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
