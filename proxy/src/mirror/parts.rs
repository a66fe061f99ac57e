//! What the mirror is built from, and the state its tasks share.
//! Never here: what the tasks do.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::{Duration, Instant};

use dashmap::DashMap;
use parking_lot::Mutex;
use segue_rules::entity::{Entity, Ruleset};
use segue_rules::owed::Groups;
use segue_rules::value::{ItemKey, TableName};
use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::applied::Applied;
use super::backlog::{Backlog, Prints};
use super::forthcoming::{Announced, Forthcoming, Number};
use super::gap::Gap;
use super::homes::Homes;
use super::ledger::{DebtId, Ledger};
use super::pace::Paces;
use super::queue::{Queue, Target};
use super::sweeps::Sweeps;
use super::tags::Tags;
use super::uncertain::Waiting;
use crate::dynamo::Store;
use crate::journal::{Journal, Recovery};
use crate::mysql::control::Control;
use crate::telemetry::Metrics;

/// The live ruleset, whenever it is asked for.
pub type RulesetSource = Arc<dyn Fn() -> Arc<Ruleset> + Send + Sync>;

/// Whether items of entities with this driving table may be touched now; asked again for every piece
/// of work. A joined table is captured for all who show it, some of which may not be served yet.
pub type ServedSource = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// Everything a mirror needs.
pub struct MirrorParts {
    pub control: Control,
    pub store: Store,
    pub journal: Journal,
    /// What opening the journal found; its records become owed again.
    pub recovery: Recovery,
    pub metrics: Arc<Metrics>,
    pub rulesets: RulesetSource,
    pub served: ServedSource,
    pub settings: MirrorSettings,
    /// Always `MirrorFaults::default()` outside of tests.
    pub faults: MirrorFaults,
}

/// How much is done at once.
#[derive(Clone, Debug)]
pub struct MirrorSettings {
    pub batches_concurrent: usize,
    pub batch_keys_max: usize,
    pub writes_concurrent: usize,
    pub owed_keys_max: usize,
    /// Of one table, from memory.
    pub entries_worked_on_max: u64,
    pub backlog_debts_max: usize,
    /// Of an earlier process, in memory.
    pub debts_waiting_max: usize,
    /// How long a write without answer may still arrive.
    pub late_write: Duration,
    /// The items of one transaction are written together.
    pub whole_transactions: bool,
    /// Applied keys a second that are kept for a second look; 0: none.
    pub sampled_per_second: u32,
    /// Items that are right already are not written again. Only where sidecars hold the promises towards commits.
    pub skip_equal: bool,
}

impl Default for MirrorSettings {
    fn default() -> Self {
        use segue_config::limits;
        MirrorSettings {
            batches_concurrent: limits::REFRESH_BATCHES_CONCURRENT,
            batch_keys_max: limits::REFRESH_BATCH_KEYS_MAX,
            writes_concurrent: limits::REFRESH_WRITES_CONCURRENT,
            owed_keys_max: limits::OWED_KEYS_MAX,
            entries_worked_on_max: limits::ENTRIES_WORKED_ON_MAX,
            backlog_debts_max: limits::BACKLOG_DEBTS_MAX,
            debts_waiting_max: limits::DEBTS_WAITING_MAX,
            late_write: Duration::ZERO,
            whole_transactions: false,
            sampled_per_second: 0,
            skip_equal: false,
        }
    }
}

/// Ways to break the mirror on purpose, so that a test can show that it would notice.
#[derive(Clone, Copy, Debug, Default)]
pub struct MirrorFaults {
    /// A failed condition is answered by the same write again, under the new tag.
    pub ignore_conditions: bool,
    /// Changes of joined tables reach no driving row.
    pub skip_fan_out: bool,
    /// A created item is not checked against its row again.
    pub skip_reread_after_create: bool,
    /// Old item keys and old links are neither read nor remembered.
    pub skip_old_image: bool,
    /// Nothing is put into the journal.
    pub skip_journal: bool,
    /// Rows are read with changes that may yet be rolled back.
    pub read_uncommitted: bool,
    /// Longest random pause between reading a row and writing its item: makes races likely.
    pub pause_before_put: Duration,
}

