//! IP networks in CIDR notation.
//! Never here: which settings hold them.

use std::net::{IpAddr, Ipv6Addr};

/// An address with the count of its leading bits that matter. IPv4 is held as IPv4-mapped IPv6, as which
/// a socket of both families shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    bits: u128,
    mask: u128,
}

/// Leading bits of an IPv4-mapped IPv6 address.
const MAPPED_BITS: u32 = 96;

impl Network {
    /// `10.0.0.0/8`, `fd00::/8`, or one address.
    pub fn parse(text: &str) -> Option<Network> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.trim().parse().ok()?;
        let (width, before) = if address.is_ipv4() { (32, MAPPED_BITS) } else { (128, 0) };
        let prefix = match prefix {
            Some(text) => text.trim().parse::<u32>().ok().filter(|&prefix| prefix <= width)?,
            None => width,
        };
        // A shift by the whole width is not a shift.
        let mask = u128::MAX.checked_shl(128 - (before + prefix)).unwrap_or(0);
        Some(Network { bits: bits(address) & mask, mask })
    }

    pub fn contains(&self, address: IpAddr) -> bool {
        bits(address) & self.mask == self.bits
    }
}

fn bits(address: IpAddr) -> u128 {
    let mapped: Ipv6Addr = match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    };
    u128::from(mapped)
}

/// Networks parted by commas; `Err` is the part that is none.
pub fn networks(text: &str) -> Result<Vec<Network>, String> {
    text.split(',')
        .map(|part| Network::parse(part.trim()).ok_or_else(|| part.trim().to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contains(network: &str, address: &str) -> bool {
        let network = Network::parse(network).expect("a network");
        network.contains(address.parse().expect("an address"))
    }

    #[test]
    fn networks_contain_the_addresses_of_their_prefix() {
        assert!(contains("10.1.0.0/16", "10.1.255.1"));
        assert!(!contains("10.1.0.0/16", "10.2.0.1"));
        assert!(contains("10.1.2.3/16", "10.1.0.0"), "bits behind the prefix do not matter");
        assert!(contains("192.0.2.7", "192.0.2.7") && !contains("192.0.2.7", "192.0.2.8"));
        assert!(contains("0.0.0.0/0", "203.0.113.9") && !contains("0.0.0.0/0", "2001:db8::1"));
        assert!(contains("::/0", "2001:db8::1") && contains("::/0", "10.0.0.1"));
        assert!(contains("fd00::/8", "fd12::1") && !contains("fd00::/8", "fe80::1"));
    }

    #[test]
    fn an_ipv4_client_of_an_ipv6_socket_is_in_its_ipv4_network() {
        assert!(contains("10.0.0.0/8", "::ffff:10.1.2.3"));
        assert!(!contains("10.0.0.0/8", "::10.1.2.3"));
    }

    #[test]
    fn lists_are_parted_by_commas_and_the_wrong_part_is_told() {
        assert_eq!(networks("10.0.0.0/8, ::1").map(|list| list.len()), Ok(2));
        for wrong in ["10.0.0.0/33", "::/129", "10.0.0/8", "", "*", "10.0.0.0/-1", "10.0.0.0/ x"] {
            assert_eq!(networks(&format!("127.0.0.1,{wrong}")), Err(wrong.to_owned()));
        }
    }
}
