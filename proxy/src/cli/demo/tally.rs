//! What the customers of the demo have done so far.
//! Never here: what Segue has done (its metrics say that).

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

/// Messages of failed statements that are kept; the rest is only counted.
const FAILURES_KEPT: usize = 3;

/// Counters shared by all customers.
#[derive(Debug, Default)]
pub struct Tally {
    pub statements: AtomicU64,
    pub committed: AtomicU64,
    pub rolled_back: AtomicU64,
    /// Refused by MySQL for reasons every application knows: deadlock, duplicate, parent row gone.
    pub refused: AtomicU64,
    /// Anything else. The demo fails when this is not 0.
    pub failed: AtomicU64,
    /// Greatest user id seen, to pick customers by.
    pub users: AtomicU64,
    failures: Mutex<Vec<String>>,
}

impl Tally {
    pub fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub fn of(counter: &AtomicU64) -> u64 {
        counter.load(Ordering::Relaxed)
    }

    pub fn fail(&self, message: String) {
        Tally::add(&self.failed);
        let mut failures = self.failures.lock();
        if failures.len() < FAILURES_KEPT {
            failures.push(message);
        }
    }

    pub fn failures(&self) -> Vec<String> {
        self.failures.lock().clone()
    }
}
