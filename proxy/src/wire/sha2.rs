//! What a relay between an encrypted and a plain leg has to understand of caching_sha2_password and
//! sha256_password: passwords under an RSA key. Never here: when they are sent.
//!
//! See dev.mysql.com/doc/dev/mysql-server/latest/page_caching_sha2_authentication_exchanges.html and
//! page_protocol_connection_phase_packets_protocol_auth_switch_request.html.

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rsa::{
    KeySize, OAEP_SHA1_MGF1SHA1, OaepPrivateDecryptingKey, OaepPublicEncryptingKey,
    PrivateDecryptingKey, PublicEncryptingKey,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::SubjectPublicKeyInfoDer;
use rustls_pki_types::pem::PemObject;

use super::cursor::Cursor;

pub const CACHING_SHA2: &[u8] = b"caching_sha2_password";
pub const SHA256: &[u8] = b"sha256_password";

/// AuthMoreData "perform full authentication" of caching_sha2_password.
pub const FULL_AUTHENTICATION: [u8; 2] = [1, 4];

/// First byte of packets with data of a plugin.
const MORE_DATA: u8 = 1;

/// Characters in a line of PEM.
const PEM_LINE: usize = 64;

/// Plugin and challenge of an AuthSwitchRequest, or of an AuthNextFactor.
pub fn auth_switch(payload: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut cursor = Cursor::new(payload, "AuthSwitchRequest");
    cursor.u8().ok()?;
    let plugin = cursor.nul_bytes().ok()?;
    let scramble = cursor.rest();
    Some((plugin, scramble.strip_suffix(&[0]).unwrap_or(scramble)))
}

/// Encrypts a password (with its closing NUL) for the server whose key `key_packet` brings.
pub fn encrypt(password: &[u8], scramble: &[u8], key_packet: &[u8]) -> Option<Vec<u8>> {
    let pem = key_packet.strip_prefix(&[MORE_DATA])?;
    let der = SubjectPublicKeyInfoDer::from_pem_slice(pem).ok()?;
    let key = OaepPublicEncryptingKey::new(PublicEncryptingKey::from_der(&der).ok()?).ok()?;
    let masked = mask(password, scramble)?;
    let mut encrypted = vec![0; key.ciphertext_size()];
    let length = key.encrypt(&OAEP_SHA1_MGF1SHA1, &masked, &mut encrypted, None).ok()?.len();
    encrypted.truncate(length);
    Some(encrypted)
}

/// The key pair that Segue shows to clients without TLS, in the place of the server's.
pub struct PasswordKey {
    private: OaepPrivateDecryptingKey,
    public_packet: Vec<u8>,
}

impl PasswordKey {
    /// Makes a pair of 2048 bits, as MySQL does.
    pub fn generate() -> Result<PasswordKey, Unspecified> {
        let private = PrivateDecryptingKey::generate(KeySize::Rsa2048)?;
        let der = AsDer::<PublicKeyX509Der<'_>>::as_der(&private.public_key())?;
        let text = STANDARD.encode(der.as_ref());
        let mut public_packet = vec![MORE_DATA];
        public_packet.extend_from_slice(b"-----BEGIN PUBLIC KEY-----\n");
        for line in text.as_bytes().chunks(PEM_LINE) {
            public_packet.extend_from_slice(line);
            public_packet.push(b'\n');
        }
        public_packet.extend_from_slice(b"-----END PUBLIC KEY-----\n");
        Ok(PasswordKey { private: OaepPrivateDecryptingKey::new(private)?, public_packet })
    }

    /// The packet that brings the public half to a client.
    pub fn public_packet(&self) -> &[u8] {
        &self.public_packet
    }

    /// The password (with its closing NUL) that a client encrypted with the public half.
    pub fn decrypt(&self, encrypted: &[u8], scramble: &[u8]) -> Option<Vec<u8>> {
        let mut masked = vec![0; self.private.min_output_size()];
        let masked =
            self.private.decrypt(&OAEP_SHA1_MGF1SHA1, encrypted, &mut masked, None).ok()?;
        mask(masked, scramble).filter(|password| password.last() == Some(&0))
    }
}

/// The same in both directions.
fn mask(bytes: &[u8], scramble: &[u8]) -> Option<Vec<u8>> {
    if scramble.is_empty() {
        return None;
    }
    Some(bytes.iter().zip(scramble.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SCRAMBLE: &[u8] = b"abcdefghij0123456789";

    #[test]
    fn an_auth_switch_tells_plugin_and_challenge() {
        let (plugin, scramble) = auth_switch(b"\xfecaching_sha2_password\0abcde\0").unwrap();
        assert_eq!((plugin, scramble), (CACHING_SHA2, &b"abcde"[..]));
    }

    #[test]
    fn a_password_is_read_by_the_owner_of_the_key_alone() {
        let (ours, theirs) = (PasswordKey::generate().unwrap(), PasswordKey::generate().unwrap());
        for password in [&b"p\0"[..], "pass'w\u{f6}rd longer than the challenge\0".as_bytes()] {
            let encrypted = encrypt(password, SCRAMBLE, ours.public_packet()).unwrap();
            assert_eq!(encrypted.len(), 256);
            assert_eq!(ours.decrypt(&encrypted, SCRAMBLE).as_deref(), Some(password));
            assert_eq!(theirs.decrypt(&encrypted, SCRAMBLE), None);
            assert_ne!(ours.decrypt(&encrypted, b"another challenge").as_deref(), Some(password));
            for cut in [0, 1, 255] {
                assert_eq!(ours.decrypt(&encrypted[..cut], SCRAMBLE), None);
            }
        }
        assert_eq!(encrypt(&[b'x'; 300], SCRAMBLE, ours.public_packet()), None, "it has no room");
        assert_eq!(encrypt(b"p\0", b"", ours.public_packet()), None);
    }

    #[test]
    fn a_key_packet_without_a_key_is_no_key() {
        for text in ["", "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n"] {
            assert_eq!(encrypt(b"p\0", SCRAMBLE, &[&[1], text.as_bytes()].concat()), None);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_key_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = auth_switch(&bytes);
            let text = STANDARD.encode(&bytes);
            let pem = [
                &[MORE_DATA][..],
                b"-----BEGIN PUBLIC KEY-----\n",
                text.as_bytes(),
                b"\n-----END PUBLIC KEY-----\n",
            ];
            let _ = encrypt(b"secret\0", SCRAMBLE, &pem.concat());
            let _ = encrypt(b"secret\0", SCRAMBLE, &bytes);
        }
    }
}
