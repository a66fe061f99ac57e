//! What is owed, for the API: counts, parked keys, sweeps, age.
//! Never here: changing anything.

use std::time::{Instant, SystemTime};

use segue_config::limits;
use serde::Serialize;

use super::bookkeeping;
use super::ledger::Counts;
use super::parts::{Shared, State};
use super::queue::{Parked, Target};
use super::sweeps::SweepReport;
use crate::telemetry::Written;

/// A consistent picture: taken under one lock, so `seen = applied + superseded + owed` in it.
#[derive(Clone, Debug, Serialize)]
pub struct OwedReport {
    pub tables: Vec<TableReport>,
    /// The first of the parked keys that were asked for, oldest first.
    pub parked: Vec<ParkedReport>,
    /// All that were asked for.
    pub parked_matching: usize,
    pub parked_total: usize,
    pub sweeps: Vec<SweepReport>,
    /// Refreshes queued, waiting to be tried again, or under way.
    pub refreshes: usize,
    /// Transactions that wait in the journal alone, because enough is being worked on.
    pub on_disk: usize,
    /// Transactions whose keys are being looked up.
    pub expanding: usize,
    /// Transactions whose commit may still be to come: their connection to MySQL broke.
    pub uncertain: usize,
    pub oldest_age_seconds: Option<f64>,
    /// Since the start; `None`: items are written one by one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transactions: Option<TransactionsReport>,
}

/// Transactions of several items by how these were written.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct TransactionsReport {
    pub whole: u64,
    pub split: u64,
    pub torn: u64,
}

/// Which parked keys a report lists, and how many at most.
#[derive(Clone, Debug, Default)]
pub struct ParkedFilter {
    pub table: Option<String>,
    pub entity: Option<String>,
    /// At most [`limits::PARKED_LISTED_MAX`].
    pub limit: Option<usize>,
}

impl ParkedFilter {
    fn admits(&self, target: &Target) -> bool {
        self.table.as_ref().is_none_or(|table| **table == *target.table)
            && self.entity.as_ref().is_none_or(|entity| **entity == *target.entity)
    }
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
    /// When it was parked last, in ISO 8601.
    pub since: String,
    pub age_seconds: u64,
    pub attempts: u32,
}

impl Shared {
    pub(crate) fn report(&self, filter: &ParkedFilter) -> OwedReport {
        let now = self.now();
        let state = self.state.lock();
        let (parked, parked_matching) = listed(&state, filter, now);
        OwedReport {
            tables: state
                .ledger
                .counts()
                .iter()
                .map(|(table, counts)| TableReport { table: table.to_string(), counts: *counts })
                .collect(),
            parked,
            parked_matching,
            parked_total: state.queue.parked_len(),
            sweeps: state.sweeps.report(now),
            refreshes: state.queue.len() - state.queue.parked_len(),
            on_disk: state.backlog.len() + state.recovered.len(),
            expanding: state.expanding,
            uncertain: state.uncertain.len(),
            oldest_age_seconds: [
                state.ledger.oldest(),
                state.backlog.oldest(),
                state.recovered.oldest(),
            ]
            .into_iter()
            .flatten()
            .min()
            .map(|since| now.saturating_duration_since(since).as_secs_f64()),
            transactions: self.settings.whole_transactions.then(|| TransactionsReport {
                whole: self.metrics.transactions(Written::Whole),
                split: self.metrics.transactions(Written::Split),
                torn: self.metrics.transactions(Written::Torn),
            }),
        }
    }

    /// Nothing is owed but what is parked.
    pub(crate) fn idle(&self) -> bool {
        let state = self.state.lock();
        state.expanding == 0
            && state.backlog.is_empty()
            && state.recovered.is_empty()
            && state.uncertain.is_empty()
            && state.sweeps.is_empty()
            && state.queue.len() == state.queue.parked_len()
    }
}

/// Parked keys, oldest first, and how many there are.
fn listed(state: &State, filter: &ParkedFilter, now: Instant) -> (Vec<ParkedReport>, usize) {
    let mut parked: Vec<_> =
        state.queue.parked().filter(|parked| filter.admits(&parked.target)).collect();
    parked.sort_by(|a, b| (a.since, &a.target).cmp(&(b.since, &b.target)));
    let matching = parked.len();
    parked.truncate(filter.limit.unwrap_or(usize::MAX).min(limits::PARKED_LISTED_MAX));
    let today = SystemTime::now();
    let shown = |parked: Parked| {
        let age = now.saturating_duration_since(parked.since);
        ParkedReport {
            table: parked.target.table.to_string(),
            entity: parked.target.entity.to_string(),
            key: format!("{:?}", bookkeeping::encode_key(&parked.target.key)),
            reason: parked.reason,
            since: bookkeeping::iso_time(today.checked_sub(age).unwrap_or(today)),
            age_seconds: age.as_secs(),
            attempts: parked.attempts,
        }
    };
    (parked.into_iter().map(shown).collect(), matching)
}
