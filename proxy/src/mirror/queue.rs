//! Refreshes to do: the jobs of all keys, by urgency.
//! Never here: clocks (time is handed in), what becomes of one job, the refresh itself, accounting.

mod along;
mod lane;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;

use segue_config::limits;
use segue_rules::owed::{Asked, Job, JobState, Parking};
use segue_rules::value::{Cell, ItemKey, TableName};
use tokio::sync::oneshot;

pub(crate) use self::along::Along;
use self::lane::Lane;
use super::ledger::EntryId;

/// One driving row of one entity. Names, not positions: a ruleset may be swapped meanwhile.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Target {
    pub entity: Arc<str>,
    pub table: TableName,
    pub key: Vec<Cell>,
}

/// How urgent a refresh is, the most urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Priority {
    /// Of a commit of now.
    Live,
    /// Of an earlier one, or left by an earlier process.
    Owed,
    /// Of a sweep.
    Sweep,
}

impl Priority {
    /// In which order batches are looked for. Nothing waits for ever: every eighth batch is for what is owed
    /// first, every eighth for sweeps.
    fn order(turn: usize) -> [Priority; 3] {
        use Priority::{Live, Owed, Sweep};
        match turn % 8 {
            3 => [Owed, Live, Sweep],
            7 => [Sweep, Live, Owed],
            _ => [Live, Owed, Sweep],
        }
    }
}

/// Keys of one entity that run together, with the item keys that each may stand under.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Batch {
    pub priority: Priority,
    pub keys: Vec<(Target, BTreeSet<ItemKey>)>,
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
        /// Names rows: for reports, never for logs.
        reason: String,
    },
    /// A store refused; nothing of the table will work until its cause is gone.
    Refused(String),
}

/// One key's job with what only the queue needs to know of it.
#[derive(Debug)]
struct Slot {
    job: Job<Waiter, Priority>,
    attempts: u32,
    /// How often its reads showed another commit.
    overtaken: u32,
    /// It could not be written with its group.
    alone: bool,
    /// Its place in `Queue::due` while it is delayed.
    due: Option<(Instant, u64)>,
    /// Why it is parked and since when, if it is.
    parked: Option<(String, Instant)>,
}

impl Slot {
    fn new(job: Job<Waiter, Priority>) -> Slot {
        Slot { job, attempts: 0, overtaken: 0, alone: false, due: None, parked: None }
    }
}

/// A parked key, for reports.
#[derive(Clone, Debug)]
pub(crate) struct Parked {
    pub target: Target,
    pub reason: String,
    pub since: Instant,
    pub attempts: u32,
}

