//! Packet boundaries in a stream: the same however it is cut, and the same as by simple reading.
//! Never here: what packets mean.

use segue::wire::channel::payload_of;
use segue::wire::frame::{
    FRAME_PAYLOAD_MAX, FrameWalker, HEAD_BYTES_MAX, HEADER_BYTES, frame_length, put_packet,
};

use crate::input::{Input, pieces};

const LONG_INPUT_BYTES_MAX: usize = 12;

/// Length, last sequence id and the first bytes.
type Found = Vec<(u64, u8, Vec<u8>)>;

fn walked(stream: &[u8], cuts: &[u8]) -> (Found, bool) {
    let mut walker = FrameWalker::default();
    let mut found = Found::new();
    for piece in pieces(stream, cuts) {
        let mut rest = piece;
        while !rest.is_empty() {
            let (used, packet) = walker.take(rest);
            assert!(used > 0 && used <= rest.len(), "{used} of {}", rest.len());
            match packet {
                Some(packet) => {
                    found.push((packet.length, packet.sequence, packet.head.to_vec()));
                }
                None => assert_eq!(used, rest.len()),
            }
            rest = &rest[used..];
        }
    }
    (found, walker.at_boundary())
}

/// The same in the simplest way.
fn read(stream: &[u8]) -> (Found, bool) {
    let mut found = Found::new();
    let mut packet: (u64, Vec<u8>) = (0, Vec::new());
    let mut between = true;
    let mut rest = stream;
    while let Some((header, after)) = rest.split_first_chunk::<HEADER_BYTES>() {
        between = false;
        let length = frame_length(header);
        packet.0 += length as u64;
        let Some((payload, after)) = after.split_at_checked(length) else {
            return (found, false);
        };
        packet.1.extend_from_slice(payload);
        if length < FRAME_PAYLOAD_MAX {
            packet.1.truncate(HEAD_BYTES_MAX);
            found.push((packet.0, header[3], std::mem::take(&mut packet.1)));
            packet.0 = 0;
            between = true;
        }
        rest = after;
    }
    (found, between && rest.is_empty())
}

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let cuts = input.chunk();
    // Frames that are full cost milliseconds: only the shortest inputs may ask for one.
    let mut long = Vec::new();
    let stream = if cuts == [255] && data.len() < LONG_INPUT_BYTES_MAX {
        let length = FRAME_PAYLOAD_MAX - 2 + usize::from(input.byte() % 5);
        put_packet(&mut long, input.byte(), &vec![input.byte(); length]);
        long.extend_from_slice(input.rest());
        &long
    } else {
        input.rest()
    };
    let expected = read(stream);
    assert_eq!(walked(stream, &[]), expected);
    assert_eq!(walked(stream, cuts), expected);
    let payload = payload_of(stream);
    assert!(payload.len() <= stream.len());
    let mut framed = Vec::new();
    put_packet(&mut framed, 7, &payload);
    assert_eq!(payload_of(&framed), payload);
}
