//! What is owed, for the API: counts, parked keys, sweeps, age.
//! Never here: changing anything.

use segue_config::limits;
use serde::Serialize;

use super::bookkeeping;
use super::ledger::Counts;
use super::parts::Shared;
use super::sweeps::SweepReport;

/// A consistent picture: taken under one lock, so `seen = applied + superseded + owed` in it.
#[derive(Clone, Debug, Serialize)]
pub struct OwedReport {
    pub tables: Vec<TableReport>,
    /// The first of the parked keys, oldest first.
    pub parked: Vec<ParkedReport>,
    pub parked_total: usize,
    pub sweeps: Vec<SweepReport>,
    /// Refreshes queued, waiting to be tried again, or under way.
    pub refreshes: usize,
    /// Transactions whose keys are being looked up.
    pub expanding: usize,
    /// Transactions whose commit may still be to come: their connection to MySQL broke.
    pub uncertain: usize,
    pub oldest_age_seconds: Option<f64>,
}

#[derive(Clone, Debug, Serialize)]
pub struct TableReport {
    pub table: String,
    #[serde(flatten)]
    pub counts: Counts,
}

/// Names a row in the clear: for the operator who must mend it, never for a log.
#[derive(Clone, Debug, Serialize)]
pub struct ParkedReport {
    pub table: String,
    pub entity: String,
    pub key: String,
    pub reason: String,
    pub age_seconds: u64,
    pub attempts: u32,
}

impl Shared {
    pub(crate) fn report(&self) -> OwedReport {
        let now = self.now();
        let state = self.state.lock();
        let mut parked: Vec<_> = state.queue.parked().collect();
        parked.sort_by(|a, b| (a.since, &a.target).cmp(&(b.since, &b.target)));
        let parked_total = parked.len();
        parked.truncate(limits::PARKED_LISTED_MAX);
        let parked = parked
            .into_iter()
            .map(|parked| ParkedReport {
                table: parked.target.table.to_string(),
                entity: parked.target.entity.to_string(),
                key: format!("{:?}", bookkeeping::encode_key(&parked.target.key)),
                reason: parked.reason,
                age_seconds: now.saturating_duration_since(parked.since).as_secs(),
                attempts: parked.attempts,
            })
            .collect();
        OwedReport {
            tables: state
                .ledger
                .counts()
                .iter()
                .map(|(table, counts)| TableReport { table: table.to_string(), counts: *counts })
                .collect(),
            parked,
            parked_total,
            sweeps: state.sweeps.report(now),
            refreshes: state.queue.len() - state.queue.parked_len(),
            expanding: state.expanding,
            uncertain: state.uncertain.len(),
            oldest_age_seconds: state
                .ledger
                .oldest()
                .map(|since| now.saturating_duration_since(since).as_secs_f64()),
        }
    }

    /// Nothing is owed but what is parked.
    pub(crate) fn idle(&self) -> bool {
        let state = self.state.lock();
        state.expanding == 0
            && state.uncertain.is_empty()
            && state.sweeps.is_empty()
            && state.queue.len() == state.queue.parked_len()
    }
}
