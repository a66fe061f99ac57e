//! What a client sends to log in: SSLRequest, HandshakeResponse41, COM_CHANGE_USER.
//! Never here: the authentication data itself, which passes through unread or is withheld.
//!
//! See dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_handshake_response.html
//! and page_protocol_com_change_user.html.

use super::WireError;
use super::capability::{self, Capabilities};
use super::cursor::Cursor;
use super::sha2;

/// An SSLRequest is the fixed part of a handshake response and nothing else.
pub const SSL_REQUEST_BYTES: usize = 32;

/// Named where a client's answer is withheld from the server.
const NO_PLUGIN: &[u8] = b"segue_withheld";

/// The fixed part of the first packet of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoginHead {
    pub capabilities: Capabilities,
    pub collation: u8,
    pub is_ssl_request: bool,
}

/// What the session has to know of a login.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Login {
    pub capabilities: Capabilities,
    /// Collation id of the connection's character set.
    pub collation: u16,
    pub database: Option<Vec<u8>>,
    /// The plugin that made the authentication data; empty where the client does not tell.
    pub plugin: Vec<u8>,
    /// It did make some.
    pub is_answered: bool,
    /// Where compression with zstd is asked for.
    pub zstd_level: Option<u8>,
}

impl LoginHead {
    /// Reads the fixed part. Clients older than protocol 4.1 are an error: their answers carry no status.
    pub fn parse(payload: &[u8]) -> Result<LoginHead, WireError> {
        let mut cursor = Cursor::new(payload, "handshake response");
        let mut capabilities = Capabilities::from(cursor.u32()?);
        if capabilities & capability::PROTOCOL_41 == 0 {
            return Err(WireError::Malformed("handshake response older than protocol 4.1"));
        }
        cursor.u32()?; // largest packet
        let collation = cursor.u8()?;
        cursor.bytes(19)?;
        let extended = cursor.u32()?;
        if capabilities & capability::LONG_PASSWORD == 0 {
            // MariaDB's own clients leave that flag out.
            capabilities |= Capabilities::from(extended) << capability::EXTENDED_SHIFT;
        }
        let is_ssl_request = cursor.is_empty() && capabilities & capability::SSL != 0;
        Ok(LoginHead { capabilities, collation, is_ssl_request })
    }
}

/// Writes other capabilities into a handshake response. Extended ones go into MariaDB's place for them
/// where the client left out CLIENT_MYSQL, as MariaDB's own clients do.
pub fn narrow(payload: &mut [u8], capabilities: Capabilities) {
    let [a, b, c, d, extended @ ..] = capabilities.to_le_bytes();
    if let Some(place) = payload.first_chunk_mut::<4>() {
        *place = [a, b, c, d];
    }
    if capabilities & capability::LONG_PASSWORD == 0
        && let Some(place) = payload.get_mut(28..32)
    {
        place.copy_from_slice(&extended);
    }
}

/// The SSLRequest that belongs to a handshake response.
pub fn ssl_request(handshake_response: &[u8]) -> Vec<u8> {
    let mut request =
        handshake_response[..SSL_REQUEST_BYTES.min(handshake_response.len())].to_vec();
    request.resize(SSL_REQUEST_BYTES, 0);
    if let Some(place) = request.first_chunk_mut::<4>() {
        let [_, high, ..] = (capability::SSL as u32).to_le_bytes();
        place[1] |= high;
    }
    request
}

impl Login {
    pub fn parse(payload: &[u8]) -> Result<Login, WireError> {
        let head = LoginHead::parse(payload)?;
        let caps = head.capabilities;
        let mut cursor = Cursor::new(payload, "handshake response");
        cursor.bytes(SSL_REQUEST_BYTES)?;
        cursor.nul_bytes()?; // user
        let answer = answer(&mut cursor, caps)?;
        let mut database = None;
        if caps & capability::CONNECT_WITH_DB != 0 && !cursor.is_empty() {
            database = name(cursor.nul_bytes()?);
        }
        let plugin = plugin(&mut cursor, caps).to_vec();
        Ok(Login {
            capabilities: caps,
            collation: u16::from(head.collation),
            database,
            plugin,
            is_answered: !answer.is_empty(),
            zstd_level: zstd_level(&mut cursor, caps),
        })
    }

