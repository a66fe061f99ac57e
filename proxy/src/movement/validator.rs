//! Looks again, after a while, at keys that were applied: whether their items are what their rows say.
//! Never here: mending, comparing (see `verify`).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use segue_config::limits::{
    ITEMS_READ_AT_ONCE, VALIDATION_EVERY, VALIDATION_KEPT_MAX, VALIDATION_LOOKS_MAX,
    VALIDATION_SETTLE,
};
use segue_rules::value::TableName;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::verify::{Difference, Tally, Verifier, VerifyOptions, VerifyReport};
use crate::mirror::{AppliedKey, Mirror};
use crate::telemetry::Metrics;

/// What the looks have found since the start.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Validation {
    #[serde(flatten)]
    pub total: Tally,
    /// Differences of keys that may be owed still: they say nothing.
    pub owed: u64,
    /// The last differences.
    pub differences: VecDeque<Difference>,
}

/// The task of a sidecar.
pub struct Validator {
    mirror: Mirror,
    after: Duration,
    metrics: Arc<Metrics>,
    found: Arc<Mutex<Validation>>,
}

impl Validator {
    /// `after`: how long after it was applied a key is looked at. How many are is the mirror's setting.
    pub fn new(mirror: Mirror, after: Duration, metrics: Arc<Metrics>) -> Validator {
        Validator { mirror, after, metrics, found: Arc::default() }
    }

    /// The results, as they grow.
    pub fn found(&self) -> Arc<Mutex<Validation>> {
        self.found.clone()
    }

    pub async fn run(self, stop: CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(VALIDATION_EVERY)).await.is_some() {
            let keys = self.mirror.applied(self.after, ITEMS_READ_AT_ONCE);
            if !keys.is_empty() {
                self.look_at(keys, &stop).await;
            }
        }
    }

    async fn look_at(&self, keys: Vec<AppliedKey>, stop: &CancellationToken) {
        let options = VerifyOptions {
            tables: Vec::new(),
            sample: 1.0,
            rows_per_second: None,
            settle: VALIDATION_SETTLE,
            looks_max: VALIDATION_LOOKS_MAX,
            show_values: false,
        };
        let (survey, ruleset) = (self.mirror.survey(), self.mirror.ruleset());
        let mut rows: Vec<_> =
            keys.iter().map(|key| (key.entity.to_string(), key.row_key.clone())).collect();
        // Rows of one entity are read together.
        rows.sort();
        rows.dedup();
        let verifier = Verifier::passing(survey, ruleset, options, stop.clone());
        match verifier.run_for(rows).await {
            Ok(report) => self.take(report, &keys),
            // The keys are not looked at; others will be.
            Err(error) => tracing::debug!(%error, "applied keys could not be looked at"),
        }
    }

    fn take(&self, report: VerifyReport, keys: &[AppliedKey]) {
        let mut found = self.found.lock();
        let mut total = report.total;
        for difference in report.differences {
            if self.may_be_owed(&difference, keys) {
                total.discount(difference.class);
                found.owed += 1;
                continue;
            }
            let entity = difference.entity.clone().unwrap_or_default();
            tracing::error!(entity, class = ?difference.class, "an applied item is not what its row says");
            found.differences.push_back(difference);
            if found.differences.len() > VALIDATION_KEPT_MAX {
                found.differences.pop_front();
            }
        }
        for (result, count) in total.results() {
            self.metrics.validated.with_label_values(&[result]).inc_by(count);
        }
        found.total.add(&total);
    }

    fn may_be_owed(&self, difference: &Difference, keys: &[AppliedKey]) -> bool {
        let (Some(entity), Some(row_key)) = (&difference.entity, &difference.row_key) else {
            return false;
        };
        let same = |key: &&AppliedKey| *key.entity == **entity && key.row_key == *row_key;
        let table: Option<&TableName> = keys.iter().find(same).map(|key| &key.table);
        table.is_some_and(|table| self.mirror.may_owe(entity, table, row_key))
    }
}
