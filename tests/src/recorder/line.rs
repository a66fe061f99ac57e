//! A recorder's connection: bytes as they are or, after the login, in the compressed protocol, whose numbers and
//! lengths are held to as strictly as the servers' own client library holds to them.
//! Never here: the packets inside.

use std::io::Read;

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const HEADER_BYTES: usize = 7;
const CONTENT_BYTES_MAX: usize = 0xff_ffff;
const PLAIN_BYTES_MAX: usize = 49;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    Zlib,
    Zstd { level: u8 },
}

pub struct Line {
    socket: TcpStream,
    compression: Option<Compression>,
    /// Of the next compressed packet, in whatever direction.
    number: u8,
    /// Received and not yet read.
    received: Vec<u8>,
    read: usize,
    /// Compressed packets received of which bytes were in fact compressed.
    pub compressed: usize,
}

impl Line {
    pub fn new(socket: TcpStream) -> Line {
        Line { socket, compression: None, number: 0, received: vec![], read: 0, compressed: 0 }
    }

    /// The login is over.
    pub fn compress(&mut self, compression: Compression) {
        self.compression = Some(compression);
    }

    pub fn is_compressed(&self) -> bool {
        self.compression.is_some()
    }

    /// A command begins.
    pub fn begin(&mut self) {
        self.number = 0;
    }

    pub async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let Some(compression) = self.compression else {
            return self.socket.write_all(bytes).await.context("send");
        };
        for part in bytes.chunks(CONTENT_BYTES_MAX) {
            let (content, plain) = match part.len() {
                ..=PLAIN_BYTES_MAX => (part.to_vec(), 0),
                length => (compressed(compression, part)?, length),
            };
            let mut packet = content.len().to_le_bytes()[..3].to_vec();
            packet.push(self.number);
            packet.extend_from_slice(&plain.to_le_bytes()[..3]);
            packet.extend_from_slice(&content);
            self.number = self.number.wrapping_add(1);
            self.write_raw(&packet).await?;
        }
        Ok(())
    }

    /// Writes bytes to the network as they are.
    pub async fn write_raw(&mut self, bytes: &[u8]) -> Result<()> {
        self.socket.write_all(bytes).await.context("send")
    }

    pub async fn read_exact(&mut self, bytes: &mut [u8]) -> Result<()> {
        if self.compression.is_none() {
            self.socket.read_exact(bytes).await.context("receive")?;
            return Ok(());
        }
        let mut filled = 0;
        while filled < bytes.len() {
            if self.read == self.received.len() {
                self.receive().await?;
            }
            let part = (bytes.len() - filled).min(self.received.len() - self.read);
            bytes[filled..filled + part]
                .copy_from_slice(&self.received[self.read..self.read + part]);
            self.read += part;
            filled += part;
        }
        Ok(())
    }

    /// Reads what the network has, at most so many bytes.
    pub async fn read_raw(&mut self, bytes: &mut [u8]) -> Result<usize> {
        self.socket.read(bytes).await.context("receive")
    }

    async fn receive(&mut self) -> Result<()> {
        let mut header = [0; HEADER_BYTES];
        self.socket.read_exact(&mut header).await.context("receive a header")?;
        let [a, b, c, number, x, y, z] = header;
        ensure!(number == self.number, "packet {number} in place of {}", self.number);
        self.number = self.number.wrapping_add(1);
        let mut content = vec![0; u32::from_le_bytes([a, b, c, 0]) as usize];
        self.socket.read_exact(&mut content).await.context("receive a packet")?;
        let plain = u32::from_le_bytes([x, y, z, 0]) as usize;
        if let (Some(compression), true) = (self.compression, plain > 0) {
            self.compressed += 1;
            content = decompressed(compression, &content)?;
            ensure!(content.len() == plain, "{} bytes in place of {plain}", content.len());
        }
        (self.received, self.read) = (content, 0);
        Ok(())
    }
}

fn compressed(compression: Compression, plain: &[u8]) -> Result<Vec<u8>> {
    let mut bytes = vec![];
    match compression {
        Compression::Zlib => {
            let level = flate2::Compression::fast();
            flate2::read::ZlibEncoder::new(plain, level).read_to_end(&mut bytes)?;
        }
        Compression::Zstd { level } => bytes = zstd::bulk::compress(plain, i32::from(level))?,
    }
    Ok(bytes)
}

fn decompressed(compression: Compression, content: &[u8]) -> Result<Vec<u8>> {
    let mut bytes = vec![];
    match compression {
        Compression::Zlib => {
            flate2::read::ZlibDecoder::new(content).read_to_end(&mut bytes)?;
        }
        Compression::Zstd { .. } => bytes = zstd::bulk::decompress(content, CONTENT_BYTES_MAX)?,
    }
    Ok(bytes)
}
