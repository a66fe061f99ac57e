//! COM_STMT_EXECUTE and COM_STMT_SEND_LONG_DATA: parameters in the binary protocol.
//! Never here: statements' texts, or which column a value goes to.
//!
//! See dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_stmt_execute.html,
//! page_protocol_com_stmt_send_long_data.html and page_protocol_binary_resultset.html.

use segue_rules::value::Cell;

use super::WireError;
use super::capability::{self, Capabilities};
use super::cursor::Cursor;

/// `PARAMETER_COUNT_AVAILABLE`: query attributes may come with the parameters.
const PARAMETER_COUNT_AVAILABLE: u8 = 8;

const UNSIGNED: u16 = 0x8000;

/// One parameter as it came. Strings are in the connection's character set.
#[derive(Clone, Debug, PartialEq)]
pub enum Parameter {
    Null,
    Int(i64),
    UInt(u64),
    Double(f64),
    /// DECIMAL as text.
    Decimal(Vec<u8>),
    String(Vec<u8>),
    Blob(Vec<u8>),
    Temporal(Cell),
    /// Sent before by COM_STMT_SEND_LONG_DATA.
    Long,
}

/// Type of a parameter: the type byte, with `0x8000` for unsigned.
pub type ParameterType = u16;

#[derive(Clone, Debug, PartialEq)]
pub struct Execute {
    pub statement_id: u32,
    pub parameters: Vec<Parameter>,
    /// Types as sent, or those of the execution before.
    pub types: Vec<ParameterType>,
}

/// The statement id of a COM_STMT_... payload (command byte included).
pub fn statement_id(payload: &[u8]) -> Result<u32, WireError> {
    let mut cursor = Cursor::new(payload, "COM_STMT");
    cursor.u8()?;
    cursor.u32()
}

impl Execute {
    /// Reads an execution of a statement with `count` parameters. `known`: types of an earlier one.
    /// `is_long`: whether a parameter's value was sent before.
    pub fn parse(
        payload: &[u8],
        count: u16,
        capabilities: Capabilities,
        known: Option<&[ParameterType]>,
        is_long: impl Fn(usize) -> bool,
    ) -> Result<Execute, WireError> {
        let (mut cursor, statement_id, all) = head(payload, count, capabilities)?;
        let own = usize::from(count);
        if own == 0 {
            return Ok(Execute { statement_id, parameters: Vec::new(), types: Vec::new() });
        }
        if all < own {
            return Err(cursor.malformed());
        }
        let nulls = cursor.bytes(all.div_ceil(8))?;
        let types = if cursor.u8()? != 0 {
            parameter_types(&mut cursor, all, capabilities & capability::QUERY_ATTRIBUTES != 0)?
        } else {
            known.filter(|types| types.len() >= own).ok_or_else(|| cursor.malformed())?.to_vec()
        };
        let mut parameters = Vec::with_capacity(own);
        for (i, kind) in types.iter().enumerate().take(own) {
            parameters.push(if is_long(i) {
                Parameter::Long
            } else if nulls[i / 8] & (1 << (i % 8)) != 0 {
                Parameter::Null
            } else {
                value(&mut cursor, *kind)?
            });
        }
        Ok(Execute { statement_id, parameters, types })
    }
}

/// What comes before the NULL bits: the statement's id, and how many parameters follow, query attributes
/// included.
fn head(
    payload: &[u8],
    count: u16,
    capabilities: Capabilities,
) -> Result<(Cursor<'_>, u32, usize), WireError> {
    let mut cursor = Cursor::new(payload, "COM_STMT_EXECUTE");
    cursor.u8()?;
    let statement_id = cursor.u32()?;
    let flags = cursor.u8()?;
    cursor.u32()?; // iterations, always 1
    let attributes = capabilities & capability::QUERY_ATTRIBUTES != 0;
    let mut all = usize::from(count);
    if attributes && (count > 0 || flags & PARAMETER_COUNT_AVAILABLE != 0) {
        all = usize::try_from(cursor.length()?).map_err(|_| cursor.malformed())?;
    }
    Ok((cursor, statement_id, all))
}

