//! Which packets make up the answer to a command: a state machine over packet heads.
//! Never here: bytes on a network; rows are never looked into.
//!
//! See dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query_response.html,
//! page_protocol_com_stmt_prepare.html and page_protocol_com_field_list.html.
//!
//! ```text
//! Results: First -> OK/ERR ------------------------------> Done (First again with MORE_RESULTS)
//!          First -> LOCAL INFILE -> (client sends) ------> First
//!          First -> columns -> [EOF] -> rows -> EOF/OK --> Done (First again with MORE_RESULTS)
//! Prepare: OK -> parameters [EOF] -> columns [EOF] ------> Done
//! ```

use super::WireError;
use super::capability::{self, Capabilities};
use super::command::AnswerShape;
use super::cursor::Cursor;
use super::frame::{FRAME_PAYLOAD_MAX, PacketHead};
use super::response::{self, ErrPacket, OkPacket, PrepareOk};
use super::status::{CURSOR_EXISTS, MORE_RESULTS_EXISTS, PS_OUT_PARAMS, StatusFlags};

/// What follows after a packet of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// More packets from the server.
    Server,
    /// The client sends its file, then the server goes on.
    Client,
    /// The answer is complete.
    Done,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    First,
    /// Column definitions of a result set.
    Columns {
        left: u64,
    },
    ColumnsEnd,
    Rows,
    PrepareFirst,
    /// Definitions of a prepared statement: those of parameters, then those of columns.
    Definitions {
        left: u64,
        then: u64,
    },
    DefinitionsEnd {
        then: u64,
    },
    Fields,
    Single,
    Done,
}

/// What a finished (or running) answer told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Status flags of the last OK or EOF packet.
    pub status: Option<StatusFlags>,
    /// The last OK packet that was a statement's own answer (not the end of rows).
    pub ok: Option<OkPacket>,
    /// Rows that the last statement, an UPDATE, found.
    pub matched: Option<u64>,
    /// Code of the error that ended the answer.
    pub error: Option<u16>,
    pub prepared: Option<PrepareOk>,
    /// Results in the answer so far, the error included.
    pub results: u32,
    /// Packets with status flags in the answer so far.
    pub statuses: u32,
}

/// Walks through one answer.
#[derive(Clone, Debug)]
pub struct Scanner {
    state: State,
    capabilities: Capabilities,
    /// The rows are OUT parameters: an OK packet always follows. MySQL 9.7 does not announce it at the end
    /// of the rows where the client gets EOF packets.
    out_parameters: bool,
    pub seen: Seen,
}

impl Scanner {
    pub fn new(shape: AnswerShape, capabilities: Capabilities) -> Self {
        let state = match shape {
            AnswerShape::Results => State::First,
            AnswerShape::Prepare => State::PrepareFirst,
            AnswerShape::Rows => State::Rows,
            AnswerShape::Fields => State::Fields,
            AnswerShape::Single => State::Single,
            AnswerShape::None | AnswerShape::Authentication | AnswerShape::Duplex => State::Done,
        };
        Scanner { state, capabilities, out_parameters: false, seen: Seen::default() }
    }

    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Whether the next packet is a row, or what ends the rows.
    pub fn expects_row(&self) -> bool {
        self.state == State::Rows
    }

    /// Takes the next packet of the answer.
    pub fn packet(&mut self, packet: PacketHead<'_>) -> Result<Next, WireError> {
        self.state = match self.state {
            State::First => match self.first(packet)? {
                Some(state) => state,
                None => return Ok(Next::Client),
            },
            State::Columns { left: 1 } => self.after_columns(),
            State::Columns { left } => State::Columns { left: left - 1 },
            State::ColumnsEnd if packet.first() == Some(response::ERR) => self.error(packet)?,
            State::ColumnsEnd => {
                let status = status_at_end(packet)?;
                self.status(status);
                self.out_parameters = status & PS_OUT_PARAMS != 0;
                // Within a routine the flag may be that of the routine's own cursor, and rows follow; there
                // is always another result, and never behind a cursor opened for the client.
                let opened = status & (CURSOR_EXISTS | MORE_RESULTS_EXISTS) == CURSOR_EXISTS;
                if opened { State::Done } else { State::Rows }
            }
            State::Rows => self.row(packet)?,
            State::PrepareFirst => self.prepared(packet)?,
            State::Definitions { left: 1, then } if self.has(capability::DEPRECATE_EOF) => {
                definitions(then, 0)
            }
            State::Definitions { left: 1, then } => State::DefinitionsEnd { then },
            State::Definitions { left, then } => State::Definitions { left: left - 1, then },
            State::DefinitionsEnd { then } => definitions(then, 0),
            State::Fields => self.field(packet)?,
            State::Single => self.single(packet),
            State::Done => return Err(WireError::Malformed("packet after the end of an answer")),
        };
        Ok(if self.state == State::Done { Next::Done } else { Next::Server })
    }

    fn has(&self, capability: Capabilities) -> bool {
        self.capabilities & capability != 0
    }

