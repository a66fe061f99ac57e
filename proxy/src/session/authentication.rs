//! The authentication exchange of a login or a COM_CHANGE_USER: packets pass in both directions until
//! MySQL says OK or ERR. Never here: how a password is encrypted; Segue reads one only where the two
//! legs differ in TLS, and keeps none.
//!
//! See dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_authentication_methods.html.

use segue_config::limits;

use crate::execute::Legs;
use crate::execute::failure::{SessionError, client_io, server_io};
use crate::wire::channel::Packet;
use crate::wire::response::{ERR, ErrPacket, OK, OkPacket};
use crate::wire::sha2;

/// First byte of an AuthSwitchRequest.
const AUTH_SWITCH: u8 = 0xfe;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authenticated {
    Yes { status: u16 },
    No,
}

enum Heard {
    Client(Packet),
    Server(Packet),
}

/// One authentication exchange.
pub struct Exchange<'a> {
    pub legs: Legs<'a>,
    /// How far the client's sequence ids are ahead of the server's, because only one of the legs has
    /// an SSLRequest.
    pub offset: u8,
    /// The challenge in force.
    pub scramble: Vec<u8>,
}

impl Exchange<'_> {
    /// Relays until the server's verdict.
    pub async fn relay(mut self) -> Result<Authenticated, SessionError> {
        let max = limits::LOGIN_PACKET_BYTES_MAX;
        let mut plugin_is_sha2 = true;
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
                Heard::Client(packet) => {
                    self.pass_to_server(packet).await?;
                    continue;
                }
                Heard::Server(packet) => packet,
            };
            if plugin_is_sha2 && packet.payload == sha2::FULL_AUTHENTICATION {
                if self.full_authentication(packet).await? {
                    continue;
                }
                return Ok(Authenticated::No);
            }
            self.pass_to_client(packet.sequence, &packet.payload).await?;
            match packet.payload.first() {
                Some(&OK) => {
                    let ok = OkPacket::parse(&packet.payload).map_err(SessionError::Server)?;
                    return Ok(Authenticated::Yes { status: ok.status });
                }
                Some(&ERR) => return Ok(Authenticated::No),
                Some(&AUTH_SWITCH) => {
                    if let Some((plugin, scramble)) = sha2::auth_switch(&packet.payload) {
                        plugin_is_sha2 = plugin == sha2::PLUGIN;
                        self.scramble = scramble.to_vec();
                    }
                }
                _ => {}
            }
        }
    }

    async fn pass_to_server(&mut self, packet: Packet) -> Result<(), SessionError> {
        let sequence = packet.sequence.wrapping_sub(self.offset);
        self.legs.server.send_packet(sequence, &packet.payload).await.map_err(server_io)
    }

    async fn pass_to_client(&mut self, sequence: u8, payload: &[u8]) -> Result<(), SessionError> {
        let sequence = sequence.wrapping_add(self.offset);
        self.legs.client.send_packet(sequence, payload).await.map_err(client_io)
    }

    /// MySQL wants the password itself: in the clear over TLS, or encrypted with its public key. Where the
    /// legs differ, what one side sends the other would not understand (and a password would go over
    /// an open network), so Segue translates. False: the client was told that it cannot log in.
    async fn full_authentication(&mut self, packet: Packet) -> Result<bool, SessionError> {
        match (self.legs.client.is_tls(), self.legs.server.is_tls()) {
            (true, false) => self.encrypt_password(packet).await.map(|()| true),
            (false, true) => {
                let error = ErrPacket::new(
                    1045,
                    b"28000",
                    "Segue: this login needs TLS to Segue, because Segue's leg to MySQL is encrypted",
                );
                self.pass_to_client(packet.sequence, &error.write()).await?;
                Ok(false)
            }
            _ => {
                self.pass_to_client(packet.sequence, &packet.payload).await?;
                Ok(true)
            }
        }
    }

    /// The client sends the password over TLS; it goes on encrypted with the server's key.
    async fn encrypt_password(&mut self, packet: Packet) -> Result<(), SessionError> {
        let max = limits::LOGIN_PACKET_BYTES_MAX;
        self.pass_to_client(packet.sequence, &packet.payload).await?;
        let password = self.legs.client.packet(max).await.map_err(SessionError::Client)?;
        let sequence = password.sequence.wrapping_sub(self.offset);
        self.legs.server.send_packet(sequence, &sha2::KEY_REQUEST).await.map_err(server_io)?;
        let key = self.legs.server.packet(max).await.map_err(SessionError::Server)?;
        let encrypted = sha2::encrypt(&password.payload, &self.scramble, &key.payload)
            .ok_or(SessionError::Login("the password could not be encrypted with MySQL's key"))?;
        let sequence = key.sequence.wrapping_add(1);
        self.legs.server.send_packet(sequence, &encrypted).await.map_err(server_io)?;
        // The next packet of either side: one after what it sent or got last.
        self.offset = password.sequence.wrapping_sub(sequence);
        Ok(())
    }
}
