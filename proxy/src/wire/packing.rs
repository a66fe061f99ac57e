//! One leg of a connection in the compressed protocol: whole packets out of bytes as they come, bytes into
//! packets, and the packets' numbers. Never here: reading and writing, or the packets inside.
//!
//! The numbers are those of `net_serv.cc`, alike in MySQL and MariaDB: one count for both directions, which a
//! command begins anew at 0. Either side numbers on from the packet that it read last, so that a file sent for a
//! LOAD DATA LOCAL goes on from the request for it. The numbers of the packets inside count by themselves, but
//! whoever flushes goes on with the outer number.

use bytes::{Buf, BytesMut};

use super::compressed::{
    Algorithm, CONTENT_MAX, Codec, HEADER_BYTES, Header, NUMBER_AT, PacketFault,
};

/// Numbers of compressed packets.
#[derive(Clone, Copy, Debug, Default)]
struct Numbers {
    next: u8,
    /// The other side has begun its next command before the present one was answered: that one's next number.
    early: Option<u8>,
}

impl Numbers {
    fn begin(&mut self, ahead: bool) {
        let early = self.early.take();
        if !ahead {
            self.next = 0;
        } else if let Some(early) = early {
            self.next = early;
        }
        // Else it came in one packet with the command before: both are answered under one count.
    }

    fn heard(&mut self, number: u8) -> Result<(), PacketFault> {
        let following = number.wrapping_add(1);
        if self.early.is_none() && number == self.next {
            self.next = following;
        } else if number == 0 || self.early == Some(number) {
            self.early = Some(following);
        } else {
            return Err(PacketFault::OutOfOrder);
        }
        Ok(())
    }

    fn written(&mut self) -> u8 {
        let number = self.next;
        self.next = number.wrapping_add(1);
        number
    }
}

/// Whose numbers a leg hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// Its numbers are checked in the server's place.
    Client,
    /// A server that gives up reading, or the session, may speak out of turn: its word counts all the same.
    Server,
}

/// A packet as it came, and the plain bytes in it.
struct AsItCame {
    packet: BytesMut,
    plain: usize,
}

pub struct Packing {
    codec: Codec,
    peer: Peer,
    numbers: Numbers,
    /// Read, and not yet a whole packet.
    pub raw: BytesMut,
    /// The last read filled all the room it had.
    pub bulk: bool,
    last: Option<AsItCame>,
}

impl Packing {
    /// `raw` was read already.
    pub fn new(algorithm: Algorithm, peer: Peer, raw: BytesMut) -> Packing {
        let codec = Codec::new(algorithm);
        Packing { codec, peer, numbers: Numbers::default(), raw, bulk: false, last: None }
    }

    /// A command begins. `ahead`: bytes of it have been unpacked.
    pub fn begin(&mut self, ahead: bool) {
        self.numbers.begin(ahead);
    }

    /// Number of the next packet.
    pub fn next_number(&self) -> u8 {
        self.numbers.next
    }

    /// Unpacks the next packet behind `out`, if all of it has been read, and tells how many bytes that gave.
    pub fn take(&mut self, out: &mut BytesMut) -> Result<Option<usize>, PacketFault> {
        self.last = None;
        let Some(header) = Header::parse(&self.raw) else { return Ok(None) };
        let length = HEADER_BYTES + header.content;
        if self.raw.len() < length {
            return Ok(None);
        }
        match self.numbers.heard(header.number) {
            Err(fault) if self.peer == Peer::Client => return Err(fault),
            Err(_) => self.numbers.next = header.number.wrapping_add(1),
            Ok(()) => {}
        }
        let before = out.len();
        self.codec.unpack(header, &self.raw[HEADER_BYTES..length], out)?;
        let plain = out.len() - before;
        if plain > 0 {
            self.last = Some(AsItCame { packet: self.raw.split_to(length), plain });
        } else {
            self.raw.advance(length);
        }
        Ok(Some(plain))
    }

    /// The next packet, of at most [`CONTENT_MAX`] bytes.
    pub fn put(&mut self, plain: &[u8]) -> Vec<u8> {
        debug_assert!(plain.len() <= CONTENT_MAX);
        let number = self.numbers.written();
        self.codec.pack(number, plain)
    }

