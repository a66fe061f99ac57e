//! SQL text with slots left open, cut out of a statement.
//! Never here: which parts are cut out.

use std::ops::Range;

use crate::sql::{Digested, Slot, SlotValue, SqlMode, TokenKind, render_slot};

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Slot { slot: Slot, hex: bool },
}

/// Pieces of SQL in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Template(Vec<Piece>);

impl Template {
    pub fn text(mut self, text: &str) -> Self {
        match self.0.last_mut() {
            Some(Piece::Text(last)) => last.push_str(text),
            _ => self.0.push(Piece::Text(text.to_owned())),
        }
        self
    }

    /// Appends tokens as the statement has them.
    pub fn tokens(mut self, digested: &Digested, span: Range<usize>) -> Self {
        let Some(tokens) = digested.tokens.get(span).filter(|t| !t.is_empty()) else { return self };
        let mut start = tokens[0].start;
        for token in tokens {
            if let TokenKind::Slot { slot, hex } = token.kind {
                self = self.text(&digested.text[start as usize..token.start as usize]);
                self.0.push(Piece::Slot { slot, hex });
                start = token.end;
            }
        }
        let end = tokens[tokens.len() - 1].end;
        self.text(&digested.text[start as usize..end as usize])
    }

    /// The complete text; `None` where a value cannot be rendered with certainty.
    pub fn render(&self, slots: &[SlotValue], mode: SqlMode, charset: &str) -> Option<String> {
        let mut sql = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => sql.push_str(text),
                Piece::Slot { slot, hex } => {
                    let value = slots.get(slot.0)?;
                    if !render_slot(value, *hex, mode, charset, &mut sql) {
                        return None;
                    }
                }
            }
        }
        Some(sql)
    }
}

/// A name in backticks.
pub fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}
