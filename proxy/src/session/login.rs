//! The greeting and the login of one client: MySQL's own greeting with fewer capabilities, TLS on either
//! leg, and the authentication exchange, which passes through unread.
//! Never here: commands.
//!
//! See dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase.html.

use segue_config::limits;
use segue_config::settings::UpstreamTls;

use super::authentication::{Authenticated, Challenge, Exchange};
use super::entrance::Entrance;
use crate::execute::Legs;
use crate::execute::failure::{SessionError, client_io, server_io};
use crate::mysql::upstream::Upstream;
use crate::wire::WireError;
use crate::wire::capability::{self, Capabilities};
use crate::wire::channel::{Channel, Packet};
use crate::wire::compressed::Algorithm;
use crate::wire::greeting::Greeting;
use crate::wire::login::{self, Login, LoginHead};
use crate::wire::packing::Peer;
use crate::wire::proxy_header::Addresses;
use crate::wire::response::ERR;
use crate::wire::transport::Transport;

const CERTIFICATE_NOT_PASSED_ON: &str = "MySQL refused a login whose client showed a certificate: Segue cannot show a client's certificate to \
     MySQL, so accounts that REQUIRE X509, ISSUER or SUBJECT cannot log in through Segue";

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

/// A client whose handshake response has been read.
struct Introduced {
    client: Channel,
    response: Vec<u8>,
    sequence: u8,
    /// It showed a certificate of its own, which cannot be shown to MySQL.
    certificate: bool,
}

/// `None`: MySQL refused the login and the client has been told so in MySQL's words.
pub async fn log_in(
    mut client: Channel,
    addresses: Addresses,
    upstream: &Upstream,
    entrance: &Entrance,
) -> Result<Option<LoggedIn>, SessionError> {
    let greeted = tokio::select! {
        biased;
        greeted = greeting(upstream, addresses) => greeted,
        () = client.gone() => return Err(SessionError::Client(WireError::Closed)),
    };
    let (mut server, mut first) = match greeted {
        Ok(greeted) => greeted,
        Err(error) => return Err(tell_before_login(&mut client, error).await),
    };
    if first.payload.first() == Some(&ERR) {
        // Too many connections, host blocked: MySQL's word stands.
        client.send_packet(first.sequence, &first.payload).await.map_err(client_io)?;
        client.shutdown().await;
        return Ok(None);
    }
    let greeting = Greeting::parse(&first.payload).map_err(SessionError::Server)?;
    if upstream.policy() == UpstreamTls::Always && greeting.capabilities & capability::SSL == 0 {
        let error = SessionError::Login("MySQL offers no TLS, but upstream_tls asks for it");
        return Err(tell_before_login(&mut client, error).await);
    }
    let known = known(entrance);
    let offered = offer(greeting.capabilities & known, upstream.policy());
    greeting.narrow(&mut first.payload, offered);
    client.send_packet(first.sequence, &first.payload).await.map_err(client_io)?;

    let introduced = client_response(client, &mut server, entrance).await?;
    let Introduced { mut client, mut response, sequence, certificate } = introduced;
    let head = LoginHead::parse(&response).map_err(SessionError::Client)?;
    let mut login = Login::parse(&response).map_err(SessionError::Client)?;
    let encrypt = encrypts(upstream.policy(), client.is_tls());
    if encrypt != client.is_tls() && login.reveals_password() {
        // What it is on one leg it must not be on the other: let the server ask for it.
        response = Login::unanswered(&response).map_err(SessionError::Client)?;
    }
    let mut wanted = head.capabilities & known & !capability::SSL;
    if encrypt {
        wanted |= capability::SSL;
    }
    login::narrow(&mut response, wanted);
    login.capabilities = wanted & !capability::SSL & greeting.capabilities;

    let mut server_sequence = 1;
    if encrypt {
        server = encrypted(upstream, server, &response, &mut client, sequence).await?;
        server_sequence += 1;
    }
    server.send_packet(server_sequence, &response).await.map_err(server_io)?;
    let scramble = greeting.scramble;
    let exchange = Exchange {
        legs: Legs { client: &mut client, server: &mut server },
        offset: sequence.wrapping_sub(server_sequence),
        challenge: Challenge { plugin: login.plugin.clone(), scramble: scramble.clone() },
        key: entrance.key.as_ref(),
        factors: login.capabilities & capability::MULTI_FACTOR_AUTHENTICATION != 0,
    };
    let Authenticated::Yes { status } = exchange.relay().await? else {
        refused(client, server, certificate).await;
        return Ok(None);
    };
    compress(&mut client, &mut server, &login);
    Ok(Some(LoggedIn { client, server, login, status, scramble, number: greeting.connection }))
}

/// What follows a login is compressed as was agreed, on both legs.
fn compress(client: &mut Channel, server: &mut Channel, login: &Login) {
    if let Some(algorithm) = Algorithm::agreed(login.capabilities, login.zstd_level) {
        client.compress(algorithm, Peer::Client);
        server.compress(algorithm, Peer::Server);
    }
}

