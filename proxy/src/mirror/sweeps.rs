//! Owed sweeps: which tables must be gone through as a whole, and how far that is.
//! Never here: going through them (see `movement`), or who waits for which run.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use segue_rules::owed::{Turn, TurnState};
use segue_rules::value::TableName;
use serde::Serialize;

use super::ledger::EntryId;

/// How far a sweep is. `movement` writes it, reports read it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SweepProgress {
    /// Entity being gone through.
    pub entity: Option<String>,
    /// Entities to go through.
    pub entities: usize,
    pub entities_done: usize,
    /// Driving rows refreshed.
    pub rows: u64,
    /// Driving rows there were when the count was taken, where it was.
    pub rows_total: Option<u64>,
    /// DynamoDB items looked at.
    pub items: u64,
    /// Items refreshed because their row is gone or has another item key.
    pub strays: u64,
    /// Items that carry no bookkeeping: not ours, never touched.
    pub foreign: u64,
    /// Keys that could not be mirrored and are owed by themselves now.
    pub parked: u64,
}

/// What a report says of a sweep.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum SweepState {
    /// Waits for transactions that began before it.
    Waiting,
    Ready,
    Running,
    /// Starts anew soon.
    Failed {
        reason: String,
    },
}

#[derive(Debug)]
struct Sweep {
    turn: Turn<EntryId>,
    reason: String,
    since: Instant,
    next_reason: Option<String>,
    /// Why the last run failed, and when it starts anew.
    failure: Option<(String, Instant)>,
    progress: Arc<Mutex<SweepProgress>>,
}

/// A sweep for reports.
#[derive(Clone, Debug, Serialize)]
pub struct SweepReport {
    pub table: String,
    pub reason: String,
    #[serde(flatten)]
    pub state: SweepState,
    pub age_seconds: u64,
    /// Captured entries that wait for it.
    pub entries: usize,
    pub progress: SweepProgress,
}

impl Sweep {
    fn shown(&self) -> SweepState {
        match self.turn.state() {
            TurnState::Waiting => SweepState::Waiting,
            TurnState::Ready => SweepState::Ready,
            TurnState::Running => SweepState::Running,
            TurnState::Failed => {
                let reason = self.failure.as_ref().map(|(reason, _)| reason.clone());
                SweepState::Failed { reason: reason.unwrap_or_default() }
            }
        }
    }
}

/// At most one owed sweep per table.
#[derive(Debug, Default)]
pub(crate) struct Sweeps(BTreeMap<TableName, Sweep>);

impl Sweeps {
    /// Owes a sweep of the table to an entry. A running one will run again.
    pub fn owe(&mut self, table: &TableName, reason: &str, entry: EntryId, now: Instant) {
        match self.0.get_mut(table) {
            Some(sweep) => {
                if sweep.turn.owe(entry) {
                    sweep.next_reason.get_or_insert_with(|| reason.to_owned());
                }
            }
            None => {
                let sweep = Sweep {
                    turn: Turn::new(entry),
                    reason: reason.to_owned(),
                    since: now,
                    next_reason: None,
                    failure: None,
                    progress: Arc::default(),
                };
                self.0.insert(table.clone(), sweep);
            }
        }
    }

    /// Takes out the entries that wait for the same run as the one that came last.
    pub fn superseded(&mut self, table: &TableName) -> Vec<EntryId> {
        self.0.get_mut(table).map(|sweep| sweep.turn.superseded()).unwrap_or_default()
    }

    /// The next start of this table's sweep waits for one more barrier.
    pub fn hold(&mut self, table: &str) {
        if let Some(sweep) = self.0.get_mut(table) {
            sweep.turn.hold();
        }
    }

    /// A barrier was passed.
    pub fn release(&mut self, table: &str) {
        if let Some(sweep) = self.0.get_mut(table) {
            sweep.turn.release();
        }
    }

    /// Starts the oldest sweep that is ready.
    pub fn start(
        &mut self,
        now: Instant,
    ) -> Option<(TableName, String, Arc<Mutex<SweepProgress>>)> {
        let ready = |sweep: &Sweep| match sweep.turn.state() {
            TurnState::Ready => true,
            TurnState::Failed => sweep.failure.as_ref().is_none_or(|(_, at)| *at <= now),
            TurnState::Waiting | TurnState::Running => false,
        };
        let (table, sweep) =
            self.0.iter_mut().filter(|(_, sweep)| ready(sweep)).min_by_key(|(_, s)| s.since)?;
        sweep.turn.start();
        *sweep.progress.lock() = SweepProgress::default();
        Some((table.clone(), sweep.reason.clone(), sweep.progress.clone()))
    }

