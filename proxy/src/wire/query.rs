//! COM_QUERY: where the statement's text begins behind query attributes.
//! Never here: the text itself.
//!
//! See dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query.html.

use super::WireError;
use super::capability::{self, Capabilities};
use super::command;
use super::cursor::Cursor;
use super::execute::skip_attributes;

/// Position of the text in a COM_QUERY payload (command byte included).
pub fn text_at(payload: &[u8], capabilities: Capabilities) -> Result<usize, WireError> {
    let mut cursor = Cursor::new(payload, "COM_QUERY");
    cursor.u8()?;
    if capabilities & capability::QUERY_ATTRIBUTES != 0 {
        let count = usize::try_from(cursor.length()?).map_err(|_| cursor.malformed())?;
        cursor.length()?; // parameter sets, always 1
        if count > 0 {
            skip_attributes(&mut cursor, count)?;
        }
    }
    Ok(payload.len() - cursor.rest().len())
}

/// A COM_QUERY payload of Segue's own, without attributes.
pub fn write(sql: &str, capabilities: Capabilities) -> Vec<u8> {
    let mut payload = Vec::with_capacity(sql.len() + 3);
    payload.push(command::QUERY);
    if capabilities & capability::QUERY_ATTRIBUTES != 0 {
        payload.extend_from_slice(&[0, 1]);
    }
    payload.extend_from_slice(sql.as_bytes());
    payload
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_text_stands_behind_the_attributes() {
        assert_eq!(text_at(b"\x03SELECT 1", 0).unwrap(), 1);
        let caps = capability::QUERY_ATTRIBUTES;
        assert_eq!(text_at(&write("SELECT 1", caps), caps).unwrap(), 3);
        let with = b"\x03\x01\x01\x00\x01\xfd\x00\x01n\x02vvSELECT 1";
        assert_eq!(&with[text_at(with, caps).unwrap()..], b"SELECT 1");
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_query_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            if let Ok(at) = text_at(&bytes, capability::QUERY_ATTRIBUTES) {
                prop_assert!(at <= bytes.len());
            }
        }
    }
}
