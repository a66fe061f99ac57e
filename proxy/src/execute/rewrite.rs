//! Answers that Segue takes in hand: its own statements' answers, answers held back until a COMMIT, and
//! answers that become one part of a larger one. Never here: why one is taken in hand.

use segue_config::limits;

use super::Legs;
use super::failure::{SessionError, client_io, server_io};
use crate::wire::WireError;
use crate::wire::capability::Capabilities;
use crate::wire::channel::payload_of;
use crate::wire::command::AnswerShape;
use crate::wire::frame::{FrameWalker, HEAD_BYTES_MAX, HEADER_BYTES, PacketHead, put_packet};
use crate::wire::query;
use crate::wire::response::{EOF, ERR, NEW_EOF_BYTES_MIN, OkPacket};
use crate::wire::rows::{TextRow, parse_text_row};
use crate::wire::scan::{Next, Scanner, Seen};
use crate::wire::status::StatusFlags;

/// The answer to a statement of Segue's own.
#[derive(Debug, Default)]
pub struct OwnAnswer {
    pub seen: Seen,
    pub rows: Vec<TextRow>,
    /// Payload of the ERR packet.
    pub error: Option<Vec<u8>>,
    /// There were more rows than are kept.
    pub overflow: bool,
}

/// A whole answer in memory, framed.
#[derive(Debug, Default)]
pub struct HeldAnswer {
    pub frames: Vec<u8>,
    pub seen: Seen,
}

/// Where the packets of a part stand in the whole answer.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// Sequence id of the next packet to the client.
    pub sequence: u8,
    /// Set and cleared in every status of the part.
    pub set: StatusFlags,
    pub clear: StatusFlags,
}

impl Legs<'_> {
    /// Runs a statement of Segue's own on the application's connection; nothing reaches the client.
    pub async fn own(
        &mut self,
        sql: &str,
        capabilities: Capabilities,
    ) -> Result<OwnAnswer, SessionError> {
        self.server.command_packet(&query::write(sql, capabilities)).await.map_err(server_io)?;
        let mut scanner = Scanner::new(AnswerShape::Results, capabilities);
        let mut answer = OwnAnswer::default();
        let mut bytes = 0;
        while !scanner.is_done() {
            let packet = self
                .server
                .packet(limits::OWN_ANSWER_BYTES_MAX)
                .await
                .map_err(SessionError::Server)?;
            let payload = packet.payload;
            let is_row = scanner.expects_row();
            let statuses = scanner.seen.statuses;
            let head = PacketHead {
                head: &payload[..payload.len().min(HEAD_BYTES_MAX)],
                length: payload.len() as u64,
                sequence: packet.sequence,
            };
            scanner.packet(head).map_err(SessionError::Server)?;
            bytes += payload.len();
            if scanner.seen.error.is_some() {
                answer.error = Some(payload);
            } else if is_row && scanner.seen.statuses == statuses {
                answer.overflow |= bytes > limits::OWN_ANSWER_BYTES_MAX
                    || answer.rows.len() >= limits::DIRTY_KEYS_PER_TRANSACTION_MAX;
                if !answer.overflow {
                    answer.rows.push(parse_text_row(&payload).map_err(SessionError::Server)?);
                }
            }
        }
        answer.seen = scanner.seen;
        Ok(answer)
    }

    /// Takes a whole answer into memory. An answer that is too large is an error: only answers to writes
    /// are held.
    pub async fn hold(&mut self, capabilities: Capabilities) -> Result<HeldAnswer, SessionError> {
        let mut scanner = Scanner::new(AnswerShape::Results, capabilities);
        let mut walker = FrameWalker::default();
        let mut frames = Vec::new();
        while !scanner.is_done() {
            if self.server.buffered().is_empty() {
                self.server_bytes().await?;
            }
            let (used, packet) = walker.take(self.server.buffered());
            if let Some(packet) = packet
                && scanner.packet(packet).map_err(SessionError::Server)? == Next::Client
            {
                return Err(SessionError::Server(WireError::Malformed("file request to a write")));
            }
            frames.extend_from_slice(&self.server.buffered()[..used]);
            self.server.consume(used);
            if frames.len() > limits::OWN_ANSWER_BYTES_MAX {
                return Err(SessionError::Server(WireError::TooLarge(
                    limits::OWN_ANSWER_BYTES_MAX,
                )));
            }
        }
        Ok(HeldAnswer { frames, seen: scanner.seen })
    }

    /// Streams MySQL's answer as a part of a larger one. Returns the sequence id that follows.
    pub async fn part(&mut self, scanner: &mut Scanner, part: Part) -> Result<u8, SessionError> {
        let mut rewriter = Rewriter { part, walker: FrameWalker::default() };
        let mut out = Vec::new();
        while !scanner.is_done() {
            self.server.fill_to(HEADER_BYTES).await.map_err(SessionError::Server)?;
            let mut at = 0;
            out.clear();
            while !scanner.is_done()
                && let Some(length) = whole_frame(&self.server.buffered()[at..])
            {
                out.extend_from_slice(&self.server.buffered()[at..at + length]);
                let begin = out.len() - length;
                rewriter.frame(&mut out[begin..], scanner)?;
                at += length;
            }
            self.server.consume(at);
            self.client.send(&out).await.map_err(client_io)?;
            rewriter.part.sequence = self.client.flushed(rewriter.part.sequence);
            if at == 0 {
                self.server_bytes().await?;
            }
        }
        Ok(rewriter.part.sequence)
    }
}

