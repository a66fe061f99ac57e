//! The digest of a statement: its text with every literal taken out, its tokens and its slots.
//! Never here: parsing clauses (see `parse`).

use std::borrow::Cow;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;

use super::lexer::{Lexer, Raw};
use super::reading::Reading;
use super::slot::{LiteralKind, Slot, SlotSource};
use super::token::{Token, TokenKind};

/// Stands for an optimizer hint that sets variables for the statement.
pub(super) const SETTING_HINT: &str = "/*+ SET_VAR */";

/// One statement of a text, literals removed.
#[derive(Clone, Debug)]
pub struct Digested {
    /// Normalised SQL: `?` for every literal and parameter (`X?` for hex and bit literals), comments
    /// gone, quoted identifiers in backticks. Equal texts have equal plans.
    pub text: String,
    pub tokens: Vec<Token>,
    /// What fills the n-th slot.
    pub slots: Vec<SlotSource>,
    /// Further parts of adjacent string literals: (slot, bytes).
    pub(super) continued: Vec<(usize, Range<usize>)>,
    /// Hash of `text`; the same in every process.
    pub hash: u64,
    /// The statement's bytes in the text that was lexed, without the `;`.
    pub range: Range<usize>,
    /// The bytes could not be read with certainty (open quote, identifier that is not UTF-8, a
    /// character set in which quotes hide inside characters). Never answer or plan such a statement.
    pub uncertain: bool,
    /// Literals are to be decoded under NO_BACKSLASH_ESCAPES.
    pub(super) no_backslash_escapes: bool,
}

/// Lexes a text of one or several statements. Empty statements are left out.
pub fn digest(text: &[u8], reading: Reading<'_>) -> Vec<Digested> {
    let mut lexer = Lexer::new(text, reading);
    let mut done = Vec::new();
    let mut builder = Builder::new(text, reading, 0);
    while let Some(raw) = lexer.next() {
        let semicolon = matches!(&raw, Raw::Punctuation(range) if &text[range.clone()] == b";");
        if semicolon && builder.body.depth == 0 {
            let end = lexer.position() - 1;
            // Two minuses, which would become a comment where the statement is sent alone.
            let glued = text[..end].ends_with(b"--");
            builder.out.uncertain |= lexer.begin_statement() || glued;
            builder.finish(end, false, &mut done);
            builder = Builder::new(text, reading, lexer.position());
        } else {
            builder.push(raw, lexer.spaced);
        }
    }
    builder.finish(text.len(), lexer.broken, &mut done);
    if lexer.broken {
        done.iter_mut().for_each(|statement| statement.uncertain = true);
    }
    done
}

/// Depth of compound statements in the body of a routine, so that its `;` do not split it.
#[derive(Default)]
struct Body {
    /// The statement creates a routine (or is MariaDB's BEGIN NOT ATOMIC).
    open: bool,
    depth: usize,
    after_end: bool,
    at_statement: bool,
}

impl Body {
    fn see(&mut self, word: &str) {
        let opens = match word {
            "BEGIN" | "CASE" => true,
            "IF" | "LOOP" | "WHILE" | "REPEAT" => self.at_statement,
            _ => false,
        };
        if word == "END" {
            self.depth = self.depth.saturating_sub(1);
        } else if opens && !self.after_end {
            self.depth += 1;
        }
        self.after_end = word == "END";
        self.at_statement =
            matches!(word, "BEGIN" | "THEN" | "ELSE" | "DO" | "LOOP" | "REPEAT" | "ROW");
    }
}

struct Builder<'a> {
    source: &'a [u8],
    /// Names are in UTF-8, so that they can be compared with a catalog's.
    unicode: bool,
    out: Digested,
    body: Body,
    parameters: usize,
}

impl<'a> Builder<'a> {
    fn new(source: &'a [u8], reading: Reading<'_>, start: usize) -> Self {
        let out = Digested {
            text: String::new(),
            tokens: Vec::new(),
            slots: Vec::new(),
            continued: Vec::new(),
            hash: 0,
            range: start..start,
            uncertain: false,
            no_backslash_escapes: reading.sql_mode.no_backslash_escapes,
        };
        let unicode = reading.names_are_unicode();
        Builder { source, unicode, out, body: Body::default(), parameters: 0 }
    }

    fn finish(mut self, end: usize, broken: bool, done: &mut Vec<Digested>) {
        if self.out.tokens.is_empty() && !broken {
            return;
        }
        self.out.range.end = end;
        self.out.uncertain |= broken || self.body.depth != 0;
        let mut hasher = DefaultHasher::new();
        self.out.text.hash(&mut hasher);
        self.out.hash = hasher.finish();
        done.push(self.out);
    }