    /// The next packet, one of another leg as it came there; only its number is this leg's own.
    pub fn put_as_it_came<'a>(&mut self, other: &'a mut Packing, plain: usize) -> Option<&'a [u8]> {
        let last = other.last.as_mut().filter(|last| last.plain == plain)?;
        last.packet[NUMBER_AT] = self.numbers.written();
        Some(&last.packet)
    }

    /// Gives all room back that is not needed while nothing comes.
    pub fn release(&mut self) {
        self.codec.release();
        self.last = None;
        if self.raw.is_empty() {
            self.raw = BytesMut::new();
            self.bulk = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ZSTD: Algorithm = Algorithm::Zstd { level: 3 };

    fn leg(algorithm: Algorithm, peer: Peer) -> Packing {
        Packing::new(algorithm, peer, BytesMut::new())
    }

    fn hear(packing: &mut Packing, packet: &[u8]) -> Result<Vec<u8>, PacketFault> {
        packing.raw.extend_from_slice(packet);
        let mut out = BytesMut::new();
        assert!(packing.take(&mut out)?.is_some(), "a whole packet");
        Ok(out.to_vec())
    }

    #[test]
    fn an_answer_is_numbered_on_from_its_command() {
        let (mut client, mut server) = (leg(ZSTD, Peer::Server), leg(ZSTD, Peer::Client));
        for _ in 0..3 {
            client.begin(false);
            server.begin(false);
            for part in [&[1; 100][..], &[2; 10]] {
                assert_eq!(hear(&mut server, &client.put(part)), Ok(part.to_vec()));
            }
            // Enough for the numbers to wrap around; then a file, and the answer to it.
            for number in 2..600_u32 {
                let packet = server.put(&[3; 60]);
                assert_eq!(packet[NUMBER_AT], number as u8);
                assert!(hear(&mut client, &packet).is_ok());
            }
            assert!(hear(&mut server, &client.put(&[4; 60])).is_ok());
            assert!(hear(&mut client, &server.put(&[5; 60])).is_ok());
            assert_eq!(client.next_number(), server.next_number());
        }
    }

    #[test]
    fn an_early_command_disturbs_no_answer() {
        let mut server = leg(Algorithm::Zlib, Peer::Client);
        let mut codec = Codec::new(Algorithm::Zlib);
        server.begin(false);
        hear(&mut server, &codec.pack(0, b"one")).unwrap();
        assert_eq!(server.put(b"answer")[NUMBER_AT], 1);
        for number in [0, 1] {
            hear(&mut server, &codec.pack(number, b"two")).unwrap();
        }
        assert_eq!(server.put(b"answer")[NUMBER_AT], 2);
        server.begin(true);
        assert_eq!(server.put(b"answer")[NUMBER_AT], 2);
        server.begin(true);
        assert_eq!(server.put(b"answer to a command in the same packet")[NUMBER_AT], 3);
        server.begin(false);
        assert_eq!(server.put(b"word without a command")[NUMBER_AT], 0);
    }

    #[test]
    fn a_client_out_of_order_is_a_fault_and_a_server_is_heard() {
        let packet = Codec::new(ZSTD).pack(7, b"word");
        assert_eq!(hear(&mut leg(ZSTD, Peer::Client), &packet), Err(PacketFault::OutOfOrder));
        let mut client = leg(ZSTD, Peer::Server);
        client.begin(false);
        assert_eq!(hear(&mut client, &packet), Ok(b"word".to_vec()));
    }

    #[test]
    fn packets_without_content_are_passed_over() {
        let mut client = leg(ZSTD, Peer::Server);
        assert_eq!(hear(&mut client, &Codec::new(ZSTD).pack(0, b"")), Ok(vec![]));
        assert_eq!(hear(&mut client, &Codec::new(ZSTD).pack(1, b"x")), Ok(b"x".to_vec()));
    }

    #[test]
    fn a_packet_goes_on_as_it_came() {
        let (mut from, mut to) = (leg(ZSTD, Peer::Server), leg(ZSTD, Peer::Client));
        from.begin(false);
        to.begin(false);
        to.put(b"");
        let mut packet = Codec::new(ZSTD).pack(0, &[8; 200]);
        hear(&mut from, &packet).unwrap();
        packet[NUMBER_AT] = 1;
        assert_eq!(to.put_as_it_came(&mut from, 199), None);
        assert_eq!(to.put_as_it_came(&mut from, 200), Some(&packet[..]));
        from.release();
        assert_eq!(to.put_as_it_came(&mut from, 200), None);
        assert_eq!(to.next_number(), 2);
    }

    proptest! {
        #[test]
        fn a_stream_round_trips_however_it_is_split(
            parts in proptest::collection::vec(proptest::collection::vec(0_u8..3, 1..300), 1..12),
            piece in 1..400_usize, zlib: bool,
        ) {
            let algorithm = if zlib { Algorithm::Zlib } else { ZSTD };
            let mut sender = leg(algorithm, Peer::Server);
            let stream: Vec<u8> = parts.iter().flat_map(|part| sender.put(part)).collect();
            let mut receiver = leg(algorithm, Peer::Client);
            let mut out = BytesMut::new();
            let mut lengths = vec![];
            for bytes in stream.chunks(piece) {
                receiver.raw.extend_from_slice(bytes);
                while let Some(length) = receiver.take(&mut out).unwrap() {
                    lengths.push(length);
                }
            }
            prop_assert_eq!(&out[..], &parts.concat()[..]);
            prop_assert_eq!(lengths, parts.iter().map(Vec::len).collect::<Vec<_>>());
        }
    }
}