/// Whether an execution brings the types of its parameters; true where it cannot be read.
pub fn sends_types(payload: &[u8], count: u16, capabilities: Capabilities) -> bool {
    let flag = || -> Result<u8, WireError> {
        let (mut cursor, _, all) = head(payload, count, capabilities)?;
        cursor.bytes(all.div_ceil(8))?;
        cursor.u8()
    };
    flag().map_or(true, |flag| flag != 0)
}

fn parameter_types(
    cursor: &mut Cursor<'_>,
    count: usize,
    named: bool,
) -> Result<Vec<ParameterType>, WireError> {
    // Every type takes two bytes, so a false count cannot make this large.
    let mut types = Vec::with_capacity(count.min(cursor.rest().len() / 2));
    for _ in 0..count {
        types.push(cursor.u16()?);
        if named {
            cursor.length_bytes()?;
        }
    }
    Ok(types)
}

/// Skips the attributes in front of a COM_QUERY's text: they have the layout of parameters.
pub(super) fn skip_attributes(cursor: &mut Cursor<'_>, count: usize) -> Result<(), WireError> {
    let nulls = cursor.bytes(count.div_ceil(8))?;
    if cursor.u8()? == 0 {
        return Err(cursor.malformed());
    }
    let types = parameter_types(cursor, count, true)?;
    for (i, kind) in types.into_iter().enumerate() {
        if nulls[i / 8] & (1 << (i % 8)) == 0 {
            value(cursor, kind)?;
        }
    }
    Ok(())
}

pub(super) fn value(cursor: &mut Cursor<'_>, kind: ParameterType) -> Result<Parameter, WireError> {
    let unsigned = kind & UNSIGNED != 0;
    let integer = |signed: i64, bits: u64| {
        if unsigned { Parameter::UInt(bits) } else { Parameter::Int(signed) }
    };
    Ok(match kind & 0xff {
        1 => {
            let v = cursor.u8()?;
            integer(i64::from(v as i8), u64::from(v))
        }
        2 | 13 => {
            let v = cursor.u16()?;
            integer(i64::from(v as i16), u64::from(v))
        }
        3 | 9 => {
            let v = cursor.u32()?;
            integer(i64::from(v as i32), u64::from(v))
        }
        8 => {
            let v = cursor.u64()?;
            integer(v as i64, v)
        }
        4 => Parameter::Double(f64::from(f32::from_bits(cursor.u32()?))),
        5 => Parameter::Double(f64::from_bits(cursor.u64()?)),
        6 => Parameter::Null,
        7 | 10 | 12 => Parameter::Temporal(date(cursor, kind & 0xff == 10)?),
        11 => Parameter::Temporal(time(cursor)?),
        0 | 246 => Parameter::Decimal(cursor.length_bytes()?.to_vec()),
        249..=252 => Parameter::Blob(cursor.length_bytes()?.to_vec()),
        15 | 16 | 242 | 245 | 247 | 248 | 253..=255 => {
            Parameter::String(cursor.length_bytes()?.to_vec())
        }
        _ => return Err(cursor.malformed()),
    })
}

fn date(cursor: &mut Cursor<'_>, is_date: bool) -> Result<Cell, WireError> {
    let length = cursor.u8()?;
    let mut part = Cursor::new(cursor.bytes(usize::from(length))?, "temporal parameter");
    let (mut year, mut month, mut day) = (0, 0, 0);
    let (mut hour, mut minute, mut second, mut micros) = (0, 0, 0, 0);
    if length >= 4 {
        (year, month, day) = (part.u16()?, part.u8()?, part.u8()?);
    }
    if length >= 7 {
        (hour, minute, second) = (part.u8()?, part.u8()?, part.u8()?);
    }
    if length >= 11 {
        micros = part.u32()?;
    }
    if is_date && length <= 4 {
        return Ok(Cell::Date { year, month, day });
    }
    Ok(Cell::DateTime { year, month, day, hour, minute, second, micros })
}

