//! Packet framing: 3 bytes of length, 1 byte of sequence, and payloads that continue in the next frame
//! where a frame is full. Never here: what a payload means.
//!
//! See dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_packets.html.

pub const HEADER_BYTES: usize = 4;

/// A frame of this length is followed by another frame of the same packet.
pub const FRAME_PAYLOAD_MAX: usize = 0xff_ffff;

/// Bytes of a packet's start that the walker keeps: an OK packet's status flags and warnings end
/// at the latest at byte 23, and the numbers in an UPDATE's info text within 100 bytes more.
pub const HEAD_BYTES_MAX: usize = 128;

/// What is known of a packet that went by.
#[derive(Clone, Copy, Debug)]
pub struct PacketHead<'a> {
    /// The first bytes of the payload, at most [`HEAD_BYTES_MAX`].
    pub head: &'a [u8],
    /// Payload length over all frames, in bytes.
    pub length: u64,
    /// Sequence id of the last frame.
    pub sequence: u8,
}

impl PacketHead<'_> {
    pub fn first(&self) -> Option<u8> {
        self.head.first().copied()
    }
}

/// Finds packet boundaries in a byte stream that arrives in arbitrary pieces, without keeping it.
#[derive(Clone, Debug)]
pub struct FrameWalker {
    header: [u8; HEADER_BYTES],
    header_bytes: usize,
    /// Payload bytes of the current frame still to come.
    frame_left: usize,
    length: u64,
    head: [u8; HEAD_BYTES_MAX],
    head_bytes: usize,
    /// The packet that was returned last is to be forgotten at the next call.
    ended: bool,
}

impl Default for FrameWalker {
    fn default() -> Self {
        FrameWalker {
            header: [0; HEADER_BYTES],
            header_bytes: 0,
            frame_left: 0,
            length: 0,
            head: [0; HEAD_BYTES_MAX],
            head_bytes: 0,
            ended: false,
        }
    }
}

impl FrameWalker {
    /// Takes bytes up to the end of the current packet. Returns how many were taken and the packet if it
    /// ended there; without a packet all bytes were taken.
    pub fn take(&mut self, bytes: &[u8]) -> (usize, Option<PacketHead<'_>>) {
        if self.ended {
            *self = FrameWalker::default();
        }
        let mut used = 0;
        while used < bytes.len() {
            if self.header_bytes < HEADER_BYTES {
                let part = (HEADER_BYTES - self.header_bytes).min(bytes.len() - used);
                self.header[self.header_bytes..self.header_bytes + part]
                    .copy_from_slice(&bytes[used..used + part]);
                self.header_bytes += part;
                used += part;
                if self.header_bytes < HEADER_BYTES {
                    break;
                }
                self.frame_left = frame_length(&self.header);
                self.length += self.frame_left as u64;
            }
            let part = self.frame_left.min(bytes.len() - used);
            self.keep(&bytes[used..used + part]);
            used += part;
            self.frame_left -= part;
            if self.frame_left > 0 {
                break;
            }
            if frame_length(&self.header) < FRAME_PAYLOAD_MAX {
                self.ended = true;
                let packet = PacketHead {
                    head: &self.head[..self.head_bytes],
                    length: self.length,
                    sequence: self.header[3],
                };
                return (used, Some(packet));
            }
            self.header_bytes = 0;
        }
        (used, None)
    }

    /// Whether the walker stands between two packets.
    pub fn at_boundary(&self) -> bool {
        self.ended || (self.header_bytes == 0 && self.length == 0)
    }

    fn keep(&mut self, payload: &[u8]) {
        let part = payload.len().min(HEAD_BYTES_MAX - self.head_bytes);
        self.head[self.head_bytes..self.head_bytes + part].copy_from_slice(&payload[..part]);
        self.head_bytes += part;
    }
}

/// Payload length that a frame header announces.
pub fn frame_length(header: &[u8; HEADER_BYTES]) -> usize {
    u32::from_le_bytes([header[0], header[1], header[2], 0]) as usize
}

/// Appends a packet, split into frames. Returns the sequence id that follows it.
pub fn put_packet(out: &mut Vec<u8>, mut sequence: u8, payload: &[u8]) -> u8 {
    let mut rest = payload;
    loop {
        let part = rest.len().min(FRAME_PAYLOAD_MAX);
        out.extend_from_slice(&(part as u32).to_le_bytes()[..3]);
        out.push(sequence);
        out.extend_from_slice(&rest[..part]);
        sequence = sequence.wrapping_add(1);
        rest = &rest[part..];
        if part < FRAME_PAYLOAD_MAX {
            return sequence;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(stream: &[u8], piece: usize) -> Vec<(u64, u8, Vec<u8>)> {
        let mut walker = FrameWalker::default();
        let mut found = Vec::new();
        for chunk in stream.chunks(piece) {
            let mut rest = chunk;
            while !rest.is_empty() {
                let (used, packet) = walker.take(rest);
                if let Some(p) = packet {
                    found.push((p.length, p.sequence, p.head.to_vec()));
                } else {
                    assert_eq!(used, rest.len());
                }
                rest = &rest[used..];
            }
        }
        assert!(walker.at_boundary());
        found
    }

    #[test]
    fn packets_are_found_however_the_stream_is_cut() {
        let mut stream = Vec::new();
        let mut sequence = 1;
        for length in [0, 1, 31, 32, 33, 300] {
            sequence = put_packet(&mut stream, sequence, &vec![7; length]);
        }
        let whole = walk(&stream, stream.len());
        assert_eq!(whole.iter().map(|p| p.0).collect::<Vec<_>>(), [0, 1, 31, 32, 33, 300]);
        for piece in [1, 2, 3, 5, 64] {
            assert_eq!(walk(&stream, piece), whole);
        }
    }

    #[test]
    fn a_full_frame_continues_even_with_an_empty_one() {
        let mut stream = Vec::new();
        let next = put_packet(&mut stream, 0, &vec![9; FRAME_PAYLOAD_MAX]);
        assert_eq!(next, 2);
        put_packet(&mut stream, next, &[1, 2]);
        let found = walk(&stream, 100_000);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].0, FRAME_PAYLOAD_MAX as u64);
        assert_eq!(found[0].1, 1);
        assert_eq!(found[1].2, [1, 2]);
    }
}
