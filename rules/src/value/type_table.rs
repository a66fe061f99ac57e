//! Every MySQL type against every attribute type, with the stored form in full and the way back.
//! Never here: random values (see `round_trips`).

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::catalog::DataType;

fn s(text: &str) -> Attribute {
    Attribute::S(text.to_owned())
}

fn n(text: &str) -> Attribute {
    Attribute::N(text.to_owned())
}

fn ss(members: &[&str]) -> Attribute {
    Attribute::SS(members.iter().map(|&m| m.to_owned()).collect())
}

fn text(value: &str) -> Cell {
    Cell::Text(value.to_owned())
}

fn integer(bits: u8, unsigned: bool) -> DataType {
    DataType::Integer { bits, unsigned, display_one: false }
}

fn decimal(precision: u8, scale: u8) -> DataType {
    DataType::Decimal { precision, scale, unsigned: false }
}

fn datetime(parts: (u16, u8, u8, u8, u8, u8), micros: u32) -> Cell {
    let (year, month, day, hour, minute, second) = parts;
    Cell::DateTime { year, month, day, hour, minute, second, micros }
}

fn time(negative: bool, hours: u32, minutes: u8, seconds: u8, micros: u32) -> Cell {
    Cell::Time { negative, hours, minutes, seconds, micros }
}

const ALL: [AttributeType; 10] = [
    AttributeType::S,
    AttributeType::N,
    AttributeType::B,
    AttributeType::Bool,
    AttributeType::Null,
    AttributeType::M,
    AttributeType::L,
    AttributeType::SS,
    AttributeType::NS,
    AttributeType::BS,
];

/// (column, cell, every attribute type that holds it with the stored form).
type Line = (DataType, Cell, Vec<(AttributeType, Attribute)>);

fn numeric_lines() -> Vec<Line> {
    use AttributeType::{Bool, N, S};
    let flag = DataType::Integer { bits: 8, unsigned: false, display_one: true };
    let both = |digits: &str| vec![(N, n(digits)), (S, s(digits))];
    vec![
        (integer(8, false), Cell::Int(-128), both("-128")),
        (integer(8, true), Cell::UInt(255), both("255")),
        (integer(16, false), Cell::Int(32_767), both("32767")),
        (integer(24, true), Cell::UInt(16_777_215), both("16777215")),
        (integer(32, false), Cell::Int(-2_147_483_648), both("-2147483648")),
        (integer(64, false), Cell::Int(i64::MIN), both("-9223372036854775808")),
        (integer(64, true), Cell::UInt(u64::MAX), both("18446744073709551615")),
        (flag.clone(), Cell::Int(1), vec![(N, n("1")), (S, s("1")), (Bool, Attribute::Bool(true))]),
        (flag, Cell::Int(0), vec![(N, n("0")), (S, s("0")), (Bool, Attribute::Bool(false))]),
        (
            DataType::Bit { width: 1 },
            Cell::UInt(1),
            vec![(N, n("1")), (S, s("1")), (Bool, Attribute::Bool(true))],
        ),
        (DataType::Bit { width: 64 }, Cell::UInt(u64::MAX), both("18446744073709551615")),
        (DataType::Year, Cell::UInt(2024), both("2024")),
        (DataType::Year, Cell::UInt(0), both("0")),
        (decimal(10, 2), text("1.50"), vec![(N, n("1.5")), (S, s("1.50"))]),
        (decimal(10, 2), text("-0.10"), vec![(N, n("-0.1")), (S, s("-0.10"))]),
        (decimal(10, 0), text("100"), both("100")),
        (
            decimal(38, 10),
            text("1234567890123456789012345678.0123456789"),
            both("1234567890123456789012345678.0123456789"),
        ),
        (DataType::Float, Cell::Float(0.1), both("0.1")),
        (DataType::Float, Cell::Float(-2.5), both("-2.5")),
        (DataType::Double, Cell::Double(0.1), both("0.1")),
        (
            DataType::Double,
            Cell::Double(1e21),
            vec![(N, n("1000000000000000000000")), (S, s("1e21"))],
        ),
        (DataType::Double, Cell::Double(1.5e-7), vec![(N, n("0.00000015")), (S, s("1.5e-7"))]),
    ]
}

