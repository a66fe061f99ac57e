//! Copies what was there before: refreshes every row of tables in key order, and can go on after any end.
//! Never here: what a refresh does, live writes.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use segue_config::limits::{
    BACKFILL_CHUNK_ROWS, BACKFILL_IN_FLIGHT, BACKFILL_LAND_SECONDS, MYSQL_BUSY_PAUSE,
    PARKED_ROWS_KEPT_MAX,
};
use segue_rules::entity::{Entity, Ruleset};
use segue_rules::value::{Cell, TableName};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::checkpoint::Checkpoint;
use super::error::MovementError;
use super::flight::Flight;
use super::persist::persist;
use super::progress::Progress;
use super::throttle::Throttle;
use crate::mirror::{Mirror, OwnedItem, RefreshEnd, SurveyError};
use crate::telemetry::Metrics;

/// What is copied, and how fast at most.
#[derive(Clone, Debug)]
pub struct BackfillOptions {
    /// Driving tables.
    pub tables: Vec<TableName>,
    pub rows_per_second: Option<f64>,
    /// Write capacity units of DynamoDB.
    pub write_units_per_second: Option<f64>,
    /// While MySQL works on more statements than these, nothing new is begun.
    pub threads_running_max: Option<u64>,
    /// How long a write without answer may still arrive.
    pub late_write: Duration,
}

/// Counts of one entity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copied {
    /// Rows that were gone through.
    pub rows: u64,
    /// Items created or replaced.
    pub written: u64,
    /// Items that were right already.
    pub equal: u64,
    /// Items removed because their row has another item key, or none.
    pub deleted: u64,
    /// Rows whose item cannot be written.
    pub parked: u64,
}

/// A row whose item cannot be written.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ParkedRow {
    pub entity: String,
    pub row_key: Vec<Cell>,
    pub reason: String,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct BackfillReport {
    /// Fingerprint of contract and schema.
    pub contract: String,
    pub tables: Vec<TableName>,
    pub complete: bool,
    /// Time at work, over all runs of a backfill that was interrupted.
    pub seconds: f64,
    pub entities: BTreeMap<String, Copied>,
    /// At least: indexes come on top.
    pub write_units: u64,
    pub parked: Vec<ParkedRow>,
    /// Parked rows that are only counted: the list is full.
    pub parked_left_out: u64,
}

impl BackfillReport {
    pub fn total(&self) -> Copied {
        self.entities.values().fold(Copied::default(), |sum, one| Copied {
            rows: sum.rows + one.rows,
            written: sum.written + one.written,
            equal: sum.equal + one.equal,
            deleted: sum.deleted + one.deleted,
            parked: sum.parked + one.parked,
        })
    }
}

/// Where a backfill stands: what a checkpoint keeps.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct State {
    /// By entity: all rows up to this key are done. `None`: all of them are.
    places: BTreeMap<String, Option<Vec<Cell>>>,
    report: BackfillReport,
    /// The run that wrote this has not ended, or was killed.
    running: bool,
    /// A run was killed: requests that it had under way may have created items of rows that went meanwhile.
    was_killed: bool,
}

/// One backfill.
pub struct Backfill {
    mirror: Mirror,
    ruleset: Arc<Ruleset>,
    metrics: Arc<Metrics>,
    options: BackfillOptions,
    progress: Arc<Progress>,
    stop: CancellationToken,
    checkpoint: Checkpoint,
    rows: Throttle,
    units: Throttle,
    /// Write units that the throttle has heard of.
    units_passed: u64,
    state: State,
    /// The report as this run found it.
    earlier: BackfillReport,
    begun: Instant,
    mysql_asked: Instant,
}

