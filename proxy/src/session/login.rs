//! The greeting and the login of one client: MySQL's own greeting with fewer capabilities, TLS on either
//! leg, and the authentication exchange, which passes through unread.
//! Never here: commands.
//!
//! See dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase.html.

use segue_config::limits;
use segue_config::settings::UpstreamTls;
use tokio_rustls::TlsAcceptor;

use super::authentication::{Authenticated, Exchange};
use crate::execute::Legs;
use crate::execute::failure::{SessionError, client_io, server_io};
use crate::mysql::upstream::Upstream;
use crate::wire::capability::{self, Capabilities};
use crate::wire::channel::Channel;
use crate::wire::greeting::Greeting;
use crate::wire::login::{self, Login, LoginHead};
use crate::wire::response::ERR;
use crate::wire::transport::Transport;

/// Both legs of a client that is logged in.
pub struct LoggedIn {
    pub client: Channel,
    pub server: Channel,
    pub login: Login,
    pub status: u16,
    /// The greeting's challenge; a COM_CHANGE_USER answers it as well.
    pub scramble: Vec<u8>,
    /// MySQL's number of the connection.
    pub number: u32,
}

/// `None`: MySQL refused the login and the client has been told so in MySQL's words.
pub async fn log_in(
    mut client: Channel,
    upstream: &Upstream,
    tls: &TlsAcceptor,
) -> Result<Option<LoggedIn>, SessionError> {
    let mut server = match upstream.connect().await {
        Ok(server) => server,
        Err(e) => return Err(tell_before_login(&mut client, e.into()).await),
    };
    let mut first =
        server.packet(limits::LOGIN_PACKET_BYTES_MAX).await.map_err(SessionError::Server)?;
    if first.payload.first() == Some(&ERR) {
        // Too many connections, host blocked: MySQL's word stands.
        client.send_packet(first.sequence, &first.payload).await.map_err(client_io)?;
        return Ok(None);
    }
    let greeting = Greeting::parse(&first.payload).map_err(SessionError::Server)?;
    if upstream.policy() == UpstreamTls::Always && greeting.capabilities & capability::SSL == 0 {
        let error = SessionError::Login("MySQL offers no TLS, but upstream_tls asks for it");
        return Err(tell_before_login(&mut client, error).await);
    }
    let offered = offer(greeting.capabilities, upstream.policy());
    greeting.narrow(&mut first.payload, offered);
    client.send_packet(first.sequence, &first.payload).await.map_err(client_io)?;

    let (mut client, mut response, sequence) = client_response(client, tls).await?;
    let head = LoginHead::parse(&response).map_err(SessionError::Client)?;
    let mut login = Login::parse(&response).map_err(SessionError::Client)?;
    let encrypt = match upstream.policy() {
        UpstreamTls::AsClient => client.is_tls(),
        UpstreamTls::Always => true,
        UpstreamTls::Never => false,
    };
    let mut wanted = understood(head.capabilities) & !capability::SSL;
    if encrypt {
        wanted |= capability::SSL;
    }
    login::narrow(&mut response, wanted);
    login.capabilities = wanted & !capability::SSL & greeting.capabilities;

    let mut server_sequence = 1;
    if encrypt {
        let request = login::ssl_request(&response);
        server.send_packet(server_sequence, &request).await.map_err(server_io)?;
        server = upstream.encrypt(server).await?;
        server_sequence += 1;
    }
    server.send_packet(server_sequence, &response).await.map_err(server_io)?;
    let offset = sequence.wrapping_sub(server_sequence);
    let scramble = greeting.scramble;
    let legs = Legs { client: &mut client, server: &mut server };
    let exchange = Exchange { legs, offset, scramble: scramble.clone() };
    let outcome = exchange.relay().await?;
    Ok(match outcome {
        Authenticated::Yes { status } => {
            Some(LoggedIn { client, server, login, status, scramble, number: greeting.connection })
        }
        Authenticated::No => None,
    })
}

/// The client's handshake response, after TLS if it asked for TLS, with its sequence id.
async fn client_response(
    mut client: Channel,
    tls: &TlsAcceptor,
) -> Result<(Channel, Vec<u8>, u8), SessionError> {
    let max = limits::LOGIN_PACKET_BYTES_MAX;
    let mut packet = client.packet_exact(max).await.map_err(SessionError::Client)?;
    let head = LoginHead::parse(&packet.payload).map_err(SessionError::Client)?;
    if head.is_ssl_request {
        let Transport::Plain(stream) = client.into_transport().map_err(SessionError::Client)?
        else {
            return Err(SessionError::Login("TLS inside of TLS"));
        };
        let stream = tls.accept(stream).await.map_err(SessionError::ClientTls)?;
        client =
            Channel::new(Transport::Tls(Box::new(stream.into())), limits::CLIENT_READ_AHEAD_BYTES);
        packet = client.packet(max).await.map_err(SessionError::Client)?;
    }
    Ok((client, packet.payload, packet.sequence))
}

/// Without capabilities that the relay does not understand.
fn understood(capabilities: Capabilities) -> Capabilities {
    let extended = capability::MARIADB_EXTENDED & !capability::MARIADB_EXTENDED_UNDERSTOOD;
    capabilities & !capability::NOT_UNDERSTOOD & !extended
}

/// The server's capabilities without those that the relay does not understand, and with TLS as the policy says.
fn offer(server: Capabilities, policy: UpstreamTls) -> Capabilities {
    let known = understood(server);
    match policy {
        UpstreamTls::AsClient => known,
        UpstreamTls::Always | UpstreamTls::Never => known | capability::SSL,
    }
}

async fn tell_before_login(client: &mut Channel, error: SessionError) -> SessionError {
    if let Some(packet) = error.packet() {
        let _ = client.send_packet(0, &packet.write_before_login()).await;
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compression_is_never_offered_and_tls_follows_the_policy() {
        let server = capability::COMPRESS | capability::ZSTD_COMPRESSION | capability::PROTOCOL_41;
        assert_eq!(offer(server, UpstreamTls::AsClient), capability::PROTOCOL_41);
        assert_eq!(offer(server, UpstreamTls::Never), capability::PROTOCOL_41 | capability::SSL);
    }
}
