//! When a value of a statement is exactly the value that a column holds.
//! Never here: values that need the server's conversions; they are not exact.

use super::civil::is_date;
use crate::catalog::{Column, DataType};
use crate::sql::SlotValue;
use crate::value::Cell;

/// What the statement does with the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// The column gets it.
    Stored,
    /// The column is compared with it for equality.
    Compared,
}

/// Integers up to here survive a comparison as DOUBLE.
const DOUBLE_EXACT_MAX: u64 = 1 << 53;

/// The cell of a row whose column got, or equals, this value; `None` where the server converts it in
/// a way that is not repeated here.
pub fn exact_cell(column: &Column, value: &SlotValue, used: Use, charset: &str) -> Option<Cell> {
    match &column.data_type {
        DataType::Integer { bits, unsigned, .. } => integer(value, *bits, *unsigned, used),
        DataType::Year => match value {
            SlotValue::Int(year @ 1901..=2155) => Some(Cell::UInt(*year as u64)),
            _ => None,
        },
        DataType::Decimal { precision, scale, unsigned } => {
            decimal(value, *precision, *scale, *unsigned)
        }
        DataType::Char { length } => text(column, value, *length, used)
            .filter(|text| !text.ends_with(' '))
            .map(|text| Cell::Text(text.to_owned())),
        DataType::Varchar { length } => {
            text(column, value, *length, used).map(|text| Cell::Text(text.to_owned()))
        }
        DataType::Enum { values } => match value {
            SlotValue::Text(text) if values.contains(text) => Some(Cell::Text(text.clone())),
            _ => None,
        },
        DataType::Binary { length } => {
            bytes(value, charset).filter(|bytes| bytes.len() as u64 == *length).map(Cell::Bytes)
        }
        DataType::Varbinary { length } => {
            bytes(value, charset).filter(|bytes| bytes.len() as u64 <= *length).map(Cell::Bytes)
        }
        DataType::Date => match value {
            SlotValue::Text(text) => date(text),
            SlotValue::Temporal(cell @ Cell::Date { year, month, day }) => {
                is_date(*year, *month, *day).then(|| cell.clone())
            }
            _ => None,
        },
        DataType::DateTime { fraction } => match value {
            SlotValue::Text(text) => date_time(text, *fraction),
            SlotValue::Temporal(cell @ Cell::DateTime { year, month, day, micros, .. }) => {
                let fits = micros % 10u32.pow(6 - u32::from(*fraction).min(6)) == 0;
                (is_date(*year, *month, *day) && fits).then(|| cell.clone())
            }
            _ => None,
        },
        _ => None,
    }
}

fn integer(value: &SlotValue, bits: u8, unsigned: bool, used: Use) -> Option<Cell> {
    let number: i128 = match value {
        SlotValue::Int(number) => i128::from(*number),
        SlotValue::UInt(number) => i128::from(*number),
        SlotValue::Text(text) => {
            let number: i128 = text.parse().ok()?;
            let canonical = number.to_string() == *text;
            // A comparison of an integer with a string may be made as DOUBLE.
            let certain =
                used == Use::Stored || number.unsigned_abs() < u128::from(DOUBLE_EXACT_MAX);
            (canonical && certain).then_some(number)?
        }
        _ => return None,
    };
    integer_cell(number, bits, unsigned)
}

/// The cell of an integer column, if the number is in its range.
pub fn integer_cell(number: i128, bits: u8, unsigned: bool) -> Option<Cell> {
    let bits = u32::from(bits.min(64));
    if unsigned {
        (0..1i128 << bits).contains(&number).then_some(Cell::UInt(number as u64))
    } else {
        let half = 1i128 << (bits - 1);
        (-half..half).contains(&number).then_some(Cell::Int(number as i64))
    }
}

fn decimal(value: &SlotValue, precision: u8, scale: u8, unsigned: bool) -> Option<Cell> {
    let text = match value {
        SlotValue::Int(number) => number.to_string(),
        SlotValue::UInt(number) => number.to_string(),
        SlotValue::Decimal(text) => text.clone(),
        _ => return None,
    };
    decimal_cell(&text, precision, scale, unsigned)
}

