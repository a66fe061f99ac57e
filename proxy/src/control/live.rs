//! The live generation of ruleset and phases, and who still works under which.
//! Never here: deciding whether a change is allowed.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::RwLock;
use segue_rules::entity::Ruleset;
use segue_rules::phase::PhaseMap;
use segue_rules::value::TableName;
use tokio::sync::Notify;

/// Between two looks at whether older generations are drained, where nobody told.
const DRAINED_LOOK: Duration = Duration::from_millis(100);

/// Why a table is frozen for a moment.
const CHANGED: &str = "its definition has just changed and is read again";

/// What one transaction sees from its first statement to its end.
pub struct Generation {
    /// Counts up with every swap.
    pub number: u64,
    pub ruleset: Arc<Ruleset>,
    pub phases: PhaseMap,
    /// Transactions and statements that run under this generation now; a sweep that must see
    /// everything written under older phases waits until their count is zero.
    pub active: AtomicUsize,
}

/// The live generation, swapped as a whole.
pub struct Live {
    current: ArcSwap<Generation>,
    /// Older generations that may still be at work. Pinning holds the lock shared and swapping holds
    /// it alone, so a generation is never pinned after it was replaced.
    retired: RwLock<Vec<Arc<Generation>>>,
    /// Told when a generation's count falls to zero.
    idle: Arc<Notify>,
    /// Told when a session saw a mapped table's definition change.
    rebuild: Notify,
}

/// Work under a generation: counts in its `active` until dropped.
pub struct Pinned {
    generation: Arc<Generation>,
    idle: Arc<Notify>,
}

impl Live {
    pub fn new(ruleset: Arc<Ruleset>, phases: PhaseMap) -> Self {
        Live {
            current: ArcSwap::from_pointee(Generation {
                number: 1,
                ruleset,
                phases,
                active: AtomicUsize::new(0),
            }),
            retired: RwLock::new(Vec::new()),
            idle: Arc::new(Notify::new()),
            rebuild: Notify::new(),
        }
    }

    /// The generation of this instant, for looking only. Work on data takes [`Live::pin`].
    pub fn current(&self) -> Arc<Generation> {
        self.current.load_full()
    }

    /// Begins work under the current generation.
    pub fn pin(&self) -> Pinned {
        let _no_swap = self.retired.read();
        let generation = self.current.load_full();
        generation.active.fetch_add(1, Ordering::AcqRel);
        Pinned { generation, idle: self.idle.clone() }
    }

    /// Replaces the phases; returns the new generation's number.
    pub fn replace_phases(&self, phases: PhaseMap) -> u64 {
        self.replace(|current| Some((current.ruleset.clone(), phases)))
    }

    /// Replaces the ruleset; returns the new generation's number.
    pub fn replace_ruleset(&self, ruleset: Arc<Ruleset>) -> u64 {
        self.replace(|current| Some((ruleset, current.phases.clone())))
    }

    /// `None`: the current generation stays.
    fn replace(&self, next: impl FnOnce(&Generation) -> Option<(Arc<Ruleset>, PhaseMap)>) -> u64 {
        let mut retired = self.retired.write();
        let old = self.current.load_full();
        let Some((ruleset, phases)) = next(&old) else { return old.number };
        let number = old.number + 1;
        self.current.store(Arc::new(Generation {
            number,
            ruleset,
            phases,
            active: AtomicUsize::new(0),
        }));
        retired.push(old);
        retired.retain(|generation| generation.active.load(Ordering::Acquire) > 0);
        number
    }

    /// Whether nothing works under generations up to `number` at this instant. For a replaced
    /// generation this stays true once it is.
    pub fn is_drained(&self, number: u64) -> bool {
        let retired = self.retired.read();
        let current = self.current.load();
        let idle = |generation: &Generation| {
            generation.number > number || generation.active.load(Ordering::Acquire) == 0
        };
        idle(&current) && retired.iter().all(|generation| idle(generation))
    }

    /// Waits until nothing works under generations up to `number`.
    pub async fn drained(&self, number: u64) {
        loop {
            let notified = self.idle.notified();
            tokio::pin!(notified);
            // Registered before looking, so that a count falling to zero in between is not missed.
            notified.as_mut().enable();
            if self.is_drained(number) {
                return;
            }
            // Whoever counts in `active` by hand tells nobody; the look anew finds that as well.
            let _ = tokio::time::timeout(DRAINED_LOOK, notified).await;
        }
    }

    /// Work that runs now, under any generation.
    pub fn active(&self) -> usize {
        let retired = self.retired.read();
        let current = self.current.load();
        let count = |generation: &Generation| generation.active.load(Ordering::Acquire);
        count(&current) + retired.iter().map(|generation| count(generation)).sum::<usize>()
    }

    /// Work that still runs under generations that were replaced.
    pub fn active_under_older(&self) -> usize {
        let retired = self.retired.read();
        retired.iter().map(|generation| generation.active.load(Ordering::Acquire)).sum()
    }

    /// Definitions changed: the ruleset must be compiled anew. Until then nobody captures writes to these
    /// tables by definitions that may be gone.
    pub fn definitions_changed(&self, tables: &[TableName]) {
        self.replace(|current| {
            let frozen = current.ruleset.with_frozen(tables, CHANGED)?;
            Some((Arc::new(frozen), current.phases.clone()))
        });
        self.rebuild.notify_one();
    }

    /// Waits until a rebuild is asked for.
    pub async fn rebuild_asked(&self) {
        self.rebuild.notified().await;
    }
}

impl Deref for Pinned {
    type Target = Generation;

    fn deref(&self) -> &Generation {
        &self.generation
    }
}

impl Clone for Pinned {
    fn clone(&self) -> Self {
        self.generation.active.fetch_add(1, Ordering::AcqRel);
        Pinned { generation: self.generation.clone(), idle: self.idle.clone() }
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        if self.generation.active.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.idle.notify_waiters();
        }
    }
}