fn time(cursor: &mut Cursor<'_>) -> Result<Cell, WireError> {
    let length = cursor.u8()?;
    let mut part = Cursor::new(cursor.bytes(usize::from(length))?, "temporal parameter");
    if length < 8 {
        return Ok(Cell::Time { negative: false, hours: 0, minutes: 0, seconds: 0, micros: 0 });
    }
    let negative = part.u8()? != 0;
    let days = part.u32()?;
    let hours = u32::from(part.u8()?).saturating_add(days.saturating_mul(24));
    let (minutes, seconds) = (part.u8()?, part.u8()?);
    let micros = if length >= 12 { part.u32()? } else { 0 };
    Ok(Cell::Time { negative, hours, minutes, seconds, micros })
}

/// A COM_STMT_SEND_LONG_DATA payload: statement id, parameter, bytes.
pub fn long_data(payload: &[u8]) -> Result<(u32, u16, &[u8]), WireError> {
    let mut cursor = Cursor::new(payload, "COM_STMT_SEND_LONG_DATA");
    cursor.u8()?;
    Ok((cursor.u32()?, cursor.u16()?, cursor.rest()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn execution(flags: u8, rest: &[u8]) -> Vec<u8> {
        let mut p = vec![0x17, 7, 0, 0, 0, flags, 1, 0, 0, 0];
        p.extend_from_slice(rest);
        p
    }

    #[test]
    fn parameters_of_all_kinds_are_read() {
        let p = execution(0, b"\x02\x01\x08\x80\x06\x00\xfd\x00\x05\0\0\0\0\0\0\0\x03abc");
        let e = Execute::parse(&p, 3, 0, None, |_| false).unwrap();
        assert_eq!(
            e.parameters,
            [Parameter::UInt(5), Parameter::Null, Parameter::String(b"abc".to_vec())]
        );
        let again = execution(0, b"\x02\x00\x05\0\0\0\0\0\0\0\x03abc");
        let f = Execute::parse(&again, 3, 0, Some(&e.types), |_| false).unwrap();
        assert_eq!(f.parameters, e.parameters);
        assert!(Execute::parse(&again, 3, 0, None, |_| false).is_err());
    }

    #[test]
    fn query_attributes_follow_the_parameters() {
        let p = execution(8, b"\x02\x00\x01\x03\x00\x00\xfd\x00\x01n\x09\0\0\0\x01v");
        let e = Execute::parse(&p, 1, capability::QUERY_ATTRIBUTES, None, |_| false).unwrap();
        assert_eq!(e.parameters, [Parameter::Int(9)]);
    }

    #[test]
    fn temporal_parameters_are_read() {
        let p = execution(0, b"\x00\x01\x0c\x00\x0b\x00\x07\xe8\x07\x02\x1d\x0a\x0b\x0c\x08\x01\x01\0\0\0\x02\x03\x04");
        let e = Execute::parse(&p, 2, 0, None, |_| false).unwrap();
        assert_eq!(
            e.parameters[0],
            Parameter::Temporal(Cell::DateTime {
                year: 2024,
                month: 2,
                day: 29,
                hour: 10,
                minute: 11,
                second: 12,
                micros: 0
            })
        );
        assert_eq!(
            e.parameters[1],
            Parameter::Temporal(Cell::Time {
                negative: true,
                hours: 26,
                minutes: 3,
                seconds: 4,
                micros: 0
            })
        );
    }

    #[test]
    fn long_parameters_have_no_value_in_the_packet() {
        let p = execution(0, b"\x00\x01\xfc\x00\x01\x00\x05");
        let e = Execute::parse(&p, 2, 0, None, |i| i == 0).unwrap();
        assert_eq!(e.parameters, [Parameter::Long, Parameter::Int(5)]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_execution_or_an_error(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            count in any::<u16>(),
            capabilities in any::<u64>(),
        ) {
            let _ = Execute::parse(&bytes, count, capabilities, None, |_| false);
            let _ = Execute::parse(&execution(8, &bytes), count % 9, capabilities, Some(&[1; 9]), |_| false);
            let _ = long_data(&bytes);
        }
    }
}
