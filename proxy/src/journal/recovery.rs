//! Opening: the lock, reading every segment, cutting a torn tail.
//! Never here: writing records.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use super::places::{Place, Places};
use super::record::{OVERHEAD_BYTES, Record, scan};
use super::{JournalError, RecordId, Recovery, mark, segment};

/// A segment that is full: only read and deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sealed {
    pub number: u64,
    pub bytes: u64,
    /// Live records in it.
    pub live: usize,
    /// Its live records cannot be read again, so it must stay until they are removed.
    pub stuck: bool,
}

/// What is on disk.
#[derive(Debug)]
pub(super) struct Found {
    pub recovery: Recovery,
    pub segments: Vec<Sealed>,
    pub places: Places,
    pub next_id: u64,
    pub next_segment: u64,
}

/// Mode of the folder where it is made: nobody but the process's user reads it.
const FOLDER_MODE: u32 = 0o700;

/// Locks the folder against every other opening, of this process too. Released when dropped.
pub(super) fn lock(folder: &Path) -> Result<File, JournalError> {
    let shown = folder.display().to_string();
    let io = |error: io::Error| JournalError::Io { path: shown.clone(), reason: error.to_string() };
    // Records hold the key values of rows.
    let made = DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder);
    made.map_err(io)?;
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(folder.join("lock"))
        .map_err(io)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(JournalError::InUse { path: shown }),
        Err(TryLockError::Error(error)) => Err(io(error)),
    }
}

/// Reads every segment. A torn tail of the last one is cut off; damage is skipped and stays where it is.
pub(super) fn read(folder: &Path) -> io::Result<Found> {
    let gaps = mark::establish(folder)?;
    let numbers = segment::numbers(folder)?;
    let mut places = Places::default();
    let mut segments = Vec::new();
    let (mut damaged_bytes, mut torn_tail, mut greatest_id) = (0, false, 0);
    for &number in &numbers {
        let mut bytes = segment::read(folder, number)?;
        let tally = scan(&bytes, |record| match record {
            Record::Put { id, payload } => {
                greatest_id = greatest_id.max(id);
                let offset = (payload.start - OVERHEAD_BYTES) as u64;
                let bytes = payload.len() + OVERHEAD_BYTES;
                places.put(id, Place { segment: number, offset, bytes });
            }
            Record::Remove { id } => {
                greatest_id = greatest_id.max(id);
                places.forget(id);
            }
        });
        damaged_bytes += tally.damaged_bytes;
        if tally.kept_bytes < bytes.len() {
            if Some(&number) == numbers.last() {
                torn_tail = true;
                segment::cut(folder, number, tally.kept_bytes as u64)?;
                bytes.truncate(tally.kept_bytes);
            } else {
                // A segment is complete before the next one begins.
                damaged_bytes += (bytes.len() - tally.kept_bytes) as u64;
            }
        }
        segments.push(Sealed { number, bytes: bytes.len() as u64, live: 0, stuck: false });
    }
    let mut records = Vec::new();
    for (id, number) in places.all() {
        records.push(RecordId(id));
        if let Ok(at) = segments.binary_search_by_key(&number, |sealed: &Sealed| sealed.number) {
            segments[at].live += 1;
        }
    }
    Ok(Found {
        recovery: Recovery { records, damaged_bytes, torn_tail, gaps },
        segments,
        places,
        next_id: greatest_id + 1,
        next_segment: numbers.last().map_or(1, |last| last + 1),
    })
}
