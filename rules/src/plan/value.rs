//! Values as a statement writes them: slots, keywords, or anything else.
//! Never here: whether a value fits a column (see `exact`).

use crate::sql::statement::Span;
use crate::sql::{Digested, Slot, SlotValue, TokenKind};

/// One value of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Slot {
        slot: Slot,
        negative: bool,
    },
    Null,
    Default,
    Bool(bool),
    /// A default's text from the catalog.
    Text(String),
    Expression,
}

/// Reads a value's tokens.
pub fn value_of(digested: &Digested, mut span: Span) -> Value {
    let text = |at: usize| digested.tokens.get(at).map_or("", |t| digested.token_text(t));
    while span.len() > 2 && text(span.start) == "(" && text(span.end - 1) == ")" {
        // A pair that is not one group, such as `(1)+(2)`, is no value in the end either.
        span = span.start + 1..span.end - 1;
    }
    let mut negative = false;
    let mut start = span.start;
    if span.len() == 2 && matches!(text(start), "-" | "+" | "_binary") {
        negative = text(start) == "-";
        start += 1;
    }
    if span.end != start + 1 {
        return Value::Expression;
    }
    let token = &digested.tokens[start];
    match (token.kind, start == span.start) {
        (TokenKind::Slot { slot, .. }, _) => Value::Slot { slot, negative },
        (TokenKind::Word, true) => match text(start).to_ascii_uppercase().as_str() {
            "NULL" => Value::Null,
            "DEFAULT" => Value::Default,
            "TRUE" => Value::Bool(true),
            "FALSE" => Value::Bool(false),
            _ => Value::Expression,
        },
        _ => Value::Expression,
    }
}

impl Value {
    /// The value in one execution; `None` where only the server knows it.
    pub fn bound(&self, slots: &[SlotValue]) -> Option<SlotValue> {
        Some(match self {
            Value::Slot { slot, negative: false } => slots.get(slot.0)?.clone(),
            Value::Slot { slot, negative: true } => match slots.get(slot.0)? {
                SlotValue::Int(number) => SlotValue::Int(number.checked_neg()?),
                SlotValue::UInt(number) if *number == 1 << 63 => SlotValue::Int(i64::MIN),
                SlotValue::Decimal(text) if !text.starts_with('-') => {
                    SlotValue::Decimal(format!("-{text}"))
                }
                SlotValue::Null => SlotValue::Null,
                _ => return None,
            },
            Value::Null => SlotValue::Null,
            Value::Bool(truth) => SlotValue::Int(i64::from(*truth)),
            Value::Text(text) => SlotValue::Text(text.clone()),
            Value::Default | Value::Expression => return None,
        })
    }
}
