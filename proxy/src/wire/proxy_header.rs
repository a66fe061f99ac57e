//! Headers of the PROXY protocol, versions 1 (text) and 2 (binary): who the real client of a connection
//! is. Never here: whose header is believed.
//!
//! See haproxy.org/download/3.0/doc/proxy-protocol.txt.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use segue_config::limits::PROXY_HEADER_BYTES_MAX;

use super::WireError;
use super::cursor::Cursor;

/// What version 2 begins with: bytes that no protocol of lines can contain.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// The longest line of version 1, with its end.
const LINE_BYTES_MAX: usize = 107;

const VERSION_2_LOCAL: u8 = 0x20;
const VERSION_2_PROXY: u8 = 0x21;
const TCP_OVER_IPV4: u8 = 0x11;
const TCP_OVER_IPV6: u8 = 0x21;

/// Both ends of the client's own connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    pub client: SocketAddr,
    pub server: SocketAddr,
}

/// A whole header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProxyHeader {
    /// `None`: the proxy speaks for itself (health checks), or knows no TCP addresses.
    pub addresses: Option<Addresses>,
    /// Bytes of the header; what the client sent follows.
    pub bytes: usize,
}

/// Reads the header at the beginning of a connection's bytes. `None`: more bytes are needed.
pub fn parse(bytes: &[u8]) -> Result<Option<ProxyHeader>, WireError> {
    let common = |expected: &[u8]| {
        let count = bytes.len().min(expected.len());
        (bytes[..count] == expected[..count]).then_some(count == expected.len())
    };
    match (common(SIGNATURE), common(b"PROXY ")) {
        (Some(true), _) => binary(bytes),
        (_, Some(true)) => text(bytes),
        (None, None) => Err(WireError::Malformed("PROXY header")),
        _ => Ok(None),
    }
}

fn text(bytes: &[u8]) -> Result<Option<ProxyHeader>, WireError> {
    let malformed = WireError::Malformed("PROXY header, version 1");
    let searched = &bytes[..bytes.len().min(LINE_BYTES_MAX)];
    let Some(end) = searched.windows(2).position(|pair| pair == b"\r\n") else {
        return if bytes.len() < LINE_BYTES_MAX { Ok(None) } else { Err(malformed) };
    };
    let line = std::str::from_utf8(&bytes[..end])
        .map_err(|_| WireError::Malformed("PROXY header, version 1"))?;
    let mut words = line.split(' ').skip(1);
    let header = |addresses| Ok(Some(ProxyHeader { addresses, bytes: end + 2 }));
    let family = words.next();
    if family == Some("UNKNOWN") {
        return header(None);
    }
    let words: Vec<&str> = words.collect();
    let addresses = match (family, &words[..]) {
        (Some("TCP4"), [from, to, from_port, to_port]) => Some((
            socket(from.parse().map(IpAddr::V4).ok(), from_port),
            socket(to.parse().map(IpAddr::V4).ok(), to_port),
        )),
        (Some("TCP6"), [from, to, from_port, to_port]) => Some((
            socket(from.parse().map(IpAddr::V6).ok(), from_port),
            socket(to.parse().map(IpAddr::V6).ok(), to_port),
        )),
        _ => None,
    };
    match addresses {
        Some((Some(client), Some(server))) => header(Some(Addresses { client, server })),
        _ => Err(malformed),
    }
}

fn socket(address: Option<IpAddr>, port: &str) -> Option<SocketAddr> {
    let only_digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    Some(SocketAddr::new(address?, port.parse().ok().filter(|_| only_digits)?))
}

fn binary(bytes: &[u8]) -> Result<Option<ProxyHeader>, WireError> {
    let malformed = || WireError::Malformed("PROXY header, version 2");
    let head = bytes.len().min(SIGNATURE.len() + 4);
    let [command, family, high, low] = bytes[SIGNATURE.len()..head] else { return Ok(None) };
    if command != VERSION_2_LOCAL && command != VERSION_2_PROXY {
        return Err(malformed());
    }
    let length = usize::from(u16::from_be_bytes([high, low]));
    if head + length > PROXY_HEADER_BYTES_MAX {
        return Err(WireError::TooLarge(PROXY_HEADER_BYTES_MAX));
    }
    let Some(body) = bytes.get(head..head + length) else { return Ok(None) };
    let mut cursor = Cursor::new(body, "PROXY header, version 2");
    let addresses = match (command, family) {
        (VERSION_2_PROXY, TCP_OVER_IPV4) => {
            let (from, to): ([u8; 4], [u8; 4]) = (cursor.array()?, cursor.array()?);
            Some((IpAddr::V4(Ipv4Addr::from(from)), IpAddr::V4(Ipv4Addr::from(to))))
        }
        (VERSION_2_PROXY, TCP_OVER_IPV6) => {
            let (from, to): ([u8; 16], [u8; 16]) = (cursor.array()?, cursor.array()?);
            Some((IpAddr::V6(Ipv6Addr::from(from)), IpAddr::V6(Ipv6Addr::from(to))))
        }
        // Its own connection, or a family that is no TCP: both are to be accepted as they are.
        _ => None,
    };
    let addresses = match addresses {
        Some((client, server)) => {
            let (from, to) = (cursor.array()?, cursor.array()?);
            let client = SocketAddr::new(client, u16::from_be_bytes(from));
            Some(Addresses { client, server: SocketAddr::new(server, u16::from_be_bytes(to)) })
        }
        None => None,
    };
    Ok(Some(ProxyHeader { addresses, bytes: head + length }))
}

impl Addresses {
    /// Of one family, as both versions want it: IPv4 where both are, however the socket shows them.
    fn of_one_family(&self) -> (IpAddr, IpAddr) {
        match (self.client.ip().to_canonical(), self.server.ip().to_canonical()) {
            (client @ IpAddr::V4(_), server @ IpAddr::V4(_)) => (client, server),
            (client, server) => (IpAddr::V6(v6(client)), IpAddr::V6(v6(server))),
        }
    }

    /// The header in version 1.
    pub fn text(&self) -> Vec<u8> {
        let (client, server) = self.of_one_family();
        let family = if client.is_ipv4() { "TCP4" } else { "TCP6" };
        let ports = (self.client.port(), self.server.port());
        format!("PROXY {family} {client} {server} {} {}\r\n", ports.0, ports.1).into_bytes()
    }

    /// The header in version 2.
    pub fn binary(&self) -> Vec<u8> {
        let mut header = SIGNATURE.to_vec();
        header.push(VERSION_2_PROXY);
        match self.of_one_family() {
            (IpAddr::V4(client), IpAddr::V4(server)) => {
                header.extend_from_slice(&[TCP_OVER_IPV4, 0, 12]);
                header.extend_from_slice(&client.octets());
                header.extend_from_slice(&server.octets());
            }
            (client, server) => {
                header.extend_from_slice(&[TCP_OVER_IPV6, 0, 36]);
                header.extend_from_slice(&v6(client).octets());
                header.extend_from_slice(&v6(server).octets());
            }
        }
        header.extend_from_slice(&self.client.port().to_be_bytes());
        header.extend_from_slice(&self.server.port().to_be_bytes());
        header
    }
}

fn v6(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}

#[cfg(test)]
#[path = "proxy_header_tests.rs"]
mod tests;
