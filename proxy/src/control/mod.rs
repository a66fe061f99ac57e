//! The live ruleset and phases (arc-swap), phase changes, the audit log.
//! Never here: statements, packets, HTTP.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use arc_swap::ArcSwap;
use segue_rules::entity::Ruleset;
use segue_rules::phase::PhaseMap;

/// What one transaction sees from its first statement to its end.
pub struct Generation {
    /// Counts up with every swap.
    pub number: u64,
    /// `None` where no contract could be compiled yet: everything is relayed.
    pub ruleset: Arc<Ruleset>,
    pub phases: PhaseMap,
    /// Transactions and statements that run under this generation now; a sweep that must see
    /// everything written under older phases waits until their count is zero.
    pub active: AtomicUsize,
}

/// The live generation, swapped as a whole.
pub struct Live {
    current: ArcSwap<Generation>,
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
        }
    }

    pub fn current(&self) -> Arc<Generation> {
        self.current.load_full()
    }
}
