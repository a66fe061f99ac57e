//! The thread that owns the files: group commit, rotation, compaction.
//! Never here: waiting callers' accounts (see `shared`).

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use segue_config::limits::{JOURNAL_RETRY_DELAY, JOURNAL_SEGMENT_BYTES};
use tokio::sync::oneshot;

use super::places::Place;
use super::record::{Record, encode_put, encode_remove, scan};
use super::recovery::{self, Sealed};
use super::segment::{self, Segment};
use super::shared::{Batch, Shared};
use super::{Durability, JournalError, JournalOptions, RecordId, Recovery};
use crate::telemetry::Metrics;

/// Opens, answers what was found, then serves batches until the journal is closed.
pub(super) fn run(
    folder: &Path,
    options: &JournalOptions,
    metrics: Arc<Metrics>,
    shared: &Shared,
    opened: oneshot::Sender<Result<Recovery, JournalError>>,
) {
    let _ending = Ending(shared);
    let lock = match recovery::lock(folder) {
        Ok(lock) => lock,
        Err(error) => {
            let _ = opened.send(Err(error));
            return;
        }
    };
    let found = match recovery::read(folder) {
        Ok(found) => found,
        Err(error) => {
            let _ = opened.send(Err(shared.io_error(&error)));
            return;
        }
    };
    shared.adopt(found.places, found.next_id);
    let mut writer = Writer {
        folder: folder.to_owned(),
        durability: options.durability,
        metrics,
        active: None,
        active_live: 0,
        next_segment: found.next_segment,
        sealed: found.segments,
    };
    writer.show_bytes();
    if opened.send(Ok(found.recovery)).is_err() {
        return;
    }
    let mut not_before = None;
    loop {
        let mut batch = shared.next_batch(not_before);
        let close = batch.close.take();
        let outcome = writer.write(batch, shared, close.is_some());
        not_before = outcome.is_err().then(|| Instant::now() + JOURNAL_RETRY_DELAY);
        let Some(answer) = close else {
            writer.compact(shared);
            continue;
        };
        // Whoever waits for the end may open the journal again at once.
        drop(lock);
        if let Some(answer) = answer {
            let _ = answer.send(outcome);
        }
        return;
    }
}

/// However the thread ends, nobody waits for it.
struct Ending<'a>(&'a Shared);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Where bytes begin.
#[derive(Clone, Copy)]
struct At {
    segment: u64,
    offset: u64,
}

struct Writer {
    folder: PathBuf,
    durability: Durability,
    metrics: Arc<Metrics>,
    /// The newest segment. `None` at the start and after a failure: then the next batch begins one.
    active: Option<Segment>,
    /// Live records in it.
    active_live: usize,
    next_segment: u64,
    /// Older segments, oldest first.
    sealed: Vec<Sealed>,
}

impl Writer {
    /// Writes a batch and answers its appends. `sync`: in any case (closing).
    fn write(&mut self, batch: Batch, shared: &Shared, sync: bool) -> Result<(), JournalError> {
        let Batch { appends, removals, .. } = batch;
        let (mut bytes, mut stand) = (Vec::new(), Vec::with_capacity(appends.len()));
        for append in &appends {
            let begin = bytes.len();
            encode_put(&mut bytes, append.id, &append.payload);
            stand.push((append.id, begin..bytes.len()));
        }
        shared.with_places(|places| {
            // A removal of a record whose segment is gone needs no record.
            for id in removals.iter().filter(|id| places.segment(**id).is_some()) {
                encode_remove(&mut bytes, *id);
            }
        });
        let sync = sync || (self.durability == Durability::Fsync && !appends.is_empty());
        match self.put(&bytes, sync) {
            Ok(at) => {
                self.active_live += appends.len();
                self.stand(shared, at, stand);
                for id in removals {
                    self.forget(id, shared);
                }
                for append in appends {
                    let _ = append.answer.send(Ok(RecordId(append.id)));
                }
                self.show_bytes();
                Ok(())
            }
            Err(error) => {
                let error = shared.io_error(&error);
                shared.give_back(&appends, removals);
                for append in appends {
                    let _ = append.answer.send(Err(error.clone()));
                }
                Err(error)
            }
        }
    }

    /// Notes where records stand in what was just written.
    fn stand(&self, shared: &Shared, at: At, records: Vec<(u64, Range<usize>)>) {
        shared.with_places(|places| {
            for (id, range) in records {
                let offset = at.offset + range.start as u64;
                places.put(id, Place { segment: at.segment, offset, bytes: range.len() });
            }
        });
    }

