//! The compressed protocol: the same however its stream is cut, nothing longer than headers say, and back again.
//! Never here: the packets inside.

use bytes::BytesMut;
use segue::wire::compressed::{Algorithm, HEADER_BYTES, Header, PacketFault};
use segue::wire::packing::{Packing, Peer};

use crate::input::{Input, pieces};

const ALGORITHMS: [Algorithm; 3] =
    [Algorithm::Zlib, Algorithm::Zstd { level: 1 }, Algorithm::Zstd { level: 19 }];

/// Bytes of each packet, all bytes, and what ended the reading early.
type Read = (Vec<usize>, BytesMut, Option<PacketFault>);

fn read(algorithm: Algorithm, peer: Peer, stream: &[u8], cuts: &[u8]) -> Read {
    let mut packing = Packing::new(algorithm, peer, BytesMut::new());
    packing.begin(false);
    let (mut lengths, mut out) = (vec![], BytesMut::new());
    for piece in pieces(stream, cuts) {
        packing.raw.extend_from_slice(piece);
        loop {
            match packing.take(&mut out) {
                Ok(Some(length)) => lengths.push(length),
                Ok(None) => break,
                Err(fault) => return (lengths, out, Some(fault)),
            }
        }
    }
    (lengths, out, None)
}

/// What the headers say.
fn announced(stream: &[u8]) -> Vec<usize> {
    let mut lengths = vec![];
    let mut rest = stream;
    while let Some(header) = Header::parse(rest) {
        lengths.push(if header.plain > 0 { header.plain } else { header.content });
        rest = rest.get(HEADER_BYTES + header.content..).unwrap_or_default();
    }
    lengths
}

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let algorithm = input.pick(&ALGORITHMS);
    let peer = input.pick(&[Peer::Client, Peer::Server]);
    let cuts = input.chunk();
    let stream = input.rest();
    let expected = read(algorithm, peer, stream, &[]);
    assert_eq!(read(algorithm, peer, stream, cuts), expected);
    assert!(announced(stream).starts_with(&expected.0), "{:?}", expected.0);
    assert_eq!(expected.0.iter().sum::<usize>(), expected.1.len());
    // And the same bytes the other way.
    let mut sender = Packing::new(algorithm, Peer::Server, BytesMut::new());
    sender.begin(false);
    let packets: Vec<u8> = pieces(stream, cuts).into_iter().flat_map(|p| sender.put(p)).collect();
    let (_, out, fault) = read(algorithm, Peer::Client, &packets, cuts);
    assert_eq!((&out[..], fault), (stream, None));
}
