//! What callers and the writer's thread share: the queue, and where records stand.
//! Never here: files.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use segue_config::limits;
use tokio::sync::oneshot;

use super::places::{Place, Places};
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
    places: Places,
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
    pub fn adopt(&self, places: Places, next_id: u64) {
        let mut inbox = self.inbox.lock();
        (inbox.places, inbox.next_id) = (places, next_id);
    }

    pub fn live_bytes(&self) -> u64 {
        self.inbox.lock().places.live_bytes()
    }

    pub fn has_room(&self) -> bool {
        self.live_bytes() <= self.bytes_max - self.bytes_max / 10
    }

    /// Where a live record can be read now.
    pub fn place(&self, id: RecordId) -> Option<Place> {
        self.inbox.lock().places.live(id.0)
    }

    /// Looks at the places, or changes them, in one go.
    pub fn with_places<T>(&self, work: impl FnOnce(&mut Places) -> T) -> T {
        work(&mut self.inbox.lock().places)
    }

    /// `reserve`: bytes beyond the bound that this record may use.
    pub fn enqueue(
        &self,
        payload: Vec<u8>,
        reserve: u64,
    ) -> Result<oneshot::Receiver<Result<RecordId, JournalError>>, JournalError> {
        let bytes = record_bytes(&payload);
        let mut inbox = self.inbox.lock();
        if inbox.closed || inbox.close.is_some() {
            return Err(self.closed_error());
        }
        let live_bytes = inbox.places.live_bytes();
        let full = live_bytes + bytes as u64 > self.bytes_max + reserve;
        if full || payload.len() > limits::JOURNAL_RECORD_BYTES_MAX {
            return Err(JournalError::Full { bytes: live_bytes });
        }
        let id = inbox.next_id;
        inbox.next_id += 1;
        inbox.places.queue(id, bytes);
        let (answer, written) = oneshot::channel();
        inbox.appends.push(Append { id, payload, answer });
        self.work.notify_one();
        Ok(written)
    }

    /// Never waits for the disk. A record that is not live is passed over.
    pub fn remove(&self, id: RecordId) {
        let mut inbox = self.inbox.lock();
        if inbox.places.remove(id.0) {
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
            inbox.places.drop_queued(append.id);
        }
        inbox.removals.extend(removals);
    }
}

/// Bytes a record takes on disk.
pub(super) fn record_bytes(payload: &[u8]) -> usize {
    OVERHEAD_BYTES + payload.len()
}
