//! Lexical scanning of Rust text: comments and literals blanked, test regions, braces.
//! Never here: rules.

/// The text with comments, strings and character literals replaced by spaces; lines stay where they are.
pub fn code_of(text: &str) -> String {
    let source: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < source.len() {
        let end = literal_or_comment(&source, at, out.chars().next_back());
        if end == at {
            out.push(source[at]);
            at += 1;
            continue;
        }
        for symbol in &source[at..end] {
            out.push(if *symbol == '\n' { '\n' } else { ' ' });
        }
        at = end;
    }
    out
}

/// End of the literal or comment that begins at `at`; `at` itself where none does.
fn literal_or_comment(source: &[char], at: usize, before: Option<char>) -> usize {
    let next = |offset: usize| source.get(at + offset).copied().unwrap_or('\0');
    match source[at] {
        '/' if next(1) == '/' => end_of_line(source, at),
        '/' if next(1) == '*' => end_of_block_comment(source, at),
        '"' => end_of_string(source, at + 1),
        'r' | 'b' | 'c' if !before.is_some_and(|c| c.is_alphanumeric() || c == '_') => {
            let raw = if source[at] == 'r' { at } else { at + 1 };
            let is_raw = source.get(raw) == Some(&'r');
            let hashes = if is_raw {
                source[raw + 1..].iter().take_while(|&&symbol| symbol == '#').count()
            } else {
                0
            };
            let quote = raw + usize::from(is_raw) + hashes;
            match source.get(quote) {
                Some('"') if is_raw => end_of_raw_string(source, quote + 1, hashes),
                Some('"') => end_of_string(source, quote + 1),
                _ => at,
            }
        }
        '\'' => end_of_character(source, at),
        _ => at,
    }
}

fn end_of_line(source: &[char], at: usize) -> usize {
    source[at..].iter().position(|&symbol| symbol == '\n').map_or(source.len(), |n| at + n)
}

fn end_of_block_comment(source: &[char], mut at: usize) -> usize {
    let mut depth = 0;
    while at < source.len() {
        match (source[at], source.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at.min(source.len())
}

fn end_of_string(source: &[char], mut at: usize) -> usize {
    while at < source.len() {
        match source[at] {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    source.len()
}

fn end_of_raw_string(source: &[char], mut at: usize, hashes: usize) -> usize {
    while at < source.len() {
        let closes = source[at] == '"'
            && source[at + 1..].iter().take(hashes).filter(|&&symbol| symbol == '#').count()
                == hashes;
        if closes {
            return at + 1 + hashes;
        }
        at += 1;
    }
    source.len()
}

/// A lifetime is no literal: `'a` without a closing quote right after it.
fn end_of_character(source: &[char], at: usize) -> usize {
    match (source.get(at + 1), source.get(at + 2)) {
        (Some('\\'), _) => {
            let close = source[at + 3..].iter().position(|&symbol| symbol == '\'');
            close.map_or(at, |n| at + 3 + n + 1)
        }
        (Some(_), Some('\'')) => at + 3,
        _ => at,
    }
}

/// Position after the brace that closes the one at `open`.
pub fn closing(code: &str, open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, symbol) in code[open..].char_indices() {
        match symbol {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return open + at + 1;
        }
    }
    code.len()
}

/// Blanks every item marked `#[cfg(test)]`. Expects the output of [`code_of`].
pub fn without_tests(code: &str) -> String {
    let mut out = code.to_owned();
    for (mark, _) in code.match_indices("#[cfg(test)]") {
        let rest = &code[mark..];
        let end = match (rest.find('{'), rest.find(';')) {
            (Some(brace), Some(semicolon)) if semicolon < brace => mark + semicolon + 1,
            (None, Some(semicolon)) => mark + semicolon + 1,
            (Some(brace), _) => closing(code, mark + brace),
            (None, None) => code.len(),
        };
        let blank: String =
            code[mark..end].bytes().map(|b| if b == b'\n' { '\n' } else { ' ' }).collect();
        out.replace_range(mark..end, &blank);
    }
    out
}

/// Line number, from 1, of a byte position.
pub fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

#[test]
fn comments_strings_and_characters_are_blanked_and_lines_stay() {
    let text = "a /* { /* } */ */ b // {\nc \"{\\\"{\" d r#\"{\"\n\"# e '{' f '\\'' g<'a> b\"{\" h";
    let code = code_of(text);
    assert_eq!(code.split_whitespace().collect::<String>(), "abcdefg<'a>h");
    assert_eq!(code.lines().count(), text.lines().count());
}

#[test]
fn test_items_are_blanked_to_their_end() {
    let code = "fn a() {}\n#[cfg(test)]\nmod tests { fn b() {} }\n#[cfg(test)]\nmod c;\nfn d() {}";
    assert_eq!(without_tests(code).split_whitespace().collect::<String>(), "fna(){}fnd(){}");
}
