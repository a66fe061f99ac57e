//! The authentication exchange of a login or a COM_CHANGE_USER: packets pass in both directions until
//! MySQL says OK or ERR. Never here: how a password is encrypted; Segue reads one only where the two
//! legs differ in TLS, and keeps none.
//!
//! See dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_authentication_methods.html.

use segue_config::limits;

use crate::execute::Legs;
use crate::execute::failure::{SessionError, client_io, server_io};
use crate::wire::channel::Packet;
use crate::wire::response::{ERR, OK, OkPacket};
use crate::wire::sha2::{self, PasswordKey};

/// First byte of an AuthSwitchRequest.
const AUTH_SWITCH: u8 = 0xfe;
/// First byte of an AuthNextFactor.
const NEXT_FACTOR: u8 = 0x02;

/// Asks for the public key, in caching_sha2_password and in sha256_password.
const CACHING_SHA2_KEY_REQUEST: &[u8] = &[2];
const SHA256_KEY_REQUEST: &[u8] = &[1];

const NOT_OUR_KEY: &str = "a client without TLS sent a password that is not encrypted with Segue's key, and Segue's leg to \
     MySQL is encrypted: let the client ask for the public key, or use TLS";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authenticated {
    Yes { status: u16 },
    No,
}

enum Heard {
    Client(Packet),
    Server(Packet),
}

/// Which plugin the server is heard with, and the challenge in force.
#[derive(Clone, Debug)]
pub struct Challenge {
    pub plugin: Vec<u8>,
    pub scramble: Vec<u8>,
}

/// One authentication exchange.
pub struct Exchange<'a> {
    pub legs: Legs<'a>,
    /// How far the client's sequence ids are ahead of the server's, because only one of the legs has
    /// an SSLRequest.
    pub offset: u8,
    pub challenge: Challenge,
    /// Where a client without TLS may have to encrypt a password for Segue.
    pub key: Option<&'a PasswordKey>,
    /// Several factors were agreed on.
    pub factors: bool,
}

