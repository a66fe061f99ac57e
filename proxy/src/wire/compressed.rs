//! One packet of the compressed protocol: a header of 7 bytes, then bytes of ordinary packets, compressed or,
//! where that does not pay, as they are. Never here: which packet comes next, or connections.
//!
//! See dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_compression_packet.html.

use bytes::BytesMut;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::get_frame_content_size;

use super::capability::{COMPRESS, Capabilities, ZSTD_COMPRESSION};

/// Length of what follows, the packet's number, and the length before compression.
pub const HEADER_BYTES: usize = 7;

/// Most bytes of a packet, compressed and not: lengths have three bytes.
pub const CONTENT_MAX: usize = 0xff_ffff;

/// Where the number stands.
pub const NUMBER_AT: usize = 3;

/// Fewer bytes are sent as they are, by servers and clients alike.
const WORTHWHILE_BYTES_MIN: usize = 50;

/// What both servers take.
const ZLIB_LEVEL: u32 = 6;

/// What clients take that name no level, and what it may be.
const ZSTD_LEVEL: u8 = 3;
const ZSTD_LEVELS: std::ops::RangeInclusive<u8> = 1..=22;

/// No stream of zlib becomes more than this many times its length.
const ZLIB_EXPANSION_MAX: usize = 1032;

/// What is wrong with a packet. Nothing that follows it on the connection can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PacketFault {
    #[error("compressed packets out of order")]
    OutOfOrder,
    #[error("a compressed packet does not hold what its header says")]
    Content,
}

impl PacketFault {
    /// The fault behind an error of reading, if it is one.
    pub fn of(error: &std::io::Error) -> Option<PacketFault> {
        error.get_ref()?.downcast_ref().copied()
    }
}

impl From<PacketFault> for std::io::Error {
    fn from(fault: PacketFault) -> Self {
        std::io::Error::new(std::io::ErrorKind::InvalidData, fault)
    }
}

/// How a connection's packets are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    Zlib,
    Zstd { level: u8 },
}

impl Algorithm {
    /// What client and server have agreed on; zlib goes first where both can do both.
    pub fn agreed(capabilities: Capabilities, zstd_level: Option<u8>) -> Option<Algorithm> {
        if capabilities & COMPRESS != 0 {
            return Some(Algorithm::Zlib);
        }
        let level = zstd_level.filter(|level| ZSTD_LEVELS.contains(level)).unwrap_or(ZSTD_LEVEL);
        (capabilities & ZSTD_COMPRESSION != 0).then_some(Algorithm::Zstd { level })
    }
}

/// A packet's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Bytes that follow.
    pub content: usize,
    pub number: u8,
    /// Bytes before compression; 0: they follow as they are.
    pub plain: usize,
}

impl Header {
    /// `None`: not all of it is there.
    pub fn parse(bytes: &[u8]) -> Option<Header> {
        let &[a, b, c, number, x, y, z] = bytes.first_chunk::<HEADER_BYTES>()?;
        let length = |low, middle, high| u32::from_le_bytes([low, middle, high, 0]) as usize;
        Some(Header { content: length(a, b, c), number, plain: length(x, y, z) })
    }

    fn write(self) -> [u8; HEADER_BYTES] {
        let [a, b, c, _] = (self.content as u32).to_le_bytes();
        let [x, y, z, _] = (self.plain as u32).to_le_bytes();
        [a, b, c, self.number, x, y, z]
    }
}

enum Packer {
    Zlib(Compress),
    Zstd(Compressor<'static>),
}

enum Unpacker {
    Zlib(Decompress),
    Zstd(Decompressor<'static>),
}

/// Compresses and decompresses one packet at a time. What that takes in memory is kept until
/// [`Codec::release`].
pub struct Codec {
    algorithm: Algorithm,
    packer: Option<Packer>,
    unpacker: Option<Unpacker>,
}

impl Codec {
    pub fn new(algorithm: Algorithm) -> Codec {
        Codec { algorithm, packer: None, unpacker: None }
    }

    pub fn release(&mut self) {
        self.packer = None;
        self.unpacker = None;
    }

