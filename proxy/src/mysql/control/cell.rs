//! The driver's values to cells and back, by column metadata.
//! Never here: conversions to attributes (see `segue_rules::value`).

use mysql_async::consts::{ColumnFlags, ColumnType};
use mysql_async::{Column, Value};
use segue_rules::value::{Cell, Row};

/// Character set number of binary strings.
const BINARY_CHARSET: u16 = 63;

pub(super) fn row_to_cells(row: mysql_async::Row) -> Row {
    let columns = row.columns();
    // tidy: allowed because the driver's `Row::unwrap` takes the values out; it is no Option's.
    columns.iter().zip(row.unwrap()).map(|(column, value)| to_cell(column, value)).collect()
}

fn to_cell(column: &Column, value: Value) -> Cell {
    let unsigned = column.flags().contains(ColumnFlags::UNSIGNED_FLAG)
        || column.column_type() == ColumnType::MYSQL_TYPE_YEAR;
    match value {
        Value::NULL => Cell::Null,
        Value::Int(number) => match u64::try_from(number) {
            Ok(number) if unsigned => Cell::UInt(number),
            _ => Cell::Int(number),
        },
        Value::UInt(number) => match i64::try_from(number) {
            Ok(number) if !unsigned => Cell::Int(number),
            _ => Cell::UInt(number),
        },
        Value::Float(number) => Cell::Float(number),
        Value::Double(number) => Cell::Double(number),
        Value::Date(year, month, day, hour, minute, second, micros) => match column.column_type() {
            ColumnType::MYSQL_TYPE_DATE | ColumnType::MYSQL_TYPE_NEWDATE => {
                Cell::Date { year, month, day }
            }
            _ => Cell::DateTime { year, month, day, hour, minute, second, micros },
        },
        Value::Time(negative, days, hours, minutes, seconds, micros) => {
            Cell::Time { negative, hours: days * 24 + u32::from(hours), minutes, seconds, micros }
        }
        Value::Bytes(bytes) => bytes_to_cell(column, bytes),
    }
}

fn bytes_to_cell(column: &Column, bytes: Vec<u8>) -> Cell {
    let textual = match column.column_type() {
        // Big-endian, at most eight bytes.
        ColumnType::MYSQL_TYPE_BIT => {
            return Cell::UInt(bytes.iter().fold(0, |bits, &byte| (bits << 8) | u64::from(byte)));
        }
        // Reported with the binary character set though they are text.
        ColumnType::MYSQL_TYPE_DECIMAL
        | ColumnType::MYSQL_TYPE_NEWDECIMAL
        | ColumnType::MYSQL_TYPE_JSON
        | ColumnType::MYSQL_TYPE_ENUM
        | ColumnType::MYSQL_TYPE_SET => true,
        ColumnType::MYSQL_TYPE_GEOMETRY => false,
        _ => {
            column.character_set() != BINARY_CHARSET
                || column.flags().intersects(ColumnFlags::ENUM_FLAG | ColumnFlags::SET_FLAG)
        }
    };
    if !textual {
        return Cell::Bytes(bytes);
    }
    // The session's character set is utf8mb4; what is not must not be changed silently.
    String::from_utf8(bytes).map_or_else(|error| Cell::Bytes(error.into_bytes()), Cell::Text)
}

pub(super) fn to_value(cell: &Cell) -> Value {
    match cell {
        Cell::Null => Value::NULL,
        Cell::Int(number) => Value::Int(*number),
        Cell::UInt(number) => Value::UInt(*number),
        Cell::Float(number) => Value::Float(*number),
        Cell::Double(number) => Value::Double(*number),
        Cell::Text(text) => Value::Bytes(text.clone().into_bytes()),
        Cell::Bytes(bytes) => Value::Bytes(bytes.clone()),
        Cell::Date { year, month, day } => Value::Date(*year, *month, *day, 0, 0, 0, 0),
        Cell::DateTime { year, month, day, hour, minute, second, micros } => {
            Value::Date(*year, *month, *day, *hour, *minute, *second, *micros)
        }
        Cell::Time { negative, hours, minutes, seconds, micros } => Value::Time(
            *negative,
            hours / 24,
            u8::try_from(hours % 24).expect("a remainder of 24 fits into a byte"),
            *minutes,
            *seconds,
            *micros,
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(kind: ColumnType, charset: u16, flags: ColumnFlags, value: Value) -> Cell {
        to_cell(&Column::new(kind).with_character_set(charset).with_flags(flags), value)
    }

    #[test]
    fn cells_follow_the_column_type() {
        use ColumnType::*;
        let none = ColumnFlags::empty();
        let bytes = |text: &str| Value::Bytes(text.as_bytes().to_vec());
        let unsigned = ColumnFlags::UNSIGNED_FLAG;
        assert_eq!(cell(MYSQL_TYPE_LONG, 63, none, Value::Int(-1)), Cell::Int(-1));
        assert_eq!(cell(MYSQL_TYPE_LONG, 63, unsigned, Value::Int(1)), Cell::UInt(1));
        assert_eq!(
            cell(MYSQL_TYPE_LONGLONG, 63, unsigned, Value::UInt(u64::MAX)),
            Cell::UInt(u64::MAX)
        );
        assert_eq!(cell(MYSQL_TYPE_YEAR, 63, none, Value::Int(2026)), Cell::UInt(2026));
        let bits = Value::Bytes(vec![1, 5]);
        assert_eq!(cell(MYSQL_TYPE_BIT, 63, unsigned, bits), Cell::UInt(261));
        assert_eq!(cell(MYSQL_TYPE_NEWDECIMAL, 63, none, bytes("1.50")), Cell::Text("1.50".into()));
        assert_eq!(cell(MYSQL_TYPE_JSON, 63, none, bytes("{}")), Cell::Text("{}".into()));
        assert_eq!(
            cell(MYSQL_TYPE_STRING, 63, ColumnFlags::ENUM_FLAG, bytes("a")),
            Cell::Text("a".into())
        );
        assert_eq!(cell(MYSQL_TYPE_BLOB, 63, none, bytes("a")), Cell::Bytes(b"a".to_vec()));
        assert_eq!(cell(MYSQL_TYPE_BLOB, 255, none, bytes("a")), Cell::Text("a".into()));
        let zero = Value::Date(0, 0, 0, 0, 0, 0, 0);
        assert_eq!(
            cell(MYSQL_TYPE_DATE, 63, none, zero.clone()),
            Cell::Date { year: 0, month: 0, day: 0 }
        );
        assert!(matches!(cell(MYSQL_TYPE_DATETIME, 63, none, zero), Cell::DateTime { .. }));
    }

    #[test]
    fn long_times_keep_their_hours() {
        let time = Cell::Time { negative: true, hours: 838, minutes: 59, seconds: 59, micros: 1 };
        let value = to_value(&time);
        assert_eq!(value, Value::Time(true, 34, 22, 59, 59, 1));
        let column = Column::new(ColumnType::MYSQL_TYPE_TIME);
        assert_eq!(to_cell(&column, value), time);
    }
}