/// The queue. All operations are O(log n) or better, but for reports.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    jobs: HashMap<Target, Slot>,
    lanes: BTreeMap<Priority, Lane>,
    due: BTreeMap<(Instant, u64), Target>,
    sequence: u64,
    parked: usize,
    /// Delayed keys that wait for the end of a run.
    behind: Vec<Target>,
    /// Batches taken so far.
    turn: usize,
    /// When live keys grow older next.
    older_at: Option<Instant>,
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
        let Some(slot) = self.jobs.get_mut(&target) else {
            let job = Job::new(stale, waiter, priority);
            self.jobs.insert(target.clone(), Slot::new(job));
            self.push(target, priority);
            return Vec::new();
        };
        let waited = match slot.job.state() {
            JobState::Parked => entries(slot.job.waiters()),
            _ => Vec::new(),
        };
        match slot.job.request(stale, waiter, priority) {
            Asked::Merged => {}
            Asked::Raised => self.push(target, priority),
            Asked::Unparked => {
                slot.parked = None;
                let priority = slot.job.priority();
                self.parked -= 1;
                self.push(target, priority);
            }
        }
        waited
    }

    /// Whether there is something left to do for the key.
    pub fn has(&self, target: &Target) -> bool {
        self.jobs.contains_key(target)
    }

    fn push(&mut self, target: Target, priority: Priority) {
        self.lanes.entry(priority).or_default().push(target);
    }

    /// Takes up to `most` keys of one entity to run. `live_only`: no others. `room`: how many keys of an
    /// entity may begin now.
    pub fn take(
        &mut self,
        most: usize,
        live_only: bool,
        mut room: impl FnMut(&str) -> usize,
    ) -> Option<Batch> {
        let wanted = |priority: &Priority| !live_only || *priority == Priority::Live;
        for priority in Priority::order(self.turn).into_iter().filter(wanted) {
            let Some(lane) = self.lanes.get_mut(&priority) else { continue };
            for _ in 0..lane.entities() {
                let mut keys = Vec::new();
                lane.next_entity(|entity, places| {
                    let most = most.min(room(entity));
                    let runs = places.filter_map(|target| {
                        // Places of keys that changed their lane, or were taken from another, are stale.
                        let job = &mut self.jobs.get_mut(&target)?.job;
                        let stale = (job.priority() == priority).then(|| job.take())??;
                        Some((target, stale))
                    });
                    keys.extend(runs.take(most));
                });
                if !keys.is_empty() {
                    self.turn = self.turn.wrapping_add(1);
                    return Some(Batch { priority, keys });
                }
            }
        }
        None
    }

    /// Live keys that nobody took for long make room for newer ones.
    fn grow_older(&mut self, now: Instant) {
        let at = *self.older_at.get_or_insert(now + limits::LIVE_FOR);
        let live = self.lanes.entry(Priority::Live).or_default();
        if at <= now {
            live.grow_older();
            self.older_at = Some(now + limits::LIVE_FOR);
        }
        for target in live.overdue(limits::LIVE_AGED_AT_ONCE) {
            let Some(slot) = self.jobs.get_mut(&target) else { continue };
            if slot.job.state() == JobState::Queued && slot.job.priority() == Priority::Live {
                slot.job.lower(Priority::Owed);
                self.push(target, Priority::Owed);
            }
        }
    }

    /// Queues the keys that are due. Returns entries whose wait for a parked key ended by this.
    pub fn wake(&mut self, now: Instant) -> Vec<EntryId> {
        self.grow_older(now);
        let mut unparked = Vec::new();
        while let Some(entry) = self.due.first_entry() {
            if entry.key().0 > now {
                break;
            }
            let target = entry.remove();
            let Some(slot) = self.jobs.get_mut(&target) else { continue };
            slot.due = None;
            if slot.job.due() {
                let priority = slot.job.priority();
                self.push(target, priority);
            } else {
                unparked.extend(self.unpark(&target));
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
        let Some(slot) = self.jobs.get_mut(target) else { return Vec::new() };
        let (waiters, again) = slot.job.done();
        if again {
            (slot.attempts, slot.overtaken, slot.alone) = (0, 0, false);
            let priority = slot.job.priority();
            self.push(target.clone(), priority);
        } else {
            self.jobs.remove(target);
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
        let Some(slot) = self.jobs.get_mut(target) else { return Vec::new() };
        let (priority, mut stale) = (slot.job.priority(), slot.job.hand_over());
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
        self.jobs.get(target).map_or(0, |slot| slot.attempts)
    }

    /// Ends a run that is to be tried again at `due`. `candidates`: item keys it may have written.
    pub fn retry(&mut self, target: &Target, candidates: BTreeSet<ItemKey>, due: Instant) {
        if let Some(slot) = self.jobs.get_mut(target) {
            slot.attempts += 1;
            if slot.attempts >= limits::LIVE_ATTEMPTS {
                slot.job.lower(Priority::Owed);
            }
        }
        self.delay(target, candidates, due);
    }

    /// The same, where the run did not fail but had to wait.
    pub fn delay(&mut self, target: &Target, candidates: BTreeSet<ItemKey>, due: Instant) {
        let Some(slot) = self.jobs.get_mut(target) else { return };
        slot.job.retry(candidates);
        self.sequence += 1;
        if let Some(earlier) = slot.due.replace((due, self.sequence)) {
            self.due.remove(&earlier);
        }
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
        let Some(slot) = self.jobs.get_mut(target) else { return (Vec::new(), Vec::new()) };
        let stays = |waiter: &Waiter| matches!(waiter, Waiter::Entry(_));
        let leaving = match slot.job.park(candidates, stays) {
            Parking::Again => {
                let priority = slot.job.priority();
                self.push(target.clone(), priority);
                return (Vec::new(), Vec::new());
            }
            // Only a sweep wanted it, and the sweep now knows.
            Parking::Dropped { leaving } => {
                self.jobs.remove(target);
                return (callers(leaving), Vec::new());
            }
            Parking::Parked { leaving } => leaving,
        };
        slot.attempts += 1;
        slot.alone = false;
        slot.parked = Some((reason, now));
        let parked = entries(slot.job.waiters());
        self.parked += 1;
        if let Some(due) = due {
            self.sequence += 1;
            self.due.insert((due, self.sequence), target.clone());
        }
        (callers(leaving), parked)
    }

    /// Tries a parked key again. Returns the entries that waited for it.
    pub fn unpark(&mut self, target: &Target) -> Vec<EntryId> {
        match self.jobs.get(target) {
            Some(slot) if slot.job.state() == JobState::Parked => {
                let priority = slot.job.priority();
                self.request(target.clone(), [], None, priority)
            }
            _ => Vec::new(),
        }
    }

    pub fn parked(&self) -> impl Iterator<Item = Parked> + '_ {
        self.jobs.iter().filter_map(|(target, slot)| {
            let (reason, since) = slot.parked.as_ref()?;
            Some(Parked {
                target: target.clone(),
                reason: reason.clone(),
                since: *since,
                attempts: slot.attempts,
            })
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

fn callers(waiters: Vec<Waiter>) -> Vec<oneshot::Sender<RefreshEnd>> {
    waiters
        .into_iter()
        .filter_map(|waiter| match waiter {
            Waiter::Caller(caller) => Some(caller),
            Waiter::Entry(_) => None,
        })
        .collect()
}

#[cfg(test)]
mod tests;