    /// The packet of at most [`CONTENT_MAX`] plain bytes.
    pub fn pack(&mut self, number: u8, plain: &[u8]) -> Vec<u8> {
        let mut packet = vec![0; HEADER_BYTES];
        let mut header = Header { content: plain.len(), number, plain: 0 };
        if plain.len() >= WORTHWHILE_BYTES_MIN {
            packet.resize(HEADER_BYTES + plain.len(), 0);
            if let Some(content) = self.compress(plain, &mut packet[HEADER_BYTES..]) {
                packet.truncate(HEADER_BYTES + content);
                header = Header { content, number, plain: plain.len() };
            } else {
                packet.truncate(HEADER_BYTES);
            }
        }
        if header.plain == 0 {
            packet.extend_from_slice(plain);
        }
        packet[..HEADER_BYTES].copy_from_slice(&header.write());
        packet
    }

    /// Appends what a packet holds. It is exactly as much as its header says.
    pub fn unpack(
        &mut self,
        header: Header,
        content: &[u8],
        out: &mut BytesMut,
    ) -> Result<(), PacketFault> {
        if header.plain == 0 {
            out.extend_from_slice(content);
            return Ok(());
        }
        if !self.may_hold(header.plain, content) {
            return Err(PacketFault::Content);
        }
        let before = out.len();
        out.resize(before + header.plain, 0);
        let done = self.decompress(content, &mut out[before..]);
        if done.is_none() {
            out.truncate(before);
        }
        done.ok_or(PacketFault::Content)
    }

    /// Whether the content may become so many bytes; found out before there is room for them.
    fn may_hold(&self, plain: usize, content: &[u8]) -> bool {
        match self.algorithm {
            Algorithm::Zlib => plain <= content.len().saturating_mul(ZLIB_EXPANSION_MAX),
            // Frames need not say how much they hold, but servers' and clients' do.
            Algorithm::Zstd { .. } => get_frame_content_size(content)
                .is_ok_and(|told| told.is_none_or(|told| told <= plain as u64)),
        }
    }

    /// The length of the result; `None` where it would not fit into `out`.
    fn compress(&mut self, plain: &[u8], out: &mut [u8]) -> Option<usize> {
        if self.packer.is_none() {
            self.packer = Some(match self.algorithm {
                Algorithm::Zlib => Packer::Zlib(Compress::new(Compression::new(ZLIB_LEVEL), true)),
                Algorithm::Zstd { level } => Packer::Zstd(Compressor::new(i32::from(level)).ok()?),
            });
        }
        match self.packer.as_mut()? {
            Packer::Zlib(zlib) => {
                zlib.reset();
                let status = zlib.compress(plain, out, FlushCompress::Finish);
                let length = usize::try_from(zlib.total_out()).ok()?;
                matches!(status, Ok(Status::StreamEnd)).then_some(length)
            }
            Packer::Zstd(zstd) => zstd.compress_to_buffer(plain, out).ok(),
        }
    }

