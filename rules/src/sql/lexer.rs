//! Bytes to raw tokens, in one pass and without copying.
//! Never here: what the tokens mean, or normalised text (see `digest`).

use std::ops::Range;

use super::reading::{Dialect, Reading};
use super::slot::LiteralKind;

/// A token as it stands in the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Raw {
    Word(Range<usize>),
    /// Quoted identifier: its bytes between the quotes, and the quote.
    Quoted(Range<usize>, u8),
    Literal(LiteralKind, Range<usize>),
    Parameter,
    Variable(Range<usize>),
    Punctuation(Range<usize>),
    /// An optimizer hint that sets a variable for this statement; others change no result.
    SettingHint,
}

/// The introducers that MySQL and MariaDB know (`_utf8mb4'..'`).
#[rustfmt::skip]
const CHARSETS: [&str; 43] = [
    "armscii8", "ascii", "big5", "binary", "cp1250", "cp1251", "cp1256", "cp1257", "cp850", "cp852",
    "cp866", "cp932", "dec8", "eucjpms", "euckr", "gb18030", "gb2312", "gbk", "geostd8", "greek",
    "hebrew", "hp8", "keybcs2", "koi8r", "koi8u", "latin1", "latin2", "latin5", "latin7", "macce",
    "macroman", "sjis", "swe7", "tis620", "ucs2", "ujis", "utf16", "utf16le", "utf32", "utf8",
    "utf8mb3", "utf8mb4", "filename",
];

/// Operators of more than one byte, longest first.
const OPERATORS: [&[u8]; 12] =
    [b"<=>", b"->>", b"->", b"<=", b">=", b"<>", b"!=", b":=", b"||", b"&&", b"<<", b">>"];

pub(super) struct Lexer<'a> {
    text: &'a [u8],
    at: usize,
    reading: Reading<'a>,
    in_code_comment: bool,
    /// Something was not understood: an open quote or comment.
    pub broken: bool,
    /// White space or a comment stood before the last token.
    pub spaced: bool,
    after_dot: bool,
    after_name: bool,
    /// A hint of the kind of [`Raw::SettingHint`] was passed.
    setting_hint: bool,
}

pub(super) fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80
}

/// Whether a comment is an optimizer hint such as `/*+ SET_VAR(sql_mode = '') */`.
fn sets_variable(comment: &[u8]) -> bool {
    let name = b"SET_VAR";
    comment.starts_with(b"/*+")
        && comment.windows(name.len()).any(|part| part.eq_ignore_ascii_case(name))
}

fn is_space(byte: u8) -> bool {
    byte == b' ' || (0x09..=0x0d).contains(&byte)
}

impl<'a> Lexer<'a> {
    pub fn new(text: &'a [u8], reading: Reading<'a>) -> Self {
        Lexer {
            text,
            at: 0,
            reading,
            in_code_comment: false,
            broken: false,
            spaced: false,
            after_dot: false,
            after_name: false,
            setting_hint: false,
        }
    }

    /// A statement ended at a `;`. The server reads what follows afresh, outside of any comment. True where
    /// it ended inside of a version comment: it could not be sent alone.
    pub fn begin_statement(&mut self) -> bool {
        std::mem::take(&mut self.in_code_comment)
    }

    pub fn position(&self) -> usize {
        self.at
    }

    fn peek(&self, ahead: usize) -> u8 {
        self.text.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn rest(&self) -> &'a [u8] {
        &self.text[self.at.min(self.text.len())..]
    }

    /// The next token, or `None` at the end.
    pub fn next(&mut self) -> Option<Raw> {
        self.spaced = self.skip_space();
        if std::mem::take(&mut self.setting_hint) {
            return Some(Raw::SettingHint);
        }
        let first = *self.text.get(self.at)?;
        let start = self.at;
        let raw = match first {
            b'\'' => self.string(LiteralKind::Text, start),
            b'"' if !self.reading.sql_mode.ansi_quotes => self.string(LiteralKind::Text, start),
            b'"' | b'`' => {
                self.quoted(false);
                Raw::Quoted(start + 1..self.at.saturating_sub(1).max(start + 1), first)
            }
            b'@' => self.variable(),
            b'?' => {
                self.at += 1;
                Raw::Parameter
            }
            b'.' if self.peek(1).is_ascii_digit() && (self.spaced || !self.after_name) => {
                self.number_or_word()
            }
            b'0'..=b'9' if !self.after_dot => self.number_or_word(),
            byte if is_word_byte(byte) => self.word(),
            _ => self.operator(),
        };
        self.after_dot =
            matches!(&raw, Raw::Punctuation(range) if &self.text[range.clone()] == b".");
        self.after_name = matches!(raw, Raw::Word(_) | Raw::Quoted(..));
        Some(raw)
    }

