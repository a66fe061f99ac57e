//! What callers and the writer's thread share: the queue, and the account of live bytes.
//! Never here: files.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use segue_config::limits;
use tokio::sync::oneshot;

use super::record::OVERHEAD_BYTES;
use super::{JournalError, RecordId};

pub(super) type Answer<T> = oneshot::Sender<Result<T, JournalError>>;

/// A record on its way to the disk.
pub(super) struct Append {
    pub id: u64,
    pub payload: Vec<u8>,
    pub answer: Answer<RecordId>,
}

/// What the writer takes up at once.
#[derive(Default)]
pub(super) struct Batch {
    pub appends: Vec<Append>,
    pub removals: Vec<u64>,
    /// Set when this batch is the last one; whom to answer then, if anybody.
    pub close: Option<Option<Answer<()>>>,
}

#[derive(Default)]
struct Inbox {
    appends: Vec<Append>,
    removals: Vec<u64>,
    close: Option<Option<Answer<()>>>,
    /// Nothing is taken up any more.
    closed: bool,
    next_id: u64,
    /// Bytes of each live or queued record.
    live: HashMap<u64, u64>,
    live_bytes: u64,
}

pub(super) struct Shared {
    inbox: Mutex<Inbox>,
    work: Condvar,
    bytes_max: u64,
    path: Arc<str>,
}

/// Held by all clones of the journal: closes it when the last one goes.
pub(super) struct Owner {
    pub shared: Arc<Shared>,
}

impl Drop for Owner {
    fn drop(&mut self) {
        let _ = self.shared.begin_close(false);
    }
}

impl Shared {
    pub fn new(folder: &Path, bytes_max: u64) -> Shared {
        Shared {
            inbox: Mutex::default(),
            work: Condvar::new(),
            bytes_max,
            path: folder.display().to_string().into(),
        }
    }

    pub fn io_error(&self, error: &std::io::Error) -> JournalError {
        JournalError::Io { path: self.path.to_string(), reason: error.to_string() }
    }

    pub fn folder(&self) -> &Path {
        Path::new(&*self.path)
    }

    pub fn closed_error(&self) -> JournalError {
        JournalError::Io { path: self.path.to_string(), reason: "the journal is closed".to_owned() }
    }

    /// Takes over what recovery found.
    pub fn adopt(&self, records: &[(RecordId, Vec<u8>)], next_id: u64) {
        let mut inbox = self.inbox.lock();
        inbox.next_id = next_id;
        for (id, payload) in records {
            let bytes = record_bytes(payload);
            inbox.live.insert(id.0, bytes);
            inbox.live_bytes += bytes;
        }
    }

    pub fn live_bytes(&self) -> u64 {
        self.inbox.lock().live_bytes
    }

    pub fn enqueue(
        &self,
        payload: Vec<u8>,
    ) -> Result<oneshot::Receiver<Result<RecordId, JournalError>>, JournalError> {
        let bytes = record_bytes(&payload);
        let mut inbox = self.inbox.lock();
        if inbox.closed || inbox.close.is_some() {
            return Err(self.closed_error());
        }
        let full = inbox.live_bytes + bytes > self.bytes_max;
        if full || payload.len() > limits::JOURNAL_RECORD_BYTES_MAX {
            return Err(JournalError::Full { bytes: inbox.live_bytes });
        }
        let id = inbox.next_id;
        inbox.next_id += 1;
        inbox.live.insert(id, bytes);
        inbox.live_bytes += bytes;
        let (answer, written) = oneshot::channel();
        inbox.appends.push(Append { id, payload, answer });
        self.work.notify_one();
        Ok(written)
    }

    /// Never waits for the disk. A record that is not live is passed over.
    pub fn remove(&self, id: RecordId) {
        let mut inbox = self.inbox.lock();
        if let Some(bytes) = inbox.live.remove(&id.0) {
            inbox.live_bytes -= bytes;
            if inbox.removals.is_empty() {
                self.work.notify_one();
            }
            // Bounded by the number of live records: each is removed once.
            inbox.removals.push(id.0);
        }
    }

    /// Asks the writer to end. `None`: it has ended, or was asked before.
    pub fn begin_close(&self, waits: bool) -> Option<oneshot::Receiver<Result<(), JournalError>>> {
        let mut inbox = self.inbox.lock();
        if inbox.closed || inbox.close.is_some() {
            return None;
        }
        let (answer, closed) = oneshot::channel();
        inbox.close = Some(waits.then_some(answer));
        self.work.notify_one();
        Some(closed)
    }

    /// The thread has ended: drops what waits, so that waiting callers get an error.
    pub fn end(&self) {
        let mut inbox = self.inbox.lock();
        inbox.closed = true;
        inbox.appends.clear();
        inbox.close = None;
    }

    /// Waits for work. Removals alone wait for company, at least until `not_before`.
    pub fn next_batch(&self, not_before: Option<Instant>) -> Batch {
        let mut inbox = self.inbox.lock();
        let mut removals_since: Option<Instant> = None;
        while inbox.appends.is_empty() && inbox.close.is_none() {
            if inbox.removals.is_empty() {
                self.work.wait(&mut inbox);
                continue;
            }
            let since = *removals_since.get_or_insert_with(Instant::now);
            let due = since + limits::JOURNAL_REMOVAL_DELAY;
            let due = not_before.map_or(due, |instant| due.max(instant));
            let left = due.saturating_duration_since(Instant::now());
            if left == Duration::ZERO {
                break;
            }
            self.work.wait_for(&mut inbox, left);
        }
        let mut bytes = 0;
        let fitting = inbox.appends.iter().take_while(|append| {
            let fits = bytes <= limits::JOURNAL_BATCH_BYTES_MAX;
            bytes += append.payload.len();
            fits
        });
        let count = fitting.count();
        let appends = inbox.appends.drain(..count).collect();
        // Closing comes last.
        let close = if inbox.appends.is_empty() { inbox.close.take() } else { None };
        inbox.closed |= close.is_some();
        Batch { appends, removals: std::mem::take(&mut inbox.removals), close }
    }

    /// The disk refused these: the appends are not live, the removals wait for another try.
    pub fn give_back(&self, appends: &[Append], removals: Vec<u64>) {
        let mut inbox = self.inbox.lock();
        for append in appends {
            if let Some(bytes) = inbox.live.remove(&append.id) {
                inbox.live_bytes -= bytes;
            }
        }
        inbox.removals.extend(removals);
    }
}

/// Bytes a record takes on disk.
pub(super) fn record_bytes(payload: &[u8]) -> u64 {
    (OVERHEAD_BYTES + payload.len()) as u64
}