fn text_lines() -> Vec<Line> {
    use AttributeType::{B, L, M, S, SS};
    let values = || ["red", "green", "blue"].map(str::to_owned).to_vec();
    let only_text = |value: &str| vec![(S, s(value))];
    let both =
        |native: Attribute, value: &str| vec![(M, native.clone()), (L, native), (S, s(value))];
    let object = Attribute::M(BTreeMap::from([("a".to_owned(), n("1.5"))]));
    vec![
        (DataType::Char { length: 3 }, text("äß"), only_text("äß")),
        (DataType::Varchar { length: 9 }, text(""), only_text("")),
        (DataType::Text, text("a\0b"), only_text("a\0b")),
        (DataType::Enum { values: values() }, text("green"), only_text("green")),
        (
            DataType::Set { values: values() },
            text("red,blue"),
            vec![(S, s("red,blue")), (SS, ss(&["blue", "red"]))],
        ),
        (DataType::Set { values: values() }, text(""), vec![(S, s("")), (SS, ss(&[""]))]),
        (
            DataType::Binary { length: 2 },
            Cell::Bytes(vec![0, 255]),
            vec![(B, Attribute::B(vec![0, 255]))],
        ),
        (DataType::Varbinary { length: 2 }, Cell::Bytes(vec![]), vec![(B, Attribute::B(vec![]))]),
        (DataType::Blob, Cell::Bytes(vec![1]), vec![(B, Attribute::B(vec![1]))]),
        (DataType::Json, text(r#"{"a": 1.5}"#), both(object, r#"{"a": 1.5}"#)),
        (DataType::Json, text("[]"), both(Attribute::L(vec![]), "[]")),
        (DataType::Json, text("\"word\""), both(s("\"word\""), "\"word\"")),
        (DataType::Json, text("[1e300]"), both(s("[1e300]"), "[1e300]")),
        (
            DataType::Other("uuid".to_owned()),
            text("123e4567-e89b-12d3-a456-426655440000"),
            only_text("123e4567-e89b-12d3-a456-426655440000"),
        ),
        (
            DataType::Other("point".to_owned()),
            Cell::Bytes(vec![7]),
            vec![(B, Attribute::B(vec![7]))],
        ),
        (DataType::Other("mystery".to_owned()), text("x"), vec![]),
    ]
}

fn temporal_lines() -> Vec<Line> {
    use AttributeType::{N, S};
    let whole = datetime((2024, 2, 29, 13, 5, 9), 0);
    let fine = datetime((2024, 2, 29, 13, 5, 9), 120_000);
    let only_text = |value: &str| vec![(S, s(value))];
    let both = |value: &str, digits: &str| vec![(S, s(value)), (N, n(digits))];
    let before = datetime((1969, 12, 31, 23, 59, 59), 500_000);
    vec![
        (DataType::Date, Cell::Date { year: 2024, month: 2, day: 29 }, only_text("2024-02-29")),
        (DataType::Date, Cell::Date { year: 0, month: 0, day: 0 }, only_text("0000-00-00")),
        (DataType::Time { fraction: 0 }, time(false, 13, 5, 9, 0), only_text("13:05:09")),
        (DataType::Time { fraction: 3 }, time(true, 1, 0, 0, 7_000), only_text("-01:00:00.007")),
        (DataType::Time { fraction: 0 }, time(false, 838, 59, 59, 0), only_text("838:59:59")),
        (
            DataType::DateTime { fraction: 0 },
            whole.clone(),
            both("2024-02-29T13:05:09", "1709211909"),
        ),
        (
            DataType::DateTime { fraction: 6 },
            fine.clone(),
            both("2024-02-29T13:05:09.120000", "1709211909.12"),
        ),
        (
            DataType::DateTime { fraction: 0 },
            datetime((0, 0, 0, 0, 0, 0), 0),
            only_text("0000-00-00 00:00:00"),
        ),
        (DataType::Timestamp { fraction: 0 }, whole, both("2024-02-29T13:05:09Z", "1709211909")),
        (
            DataType::Timestamp { fraction: 2 },
            fine,
            both("2024-02-29T13:05:09.12Z", "1709211909.12"),
        ),
        (DataType::DateTime { fraction: 1 }, before, both("1969-12-31T23:59:59.5", "-0.5")),
        (
            DataType::Timestamp { fraction: 0 },
            datetime((0, 0, 0, 0, 0, 0), 0),
            only_text("0000-00-00 00:00:00"),
        ),
    ]
}

#[test]
fn every_type_has_its_stored_forms_and_their_inverse_and_no_others() {
    let lines = [numeric_lines(), text_lines(), temporal_lines()].concat();
    for (column, cell, stored) in lines {
        for target in ALL {
            let place = format!("{column:?} {cell:?} as {target:?}");
            let made = to_attribute(&cell, &column, target, EpochUnit::Seconds);
            match stored.iter().find(|(kind, _)| *kind == target) {
                Some((_, expected)) => {
                    assert_eq!(made.unwrap().as_ref(), Some(expected), "{place}");
                    assert_eq!(supported(&column, target), Ok(()), "{place}");
                    let back = from_attribute(Some(expected), &column, EpochUnit::Seconds);
                    assert_eq!(back.unwrap(), cell, "back from {place}");
                }
                None => assert!(made.is_err(), "{place}: {made:?}"),
            }
            let null = (target == AttributeType::Null).then_some(Attribute::Null);
            assert_eq!(
                to_attribute(&Cell::Null, &column, target, EpochUnit::Seconds).unwrap(),
                null
            );
        }
        for nothing in [None, Some(&Attribute::Null)] {
            assert_eq!(from_attribute(nothing, &column, EpochUnit::Seconds).unwrap(), Cell::Null);
        }
    }
}

#[test]
fn a_value_that_does_not_fit_is_an_error_and_not_rounded() {
    let flag = DataType::Integer { bits: 8, unsigned: false, display_one: true };
    let two = to_attribute(&Cell::Int(2), &flag, AttributeType::Bool, EpochUnit::Seconds);
    assert_eq!(two.unwrap_err().to_string(), "2 is neither 0 nor 1, so it is no BOOL");
    let faults = [
        (integer(8, false), Cell::Int(128), AttributeType::N),
        (integer(32, false), text("1.5"), AttributeType::N),
        (decimal(10, 2), text("1.505"), AttributeType::S),
        (decimal(10, 2), Cell::Double(1.5), AttributeType::N),
        (decimal(65, 0), text(&"9".repeat(39)), AttributeType::N),
        (DataType::Double, Cell::Double(1e126), AttributeType::N),
        (DataType::Double, Cell::Double(1e-131), AttributeType::N),
        (DataType::Text, Cell::Bytes(vec![0xff]), AttributeType::S),
        (DataType::DateTime { fraction: 0 }, datetime((2024, 1, 1, 0, 0, 0), 1), AttributeType::S),
        (DataType::DateTime { fraction: 0 }, datetime((2024, 2, 31, 0, 0, 0), 0), AttributeType::N),
        (DataType::Date, datetime((2024, 2, 3, 1, 0, 0), 0), AttributeType::S),
    ];
    for (column, cell, target) in faults {
        let made = to_attribute(&cell, &column, target, EpochUnit::Seconds);
        assert!(matches!(made, Err(ConvertError::Unfit(_))), "{column:?} {cell:?}: {made:?}");
    }
}

#[test]
fn neighbouring_cell_kinds_are_taken_where_nothing_is_lost() {
    let made = |cell: &Cell, column: &DataType, target| {
        to_attribute(cell, column, target, EpochUnit::Seconds).unwrap().unwrap()
    };
    assert_eq!(made(&Cell::UInt(5), &integer(32, false), AttributeType::N), n("5"));
    assert_eq!(made(&text("5.0"), &integer(32, false), AttributeType::N), n("5"));
    assert_eq!(made(&Cell::Int(3), &decimal(10, 2), AttributeType::S), s("3.00"));
    assert_eq!(made(&Cell::Bytes(b"hi".to_vec()), &DataType::Text, AttributeType::S), s("hi"));
    let stamp = DataType::Timestamp { fraction: 3 };
    let shown = text("2024-02-29 13:05:09.120");
    assert_eq!(made(&shown, &stamp, AttributeType::S), s("2024-02-29T13:05:09.120Z"));
    let midnight = Cell::Date { year: 2024, month: 1, day: 2 };
    let column = DataType::DateTime { fraction: 0 };
    assert_eq!(made(&midnight, &column, AttributeType::S), s("2024-01-02T00:00:00"));
}

#[test]
fn milliseconds_are_the_epoch_unit_where_asked_for() {
    let column = DataType::DateTime { fraction: 6 };
    let cell = datetime((2024, 2, 29, 13, 5, 9), 120_001);
    let made = to_attribute(&cell, &column, AttributeType::N, EpochUnit::Milliseconds).unwrap();
    assert_eq!(made, Some(n("1709211909120.001")));
    assert_eq!(from_attribute(made.as_ref(), &column, EpochUnit::Milliseconds).unwrap(), cell);
}

#[test]
fn a_decimal_of_more_than_38_digits_needs_s() {
    assert!(supported(&decimal(39, 2), AttributeType::N).is_err());
    assert_eq!(supported(&decimal(39, 2), AttributeType::S), Ok(()));
    assert_eq!(
        supported(&DataType::Text, AttributeType::N),
        Err("a column of type TEXT cannot be stored as N; possible: S".to_owned())
    );
}

#[test]
fn computed_values_are_stored_by_their_own_kind() {
    let made = |cell: Cell, target| infer_attribute(&cell, target, EpochUnit::Seconds);
    assert_eq!(made(text("12.5000"), AttributeType::N).unwrap(), Some(n("12.5")));
    assert_eq!(made(text("12.5000"), AttributeType::S).unwrap(), Some(s("12.5000")));
    assert_eq!(made(Cell::Int(1), AttributeType::Bool).unwrap(), Some(Attribute::Bool(true)));
    assert_eq!(made(Cell::Null, AttributeType::N).unwrap(), None);
    assert_eq!(
        made(datetime((2024, 2, 29, 13, 5, 9), 0), AttributeType::S).unwrap(),
        Some(s("2024-02-29T13:05:09"))
    );
    assert_eq!(
        made(datetime((2024, 2, 29, 13, 5, 9), 0), AttributeType::N).unwrap(),
        Some(n("1709211909"))
    );
    assert_eq!(made(text("[1]"), AttributeType::L).unwrap(), Some(Attribute::L(vec![n("1")])));
    assert!(made(text("no number"), AttributeType::N).is_err());
}

#[test]
fn template_text_knows_the_column() {
    let stamp = DataType::Timestamp { fraction: 0 };
    let cell = datetime((2024, 2, 29, 13, 5, 9), 0);
    assert_eq!(column_text(&cell, &stamp).unwrap(), "2024-02-29T13:05:09Z");
    assert_eq!(cell_text(&cell).unwrap(), "2024-02-29T13:05:09");
    let key = Cell::Bytes(vec![0, 0xab]);
    assert_eq!(column_text(&key, &DataType::Binary { length: 2 }).unwrap(), "00ab");
    assert_eq!(cell_text(&Cell::Null), None);
}

#[test]
fn a_set_comes_back_in_the_order_of_its_definition_and_knows_its_members() {
    let column = DataType::Set { values: ["z", "a"].map(str::to_owned).to_vec() };
    let back = |members: &[&str]| from_attribute(Some(&ss(members)), &column, EpochUnit::Seconds);
    assert_eq!(back(&["a", "z"]).unwrap(), text("z,a"));
    assert!(back(&["a", "b"]).is_err());
    assert!(
        from_attribute(Some(&Attribute::NS(BTreeSet::new())), &column, EpochUnit::Seconds).is_err()
    );
}
