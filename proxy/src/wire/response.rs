//! OK, ERR and EOF packets, and the answer to COM_STMT_PREPARE.
//! Never here: in which order they come (see `scan`).
//!
//! See dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_ok_packet.html,
//! page_protocol_basic_err_packet.html, page_protocol_basic_eof_packet.html and
//! page_protocol_com_stmt_prepare.html.

use super::WireError;
use super::cursor::{Cursor, put_length};
use super::status::StatusFlags;

pub const OK: u8 = 0x00;
pub const EOF: u8 = 0xfe;
pub const ERR: u8 = 0xff;
pub const LOCAL_INFILE: u8 = 0xfb;

/// An 0xFE packet of this length on is laid out as an OK packet; a shorter one, of 5 bytes, is the old EOF
/// packet.
pub const NEW_EOF_BYTES_MIN: u64 = 7;

/// An OK packet's fixed fields; messages and session tracking behind them are not read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OkPacket {
    pub affected_rows: u64,
    pub insert_id: u64,
    pub status: StatusFlags,
    pub warnings: u16,
}

impl OkPacket {
    /// Reads an OK packet, also one with the 0xFE header that ends rows.
    pub fn parse(payload: &[u8]) -> Result<OkPacket, WireError> {
        let mut cursor = Cursor::new(payload, "OK packet");
        cursor.u8()?;
        Ok(OkPacket {
            affected_rows: cursor.length()?,
            insert_id: cursor.length()?,
            status: cursor.u16()?,
            warnings: cursor.u16()?,
        })
    }

    /// Where the status flags stand in this OK packet's payload.
    pub fn status_at(payload: &[u8]) -> Result<usize, WireError> {
        let mut cursor = Cursor::new(payload, "OK packet");
        cursor.u8()?;
        cursor.length()?;
        cursor.length()?;
        let at = payload.len() - cursor.rest().len();
        cursor.u16()?;
        Ok(at)
    }

    /// Rows that an UPDATE found, changed or not: the first number of the info text, which is
    /// `Rows matched: 3  Changed: 1  Warnings: 0` in the language of `lc_messages`.
    pub fn matched(payload: &[u8], session_track: bool) -> Option<u64> {
        let at = OkPacket::status_at(payload).ok()?;
        let mut cursor = Cursor::new(payload.get(at..)?, "OK packet");
        let (_status, _warnings) = (cursor.u16().ok()?, cursor.u16().ok()?);
        if session_track {
            cursor.length().ok()?;
        }
        let info = cursor.rest();
        // Two bytes a character: not the text that is looked for.
        if info.contains(&0) {
            return None;
        }
        let numbers = info.split(|byte| !byte.is_ascii_digit()).filter(|part| !part.is_empty());
        let numbers: Vec<&[u8]> = numbers.take(3).collect();
        let [matched, _changed, _warnings] = numbers.as_slice() else { return None };
        std::str::from_utf8(matched).ok()?.parse().ok()
    }

    /// An OK packet of Segue's own.
    pub fn write(&self) -> Vec<u8> {
        let mut out = vec![OK];
        put_length(&mut out, self.affected_rows);
        put_length(&mut out, self.insert_id);
        out.extend_from_slice(&self.status.to_le_bytes());
        out.extend_from_slice(&self.warnings.to_le_bytes());
        out
    }
}

/// Reads an EOF packet of the old kind (5 bytes): (warnings, status).
pub fn parse_eof(payload: &[u8]) -> Result<(u16, StatusFlags), WireError> {
    let mut cursor = Cursor::new(payload, "EOF packet");
    cursor.u8()?;
    Ok((cursor.u16()?, cursor.u16()?))
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrPacket {
    pub code: u16,
    pub sql_state: [u8; 5],
    pub message: String,
}

impl ErrPacket {
    pub fn new(code: u16, sql_state: &[u8; 5], message: impl Into<String>) -> Self {
        ErrPacket { code, sql_state: *sql_state, message: message.into() }
    }

    pub fn parse(payload: &[u8]) -> Result<ErrPacket, WireError> {
        let mut cursor = Cursor::new(payload, "ERR packet");
        cursor.u8()?;
        let code = cursor.u16()?;
        let mut sql_state = *b"HY000";
        if cursor.rest().first() == Some(&b'#') {
            cursor.u8()?;
            sql_state.copy_from_slice(cursor.bytes(5)?);
        }
        Ok(ErrPacket {
            code,
            sql_state,
            message: String::from_utf8_lossy(cursor.rest()).into_owned(),
        })
    }

    pub fn write(&self) -> Vec<u8> {
        let mut out = self.write_before_login();
        out.splice(3..3, [b'#'].into_iter().chain(self.sql_state));
        out
    }

    /// Before the login no protocol version is agreed, and an ERR packet has no SQLSTATE.
    pub fn write_before_login(&self) -> Vec<u8> {
        let mut out = vec![ERR];
        out.extend_from_slice(&self.code.to_le_bytes());
        out.extend_from_slice(self.message.as_bytes());
        out
    }
}

/// The first packet of the answer to COM_STMT_PREPARE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrepareOk {
    pub statement_id: u32,
    pub columns: u16,
    pub parameters: u16,
    /// Definitions of parameters and columns follow (CLIENT_OPTIONAL_RESULTSET_METADATA).
    pub metadata_follows: bool,
}

impl PrepareOk {
    pub fn parse(payload: &[u8], optional_metadata: bool) -> Result<PrepareOk, WireError> {
        let mut cursor = Cursor::new(payload, "answer to COM_STMT_PREPARE");
        cursor.u8()?;
        let statement_id = cursor.u32()?;
        let columns = cursor.u16()?;
        let parameters = cursor.u16()?;
        let mut metadata_follows = true;
        if optional_metadata && cursor.rest().len() > 3 {
            cursor.bytes(3)?; // filler, warnings
            metadata_follows = cursor.u8()? != 0;
        }
        Ok(PrepareOk { statement_id, columns, parameters, metadata_follows })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ok_packets_round_trip() {
        let ok = OkPacket { affected_rows: 3, insert_id: 70_000, status: 0x4002, warnings: 1 };
        let bytes = ok.write();
        assert_eq!(OkPacket::parse(&bytes).unwrap(), ok);
        let at = OkPacket::status_at(&bytes).unwrap();
        assert_eq!(bytes[at..at + 2], [0x02, 0x40]);
    }

    #[test]
    fn err_packets_round_trip() {
        let err = ErrPacket::new(1213, b"40001", "Deadlock found");
        assert_eq!(ErrPacket::parse(&err.write()).unwrap(), err);
        assert_eq!(ErrPacket::parse(&err.write_before_login()).unwrap().code, 1213);
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_response_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = OkPacket::parse(&bytes);
            let _ = OkPacket::status_at(&bytes);
            let _ = ErrPacket::parse(&bytes);
            let _ = parse_eof(&bytes);
            let _ = PrepareOk::parse(&bytes, true);
        }
    }
}
