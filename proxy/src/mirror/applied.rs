//! A sample of the keys that were applied, for a second look at them later.
//! Never here: that look (see `movement`).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use segue_config::limits::VALIDATION_WAITING_MAX;
use segue_rules::value::{Cell, TableName};

use super::Mirror;
use super::queue::Target;

/// A driving row whose item was brought up to date.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppliedKey {
    /// Name of the entity.
    pub entity: Arc<str>,
    /// Driving table.
    pub table: TableName,
    pub row_key: Vec<Cell>,
}

/// Keys that wait, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Applied {
    /// Keys a second that are taken; 0: none.
    pub per_second: u32,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    /// When the next key is taken.
    next: Option<Instant>,
    keys: VecDeque<(Instant, AppliedKey)>,
}

impl Applied {
    pub fn new(per_second: u32) -> Applied {
        Applied { per_second, waiting: Mutex::default() }
    }

    pub fn note(&self, target: &Target, now: Instant) {
        if self.per_second == 0 {
            return;
        }
        let mut waiting = self.waiting.lock();
        let early = waiting.next.is_some_and(|next| now < next);
        if early || waiting.keys.len() >= VALIDATION_WAITING_MAX {
            return;
        }
        waiting.next = Some(now + Duration::from_secs(1) / self.per_second);
        let key = AppliedKey {
            entity: target.entity.clone(),
            table: target.table.clone(),
            row_key: target.key.clone(),
        };
        waiting.keys.push_back((now, key));
    }

    /// Takes those that were applied before a moment, at most so many.
    fn take(&self, before: Instant, most: usize) -> Vec<AppliedKey> {
        let keys = &mut self.waiting.lock().keys;
        let due = keys.iter().take(most).take_while(|(at, _)| *at <= before).count();
        keys.drain(..due).map(|(_, key)| key).collect()
    }
}

impl Mirror {
    /// Takes applied keys that are this old, at most so many, out of the sample.
    pub fn applied(&self, age: Duration, most: usize) -> Vec<AppliedKey> {
        match self.shared.now().checked_sub(age) {
            Some(before) => self.shared.applied.take(before, most),
            None => Vec::new(),
        }
    }

    /// Whether the key may be owed now: then its item may rightly be old.
    pub fn may_owe(&self, entity: &str, table: &TableName, row_key: &[Cell]) -> bool {
        let target = Target { entity: entity.into(), table: table.clone(), key: row_key.to_vec() };
        let state = self.shared.state.lock();
        state.queue.has(&target)
            || state.expanding > 0
            || !state.backlog.is_empty()
            || !state.recovered.is_empty()
            || !state.sweeps.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_taken_at_their_rate_and_given_when_they_are_old_enough() {
        let (applied, begin) = (Applied::new(10), Instant::now());
        let target = |id| Target {
            entity: "Orders".into(),
            table: "orders".into(),
            key: vec![Cell::Int(id)],
        };
        for id in 0..100 {
            applied.note(&target(id), begin + Duration::from_millis(id as u64 * 10));
        }
        assert_eq!(applied.take(begin, 100).len(), 1);
        assert_eq!(applied.take(begin + Duration::from_secs(1), 4).len(), 4);
        assert_eq!(applied.take(begin + Duration::from_secs(1), 100).len(), 5);
        let none = Applied::new(0);
        none.note(&target(1), begin);
        assert!(none.take(begin, 1).is_empty());
    }
}
