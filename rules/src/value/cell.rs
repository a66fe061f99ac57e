//! MySQL values as data: cells, rows and source keys.
//! Never here: how a value is stored in DynamoDB (see `convert`).

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A MySQL table's name inside the mapped schema, in the catalog's spelling.
pub type TableName = Arc<str>;

/// One MySQL value, free of the wire format it came in.
///
/// DECIMAL, ENUM, SET and JSON are `Text`; BIT and YEAR are `UInt`; TIMESTAMP is a `DateTime` in UTC.
/// Zero dates keep their zero parts.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Cell {
    Null,
    Int(i64),
    UInt(u64),
    Float(f32),
    Double(f64),
    Text(String),
    Bytes(Vec<u8>),
    Date { year: u16, month: u8, day: u8 },
    DateTime { year: u16, month: u8, day: u8, hour: u8, minute: u8, second: u8, micros: u32 },
    Time { negative: bool, hours: u32, minutes: u8, seconds: u8, micros: u32 },
}

/// The cells of one result row, in column order.
pub type Row = Vec<Cell>;

/// Identity of a MySQL row: its table and the values of the table's row key
/// (primary key, else the first unique key without nullable columns).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SourceKey {
    pub table: TableName,
    pub key: Vec<Cell>,
}

impl Cell {
    /// Order of the variants, to compare cells of different kinds.
    fn rank(&self) -> u8 {
        match self {
            Cell::Null => 0,
            Cell::Int(_) => 1,
            Cell::UInt(_) => 2,
            Cell::Float(_) => 3,
            Cell::Double(_) => 4,
            Cell::Text(_) => 5,
            Cell::Bytes(_) => 6,
            Cell::Date { .. } => 7,
            Cell::DateTime { .. } => 8,
            Cell::Time { .. } => 9,
        }
    }
}

impl Ord for Cell {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Cell::Int(a), Cell::Int(b)) => a.cmp(b),
            (Cell::UInt(a), Cell::UInt(b)) => a.cmp(b),
            (Cell::Float(a), Cell::Float(b)) => a.total_cmp(b),
            (Cell::Double(a), Cell::Double(b)) => a.total_cmp(b),
            (Cell::Text(a), Cell::Text(b)) => a.cmp(b),
            (Cell::Bytes(a), Cell::Bytes(b)) => a.cmp(b),
            (
                Cell::Date { year: y1, month: m1, day: d1 },
                Cell::Date { year: y2, month: m2, day: d2 },
            ) => (y1, m1, d1).cmp(&(y2, m2, d2)),
            (
                Cell::DateTime { year, month, day, hour, minute, second, micros },
                Cell::DateTime {
                    year: y2,
                    month: m2,
                    day: d2,
                    hour: h2,
                    minute: i2,
                    second: s2,
                    micros: u2,
                },
            ) => {
                (year, month, day, hour, minute, second, micros).cmp(&(y2, m2, d2, h2, i2, s2, u2))
            }
            (
                Cell::Time { negative, hours, minutes, seconds, micros },
                Cell::Time { negative: n2, hours: h2, minutes: m2, seconds: s2, micros: u2 },
            ) => (negative, hours, minutes, seconds, micros).cmp(&(n2, h2, m2, s2, u2)),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for Cell {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Cell {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Cell {}

impl Hash for Cell {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.rank().hash(state);
        match self {
            Cell::Null => {}
            Cell::Int(v) => v.hash(state),
            Cell::UInt(v) => v.hash(state),
            Cell::Float(v) => v.to_bits().hash(state),
            Cell::Double(v) => v.to_bits().hash(state),
            Cell::Text(v) => v.hash(state),
            Cell::Bytes(v) => v.hash(state),
            Cell::Date { year, month, day } => (year, month, day).hash(state),
            Cell::DateTime { year, month, day, hour, minute, second, micros } => {
                (year, month, day, hour, minute, second, micros).hash(state);
            }
            Cell::Time { negative, hours, minutes, seconds, micros } => {
                (negative, hours, minutes, seconds, micros).hash(state);
            }
        }
    }
}
