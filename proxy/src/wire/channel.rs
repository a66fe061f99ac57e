//! One leg of a connection: a transport with a bounded read buffer, in bytes and in packets.
//! Never here: what a packet means.

use std::future::poll_fn;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};

use super::WireError;
use super::frame::{FRAME_PAYLOAD_MAX, HEADER_BYTES, frame_length, put_packet};
use super::transport::Transport;

/// A whole packet; used where packets are small (login, answers to Segue's own statements).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Sequence id of its last frame.
    pub sequence: u8,
    pub payload: Vec<u8>,
}

pub struct Channel {
    transport: Transport,
    buffer: BytesMut,
    /// Bytes asked for in one read.
    chunk_bytes: usize,
    /// The last read filled all the room it had.
    bulk: bool,
}

/// Room of a read that waits; a full one is followed by reads of the whole chunk.
const SMALL_READ_BYTES: usize = 8 * 1024;

impl Channel {
    pub fn new(transport: Transport, chunk_bytes: usize) -> Self {
        Channel { transport, buffer: BytesMut::new(), chunk_bytes, bulk: false }
    }

    pub fn is_tls(&self) -> bool {
        self.transport.is_tls()
    }

    /// The server's name that a client asked for when it began TLS.
    pub fn server_name(&self) -> Option<&str> {
        self.transport.server_name()
    }

    /// Gives the transport back, for a TLS handshake. Fails where bytes were already read ahead: they
    /// would belong to the handshake (or were injected before it).
    pub fn into_transport(self) -> Result<Transport, WireError> {
        if self.buffer.is_empty() {
            Ok(self.transport)
        } else {
            Err(WireError::Malformed("bytes before the TLS handshake"))
        }
    }

    /// Gives both, for the time after the command phase.
    pub fn into_parts(self) -> (Transport, BytesMut) {
        (self.transport, self.buffer)
    }

    /// What has been read and not yet consumed.
    pub fn buffered(&self) -> &[u8] {
        &self.buffer
    }

    pub fn consume(&mut self, count: usize) {
        self.buffer.advance(count);
    }

    /// Takes the first `count` buffered bytes.
    pub fn split(&mut self, count: usize) -> BytesMut {
        self.buffer.split_to(count)
    }

    /// Gives the room of an empty buffer back; for waits of unknown length.
    pub fn release(&mut self) {
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
            self.bulk = false;
        }
    }

    /// Reads once; 0 means that the other side closed. Cancel safe.
    ///
    /// Thousands of clients wait most of the time, so no room is held for what may come: small answers
    /// go over the stack, and only bulk gets a buffer of its own to be read into.
    pub async fn fill(&mut self) -> std::io::Result<usize> {
        if self.bulk {
            self.buffer.reserve(self.chunk_bytes);
            return self.transport.read_buf(&mut self.buffer).await;
        }
        poll_fn(|context| self.poll_small(context)).await
    }

    fn poll_small(&mut self, context: &mut Context<'_>) -> Poll<std::io::Result<usize>> {
        let mut space = [const { MaybeUninit::uninit() }; SMALL_READ_BYTES];
        let room = space.len().min(self.chunk_bytes);
        let mut read = ReadBuf::uninit(&mut space[..room]);
        ready!(Pin::new(&mut self.transport).poll_read(context, &mut read))?;
        let bytes = read.filled();
        self.buffer.extend_from_slice(bytes);
        self.bulk = bytes.len() == room;
        Poll::Ready(Ok(bytes.len()))
    }

    /// Reads until `count` bytes are buffered.
    pub async fn fill_to(&mut self, count: usize) -> Result<(), WireError> {
        while self.buffer.len() < count {
            if self.fill().await? == 0 {
                return Err(WireError::Closed);
            }
        }
        Ok(())
    }

    /// Waits until this leg ends while nothing is read from it, as before the greeting. Reads nothing.
    pub async fn gone(&self) {
        self.transport.gone().await;
    }

    /// Writes bytes and hands them to the network.
    pub async fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.transport.write_all(bytes).await?;
        self.transport.flush().await
    }

    pub async fn send_packet(&mut self, sequence: u8, payload: &[u8]) -> std::io::Result<()> {
        let mut framed = Vec::with_capacity(payload.len() + HEADER_BYTES);
        put_packet(&mut framed, sequence, payload);
        self.send(&framed).await
    }

    /// Reads one whole packet of at most `payload_max` bytes. Cancel safe: what has been read stays in the
    /// buffer until the packet is complete.
    pub async fn packet(&mut self, payload_max: usize) -> Result<Packet, WireError> {
        let mut payload_bytes = 0;
        let mut at = 0;
        loop {
            self.fill_to(at + HEADER_BYTES).await?;
            let mut header = [0; HEADER_BYTES];
            header.copy_from_slice(&self.buffer[at..at + HEADER_BYTES]);
            let length = frame_length(&header);
            payload_bytes += length;
            if payload_bytes > payload_max {
                return Err(WireError::TooLarge(payload_max));
            }
            at += HEADER_BYTES + length;
            self.fill_to(at).await?;
            if length < FRAME_PAYLOAD_MAX {
                let payload = payload_of(&self.buffer[..at]);
                self.buffer.advance(at);
                return Ok(Packet { sequence: header[3], payload });
            }
        }
    }

    /// Reads one single-frame packet and not a byte more, so that a TLS handshake may follow.
    pub async fn packet_exact(&mut self, payload_max: usize) -> Result<Packet, WireError> {
        let mut header = [0; HEADER_BYTES];
        self.exact(&mut header).await?;
        let length = frame_length(&header);
        if length > payload_max {
            return Err(WireError::TooLarge(payload_max));
        }
        let mut payload = vec![0; length];
        self.exact(&mut payload).await?;
        Ok(Packet { sequence: header[3], payload })
    }

    async fn exact(&mut self, bytes: &mut [u8]) -> Result<(), WireError> {
        match self.transport.read_exact(bytes).await {
            Ok(_) => Ok(()),
            Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => Err(WireError::Closed),
            Err(e) => Err(e.into()),
        }
    }

    /// Tells the other side that nothing more comes (TLS close_notify, TCP FIN). Errors do not matter.
    pub async fn shutdown(&mut self) {
        let _ = self.transport.shutdown().await;
    }
}

/// Joins the frames of one complete packet into its payload.
pub fn payload_of(frames: &[u8]) -> Vec<u8> {
    let mut payload = Vec::with_capacity(frames.len().saturating_sub(HEADER_BYTES));
    let mut rest = frames;
    while let Some((header, after)) = rest.split_first_chunk::<HEADER_BYTES>() {
        let length = frame_length(header).min(after.len());
        payload.extend_from_slice(&after[..length]);
        rest = &after[length..];
    }
    payload
}
