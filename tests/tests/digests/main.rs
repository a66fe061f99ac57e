//! The lexer judged by others: MySQL's own digests, what servers make of bytes in their character sets, and
//! the parser of `sqlparser`. Never here: what follows from a statement.
#![allow(clippy::unwrap_used, reason = "all of this crate is a test")]

mod characters;
mod mysql;
mod sqlparser;
mod statements;
