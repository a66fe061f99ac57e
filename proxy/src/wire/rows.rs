//! Rows of the text protocol. Never here: what the columns mean.
//!
//! See dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query_response_text_resultset.html.

use super::WireError;
use super::cursor::Cursor;

/// One row: the values as text in the connection's character set, `None` for NULL.
pub type TextRow = Vec<Option<Vec<u8>>>;

pub fn parse_text_row(payload: &[u8]) -> Result<TextRow, WireError> {
    let mut cursor = Cursor::new(payload, "text row");
    let mut row = Vec::new();
    while !cursor.is_empty() {
        if cursor.rest()[0] == 0xfb {
            cursor.u8()?;
            row.push(None);
        } else {
            row.push(Some(cursor.length_bytes()?.to_vec()));
        }
    }
    Ok(row)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_and_nulls_are_read() {
        assert_eq!(
            parse_text_row(b"\x01a\xfb\x00").unwrap(),
            [Some(b"a".to_vec()), None, Some(Vec::new())]
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_row_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = parse_text_row(&bytes);
        }
    }
}
