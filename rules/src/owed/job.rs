//! The refreshes of one key: one at a time, requests merged while one waits or runs.
//! Never here: the order among keys, times, reasons.

use std::collections::BTreeSet;

use crate::value::ItemKey;

/// ```text
/// (none) --request--> Queued --take--> Running --done--> (none)
///             ^          ^               | request: for the next run, queued when this one is done
///             |          +---- due ---- Delayed <--retry--+
///             +--- request or due ---- Parked  <--park----+
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum JobState {
    Queued,
    Running,
    Delayed,
    Parked,
}

/// What a request changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// It is served by what is under way or queued.
    Merged,
    /// It is queued, and now more urgently.
    Raised,
    /// It was parked and is queued again.
    Unparked,
}

/// How a run that cannot succeed ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Parking<W> {
    /// The key was dirtied meanwhile: it is queued again at once.
    Again,
    /// It stays until it is asked for again; those who do not stay with it are handed back.
    Parked { leaving: Vec<W> },
    /// Nobody stays with it: the job is over.
    Dropped { leaving: Vec<W> },
}

/// What came while a run was under way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Next<W, P> {
    stale: BTreeSet<ItemKey>,
    waiters: Vec<W>,
    priority: P,
}

/// `W`: who waits for it. `P`: how urgent it is, the least first.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Job<W, P> {
    state: JobState,
    priority: P,
    /// Item keys that the row's item may stand under, for the run to come or under way.
    stale: BTreeSet<ItemKey>,
    waiters: Vec<W>,
    next: Option<Next<W, P>>,
}

impl<W, P: Copy + Ord> Job<W, P> {
    pub fn new(
        stale: impl IntoIterator<Item = ItemKey>,
        waiter: Option<W>,
        priority: P,
    ) -> Job<W, P> {
        Job {
            state: JobState::Queued,
            priority,
            stale: stale.into_iter().collect(),
            waiters: waiter.into_iter().collect(),
            next: None,
        }
    }

    pub fn state(&self) -> JobState {
        self.state
    }

    pub fn priority(&self) -> P {
        self.priority
    }

    /// Those who wait for the run to come, or under way.
    pub fn waiters(&self) -> &[W] {
        &self.waiters
    }

    /// A request that comes during a run is for the next one: the run may have read the row before.
    pub fn request(
        &mut self,
        stale: impl IntoIterator<Item = ItemKey>,
        waiter: Option<W>,
        priority: P,
    ) -> Asked {
        if self.state == JobState::Running {
            let next = self.next.get_or_insert_with(|| Next {
                stale: BTreeSet::new(),
                waiters: Vec::new(),
                priority,
            });
            next.stale.extend(stale);
            next.waiters.extend(waiter);
            next.priority = next.priority.min(priority);
            return Asked::Merged;
        }
        self.stale.extend(stale);
        self.waiters.extend(waiter);
        let raised = priority < self.priority;
        self.priority = self.priority.min(priority);
        match self.state {
            JobState::Parked => {
                self.state = JobState::Queued;
                Asked::Unparked
            }
            JobState::Queued if raised => Asked::Raised,
            _ => Asked::Merged,
        }
    }

    /// Begins a run. `None`: it is not its turn.
    pub fn take(&mut self) -> Option<BTreeSet<ItemKey>> {
        (self.state == JobState::Queued).then(|| {
            self.state = JobState::Running;
            self.stale.clone()
        })
    }

    /// Ends a run that did its work: who waited for it, oldest first, and whether there is another.
    pub fn done(&mut self) -> (Vec<W>, bool) {
        let waiters = std::mem::take(&mut self.waiters);
        let Some(next) = self.next.take() else { return (waiters, false) };
        self.stale = next.stale;
        self.waiters = next.waiters;
        self.priority = next.priority;
        self.state = JobState::Queued;
        (waiters, true)
    }

    /// Takes out the item keys, for the job of another spelling of the row's key.
    pub fn hand_over(&mut self) -> BTreeSet<ItemKey> {
        std::mem::take(&mut self.stale)
    }