impl Backfill {
    /// `mirror`: serves these tables, and shares its metrics. Goes on where an earlier backfill of the same
    /// tables was interrupted.
    pub fn new(
        mirror: Mirror,
        metrics: Arc<Metrics>,
        options: BackfillOptions,
        checkpoint: Checkpoint,
        stop: CancellationToken,
    ) -> Result<Backfill, MovementError> {
        let ruleset = mirror.ruleset();
        let fresh = BackfillReport {
            contract: ruleset.fingerprint.clone(),
            tables: options.tables.clone(),
            ..BackfillReport::default()
        };
        let is_same = |kept: &State| {
            kept.report.contract == fresh.contract && kept.report.tables == fresh.tables
        };
        let state = match checkpoint.load::<State>()?.filter(is_same) {
            Some(kept) => {
                tracing::info!("goes on where the last backfill was interrupted");
                State { was_killed: kept.was_killed || kept.running, running: true, ..kept }
            }
            None => State { report: fresh, running: true, ..State::default() },
        };
        Ok(Backfill {
            mirror,
            ruleset,
            metrics,
            rows: Throttle::new(options.rows_per_second),
            units: Throttle::new(options.write_units_per_second),
            units_passed: 0,
            options,
            progress: Arc::default(),
            stop,
            checkpoint,
            earlier: state.report.clone(),
            state,
            begun: Instant::now(),
            mysql_asked: Instant::now(),
        })
    }

    pub fn progress(&self) -> Arc<Progress> {
        self.progress.clone()
    }

    /// Goes through every row. Interrupted, it leaves a checkpoint.
    pub async fn run(mut self) -> Result<BackfillReport, MovementError> {
        let ended = self.copy_all().await;
        self.count();
        if let Err(error) = ended {
            self.state.running = false;
            self.checkpoint.save(&self.state)?;
            return Err(error);
        }
        self.checkpoint.remove()?;
        self.state.report.complete = true;
        Ok(self.state.report)
    }

    async fn copy_all(&mut self) -> Result<(), MovementError> {
        // From now on a run that is killed is known to have been.
        self.checkpoint.save(&self.state)?;
        let ruleset = self.ruleset.clone();
        let mut parts = Vec::new();
        for entity in ruleset.entities.iter().filter(|e| self.options.tables.contains(&e.source)) {
            let total = self.mirror.survey().row_estimate(&entity.source).await;
            let part = self.progress.add(entity.name.clone(), "rows", total);
            let done = self.earlier.entities.get(&entity.name).map_or(0, |copied| copied.rows);
            self.progress.advance(part, done);
            parts.push((part, entity));
        }
        for (part, entity) in parts {
            self.copy(entity, part).await?;
            self.progress.finish(part);
        }
        if self.state.was_killed {
            self.remove_strays().await?;
        }
        self.wait_for_late_writes().await
    }

    /// Refreshes the rows of items that have none, once no request of a killed run can arrive any more.
    async fn remove_strays(&mut self) -> Result<(), MovementError> {
        let part = self.progress.add("items without a row".to_owned(), "items", None);
        let late = self.begun + self.options.late_write;
        tokio::select! {
            () = self.stop.cancelled() => return Err(MovementError::Interrupted),
            () = tokio::time::sleep_until(late) => {}
        }
        let (survey, ruleset) = (self.mirror.survey(), self.ruleset.clone());
        let wanted = |item: &OwnedItem| self.options.tables.contains(&item.entity.source);
        for table in &ruleset.tables {
            let mut from = None;
            loop {
                let read = || survey.strays_in_page(&ruleset, table, from.clone(), (0, 1), wanted);
                let (page, strays) = persist(read).await?;
                for OwnedItem { entity, row_key, key } in strays {
                    // Whether it went or is parked, there is nothing more to do about it here.
                    self.mirror.refresh(&entity, row_key, Some(key)).await;
                }
                self.progress.advance(part, page.items);
                if self.stop.is_cancelled() {
                    return Err(MovementError::Interrupted);
                }
                match page.next {
                    Some(next) => from = Some(next),
                    None => break,
                }
            }
        }
        self.progress.finish(part);
        Ok(())
    }

