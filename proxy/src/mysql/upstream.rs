//! The upstream leg: connecting to MySQL for one client connection (TCP, TLS).
//! Never here: the control account.

mod certificate;

use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::ServerName;
use segue_config::limits;
use segue_config::settings::{Mysql, ProxyProtocol, UpstreamTls, UpstreamVerify};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::wire::WireError;
use crate::wire::channel::Channel;
use crate::wire::proxy_header::Addresses;
use crate::wire::transport::Transport;

pub use certificate::AuthoritiesError;

#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    #[error("cannot connect to MySQL server on '{address}': {reason}")]
    Connect { address: String, reason: String },
    #[error("TLS to MySQL server on '{address}': {reason}")]
    Tls { address: String, reason: String },
}

/// Where and how client connections are continued to MySQL. Cheap to clone.
#[derive(Clone)]
pub struct Upstream {
    address: Arc<str>,
    policy: UpstreamTls,
    header: Option<ProxyProtocol>,
    connect_timeout: Duration,
    /// The certificate must be for the host of `address`.
    identity: bool,
    connector: TlsConnector,
}

impl Upstream {
    /// Fails where the file of authorities cannot be used.
    pub fn new(settings: &Mysql) -> Result<Upstream, AuthoritiesError> {
        let config = certificate::client_config(&settings.upstream_verify)?;
        Ok(Upstream {
            address: settings.address.as_str().into(),
            policy: settings.upstream_tls,
            header: settings.proxy_protocol,
            connect_timeout: settings.connect_timeout,
            identity: matches!(settings.upstream_verify, UpstreamVerify::Identity(_)),
            connector: TlsConnector::from(Arc::new(config)),
        })
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    pub fn policy(&self) -> UpstreamTls {
        self.policy
    }

    /// Opens the TCP connection, and tells for whom where the server is to know. Then MySQL speaks first.
    pub async fn connect(&self, addresses: Addresses) -> Result<Channel, UpstreamError> {
        let failed =
            |reason: String| UpstreamError::Connect { address: self.address.to_string(), reason };
        let limit = self.connect_timeout;
        let stream = tokio::time::timeout(limit, TcpStream::connect(&*self.address))
            .await
            .map_err(|_| failed(format!("no answer within {} s", limit.as_secs())))?
            .map_err(|e| failed(e.to_string()))?;
        stream.set_nodelay(true).map_err(|e| failed(e.to_string()))?;
        let mut channel = Channel::new(Transport::Plain(stream), limits::RELAY_CHUNK_BYTES);
        let header = match self.header {
            Some(ProxyProtocol::V1) => addresses.text(),
            Some(ProxyProtocol::V2) => addresses.binary(),
            None => return Ok(channel),
        };
        channel.send(&header).await.map_err(|e| failed(e.to_string()))?;
        Ok(channel)
    }

    /// Turns the leg to TLS, after the SSLRequest has been sent.
    /// `server_name` is the one that the client asked for, if it is encrypted and named one.
    pub async fn encrypt(
        &self,
        channel: Channel,
        server_name: Option<&str>,
    ) -> Result<Channel, UpstreamError> {
        let failed =
            |reason: String| UpstreamError::Tls { address: self.address.to_string(), reason };
        let transport = channel.into_transport().map_err(|e: WireError| failed(e.to_string()))?;
        let Transport::Plain(stream) = transport else {
            return Err(failed("the leg is encrypted already".to_owned()));
        };
        let host = self.address.rsplit_once(':').map_or(&*self.address, |(host, _)| host);
        let own = host.trim_matches(['[', ']']);
        let asked = server_name.filter(|_| !self.identity);
        let name = ServerName::try_from(asked.unwrap_or(own).to_owned())
            .or_else(|_| ServerName::try_from(own.to_owned()))
            .or_else(|_| ServerName::try_from("mysql".to_owned()))
            .map_err(|e| failed(e.to_string()))?;
        let stream =
            self.connector.connect(name, stream).await.map_err(|e| failed(e.to_string()))?;
        Ok(Channel::new(Transport::Tls(Box::new(stream.into())), limits::RELAY_CHUNK_BYTES))
    }
}
