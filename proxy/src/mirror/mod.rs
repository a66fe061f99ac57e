//! Keeps DynamoDB in step: owed entries, expansion through joins and cascades, refresh workers.
//! Never here: statements, packets, or phases.
//!
//! ```text
//! owe (before the commit) --> journal --> committed --> ledger --> expand --> queue --> refresh
//!                                                                    \--> sweeps --> `movement`
//! ```
//!
//! One captured entry of one transaction is the unit of the books. It is owed until every refresh
//! and sweep that was made for it is done; its journal record goes with the last entry.

mod applied;
mod backlog;
mod beforehand;
mod bookkeeping;
mod bulk;
mod engine;
mod expand;
mod forthcoming;
mod gap;
mod homes;
mod intake;
mod ledger;
mod lookup;
mod old_image;
mod owed;
mod pace;
mod parts;
mod queue;
mod record;
mod report;
mod run;
mod start;
mod survey;
mod sweeps;
mod tags;
mod ticket;
mod uncertain;
mod watermark;
mod whole;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use dashmap::DashMap;
use parking_lot::Mutex;
use segue_config::limits;
use segue_rules::entity::Ruleset;
use segue_rules::txn::DirtyEntry;
use segue_rules::value::TableName;
use serde::Serialize;
use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use crate::mysql::control::TextRows;
pub use applied::AppliedKey;
pub use ledger::Counts;
pub use owed::Owed;
pub use parts::{MirrorFaults, MirrorParts, MirrorSettings, RulesetSource, ServedSource};
pub use queue::RefreshEnd;
pub use report::{OwedReport, ParkedFilter, ParkedReport, TableReport, TransactionsReport};
pub use survey::{ItemPage, Look, OwnedItem, Standing, Survey, SurveyError};
pub use sweeps::{SweepProgress, SweepReport, SweepState};
pub use ticket::SweepTicket;

use ledger::Ending;
use parts::{Shared, State};
use record::Debt;
use uncertain::Session;

/// The mirror. Cheap to clone.
#[derive(Clone)]
pub struct Mirror {
    shared: Arc<Shared>,
}

/// What the journal brought back at start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Recovered {
    pub transactions: usize,
    pub entries: usize,
    /// Records or bytes that could not be read, or never written: every source table is swept for them.
    pub damaged: bool,
}

/// How long tasks may take to end after the deadline of a drain.
const STOP_GRACE: Duration = Duration::from_secs(1);

impl Mirror {
    /// Starts the mirror's tasks on the current runtime; what the journal holds is owed again.
    pub async fn start(parts: MirrorParts) -> (Mirror, Recovered) {
        let shared = Arc::new(Shared {
            control: parts.control,
            store: parts.store,
            journal: parts.journal,
            paces: pace::Paces::new(Instant::now(), parts.metrics.clone()),
            metrics: parts.metrics,
            rulesets: parts.rulesets,
            served: parts.served,
            applied: applied::Applied::new(parts.settings.sampled_per_second),
            settings: parts.settings,
            faults: parts.faults,
            state: Mutex::new(State::default()),
            tags: tags::Tags::new(limits::TAGS_CACHED_MAX),
            homes: homes::Homes::new(limits::HOMES_CACHED_MAX),
            forthcoming: forthcoming::Forthcoming::default(),
            torn_logged: Mutex::new(None),
            items_expected: DashMap::new(),
            watermarks: DashMap::new(),
            gap: gap::Gap::default(),
            uncertain_added: Notify::new(),
            work: Notify::new(),
            progress: Notify::new(),
            sweep_ready: Notify::new(),
            room: Notify::new(),
            prints: backlog::Prints::default(),
            journal_full: AtomicBool::new(false),
            expansions: Semaphore::new(limits::EXPANSIONS_CONCURRENT),
            tasks: TaskTracker::new(),
            runtime: Handle::current(),
            stop: CancellationToken::new(),
            abort: CancellationToken::new(),
        });
        let mirror = Mirror { shared };
        let recovered = start::recover(&mirror, parts.recovery).await;
        (mirror, recovered)
    }

    /// Called before a commit (or an autocommitted write) is forwarded. Reads the old image where an
    /// entry needs it, then journals everything. Never fails and never blocks on DynamoDB: what
    /// cannot be read or journaled becomes an owed sweep. `connection`: MySQL's number of the
    /// connection that will commit; `None` where the change is committed already.
    pub async fn owe(
        &self,
        ruleset: Arc<Ruleset>,
        entries: Vec<DirtyEntry>,
        connection: Option<u32>,
    ) -> Owed {
        owed::owe(&self.shared, ruleset, entries, connection.map(Session::now)).await
    }

