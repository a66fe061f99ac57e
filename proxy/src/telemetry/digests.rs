//! Statements seen, by digest: how often, how long, how many failed.
//! Never here: literals, or what a statement means.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use segue_config::limits;
use serde::Serialize;

/// Counters of all digests, bounded in number and in length of text.
#[derive(Default)]
pub struct Digests {
    counters: DashMap<u64, Arc<DigestCounter>>,
    unlisted: AtomicU64,
}

/// Counts one digest.
pub struct DigestCounter {
    text: Box<str>,
    executions: AtomicU64,
    errors: AtomicU64,
    micros: AtomicU64,
    micros_max: AtomicU64,
}

/// One digest as it is reported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DigestRow {
    /// Hash of the whole text, in hexadecimal.
    pub digest: String,
    /// The statement without literals, cut where it is long.
    pub text: String,
    pub executions: u64,
    pub errors: u64,
    /// From the command's arrival to the end of its answer, in microseconds, all executions together.
    pub total_us: u64,
    pub max_us: u64,
}

impl DigestCounter {
    /// Takes one execution.
    pub fn note(&self, elapsed: Duration, failed: bool) {
        let micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
        self.executions.fetch_add(1, Ordering::Relaxed);
        self.errors.fetch_add(u64::from(failed), Ordering::Relaxed);
        self.micros.fetch_add(micros, Ordering::Relaxed);
        if micros > self.micros_max.load(Ordering::Relaxed) {
            self.micros_max.fetch_max(micros, Ordering::Relaxed);
        }
    }
}

impl Digests {
    /// The moment from which a statement's time is counted.
    pub fn begin(&self) -> Instant {
        Instant::now()
    }

    /// The counter of a digest; `None` where there are too many, which is counted.
    pub fn counter(&self, hash: u64, text: &str) -> Option<Arc<DigestCounter>> {
        if let Some(counter) = self.counters.get(&hash) {
            return Some(counter.clone());
        }
        if self.counters.len() >= limits::DIGESTS_MAX {
            self.unlisted.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        let text = &text[..text.floor_char_boundary(limits::DIGEST_TEXT_BYTES_MAX)];
        let made = || DigestCounter {
            text: text.into(),
            executions: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            micros: AtomicU64::new(0),
            micros_max: AtomicU64::new(0),
        };
        match self.counters.entry(hash) {
            Entry::Occupied(entry) => Some(entry.get().clone()),
            Entry::Vacant(entry) => Some(entry.insert(Arc::new(made())).clone()),
        }
    }

    /// Executions of digests that found no place.
    pub fn unlisted(&self) -> u64 {
        self.unlisted.load(Ordering::Relaxed)
    }

    /// The digests that took most time in all, most first.
    pub fn report(&self, count: usize) -> Vec<DigestRow> {
        let row = |hash: u64, counter: &DigestCounter| DigestRow {
            digest: format!("{hash:016x}"),
            text: counter.text.to_string(),
            executions: counter.executions.load(Ordering::Relaxed),
            errors: counter.errors.load(Ordering::Relaxed),
            total_us: counter.micros.load(Ordering::Relaxed),
            max_us: counter.micros_max.load(Ordering::Relaxed),
        };
        let mut rows: Vec<DigestRow> =
            self.counters.iter().map(|entry| row(*entry.key(), entry.value())).collect();
        rows.sort_by(|a, b| b.total_us.cmp(&a.total_us).then_with(|| a.text.cmp(&b.text)));
        rows.truncate(count);
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slowest_in_all_comes_first_and_errors_are_counted() {
        let digests = Digests::default();
        let note = |hash, text: &str, micros, failed| {
            let counter = digests.counter(hash, text).unwrap();
            counter.note(Duration::from_micros(micros), failed);
        };
        note(1, "SELECT ?", 5, false);
        note(2, "DELETE FROM t", 7, true);
        note(1, "SELECT ?", 4, false);
        let rows = digests.report(9);
        assert_eq!(
            (rows[0].text.as_str(), rows[0].executions, rows[0].total_us),
            ("SELECT ?", 2, 9)
        );
        assert_eq!((rows[1].errors, rows[1].max_us), (1, 7));
        assert_eq!(digests.report(1).len(), 1);
    }

    #[test]
    fn number_and_length_are_bounded() {
        let digests = Digests::default();
        let long = "é".repeat(limits::DIGEST_TEXT_BYTES_MAX);
        for hash in 0..limits::DIGESTS_MAX as u64 {
            assert!(digests.counter(hash, &long).is_some());
        }
        assert!(digests.counter(u64::MAX, "SELECT ?").is_none());
        assert_eq!(digests.unlisted(), 1);
        assert!(digests.report(1)[0].text.len() <= limits::DIGEST_TEXT_BYTES_MAX);
    }
}
