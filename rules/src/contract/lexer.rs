//! Tokens of the contract's small expressions.
//! Never here: statements; application SQL is read by the `sql` room.

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// Identifier or keyword; `quoted` when written in backticks.
    Word {
        text: String,
        quoted: bool,
    },
    Number(String),
    Text(String),
    Symbol(&'static str),
}

/// Longest first, so that `<=>` is not read as `<=`.
const SYMBOLS: [&str; 17] =
    ["<=>", "<>", "!=", "<=", ">=", "=", "<", ">", "+", "-", "*", "/", "%", "(", ")", ",", "."];

pub(super) fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, used) = match first {
            '\'' | '"' => quoted_text(rest, first)?,
            '`' => quoted_word(rest)?,
            c if c.is_ascii_digit() => number(rest),
            c if is_word(c) => {
                let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
                (Token::Word { text: rest[..end].to_owned(), quoted: false }, end)
            }
            _ => {
                let symbol = (SYMBOLS.iter())
                    .find(|symbol| rest.starts_with(**symbol))
                    .ok_or_else(|| format!("`{first}` has no meaning in an expression"))?;
                (Token::Symbol(symbol), symbol.len())
            }
        };
        tokens.push(token);
        rest = rest[used..].trim_start();
    }
    Ok(tokens)
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$'
}

fn quoted_text(rest: &str, quote: char) -> Result<(Token, usize), String> {
    let mut text = String::new();
    let mut characters = rest.char_indices().skip(1).peekable();
    while let Some((position, c)) = characters.next() {
        if c == quote {
            if characters.next_if(|(_, next)| *next == quote).is_some() {
                text.push(quote);
                continue;
            }
            return Ok((Token::Text(text), position + 1));
        }
        if c == '\\' {
            match characters.next() {
                Some((_, escaped @ ('\\' | '\'' | '"'))) => text.push(escaped),
                _ => return Err("only \\\\, \\' and \\\" are escapes in a literal".to_owned()),
            }
            continue;
        }
        text.push(c);
    }
    Err(format!("a literal is not closed by {quote}"))
}

fn quoted_word(rest: &str) -> Result<(Token, usize), String> {
    let mut text = String::new();
    let mut characters = rest.char_indices().skip(1).peekable();
    while let Some((position, c)) = characters.next() {
        if c != '`' {
            text.push(c);
        } else if characters.next_if(|(_, next)| *next == '`').is_some() {
            text.push('`');
        } else {
            return Ok((Token::Word { text, quoted: true }, position + 1));
        }
    }
    Err("a name is not closed by a backtick".to_owned())
}

fn number(rest: &str) -> (Token, usize) {
    let digits = |from: usize| {
        rest[from..].find(|c: char| !c.is_ascii_digit()).map_or(rest.len(), |n| from + n)
    };
    let mut end = digits(0);
    if rest[end..].starts_with('.') && rest[end + 1..].starts_with(|c: char| c.is_ascii_digit()) {
        end = digits(end + 1);
    }
    (Token::Number(rest[..end].to_owned()), end)
}
