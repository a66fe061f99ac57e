//! Rules about documents: every code is documented, every example loads, every link leads somewhere.
//! Never here: what a document says.

use std::collections::BTreeSet;

use crate::assert_none;
use crate::tree::{Source, files, read, sources};

/// Codes such as `W003-subquery` or `C012-key-nullable` in string literals.
fn codes(source: &Source) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    // Literals are what the code lacks: a quoted word of the text that stands blank in the code.
    for (at, _) in source.text.match_indices('"') {
        let word: String = source.text[at + 1..]
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric() || *c == '-')
            .collect();
        let ends_well = source.text[at + 1 + word.len()..].starts_with('"');
        if ends_well && is_code(&word) {
            found.insert(word);
        }
    }
    found
}

fn is_code(word: &str) -> bool {
    let Some((number, name)) = word.split_once('-') else { return false };
    let mut symbols = number.chars();
    symbols.next().is_some_and(|c| c.is_ascii_uppercase())
        && number.len() == 4
        && symbols.all(|c| c.is_ascii_digit())
        && name.starts_with(|c: char| c.is_ascii_lowercase())
}

/// Codes that no page of the reference explains.
fn undocumented(sources: &[Source], reference: &str) -> Vec<String> {
    let mut found = vec![];
    let product = sources.iter().filter(|source| !source.product.trim().is_empty());
    for source in product {
        for code in codes(source) {
            if !reference.contains(&code) {
                found.push(format!("{}: `{code}` is not in docs/reference", source.path));
            }
        }
    }
    found
}

fn reference() -> String {
    let pages = files().into_iter().filter(|path| path.starts_with("docs/reference/"));
    pages.filter_map(|path| read(&path)).collect()
}

/// Relative links of a Markdown page that lead to no file.
fn dead_links(page: &str, text: &str, exists: &dyn Fn(&str) -> bool) -> Vec<String> {
    let folder = page.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut found = vec![];
    for (at, _) in text.match_indices("](") {
        let target = text[at + 2..].split([')', '#', ' ']).next().unwrap_or("");
        if target.is_empty() || target.contains("://") || target.starts_with("mailto:") {
            continue;
        }
        let mut path: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
        for part in target.split('/') {
            match part {
                "" | "." => {}
                ".." => drop(path.pop()),
                _ => path.push(part),
            }
        }
        if !exists(&path.join("/")) {
            found.push(format!("{page}: the link to {target} leads nowhere"));
        }
    }
    found
}

#[test]
fn every_code_is_documented() {
    // Pages of codes come with the tables of codes.
    let tables = ["rules/src/plan/refusal_codes.rs", "rules/src/contract/codes.rs"];
    let present: Vec<Source> =
        sources().into_iter().filter(|source| tables.contains(&source.path.as_str())).collect();
    assert_none(undocumented(&present, &reference()));
}

#[test]
fn undocumented_code_is_found() {
    let text = "//! A.\nconst A: &str = \"W003-subquery\";\nconst B: &str = \"UTF-8\";\n";
    let sources = [Source::new("rules/src/plan/refusal_codes.rs", text)];
    assert_eq!(undocumented(&sources, "W001-other").len(), 1);
    assert_eq!(undocumented(&sources, "## W003-subquery").len(), 0);
}

#[test]
fn links_of_documents_lead_somewhere() {
    let files = files();
    let exists =
        |path: &str| files.iter().any(|file| file == path || file.starts_with(&format!("{path}/")));
    let pages = files.iter().filter(|path| path.ends_with(".md"));
    let texts = pages.filter_map(|path| Some((path, read(path)?)));
    assert_none(texts.flat_map(|(path, text)| dead_links(path, &text, &exists)).collect());
}

#[test]
fn dead_link_is_found() {
    let exists = |path: &str| path == "docs/there.md";
    let text = "[a](there.md) [b](../docs/there.md#x) [c](https://example.com) [d](gone.md)";
    assert_eq!(dead_links("docs/page.md", text, &exists).len(), 1);
}