    async fn copy(&mut self, entity: &Arc<Entity>, part: usize) -> Result<(), MovementError> {
        let survey = self.mirror.survey();
        let mut last = match self.state.places.get(&entity.name) {
            Some(None) => return Ok(()),
            Some(Some(last)) => Some(last.clone()),
            None => None,
        };
        let mut flight = Flight::new(&self.mirror, BACKFILL_IN_FLIGHT);
        let mut chunks = Chunks::default();
        loop {
            let scan = || survey.driving_keys(entity, last.as_deref());
            let keys = persist(scan).await?;
            let Some(end) = keys.last().cloned() else { break };
            last = Some(end);
            for chunk in keys.chunks(BACKFILL_CHUNK_ROWS) {
                let started = self.start(entity, chunk, &mut flight, &mut chunks, part).await;
                let Err(error) = started else { continue };
                let landed = self.land(entity, &mut flight, &mut chunks, part);
                let limit = Duration::from_secs(BACKFILL_LAND_SECONDS);
                // What does not land in time is done again.
                let _ = tokio::time::timeout(limit, landed).await;
                self.note(entity, &mut chunks);
                return Err(error);
            }
        }
        self.land(entity, &mut flight, &mut chunks, part).await?;
        self.state.places.insert(entity.name.clone(), None);
        Ok(())
    }

    /// Begins some rows, at the pace that is asked for.
    async fn start(
        &mut self,
        entity: &Entity,
        keys: &[Vec<Cell>],
        flight: &mut Flight<(usize, Vec<Cell>)>,
        chunks: &mut Chunks,
        part: usize,
    ) -> Result<(), MovementError> {
        self.rows.pass(keys.len() as f64, &self.stop).await;
        self.wait_for_mysql().await?;
        self.keep_going(entity, chunks)?;
        let Some(end) = keys.last() else { return Ok(()) };
        let chunk = chunks.open(end.clone(), keys.len());
        for key in keys {
            while flight.is_full() {
                self.land_one(entity, flight, chunks, part).await?;
            }
            flight.launch((chunk, key.clone()), entity, key.clone(), None);
        }
        self.pay_units().await;
        Ok(())
    }

    async fn land(
        &mut self,
        entity: &Entity,
        flight: &mut Flight<(usize, Vec<Cell>)>,
        chunks: &mut Chunks,
        part: usize,
    ) -> Result<(), MovementError> {
        while self.land_one(entity, flight, chunks, part).await? {
            if !self.stop.is_cancelled() {
                self.keep_going(entity, chunks)?;
            }
        }
        Ok(())
    }

    async fn land_one(
        &mut self,
        entity: &Entity,
        flight: &mut Flight<(usize, Vec<Cell>)>,
        chunks: &mut Chunks,
        part: usize,
    ) -> Result<bool, MovementError> {
        let landed = tokio::select! {
            landed = flight.land() => landed,
            // While a store is away nothing lands; the caller lands what it can.
            () = self.stop.cancelled(), if flight.is_full() => return Err(MovementError::Interrupted),
        };
        let Some(((chunk, row_key), end)) = landed else { return Ok(false) };
        let report = &mut self.state.report;
        let copied = report.entities.entry(entity.name.clone()).or_default();
        match end {
            RefreshEnd::Done => {}
            RefreshEnd::Parked { reason, .. } => {
                copied.parked += 1;
                match report.parked.len() < PARKED_ROWS_KEPT_MAX {
                    true => {
                        let entity = entity.name.clone();
                        report.parked.push(ParkedRow { entity, row_key, reason });
                    }
                    false => report.parked_left_out += 1,
                }
            }
            RefreshEnd::Refused(reason) => return Err(SurveyError::refused(reason).into()),
        }
        copied.rows += 1;
        chunks.done(chunk);
        self.progress.advance(part, 1);
        Ok(true)
    }

    /// Saves from time to time, ends where it must.
    fn keep_going(&mut self, entity: &Entity, chunks: &mut Chunks) -> Result<(), MovementError> {
        if self.checkpoint.is_due() {
            self.note(entity, chunks);
            self.count();
            self.checkpoint.save(&self.state)?;
        }
        match self.stop.is_cancelled() {
            true => Err(MovementError::Interrupted),
            false => Ok(()),
        }
    }

    fn note(&mut self, entity: &Entity, chunks: &mut Chunks) {
        if let Some(end) = chunks.finished() {
            self.state.places.insert(entity.name.clone(), Some(end));
        }
    }