/// Whether the leg to MySQL has TLS.
fn encrypts(policy: UpstreamTls, client_has_tls: bool) -> bool {
    match policy {
        UpstreamTls::AsClient => client_has_tls,
        UpstreamTls::Always => true,
        UpstreamTls::Never => false,
    }
}

/// MySQL said no, and the client has heard it.
async fn refused(mut client: Channel, mut server: Channel, certificate: bool) {
    if certificate {
        tracing::warn!("{CERTIFICATE_NOT_PASSED_ON}");
    }
    server.shutdown().await;
    client.shutdown().await;
}

/// The connection to MySQL, and the first packet it sends.
async fn greeting(
    upstream: &Upstream,
    addresses: Addresses,
) -> Result<(Channel, Packet), SessionError> {
    let mut server = upstream.connect(addresses).await?;
    let first = server.packet(limits::LOGIN_PACKET_BYTES_MAX).await;
    Ok((server, first.map_err(SessionError::Server)?))
}

/// The client's handshake response, after TLS if it asked for TLS. The server may lose patience meanwhile
/// (`connect_timeout`).
async fn client_response(
    mut client: Channel,
    server: &mut Channel,
    entrance: &Entrance,
) -> Result<Introduced, SessionError> {
    let max = limits::LOGIN_PACKET_BYTES_MAX;
    let mut certificate = false;
    let packet = unless_ended(server, client.packet_exact(max)).await;
    let mut packet = match packet {
        Ok(packet) => packet.map_err(SessionError::Client)?,
        Err(last) => return Err(pass_last_word(&mut client, last, 0).await),
    };
    let head = LoginHead::parse(&packet.payload).map_err(SessionError::Client)?;
    if head.is_ssl_request {
        let Transport::Plain(stream) = client.into_transport().map_err(SessionError::Client)?
        else {
            return Err(SessionError::Login("TLS inside of TLS"));
        };
        let stream = unless_ended(server, entrance.tls.accept(stream)).await;
        let stream = stream
            .map_err(|_| SessionError::Server(WireError::Closed))?
            .map_err(SessionError::ClientTls)?;
        certificate = stream.get_ref().1.peer_certificates().is_some();
        client =
            Channel::new(Transport::Tls(Box::new(stream.into())), limits::CLIENT_READ_AHEAD_BYTES);
        packet = match unless_ended(server, client.packet(max)).await {
            Ok(packet) => packet.map_err(SessionError::Client)?,
            Err(last) => return Err(pass_last_word(&mut client, last, 1).await),
        };
    }
    let Packet { payload, sequence } = packet;
    Ok(Introduced { client, response: payload, sequence, certificate })
}

/// Waits for the client, unless the server ends before: then `Err` has its last packet, if it sent one.
async fn unless_ended<T>(
    server: &mut Channel,
    client: impl Future<Output = T>,
) -> Result<T, Option<Packet>> {
    tokio::select! {
        biased;
        heard = client => Ok(heard),
        last = server.packet(limits::LOGIN_PACKET_BYTES_MAX) => Err(last.ok()),
    }
}

/// `offset`: how far the client's sequence ids are ahead.
async fn pass_last_word(client: &mut Channel, last: Option<Packet>, offset: u8) -> SessionError {
    if let Some(last) = last {
        let sequence = last.sequence.wrapping_add(offset);
        let _ = client.send_packet(sequence, &last.payload).await;
    }
    client.shutdown().await;
    SessionError::Server(WireError::Closed)
}

/// Capabilities that the relay understands, and may pass on.
fn known(entrance: &Entrance) -> Capabilities {
    let extended = capability::MARIADB_EXTENDED & !capability::MARIADB_EXTENDED_UNDERSTOOD;
    let compression = if entrance.compression { 0 } else { capability::COMPRESSION };
    !(capability::NOT_UNDERSTOOD | extended | compression)
}

/// What of the server's capabilities is known, and TLS as the policy says.
fn offer(known: Capabilities, policy: UpstreamTls) -> Capabilities {
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

/// The leg to MySQL with TLS. Where that fails the client is told, after the packet with its `sequence`.
async fn encrypted(
    upstream: &Upstream,
    mut server: Channel,
    response: &[u8],
    client: &mut Channel,
    sequence: u8,
) -> Result<Channel, SessionError> {
    server.send_packet(1, &login::ssl_request(response)).await.map_err(server_io)?;
    let error = match upstream.encrypt(server, client.server_name()).await {
        Ok(server) => return Ok(server),
        Err(error) => SessionError::from(error),
    };
    if let Some(packet) = error.packet() {
        let _ = client.send_packet(sequence.wrapping_add(1), &packet.write()).await;
    }
    Err(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tls_is_offered_as_the_policy_says() {
        let server = capability::PROTOCOL_41;
        assert_eq!(offer(server, UpstreamTls::AsClient), capability::PROTOCOL_41);
        assert_eq!(offer(server, UpstreamTls::Never), capability::PROTOCOL_41 | capability::SSL);
    }
}
