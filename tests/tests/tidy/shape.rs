//! Rules about one file: its header, its length, the length of its functions.
//! Never here: rules about who may name whom.

use crate::assert_none;
use crate::scan::{closing, line_of};
use crate::tree::{Source, sources};

const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 70;
/// A line that says why something is longer than that.
const EXCUSE: &str = "// tidy: long because";
/// An excuse for a whole file stands among its first lines.
const EXCUSE_LINES: usize = 20;

fn headers(sources: &[Source]) -> Vec<String> {
    let bare = sources.iter().filter(|source| !source.text.starts_with("//!"));
    bare.map(|source| format!("{}: begins without `//!`", source.path)).collect()
}

fn file_lengths(sources: &[Source]) -> Vec<String> {
    let mut found = vec![];
    for source in sources {
        let lines = source.text.lines().count();
        let excused = source.text.lines().take(EXCUSE_LINES).any(|line| line.starts_with(EXCUSE));
        if lines > FILE_LINES_MAX && !excused {
            found.push(format!("{}: {lines} lines, {FILE_LINES_MAX} at most", source.path));
        }
    }
    found
}

/// Name, first and last line of every function with a body.
fn functions(source: &Source) -> Vec<(String, usize, usize)> {
    let mut found = vec![];
    for (at, _) in source.code.match_indices("fn ") {
        let before = source.code[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let rest = &source.code[at + 3..];
        let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        let Some(body) = rest.find('{') else { continue };
        // A declaration without a body, or a function type.
        if name.is_empty() || rest[..body].contains(';') {
            continue;
        }
        let end = closing(&source.code, at + 3 + body);
        found.push((name, line_of(&source.code, at), line_of(&source.code, end)));
    }
    found
}

fn function_lengths(sources: &[Source]) -> Vec<String> {
    let mut found = vec![];
    for source in sources {
        let text: Vec<&str> = source.text.lines().collect();
        for (name, first, last) in functions(source) {
            let lines = last - first + 1;
            let from = first.saturating_sub(4);
            let excused = text[from..last.min(text.len())].iter().any(|line| line.contains(EXCUSE));
            if lines > FUNCTION_LINES_MAX && !excused {
                found.push(format!(
                    "{}:{first}: `{name}` has {lines} lines, {FUNCTION_LINES_MAX} at most",
                    source.path
                ));
            }
        }
    }
    found
}

#[test]
fn every_file_says_what_lives_in_it() {
    assert_none(headers(&sources()));
}

#[test]
fn missing_header_is_found() {
    assert_eq!(headers(&[Source::new("rules/src/a.rs", "use std::fmt;\n")]).len(), 1);
    assert_eq!(headers(&[Source::new("rules/src/a.rs", "//! A.\n")]).len(), 0);
}

#[test]
fn files_are_not_long() {
    assert_none(file_lengths(&sources()));
}

#[test]
fn long_file_is_found_unless_it_says_why() {
    let long = "//! A.\n".to_owned() + &"\n".repeat(FILE_LINES_MAX);
    assert_eq!(file_lengths(&[Source::new("rules/src/a.rs", &long)]).len(), 1);
    let excused = long.replacen('\n', "\n// tidy: long because it is a table\n", 1);
    assert_eq!(file_lengths(&[Source::new("rules/src/a.rs", &excused)]).len(), 0);
}

#[test]
fn functions_are_not_long() {
    assert_none(function_lengths(&sources()));
}

#[test]
fn long_function_is_found_unless_it_says_why() {
    let body = "    let _ = \"}\";\n".repeat(FUNCTION_LINES_MAX);
    let long = format!("//! A.\n\nfn short() {{}}\n\n\n\nfn long() {{\n{body}}}\n");
    let found = function_lengths(&[Source::new("rules/src/a.rs", &long)]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("`long`"));
    let excused = long.replace("fn long", "// tidy: long because it is a table\nfn long");
    assert_eq!(function_lengths(&[Source::new("rules/src/a.rs", &excused)]).len(), 0);
}