    /// It is no longer more urgent than this.
    pub fn lower(&mut self, priority: P) {
        self.priority = self.priority.max(priority);
    }

    /// Ends a run that is to be tried again. `candidates`: item keys it may have written.
    pub fn retry(&mut self, candidates: BTreeSet<ItemKey>) {
        self.stale.extend(candidates);
        self.merge_next();
        self.state = JobState::Delayed;
    }

    /// The wait of a delayed key is over. `true`: it is queued.
    pub fn due(&mut self) -> bool {
        let due = self.state == JobState::Delayed;
        if due {
            self.state = JobState::Queued;
        }
        due
    }

    /// Ends a run that cannot succeed as things stand. `stays`: who goes on waiting.
    pub fn park(
        &mut self,
        candidates: BTreeSet<ItemKey>,
        stays: impl Fn(&W) -> bool,
    ) -> Parking<W> {
        self.stale.extend(candidates);
        if self.merge_next() {
            self.state = JobState::Queued;
            return Parking::Again;
        }
        let (staying, leaving) = std::mem::take(&mut self.waiters).into_iter().partition(stays);
        self.waiters = staying;
        if self.waiters.is_empty() {
            return Parking::Dropped { leaving };
        }
        self.state = JobState::Parked;
        Parking::Parked { leaving }
    }

    /// Joins what came during the run with what the run did not settle. `true`: something came.
    fn merge_next(&mut self) -> bool {
        let Some(next) = self.next.take() else { return false };
        self.stale.extend(next.stale);
        self.waiters.extend(next.waiters);
        self.priority = self.priority.min(next.priority);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Attribute;

    fn item(name: &str) -> ItemKey {
        ItemKey { table: "T".into(), pk: Attribute::S(name.into()), sk: None }
    }

    #[test]
    fn a_request_during_a_run_is_not_served_by_it() {
        let mut job = Job::new([item("a")], Some(1), 1);
        assert_eq!(job.take(), Some(BTreeSet::from([item("a")])));
        assert_eq!(job.take(), None);
        assert_eq!(job.request([item("b")], Some(2), 0), Asked::Merged);
        assert_eq!(job.done(), (vec![1], true));
        assert_eq!((job.state(), job.priority()), (JobState::Queued, 0));
        assert_eq!(job.take(), Some(BTreeSet::from([item("b")])));
        assert_eq!(job.done(), (vec![2], false));
    }

    #[test]
    fn a_broken_run_keeps_its_waiters_and_every_item_key() {
        let mut job = Job::new([item("a")], Some(1), ());
        job.take();
        job.request([item("b")], Some(2), ());
        job.retry(BTreeSet::from([item("c")]));
        assert_eq!(job.state(), JobState::Delayed);
        assert_eq!(job.request([], Some(3), ()), Asked::Merged);
        assert!(job.due() && !job.due());
        assert_eq!(job.take(), Some(["a", "b", "c"].map(item).into()));
        assert_eq!(job.done(), (vec![1, 2, 3], false));
    }

    #[test]
    fn what_is_less_urgent_now_is_raised_by_the_next_request() {
        let mut job = Job::new([], Some(1), 0);
        job.lower(1);
        assert_eq!((job.priority(), job.state()), (1, JobState::Queued));
        assert_eq!(job.request([], Some(2), 0), Asked::Raised);
        job.take();
        job.request([], Some(3), 0);
        job.lower(1);
        job.retry(BTreeSet::new());
        assert_eq!(job.priority(), 0);
    }

    #[test]
    fn a_key_dirtied_while_it_ran_is_not_parked() {
        let mut job = Job::new([], Some(1), ());
        job.take();
        job.request([], Some(2), ());
        assert_eq!(job.park(BTreeSet::new(), |_| true), Parking::Again);
        job.take();
        assert_eq!(job.park(BTreeSet::new(), |w| *w == 2), Parking::Parked { leaving: vec![1] });
        assert_eq!(job.request([], None, ()), Asked::Unparked);
        job.take();
        assert_eq!(job.park(BTreeSet::new(), |_| false), Parking::Dropped { leaving: vec![2] });
    }
}
