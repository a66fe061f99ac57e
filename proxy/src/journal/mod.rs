//! Owed work on disk: an append-only, checksummed log with group commit and compaction.
//! Never here: what a record means.
//!
//! A folder of numbered segments. Records are put into the newest one; a removal is a record of its own.
//! The oldest segment goes when nothing in it is live; where dead bytes dominate, its live records are
//! first put again into the newest. Segments go oldest first only: so a removal never outlives, and never
//! dies before, the record it removes. One thread owns the files.

mod mark;
mod places;
mod read;
mod record;
mod recovery;
mod segment;
mod shared;
mod writer;

#[cfg(test)]
mod tests;

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use segue_config::limits::JOURNAL_RESERVE_BYTES;
use tokio::sync::oneshot;

use crate::telemetry::Metrics;
use shared::{Owner, Shared};

/// Identity of a live record; unique while the process lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordId(pub u64);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// `fdatasync` before `append` returns, shared by all appends that wait (group commit).
    Fsync,
    /// Written to the operating system before `append` returns: survives `kill -9`, not a power cut.
    Write,
}

#[derive(Clone, Debug)]
pub struct JournalOptions {
    pub durability: Durability,
    /// Bound on live bytes; an append beyond it fails with `Full`.
    pub bytes_max: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    #[error("journal {path}: {reason}")]
    Io { path: String, reason: String },
    #[error("journal {path} is in use by another process")]
    InUse { path: String },
    #[error("journal is full ({bytes} bytes)")]
    Full { bytes: u64 },
}

/// What opening found.
#[derive(Debug, Default)]
pub struct Recovery {
    /// Live records in append order; [`Journal::read`] has what they hold.
    pub records: Vec<RecordId>,
    /// Bytes skipped because a record was damaged (not a torn tail): the caller owes sweeps. They are
    /// reported at every opening until their segment is gone.
    pub damaged_bytes: u64,
    /// A torn last record was cut off (normal after a crash).
    pub torn_tail: bool,
    /// An earlier process could not write records: the caller owes sweeps, and then mends the mark.
    pub gaps: bool,
}

/// The journal. Cheap to clone. The files are closed after [`Journal::close`], or when the last clone
/// is dropped (then without waiting for it).
#[derive(Clone)]
pub struct Journal {
    owner: Arc<Owner>,
}

impl Journal {
    /// Opens or creates the journal folder, locks it against other processes, reads what is live.
    pub async fn open(
        folder: &Path,
        options: JournalOptions,
        metrics: Arc<Metrics>,
    ) -> Result<(Journal, Recovery), JournalError> {
        let shared = Arc::new(Shared::new(folder, options.bytes_max));
        let (opened, recovery) = oneshot::channel();
        let thread_shared = Arc::clone(&shared);
        let folder = folder.to_owned();
        std::thread::Builder::new()
            .name("segue-journal".into())
            .spawn(move || writer::run(&folder, &options, metrics, &thread_shared, opened))
            .map_err(|error| shared.io_error(&error))?;
        let recovery = recovery.await.map_err(|_| shared.closed_error())??;
        Ok((Journal { owner: Arc::new(Owner { shared }) }, recovery))
    }

    /// Appends a record; returns once it is as durable as the setting says. Where the future is dropped
    /// before, the record may be written nevertheless; it is then live until the next opening.
    pub async fn append(&self, record: Vec<u8>) -> Result<RecordId, JournalError> {
        self.append_beyond(record, 0).await
    }

    /// The same for a record that stands for many others: there is room for it even in a full journal.
    pub async fn append_in_reserve(&self, record: Vec<u8>) -> Result<RecordId, JournalError> {
        self.append_beyond(record, JOURNAL_RESERVE_BYTES).await
    }

    async fn append_beyond(&self, record: Vec<u8>, more: u64) -> Result<RecordId, JournalError> {
        let shared = &self.owner.shared;
        let written = shared.enqueue(record, more)?;
        written.await.map_err(|_| shared.closed_error())?
    }

    /// What live records hold, in the order asked for. `None`: the record is not live, or its bytes are
    /// damaged by now.
    pub async fn read(&self, ids: Vec<RecordId>) -> Vec<Option<Vec<u8>>> {
        let (shared, count) = (Arc::clone(&self.owner.shared), ids.len());
        let read = tokio::task::spawn_blocking(move || read::all(&shared, &ids));
        read.await.unwrap_or_else(|_| vec![None; count])
    }

    /// Marks a record done. Written lazily: a crash may bring the record back, never lose one.
    pub fn remove(&self, id: RecordId) {
        self.owner.shared.remove(id);
    }

    /// Notes, durably, that a record is missing that should be here. Works on a full disk.
    pub async fn mark_gap(&self) -> Result<(), JournalError> {
        self.mark(mark::set).await
    }

    /// Takes that note back.
    pub async fn mend_gap(&self) -> Result<(), JournalError> {
        self.mark(mark::clear).await
    }

    async fn mark(&self, change: fn(&Path) -> std::io::Result<()>) -> Result<(), JournalError> {
        let shared = Arc::clone(&self.owner.shared);
        let work = move || change(shared.folder()).map_err(|error| shared.io_error(&error));
        let done = tokio::task::spawn_blocking(work).await;
        done.unwrap_or_else(|_| Err(self.owner.shared.closed_error()))
    }

    /// Bytes of the records that are live.
    pub fn live_bytes(&self) -> u64 {
        self.owner.shared.live_bytes()
    }

    /// Whether a tenth of the bound on live bytes is free.
    pub fn has_room(&self) -> bool {
        self.owner.shared.has_room()
    }

    /// Writes and syncs everything pending, then closes. Later appends fail.
    pub async fn close(&self) -> Result<(), JournalError> {
        match self.owner.shared.begin_close(true) {
            Some(closed) => closed.await.unwrap_or(Ok(())),
            None => Ok(()),
        }
    }
}

/// What stands in the bytes of one segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survey {
    /// Whole records in order: their id and where the payload stands; no payload where the record
    /// removes another.
    pub records: Vec<(u64, Option<Range<usize>>)>,
    pub damaged_bytes: u64,
    /// Bytes that recovery keeps; fewer than all where the tail is torn.
    pub kept_bytes: usize,
}

/// Reads a segment's bytes as recovery does, without files: for checks of the format.
pub fn survey(bytes: &[u8]) -> Survey {
    let mut records = Vec::new();
    let tally = record::scan(bytes, |found| match found {
        record::Record::Put { id, payload } => records.push((id, Some(payload))),
        record::Record::Remove { id } => records.push((id, None)),
    });
    Survey { records, damaged_bytes: tally.damaged_bytes, kept_bytes: tally.kept_bytes }
}

/// Appends a record to a segment's bytes as the writer does: for checks of the format.
pub fn append_put(segment: &mut Vec<u8>, id: u64, payload: &[u8]) {
    record::encode_put(segment, id, payload);
}
