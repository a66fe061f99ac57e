//! Keys of one group: taken together, or waiting for one another.
//! Never here: which keys those are.

use std::collections::BTreeSet;
use std::time::Instant;

use segue_rules::owed::JobState;
use segue_rules::value::ItemKey;

use super::{Queue, Target};

/// What became of taking a key along with another.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Along {
    /// With the item keys it may stand under.
    Taken(BTreeSet<ItemKey>),
    /// A run of it is under way.
    Busy,
    Parked,
    /// It could not be written with others and is next on its own.
    Alone,
    /// Nothing is to be done for it.
    Idle,
}

impl Queue {
    /// Takes a key out of its turn, whether it is queued or waits to be tried again.
    pub fn take_along(&mut self, target: &Target) -> Along {
        let Some(slot) = self.jobs.get_mut(target) else { return Along::Idle };
        match slot.job.state() {
            JobState::Running => return Along::Busy,
            JobState::Parked => return Along::Parked,
            _ if slot.alone => return Along::Alone,
            JobState::Delayed => {
                slot.job.due();
                slot.due.take().map(|due| self.due.remove(&due));
            }
            JobState::Queued => {}
        }
        slot.job.take().map_or(Along::Busy, Along::Taken)
    }

    /// Puts a key back that was taken, to go on when some run ends; at `due` at the latest.
    pub fn wait_behind(&mut self, target: &Target, due: Instant) {
        self.delay(target, BTreeSet::new(), due);
        self.behind.push(target.clone());
    }

    /// A run has ended.
    pub fn go_on(&mut self) {
        for target in std::mem::take(&mut self.behind) {
            let Some(slot) = self.jobs.get_mut(&target) else { continue };
            if slot.job.due() {
                slot.due.take().map(|due| self.due.remove(&due));
                let priority = slot.job.priority();
                self.push(target, priority);
            }
        }
    }

    /// Ends a run whose read showed another commit, too; it is done again at `due`.
    pub fn overtaken(&mut self, target: &Target, candidates: BTreeSet<ItemKey>, due: Instant) {
        if let Some(slot) = self.jobs.get_mut(target) {
            slot.overtaken += 1;
        }
        self.delay(target, candidates, due);
    }

    /// Ends a run that cannot be written together with others: it is next on its own, at once.
    pub fn set_apart(&mut self, target: &Target, candidates: BTreeSet<ItemKey>, now: Instant) {
        if let Some(slot) = self.jobs.get_mut(target) {
            slot.alone = true;
        }
        self.delay(target, candidates, now);
    }

    pub fn is_apart(&self, target: &Target) -> bool {
        self.jobs.get(target).is_some_and(|slot| slot.alone)
    }

    /// How often in a row a run's read showed another commit.
    pub fn times_overtaken(&self, target: &Target) -> u32 {
        self.jobs.get(target).map_or(0, |slot| slot.overtaken)
    }
}