    /// `None`: a LOCAL INFILE request.
    fn first(&mut self, packet: PacketHead<'_>) -> Result<Option<State>, WireError> {
        match packet.first() {
            Some(response::OK) => {
                let ok = OkPacket::parse(packet.head)?;
                self.seen.ok = Some(ok);
                self.seen.matched =
                    OkPacket::matched(packet.head, self.has(capability::SESSION_TRACK));
                Ok(Some(self.result_ends(ok.status)))
            }
            Some(response::ERR) => Ok(Some(self.error(packet)?)),
            Some(response::LOCAL_INFILE) => Ok(None),
            // Seen from MariaDB for some statements of replication; carries only a status.
            Some(response::EOF) if packet.length < 9 => {
                Ok(Some(self.result_ends(status_at_end(packet)?)))
            }
            _ => {
                let mut cursor = Cursor::new(packet.head, "column count");
                let columns = cursor.length()?;
                let flagged =
                    capability::OPTIONAL_RESULTSET_METADATA | capability::MARIADB_CACHE_METADATA;
                let follows = !self.has(flagged) || cursor.is_empty() || cursor.u8()? != 0;
                Ok(Some(if follows && columns > 0 {
                    State::Columns { left: columns }
                } else {
                    self.after_columns()
                }))
            }
        }
    }

    fn after_columns(&self) -> State {
        if self.has(capability::DEPRECATE_EOF) { State::Rows } else { State::ColumnsEnd }
    }

    /// The status behind an 0xFE packet that ends rows or definitions, if this packet is one.
    fn end_of_rows(&self, packet: PacketHead<'_>) -> Result<Option<StatusFlags>, WireError> {
        if packet.first() != Some(response::EOF) {
            return Ok(None);
        }
        if self.has(capability::DEPRECATE_EOF) {
            // A row may start with 0xFE as well, but only if its first value fills a frame.
            if packet.length >= FRAME_PAYLOAD_MAX as u64 {
                return Ok(None);
            }
        } else if packet.length >= 9 {
            return Ok(None);
        }
        status_at_end(packet).map(Some)
    }

    fn row(&mut self, packet: PacketHead<'_>) -> Result<State, WireError> {
        if packet.first() == Some(response::ERR) {
            return self.error(packet);
        }
        match self.end_of_rows(packet)? {
            Some(status) => Ok(self.result_ends(status)),
            None => Ok(State::Rows),
        }
    }

    fn field(&mut self, packet: PacketHead<'_>) -> Result<State, WireError> {
        if packet.first() == Some(response::ERR) {
            return self.error(packet);
        }
        match self.end_of_rows(packet)? {
            Some(status) => {
                self.status(status);
                Ok(State::Done)
            }
            None => Ok(State::Fields),
        }
    }

    fn prepared(&mut self, packet: PacketHead<'_>) -> Result<State, WireError> {
        if packet.first() != Some(response::OK) {
            return self.error(packet);
        }
        let optional = self.has(capability::OPTIONAL_RESULTSET_METADATA);
        let prepared = PrepareOk::parse(packet.head, optional)?;
        self.seen.prepared = Some(prepared);
        Ok(if prepared.metadata_follows {
            definitions(u64::from(prepared.parameters), u64::from(prepared.columns))
        } else {
            State::Done
        })
    }

    fn single(&mut self, packet: PacketHead<'_>) -> State {
        // Only what looks like OK, EOF or ERR is read: COM_STATISTICS answers with plain text.
        match packet.first() {
            Some(response::OK) => {
                self.seen.ok = OkPacket::parse(packet.head).ok();
                if let Some(ok) = self.seen.ok {
                    self.status(ok.status);
                }
            }
            Some(response::EOF) => {
                if let Ok((_, status)) = response::parse_eof(packet.head) {
                    self.status(status);
                }
            }
            Some(response::ERR) => {
                self.seen.error = ErrPacket::parse(packet.head).ok().map(|e| e.code);
            }
            _ => {}
        }
        self.seen.results += 1;
        State::Done
    }

    fn error(&mut self, packet: PacketHead<'_>) -> Result<State, WireError> {
        self.seen.error = Some(ErrPacket::parse(packet.head)?.code);
        self.seen.results += 1;
        Ok(State::Done)
    }

    fn status(&mut self, status: StatusFlags) {
        self.seen.status = Some(status);
        self.seen.statuses += 1;
    }

    fn result_ends(&mut self, status: StatusFlags) -> State {
        self.status(status);
        self.seen.results += 1;
        let unannounced = std::mem::take(&mut self.out_parameters);
        if unannounced || status & MORE_RESULTS_EXISTS != 0 { State::First } else { State::Done }
    }
}

/// The status of an 0xFE packet, in either layout: MySQL ends a result set whose error a routine's handler
/// catches by the packet of old, whatever was agreed.
fn status_at_end(packet: PacketHead<'_>) -> Result<StatusFlags, WireError> {
    if packet.first() != Some(response::EOF) {
        return Err(WireError::Malformed("end of column definitions"));
    }
    if packet.length < response::NEW_EOF_BYTES_MIN {
        return Ok(response::parse_eof(packet.head)?.1);
    }
    Ok(OkPacket::parse(packet.head)?.status)
}

fn definitions(count: u64, then: u64) -> State {
    match (count, then) {
        (0, 0) => State::Done,
        (0, then) => State::Definitions { left: then, then: 0 },
        (left, then) => State::Definitions { left, then },
    }
}

#[cfg(test)]
#[path = "scan_tests.rs"]
mod tests;