    /// Brings the report up to date with the metrics.
    fn count(&mut self) {
        let report = &mut self.state.report;
        report.seconds = self.earlier.seconds + self.begun.elapsed().as_secs_f64();
        for (name, copied) in &mut report.entities {
            let before = self.earlier.entities.get(name).copied().unwrap_or_default();
            let now = |action: &str| self.metrics.items.with_label_values(&[name, action]).get();
            copied.written = before.written + now("written");
            copied.equal = before.equal + now("equal");
            copied.deleted = before.deleted + now("deleted");
        }
        report.write_units = self.earlier.write_units + units(&self.metrics, &self.ruleset);
    }

    /// Waits as long as what was written costs.
    async fn pay_units(&mut self) {
        let now = units(&self.metrics, &self.ruleset);
        let spent = now - std::mem::replace(&mut self.units_passed, now);
        self.units.pass(spent as f64, &self.stop).await;
    }

    /// While MySQL has too much to do, nothing new is begun.
    async fn wait_for_mysql(&mut self) -> Result<(), MovementError> {
        let Some(most) = self.options.threads_running_max else { return Ok(()) };
        if self.mysql_asked.elapsed() < MYSQL_BUSY_PAUSE {
            return Ok(());
        }
        let survey = self.mirror.survey();
        while persist(|| survey.threads_running()).await? > most {
            tokio::select! {
                () = self.stop.cancelled() => return Err(MovementError::Interrupted),
                () = tokio::time::sleep(MYSQL_BUSY_PAUSE) => {}
            }
        }
        self.mysql_asked = Instant::now();
        Ok(())
    }

    /// A write whose answer was lost may still arrive; the mirror looks at its row once more then.
    async fn wait_for_late_writes(&mut self) -> Result<(), MovementError> {
        let forever = Duration::from_secs(u64::from(u32::MAX));
        if self.mirror.wait_idle(Duration::ZERO).await {
            return Ok(());
        }
        tracing::info!("waits until writes without an answer can arrive no more");
        tokio::select! {
            () = self.stop.cancelled() => Err(MovementError::Interrupted),
            _ = self.mirror.wait_idle(forever) => Ok(()),
        }
    }
}

fn units(metrics: &Metrics, ruleset: &Ruleset) -> u64 {
    let tables = ruleset.tables.iter();
    tables.map(|table| metrics.write_units.with_label_values(&[&table.name]).get()).sum()
}

/// Chunks of keys that are under way, in key order.
#[derive(Debug, Default)]
struct Chunks {
    /// Number of the first that is still open.
    first: usize,
    /// The last key of each, and how many of its rows are not done.
    open: VecDeque<(Vec<Cell>, usize)>,
}

impl Chunks {
    fn open(&mut self, end: Vec<Cell>, rows: usize) -> usize {
        self.open.push_back((end, rows));
        self.first + self.open.len() - 1
    }

    fn done(&mut self, chunk: usize) {
        if let Some((_, left)) = self.open.get_mut(chunk - self.first) {
            *left -= 1;
        }
    }

    /// The last key up to which every row is done, if there are more than at the last call.
    fn finished(&mut self) -> Option<Vec<Cell>> {
        let mut end = None;
        while self.open.front().is_some_and(|(_, left)| *left == 0) {
            end = self.open.pop_front().map(|(end, _)| end);
            self.first += 1;
        }
        end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_behind_every_row_that_is_not_done() {
        let key = |id| vec![Cell::Int(id)];
        let mut chunks = Chunks::default();
        let (a, b) = (chunks.open(key(2), 2), chunks.open(key(4), 2));
        chunks.done(b);
        chunks.done(b);
        chunks.done(a);
        assert_eq!(chunks.finished(), None);
        chunks.done(a);
        assert_eq!(chunks.finished(), Some(key(4)));
        assert_eq!(chunks.finished(), None);
        let c = chunks.open(key(5), 1);
        chunks.done(c);
        assert_eq!(chunks.finished(), Some(key(5)));
    }
}
