//! Literals to values: the slots of one execution.
//! Never here: which column a value belongs to.

use std::ops::Range;

use super::digest::Digested;
use super::slot::{LiteralKind, SlotSource, SlotValue};

/// The values of all slots, in slot order. `statement` is the text that was lexed, `parameters` the
/// values of an EXECUTE, `charset` is `character_set_client`.
pub fn slot_values(
    digested: &Digested,
    statement: &[u8],
    parameters: &[SlotValue],
    charset: &str,
) -> Vec<SlotValue> {
    let mut values = Vec::with_capacity(digested.slots.len());
    for (slot, source) in digested.slots.iter().enumerate() {
        values.push(match source {
            SlotSource::Parameter(n) => parameters.get(*n).cloned().unwrap_or(SlotValue::Opaque),
            SlotSource::Literal(kind, range) => {
                // Sorted by slot, as it was lexed.
                let first = digested.continued.partition_point(|(n, _)| *n < slot);
                let more = digested.continued[first..].iter().take_while(|(n, _)| *n == slot);
                let more = more.map(|(_, range)| range);
                literal(digested, *kind, range, more, statement, charset)
            }
        });
    }
    values
}

fn literal<'a>(
    digested: &Digested,
    kind: LiteralKind,
    range: &Range<usize>,
    more: impl Iterator<Item = &'a Range<usize>>,
    statement: &[u8],
    charset: &str,
) -> SlotValue {
    let Some(bytes) = statement.get(range.clone()) else { return SlotValue::Opaque };
    match kind {
        LiteralKind::Number => number(bytes),
        LiteralKind::Hex => SlotValue::Bytes(hex_digits(bytes)),
        LiteralKind::Bit => SlotValue::Bytes(bit_digits(bytes)),
        LiteralKind::Text | LiteralKind::Unicode | LiteralKind::Binary | LiteralKind::Foreign => {
            let Some(mut text) = unquoted(bytes, digested.no_backslash_escapes) else {
                return SlotValue::Opaque;
            };
            for part in more {
                let part = statement.get(part.clone());
                match part.and_then(|p| unquoted(p, digested.no_backslash_escapes)) {
                    Some(part) => text.extend_from_slice(&part),
                    None => return SlotValue::Opaque,
                }
            }
            match kind {
                LiteralKind::Binary => SlotValue::Bytes(text),
                LiteralKind::Unicode => decoded(text, "utf8mb4"),
                LiteralKind::Foreign if wide(bytes) => SlotValue::Opaque,
                LiteralKind::Foreign => decoded(text, "ascii"),
                _ => decoded(text, charset),
            }
        }
    }
}

/// Introducers whose characters take several bytes even for ASCII, or that hold hex digits.
fn wide(literal: &[u8]) -> bool {
    let quote = literal.iter().position(|b| matches!(b, b'\'' | b'"'));
    let Some(quote) = quote else { return true };
    let introducer = String::from_utf8_lossy(&literal[..quote]).to_ascii_lowercase();
    let introducer = introducer.trim_end();
    ["_ucs2", "_utf16", "_utf16le", "_utf32", "_filename", "_swe7", "_dec8"].contains(&introducer)
        || introducer.ends_with([' ', '\t', '\n', '\r'])
        || introducer.contains(' ')
}

/// MySQL's `latin1` is Windows code page 1252; the five unassigned bytes keep their number.
const CP1252_HIGH: [char; 32] = [
    '\u{20ac}', '\u{81}', '\u{201a}', '\u{192}', '\u{201e}', '\u{2026}', '\u{2020}', '\u{2021}',
    '\u{2c6}', '\u{2030}', '\u{160}', '\u{2039}', '\u{152}', '\u{8d}', '\u{17d}', '\u{8f}',
    '\u{90}', '\u{2018}', '\u{2019}', '\u{201c}', '\u{201d}', '\u{2022}', '\u{2013}', '\u{2014}',
    '\u{2dc}', '\u{2122}', '\u{161}', '\u{203a}', '\u{153}', '\u{9d}', '\u{17e}', '\u{178}',
];