impl Exchange<'_> {
    /// Relays until the server's verdict.
    pub async fn relay(mut self) -> Result<Authenticated, SessionError> {
        let max = limits::LOGIN_PACKET_BYTES_MAX;
        // Alike legs understand each other whatever the plugin: nothing is read.
        let unlike = self.legs.client.is_tls() != self.legs.server.is_tls();
        loop {
            let heard = tokio::select! {
                biased;
                packet = self.legs.server.packet(max) => {
                    Heard::Server(packet.map_err(SessionError::Server)?)
                }
                packet = self.legs.client.packet(max) => {
                    Heard::Client(packet.map_err(SessionError::Client)?)
                }
            };
            let packet = match heard {
                Heard::Client(packet) if unlike && self.challenge.plugin == sha2::SHA256 => {
                    self.sha256_answer(packet).await?;
                    continue;
                }
                Heard::Client(packet) => {
                    self.pass_to_server(&packet).await?;
                    continue;
                }
                Heard::Server(packet) => packet,
            };
            if unlike
                && packet.payload == sha2::FULL_AUTHENTICATION
                && self.challenge.plugin == sha2::CACHING_SHA2
            {
                self.full_authentication(packet).await?;
                continue;
            }
            self.pass_to_client(packet.sequence, &packet.payload).await?;
            if let Some(outcome) = self.outcome(&packet.payload) {
                return Ok(outcome);
            }
        }
    }

    /// The server's verdict, or `None` and perhaps a new challenge.
    fn outcome(&mut self, payload: &[u8]) -> Option<Authenticated> {
        match payload.first() {
            // A plugin's data may begin with anything in MariaDB, but is hardly an OK packet.
            Some(&OK) => {
                let ok = OkPacket::parse(payload).ok()?;
                return Some(Authenticated::Yes { status: ok.status });
            }
            Some(&ERR) => return Some(Authenticated::No),
            Some(&AUTH_SWITCH) => {}
            Some(&NEXT_FACTOR) if self.factors => {}
            _ => return None,
        }
        if let Some((plugin, scramble)) = sha2::auth_switch(payload) {
            self.challenge = Challenge { plugin: plugin.to_vec(), scramble: scramble.to_vec() };
        }
        None
    }

    async fn pass_to_server(&mut self, packet: &Packet) -> Result<(), SessionError> {
        let sequence = packet.sequence.wrapping_sub(self.offset);
        self.legs.server.send_packet(sequence, &packet.payload).await.map_err(server_io)
    }

    async fn pass_to_client(&mut self, sequence: u8, payload: &[u8]) -> Result<(), SessionError> {
        let sequence = sequence.wrapping_add(self.offset);
        self.legs.client.send_packet(sequence, payload).await.map_err(client_io)
    }

    /// MySQL wants the password itself: in the clear over TLS, or encrypted with its public key. Where the
    /// legs differ, what one side sends the other would not understand (and a password would go over
    /// an open network), so Segue translates.
    async fn full_authentication(&mut self, packet: Packet) -> Result<(), SessionError> {
        self.pass_to_client(packet.sequence, &packet.payload).await?;
        let max = limits::LOGIN_PACKET_BYTES_MAX;
        let answer = self.legs.client.packet(max).await.map_err(SessionError::Client)?;
        self.translate(answer, CACHING_SHA2_KEY_REQUEST).await
    }

    /// The client's answer to a challenge of sha256_password, which is the password or a question for
    /// the key, as its own leg has it. No password is a single zero on both.
    async fn sha256_answer(&mut self, answer: Packet) -> Result<(), SessionError> {
        // What follows is the server's turn; should it ask for more, it says by which plugin.
        self.challenge.plugin.clear();
        if matches!(answer.payload[..], [] | [0]) {
            return self.pass_to_server(&answer).await;
        }
        self.translate(answer, SHA256_KEY_REQUEST).await
    }

    async fn translate(&mut self, answer: Packet, key_request: &[u8]) -> Result<(), SessionError> {
        if self.legs.client.is_tls() {
            self.encrypt_password(answer, key_request).await
        } else {
            self.decrypt_password(answer, key_request).await
        }
    }

    /// The client sent the password over TLS; it goes on encrypted with the server's key.
    async fn encrypt_password(
        &mut self,
        password: Packet,
        key_request: &[u8],
    ) -> Result<(), SessionError> {
        let max = limits::LOGIN_PACKET_BYTES_MAX;
        let sequence = password.sequence.wrapping_sub(self.offset);
        self.legs.server.send_packet(sequence, key_request).await.map_err(server_io)?;
        let key = self.legs.server.packet(max).await.map_err(SessionError::Server)?;
        if key.payload.first() == Some(&ERR) {
            // A server without keys refuses.
            let sequence = password.sequence.wrapping_add(1);
            self.legs.client.send_packet(sequence, &key.payload).await.map_err(client_io)?;
            return Err(SessionError::Login("MySQL has no key to encrypt the password with"));
        }
        let encrypted = sha2::encrypt(&password.payload, &self.challenge.scramble, &key.payload)
            .ok_or(SessionError::Login("the password could not be encrypted with MySQL's key"))?;
        let sequence = key.sequence.wrapping_add(1);
        self.legs.server.send_packet(sequence, &encrypted).await.map_err(server_io)?;
        // The next packet of either side: one after what it sent or got last.
        self.offset = password.sequence.wrapping_sub(sequence);
        Ok(())
    }

    /// A client without TLS is shown Segue's key; what it encrypts goes on in the clear over TLS. What
    /// cannot be decrypted MySQL would refuse, so it is given something to refuse.
    async fn decrypt_password(
        &mut self,
        mut answer: Packet,
        key_request: &[u8],
    ) -> Result<(), SessionError> {
        let key = self.key.ok_or(SessionError::Login("Segue has no key for this login"))?;
        let to_server = answer.sequence.wrapping_sub(self.offset);
        if answer.payload == key_request {
            let sequence = answer.sequence.wrapping_add(1);
            let shown = self.legs.client.send_packet(sequence, key.public_packet());
            shown.await.map_err(client_io)?;
            let max = limits::LOGIN_PACKET_BYTES_MAX;
            answer = self.legs.client.packet(max).await.map_err(SessionError::Client)?;
        }
        let password =
            key.decrypt(&answer.payload, &self.challenge.scramble).unwrap_or_else(|| {
                tracing::warn!("{NOT_OUR_KEY}");
                nobodys_password()
            });
        self.legs.server.send_packet(to_server, &password).await.map_err(server_io)?;
        self.offset = answer.sequence.wrapping_sub(to_server);
        Ok(())
    }
}

/// Chosen anew each time, by nobody: MySQL answers it as it answers any wrong password.
fn nobodys_password() -> Vec<u8> {
    let mut password = uuid::Uuid::new_v4().to_string().into_bytes();
    password.push(0);
    password
}
