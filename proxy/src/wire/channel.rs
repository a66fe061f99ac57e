//! One leg of a connection: a transport with a bounded read buffer, in bytes and in packets.
//! Never here: what a packet means.

use std::future::poll_fn;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};

use super::WireError;
use super::compressed::{Algorithm, CONTENT_MAX};
use super::frame::{FRAME_PAYLOAD_MAX, HEADER_BYTES, frame_length, put_packet};
use super::packing::{Packing, Peer};
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
    /// In the compressed protocol only.
    packing: Option<Box<Packing>>,
}

/// Room of a read that waits; a full one is followed by reads of the whole chunk.
const SMALL_READ_BYTES: usize = 8 * 1024;

impl Channel {
    pub fn new(transport: Transport, chunk_bytes: usize) -> Self {
        Channel { transport, buffer: BytesMut::new(), chunk_bytes, bulk: false, packing: None }
    }

    /// From here on both directions are compressed: the login is over.
    pub fn compress(&mut self, algorithm: Algorithm, peer: Peer) {
        let ahead = std::mem::take(&mut self.buffer);
        self.packing = Some(Box::new(Packing::new(algorithm, peer, ahead)));
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

    /// Gives both, for the time after the command phase: what was read and not yet unpacked, if packets are
    /// compressed.
    pub fn into_parts(self) -> (Transport, BytesMut) {
        (self.transport, self.packing.map_or(self.buffer, |packing| packing.raw))
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
        if let Some(packing) = &mut self.packing {
            packing.release();
        }
    }

    /// The other side's next command is awaited.
    pub fn await_command(&mut self) {
        if let Some(packing) = &mut self.packing {
            packing.begin(!self.buffer.is_empty());
        }
    }

    /// Reads once; 0 means that the other side closed. Cancel safe.
    ///
    /// Thousands of clients wait most of the time, so no room is held for what may come: small answers
    /// go over the stack, and only bulk gets a buffer of its own to be read into.
    pub async fn fill(&mut self) -> std::io::Result<usize> {
        if self.packing.is_some() {
            // Boxed: other connections would carry its room along.
            return Box::pin(self.fill_packed()).await;
        }
        if self.bulk {
            self.buffer.reserve(self.chunk_bytes);
            return self.transport.read_buf(&mut self.buffer).await;
        }
        let Channel { transport, buffer, bulk, chunk_bytes, .. } = self;
        poll_fn(|context| poll_small(transport, buffer, bulk, *chunk_bytes, context)).await
    }

    /// Reads until one more compressed packet is there, and unpacks that one and no more: what a fill gave
    /// can go on in the packet that it came in.
    async fn fill_packed(&mut self) -> std::io::Result<usize> {
        let Channel { transport, buffer, packing, chunk_bytes, .. } = self;
        let Some(packing) = packing else { return Ok(0) };
        loop {
            match packing.take(buffer)? {
                Some(0) => continue,
                Some(count) => return Ok(count),
                None => {}
            }
            let Packing { raw, bulk, .. } = &mut **packing;
            let read = if *bulk {
                raw.reserve(*chunk_bytes);
                transport.read_buf(raw).await?
            } else {
                poll_fn(|context| poll_small(transport, raw, bulk, *chunk_bytes, context)).await?
            };
            if read == 0 {
                return Ok(0);
            }
        }
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
        if self.packing.is_some() {
            return Box::pin(self.send_packed(bytes)).await;
        }
        self.transport.write_all(bytes).await?;
        self.transport.flush().await
    }

    /// In as few compressed packets as can be.
    async fn send_packed(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let Some(packing) = &mut self.packing else { return Ok(()) };
        for part in bytes.chunks(CONTENT_MAX) {
            let packet = packing.put(part);
            self.transport.write_all(&packet).await?;
        }
        self.transport.flush().await
    }

    /// Sends the first `used` buffered bytes of another leg, which keeps them. Where they are what one
    /// compressed packet held, that goes on as it came: so its bounds stay, and nothing is compressed again.
    pub async fn pass(&mut self, from: &mut Channel, used: usize) -> std::io::Result<()> {
        if let (Some(own), Some(other)) = (&mut self.packing, &mut from.packing)
            && from.buffer.len() == used
            && let Some(packet) = own.put_as_it_came(other, used)
        {
            self.transport.write_all(packet).await?;
            return self.transport.flush().await;
        }
        self.send(&from.buffer[..used]).await
    }

    /// Passes on and consumes all that is buffered of another leg, in as many compressed packets as it came in:
    /// after it both legs count alike.
    pub async fn pass_all(&mut self, from: &mut Channel) -> std::io::Result<()> {
        while self.packets_behind(from) > 1 && from.buffer.len() > 1 {
            self.send(&from.buffer[..1]).await?;
            from.consume(1);
        }
        let length = from.buffer.len();
        self.pass(from, length).await?;
        from.consume(length);
        Ok(())
    }

    fn packets_behind(&self, other: &Channel) -> u8 {
        let number = |leg: &Channel| leg.packing.as_ref().map_or(0, |p| p.next_number());
        number(other).wrapping_sub(number(self))
    }

    /// Sends a command: whole, or its begin.
    pub async fn command(&mut self, frames: &[u8]) -> std::io::Result<()> {
        self.begin_command();
        self.send(frames).await
    }

    /// Sends a command that is one packet.
    pub async fn command_packet(&mut self, payload: &[u8]) -> std::io::Result<()> {
        self.begin_command();
        self.send_packet(0, payload).await
    }

    fn begin_command(&mut self) {
        if let Some(packing) = &mut self.packing {
            packing.begin(false);
        }
    }

    /// Sequence id of the next packet after something has been sent: `next`, but compressed packets and those
    /// inside them count alike after a flush.
    pub fn flushed(&self, next: u8) -> u8 {
        self.packing.as_ref().map_or(next, |packing| packing.next_number())
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

/// Reads once over the stack, and tells whether there may be more.
fn poll_small(
    transport: &mut Transport,
    buffer: &mut BytesMut,
    bulk: &mut bool,
    chunk_bytes: usize,
    context: &mut Context<'_>,
) -> Poll<std::io::Result<usize>> {
    let mut space = [const { MaybeUninit::uninit() }; SMALL_READ_BYTES];
    let room = space.len().min(chunk_bytes);
    let mut read = ReadBuf::uninit(&mut space[..room]);
    ready!(Pin::new(transport).poll_read(context, &mut read))?;
    let bytes = read.filled();
    buffer.extend_from_slice(bytes);
    *bulk = bytes.len() == room;
    Poll::Ready(Ok(bytes.len()))
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
