//! COM_STMT_EXECUTE: arbitrary bytes, and packets as clients write them, which must be read back.
//! Never here: a session's prepared statements (see `prepared`).

use segue::wire::capability::{Capabilities, QUERY_ATTRIBUTES};
use segue::wire::cursor::put_length;
use segue::wire::execute::{Execute, Parameter, long_data, statement_id};
use segue_rules::value::Cell;

use crate::input::Input;

/// Parameters that a packet may claim and still be worth trying.
const COUNT_MAX: usize = 40;

pub fn run(data: &[u8]) {
    let _ = statement_id(data);
    if let Ok((_, _, bytes)) = long_data(data) {
        assert!(bytes.len() < data.len());
    }
    let mut input = Input::new(data);
    let count = input.short();
    let (capabilities, long) = (Capabilities::from(input.word()), input.byte());
    let payload = input.rest();
    let is_long = |i: usize| i < 8 && long & (1 << i) != 0;
    let Ok(first) = Execute::parse(payload, count, capabilities, None, is_long) else { return };
    assert_eq!(first.parameters.len(), usize::from(count));
    if count > 0 {
        assert!(first.types.len() >= usize::from(count));
    }
    // A packet that brings its types is read the same whatever types were known.
    let known = vec![3; usize::from(count)];
    let again = Execute::parse(payload, count, capabilities, Some(&known), is_long);
    // By their text: NaN is not equal to itself.
    assert_eq!(format!("{:?}", again.ok()), format!("{:?}", Some(first)));
}

/// A value with the type byte it is sent under.
pub struct Value {
    kind: u8,
    unsigned: bool,
    name: Vec<u8>,
    /// As it stands in the packet; `None` is NULL.
    bytes: Option<Vec<u8>>,
    expected: Parameter,
}

pub fn arbitrary_values(input: &mut Input<'_>) -> Vec<Value> {
    let count = usize::from(input.byte()) % COUNT_MAX;
    (0..count).map(|_| value(input)).collect()
}

fn value(input: &mut Input<'_>) -> Value {
    let kinds = [1, 2, 3, 8, 4, 5, 6, 7, 10, 11, 12, 0, 246, 249, 252, 253, 254, 15, 245, 9, 13];
    let kind = input.pick(&kinds);
    let unsigned = input.flag();
    let name = input.chunk().to_vec();
    let (bytes, expected) = match kind {
        1 => integer(&input.byte().to_le_bytes(), unsigned),
        2 | 13 => integer(&input.short().to_le_bytes(), unsigned),
        3 | 9 => integer(&input.word().to_le_bytes(), unsigned),
        8 => integer(&input.long().to_le_bytes(), unsigned),
        4 => {
            let bits = input.word() & 0x7f7f_ffff;
            (bits.to_le_bytes().to_vec(), Parameter::Double(f64::from(f32::from_bits(bits))))
        }
        5 => {
            let bits = input.long() & 0x7fef_ffff_ffff_ffff;
            (bits.to_le_bytes().to_vec(), Parameter::Double(f64::from_bits(bits)))
        }
        6 => (Vec::new(), Parameter::Null),
        7 | 10 | 12 => date(input, kind == 10),
        11 => time(input),
        _ => {
            let bytes = input.chunk().to_vec();
            let mut out = Vec::new();
            put_length(&mut out, bytes.len() as u64);
            out.extend_from_slice(&bytes);
            let expected = match kind {
                0 | 246 => Parameter::Decimal(bytes),
                249..=252 => Parameter::Blob(bytes),
                _ => Parameter::String(bytes),
            };
            (out, expected)
        }
    };
    if input.byte() % 8 == 7 {
        return Value { kind, unsigned, name, bytes: None, expected: Parameter::Null };
    }
    Value { kind, unsigned, name, bytes: Some(bytes), expected }
}

fn integer(bytes: &[u8], unsigned: bool) -> (Vec<u8>, Parameter) {
    let negative = bytes.last().is_some_and(|last| last & 0x80 != 0) && !unsigned;
    let mut wide = if negative { [0xff; 8] } else { [0; 8] };
    wide[..bytes.len()].copy_from_slice(bytes);
    let expected = if unsigned {
        Parameter::UInt(u64::from_le_bytes(wide))
    } else {
        Parameter::Int(i64::from_le_bytes(wide))
    };
    (bytes.to_vec(), expected)
}

