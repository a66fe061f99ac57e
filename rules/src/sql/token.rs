//! Tokens of a normalised statement.
//! Never here: the bytes they came from.

use super::slot::Slot;

/// One token; `start..end` are bytes of [`super::Digested::text`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    pub kind: TokenKind,
    pub start: u32,
    pub end: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// An unquoted word: a keyword or an identifier.
    Word,
    /// Certainly an identifier: quoted with backticks, or it follows a dot.
    Identifier,
    /// `?`, or `X?` for a literal that is a number or bytes by context.
    Slot { slot: Slot, hex: bool },
    /// `@x` or `@@x`.
    Variable,
    /// A literal kept in the text: what a SET gives to a setting that matters here.
    Inline,
    /// Operators and punctuation, longest match.
    Punctuation,
}
