//! Refreshes to do: one at a time per key, merged while they wait, live ones before sweeps.
//! Never here: clocks (time is handed in), the refresh itself, accounting.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use segue_rules::value::{Cell, ItemKey, TableName};
use tokio::sync::oneshot;

use super::ledger::EntryId;

/// One driving row of one entity. Names, not positions: a ruleset may be swapped meanwhile.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Target {
    pub entity: Arc<str>,
    pub table: TableName,
    pub key: Vec<Cell>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Priority {
    Live,
    Sweep,
}

/// Who wants to know that a refresh is done.
#[derive(Debug)]
pub(crate) enum Waiter {
    Entry(EntryId),
    Caller(oneshot::Sender<RefreshEnd>),
}

/// How a refresh ended for a caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefreshEnd {
    Done,
    /// The row itself cannot be mirrored. Unless it is `owed` already, the caller must owe it.
    Parked {
        owed: bool,
    },
    /// A store refused; nothing of the table will work until its cause is gone.
    Refused(String),
}

/// ```text
/// (none) --request--> Queued --take--> Running --done--> (none)
///             ^          ^               | request: dirty, queued again when done
///             |          +--- wake ---- Delayed <--retry--+
///             +--- request or retry -- Parked  <--park----+
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Queued,
    Running,
    Delayed,
    Parked { reason: String, since: Instant },
}

#[derive(Debug)]
struct Job {
    state: State,
    priority: Priority,
    attempts: u32,
    /// Old item keys and waiters of the run to come (or under way).
    stale: BTreeSet<ItemKey>,
    waiters: Vec<Waiter>,
    /// The same of requests that came while it ran.
    next: Option<(BTreeSet<ItemKey>, Vec<Waiter>, Priority)>,
}

/// A parked key, for reports.
#[derive(Clone, Debug)]
pub(crate) struct Parked {
    pub target: Target,
    pub reason: String,
    pub since: Instant,
    pub attempts: u32,
}

type Lane = (VecDeque<Arc<str>>, HashMap<Arc<str>, VecDeque<Target>>);

/// The queue. All operations are O(log n) or better, but for reports.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    jobs: HashMap<Target, Job>,
    lanes: BTreeMap<Priority, Lane>,
    due: BTreeMap<(Instant, u64), Target>,
    sequence: u64,
    parked: usize,
}

impl Queue {
    /// Asks for a refresh. Returns entries whose wait for a parked key ended by this.
    pub fn request(
        &mut self,
        target: Target,
        stale: impl IntoIterator<Item = ItemKey>,
        waiter: Option<Waiter>,
        priority: Priority,
    ) -> Vec<EntryId> {
        let Some(job) = self.jobs.get_mut(&target) else {
            let job = Job {
                state: State::Queued,
                priority,
                attempts: 0,
                stale: stale.into_iter().collect(),
                waiters: waiter.into_iter().collect(),
                next: None,
            };
            self.jobs.insert(target.clone(), job);
            self.push(target, priority);
            return Vec::new();
        };
        if job.state == State::Running {
            let next = job.next.get_or_insert_with(|| (BTreeSet::new(), Vec::new(), priority));
            next.0.extend(stale);
            next.1.extend(waiter);
            next.2 = next.2.min(priority);
            return Vec::new();
        }
        job.stale.extend(stale);
        let unparked = match job.state {
            State::Parked { .. } => entries(&job.waiters),
            _ => Vec::new(),
        };
        job.waiters.extend(waiter);
        let raised = priority < job.priority;
        job.priority = job.priority.min(priority);
        match job.state {
            State::Parked { .. } => {
                self.parked -= 1;
                job.state = State::Queued;
                let priority = job.priority;
                self.push(target, priority);
            }
            State::Queued if raised => self.push(target, priority),
            _ => {}
        }
        unparked
    }

    fn push(&mut self, target: Target, priority: Priority) {
        let (order, queues) = self.lanes.entry(priority).or_default();
        let queue = queues.entry(target.entity.clone()).or_default();
        if queue.is_empty() {
            order.push_back(target.entity.clone());
        }
        queue.push_back(target);
    }

    /// Takes up to `most` keys of one entity to run.
    pub fn take(&mut self, most: usize) -> Vec<(Target, BTreeSet<ItemKey>)> {
        for priority in [Priority::Live, Priority::Sweep] {
            let Some((order, queues)) = self.lanes.get_mut(&priority) else { continue };
            while let Some(entity) = order.pop_front() {
                let Some(queue) = queues.get_mut(&entity) else { continue };
                let mut batch = Vec::new();
                while batch.len() < most {
                    let Some(target) = queue.pop_front() else { break };
                    // Places of keys that were raised, or taken from another lane, are stale.
                    let Some(job) = self.jobs.get_mut(&target) else { continue };
                    if job.state != State::Queued || job.priority != priority {
                        continue;
                    }
                    job.state = State::Running;
                    batch.push((target, job.stale.clone()));
                }
                match queue.is_empty() {
                    true => drop(queues.remove(&entity)),
                    false => order.push_back(entity),
                }
                if !batch.is_empty() {
                    return batch;
                }
            }
        }
        Vec::new()
    }