fn decoded(bytes: Vec<u8>, charset: &str) -> SlotValue {
    let charset = charset.to_ascii_lowercase();
    if matches!(charset.as_str(), "utf8" | "utf8mb3" | "utf8mb4") || bytes.is_ascii() {
        return String::from_utf8(bytes).map_or(SlotValue::Opaque, SlotValue::Text);
    }
    if charset == "latin1" {
        let text = bytes.iter().map(|&byte| match byte {
            0x80..=0x9f => CP1252_HIGH[usize::from(byte) - 0x80],
            _ => char::from(byte),
        });
        return SlotValue::Text(text.collect());
    }
    SlotValue::Opaque
}

fn number(bytes: &[u8]) -> SlotValue {
    let Ok(text) = std::str::from_utf8(bytes) else { return SlotValue::Opaque };
    if text.contains(['e', 'E']) {
        return text.parse().map_or(SlotValue::Opaque, SlotValue::Double);
    }
    if text.contains('.') {
        return SlotValue::Decimal(text.to_owned());
    }
    if let Ok(number) = text.parse::<i64>() {
        return SlotValue::Int(number);
    }
    text.parse::<u64>().map_or_else(|_| SlotValue::Decimal(text.to_owned()), SlotValue::UInt)
}

fn digits<'a>(bytes: &'a [u8], marks: &'a [u8]) -> impl DoubleEndedIterator<Item = u8> + 'a {
    // `0x1f` and `X'1f'`: what stands before the digits is a mark, a quote or the leading zero.
    let bytes = bytes
        .strip_prefix(b"0")
        .filter(|rest| rest.first().is_some_and(|b| marks.contains(b)))
        .unwrap_or(bytes);
    bytes[1..].iter().copied().filter(|b| *b != b'\'')
}

fn hex_digits(bytes: &[u8]) -> Vec<u8> {
    let digits: Vec<u8> =
        digits(bytes, b"xX").map(|b| (b as char).to_digit(16).unwrap_or(0) as u8).collect();
    let odd = digits.len() % 2;
    let first = digits[..odd].iter().copied();
    first.chain(digits[odd..].chunks(2).map(|pair| pair[0] << 4 | pair[1])).collect()
}

fn bit_digits(bytes: &[u8]) -> Vec<u8> {
    let digits: Vec<u8> = digits(bytes, b"bB").map(|b| u8::from(b == b'1')).collect();
    let mut out: Vec<u8> =
        digits.rchunks(8).map(|byte| byte.iter().fold(0, |sum, bit| sum << 1 | bit)).collect();
    out.reverse();
    out
}

/// The bytes between the quotes, escapes resolved; `None` if there are no closed quotes.
fn unquoted(literal: &[u8], no_backslash_escapes: bool) -> Option<Vec<u8>> {
    let open = literal.iter().position(|b| matches!(b, b'\'' | b'"'))?;
    let quote = literal[open];
    let end = literal.len().checked_sub(1).filter(|end| *end > open && literal[*end] == quote)?;
    let inner = &literal[open + 1..end];
    let mut out = Vec::with_capacity(inner.len());
    let mut bytes = inner.iter().copied();
    while let Some(byte) = bytes.next() {
        if byte == b'\\' && !no_backslash_escapes {
            match bytes.next()? {
                b'0' => out.push(0),
                b'b' => out.push(8),
                b'n' => out.push(b'\n'),
                b'r' => out.push(b'\r'),
                b't' => out.push(b'\t'),
                b'Z' => out.push(26),
                other @ (b'%' | b'_') => out.extend([b'\\', other]),
                other => out.push(other),
            }
        } else {
            if byte == quote {
                bytes.next();
            }
            out.push(byte);
        }
    }
    Some(out)
}