    /// `None` unless the content is whole, and fills `out`.
    fn decompress(&mut self, content: &[u8], out: &mut [u8]) -> Option<()> {
        if self.unpacker.is_none() {
            self.unpacker = Some(match self.algorithm {
                Algorithm::Zlib => Unpacker::Zlib(Decompress::new(true)),
                Algorithm::Zstd { .. } => Unpacker::Zstd(Decompressor::new().ok()?),
            });
        }
        let length = out.len();
        let filled = match self.unpacker.as_mut()? {
            Unpacker::Zlib(zlib) => {
                zlib.reset(true);
                let status = zlib.decompress(content, out, FlushDecompress::Finish);
                let length = usize::try_from(zlib.total_out()).ok()?;
                matches!(status, Ok(Status::StreamEnd)).then_some(length)?
            }
            Unpacker::Zstd(zstd) => zstd.decompress_to_buffer(content, out).ok()?,
        };
        (filled == length).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALGORITHMS: [Algorithm; 3] =
        [Algorithm::Zlib, Algorithm::Zstd { level: 1 }, Algorithm::Zstd { level: 22 }];

    fn unpacked(algorithm: Algorithm, packet: &[u8]) -> Result<Vec<u8>, PacketFault> {
        let header = Header::parse(packet).unwrap();
        let mut out = BytesMut::new();
        let content = &packet[HEADER_BYTES..];
        Codec::new(algorithm).unpack(header, content, &mut out)?;
        Ok(out.to_vec())
    }

    /// The example of MySQL's documentation.
    #[test]
    fn a_documented_packet_is_read() {
        let packet = b"\x22\x00\x00\x00\x32\x00\x00\x78\x9c\xd3\x63\x60\x60\x60\x2e\x4e\xcd\x49\x4d\
            \x2e\x51\x50\x32\x30\x34\x32\x36\x31\x35\x33\xb7\xb0\xc4\xcd\x52\x02\x00\x0c\xd1\x0a\x6c";
        let plain = unpacked(Algorithm::Zlib, packet).unwrap();
        assert_eq!(plain, b"\x2e\0\0\0\x03select \"012345678901234567890123456789012345\"");
    }

    #[test]
    fn little_and_incompressible_bytes_are_sent_as_they_are() {
        let mut state = 0x9e37_79b9_u32;
        let noise = std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state.to_le_bytes()
        });
        let noise: Vec<u8> = noise.take(100).flatten().collect();
        for algorithm in ALGORITHMS {
            for plain in [&b"\x01\0\0\0\x0e"[..], &[7; 49], &noise] {
                let packet = Codec::new(algorithm).pack(9, plain);
                let header = Header { content: plain.len(), number: 9, plain: 0 };
                assert_eq!(Header::parse(&packet), Some(header), "{algorithm:?}");
                assert_eq!(&packet[HEADER_BYTES..], plain);
            }
        }
    }

    #[test]
    fn a_lying_header_is_a_fault_and_leaves_nothing() {
        for algorithm in ALGORITHMS {
            let packet = Codec::new(algorithm).pack(0, &[7; 1_000]);
            let header = Header::parse(&packet).unwrap();
            assert_eq!(header.plain, 1_000);
            for plain in [1, 999, 1_001, 60_000, CONTENT_MAX] {
                let lying = Header { plain, ..header };
                let mut out = BytesMut::from(&b"before"[..]);
                let fault = Codec::new(algorithm).unpack(lying, &packet[HEADER_BYTES..], &mut out);
                assert_eq!(fault, Err(PacketFault::Content), "{algorithm:?} {plain}");
                assert_eq!(&out[..], b"before");
            }
            let cut = &packet[HEADER_BYTES..packet.len() - 1];
            let fault = Codec::new(algorithm).unpack(header, cut, &mut BytesMut::new());
            assert_eq!(fault, Err(PacketFault::Content), "{algorithm:?}");
        }
    }

    #[test]
    fn zlib_goes_first_and_levels_are_kept_to() {
        let both = COMPRESS | ZSTD_COMPRESSION;
        assert_eq!(Algorithm::agreed(both, Some(7)), Some(Algorithm::Zlib));
        let zstd = |level| Algorithm::agreed(ZSTD_COMPRESSION, level);
        assert_eq!(zstd(Some(7)), Some(Algorithm::Zstd { level: 7 }));
        assert_eq!(zstd(Some(23)), Some(Algorithm::Zstd { level: 3 }));
        assert_eq!(zstd(None), Some(Algorithm::Zstd { level: 3 }));
        assert_eq!(Algorithm::agreed(0, Some(7)), None);
    }

    proptest! {
        #[test]
        fn packets_round_trip(
            plain in proptest::collection::vec(0_u8..4, 0..5_000), number: u8, which in 0..3_usize,
        ) {
            let packet = Codec::new(ALGORITHMS[which]).pack(number, &plain);
            prop_assert!(packet.len() <= HEADER_BYTES + plain.len());
            prop_assert_eq!(Header::parse(&packet).unwrap().number, number);
            prop_assert_eq!(unpacked(ALGORITHMS[which], &packet).unwrap(), plain);
        }
    }
}
