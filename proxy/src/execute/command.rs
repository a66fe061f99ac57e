//! The next command of a client: whole where it is small enough to be held, else its beginning.
//! Never here: carrying it out.

use std::borrow::Cow;

use bytes::BytesMut;

use super::Legs;
use super::failure::{SessionError, client_io, server_io};
use crate::wire::WireError;
use crate::wire::channel::payload_of;
use crate::wire::frame::{FRAME_PAYLOAD_MAX, FrameWalker, HEADER_BYTES, frame_length};

/// A command as the client sent it.
pub struct Command {
    /// Frames as they came, headers included; only the first of them where `rest` is there.
    pub frames: BytesMut,
    /// Stands where the rest of a large command has to be streamed from.
    pub rest: Option<FrameWalker>,
    pub code: u8,
}

impl Command {
    /// The payload, command byte included. Only for whole commands.
    pub fn payload(&self) -> Cow<'_, [u8]> {
        if let Some((header, rest)) = self.frames.split_first_chunk::<HEADER_BYTES>() {
            let length = frame_length(header);
            if length < FRAME_PAYLOAD_MAX && length == rest.len() {
                return rest.into();
            }
        }
        payload_of(&self.frames).into()
    }
}

impl Legs<'_> {
    /// Waits for the client's next command; commands of more than `whole_max` bytes come in pieces.
    /// Meanwhile everything that MySQL says unasked (it is going away) is passed on. `None`: a side
    /// has closed in between two commands.
    pub async fn command(&mut self, whole_max: usize) -> Result<Option<Command>, SessionError> {
        let mut walker = FrameWalker::default();
        let mut walked = 0;
        self.client.release();
        self.server.release();
        self.client.await_command();
        loop {
            let (used, packet) = walker.take(&self.client.buffered()[walked..]);
            walked += used;
            let ended = packet.is_some();
            let code = self.client.buffered().get(HEADER_BYTES).copied();
            if ended {
                // An empty command packet is malformed; the server may say so.
                let code = code.filter(|_| walked > HEADER_BYTES).unwrap_or(0);
                return Ok(Some(Command { frames: self.client.split(walked), rest: None, code }));
            }
            if walked > whole_max
                && let Some(code) = code
            {
                let frames = self.client.split(walked);
                return Ok(Some(Command { frames, rest: Some(walker), code }));
            }
            if !self.client_bytes(walked == 0).await? {
                return Ok(None);
            }
        }
    }

    /// Waits for bytes from the client; false where the connection ended between two commands.
    async fn client_bytes(&mut self, between: bool) -> Result<bool, SessionError> {
        loop {
            tokio::select! {
                biased;
                read = self.client.fill() => return match read.map_err(client_io)? {
                    0 if between => Ok(false),
                    0 => Err(SessionError::Client(WireError::Closed)),
                    _ => Ok(true),
                },
                read = self.server.fill() => {
                    if read.map_err(server_io)? == 0 {
                        return Ok(false);
                    }
                    let length = self.server.buffered().len();
                    self.client.pass(self.server, length).await.map_err(client_io)?;
                    self.server.consume(length);
                }
            }
        }
    }
}