    /// The authentication data may be the password itself, on an encrypted leg, or a question that only
    /// a plain leg answers.
    pub fn reveals_password(&self) -> bool {
        self.is_answered && self.plugin == sha2::SHA256
    }

    /// The same handshake response without authentication data, and made by a plugin that no account has:
    /// the server then asks for the account's plugin.
    pub fn unanswered(payload: &[u8]) -> Result<Vec<u8>, WireError> {
        let caps = LoginHead::parse(payload)?.capabilities;
        let mut cursor = Cursor::new(payload, "handshake response");
        cursor.bytes(SSL_REQUEST_BYTES)?;
        cursor.nul_bytes()?; // user
        let mut other = payload[..payload.len() - cursor.rest().len()].to_vec();
        answer(&mut cursor, caps)?;
        // An empty one is one zero in each of the three forms.
        other.push(0);
        if caps & capability::CONNECT_WITH_DB != 0 && !cursor.is_empty() {
            other.extend_from_slice(cursor.nul_bytes()?);
            other.push(0);
        }
        plugin(&mut cursor, caps);
        other.extend_from_slice(NO_PLUGIN);
        other.push(0);
        other.extend_from_slice(cursor.rest());
        Ok(other)
    }

    /// The same for a COM_CHANGE_USER.
    pub fn unanswered_change_user(
        payload: &[u8],
        capabilities: Capabilities,
    ) -> Result<Vec<u8>, WireError> {
        let mut cursor = Cursor::new(payload, "COM_CHANGE_USER");
        cursor.u8()?;
        cursor.nul_bytes()?; // user
        let mut other = payload[..payload.len() - cursor.rest().len()].to_vec();
        answer(&mut cursor, capabilities & !capability::PLUGIN_AUTH_LENENC_DATA)?;
        other.push(0);
        other.extend_from_slice(cursor.nul_bytes()?);
        other.push(0);
        other.extend_from_slice(cursor.bytes(2)?); // collation
        plugin(&mut cursor, capabilities);
        other.extend_from_slice(NO_PLUGIN);
        other.push(0);
        other.extend_from_slice(cursor.rest());
        Ok(other)
    }

    /// Reads a COM_CHANGE_USER (command byte included).
    pub fn parse_change_user(
        payload: &[u8],
        capabilities: Capabilities,
    ) -> Result<Login, WireError> {
        let mut cursor = Cursor::new(payload, "COM_CHANGE_USER");
        cursor.u8()?;
        cursor.nul_bytes()?; // user
        let answer = answer(&mut cursor, capabilities & !capability::PLUGIN_AUTH_LENENC_DATA)?;
        let database = name(cursor.nul_bytes()?);
        let collation = if cursor.rest().len() >= 2 { cursor.u16()? } else { 0 };
        let plugin = plugin(&mut cursor, capabilities).to_vec();
        let is_answered = !answer.is_empty();
        Ok(Login { capabilities, collation, database, plugin, is_answered, zstd_level: None })
    }
}

/// The authentication data of a handshake response.
fn answer<'a>(cursor: &mut Cursor<'a>, caps: Capabilities) -> Result<&'a [u8], WireError> {
    if caps & capability::PLUGIN_AUTH_LENENC_DATA != 0 {
        cursor.length_bytes()
    } else if caps & capability::SECURE_CONNECTION != 0 {
        let length = cursor.u8()?;
        cursor.bytes(usize::from(length))
    } else {
        cursor.nul_bytes()
    }
}

/// The name of the plugin, where there is one. Some clients leave its NUL out at the end of the packet.
fn plugin<'a>(cursor: &mut Cursor<'a>, caps: Capabilities) -> &'a [u8] {
    if caps & capability::PLUGIN_AUTH == 0 {
        return &[];
    }
    let rest = cursor.rest();
    cursor.nul_bytes().unwrap_or_else(|_| cursor.bytes(rest.len()).unwrap_or_default())
}

/// The last byte of a handshake response, behind the attributes.
fn zstd_level(cursor: &mut Cursor<'_>, caps: Capabilities) -> Option<u8> {
    if caps & capability::CONNECT_ATTRS != 0 {
        cursor.length_bytes().ok()?;
    }
    (caps & capability::ZSTD_COMPRESSION != 0).then(|| cursor.u8().ok()).flatten()
}

