//! The mark that records may be missing: a file's name, because a full disk still renames.
//! Never here: what follows from missing records.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

/// Every debt is in the journal.
const WHOLE: &str = "whole";
/// Some may not be.
const GAPS: &str = "gaps";

/// Makes the mark's file where there is none. `true`: an earlier process left the mark of gaps.
pub(super) fn establish(folder: &Path) -> io::Result<bool> {
    if folder.join(GAPS).exists() {
        return Ok(true);
    }
    OpenOptions::new().create(true).append(true).open(folder.join(WHOLE))?;
    Ok(false)
}

pub(super) fn set(folder: &Path) -> io::Result<()> {
    rename(folder, WHOLE, GAPS)
}

pub(super) fn clear(folder: &Path) -> io::Result<()> {
    rename(folder, GAPS, WHOLE)
}

/// Durable when this returns; done already is done.
fn rename(folder: &Path, from: &str, to: &str) -> io::Result<()> {
    match std::fs::rename(folder.join(from), folder.join(to)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound || !folder.join(to).exists() => {
            Err(error)
        }
        _ => File::open(folder)?.sync_all(),
    }
}