    /// When a failed sweep may start anew.
    pub fn next_due(&self) -> Option<Instant> {
        let failed = |sweep: &&Sweep| sweep.turn.state() == TurnState::Failed;
        let at = |sweep: &Sweep| sweep.failure.as_ref().map(|(_, at)| *at);
        self.0.values().filter(failed).filter_map(at).min()
    }

    /// The running sweep is done. Returns the entries that waited for it.
    pub fn done(&mut self, table: &TableName, now: Instant) -> Vec<EntryId> {
        let Some(sweep) = self.0.get_mut(table) else { return Vec::new() };
        let (waiters, again) = sweep.turn.done();
        if again {
            sweep.reason = sweep.next_reason.take().unwrap_or_default();
            sweep.since = now;
        } else {
            self.0.remove(table);
        }
        waiters
    }

    /// The running sweep could not be finished and starts anew at `retry_at`.
    pub fn failed(&mut self, table: &str, reason: String, retry_at: Instant) {
        let Some(sweep) = self.0.get_mut(table) else { return };
        sweep.turn.failed();
        sweep.failure = Some((reason, retry_at));
    }

    /// Failed sweeps may start anew at once.
    pub fn retry_now(&mut self, now: Instant) {
        for (_, retry_at) in self.0.values_mut().filter_map(|sweep| sweep.failure.as_mut()) {
            *retry_at = now;
        }
    }

    pub fn report(&self, now: Instant) -> Vec<SweepReport> {
        let report = |(table, sweep): (&TableName, &Sweep)| SweepReport {
            table: table.to_string(),
            reason: sweep.reason.clone(),
            state: sweep.shown(),
            age_seconds: now.saturating_duration_since(sweep.since).as_secs(),
            entries: sweep.turn.waiting(),
            progress: sweep.progress.lock().clone(),
        };
        self.0.iter().map(report).collect()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn owed(&self, table: &str) -> bool {
        self.0.contains_key(table)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_request_during_a_run_makes_it_run_again() {
        let (mut sweeps, now, table) = (Sweeps::default(), Instant::now(), TableName::from("t"));
        sweeps.owe(&table, "a", EntryId(1), now);
        sweeps.owe(&table, "b", EntryId(2), now);
        assert_eq!(sweeps.start(now).unwrap().1, "a");
        assert!(sweeps.start(now).is_none());
        sweeps.owe(&table, "c", EntryId(3), now);
        assert_eq!(sweeps.done(&table, now), vec![EntryId(1), EntryId(2)]);
        assert_eq!(sweeps.start(now).unwrap().1, "c");
        assert_eq!(sweeps.done(&table, now), vec![EntryId(3)]);
        assert!(sweeps.is_empty());
    }

    #[test]
    fn a_held_sweep_starts_when_every_barrier_is_passed() {
        let (mut sweeps, now, table) = (Sweeps::default(), Instant::now(), TableName::from("t"));
        sweeps.owe(&table, "a", EntryId(1), now);
        sweeps.hold("t");
        sweeps.hold("t");
        sweeps.release("t");
        assert!(sweeps.start(now).is_none());
        sweeps.release("t");
        assert!(sweeps.start(now).is_some());
    }

    #[test]
    fn a_barrier_set_during_a_run_holds_only_the_next_run() {
        let (mut sweeps, now, table) = (Sweeps::default(), Instant::now(), TableName::from("t"));
        sweeps.owe(&table, "a", EntryId(1), now);
        assert!(sweeps.start(now).is_some());
        sweeps.owe(&table, "b", EntryId(2), now);
        sweeps.hold("t");
        assert_eq!(sweeps.done(&table, now), vec![EntryId(1)]);
        assert!(sweeps.start(now).is_none());
        sweeps.release("t");
        assert!(sweeps.start(now).is_some());
    }

    #[test]
    fn a_failed_sweep_starts_anew_when_due_and_forgets_nobody() {
        let (mut sweeps, now, table) = (Sweeps::default(), Instant::now(), TableName::from("t"));
        sweeps.owe(&table, "a", EntryId(1), now);
        assert!(sweeps.start(now).is_some());
        sweeps.owe(&table, "b", EntryId(2), now);
        let later = now + Duration::from_secs(5);
        sweeps.failed("t", "down".into(), later);
        assert!(sweeps.start(now).is_none());
        assert_eq!(sweeps.next_due(), Some(later));
        sweeps.retry_now(now);
        assert!(sweeps.start(now).is_some());
        assert_eq!(sweeps.done(&table, now), vec![EntryId(1), EntryId(2)]);
    }
}
