//! Random values there and back: nothing is lost by any stored form.
//! Never here: literal expectations (see `type_table`).

use proptest::prelude::*;

use super::*;
use crate::catalog::DataType;

fn round_trip(cell: &Cell, column: &DataType, target: AttributeType) -> Result<(), TestCaseError> {
    for epoch in [EpochUnit::Seconds, EpochUnit::Milliseconds] {
        let attribute = to_attribute(cell, column, target, epoch)
            .map_err(|error| TestCaseError::fail(format!("{column:?} {target:?}: {error}")))?;
        let back = from_attribute(attribute.as_ref(), column, epoch)
            .map_err(|error| TestCaseError::fail(format!("{attribute:?}: {error}")))?;
        prop_assert_eq!(&back, cell, "{:?} through {:?}", column, attribute);
    }
    Ok(())
}

fn json_value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(serde_json::Value::from),
        any::<i64>().prop_map(serde_json::Value::from),
        any::<u64>().prop_map(serde_json::Value::from),
        ".{0,8}".prop_map(serde_json::Value::from),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(serde_json::Value::from),
            prop::collection::btree_map(".{0,6}", inner, 0..5)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn integers(signed: i64, unsigned: u64) {
        let column = |unsigned| DataType::Integer { bits: 64, unsigned, display_one: false };
        for target in [AttributeType::N, AttributeType::S] {
            round_trip(&Cell::Int(signed), &column(false), target)?;
            round_trip(&Cell::UInt(unsigned), &column(true), target)?;
            round_trip(&Cell::UInt(unsigned), &DataType::Bit { width: 64 }, target)?;
        }
    }

    #[test]
    fn decimals(negative: bool, whole in "0|[1-9][0-9]{0,27}", fraction in "[0-9]{10}") {
        let zero = whole == "0" && fraction == "0000000000";
        let sign = if negative && !zero { "-" } else { "" };
        let cell = Cell::Text(format!("{sign}{whole}.{fraction}"));
        let column = DataType::Decimal { precision: 38, scale: 10, unsigned: false };
        for target in [AttributeType::N, AttributeType::S] {
            round_trip(&cell, &column, target)?;
        }
    }

    #[test]
    fn doubles(value in -1e125f64..1e125, tiny in -1e-5f64..1e-5, bits: u64) {
        for value in [value, tiny] {
            round_trip(&Cell::Double(value), &DataType::Double, AttributeType::S)?;
            if value != 0.0 && value.abs() >= 1e-130 {
                round_trip(&Cell::Double(value), &DataType::Double, AttributeType::N)?;
            }
        }
        let any = f64::from_bits(bits);
        if any.is_finite() {
            round_trip(&Cell::Double(any), &DataType::Double, AttributeType::S)?;
        }
    }

    #[test]
    fn floats(bits: u32) {
        let value = f32::from_bits(bits);
        if value.is_finite() {
            round_trip(&Cell::Float(value), &DataType::Float, AttributeType::S)?;
            if value != 0.0 {
                round_trip(&Cell::Float(value), &DataType::Float, AttributeType::N)?;
            }
        }
    }

    #[test]
    fn dates_and_times(
        year in 0u16..=9999, month in 1u8..=12, day in 1u8..=28, hour in 0u8..24,
        minute in 0u8..60, second in 0u8..60, micros in 0u32..1_000_000,
    ) {
        let cell = Cell::DateTime { year, month, day, hour, minute, second, micros };
        for target in [AttributeType::N, AttributeType::S] {
            round_trip(&cell, &DataType::DateTime { fraction: 6 }, target)?;
            round_trip(&cell, &DataType::Timestamp { fraction: 6 }, target)?;
        }
        round_trip(&Cell::Date { year, month, day }, &DataType::Date, AttributeType::S)?;
    }

    #[test]
    fn times(
        negative: bool, hours in 0u32..839, minutes in 0u8..60, seconds in 0u8..60,
        micros in 1u32..1_000_000,
    ) {
        let cell = Cell::Time { negative, hours, minutes, seconds, micros };
        round_trip(&cell, &DataType::Time { fraction: 6 }, AttributeType::S)?;
    }

    #[test]
    fn texts_and_bytes(text: String, bytes: Vec<u8>) {
        round_trip(&Cell::Text(text), &DataType::Text, AttributeType::S)?;
        round_trip(&Cell::Bytes(bytes), &DataType::Blob, AttributeType::B)?;
    }

    #[test]
    fn sets(chosen in prop::collection::vec(any::<bool>(), 5)) {
        let values = ["five", "four", "three", "two", "one"].map(str::to_owned).to_vec();
        let members: Vec<_> =
            values.iter().zip(&chosen).filter(|(_, on)| **on).map(|(v, _)| v.as_str()).collect();
        let cell = Cell::Text(members.join(","));
        let column = DataType::Set { values: values.clone() };
        round_trip(&cell, &column, AttributeType::SS)?;
        round_trip(&cell, &column, AttributeType::S)?;
    }

    #[test]
    fn json_documents_mean_the_same(value in json_value()) {
        let cell = Cell::Text(value.to_string());
        let epoch = EpochUnit::Seconds;
        for target in [AttributeType::M, AttributeType::L, AttributeType::S] {
            let attribute = to_attribute(&cell, &DataType::Json, target, epoch).unwrap();
            let back = from_attribute(attribute.as_ref(), &DataType::Json, epoch).unwrap();
            let Cell::Text(back) = back else { return Err(TestCaseError::fail("not text")) };
            let read: serde_json::Value = serde_json::from_str(&back).unwrap();
            prop_assert_eq!(&read, &value);
        }
    }

    #[test]
    fn normalising_keeps_the_value_and_is_stable(
        negative: bool, digits in "[0-9]{1,38}", exponent in -120i32..80,
    ) {
        let text = format!("{}{digits}e{exponent}", if negative { "-" } else { "" });
        let Ok(normal) = normalise_number(&text) else { return Ok(()) };
        prop_assert!(numbers_equal(&normal, &text));
        prop_assert_eq!(normalise_number(&normal).unwrap(), normal);
    }
}
