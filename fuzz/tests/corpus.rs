//! Every input of the corpora goes through its target: what once failed never fails again.
//! Never here: looking for new inputs.

use std::path::{Path, PathBuf};

use segue_fuzz::{TARGETS, target};

/// The corpora are part of the repository and stay small.
const CORPORA_BYTES_MAX: u64 = 1 << 20;

fn corpora() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

fn inputs(name: &str) -> Vec<PathBuf> {
    let folder = corpora().join(name);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|_| panic!("{}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

#[test]
fn no_input_of_a_corpus_fails() {
    let mut failed = Vec::new();
    for target in TARGETS {
        let paths = inputs(target.name);
        assert!(!paths.is_empty(), "{} has no inputs", target.name);
        for path in paths {
            let input = std::fs::read(&path).unwrap();
            if std::panic::catch_unwind(|| (target.run)(&input)).is_err() {
                failed.push(path);
            }
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn no_input_that_is_cut_short_fails() {
    for target in TARGETS {
        (target.run)(b"");
        // Not every cut of every input: this is the short check.
        for path in inputs(target.name).iter().step_by(7) {
            let input = std::fs::read(path).unwrap();
            for cut in [1, input.len() / 3, input.len() / 2, input.len().saturating_sub(1)] {
                (target.run)(&input[..cut.min(input.len())]);
            }
        }
    }
}

#[test]
fn corpora_are_small_and_each_has_a_target() {
    let mut bytes = 0;
    for folder in std::fs::read_dir(corpora()).unwrap().flatten() {
        let name = folder.file_name().into_string().unwrap();
        assert!(target(&name).is_some(), "no target is named {name}");
        bytes += inputs(&name).iter().map(|path| path.metadata().unwrap().len()).sum::<u64>();
    }
    assert!(bytes <= CORPORA_BYTES_MAX, "{bytes} bytes");
}
