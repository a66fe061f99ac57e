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
<<<<<<< HEAD
mod tests;
=======
mod tests {
    use std::time::Duration;

    use segue_rules::value::Attribute;

    use super::*;

    fn target(entity: &str, key: u64) -> Target {
        Target { entity: entity.into(), table: "t".into(), key: vec![Cell::UInt(key)] }
    }

    fn item(name: &str) -> ItemKey {
        ItemKey { table: "T".into(), pk: Attribute::S(name.into()), sk: None }
    }

    fn entry(number: u64) -> Option<Waiter> {
        Some(Waiter::Entry(EntryId(number)))
    }

    fn taken(queue: &mut Queue) -> Vec<Target> {
        queue.take(10).into_iter().map(|(target, _)| target).collect()
    }

    fn waited(waiters: Vec<Waiter>) -> Vec<u64> {
        entries(&waiters).into_iter().map(|entry| entry.0).collect()
    }

    #[test]
    fn waiting_requests_of_one_key_merge() {
        let mut queue = Queue::default();
        queue.request(target("E", 1), [item("a")], entry(1), Priority::Live);
        queue.request(target("E", 1), [item("b")], entry(2), Priority::Live);
        let batch = queue.take(10);
        assert_eq!(batch, vec![(target("E", 1), BTreeSet::from([item("a"), item("b")]))]);
        assert_eq!(waited(queue.done(&target("E", 1))), vec![1, 2]);
        assert_eq!(queue.len(), 0);
    }

    #[test]
    fn a_key_never_runs_twice_at_once_and_runs_again_when_dirtied() {
        let mut queue = Queue::default();
        queue.request(target("E", 1), [], entry(1), Priority::Live);
        assert_eq!(taken(&mut queue), vec![target("E", 1)]);
        queue.request(target("E", 1), [item("a")], entry(2), Priority::Live);
        assert!(taken(&mut queue).is_empty());
        assert_eq!(waited(queue.done(&target("E", 1))), vec![1]);
        assert_eq!(queue.take(10), vec![(target("E", 1), BTreeSet::from([item("a")]))]);
        assert_eq!(waited(queue.done(&target("E", 1))), vec![2]);
    }

    #[test]
    fn live_keys_go_before_swept_ones_and_raise_them() {
        let mut queue = Queue::default();
        queue.request(target("E", 1), [], None, Priority::Sweep);
        queue.request(target("E", 2), [], None, Priority::Sweep);
        queue.request(target("E", 3), [], entry(3), Priority::Live);
        queue.request(target("E", 2), [], entry(2), Priority::Live);
        assert_eq!(taken(&mut queue), vec![target("E", 3), target("E", 2)]);
        assert_eq!(taken(&mut queue), vec![target("E", 1)]);
        assert!(taken(&mut queue).is_empty());
    }

    #[test]
    fn a_batch_holds_one_entity_and_entities_take_turns() {
        let mut queue = Queue::default();
        for key in 0..3 {
            queue.request(target("A", key), [], None, Priority::Live);
            queue.request(target("B", key), [], None, Priority::Live);
        }
        let batches: Vec<Vec<u64>> = (0..4)
            .map(|_| {
                let batch = queue.take(2);
                assert!(batch.iter().all(|(target, _)| target.entity == batch[0].0.entity));
                batch.iter().map(|(target, _)| u64::from(&*target.entity == "B")).collect()
            })
            .collect();
        assert_eq!(batches, vec![vec![0, 0], vec![1, 1], vec![0], vec![1]]);
    }

    #[test]
    fn a_delayed_key_waits_for_its_time_even_when_dirtied() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        let later = now + Duration::from_secs(1);
        queue.request(target("E", 1), [item("a")], entry(1), Priority::Live);
        taken(&mut queue);
        queue.retry(&target("E", 1), BTreeSet::from([item("c")]), later);
        queue.request(target("E", 1), [item("b")], entry(2), Priority::Live);
        assert!(queue.wake(now).is_empty() && taken(&mut queue).is_empty());
        assert_eq!((queue.next_due(), queue.attempts(&target("E", 1))), (Some(later), 1));
        queue.wake(later);
        let stale = BTreeSet::from([item("a"), item("b"), item("c")]);
        assert_eq!(queue.take(10), vec![(target("E", 1), stale)]);
        assert_eq!(waited(queue.done(&target("E", 1))), vec![1, 2]);
    }

    #[test]
    fn a_parked_key_blocks_nobody_and_runs_again_when_dirtied() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        queue.request(target("E", 1), [], entry(1), Priority::Live);
        taken(&mut queue);
        let (callers, parked) =
            queue.park(&target("E", 1), BTreeSet::new(), "too large".into(), now, None);
        assert!(callers.is_empty());
        assert_eq!((parked, queue.parked_len()), (vec![EntryId(1)], 1));
        queue.request(target("E", 2), [], entry(2), Priority::Live);
        assert_eq!(taken(&mut queue), vec![target("E", 2)]);
        let unparked = queue.request(target("E", 1), [], entry(3), Priority::Live);
        assert_eq!((unparked, queue.parked_len()), (vec![EntryId(1)], 0));
        assert_eq!(taken(&mut queue), vec![target("E", 1)]);
        assert_eq!(waited(queue.done(&target("E", 1))), vec![1, 3]);
    }

    #[test]
    fn a_parked_key_whose_cause_may_pass_is_tried_again_when_due() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        let later = now + Duration::from_secs(30);
        queue.request(target("E", 1), [], entry(1), Priority::Live);
        taken(&mut queue);
        queue.park(&target("E", 1), BTreeSet::new(), "no table".into(), now, Some(later));
        assert!(queue.wake(now).is_empty());
        assert_eq!(queue.wake(later), vec![EntryId(1)]);
        assert_eq!(taken(&mut queue), vec![target("E", 1)]);
    }

    #[test]
    fn a_key_dirtied_while_it_ran_is_not_parked() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        queue.request(target("E", 1), [], entry(1), Priority::Live);
        taken(&mut queue);
        queue.request(target("E", 1), [], entry(2), Priority::Live);
        let (_, parked) = queue.park(&target("E", 1), BTreeSet::new(), "x".into(), now, None);
        assert!(parked.is_empty());
        assert_eq!(taken(&mut queue), vec![target("E", 1)]);
        assert_eq!(waited(queue.done(&target("E", 1))), vec![1, 2]);
    }

    #[test]
    fn a_key_that_only_a_sweep_wanted_is_handed_back_when_it_cannot_be_mirrored() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        let (sender, _receiver) = oneshot::channel();
        queue.request(target("E", 1), [], Some(Waiter::Caller(sender)), Priority::Sweep);
        taken(&mut queue);
        let (callers, parked) = queue.park(&target("E", 1), BTreeSet::new(), "x".into(), now, None);
        assert_eq!((callers.len(), parked.len(), queue.len()), (1, 0, 0));
    }

    #[test]
    fn what_waited_for_another_spelling_goes_on_under_the_right_one() {
        let mut queue = Queue::default();
        queue.request(target("E", 1), [item("a")], entry(1), Priority::Live);
        taken(&mut queue);
        queue.request(target("E", 1), [], entry(2), Priority::Live);
        queue.respell(&target("E", 1), vec![Cell::UInt(2)], BTreeSet::from([item("b")]));
        let batch = queue.take(10);
        let stale = BTreeSet::from([item("a"), item("b")]);
        assert!(batch.contains(&(target("E", 2), stale)));
        assert_eq!(waited(queue.done(&target("E", 2))), vec![1]);
        assert_eq!(waited(queue.done(&target("E", 1))), vec![2]);
    }
}
>>>>>>> house
