//! Reading tokens: words, names, matching parentheses, clause ends.
//! Never here: a statement's grammar.

use crate::sql::digest::Digested;
use crate::sql::statement::{Cause, Column, Name, Span};
use crate::sql::token::TokenKind;

pub(super) type Parsed<T> = Result<T, Cause>;

pub(super) struct Cursor<'a> {
    digested: &'a Digested,
    pub at: usize,
}

impl<'a> Cursor<'a> {
    pub fn new(digested: &'a Digested) -> Self {
        Cursor { digested, at: 0 }
    }

    pub fn end(&self) -> usize {
        self.digested.tokens.len()
    }

    pub fn done(&self) -> bool {
        self.at >= self.end()
    }

    pub fn text(&self, at: usize) -> &'a str {
        self.digested.tokens.get(at).map_or("", |t| self.digested.token_text(t))
    }

    pub fn kind(&self, at: usize) -> Option<TokenKind> {
        self.digested.tokens.get(at).map(|t| t.kind)
    }

    /// The unquoted word at a position, else the empty text.
    pub fn word(&self, at: usize) -> &'a str {
        if self.kind(at) == Some(TokenKind::Word) { self.text(at) } else { "" }
    }

    pub fn is(&self, at: usize, word: &str) -> bool {
        self.word(at).eq_ignore_ascii_case(word)
    }

    pub fn is_any(&self, at: usize, words: &[&str]) -> bool {
        let word = self.word(at);
        !word.is_empty() && words.iter().any(|w| w.eq_ignore_ascii_case(word))
    }

    pub fn is_punctuation(&self, at: usize, text: &str) -> bool {
        self.kind(at) == Some(TokenKind::Punctuation) && self.text(at) == text
    }

    pub fn eat(&mut self, word: &str) -> bool {
        let found = self.is(self.at, word);
        self.at += usize::from(found);
        found
    }

    pub fn eat_any(&mut self, words: &[&str]) -> bool {
        let found = self.is_any(self.at, words);
        self.at += usize::from(found);
        found
    }

    pub fn eat_punctuation(&mut self, text: &str) -> bool {
        let found = self.is_punctuation(self.at, text);
        self.at += usize::from(found);
        found
    }

    /// What is not understood at the current position.
    pub fn stuck<T>(&self) -> Parsed<T> {
        let word = self.word(self.at);
        Err(Cause::Clause(if word.is_empty() {
            "syntax".into()
        } else {
            word.to_ascii_uppercase()
        }))
    }

    pub fn expect_punctuation(&mut self, text: &str) -> Parsed<()> {
        if self.eat_punctuation(text) { Ok(()) } else { self.stuck() }
    }

    pub fn identifier(&mut self) -> Parsed<String> {
        let name = match self.kind(self.at) {
            Some(TokenKind::Word) => self.text(self.at).to_owned(),
            Some(TokenKind::Identifier) => unquoted(self.text(self.at)),
            _ => return self.stuck(),
        };
        self.at += 1;
        Ok(name)
    }

    /// `name` or `schema.name`.
    pub fn name(&mut self) -> Parsed<Name> {
        let first = self.identifier()?;
        if !self.is_punctuation(self.at, ".") || self.is_punctuation(self.at + 1, "*") {
            return Ok(Name { schema: None, name: first });
        }
        self.at += 1;
        Ok(Name { schema: Some(first), name: self.identifier()? })
    }

    /// `column`, `table.column` or `schema.table.column`.
    pub fn column(&mut self) -> Parsed<Column> {
        let first = self.name()?;
        if self.eat_punctuation(".") {
            return Ok(Column { qualifier: Some(first), name: self.identifier()? });
        }
        Ok(match first.schema {
            Some(table) => {
                Column { qualifier: Some(Name { schema: None, name: table }), name: first.name }
            }
            None => Column { qualifier: None, name: first.name },
        })
    }

    /// Position after the parenthesis that closes the one at `at`.
    pub fn after_group(&self, at: usize) -> Parsed<usize> {
        let mut depth = 0usize;
        for position in at..self.end() {
            if self.is_punctuation(position, "(") {
                depth += 1;
            } else if self.is_punctuation(position, ")") {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return Ok(position + 1);
                }
            }
        }
        self.stuck()
    }

    /// First position from `at` on, outside parentheses, where `found` holds; else the end.
    pub fn find(&self, at: usize, found: impl Fn(&Self, usize) -> bool) -> Parsed<usize> {
        let mut position = at;
        while position < self.end() && !self.is_punctuation(position, ")") {
            if found(self, position) {
                return Ok(position);
            }
            position = if self.is_punctuation(position, "(") {
                self.after_group(position)?
            } else {
                position + 1
            };
        }
        Ok(position)
    }

    /// Reads to the first of `words` outside parentheses.
    pub fn until(&mut self, words: &[&str]) -> Parsed<Span> {
        let end = self.find(self.at, |c, at| c.is_any(at, words))?;
        let span = self.at..end;
        self.at = end;
        Ok(span)
    }

    /// Splits a span at its commas outside parentheses.
    pub fn split(&self, span: Span) -> Parsed<Vec<Span>> {
        let mut parts = Vec::new();
        let mut start = span.start;
        loop {
            let comma = self
                .find(start, |c, at| at >= span.end || c.is_punctuation(at, ","))?
                .min(span.end);
            parts.push(start..comma);
            if comma >= span.end || !self.is_punctuation(comma, ",") {
                return Ok(parts);
            }
            start = comma + 1;
        }
    }

    /// A parenthesised list at the current position, split at its commas; `()` is empty.
    pub fn list(&mut self) -> Parsed<Vec<Span>> {
        if !self.is_punctuation(self.at, "(") {
            return self.stuck();
        }
        let after = self.after_group(self.at)?;
        let inner = self.at + 1..after - 1;
        self.at = after;
        if inner.is_empty() { Ok(Vec::new()) } else { self.split(inner) }
    }
}

/// A quoted identifier's name.
pub(crate) fn unquoted(text: &str) -> String {
    match text.strip_prefix('`').and_then(|t| t.strip_suffix('`')) {
        Some(inner) => inner.replace("``", "`"),
        None => text.to_owned(),
    }
}
