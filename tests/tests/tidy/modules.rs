//! Who may name whom: crates, and the rooms inside of them.
//! Never here: rules about outside libraries.

use std::collections::{BTreeMap, BTreeSet};

use crate::assert_none;
use crate::tree::{Source, read, sources};

/// What each crate may depend on among our own.
const CRATES: [(&str, &[&str]); 7] = [
    ("rules", &[]),
    ("config", &["segue-rules"]),
    ("proxy", &["segue-rules", "segue-config"]),
    ("tests", &["segue-rules", "segue-config", "segue", "xtask"]),
    ("fuzz", &["segue-rules", "segue-config", "segue"]),
    ("model", &["segue-rules"]),
    ("xtask", &[]),
];

/// What each room of `proxy` may name. `telemetry` may be named by all.
const ROOMS: [(&str, &[&str]); 13] = [
    ("telemetry", &[]),
    ("wire", &[]),
    ("dynamo", &[]),
    ("journal", &[]),
    ("mysql", &["wire"]),
    ("mirror", &["mysql", "dynamo", "journal"]),
    ("movement", &["mirror", "mysql", "dynamo", "journal"]),
    ("control", &[]),
    ("execute", &["wire", "mysql", "dynamo", "mirror"]),
    ("session", &["execute", "control", "wire", "mysql", "dynamo", "mirror"]),
    ("console", &["control", "mirror", "movement"]),
    ("app", APP),
    ("cli", CLI),
];
const APP: &[&str] = &[
    "wire", "dynamo", "journal", "mysql", "mirror", "movement", "control", "execute", "session",
    "console",
];
const CLI: &[&str] = &[
    "app", "wire", "dynamo", "journal", "mysql", "mirror", "movement", "control", "execute",
    "session", "console",
];

/// Rooms of `rules` that may name each other: both are plain data, and a column's type is needed to
/// convert its cells while the catalog uses the names that cells go by.
const MUTUAL: [(&str, &str); 1] = [("catalog", "value")];

/// Rooms of its own crate that a file names, with the line.
fn named_rooms(source: &Source) -> Vec<(String, usize)> {
    let mut found = vec![];
    for (number, line) in joined_lines(&source.product) {
        for (at, _) in line.match_indices("crate::") {
            let before = line[..at].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
                continue;
            }
            for room in first_names(&line[at + "crate::".len()..]) {
                found.push((room, number));
            }
        }
        // `super::` climbs as far as the file is deep; one further is the crate's root.
        let climb = "super::".repeat(module_depth(&source.path));
        for (at, _) in line.match_indices(&climb) {
            if climb.is_empty() || line[..at].ends_with("super::") {
                continue;
            }
            for room in first_names(&line[at + climb.len()..]) {
                found.push((room, number));
            }
        }
    }
    found
}

/// Depth of the file's module below the crate's root.
fn module_depth(path: &str) -> usize {
    let below = path.split_once("/src/").map_or("", |(_, rest)| rest);
    let names: Vec<&str> = below.split('/').collect();
    match names.last() {
        Some(&"mod.rs") => names.len() - 1,
        Some(&("lib.rs" | "main.rs")) if names.len() == 1 => 0,
        _ => names.len(),
    }
}

/// Lines, with a brace group that spans several of them pulled onto its first.
fn joined_lines(code: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = vec![];
    let mut open = false;
    for (index, line) in code.lines().enumerate() {
        let trimmed = line.trim_start();
        let begins = trimmed.starts_with("use ") || trimmed.starts_with("pub use ");
        match lines.last_mut() {
            Some((_, last)) if open => last.push_str(line),
            _ => lines.push((index + 1, line.to_owned())),
        }
        open = (open || begins) && !line.contains(';');
    }
    lines
}