/// Books, queue and sweeps change together, under one lock that is never held over an await.
#[derive(Default)]
pub(crate) struct State {
    pub ledger: Ledger,
    pub queue: Queue,
    pub sweeps: Sweeps,
    /// Debts that wait in the journal alone.
    pub backlog: Backlog,
    /// The same, of an earlier process, whose last commits and writes may still be to come.
    pub recovered: Backlog,
    /// Debts whose keys are being looked up, or that are on their way from or to the journal.
    pub expanding: usize,
    /// Debts that are not settled by a refresh now: a commit or a write may still be to come.
    pub uncertain: Vec<Waiting>,
    /// Items whose creation was not answered, and until when it may arrive.
    pub late: HashMap<(Target, ItemKey), Instant>,
    /// Keys that are written together; empty unless transactions are written whole.
    pub groups: Groups<Number, Target>,
    /// Of debts whose keys are being looked up.
    pub announced: HashMap<DebtId, Announced>,
}

pub(crate) struct Shared {
    pub control: Control,
    pub store: Store,
    pub journal: Journal,
    pub metrics: Arc<Metrics>,
    pub rulesets: RulesetSource,
    pub served: ServedSource,
    pub settings: MirrorSettings,
    pub faults: MirrorFaults,
    pub state: Mutex<State>,
    pub paces: Paces,
    pub tags: Tags,
    pub homes: Homes,
    pub applied: Applied,
    pub forthcoming: Forthcoming,
    /// When transactions that were not written whole were logged last.
    pub torn_logged: Mutex<Option<Instant>>,
    /// Entities by name, and whether a sweep of them met mostly items that were there already.
    pub items_expected: DashMap<String, bool>,
    pub watermarks: DashMap<TableName, Arc<AtomicU64>>,
    pub gap: Gap,
    /// A debt of uncertain end was taken up.
    pub uncertain_added: Notify,
    /// Something was queued, or a batch ended.
    pub work: Notify,
    /// Something was finished or parked.
    pub progress: Notify,
    /// A sweep may be ready to start.
    pub sweep_ready: Notify,
    /// More may be read from the journal.
    pub room: Notify,
    pub prints: Prints,
    /// The journal was full when it was last asked.
    pub journal_full: AtomicBool,
    pub expansions: Semaphore,
    pub tasks: TaskTracker,
    pub runtime: Handle,
    /// Nothing new is begun.
    pub stop: CancellationToken,
    /// What is under way is dropped.
    pub abort: CancellationToken,
}

impl Shared {
    pub fn ruleset(&self) -> Arc<Ruleset> {
        (self.rulesets)()
    }

    /// Whether it is worth while to look at the items of swept rows first.
    pub fn items_expected(&self, entity: &str) -> bool {
        self.items_expected.get(entity).is_some_and(|expected| *expected)
    }

    pub fn expect_items(&self, entity: &str, expected: bool) {
        if self.items_expected(entity) != expected {
            self.items_expected.insert(entity.to_owned(), expected);
        }
    }

    /// Starts a task of the mirror; it is dropped when the mirror aborts.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let abort = self.abort.clone();
        let task = async move {
            let _ = abort.run_until_cancelled(task).await;
        };
        self.tasks.spawn_on(task, &self.runtime);
    }

    /// The one place where the mirror reads the clock for waits and lag.
    pub fn now(&self) -> Instant {
        Instant::now()
    }
}

/// An entity by its name; names outlive rulesets.
pub(crate) fn entity_named<'a>(ruleset: &'a Ruleset, name: &str) -> Option<&'a Arc<Entity>> {
    ruleset.entities.iter().find(|entity| entity.name == name)
}