    /// Rows of a SELECT of row keys among the committed rows, before the commit that changes them is forwarded.
    /// The application waits for it. The error is the reason why they are not known.
    pub async fn committed_keys(&self, sql: &str) -> Result<TextRows, &'static str> {
        old_image::keys(&self.shared.control, sql).await
    }

    /// Owes a sweep of a table, on disk when this returns.
    pub async fn sweep(&self, table: &TableName, reason: &str) {
        self.owe_sweep(table, reason, None::<std::future::Ready<()>>).await;
    }

    /// Owes a sweep that starts when no write of an earlier process can arrive any more.
    async fn sweep_late(&self, table: &TableName, reason: &str) {
        let wait = self.shared.settings.late_write;
        self.sweep_after(table, reason, tokio::time::sleep(wait)).await;
    }

    async fn sweep_everything_late(&self, reason: &str) {
        let tables: BTreeSet<TableName> = self.shared.ruleset().sources.keys().cloned().collect();
        for table in &tables {
            self.sweep_late(table, reason).await;
        }
    }

    /// Owes a sweep that starts only after `barrier`, for example after the transactions that began
    /// before a change of phase. After a crash nothing of them is left, and it starts at once.
    pub async fn sweep_after(
        &self,
        table: &TableName,
        reason: &str,
        barrier: impl Future<Output = ()> + Send + 'static,
    ) {
        self.owe_sweep(table, reason, Some(barrier)).await;
    }

    async fn owe_sweep(
        &self,
        table: &TableName,
        reason: &str,
        barrier: Option<impl Future<Output = ()> + Send + 'static>,
    ) {
        let shared = &self.shared;
        let debt = Debt::sweeps([table], reason);
        let (debt, record, unwritten) = owed::record(shared, &shared.ruleset(), debt).await;
        let superseded = {
            let mut state = shared.state.lock();
            let now = shared.now();
            let id = state.ledger.open(Arc::new(debt), [table], record, now);
            let entries = state.ledger.debt(id).map(|(_, entries)| entries).unwrap_or_default();
            for entry in entries {
                state.ledger.add_work(entry);
                state.owe_sweep(table, reason, entry, now);
                state.ledger.end_work(entry, Ending::Nothing);
            }
            let superseded = state.sweeps_superseded(table);
            if barrier.is_some() {
                state.sweeps.hold(table);
            }
            shared.metrics.seen.with_label_values(&[&**table]).inc();
            shared.metrics.owed.with_label_values(&[&**table]).inc();
            shared.set_gauges(&state);
            superseded
        };
        drop(unwritten);
        shared.end_work(superseded.into_iter().map(|entry| (entry, Ending::Superseded)));
        shared.sweep_ready.notify_one();
        if let Some(barrier) = barrier {
            let (worker, table) = (shared.clone(), table.clone());
            shared.spawn(async move {
                barrier.await;
                worker.state.lock().sweeps.release(&table);
                worker.sweep_ready.notify_one();
            });
        }
    }

    /// Owes a sweep of every source table of the live ruleset.
    pub async fn sweep_everything(&self, reason: &str) {
        let tables: BTreeSet<TableName> = self.shared.ruleset().sources.keys().cloned().collect();
        for table in &tables {
            self.sweep(table, reason).await;
        }
    }

    /// Call after a new ruleset went live: what is owed is looked up again under it, parked keys and
    /// failed sweeps are tried again.
    pub fn ruleset_changed(&self) {
        self.shared.expand_all_again();
        self.retry_parked();
        self.shared.state.lock().sweeps.retry_now(self.shared.now());
        self.shared.sweep_ready.notify_one();
    }

    /// Tries every parked key again. Returns how many there were.
    pub fn retry_parked(&self) -> usize {
        let mut state = self.shared.state.lock();
        let parked: Vec<_> = state.queue.parked().map(|parked| parked.target).collect();
        for target in &parked {
            let unparked = state.queue.unpark(target);
            state.unparked(unparked);
        }
        self.shared.set_gauges(&state);
        drop(state);
        self.shared.work.notify_one();
        parked.len()
    }

    /// What is owed now; of the parked keys those that the filter admits.
    pub fn owed(&self, filter: &ParkedFilter) -> OwedReport {
        self.shared.report(filter)
    }

    /// Whether the journal refused what was owed last for want of room.
    pub fn journal_full(&self) -> bool {
        self.shared.journal_full.load(Ordering::Relaxed)
    }

    /// Waits until nothing is owed but what is parked. `false`: the time ran out.
    pub async fn wait_idle(&self, timeout: Duration) -> bool {
        let idle = async {
            loop {
                let mut progress = std::pin::pin!(self.shared.progress.notified());
                progress.as_mut().enable();
                if self.shared.idle() {
                    return;
                }
                progress.await;
            }
        };
        tokio::time::timeout(timeout, idle).await.is_ok()
    }

    /// Greatest AUTO_INCREMENT value known to be allotted in `table` (lower bound for intents); asks
    /// MySQL once per table.
    pub async fn auto_increment_watermark(&self, ruleset: &Arc<Ruleset>, table: &str) -> u64 {
        watermark::current(&self.shared, ruleset, table).await
    }

    /// Raises the watermark after an OK packet told an insert id.
    pub fn raise_watermark(&self, table: &str, value: u64) {
        watermark::raise(&self.shared, table, value);
    }

    /// The counter was set back: MySQL is asked anew.
    pub fn forget_watermark(&self, table: &str) {
        watermark::forget(&self.shared, table);
    }

    /// Works off what is owed until the deadline, then stops. What is left stays in the journal,
    /// which the caller closes afterwards.
    pub async fn drain(&self, deadline: Duration) -> bool {
        let idle = self.wait_idle(deadline).await;
        self.stop().await;
        idle
    }

    /// Begins nothing new, lets refreshes under way end for a moment, then drops them.
    pub async fn stop(&self) {
        self.shared.stop.cancel();
        self.shared.tasks.close();
        if tokio::time::timeout(STOP_GRACE, self.shared.tasks.wait()).await.is_err() {
            self.shared.abort.cancel();
            // Tasks end at their next await; those that write the journal end by themselves.
            let _ = tokio::time::timeout(STOP_GRACE, self.shared.tasks.wait()).await;
        }
    }
}

/// A journal record's debt, read and written again: for checks of the format. `None`: it is no debt.
pub fn debt_written_again(record: &[u8]) -> Option<Vec<u8>> {
    record::Debt::decode(record)?.encode().ok()
}
