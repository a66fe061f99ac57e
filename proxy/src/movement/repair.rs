//! Mends what a comparison found: a refresh of each row behind a difference.
//! Never here: finding differences.

use std::sync::Arc;

use segue_config::limits::BACKFILL_IN_FLIGHT;
use segue_rules::value::{Cell, ItemKey};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::flight::Flight;
use super::persist::persist;
use super::progress::Progress;
use super::throttle::Throttle;
use super::verify::{Class, Difference, VerifyReport};
use crate::mirror::{Mirror, RefreshEnd, SurveyError};

/// What a repair would do, or did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RepairCounts {
    /// Items that are missing.
    pub add: u64,
    /// Items with other content than their row.
    pub update: u64,
    /// Items without a row.
    pub delete: u64,
    /// Items without readable bookkeeping that no row explains.
    pub foreign: u64,
    /// Rows whose item cannot be written as things stand.
    pub parked: u64,
}

impl RepairCounts {
    pub fn of(report: &VerifyReport) -> RepairCounts {
        let mut counts = RepairCounts::default();
        for difference in &report.differences {
            let counter = match (difference.class, &difference.entity) {
                (Class::Missing, _) => &mut counts.add,
                (Class::Different | Class::Unsettled, _) => &mut counts.update,
                (Class::Extra, Some(_)) => &mut counts.delete,
                (Class::Extra, None) => &mut counts.foreign,
                (Class::Parked, _) => &mut counts.parked,
            };
            *counter += 1;
        }
        counts
    }
}

/// One repair.
pub struct Repair {
    /// Serves the tables of the report.
    pub mirror: Mirror,
    pub rows_per_second: Option<f64>,
    /// Items without readable bookkeeping that no row explains are deleted.
    pub delete_foreign: bool,
    pub progress: Arc<Progress>,
    pub stop: CancellationToken,
}

impl Repair {
    /// Refreshes every row of the report's differences. `false`: interrupted; a refresh more does no harm, so
    /// the same report may be used again.
    pub async fn run(&self, report: &VerifyReport) -> Result<bool, SurveyError> {
        let ruleset = self.mirror.ruleset();
        let total = report.differences.len() as u64;
        let part = self.progress.add("repair".to_owned(), "rows", Some(total));
        let mut throttle = Throttle::new(self.rows_per_second);
        let mut flight = Flight::new(&self.mirror, BACKFILL_IN_FLIGHT);
        for difference in &report.differences {
            if self.stop.is_cancelled() {
                return Ok(false);
            }
            throttle.pass(1.0, &self.stop).await;
            while flight.is_full() {
                self.land_one(&mut flight, part).await?;
            }
            let name = difference.entity.as_deref();
            let entity = ruleset.entities.iter().find(|entity| Some(&*entity.name) == name);
            match (entity, row_of(difference)) {
                (Some(entity), Some((key, stale))) => flight.launch((), entity, key, stale),
                _ => {
                    self.remove_foreign(difference).await?;
                    self.progress.advance(part, 1);
                }
            }
        }
        while self.land_one(&mut flight, part).await? {}
        self.progress.finish(part);
        Ok(true)
    }

    async fn land_one(&self, flight: &mut Flight<()>, part: usize) -> Result<bool, SurveyError> {
        match flight.land().await {
            None => Ok(false),
            Some((_, RefreshEnd::Refused(reason))) => Err(SurveyError::refused(reason)),
            Some((_, RefreshEnd::Done | RefreshEnd::Parked { .. })) => {
                self.progress.advance(part, 1);
                Ok(true)
            }
        }
    }

    async fn remove_foreign(&self, difference: &Difference) -> Result<(), SurveyError> {
        let (Some(key), true) = (&difference.item_key, self.delete_foreign) else { return Ok(()) };
        let (survey, ruleset) = (self.mirror.survey(), self.mirror.ruleset());
        let Some(table) = ruleset.tables.iter().find(|table| table.name == key.table) else {
            return Ok(());
        };
        persist(|| survey.remove_foreign(&ruleset, table, key)).await
    }
}

/// The row to refresh, and the item key that it may have had.
fn row_of(difference: &Difference) -> Option<(Vec<Cell>, Option<ItemKey>)> {
    let stale = (difference.class == Class::Extra).then(|| difference.item_key.clone()).flatten();
    Some((difference.row_key.clone()?, stale))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_counted_by_what_mends_them() {
        let difference = |class, entity: Option<&str>| Difference {
            class,
            entity: entity.map(str::to_owned),
            row_key: Some(vec![Cell::Int(1)]),
            item_key: None,
            attributes: Vec::new(),
            reason: None,
        };
        let report = VerifyReport {
            differences: vec![
                difference(Class::Missing, Some("a")),
                difference(Class::Different, Some("a")),
                difference(Class::Unsettled, Some("a")),
                difference(Class::Extra, Some("a")),
                difference(Class::Extra, None),
                difference(Class::Parked, Some("a")),
            ],
            ..VerifyReport::default()
        };
        let counts = RepairCounts { add: 1, update: 2, delete: 1, foreign: 1, parked: 1 };
        assert_eq!(RepairCounts::of(&report), counts);
    }
}
