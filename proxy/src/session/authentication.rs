//! The authentication exchange of a login or a COM_CHANGE_USER: packets pass in both directions until
//! MySQL says OK or ERR. Never here: passwords or scrambles; Segue reads neither.
//!
//! See dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_authentication_methods.html.

use segue_config::limits;

use crate::execute::Legs;
use crate::execute::failure::SessionError;
use crate::wire::channel::Packet;
use crate::wire::response::{ERR, OK, OkPacket};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authenticated {
    Yes { status: u16 },
    No,
}

enum From {
    Client(Packet),
    Server(Packet),
}

/// Relays until the server's verdict. `offset`: how far the client's sequence ids are ahead of the
/// server's, because only one of the legs has an SSLRequest.
pub async fn relay(legs: Legs<'_>, offset: u8) -> Result<Authenticated, SessionError> {
    let max = limits::LOGIN_PACKET_BYTES_MAX;
    loop {
        let packet = tokio::select! {
            biased;
            packet = legs.server.packet(max) => From::Server(packet.map_err(SessionError::Server)?),
            packet = legs.client.packet(max) => From::Client(packet.map_err(SessionError::Client)?),
        };
        match packet {
            From::Server(packet) => {
                let sequence = packet.sequence.wrapping_add(offset);
                legs.client
                    .send_packet(sequence, &packet.payload)
                    .await
                    .map_err(|e| SessionError::Client(e.into()))?;
                match packet.payload.first() {
                    Some(&OK) => {
                        let ok = OkPacket::parse(&packet.payload).map_err(SessionError::Server)?;
                        return Ok(Authenticated::Yes { status: ok.status });
                    }
                    Some(&ERR) => return Ok(Authenticated::No),
                    _ => {}
                }
            }
            From::Client(packet) => {
                let sequence = packet.sequence.wrapping_sub(offset);
                legs.server
                    .send_packet(sequence, &packet.payload)
                    .await
                    .map_err(|e| SessionError::Server(e.into()))?;
            }
        }
    }
}
