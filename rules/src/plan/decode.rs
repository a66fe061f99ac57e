//! Text of selected row keys to cells.
//! Never here: the SQL that selects them (see `projection`).

use super::civil::date_time_of_epoch;
use super::exact::{Use, date_parts, decimal_cell, exact_cell, integer_cell, time_parts};
use super::projection::KeyKind;
use crate::catalog::{Column, DataType};
use crate::sql::SlotValue;
use crate::value::Cell;

/// The cell of one projected value; `None` where the text is not what the projection gives.
pub fn decode(column: &Column, text: &[u8], kind: KeyKind) -> Option<Cell> {
    let text = std::str::from_utf8(text).ok()?;
    match (&column.data_type, kind) {
        (
            DataType::Char { .. } | DataType::Varchar { .. } | DataType::Enum { .. },
            KeyKind::Expressions,
        ) => {
            let value = String::from_utf8(unhex(text)?).ok()?;
            exact_cell(column, &SlotValue::Text(value), Use::Stored, "utf8mb4")
        }
        (DataType::Binary { .. } | DataType::Varbinary { .. }, KeyKind::Expressions) => {
            exact_cell(column, &SlotValue::Bytes(unhex(text)?), Use::Stored, "utf8mb4")
        }
        (DataType::Date | DataType::DateTime { .. }, KeyKind::Expressions) => {
            exact_cell(column, &SlotValue::Text(text.to_owned()), Use::Stored, "utf8mb4")
        }
        _ => stored(&column.data_type, text),
    }
}

fn stored(data_type: &DataType, text: &str) -> Option<Cell> {
    match data_type {
        DataType::Integer { bits, unsigned, .. } => {
            let number: i128 = text.parse().ok()?;
            integer_cell(number, *bits, *unsigned)
        }
        DataType::Year | DataType::Bit { .. } => text.parse().ok().map(Cell::UInt),
        DataType::Decimal { precision, scale, unsigned } => {
            decimal_cell(text, *precision, *scale, *unsigned)
        }
        DataType::Float => text.parse::<f64>().ok().map(|number| Cell::Float(number as f32)),
        DataType::Double => text.parse().ok().map(Cell::Double),
        DataType::Char { .. }
        | DataType::Varchar { .. }
        | DataType::Text
        | DataType::Enum { .. }
        | DataType::Set { .. }
        | DataType::Json
        | DataType::Other(_) => String::from_utf8(unhex(text)?).ok().map(Cell::Text),
        DataType::Binary { .. } | DataType::Varbinary { .. } | DataType::Blob => {
            unhex(text).map(Cell::Bytes)
        }
        DataType::Date => {
            let (year, month, day) = date_parts(text)?;
            Some(Cell::Date { year, month, day })
        }
        DataType::DateTime { .. } => date_time(text),
        DataType::Time { .. } => {
            let (negative, rest) =
                text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
            let (hours, minutes, seconds, micros) = time_parts(rest, 6)?;
            Some(Cell::Time { negative, hours, minutes, seconds, micros })
        }
        DataType::Timestamp { .. } => timestamp(text),
    }
}

fn date_time(text: &str) -> Option<Cell> {
    let (date, time) = text.split_once(' ')?;
    let (year, month, day) = date_parts(date)?;
    let (hour, minute, second, micros) = time_parts(time, 6)?;
    let hour = u8::try_from(hour).ok()?;
    Some(Cell::DateTime { year, month, day, hour, minute, second, micros })
}

/// `UNIX_TIMESTAMP(c)`; the zero timestamp is the only one that gives 0.
fn timestamp(text: &str) -> Option<Cell> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds: i64 = seconds.parse().ok()?;
    let micros: u32 = format!("{:0<6}", fraction).get(..6)?.parse().ok()?;
    if seconds == 0 && micros == 0 {
        return Some(Cell::DateTime {
            year: 0,
            month: 0,
            day: 0,
            hour: 0,
            minute: 0,
            second: 0,
            micros: 0,
        });
    }
    date_time_of_epoch(seconds, micros)
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|c| c.to_digit(16).map(|digit| digit as u8)).collect();
    let digits = digits?;
    (digits.len() % 2 == 0).then(|| digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}
