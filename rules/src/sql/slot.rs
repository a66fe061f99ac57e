//! Slots: the places of a statement where values stand, and their values in one execution.
//! Never here: decoding literals (see `literal`) or rendering them (see `render`).

use std::ops::Range;

use crate::value::Cell;

/// Where a value comes from at execution: the n-th slot of the statement, counted in text order over
/// literals and `?` parameters alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Slot(pub usize);

/// The value of a slot in one execution.
#[derive(Clone, Debug, PartialEq)]
pub enum SlotValue {
    Null,
    /// Integer literal or integer parameter.
    Int(i64),
    UInt(u64),
    /// DECIMAL literal text, for example `1.50`.
    Decimal(String),
    Double(f64),
    /// Character string in the connection's character set, decoded to UTF-8.
    Text(String),
    /// Hex or bit literal, or a binary parameter.
    Bytes(Vec<u8>),
    /// Temporal parameter (binary protocol) or typed literal.
    Temporal(Cell),
    /// A value that this layer does not understand (for example an unknown introducer).
    Opaque,
}

/// What fills a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SlotSource {
    /// A literal and its bytes in the text that was lexed, quotes and prefixes included.
    Literal(LiteralKind, Range<usize>),
    /// The n-th `?` of the statement.
    Parameter(usize),
}

/// The kinds of literals that take a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LiteralKind {
    Number,
    /// `'..'`, or `".."` where that is a string.
    Text,
    /// `N'..'` or a string with a Unicode introducer: UTF-8 whatever the connection says.
    Unicode,
    /// `_binary'..'`.
    Binary,
    /// A string with another introducer; only its ASCII form is understood.
    Foreign,
    /// `X'..'` or `0x..`.
    Hex,
    /// `b'..'` or `0b..`.
    Bit,
}