fn name(bytes: &[u8]) -> Option<Vec<u8>> {
    (!bytes.is_empty()).then(|| bytes.to_vec())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn response(capabilities: Capabilities) -> Vec<u8> {
        let mut p = capabilities.to_le_bytes()[..4].to_vec();
        p.extend_from_slice(&[0, 0, 0, 1, 45]);
        p.extend_from_slice(&[0; 23]);
        p
    }

    #[test]
    fn the_database_of_a_login_is_found() {
        let caps = capability::PROTOCOL_41
            | capability::SECURE_CONNECTION
            | capability::CONNECT_WITH_DB
            | capability::PLUGIN_AUTH;
        let mut p = response(caps);
        p.extend_from_slice(b"bob\0\x02xyshop\0mysql_native_password\0");
        let login = Login::parse(&p).unwrap();
        assert_eq!(login.database.as_deref(), Some(&b"shop"[..]));
        assert_eq!(login.collation, 45);
        assert!(!LoginHead::parse(&p).unwrap().is_ssl_request);
        assert!(LoginHead::parse(&ssl_request(&p)).unwrap().is_ssl_request);
    }

    #[test]
    fn the_level_of_compression_stands_behind_the_attributes() {
        let caps = capability::PROTOCOL_41 | capability::PLUGIN_AUTH | capability::ZSTD_COMPRESSION;
        for (more, attributes) in [(0, &b""[..]), (capability::CONNECT_ATTRS, b"\x04\x01a\x01b")] {
            let mut p = response(caps | more);
            p.extend_from_slice(&[b"bob\0pw\0plugin\0", attributes, &[11]].concat());
            assert_eq!(Login::parse(&p).unwrap().zstd_level, Some(11));
            let withheld = Login::unanswered(&p).unwrap();
            assert_eq!(Login::parse(&withheld).unwrap().zstd_level, Some(11));
            p.pop();
            assert_eq!(Login::parse(&p).unwrap().zstd_level, None);
        }
    }

    #[test]
    fn an_answer_is_withheld_and_all_else_stays() {
        let known = capability::PROTOCOL_41 | capability::CONNECT_WITH_DB | capability::PLUGIN_AUTH;
        for (more, answer) in [
            (capability::SECURE_CONNECTION, &b"\x03pw\0"[..]),
            (capability::SECURE_CONNECTION | capability::PLUGIN_AUTH_LENENC_DATA, b"\x03pw\0"),
            (0, b"pw\0"),
        ] {
            let mut p = response(known | more);
            p.extend_from_slice(
                &[b"bob\0", answer, b"shop\0sha256_password\0\x03\x01a\0"].concat(),
            );
            let login = Login::parse(&p).unwrap();
            assert_eq!(
                (login.plugin.as_slice(), login.is_answered),
                (&b"sha256_password"[..], true)
            );
            let withheld = Login::unanswered(&p).unwrap();
            let login = Login::parse(&withheld).unwrap();
            assert_eq!((login.plugin.as_slice(), login.is_answered), (NO_PLUGIN, false));
            assert_eq!(login.database.as_deref(), Some(&b"shop"[..]));
            assert_eq!(withheld[..36], p[..36]);
            assert!(withheld.ends_with(b"\x03\x01a\0"));
            assert!(!withheld.windows(2).any(|pair| pair == b"pw"));
        }
    }

    #[test]
    fn change_user_tells_database_and_collation() {
        let login = Login::parse_change_user(
            b"\x11bob\0\x02xyshop\0\x2d\0caching_sha2_password\0",
            capability::SECURE_CONNECTION | capability::PLUGIN_AUTH,
        )
        .unwrap();
        assert_eq!(login.plugin, b"caching_sha2_password");
        let capabilities = capability::SECURE_CONNECTION | capability::PLUGIN_AUTH;
        let withheld = Login::unanswered_change_user(
            b"\x11bob\0\x02xyshop\0\x2d\0sha256_password\0\x03\x01a\0",
            capabilities,
        );
        assert_eq!(withheld.unwrap(), b"\x11bob\0\0shop\0\x2d\0segue_withheld\0\x03\x01a\0");
        assert_eq!((login.database.as_deref(), login.collation), (Some(&b"shop"[..]), 45));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_login_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Login::parse(&bytes);
            let _ = Login::unanswered(&bytes);
            let _ = Login::unanswered_change_user(&bytes, Capabilities::MAX);
            let _ = Login::parse_change_user(&bytes, Capabilities::MAX);
            let _ = ssl_request(&bytes);
        }
    }
}
