//! Slot values back to literals, for statements that Segue sends on the application's connection.
//! Never here: which statement they go into.

use std::fmt::Write;

use super::reading::SqlMode;
use super::slot::SlotValue;
use crate::value::Cell;

/// Appends the literal that means `value`; `false` where no literal certainly does. `hex`: the value
/// stood as `X'..'`, which is a number where a number is wanted.
pub fn render_slot(
    value: &SlotValue,
    hex: bool,
    mode: SqlMode,
    charset: &str,
    out: &mut String,
) -> bool {
    let written = match value {
        SlotValue::Null => write!(out, "NULL"),
        SlotValue::Int(number) => write!(out, "{number}"),
        SlotValue::UInt(number) => write!(out, "{number}"),
        SlotValue::Decimal(text) => write!(out, "{text}"),
        SlotValue::Double(number) if number.is_finite() => write!(out, "{number:e}"),
        SlotValue::Double(_) | SlotValue::Opaque => return false,
        SlotValue::Text(text) => return render_text(text, mode, charset, out),
        SlotValue::Bytes(bytes) => {
            out.push_str(if hex { "X'" } else { "_binary X'" });
            bytes.iter().for_each(|byte| {
                let _ = write!(out, "{byte:02X}");
            });
            write!(out, "'")
        }
        SlotValue::Temporal(cell) => return render_temporal(cell, out),
    };
    written.is_ok()
}

fn render_text(text: &str, mode: SqlMode, charset: &str, out: &mut String) -> bool {
    let unicode =
        ["utf8", "utf8mb3", "utf8mb4"].iter().any(|name| name.eq_ignore_ascii_case(charset));
    if !text.is_ascii() && !unicode {
        out.push_str("_utf8mb4 X'");
        text.bytes().for_each(|byte| {
            let _ = write!(out, "{byte:02X}");
        });
        out.push('\'');
        return true;
    }
    out.push('\'');
    for character in text.chars() {
        match character {
            '\'' => out.push_str("''"),
            '\\' if !mode.no_backslash_escapes => out.push_str("\\\\"),
            '\0' if !mode.no_backslash_escapes => out.push_str("\\0"),
            other => out.push(other),
        }
    }
    out.push('\'');
    true
}

fn render_temporal(cell: &Cell, out: &mut String) -> bool {
    let written = match *cell {
        Cell::Date { year, month, day } => {
            // Zero parts are not allowed in a typed literal.
            let typed = if month == 0 || day == 0 { "" } else { "DATE" };
            write!(out, "{typed}'{year:04}-{month:02}-{day:02}'")
        }
        Cell::DateTime { year, month, day, hour, minute, second, micros } => {
            let typed = if month == 0 || day == 0 { "" } else { "TIMESTAMP" };
            write!(
                out,
                "{typed}'{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{micros:06}'"
            )
        }
        Cell::Time { negative, hours, minutes, seconds, micros } => {
            let sign = if negative { "-" } else { "" };
            write!(out, "TIME'{sign}{hours:02}:{minutes:02}:{seconds:02}.{micros:06}'")
        }
        _ => return false,
    };
    written.is_ok()
}
