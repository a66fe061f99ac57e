//! Attribute to cell: the inverse of `convert`, by column type alone.
//! Never here: the forms themselves (see `number`, `temporal`, `json`).

use super::convert::{decimal_text, ranged, temporal_of, unfit};
use super::number::Number;
use super::{Attribute, Cell, ConvertError, EpochUnit, json, temporal};
use crate::catalog::DataType;

/// The inverse of [`super::to_attribute`]. A missing attribute and an explicit null are NULL.
pub fn from_attribute(
    attribute: Option<&Attribute>,
    column: &DataType,
    epoch: EpochUnit,
) -> Result<Cell, ConvertError> {
    let wrong = || ConvertError::Unfit("the attribute's type does not fit the column".to_owned());
    let attribute = match attribute {
        None | Some(Attribute::Null) => return Ok(Cell::Null),
        Some(attribute) => attribute,
    };
    match column {
        DataType::Integer { .. } | DataType::Bit { .. } | DataType::Year => {
            let value = match attribute {
                Attribute::N(text) | Attribute::S(text) => Number::parse(text)
                    .and_then(|number| number.to_integer())
                    .ok_or_else(|| unfit("the attribute is not an integer"))?,
                Attribute::Bool(value) => i128::from(*value),
                _ => return Err(wrong()),
            };
            integer_cell(ranged(value, column)?, column)
        }
        DataType::Decimal { scale, .. } => match attribute {
            Attribute::N(text) | Attribute::S(text) => decimal_text(text, *scale).map(Cell::Text),
            _ => Err(wrong()),
        },
        DataType::Float | DataType::Double => match attribute {
            Attribute::N(text) | Attribute::S(text) => float_cell(text, column),
            _ => Err(wrong()),
        },
        DataType::Char { .. }
        | DataType::Varchar { .. }
        | DataType::Text
        | DataType::Enum { .. } => match attribute {
            Attribute::S(text) => Ok(Cell::Text(text.clone())),
            _ => Err(wrong()),
        },
        DataType::Set { values } => set_cell(attribute, values).ok_or_else(wrong),
        DataType::Binary { .. } | DataType::Varbinary { .. } | DataType::Blob => match attribute {
            Attribute::B(bytes) => Ok(Cell::Bytes(bytes.clone())),
            _ => Err(wrong()),
        },
        DataType::Date | DataType::Time { .. } => match attribute {
            Attribute::S(text) => temporal_of(&Cell::Text(text.clone()), column),
            _ => Err(wrong()),
        },
        DataType::DateTime { .. } | DataType::Timestamp { .. } => match attribute {
            Attribute::S(text) => temporal::parse_datetime(text),
            Attribute::N(text) => temporal::parse_epoch(text, epoch),
            _ => Err(wrong()),
        },
        DataType::Json => match attribute {
            Attribute::S(text) => Ok(Cell::Text(text.clone())),
            Attribute::M(_) | Attribute::L(_) => json::json_text(attribute).map(Cell::Text),
            _ => Err(wrong()),
        },
        DataType::Other(_) => match attribute {
            Attribute::S(text) => Ok(Cell::Text(text.clone())),
            Attribute::B(bytes) => Ok(Cell::Bytes(bytes.clone())),
            _ => Err(wrong()),
        },
    }
}

fn integer_cell(value: i128, column: &DataType) -> Result<Cell, ConvertError> {
    let out_of_range = |_| unfit("the number is out of the column's range");
    match column {
        DataType::Integer { unsigned: false, .. } => {
            i64::try_from(value).map(Cell::Int).map_err(out_of_range)
        }
        _ => u64::try_from(value).map(Cell::UInt).map_err(out_of_range),
    }
}

fn float_cell(text: &str, column: &DataType) -> Result<Cell, ConvertError> {
    // The number grammar first: Rust's own also reads "inf" and "nan".
    Number::parse(text).ok_or_else(|| unfit("the attribute is not a number"))?;
    let not_finite = || unfit("the number is out of the column's range");
    match column {
        DataType::Float => {
            let value = text.parse::<f32>().ok().filter(|v| v.is_finite());
            value.map(Cell::Float).ok_or_else(not_finite)
        }
        _ => {
            let value = text.parse::<f64>().ok().filter(|v| v.is_finite());
            value.map(Cell::Double).ok_or_else(not_finite)
        }
    }
}

/// A SET's text lists the members in the order of the column's definition.
fn set_cell(attribute: &Attribute, values: &[String]) -> Option<Cell> {
    match attribute {
        Attribute::S(text) => Some(Cell::Text(text.clone())),
        Attribute::SS(members) => {
            let known: Vec<&str> = values
                .iter()
                .filter(|value| members.contains(*value))
                .map(String::as_str)
                .collect();
            let is_empty_set = members.len() == 1 && members.contains("");
            (known.len() == members.len() || is_empty_set).then(|| Cell::Text(known.join(",")))
        }
        _ => None,
    }
}
