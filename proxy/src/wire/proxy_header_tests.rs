//! Facts about PROXY headers.

use proptest::prelude::*;

use super::*;

fn addresses(client: &str, server: &str) -> Addresses {
    Addresses { client: client.parse().unwrap(), server: server.parse().unwrap() }
}

fn complete(bytes: &[u8]) -> ProxyHeader {
    parse(bytes).unwrap().expect("the header is whole")
}

#[test]
fn a_line_names_the_client() {
    let found = complete(b"PROXY TCP4 192.0.2.7 198.51.100.1 40001 3306\r\nrest");
    assert_eq!(found.addresses, Some(addresses("192.0.2.7:40001", "198.51.100.1:3306")));
    assert_eq!(found.bytes, 46);
    let found = complete(b"PROXY TCP6 2001:db8::7 ::1 40001 3306\r\n");
    assert_eq!(found.addresses, Some(addresses("[2001:db8::7]:40001", "[::1]:3306")));
}

#[test]
fn a_proxy_that_speaks_for_itself_names_nobody() {
    for line in [&b"PROXY UNKNOWN\r\n"[..], b"PROXY UNKNOWN ff:: 1 whatever\r\n"] {
        assert_eq!(complete(line), ProxyHeader { addresses: None, bytes: line.len() });
    }
    let local = [&SIGNATURE[..], &[0x20, 0, 0, 3, 1, 2, 3]].concat();
    assert_eq!(complete(&local), ProxyHeader { addresses: None, bytes: 19 });
    // A socket of the file system.
    let unix = [&SIGNATURE[..], &[0x21, 0x31, 0, 216], &[b'x'; 216]].concat();
    assert_eq!(complete(&unix).addresses, None);
}

#[test]
fn extensions_behind_the_addresses_are_skipped() {
    let mut header = addresses("192.0.2.7:1", "192.0.2.8:2").binary();
    header[15] += 5;
    header.extend_from_slice(&[0x04, 0, 2, 9, 9, b'x']);
    let found = complete(&header);
    assert_eq!(found.addresses, Some(addresses("192.0.2.7:1", "192.0.2.8:2")));
    assert_eq!(found.bytes, 33);
}

#[test]
fn what_is_no_header_is_refused() {
    let long = [b"PROXY TCP4 ".as_slice(), &[b'1'; 100]].concat();
    let lines: [&[u8]; 14] = [
        b"GET / HTTP/1.1\r\n",
        b"\x20\0\0\x01\x85\xa6",
        b"proxy TCP4 1.1.1.1 1.1.1.1 1 1\r\n",
        b"PROXY\r\n",
        b"PROXY \r\n",
        b"PROXY TCP4\r\n",
        b"PROXY TCP5 1.1.1.1 1.1.1.1 1 1\r\n",
        b"PROXY TCP4 1.1.1.1 1.1.1.1 1\r\n",
        b"PROXY TCP4 1.1.1.1 1.1.1.1 1 1 1\r\n",
        b"PROXY TCP4 1.1.1.1  1.1.1.1 1 1\r\n",
        b"PROXY TCP4 ::1 ::1 1 1\r\n",
        b"PROXY TCP4 1.1.1.1 1.1.1.1 65536 1\r\n",
        b"PROXY TCP4 1.1.1.1 1.1.1.1 +1 1\r\n",
        &long,
    ];
    for line in lines {
        assert!(parse(line).is_err(), "{}", line.escape_ascii());
    }
    for rest in [&[0x11, 0x11, 0, 12][..], &[0x22, 0x11, 0, 12], &[0x21, 0x11, 0xff, 0xff]] {
        assert!(parse(&[SIGNATURE, rest].concat()).is_err());
    }
    // Too short for its addresses.
    assert!(parse(&[&SIGNATURE[..], &[0x21, 0x11, 0, 4, 1, 1, 1, 1]].concat()).is_err());
}

#[test]
fn a_part_of_a_header_waits_for_the_rest() {
    let line = b"PROXY TCP4 192.0.2.7 198.51.100.1 40001 3306\r\n".to_vec();
    let binary = addresses("192.0.2.7:1", "[2001:db8::1]:2").binary();
    for header in [line, binary] {
        for count in 0..header.len() {
            assert!(parse(&header[..count]).unwrap().is_none(), "{count}");
        }
        assert_eq!(complete(&header).bytes, header.len());
    }
}

#[test]
fn addresses_of_two_families_are_written_as_ipv6() {
    let mixed = addresses("192.0.2.7:1", "[2001:db8::1]:2");
    assert_eq!(mixed.text(), b"PROXY TCP6 ::ffff:192.0.2.7 2001:db8::1 1 2\r\n");
    let mapped = addresses("[::ffff:192.0.2.7]:1", "[::ffff:192.0.2.8]:2");
    assert_eq!(mapped.text(), b"PROXY TCP4 192.0.2.7 192.0.2.8 1 2\r\n");
}

proptest! {
    #[test]
    fn headers_round_trip(client: (u128, u16), server: (u128, u16), v4: bool) {
        let socket = |(bits, port): (u128, u16)| {
            let address = if v4 {
                IpAddr::V4(Ipv4Addr::from_bits(bits as u32))
            } else {
                IpAddr::V6(Ipv6Addr::from_bits(bits | 1 << 127))
            };
            SocketAddr::new(address, port)
        };
        let addresses = Addresses { client: socket(client), server: socket(server) };
        for header in [addresses.text(), addresses.binary()] {
            let found = complete(&header);
            prop_assert_eq!((found.addresses, found.bytes), (Some(addresses), header.len()));
        }
    }

    #[test]
    fn any_bytes_are_a_header_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        for begin in [&b""[..], b"PROXY ", b"PROXY TCP4 ", SIGNATURE, b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0"] {
            let whole = [begin, &bytes].concat();
            if let Ok(Some(header)) = parse(&whole) {
                prop_assert!(header.bytes <= whole.len());
            }
        }
    }
}