/// `a::b` gives `a`; `{a, b::{c, d}}` gives `a` and `b`.
fn first_names(path: &str) -> Vec<String> {
    let name = |text: &str| -> String {
        text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
    };
    let Some(group) = path.strip_prefix('{') else { return vec![name(path)] };
    let mut depth = 0;
    let mut begin = 0;
    let mut names = vec![];
    for (at, symbol) in group.char_indices() {
        match symbol {
            '{' => depth += 1,
            '}' if depth == 0 => {
                names.push(name(&group[begin..at]));
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                names.push(name(&group[begin..at]));
                begin = at + 1;
            }
            _ => {}
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

fn proxy_edges(sources: &[Source]) -> Vec<String> {
    let allowed: BTreeMap<&str, &[&str]> = ROOMS.into_iter().collect();
    let mut found = vec![];
    for source in sources.iter().filter(|source| source.path.starts_with("proxy/src/")) {
        let (_, room) = source.room();
        if matches!(room, "lib" | "main") {
            continue;
        }
        let Some(may) = allowed.get(room) else {
            found.push(format!("{}: `{room}` is no room of the house", source.path));
            continue;
        };
        for (named, line) in named_rooms(source) {
            let is_room = allowed.contains_key(named.as_str());
            let fine = named == room || named == "telemetry" || may.contains(&named.as_str());
            if is_room && !fine {
                found.push(format!("{}:{line}: `{room}` may not name `{named}`", source.path));
            }
        }
    }
    found
}

/// Rooms that reach themselves through others, in one crate.
fn cycles(sources: &[Source], member: &str) -> Vec<String> {
    let own: Vec<&Source> = sources.iter().filter(|source| source.room().0 == member).collect();
    let rooms: BTreeSet<&str> = own.iter().map(|source| source.room().1).collect();
    let mut edges: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for source in own {
        let room = source.room().1;
        for (named, _) in named_rooms(source) {
            let mutual = MUTUAL.contains(&(room, named.as_str()));
            if named != room && rooms.contains(named.as_str()) && room != "lib" && !mutual {
                edges.entry(room).or_default().insert(named);
            }
        }
    }
    let reaches = |from: &str| {
        let mut seen: BTreeSet<String> = BTreeSet::new();
        let mut next = vec![from.to_owned()];
        while let Some(room) = next.pop() {
            for named in edges.get(room.as_str()).into_iter().flatten() {
                if seen.insert(named.clone()) {
                    next.push(named.clone());
                }
            }
        }
        seen
    };
    let looping = rooms.iter().filter(|room| reaches(room).contains(**room));
    let tell = |room: &&str| {
        format!("{member}: `{room}` reaches itself through one of {:?}", edges.get(*room))
    };
    looping.map(tell).collect()
}

/// Our own crates in a manifest that it may not depend on.
fn crate_edges(member: &str, manifest: &str) -> Vec<String> {
    let may = CRATES.iter().find(|(name, _)| *name == member).map_or(&[][..], |(_, may)| *may);
    let names = manifest.lines().filter_map(|line| line.split(['.', ' ', '=']).next());
    let own = names.filter(|name| name.starts_with("segue") || *name == "xtask");
    own.filter(|name| !may.contains(name))
        .map(|name| format!("{member}/Cargo.toml: may not depend on `{name}`"))
        .collect()
}

#[test]
fn rooms_of_the_proxy_name_only_what_they_may() {
    assert_none(proxy_edges(&sources()));
}

#[test]
fn forbidden_edge_is_found_in_every_spelling() {
    for text in [
        "use crate::session::Session;",
        "use crate::{telemetry, session};",
        "use crate::{\n    telemetry::Metrics,\n    session::{A, B},\n};",
        "fn f() { crate::session::run() }",
        "use super::super::session;",
    ] {
        let found = proxy_edges(&[Source::new("proxy/src/wire/packet.rs", text)]);
        assert_eq!(found.len(), 1, "{text}: {found:?}");
    }
    let fine = "use crate::telemetry::Metrics;\n// crate::session\nuse super::frame;\n";
    assert_none(proxy_edges(&[Source::new("proxy/src/wire/packet.rs", fine)]));
    assert_eq!(proxy_edges(&[Source::new("proxy/src/attic/mod.rs", "//! A.")]).len(), 1);
}

#[test]
fn permitted_edges_make_no_circle() {
    let mut left: BTreeMap<&str, &[&str]> = ROOMS.into_iter().collect();
    while !left.is_empty() {
        let leaves: Vec<&str> = left
            .iter()
            .filter(|(_, may)| may.iter().all(|name| !left.contains_key(name)))
            .map(|(room, _)| *room)
            .collect();
        assert!(!leaves.is_empty(), "a circle among {:?}", left.keys());
        left.retain(|room, _| !leaves.contains(room));
    }
}

#[test]
fn rooms_make_no_circle() {
    let sources = sources();
    for member in ["rules", "config", "proxy"] {
        assert_none(cycles(&sources, member));
    }
}

#[test]
fn circle_is_found() {
    let sources = [
        Source::new("rules/src/a.rs", "use crate::b::B;"),
        Source::new("rules/src/b/mod.rs", "use crate::c::C;"),
        Source::new("rules/src/c.rs", "use crate::a::A;"),
    ];
    assert_eq!(cycles(&sources, "rules").len(), 3);
    assert_eq!(cycles(&sources[..2], "rules").len(), 0);
}

#[test]
fn crates_depend_only_on_what_they_may() {
    for (member, _) in CRATES {
        let manifest = read(&format!("{member}/Cargo.toml")).expect("every crate has a manifest");
        let below = manifest.split_once("[dependencies]").map_or("", |(_, rest)| rest);
        assert_none(crate_edges(member, below));
    }
}

#[test]
fn forbidden_crate_is_found() {
    assert_eq!(crate_edges("rules", "segue-config.workspace = true\n").len(), 1);
    assert_eq!(crate_edges("config", "segue-rules = { workspace = true }\n").len(), 0);
}