/// The canonical text of a DECIMAL value with the column's scale.
pub fn decimal_cell(text: &str, precision: u8, scale: u8, unsigned: bool) -> Option<Cell> {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let plain = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    let whole = whole.trim_start_matches('0');
    let room = usize::from(precision.saturating_sub(scale));
    let fraction = fraction.trim_end_matches('0');
    if !plain(whole)
        || !plain(fraction)
        || whole.len() > room
        || fraction.len() > usize::from(scale)
    {
        return None;
    }
    let zero = whole.is_empty() && fraction.is_empty();
    if negative && unsigned && !zero {
        return None;
    }
    let sign = if negative && !zero { "-" } else { "" };
    let whole = if whole.is_empty() { "0" } else { whole };
    let point = if scale > 0 { "." } else { "" };
    Some(Cell::Text(format!("{sign}{whole}{point}{fraction:0<width$}", width = usize::from(scale))))
}

fn text<'a>(column: &Column, value: &'a SlotValue, length: u64, used: Use) -> Option<&'a str> {
    let SlotValue::Text(text) = value else { return None };
    let charset = column.charset.as_deref().unwrap_or("").to_ascii_lowercase();
    let representable = match charset.as_str() {
        "utf8mb4" => true,
        "utf8" | "utf8mb3" => text.chars().all(|c| u32::from(c) <= 0xffff),
        _ => text.is_ascii(),
    };
    let fits = text.chars().count() as u64 <= length;
    let same = used == Use::Stored || equality_is_identity(column);
    (representable && fits && same).then_some(text)
}

/// Whether equal values of the column are the same bytes: not so under collations that fold case or
/// accents or ignore trailing spaces.
pub fn equality_is_identity(column: &Column) -> bool {
    let collation = column.collation.as_deref().unwrap_or("").to_ascii_lowercase();
    match column.data_type {
        DataType::Char { .. } => collation == "binary" || collation.ends_with("_bin"),
        DataType::Varchar { .. } => {
            collation == "binary"
                || collation == "utf8mb4_0900_bin"
                || collation.ends_with("_nopad_bin")
        }
        DataType::Text
        | DataType::Json
        | DataType::Other(_)
        | DataType::Float
        | DataType::Double => false,
        _ => true,
    }
}

fn bytes(value: &SlotValue, charset: &str) -> Option<Vec<u8>> {
    match value {
        SlotValue::Bytes(bytes) => Some(bytes.clone()),
        SlotValue::Text(text) => {
            let utf8 =
                ["utf8", "utf8mb3", "utf8mb4"].iter().any(|c| c.eq_ignore_ascii_case(charset));
            (utf8 || text.is_ascii()).then(|| text.as_bytes().to_vec())
        }
        _ => None,
    }
}

fn digits(text: &str, length: usize) -> Option<u32> {
    let plain = text.len() == length && text.bytes().all(|b| b.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

/// `YYYY-MM-DD`, zero parts allowed.
pub fn date_parts(text: &str) -> Option<(u16, u8, u8)> {
    let mut parts = text.split('-');
    let year = digits(parts.next()?, 4)? as u16;
    let month = digits(parts.next()?, 2)? as u8;
    let day = digits(parts.next()?, 2)? as u8;
    parts.next().is_none().then_some((year, month, day))
}

fn date(text: &str) -> Option<Cell> {
    let (year, month, day) = date_parts(text)?;
    is_date(year, month, day).then_some(Cell::Date { year, month, day })
}

/// `HH:MM:SS[.ffffff]` with at most `fraction` digits; hours of any width.
pub fn time_parts(text: &str, fraction: u8) -> Option<(u32, u8, u8, u32)> {
    let (clock, part) = text.split_once('.').unwrap_or((text, ""));
    let mut parts = clock.split(':');
    let hours = parts.next().filter(|h| h.len() >= 2)?;
    let hours = digits(hours, hours.len())?;
    let minutes = digits(parts.next()?, 2)? as u8;
    let seconds = digits(parts.next()?, 2)? as u8;
    if parts.next().is_some()
        || part.len() > usize::from(fraction).min(6)
        || minutes > 59
        || seconds > 59
    {
        return None;
    }
    let micros = if part.is_empty() { 0 } else { digits(&format!("{part:0<6}"), 6)? };
    Some((hours, minutes, seconds, micros))
}

fn date_time(text: &str, fraction: u8) -> Option<Cell> {
    let (date, time) = text.split_once(' ')?;
    let (year, month, day) = date_parts(date)?;
    let (hours, minute, second, micros) = time_parts(time, fraction)?;
    let hour = u8::try_from(hours).ok().filter(|h| *h < 24)?;
    is_date(year, month, day).then_some(Cell::DateTime {
        year,
        month,
        day,
        hour,
        minute,
        second,
        micros,
    })
}