/// Bytes of the first frame, if all of it is there.
fn whole_frame(bytes: &[u8]) -> Option<usize> {
    let header = bytes.first_chunk::<HEADER_BYTES>()?;
    let length = HEADER_BYTES + crate::wire::frame::frame_length(header);
    (bytes.len() >= length).then_some(length)
}

struct Rewriter {
    part: Part,
    walker: FrameWalker,
}

impl Rewriter {
    /// Renumbers one whole frame and rewrites its status, if it has one.
    fn frame(&mut self, frame: &mut [u8], scanner: &mut Scanner) -> Result<(), SessionError> {
        let statuses = scanner.seen.statuses;
        if let (_, Some(packet)) = self.walker.take(frame) {
            scanner.packet(packet).map_err(SessionError::Server)?;
        }
        frame[3] = self.part.sequence;
        self.part.sequence = self.part.sequence.wrapping_add(1);
        if scanner.seen.statuses > statuses {
            rewrite_status(&mut frame[HEADER_BYTES..], self.part.set, self.part.clear)?;
        }
        Ok(())
    }
}

fn rewrite_status(
    payload: &mut [u8],
    set: StatusFlags,
    clear: StatusFlags,
) -> Result<(), SessionError> {
    // An old EOF packet has warnings first; a new one is laid out as an OK packet.
    let is_old = (payload.len() as u64) < NEW_EOF_BYTES_MIN;
    let at = if payload.first() == Some(&EOF) && is_old {
        3
    } else {
        OkPacket::status_at(payload).map_err(SessionError::Server)?
    };
    if let Some(place) = payload[at..].first_chunk_mut::<2>() {
        *place = ((u16::from_le_bytes(*place) | set) & !clear).to_le_bytes();
    }
    Ok(())
}

impl HeldAnswer {
    /// Puts another value into the only row of an answer of one column in the text protocol: the last
    /// packet but one. Values of up to 250 bytes.
    pub fn replace_only_value(&mut self, value: &[u8]) {
        let (mut row, mut last) = (0..0, 0..0);
        while let Some(length) = whole_frame(&self.frames[last.end..]) {
            let next = last.end..last.end + length;
            row = std::mem::replace(&mut last, next);
        }
        let Ok(length) = u8::try_from(value.len()) else { return };
        if row.len() > HEADER_BYTES {
            let mut framed = Vec::new();
            put_packet(&mut framed, self.frames[row.start + 3], &[&[length], value].concat());
            self.frames.splice(row, framed);
        }
    }

    /// The answer's payload, if it is one ERR packet.
    pub fn error(&self) -> Option<Vec<u8>> {
        let payload = payload_of(&self.frames);
        (self.seen.error.is_some() && payload.first() == Some(&ERR)).then_some(payload)
    }

    /// Renumbers the answer and rewrites its statuses. Returns the sequence id that follows.
    pub fn rewrite(&mut self, capabilities: Capabilities, part: Part) -> Result<u8, SessionError> {
        let mut scanner = Scanner::new(AnswerShape::Results, capabilities);
        let mut rewriter = Rewriter { part, walker: FrameWalker::default() };
        let mut at = 0;
        while let Some(length) = whole_frame(&self.frames[at..]) {
            rewriter.frame(&mut self.frames[at..at + length], &mut scanner)?;
            at += length;
        }
        Ok(rewriter.part.sequence)
    }

    /// An answer that is one packet.
    pub fn of_packet(payload: &[u8]) -> HeldAnswer {
        let mut frames = Vec::new();
        put_packet(&mut frames, 1, payload);
        HeldAnswer { frames, seen: Seen::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::status::{AUTOCOMMIT, IN_TRANS};

    #[test]
    fn a_held_answer_looks_as_if_it_had_not_been_wrapped() {
        let ok = OkPacket { affected_rows: 1, insert_id: 9, status: IN_TRANS, warnings: 0 };
        let mut held = HeldAnswer::of_packet(&ok.write());
        let part = Part { sequence: 4, set: AUTOCOMMIT, clear: IN_TRANS };
        assert_eq!(held.rewrite(0, part).unwrap(), 5);
        assert_eq!(held.frames[3], 4);
        let rewritten = OkPacket::parse(&payload_of(&held.frames)).unwrap();
        assert_eq!(rewritten, OkPacket { status: AUTOCOMMIT, ..ok });
    }

    #[test]
    fn the_old_eof_packet_has_its_status_behind_the_warnings() {
        let mut eof = [EOF, 7, 0, 1, 0];
        rewrite_status(&mut eof, AUTOCOMMIT, IN_TRANS).unwrap();
        assert_eq!(eof, [EOF, 7, 0, 2, 0]);
    }
}
