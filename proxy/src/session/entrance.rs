//! How clients are received: TLS, the key for passwords, and whose word about addresses is believed.
//! Never here: the login itself.

use std::net::SocketAddr;
use std::time::Duration;

use segue_config::network::Network;
use segue_config::settings::UpstreamTls;
use segue_config::{Settings, limits};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::tls::{self, TlsError};
use crate::execute::failure::{SessionError, client_io};
use crate::wire::WireError;
use crate::wire::proxy_header::{self, Addresses};
use crate::wire::sha2::PasswordKey;

/// What every login needs on the client's side.
pub struct Entrance {
    pub tls: TlsAcceptor,
    /// Where clients without TLS may have to encrypt a password for Segue.
    pub key: Option<PasswordKey>,
    /// Clients may ask for compressed packets.
    pub compression: bool,
    /// Load balancers whose connections begin with a PROXY header.
    proxies: Vec<Network>,
}

impl Entrance {
    pub fn new(settings: &Settings) -> Result<Entrance, TlsError> {
        // Elsewhere a client without TLS talks to a server without TLS, which has a key of its own.
        let key = match settings.mysql.upstream_tls {
            UpstreamTls::Always => Some(PasswordKey::generate().map_err(|_| TlsError::Key)?),
            UpstreamTls::AsClient | UpstreamTls::Never => None,
        };
        let tls = tls::acceptor(&settings.tls)?;
        let compression = settings.listen.compression;
        let proxies = settings.listen.proxy_protocol_networks.clone();
        Ok(Entrance { tls, key, compression, proxies })
    }

    /// The client's addresses: those of its connection, or as a trusted load balancer tells them. Its header
    /// is read, and not a byte behind it.
    pub async fn addresses(&self, stream: &mut TcpStream) -> Result<Addresses, SessionError> {
        let own = Addresses {
            client: stream.peer_addr().map_err(client_io)?,
            server: stream.local_addr().map_err(client_io)?,
        };
        if !self.proxies.iter().any(|network| network.contains(own.client.ip())) {
            return Ok(own);
        }
        let limit = Duration::from_secs(limits::PROXY_HEADER_SECONDS_MAX);
        let told = tokio::time::timeout(limit, told_addresses(stream)).await;
        let told = told.unwrap_or(Err(WireError::Malformed("no PROXY header")));
        match told {
            Ok(told) => Ok(told.unwrap_or(own)),
            // A look at the port that ends at once is how load balancers test it.
            Err(fault @ (WireError::Closed | WireError::Io(_))) => Err(SessionError::Client(fault)),
            Err(fault) => Err(SessionError::ProxyHeader { proxy: proxy(own.client), fault }),
        }
    }
}

fn proxy(address: SocketAddr) -> std::net::IpAddr {
    address.ip().to_canonical()
}

async fn told_addresses(stream: &mut TcpStream) -> Result<Option<Addresses>, WireError> {
    let mut bytes = Vec::new();
    loop {
        if let Some(header) = proxy_header::parse(&bytes)? {
            // MySQL speaks first, so a client has nothing to say yet.
            return match bytes.len() == header.bytes {
                true => Ok(header.addresses),
                false => Err(WireError::Malformed("bytes behind the PROXY header")),
            };
        }
        if bytes.len() >= limits::PROXY_HEADER_BYTES_MAX {
            return Err(WireError::TooLarge(limits::PROXY_HEADER_BYTES_MAX));
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(if bytes.is_empty() {
                WireError::Closed
            } else {
                WireError::Malformed("half of a PROXY header")
            });
        }
    }
}
