//! The packets of caching_sha2_password's full authentication, as far as a relay between an encrypted
//! and a plain leg has to understand them. Never here: when they are sent.
//!
//! See dev.mysql.com/doc/dev/mysql-server/latest/page_caching_sha2_authentication_exchanges.html and
//! page_protocol_connection_phase_packets_protocol_auth_switch_request.html.

use mysql_common::crypto;

use super::cursor::Cursor;

pub const PLUGIN: &[u8] = b"caching_sha2_password";

/// AuthMoreData "perform full authentication".
pub const FULL_AUTHENTICATION: [u8; 2] = [1, 4];

/// Asks for the server's public key.
pub const KEY_REQUEST: [u8; 1] = [2];

/// OAEP with SHA-1 under a key of 2048 bits takes no longer password.
const PASSWORD_BYTES_MAX: usize = 214;

/// Plugin and challenge of an AuthSwitchRequest.
pub fn auth_switch(payload: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut cursor = Cursor::new(payload, "AuthSwitchRequest");
    cursor.u8().ok()?;
    let plugin = cursor.nul_bytes().ok()?;
    let scramble = cursor.rest();
    Some((plugin, scramble.strip_suffix(&[0]).unwrap_or(scramble)))
}

/// Encrypts a password (with its closing NUL) for the server whose key `key_packet` brings.
pub fn encrypt(password: &[u8], scramble: &[u8], key_packet: &[u8]) -> Option<Vec<u8>> {
    let pem = key_packet.strip_prefix(&[1])?;
    if password.len() > PASSWORD_BYTES_MAX || scramble.is_empty() {
        return None;
    }
    let mixed: Vec<u8> =
        password.iter().zip(scramble.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
    crypto::encrypt(&mixed, pem).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_auth_switch_tells_plugin_and_challenge() {
        let (plugin, scramble) = auth_switch(b"\xfecaching_sha2_password\0abcde\0").unwrap();
        assert_eq!((plugin, scramble), (PLUGIN, &b"abcde"[..]));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_key_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = auth_switch(&bytes);
            let mut packet = vec![1];
            packet.extend_from_slice(&bytes);
            let _ = encrypt(b"secret\0", b"abcdefghij0123456789", &packet);
        }
    }
}
