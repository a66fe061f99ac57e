//! What ends a session, and the error packets that Segue itself sends to a client.
//! Never here: errors of MySQL, which pass through as they are.

use std::net::IpAddr;

use crate::mysql::upstream::UpstreamError;
use crate::wire::WireError;
use crate::wire::compressed::PacketFault;
use crate::wire::response::ErrPacket;

/// Why a session ended other than by its client's wish.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    #[error("client: {0}")]
    Client(WireError),
    #[error("MySQL: {0}")]
    Server(WireError),
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    #[error("TLS with the client: {0}")]
    ClientTls(std::io::Error),
    #[error(
        "{proxy}: {fault}: a load balancer named in listen.proxy_protocol_networks has to send one"
    )]
    ProxyHeader { proxy: IpAddr, fault: WireError },
    #[error("login took too long")]
    LoginTimeout,
    #[error("login: {0}")]
    Login(&'static str),
}

impl SessionError {
    /// The error packet for the client, where one helps: it has not logged in yet, or cannot be read any more.
    pub fn packet(&self) -> Option<ErrPacket> {
        match self {
            // ER_UNKNOWN_ERROR: the fitting codes (2003, 2013, 2026) are client codes, and MariaDB's
            // client takes a server that sends one for broken.
            SessionError::Upstream(UpstreamError::Connect { .. }) => {
                Some(ErrPacket::new(1105, b"08S01", format!("Segue: {self}")))
            }
            SessionError::Upstream(UpstreamError::Tls { .. }) => {
                Some(ErrPacket::new(1105, b"08S01", format!("Segue: {self}")))
            }
            SessionError::Server(e) => Some(ErrPacket::new(
                1105,
                b"08S01",
                format!("Segue: lost connection to MySQL: {e}"),
            )),
            // ER_NOT_SUPPORTED_AUTH_MODE
            SessionError::Login(reason) => {
                Some(ErrPacket::new(1251, b"08004", format!("Segue: {reason}")))
            }
            SessionError::Client(WireError::Io(error)) => PacketFault::of(error).map(unreadable),
            SessionError::Client(_)
            | SessionError::ClientTls(_)
            | SessionError::ProxyHeader { .. }
            | SessionError::LoginTimeout => None,
        }
    }
}

/// MySQL's own words.
fn unreadable(fault: PacketFault) -> ErrPacket {
    match fault {
        PacketFault::OutOfOrder => ErrPacket::new(1156, b"08S01", "Got packets out of order"),
        PacketFault::Content => {
            ErrPacket::new(1157, b"08S01", "Couldn't uncompress communication packet")
        }
    }
}

pub fn client_io(error: std::io::Error) -> SessionError {
    SessionError::Client(error.into())
}

pub fn server_io(error: std::io::Error) -> SessionError {
    SessionError::Server(error.into())
}
