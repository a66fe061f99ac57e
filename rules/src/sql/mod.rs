//! Statement text to digest, literals and syntax tree.
//! Never here: knowledge of a contract or of a catalog.

mod digest;
mod lexer;
mod literal;
mod parse;
mod reading;
mod render;
mod slot;
pub mod statement;
#[cfg(test)]
mod tests;
mod token;

pub use digest::{Digested, digest};
pub use literal::slot_values;
pub use parse::parse;
pub(crate) use reading::version_number;
pub use reading::{Dialect, Reading, SqlMode};
pub use render::render_slot;
pub use slot::{LiteralKind, Slot, SlotSource, SlotValue};
pub use token::{Token, TokenKind};

/// The name that an identifier token stands for, without its backticks.
pub fn identifier_name(text: &str) -> String {
    parse::cursor::unquoted(text)
}
