//! Rules about the tree: names of folders and files, manifests, what no file may mention.
//! Never here: rules about Rust code.

use toml::Value;

use crate::assert_none;
use crate::tree::{files, read};

/// Names that say nothing about what is inside.
const EMPTY_NAMES: [&str; 7] = ["utils", "util", "common", "helpers", "helper", "misc", "core2"];

/// Places on the builders' machines; a reader of the repository has none of them. Written in halves
/// so that this file does not mention them either.
const OUTSIDE: [&str; 3] =
    [concat!("../", "shared"), concat!("/work", "/shared"), concat!("/root", "/wt")];

fn empty_names(paths: &[String]) -> Vec<String> {
    let mut found = vec![];
    for path in paths {
        let named = |part: &str| {
            let stem = part.split('.').next().unwrap_or(part);
            EMPTY_NAMES.contains(&stem)
        };
        if path.split('/').any(named) {
            found.push(format!("{path}: a name that says nothing"));
        }
    }
    found
}

fn outside_places(path: &str, text: &str) -> Vec<String> {
    let mentions = OUTSIDE.iter().filter(|place| text.contains(**place));
    mentions.map(|place| format!("{path}: mentions {place}")).collect()
}

/// Dependencies of a member that state a version of their own.
fn own_versions(path: &str, manifest: &str) -> Vec<String> {
    let manifest: Value = match toml::from_str(manifest) {
        Ok(manifest) => manifest,
        Err(error) => return vec![format!("{path}: {error}")],
    };
    let mut found = vec![];
    for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
        let Some(table) = manifest.get(section).and_then(Value::as_table) else { continue };
        for (name, dependency) in table {
            let inherits = dependency.get("workspace").and_then(Value::as_bool) == Some(true);
            if !inherits {
                found.push(format!("{path}: `{name}` does not take its version of the workspace"));
            }
        }
    }
    let lints = manifest.get("lints").and_then(|lints| lints.get("workspace"));
    if lints.and_then(Value::as_bool) != Some(true) {
        found.push(format!("{path}: does not take the lints of the workspace"));
    }
    found
}

#[test]
fn names_of_folders_and_files_say_something() {
    assert_none(empty_names(&files()));
}

#[test]
fn empty_name_is_found() {
    let paths = ["proxy/src/utils/a.rs", "rules/src/helpers.rs", "rules/src/plan/mod.rs"];
    assert_eq!(empty_names(&paths.map(str::to_owned)).len(), 2);
}

#[test]
fn no_file_mentions_a_place_outside_of_the_tree() {
    let found = files().into_iter().filter_map(|path| Some((read(&path)?, path)));
    assert_none(found.flat_map(|(text, path)| outside_places(&path, &text)).collect());
}

#[test]
fn mention_of_an_outside_place_is_found() {
    let text = format!("see {}/notes.md", OUTSIDE[0]);
    assert_eq!(outside_places("README.md", &text).len(), 1);
}

#[test]
fn versions_stand_once_in_the_workspace() {
    let members = files();
    let manifests = members.iter().filter(|path| path.ends_with("/Cargo.toml"));
    let found = manifests.filter_map(|path| Some((path, read(path)?)));
    assert_none(found.flat_map(|(path, text)| own_versions(path, &text)).collect());
}

#[test]
fn version_in_a_member_is_found() {
    let manifest = "[lints]\nworkspace = true\n[dependencies]\na = \"1\"\nb = { version = \"2\" }\n\
                    c.workspace = true\nd = { workspace = true, features = [\"x\"] }\n";
    assert_eq!(own_versions("a/Cargo.toml", manifest).len(), 2);
    assert_eq!(own_versions("a/Cargo.toml", "[dependencies]\n").len(), 1);
}
