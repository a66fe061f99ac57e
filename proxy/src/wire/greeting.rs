//! The server's greeting (protocol 10): read where its capability bits stand, and narrow them in place.
//! Never here: which capabilities are narrowed for what policy.
//!
//! See dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_handshake_v10.html
//! and mariadb.com/kb/en/connection/#initial-handshake-packet.

use super::WireError;
use super::capability::{self, Capabilities};
use super::cursor::Cursor;

/// Where the parts of a greeting that matter stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Greeting {
    pub server_version: String,
    /// The low 32 bits of the connection's id.
    pub connection: u32,
    /// With MariaDB's extended ones.
    pub capabilities: Capabilities,
    pub status: u16,
    /// The challenge of the default authentication plugin, without its closing NUL.
    pub scramble: Vec<u8>,
    low_at: usize,
    extended_at: Option<usize>,
}

impl Greeting {
    pub fn parse(payload: &[u8]) -> Result<Greeting, WireError> {
        let mut cursor = Cursor::new(payload, "server greeting");
        if cursor.u8()? != 10 {
            return Err(cursor.malformed());
        }
        let server_version = String::from_utf8_lossy(cursor.nul_bytes()?).into_owned();
        let connection = cursor.u32()?;
        let mut scramble = cursor.bytes(8)?.to_vec();
        cursor.u8()?; // filler
        let low_at = payload.len() - cursor.rest().len();
        let low = cursor.u16()?;
        cursor.u8()?; // collation
        let status = cursor.u16()?;
        let high = cursor.u16()?;
        let mut capabilities = Capabilities::from(low) | Capabilities::from(high) << 16;
        let length = usize::from(cursor.u8()?);
        cursor.bytes(6)?; // reserved
        let at = payload.len() - cursor.rest().len();
        let last = cursor.u32()?;
        let second = length.saturating_sub(8).max(13).min(cursor.rest().len());
        scramble.extend_from_slice(cursor.bytes(second)?.strip_suffix(&[0]).unwrap_or_default());
        let is_mariadb = capabilities & capability::LONG_PASSWORD == 0;
        if is_mariadb {
            capabilities |= Capabilities::from(last) << capability::EXTENDED_SHIFT;
        }
        Ok(Greeting {
            server_version,
            connection,
            capabilities,
            status,
            scramble,
            low_at,
            extended_at: is_mariadb.then_some(at),
        })
    }

    /// Writes other capabilities over those of the same greeting's payload; all else stays the server's.
    pub fn narrow(&self, payload: &mut [u8], capabilities: Capabilities) {
        let [a, b, c, d, extended @ ..] = capabilities.to_le_bytes();
        payload[self.low_at..self.low_at + 2].copy_from_slice(&[a, b]);
        // Collation and status stand between the halves.
        payload[self.low_at + 5..self.low_at + 7].copy_from_slice(&[c, d]);
        if let Some(at) = self.extended_at {
            payload[at..at + 4].copy_from_slice(&extended);
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(crate) fn greeting(capabilities: u32, extended: u32) -> Vec<u8> {
        let mut p = vec![10];
        p.extend_from_slice(b"10.11.6-MariaDB\0");
        p.extend_from_slice(&[1, 0, 0, 0]);
        p.extend_from_slice(b"abcdefgh\0");
        let c = capabilities.to_le_bytes();
        p.extend_from_slice(&c[..2]);
        p.push(45);
        p.extend_from_slice(&[2, 0]);
        p.extend_from_slice(&c[2..]);
        p.push(21);
        p.extend_from_slice(&[0; 6]);
        p.extend_from_slice(&extended.to_le_bytes());
        p.extend_from_slice(b"ijklmnopqrst\0mysql_native_password\0");
        p
    }

    #[test]
    fn narrowing_changes_capability_bytes_only() {
        let mut payload = greeting(0x81bf_f7fe, 0x1d);
        let original = payload.clone();
        let parsed = Greeting::parse(&payload).unwrap();
        assert_eq!(parsed.capabilities, 0x1d_81bf_f7fe);
        assert_eq!(parsed.scramble, b"abcdefghijklmnopqrst");
        parsed.narrow(&mut payload, 0x8_81bf_f7de);
        let changed = (0..payload.len()).filter(|&i| payload[i] != original[i]).count();
        assert_eq!(changed, 2);
        let again = Greeting::parse(&payload).unwrap();
        assert_eq!(again.capabilities, 0x8_81bf_f7de);
    }

    #[test]
    fn mysql_has_no_extended_capabilities() {
        let parsed = Greeting::parse(&greeting(0xffff_ffff, 0x1d)).unwrap();
        assert_eq!(parsed.capabilities, 0xffff_ffff);
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_greeting_or_an_error(mut bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
            if let Some(first) = bytes.first_mut() { *first = 10; }
            if let Ok(g) = Greeting::parse(&bytes) { g.narrow(&mut bytes, 0); }
        }
    }
}
