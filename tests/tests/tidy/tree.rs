//! The source tree as data: every file of the repository, Rust files scanned.
//! Never here: rules.

use std::fs;
use std::path::{Path, PathBuf};

use crate::scan;

/// Folders that are no part of the source.
const NOT_SOURCE: [&str; 4] = [".git", "target", "var", "node_modules"];

/// One Rust file.
#[derive(Clone, Debug)]
pub struct Source {
    /// Relative to the repository, with `/`.
    pub path: String,
    pub text: String,
    /// Comments and literals blanked.
    pub code: String,
    /// Test items blanked too; empty where the whole file is a test.
    pub product: String,
}

impl Source {
    pub fn new(path: &str, text: &str) -> Source {
        let code = scan::code_of(text);
        let is_test = is_test_path(path);
        let product = if is_test { String::new() } else { scan::without_tests(&code) };
        Source { path: path.to_owned(), text: text.to_owned(), code, product }
    }

    /// Crate folder and room: the first name below `src`, without `.rs`.
    pub fn room(&self) -> (&str, &str) {
        let (member, rest) = self.path.split_once("/src/").unwrap_or((&self.path, ""));
        let room = rest.split('/').next().unwrap_or("");
        (member, room.strip_suffix(".rs").unwrap_or(room))
    }
}

/// Integration tests, the tests crate, and `tests.rs` beside the code.
fn is_test_path(path: &str) -> bool {
    path.starts_with("tests/")
        || path.split('/').any(|name| matches!(name, "tests" | "tests.rs" | "benches"))
        || path.ends_with("_tests.rs")
}

pub fn repository() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().expect("the tests crate lies in the repository").to_path_buf()
}

/// Paths of all files, relative, sorted.
pub fn files() -> Vec<String> {
    let root = repository();
    let mut found = vec![];
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("the tree can be read").flatten() {
            let name = entry.file_name();
            if NOT_SOURCE.iter().any(|not| name == *not) {
                continue;
            }
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(relative) = path.strip_prefix(&root) {
                found.push(relative.to_string_lossy().replace('\\', "/"));
            }
        }
    }
    found.sort();
    found
}

/// Text of a file; `None` where it is not there or is no text.
pub fn read(path: &str) -> Option<String> {
    fs::read_to_string(repository().join(path)).ok()
}

/// Every Rust file, scanned.
pub fn sources() -> Vec<Source> {
    let rust = files().into_iter().filter(|path| path.ends_with(".rs"));
    let mut sources: Vec<Source> =
        rust.filter_map(|path| Some(Source::new(&path, &read(&path)?))).collect();
    let tests: Vec<String> = sources.iter().flat_map(test_modules).collect();
    for source in &mut sources {
        let stem = source.path.trim_end_matches(".rs").trim_end_matches("/mod");
        if tests.iter().any(|test| stem == test || stem.starts_with(&format!("{test}/"))) {
            source.product = String::new();
        }
    }
    sources
}

/// Paths, without ending, of modules that a file declares as `#[cfg(test)] mod name;`.
fn test_modules(source: &Source) -> Vec<String> {
    let (folder, file) = source.path.rsplit_once('/').unwrap_or(("", &source.path));
    let folder = match file {
        "mod.rs" | "lib.rs" | "main.rs" => folder.to_owned(),
        _ => format!("{folder}/{}", file.trim_end_matches(".rs")),
    };
    let marks = source.code.match_indices("#[cfg(test)]");
    let names = marks.filter_map(|(at, mark)| {
        let declaration = source.code[at + mark.len()..].split([';', '{']).next()?;
        let words: Vec<&str> = declaration.split_whitespace().collect();
        let at = words.iter().position(|word| *word == "mod")?;
        Some(format!("{folder}/{}", words.get(at + 1)?))
    });
    names.collect()
}

#[test]
fn declared_test_modules_are_found() {
    let text = "#[cfg(test)]\nmod round_trips;\n#[cfg(test)]\npub(crate) mod testing;\nmod real;";
    let found = test_modules(&Source::new("rules/src/value/mod.rs", text));
    assert_eq!(found, ["rules/src/value/round_trips", "rules/src/value/testing"]);
    let found = test_modules(&Source::new("rules/src/route.rs", text));
    assert_eq!(found[0], "rules/src/route/round_trips");
}

#[test]
fn tree_has_every_crate() {
    let sources = sources();
    for member in ["rules", "config", "proxy", "tests", "xtask"] {
        assert!(sources.iter().any(|source| source.room().0 == member), "{member} has no sources");
    }
}