    /// Writes bytes to the active segment; returns where they begin.
    fn put(&mut self, bytes: &[u8], sync: bool) -> io::Result<At> {
        let result = self.try_put(bytes, sync);
        if result.is_err() {
            self.metrics.journal_errors.inc();
            // What a failed write or sync left behind is not to be trusted: go on in a new segment. Records
            // in it that were answered with an error may come back after a crash, which is harmless.
            self.seal();
        }
        result
    }

    fn try_put(&mut self, bytes: &[u8], sync: bool) -> io::Result<At> {
        if bytes.is_empty() && self.active.is_none() {
            return Ok(At { segment: 0, offset: 0 });
        }
        #[cfg(test)]
        if self.folder.join(super::tests::FULL_DISK).exists() {
            return Err(io::Error::other("no space left"));
        }
        if self.active.as_ref().is_some_and(|active| active.bytes >= JOURNAL_SEGMENT_BYTES) {
            self.sync_active()?;
            self.seal();
        }
        if self.active.is_none() {
            self.active = Some(Segment::create(&self.folder, self.next_segment)?);
            self.next_segment += 1;
        }
        let active = self.active.as_mut().expect("made just above");
        let at = At { segment: active.number, offset: active.bytes };
        active.write(bytes)?;
        if sync {
            self.sync_active()?;
        }
        Ok(at)
    }

    fn sync_active(&self) -> io::Result<()> {
        if let Some(active) = &self.active {
            active.sync()?;
            self.metrics.journal_syncs.inc();
        }
        Ok(())
    }

    fn seal(&mut self) {
        if let Some(Segment { number, bytes, .. }) = self.active.take() {
            let live = std::mem::take(&mut self.active_live);
            self.sealed.push(Sealed { number, bytes, live, stuck: false });
        }
    }

    /// A record is live no more.
    fn forget(&mut self, id: u64, shared: &Shared) {
        let Some(number) = shared.with_places(|places| places.forget(id)) else { return };
        match self.sealed.iter_mut().find(|sealed| sealed.number == number) {
            Some(sealed) => sealed.live -= 1,
            None => self.active_live -= 1,
        }
    }

    /// Deletes the oldest segments that hold nothing live; where dead bytes dominate, moves the live records
    /// of the oldest one. One segment at a time: appends wait.
    fn compact(&mut self, shared: &Shared) {
        let outcome = self.try_compact(shared);
        if outcome.is_err() {
            // Nothing is lost by trying again later.
            self.metrics.journal_errors.inc();
        }
        self.show_bytes();
    }

    fn try_compact(&mut self, shared: &Shared) -> io::Result<()> {
        // A stuck segment is stepped over: records whose removals then go may come back after a crash.
        while let Some(at) = self.sealed.iter().position(|s| s.live == 0 || !s.stuck) {
            let live_bytes = shared.live_bytes();
            let dead_bytes = self.bytes().saturating_sub(live_bytes);
            let dominated = dead_bytes > live_bytes.max(JOURNAL_SEGMENT_BYTES);
            if self.sealed[at].live > 0 {
                return if dominated { self.move_live(at, shared) } else { Ok(()) };
            }
            self.delete(at)?;
        }
        Ok(())
    }

    /// Puts the live records of a sealed segment into the active one, then deletes it.
    fn move_live(&mut self, at: usize, shared: &Shared) -> io::Result<()> {
        let (number, expected) = (self.sealed[at].number, self.sealed[at].live);
        let bytes = segment::read(&self.folder, number)?;
        let (mut moved, mut again) = (Vec::with_capacity(expected), Vec::new());
        scan(&bytes, |record| {
            if let Record::Put { id, payload } = record
                && shared.with_places(|places| places.segment(id)) == Some(number)
            {
                let begin = again.len();
                encode_put(&mut again, id, &bytes[payload]);
                moved.push((id, begin..again.len()));
            }
        });
        if moved.len() < expected {
            // A live record has become unreadable. Its owner still knows it; the segment stays as it is.
            self.sealed[at].stuck = true;
            return Err(io::Error::other("a live record is damaged"));
        }
        // Synced whatever the setting: the old copy goes.
        let to = self.put(&again, true)?;
        self.active_live += moved.len();
        self.stand(shared, to, moved);
        self.sealed[at].live = 0;
        self.delete(at)
    }

    fn delete(&mut self, at: usize) -> io::Result<()> {
        segment::delete(&self.folder, self.sealed[at].number)?;
        self.sealed.remove(at);
        Ok(())
    }

    fn bytes(&self) -> u64 {
        let active = self.active.as_ref().map_or(0, |active| active.bytes);
        active + self.sealed.iter().map(|sealed| sealed.bytes).sum::<u64>()
    }

    fn show_bytes(&self) {
        self.metrics.journal_bytes.set(i64::try_from(self.bytes()).unwrap_or(i64::MAX));
    }
}