    fn skip_space(&mut self) -> bool {
        let start = self.at;
        loop {
            let rest = self.rest();
            match rest {
                [byte, ..] if is_space(*byte) => self.at += 1,
                [b'#', ..] => self.skip_line(),
                [b'-', b'-'] => self.skip_line(),
                [b'-', b'-', byte, ..] if *byte <= b' ' || *byte == 0x7f => self.skip_line(),
                [b'/', b'*', ..] => self.comment(),
                [b'*', b'/', ..] if self.in_code_comment => {
                    self.in_code_comment = false;
                    self.at += 2;
                }
                _ => break,
            }
        }
        if self.at >= self.text.len() && self.in_code_comment {
            self.broken = true;
        }
        self.at > start
    }

    fn skip_line(&mut self) {
        self.at = self
            .rest()
            .iter()
            .position(|b| *b == b'\n')
            .map_or(self.text.len(), |n| self.at + n + 1);
    }

    fn comment(&mut self) {
        let code = match (self.peek(2), self.peek(3), self.reading.dialect) {
            (b'!', ..) => Some((3, false)),
            (b'M', b'!', Dialect::MariaDb) => Some((4, true)),
            _ => None,
        };
        let Some((skip, for_mariadb)) = code else { return self.skip_comment(0) };
        let digits = self.rest()[skip..].iter().take(6).take_while(|b| b.is_ascii_digit()).count();
        let digits = if digits >= 5 { digits } else { 0 };
        let version = self.rest()[skip..skip + digits]
            .iter()
            .fold(0u32, |sum, digit| sum * 10 + u32::from(digit - b'0'));
        if !self.reading.executes(version, for_mariadb) {
            return self.skip_comment(1);
        }
        // Code in code: the first end ends both.
        self.in_code_comment = true;
        self.at += skip + digits;
    }

    /// Skips a comment. The servers see comments in comments only where they skip code for another
    /// version, and there only one level of them.
    fn skip_comment(&mut self, nests: usize) {
        let start = self.at;
        let mut depth = 0usize;
        while self.at < self.text.len() {
            match self.rest() {
                [b'/', b'*', ..] if depth <= nests => {
                    depth += 1;
                    self.at += 2;
                }
                [b'*', b'/', ..] => {
                    self.at += 2;
                    depth -= 1;
                    if depth == 0 {
                        self.setting_hint |= sets_variable(&self.text[start..self.at]);
                        return;
                    }
                }
                _ => self.at += 1,
            }
        }
        self.broken = true;
    }

    /// Moves behind the closing quote of the quote at the current position.
    fn quoted(&mut self, escapes: bool) {
        let quote = self.peek(0);
        self.at += 1;
        while self.at < self.text.len() {
            let byte = self.text[self.at];
            if byte >= 0x80 {
                self.at += self.reading.character_bytes(self.rest());
            } else if byte == b'\\' && escapes {
                // The character that it escapes may have several bytes.
                let escaped = self.rest().get(1..).unwrap_or_default();
                self.at += 1 + self.reading.character_bytes(escaped);
            } else if byte != quote {
                self.at += 1;
            } else if self.peek(1) == quote && self.at + 1 < self.text.len() {
                self.at += 2;
            } else {
                self.at += 1;
                return;
            }
        }
        self.at = self.text.len();
        self.broken = true;
    }

    fn string(&mut self, kind: LiteralKind, start: usize) -> Raw {
        self.quoted(!self.reading.sql_mode.no_backslash_escapes);
        Raw::Literal(kind, start..self.at)
    }

    /// `@name`, `@'name'` and the like, and `@@scope.name`.
    fn variable(&mut self) -> Raw {
        let start = self.at;
        let system = self.peek(1) == b'@';
        self.at += if system { 2 } else { 1 };
        loop {
            match self.peek(0) {
                b'`' => self.quoted(false),
                b'"' if self.reading.sql_mode.ansi_quotes => self.quoted(false),
                b'\'' | b'"' if !system => {
                    self.quoted(!self.reading.sql_mode.no_backslash_escapes);
                }
                byte if is_word_byte(byte) || (!system && byte == b'.') => {
                    let is_name = |b: &&u8| is_word_byte(**b) || (!system && **b == b'.');
                    self.at += self.rest().iter().take_while(is_name).count();
                }
                _ => break,
            }
            if !(system && self.peek(0) == b'.') {
                break;
            }
            self.at += 1;
        }
        Raw::Variable(start..self.at)
    }