    /// Queues the keys that are due. Returns entries whose wait for a parked key ended by this.
    pub fn wake(&mut self, now: Instant) -> Vec<EntryId> {
        let mut unparked = Vec::new();
        while let Some(entry) = self.due.first_entry() {
            if entry.key().0 > now {
                break;
            }
            let target = entry.remove();
            let Some(job) = self.jobs.get_mut(&target) else { continue };
            match job.state {
                State::Delayed => {
                    job.state = State::Queued;
                    let priority = job.priority;
                    self.push(target, priority);
                }
                State::Parked { .. } => unparked.extend(self.unpark(&target)),
                State::Queued | State::Running => {}
            }
        }
        unparked
    }

    /// When the next delayed key is due.
    pub fn next_due(&self) -> Option<Instant> {
        self.due.keys().next().map(|(at, _)| *at)
    }

    /// Ends a run that did its work. Returns those who waited for it, oldest first.
    pub fn done(&mut self, target: &Target) -> Vec<Waiter> {
        let Some(job) = self.jobs.get_mut(target) else { return Vec::new() };
        let waiters = std::mem::take(&mut job.waiters);
        match job.next.take() {
            Some((stale, waiters, priority)) => {
                job.stale = stale;
                job.waiters = waiters;
                job.attempts = 0;
                job.priority = priority;
                job.state = State::Queued;
                self.push(target.clone(), priority);
            }
            None => drop(self.jobs.remove(target)),
        }
        waiters
    }

    /// Ends a run that found the row under another spelling of its key: what waited for it and its
    /// old item keys go on under that one.
    pub fn respell(
        &mut self,
        target: &Target,
        key: Vec<Cell>,
        candidates: BTreeSet<ItemKey>,
    ) -> Vec<EntryId> {
        let Some(job) = self.jobs.get_mut(target) else { return Vec::new() };
        let (priority, mut stale) = (job.priority, std::mem::take(&mut job.stale));
        stale.extend(candidates);
        let right = Target { key, ..target.clone() };
        let mut unparked = self.request(right.clone(), stale, None, priority);
        for waiter in self.done(target) {
            unparked.extend(self.request(right.clone(), [], Some(waiter), priority));
        }
        unparked
    }

    /// How often this key failed in a row.
    pub fn attempts(&self, target: &Target) -> u32 {
        self.jobs.get(target).map_or(0, |job| job.attempts)
    }

    /// Ends a run that is to be tried again at `due`. `candidates`: item keys it may have written.
    pub fn retry(&mut self, target: &Target, candidates: BTreeSet<ItemKey>, due: Instant) {
        let Some(job) = self.jobs.get_mut(target) else { return };
        job.stale.extend(candidates);
        merge_next(job);
        job.attempts += 1;
        job.state = State::Delayed;
        self.sequence += 1;
        self.due.insert((due, self.sequence), target.clone());
    }

    /// Ends a run that cannot succeed as things stand. Callers are handed back, entries stay and
    /// are named. A key that was dirtied meanwhile runs again at once instead. `due`: when to try
    /// again unasked.
    pub fn park(
        &mut self,
        target: &Target,
        candidates: BTreeSet<ItemKey>,
        reason: String,
        now: Instant,
        due: Option<Instant>,
    ) -> (Vec<oneshot::Sender<RefreshEnd>>, Vec<EntryId>) {
        let Some(job) = self.jobs.get_mut(target) else { return (Vec::new(), Vec::new()) };
        job.stale.extend(candidates);
        if merge_next(job) {
            job.state = State::Queued;
            let priority = job.priority;
            self.push(target.clone(), priority);
            return (Vec::new(), Vec::new());
        }
        job.attempts += 1;
        let mut callers = Vec::new();
        for waiter in std::mem::take(&mut job.waiters) {
            match waiter {
                Waiter::Caller(caller) => callers.push(caller),
                entry => job.waiters.push(entry),
            }
        }
        let parked = entries(&job.waiters);
        if parked.is_empty() {
            // Only a sweep wanted it, and the sweep now knows.
            self.jobs.remove(target);
            return (callers, parked);
        }
        job.state = State::Parked { reason, since: now };
        self.parked += 1;
        if let Some(due) = due {
            self.sequence += 1;
            self.due.insert((due, self.sequence), target.clone());
        }
        (callers, parked)
    }

    /// Tries a parked key again. Returns the entries that waited for it.
    pub fn unpark(&mut self, target: &Target) -> Vec<EntryId> {
        match self.jobs.get(target) {
            Some(Job { state: State::Parked { .. }, priority, .. }) => {
                let priority = *priority;
                self.request(target.clone(), [], None, priority)
            }
            _ => Vec::new(),
        }
    }

    pub fn parked(&self) -> impl Iterator<Item = Parked> + '_ {
        self.jobs.iter().filter_map(|(target, job)| match &job.state {
            State::Parked { reason, since } => Some(Parked {
                target: target.clone(),
                reason: reason.clone(),
                since: *since,
                attempts: job.attempts,
            }),
            _ => None,
        })
    }

    pub fn len(&self) -> usize {
        self.jobs.len()
    }

    pub fn parked_len(&self) -> usize {
        self.parked
    }
}

fn entries(waiters: &[Waiter]) -> Vec<EntryId> {
    waiters
        .iter()
        .filter_map(|waiter| match waiter {
            Waiter::Entry(entry) => Some(*entry),
            Waiter::Caller(_) => None,
        })
        .collect()
}

/// Joins what came during the run with what the run did not settle. `true`: something came.
fn merge_next(job: &mut Job) -> bool {
    let Some((stale, waiters, priority)) = job.next.take() else { return false };
    job.stale.extend(stale);
    job.waiters.extend(waiters);
    job.priority = job.priority.min(priority);
    true
}

#[cfg(test)]
mod tests;