fn date(input: &mut Input<'_>, is_date: bool) -> (Vec<u8>, Parameter) {
    let length = input.pick(&[0_u8, 4, 7, 11]);
    let mut out = vec![length];
    let (mut year, mut month, mut day) = (0, 0, 0);
    let (mut hour, mut minute, mut second, mut micros) = (0, 0, 0, 0);
    if length >= 4 {
        (year, month, day) = (input.short(), input.byte(), input.byte());
        out.extend_from_slice(&year.to_le_bytes());
        out.extend_from_slice(&[month, day]);
    }
    if length >= 7 {
        (hour, minute, second) = (input.byte(), input.byte(), input.byte());
        out.extend_from_slice(&[hour, minute, second]);
    }
    if length >= 11 {
        micros = input.word();
        out.extend_from_slice(&micros.to_le_bytes());
    }
    let cell = if is_date && length <= 4 {
        Cell::Date { year, month, day }
    } else {
        Cell::DateTime { year, month, day, hour, minute, second, micros }
    };
    (out, Parameter::Temporal(cell))
}

fn time(input: &mut Input<'_>) -> (Vec<u8>, Parameter) {
    let length = input.pick(&[0_u8, 8, 12]);
    let mut out = vec![length];
    let (mut negative, mut hours, mut minutes, mut seconds, mut micros) = (false, 0, 0, 0, 0);
    if length >= 8 {
        negative = input.flag();
        // MySQL's longest time has 34 days.
        let (days, hour) = (u32::from(input.byte() % 35), input.byte());
        (minutes, seconds) = (input.byte(), input.byte());
        hours = days * 24 + u32::from(hour);
        out.push(u8::from(negative));
        out.extend_from_slice(&days.to_le_bytes());
        out.extend_from_slice(&[hour, minutes, seconds]);
    }
    if length >= 12 {
        micros = input.word();
        out.extend_from_slice(&micros.to_le_bytes());
    }
    (out, Parameter::Temporal(Cell::Time { negative, hours, minutes, seconds, micros }))
}

/// NULL bits, types (with names where `named`) and values, as in an execution or before a text.
pub fn put_block(out: &mut Vec<u8>, values: &[Value], with_types: bool, named: bool) {
    let mut nulls = vec![0_u8; values.len().div_ceil(8)];
    for (i, value) in values.iter().enumerate() {
        if value.bytes.is_none() {
            nulls[i / 8] |= 1 << (i % 8);
        }
    }
    out.extend_from_slice(&nulls);
    out.push(u8::from(with_types));
    if with_types {
        for value in values {
            out.extend_from_slice(&[value.kind, if value.unsigned { 0x80 } else { 0 }]);
            if named {
                put_length(out, value.name.len() as u64);
                out.extend_from_slice(&value.name);
            }
        }
    }
    for value in values {
        out.extend_from_slice(value.bytes.as_deref().unwrap_or_default());
    }
}

pub fn round_trip(data: &[u8]) {
    let mut input = Input::new(data);
    let attributes = input.flag();
    let capabilities = if attributes { QUERY_ATTRIBUTES } else { 0 };
    let statement = input.word();
    let beyond = usize::from(input.byte()) % 4;
    let values = arbitrary_values(&mut input);
    // The last of them are query attributes, where there can be any.
    let own = if attributes { values.len().saturating_sub(beyond) } else { values.len() };
    let packet = |with_types: bool| {
        let mut out = vec![0x17];
        out.extend_from_slice(&statement.to_le_bytes());
        let flags = if attributes { 8 } else { 0 };
        out.extend_from_slice(&[flags, 1, 0, 0, 0]);
        if attributes {
            put_length(&mut out, values.len() as u64);
        }
        if !values.is_empty() {
            put_block(&mut out, &values, with_types, attributes);
        }
        out
    };
    let count = own as u16;
    let first = Execute::parse(&packet(true), count, capabilities, None, |_| false);
    let first = first.expect("an execution as a client writes it");
    assert_eq!(first.statement_id, statement);
    let expected: Vec<&Parameter> = values[..own].iter().map(|value| &value.expected).collect();
    assert_eq!(first.parameters.iter().collect::<Vec<_>>(), expected);
    if own > 0 {
        let again = packet(false);
        let second = Execute::parse(&again, count, capabilities, Some(&first.types), |_| false);
        assert_eq!(second.expect("types of the execution before").parameters, first.parameters);
    }
}
