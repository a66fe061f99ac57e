//! Owed work on disk: an append-only, checksummed log with group commit and compaction.
//! Never here: what a record means.

use std::path::Path;
use std::sync::Arc;

use crate::telemetry::Metrics;

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

#[derive(Debug, thiserror::Error)]
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
    /// Live records in append order.
    pub records: Vec<(RecordId, Vec<u8>)>,
    /// Bytes skipped because a record was damaged (not a torn tail): the caller owes sweeps.
    pub damaged_bytes: u64,
    /// A torn last record was cut off (normal after a crash).
    pub torn_tail: bool,
}

/// The journal. Cheap to clone.
#[derive(Clone)]
pub struct Journal {}

impl Journal {
    /// Opens or creates the journal folder, locks it against other processes, reads what is live.
    pub async fn open(
        _folder: &Path,
        _options: JournalOptions,
        _metrics: Arc<Metrics>,
    ) -> Result<(Journal, Recovery), JournalError> {
        unimplemented!()
    }

    /// Appends a record; returns once it is as durable as the setting says.
    pub async fn append(&self, _record: Vec<u8>) -> Result<RecordId, JournalError> {
        unimplemented!()
    }

    /// Marks a record done. Written lazily: a crash may bring the record back, never lose one.
    pub fn remove(&self, _id: RecordId) {
        unimplemented!()
    }

    /// Writes and syncs everything pending, then closes.
    pub async fn close(&self) -> Result<(), JournalError> {
        unimplemented!()
    }
}
