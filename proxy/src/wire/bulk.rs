//! MariaDB's COM_STMT_BULK_EXECUTE: the parameters of many rows in one packet.
//! Never here: what a row's values are for.
//!
//! See mariadb.com/kb/en/com_stmt_bulk_execute/.

use super::WireError;
use super::cursor::Cursor;
use super::execute::{Parameter, ParameterType, value};

/// The types of the parameters are in the packet.
const SEND_TYPES: u16 = 128;

/// What stands in front of each value.
const HAS_VALUE: u8 = 0;
const IS_NULL: u8 = 1;

#[derive(Clone, Debug, PartialEq)]
pub struct BulkExecute {
    pub statement_id: u32,
    /// `None`: a value that the server chooses (the column's default).
    pub rows: Vec<Vec<Option<Parameter>>>,
    pub types: Vec<ParameterType>,
}

impl BulkExecute {
    /// Reads an execution of a statement with `count` parameters. `known`: types of an earlier one.
    pub fn parse(
        payload: &[u8],
        count: u16,
        known: Option<&[ParameterType]>,
    ) -> Result<BulkExecute, WireError> {
        let mut cursor = Cursor::new(payload, "COM_STMT_BULK_EXECUTE");
        cursor.u8()?;
        let statement_id = cursor.u32()?;
        let flags = cursor.u16()?;
        let count = usize::from(count);
        if count == 0 {
            return Err(cursor.malformed());
        }
        let mut types = Vec::with_capacity(count);
        if flags & SEND_TYPES != 0 {
            for _ in 0..count {
                types.push(cursor.u16()?);
            }
        } else {
            types.extend_from_slice(
                known.filter(|known| known.len() == count).ok_or_else(|| cursor.malformed())?,
            );
        }
        let mut rows = Vec::new();
        while !cursor.is_empty() {
            let mut row = Vec::with_capacity(count);
            for kind in &types {
                row.push(match cursor.u8()? {
                    HAS_VALUE => Some(value(&mut cursor, *kind)?),
                    IS_NULL => Some(Parameter::Null),
                    _ => None,
                });
            }
            rows.push(row);
        }
        Ok(BulkExecute { statement_id, rows, types })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rows_with_values_nulls_and_defaults_are_read() {
        let p = b"\xfa\x07\0\0\0\x80\0\x03\0\xfd\0\
                  \0\x05\0\0\0\0\x01a\
                  \0\x06\0\0\0\x01\
                  \x02\0\0";
        let bulk = BulkExecute::parse(p, 2, None).unwrap();
        assert_eq!(bulk.statement_id, 7);
        let text = |text: &[u8]| Some(Parameter::String(text.to_vec()));
        assert_eq!(
            bulk.rows,
            [
                vec![Some(Parameter::Int(5)), text(b"a")],
                vec![Some(Parameter::Int(6)), Some(Parameter::Null)],
                vec![None, text(b"")],
            ]
        );
        let again = b"\xfa\x07\0\0\0\0\0\0\x05\0\0\0\x01";
        assert_eq!(BulkExecute::parse(again, 2, Some(&bulk.types)).unwrap().rows.len(), 1);
        assert!(BulkExecute::parse(again, 2, None).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_bulk_execution_or_an_error(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            count in 0_u16..9,
        ) {
            let _ = BulkExecute::parse(&bytes, count, None);
            let _ = BulkExecute::parse(&bytes, count, Some(&[3; 4]));
        }
    }
}