    fn operator(&mut self) -> Raw {
        let start = self.at;
        let rest = self.rest();
        let length = OPERATORS.iter().find(|op| rest.starts_with(op)).map_or(1, |op| op.len());
        self.at += length;
        Raw::Punctuation(start..self.at)
    }

    fn word(&mut self) -> Raw {
        let start = self.at;
        let length = self.rest().iter().take_while(|b| is_word_byte(**b)).count();
        let word = &self.text[start..start + length];
        self.at += length;
        // MySQL 9 quotes a routine's code like that: `$$ .. $$`, `$name$ .. $name$`.
        self.broken |=
            self.reading.dialect == Dialect::MySql && word[0] == b'$' && word[1..].contains(&b'$');
        let next = self.peek(0);
        if self.after_dot {
            return Raw::Word(start..self.at);
        }
        match (word, next) {
            ([b'x' | b'X'], b'\'') => self.string_without_escapes(LiteralKind::Hex, start),
            ([b'b' | b'B'], b'\'') => self.string_without_escapes(LiteralKind::Bit, start),
            ([b'n' | b'N'], b'\'') => self.string(LiteralKind::Unicode, start),
            ([b'_', charset @ ..], _) => self.introduced(charset, start),
            _ => Raw::Word(start..self.at),
        }
    }

    fn string_without_escapes(&mut self, kind: LiteralKind, start: usize) -> Raw {
        self.quoted(false);
        Raw::Literal(kind, start..self.at)
    }

    fn introduced(&mut self, charset: &[u8], start: usize) -> Raw {
        let word = Raw::Word(start..self.at);
        let Some(charset) =
            CHARSETS.iter().find(|name| name.as_bytes().eq_ignore_ascii_case(charset))
        else {
            return word;
        };
        let after_word = self.at;
        let before = (self.in_code_comment, self.broken, self.setting_hint);
        self.skip_space();
        let kind = match *charset {
            "utf8" | "utf8mb3" | "utf8mb4" => LiteralKind::Unicode,
            "binary" => LiteralKind::Binary,
            _ => LiteralKind::Foreign,
        };
        match (self.peek(0), self.peek(1)) {
            (b'\'', _) => self.string(kind, start),
            (b'"', _) if !self.reading.sql_mode.ansi_quotes => self.string(kind, start),
            (b'x' | b'X' | b'b' | b'B', b'\'') => {
                self.at += 1;
                self.string_without_escapes(LiteralKind::Foreign, start)
            }
            (b'0', b'x' | b'b') => {
                self.at += self.rest().iter().take_while(|b| is_word_byte(**b)).count();
                Raw::Literal(LiteralKind::Foreign, start..self.at)
            }
            _ => {
                self.at = after_word;
                (self.in_code_comment, self.broken, self.setting_hint) = before;
                word
            }
        }
    }

    fn number_or_word(&mut self) -> Raw {
        let start = self.at;
        let word = self.rest().iter().take_while(|b| is_word_byte(**b)).count();
        let text = &self.text[start..start + word];
        match text {
            [b'0', b'x', digits @ ..]
                if !digits.is_empty() && digits.iter().all(u8::is_ascii_hexdigit) =>
            {
                self.at += word;
                return Raw::Literal(LiteralKind::Hex, start..self.at);
            }
            [b'0', b'b', digits @ ..]
                if !digits.is_empty() && digits.iter().all(|b| matches!(b, b'0' | b'1')) =>
            {
                self.at += word;
                return Raw::Literal(LiteralKind::Bit, start..self.at);
            }
            _ => {}
        }
        let digits = text.iter().take_while(|b| b.is_ascii_digit()).count();
        self.at += digits;
        let fraction = self.peek(0) == b'.';
        if fraction {
            self.at += 1;
            self.at += self.rest().iter().take_while(|b| b.is_ascii_digit()).count();
        }
        let sign = usize::from(matches!(self.peek(1), b'+' | b'-'));
        if matches!(self.peek(0), b'e' | b'E') && self.peek(1 + sign).is_ascii_digit() {
            self.at += 1 + sign;
            self.at += self.rest().iter().take_while(|b| b.is_ascii_digit()).count();
        } else if !fraction && word > digits {
            // An identifier may begin with digits: `2fa_codes`.
            self.at = start + word;
            return Raw::Word(start..self.at);
        }
        Raw::Literal(LiteralKind::Number, start..self.at)
    }
}