    fn utf8(&mut self, range: Range<usize>) -> Cow<'a, str> {
        let text = String::from_utf8_lossy(&self.source[range]);
        self.out.uncertain |= matches!(text, Cow::Owned(_)) || !(self.unicode || text.is_ascii());
        text
    }

    fn push(&mut self, raw: Raw, spaced: bool) {
        match raw {
            Raw::Word(range) => {
                let word = self.utf8(range);
                let kind =
                    if self.out.last_is(".") { TokenKind::Identifier } else { TokenKind::Word };
                self.track_body(&word);
                self.out.append(&word, kind, spaced);
            }
            Raw::Quoted(range, quote) => {
                let doubled = [quote as char, quote as char].iter().collect::<String>();
                let name = self.utf8(range).replace(&doubled, &(quote as char).to_string());
                self.out.append(
                    &format!("`{}`", name.replace('`', "``")),
                    TokenKind::Identifier,
                    spaced,
                );
            }
            Raw::Variable(range) => {
                let name = self.utf8(range);
                self.out.append(&name, TokenKind::Variable, spaced);
            }
            Raw::Punctuation(range) => {
                let text = self.utf8(range);
                if text == ";" {
                    self.body.at_statement = true;
                    self.body.after_end = false;
                }
                self.out.append(&text, TokenKind::Punctuation, spaced);
            }
            Raw::Parameter => {
                let number = self.parameters;
                self.parameters += 1;
                self.slot(SlotSource::Parameter(number), false);
            }
            Raw::Literal(kind, range) => self.literal(kind, range),
            Raw::SettingHint => {
                // Nothing that writes is understood with it: it may change what a 0 or a quote means.
                self.out.append(SETTING_HINT, TokenKind::Punctuation, spaced);
            }
        }
    }

    fn literal(&mut self, kind: LiteralKind, range: Range<usize>) {
        if let (LiteralKind::Text, Some(slot)) = (kind, self.out.string_just_before()) {
            return self.out.continued.push((slot, range));
        }
        if matches!(kind, LiteralKind::Text | LiteralKind::Number) && self.out.sets_what_matters() {
            let text = self.utf8(range);
            return self.out.append(&text, TokenKind::Inline, true);
        }
        if kind == LiteralKind::Binary {
            self.out.append("_binary", TokenKind::Word, true);
        }
        let hex = matches!(kind, LiteralKind::Hex | LiteralKind::Bit);
        self.slot(SlotSource::Literal(kind, range), hex);
    }

    fn slot(&mut self, source: SlotSource, hex: bool) {
        let slot = Slot(self.out.slots.len());
        self.out.slots.push(source);
        self.out.append(if hex { "X?" } else { "?" }, TokenKind::Slot { slot, hex }, true);
    }

    /// A routine's body holds whole statements; MariaDB's anonymous block does too.
    fn track_body(&mut self, word: &str) {
        let word = word.to_ascii_uppercase();
        if !self.body.open {
            let first = self.out.first_word();
            self.body.open = (first.eq_ignore_ascii_case("CREATE")
                && matches!(
                    word.as_str(),
                    "PROCEDURE" | "FUNCTION" | "TRIGGER" | "EVENT" | "PACKAGE"
                ))
                || (first.eq_ignore_ascii_case("BEGIN")
                    && self.out.tokens.len() == 1
                    && word == "NOT");
            if self.body.open && word == "NOT" {
                self.body.see("BEGIN");
            }
            return;
        }
        self.body.see(&word);
    }
}

impl Digested {
    /// The first word, or the empty text.
    pub fn first_word(&self) -> &str {
        match self.tokens.first() {
            Some(token) if token.kind == TokenKind::Word => self.token_text(token),
            _ => "",
        }
    }

    pub fn token_text(&self, token: &Token) -> &str {
        &self.text[token.start as usize..token.end as usize]
    }

    fn last_is(&self, text: &str) -> bool {
        self.tokens.last().is_some_and(|t| self.token_text(t) == text)
    }

    /// Appends with one space, but none around dots and as it was before a parenthesis: there white
    /// space can decide whether a name is a built-in function.
    fn append(&mut self, text: &str, kind: TokenKind, spaced: bool) {
        let tight = self.text.is_empty()
            || text == "."
            || self.last_is(".")
            || (text == "("
                && !spaced
                && self.tokens.last().is_some_and(|t| t.kind == TokenKind::Word));
        if !tight {
            self.text.push(' ');
        }
        let start = u32::try_from(self.text.len()).unwrap_or(u32::MAX);
        self.text.push_str(text);
        let end = u32::try_from(self.text.len()).unwrap_or(u32::MAX);
        self.tokens.push(Token { kind, start, end });
    }

    fn string_just_before(&self) -> Option<usize> {
        let TokenKind::Slot { slot: Slot(n), .. } = self.tokens.last()?.kind else { return None };
        let text = matches!(
            self.slots[n],
            SlotSource::Literal(
                LiteralKind::Text
                    | LiteralKind::Unicode
                    | LiteralKind::Binary
                    | LiteralKind::Foreign,
                _
            )
        );
        text.then_some(n)
    }

    /// Whether a literal that comes now is given to a setting on which later plans depend: such
    /// literals stay in the text, because they decide what the statement means.
    fn sets_what_matters(&self) -> bool {
        if !self.first_word().eq_ignore_ascii_case("SET") {
            return false;
        }
        let mut back = self.tokens.iter().rev().map(|t| self.token_text(t));
        let last = back.next().unwrap_or("");
        let name = match last {
            "=" | ":=" => back.next().unwrap_or(""),
            other => other,
        };
        let name = name.rsplit('.').next().unwrap_or(name).trim_matches(['@', '`']);
        ["autocommit", "sql_mode", "names", "charset", "collate", "character_set_client", "set"]
            .iter()
            .any(|known| known.eq_ignore_ascii_case(name))
    }
}
