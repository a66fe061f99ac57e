//! Where the answer to a command ends.
//! Never here: what is in it.

use anyhow::{Context, Result};

use super::capability::{CACHE_METADATA, DEPRECATE_EOF, OPTIONAL_METADATA};

/// What kind of answer a command has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// OK, error or result sets, perhaps several.
    Results,
    Prepare,
    /// One packet.
    Single,
    /// Rows of a cursor.
    Rows,
    /// Column definitions up to an end packet.
    Fields,
    Nothing,
}

/// Who speaks next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    Server,
    /// A file is asked for.
    Client,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    First,
    /// So many packets, then the state after them.
    Skip(u64, After),
    Rows,
    Fields,
    Prepare,
    Single,
    Done,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    Columns,
    ColumnsEnd,
    Done,
}

/// Follows one answer.
pub struct Answer {
    state: State,
    capabilities: u64,
    /// The rows are OUT parameters: an OK packet follows, which MySQL 9.7 does not announce to clients
    /// that get EOF packets.
    out_parameters: bool,
    /// Id of the prepared statement.
    pub statement: Option<u32>,
}

const MORE_RESULTS: u16 = 8;
const CURSOR_EXISTS: u16 = 64;
const OUT_PARAMETERS: u16 = 4096;

impl Answer {
    pub fn new(shape: Shape, capabilities: u64) -> Self {
        let state = match shape {
            Shape::Results => State::First,
            Shape::Prepare => State::Prepare,
            Shape::Single => State::Single,
            Shape::Rows => State::Rows,
            Shape::Fields => State::Fields,
            Shape::Nothing => State::Done,
        };
        Answer { state, capabilities, out_parameters: false, statement: None }
    }

    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Where the status flags of the next packet stand in its payload, if it has any.
    pub fn status_at(&self, payload: &[u8]) -> Option<usize> {
        let first = *payload.first()?;
        let modern = self.capabilities & DEPRECATE_EOF != 0;
        let is_end = first == 0xfe && (modern && payload.len() < 0xff_ffff || payload.len() < 9);
        match self.state {
            State::First if first == 0 => status_of_ok(payload).ok().map(|(at, _)| at),
            State::Rows if is_end && modern => status_of_ok(payload).ok().map(|(at, _)| at),
            State::Rows | State::Skip(1, After::ColumnsEnd) if is_end => Some(3),
            _ => None,
        }
    }

    /// Takes one packet.
    pub fn takes(&mut self, payload: &[u8]) -> Result<Turn> {
        let first = *payload.first().context("an empty packet")?;
        let modern = self.capabilities & DEPRECATE_EOF != 0;
        let is_end = first == 0xfe && (modern && payload.len() < 0xff_ffff || payload.len() < 9);
        self.state = match (self.state, first) {
            (State::First, 0xfb) => return Ok(Turn::Client),
            (State::First | State::Rows | State::Fields | State::Prepare, 0xff) => State::Done,
            (State::First, 0) => self.after_result(status_of_ok(payload)?.1),
            (State::First, _) => {
                let (columns, rest) = length(payload)?;
                let flagged = OPTIONAL_METADATA | CACHE_METADATA;
                let metadata = self.capabilities & flagged == 0 || rest != [0];
                match (metadata, modern) {
                    (true, _) => State::Skip(columns, After::Columns),
                    (false, true) => State::Rows,
                    (false, false) => State::Skip(1, After::ColumnsEnd),
                }
            }
            (State::Skip(1, After::Columns), _) if modern => State::Rows,
            (State::Skip(1, After::Columns), _) => State::Skip(1, After::ColumnsEnd),
            (State::Skip(1, After::ColumnsEnd), _) => {
                let status = u16::from_le_bytes([payload[3], payload[4]]);
                self.out_parameters = status & OUT_PARAMETERS != 0;
                // A routine's own cursor sets the flag as well; behind its rows another result follows.
                let opened = status & (CURSOR_EXISTS | MORE_RESULTS) == CURSOR_EXISTS;
                if opened { State::Done } else { State::Rows }
            }
            (State::Skip(1, After::Done), _) => State::Done,
            (State::Skip(left, after), _) => State::Skip(left - 1, after),
            (State::Rows, _) if is_end && modern => self.after_result(status_of_ok(payload)?.1),
            (State::Rows, _) if is_end => {
                self.after_result(u16::from_le_bytes([payload[3], payload[4]]))
            }
            (State::Fields, _) if is_end => State::Done,
            (State::Prepare, _) => self.prepared(payload, modern),
            (State::Single, _) => State::Done,
            (state, _) => state,
        };
        Ok(Turn::Server)
    }

    fn after_result(&mut self, status: u16) -> State {
        let unannounced = std::mem::take(&mut self.out_parameters);
        if unannounced || status & MORE_RESULTS != 0 { State::First } else { State::Done }
    }

    fn prepared(&mut self, payload: &[u8], modern: bool) -> State {
        self.statement = Some(u32::from_le_bytes([payload[1], payload[2], payload[3], payload[4]]));
        let columns = u64::from(u16::from_le_bytes([payload[5], payload[6]]));
        let parameters = u64::from(u16::from_le_bytes([payload[7], payload[8]]));
        if self.capabilities & OPTIONAL_METADATA != 0 && payload.get(12) == Some(&0) {
            return State::Done;
        }
        let ends = if modern { 0 } else { u64::from(columns > 0) + u64::from(parameters > 0) };
        match columns + parameters + ends {
            0 => State::Done,
            count => State::Skip(count, After::Done),
        }
    }
}

/// An OK packet's status flags and where they stand.
fn status_of_ok(payload: &[u8]) -> Result<(usize, u16)> {
    let (_, rest) = length(&payload[1..])?;
    let (_, rest) = length(rest)?;
    let status = rest.first_chunk().context("an OK packet without status")?;
    Ok((payload.len() - rest.len(), u16::from_le_bytes(*status)))
}

/// A length-encoded integer and what follows it.
fn length(bytes: &[u8]) -> Result<(u64, &[u8])> {
    let (&first, rest) = bytes.split_first().context("a length is missing")?;
    let width = match first {
        0xfc => 2,
        0xfd => 3,
        0xfe => 8,
        small => return Ok((u64::from(small), rest)),
    };
    let mut wide = [0; 8];
    wide[..width].copy_from_slice(rest.get(..width).context("a length is cut")?);
    Ok((u64::from_le_bytes(wide), &rest[width..]))
}
