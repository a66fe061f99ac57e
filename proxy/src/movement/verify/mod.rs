//! Compares both stores in both directions without writing: every row's item, and every item's row.
//! Never here: reading either store (see `mirror`'s `Survey`), mending what is found.
//!
//! Both stores move while this runs. What differs is looked at again after a while; it is a difference only
//! where neither row nor item changed between two looks.

mod report;
mod settle;
mod state;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use segue_config::limits::{
    FOREIGN_KEPT_MAX, ITEMS_READ_AT_ONCE, SUSPECTS_MAX, VERIFY_READS_AT_ONCE, VERIFY_SEGMENTS,
};
use segue_rules::diff::Verdict;
use segue_rules::entity::{DynamoTable, Entity, Ruleset};
use segue_rules::value::{Cell, TableName};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use report::{Class, Difference, NamedDifference, Tally, VerifyReport};
use state::{Place, State, Suspect};

use super::checkpoint::Checkpoint;
use super::error::MovementError;
use super::persist::persist;
use super::progress::Progress;
use super::throttle::Throttle;
use crate::mirror::{ItemPage, Look, OwnedItem, Standing, Survey, SurveyError};

/// What is compared, and how.
#[derive(Clone, Debug)]
pub struct VerifyOptions {
    /// Driving tables.
    pub tables: Vec<TableName>,
    /// Share of the keys that are looked at, from 0 to 1.
    pub sample: f64,
    pub rows_per_second: Option<f64>,
    /// How long a difference has to settle before it is looked at again.
    pub settle: Duration,
    /// Looks at what differs and keeps moving.
    pub looks_max: u32,
    /// Attributes' values go into the report.
    pub show_values: bool,
}

/// One comparison.
pub struct Verifier {
    survey: Survey,
    ruleset: Arc<Ruleset>,
    options: VerifyOptions,
    progress: Arc<Progress>,
    stop: CancellationToken,
    /// `None`: nothing is kept.
    checkpoint: Option<Checkpoint>,
    throttle: Throttle,
    state: State,
    begun: Instant,
    /// Seconds at work in earlier runs.
    earlier: f64,
}

impl Verifier {
    /// `checkpoint`: goes on where an earlier comparison of the same things was interrupted.
    pub fn new(
        survey: Survey,
        ruleset: Arc<Ruleset>,
        options: VerifyOptions,
        checkpoint: Checkpoint,
        stop: CancellationToken,
    ) -> Result<Verifier, MovementError> {
        let kept = checkpoint.load::<State>()?;
        let mut verifier = Verifier::passing(survey, ruleset, options, stop);
        if let Some(kept) = kept.filter(|kept| kept.is_of(&verifier.state)) {
            tracing::info!("goes on where the last comparison was interrupted");
            verifier.earlier = kept.report.seconds;
            verifier.state = kept;
        }
        verifier.checkpoint = Some(checkpoint);
        Ok(verifier)
    }

    /// The same, but begun anew whenever it ends.
    pub fn passing(
        survey: Survey,
        ruleset: Arc<Ruleset>,
        options: VerifyOptions,
        stop: CancellationToken,
    ) -> Verifier {
        Verifier {
            state: State::new(&ruleset, &options),
            survey,
            ruleset,
            throttle: Throttle::new(options.rows_per_second),
            options,
            progress: Arc::default(),
            stop,
            checkpoint: None,
            begun: Instant::now(),
            earlier: 0.0,
        }
    }

    /// Looks again at what an earlier comparison found, and at nothing else.
    pub async fn run_again(mut self, found: &VerifyReport) -> Result<VerifyReport, MovementError> {
        for difference in &found.differences {
            self.state.take_found(difference);
        }
        self.look_at_suspects().await
    }

    /// Looks at these rows (an entity's name and a row key each), and at nothing else.
    pub async fn run_for(
        mut self,
        rows: Vec<(String, Vec<Cell>)>,
    ) -> Result<VerifyReport, MovementError> {
        self.state.suspects.extend(rows.into_iter().map(|(entity, key)| Suspect::new(entity, key)));
        self.look_at_suspects().await
    }

    async fn look_at_suspects(mut self) -> Result<VerifyReport, MovementError> {
        let part = self.progress.add("verify again".to_owned(), "rows", None);
        self.settle_all().await?;
        self.judge_foreign().await?;
        self.progress.finish(part);
        let mut report = self.state.report;
        report.seconds = self.begun.elapsed().as_secs_f64();
        report.complete = true;
        report.sum_up();
        Ok(report)
    }

    pub fn progress(&self) -> Arc<Progress> {
        self.progress.clone()
    }

    /// Goes through everything. Interrupted, it leaves a checkpoint.
    pub async fn run(mut self) -> Result<VerifyReport, MovementError> {
        let ended = self.compare_all().await;
        self.state.report.seconds = self.earlier + self.begun.elapsed().as_secs_f64();
        if let Err(error) = ended {
            self.save()?;
            return Err(error);
        }
        if let Some(checkpoint) = self.checkpoint.take() {
            checkpoint.remove()?;
        }
        let mut report = self.state.report;
        report.complete = true;
        report.sum_up();
        Ok(report)
    }

    async fn compare_all(&mut self) -> Result<(), MovementError> {
        let ruleset = self.ruleset.clone();
        let entities: Vec<Arc<Entity>> = ruleset
            .entities
            .iter()
            .filter(|entity| self.options.tables.contains(&entity.source))
            .cloned()
            .collect();
        // Items first: those that seem to be nobody's are found to be somebody's by the rows.
        let tables = ruleset.tables.iter();
        let mut parts = Vec::new();
        for table in tables.filter(|table| entities.iter().any(|e| e.dynamo_table == table.name)) {
            let name = format!("{} items", table.name);
            parts.push((self.progress.add(name, "items", None), table));
        }
        let mut rows = Vec::new();
        for entity in &entities {
            let total = self.survey.row_estimate(&entity.source).await;
            rows.push((self.progress.add(entity.name.clone(), "rows", total), entity));
        }
        for (part, table) in parts {
            self.compare_items(table, part).await?;
            self.progress.finish(part);
        }
        for (part, entity) in rows {
            self.compare_rows(entity, part).await?;
            self.progress.finish(part);
        }
        self.settle_all().await?;
        self.judge_foreign().await
    }

    /// The direction from the rows: every row's item.
    async fn compare_rows(
        &mut self,
        entity: &Arc<Entity>,
        part: usize,
    ) -> Result<(), MovementError> {
        let Some(table) = table_of(&self.ruleset, entity).cloned() else { return Ok(()) };
        let survey = self.survey.clone();
        let scan = async |from: Place<Vec<Cell>>| match from {
            Place::Begin => persist(|| survey.driving_keys(entity, None)).await,
            Place::After(last) => persist(|| survey.driving_keys(entity, Some(&last))).await,
            Place::End => Ok(Vec::new()),
        };
        let mut keys = scan(self.state.row_place(&entity.name)).await?;
        while let Some(end) = keys.last().cloned() {
            self.throttle.pass(keys.len() as f64, &self.stop).await;
            let chosen: Vec<Vec<Cell>> =
                keys.iter().filter(|key| self.is_sampled(key)).cloned().collect();
            let looks = stream::iter(chosen.chunks(ITEMS_READ_AT_ONCE))
                .map(|batch| persist(|| survey.compare(entity, &table, batch)))
                .buffered(VERIFY_READS_AT_ONCE)
                .try_collect::<Vec<Vec<Look>>>();
            let (looks, next) = tokio::try_join!(looks, scan(Place::After(end.clone())))?;
            looks.into_iter().flatten().for_each(|look| self.take_look(entity, look));
            self.progress.advance(part, keys.len() as u64);
            self.state.rows.insert(entity.name.clone(), Place::After(end));
            self.keep_going().await?;
            keys = next;
        }
        self.state.rows.insert(entity.name.clone(), Place::End);
        Ok(())
    }

    /// The first look at a row's item.
    fn take_look(&mut self, entity: &Entity, look: Look) {
        if let Some(key) = &look.item_key {
            self.state.foreign.remove(key);
        }
        let suspicious = match &look.standing {
            Standing::Item(Verdict::Missing | Verdict::Different(_)) => true,
            Standing::Unbuildable(_) => true,
            Standing::NoItem | Standing::Item(Verdict::Equal | Verdict::Expired) => false,
        };
        self.state.report.count(&entity.name, |tally| {
            tally.rows += 1;
            match &look.standing {
                Standing::NoItem => tally.without_item += 1,
                Standing::Item(Verdict::Equal) => tally.equal += 1,
                Standing::Item(Verdict::Expired) => tally.expired += 1,
                _ => {}
            }
        });
        if suspicious {
            self.state.suspects.push_back(Suspect::row(&entity.name, look));
        }
    }

    /// The direction from the items: every item's row.
    async fn compare_items(
        &mut self,
        table: &DynamoTable,
        part: usize,
    ) -> Result<(), MovementError> {
        let ruleset = self.ruleset.clone();
        let (survey, options) = (self.survey.clone(), self.options.clone());
        let read = async |segment: usize, place: Place<_>| {
            let from = match place {
                Place::Begin => None,
                Place::After(key) => Some(key),
                Place::End => return Ok(None),
            };
            let number = (segment as i32, VERIFY_SEGMENTS as i32);
            let wanted = |item: &OwnedItem| {
                options.tables.contains(&item.entity.source)
                    && is_sampled(options.sample, &item.row_key)
            };
            let read = || survey.strays_in_page(&ruleset, table, from.clone(), number, wanted);
            let (page, strays) = persist(read).await?;
            Ok::<_, SurveyError>(Some((segment, page, strays)))
        };
        loop {
            let places = self.state.scans.get(&table.name).cloned().unwrap_or_default();
            let reads = places.into_iter().enumerate().map(|(segment, place)| read(segment, place));
            let found: Vec<_> = try_join_all(reads).await?.into_iter().flatten().collect();
            if found.is_empty() {
                return Ok(());
            }
            for (segment, page, strays) in found {
                self.progress.advance(part, page.items);
                self.take_page(table, segment, page, strays);
            }
            self.keep_going().await?;
        }
    }

    fn take_page(
        &mut self,
        table: &DynamoTable,
        segment: usize,
        page: ItemPage,
        strays: Vec<OwnedItem>,
    ) {
        for item in &page.ours {
            self.state.report.count(&item.entity.name, |tally| tally.items += 1);
        }
        self.state.suspects.extend(strays.into_iter().map(Suspect::item));
        for key in page.foreign {
            match self.state.foreign.len() < FOREIGN_KEPT_MAX && self.judges_foreign(table) {
                true => drop(self.state.foreign.insert(key)),
                false => self.state.report.foreign_unjudged += 1,
            }
        }
        let place = page.next.map_or(Place::End, Place::After);
        if let Some(places) = self.state.scans.get_mut(&table.name) {
            places[segment] = place;
        }
    }

    /// Whether an item that no row explains is one too many: only where every row of the table is asked.
    fn judges_foreign(&self, table: &DynamoTable) -> bool {
        let mut entities =
            self.ruleset.entities.iter().filter(|entity| entity.dynamo_table == table.name);
        self.options.sample >= 1.0
            && entities.all(|entity| self.options.tables.contains(&entity.source))
    }

    fn is_sampled(&self, key: &[Cell]) -> bool {
        is_sampled(self.options.sample, key)
    }

    fn save(&mut self) -> Result<(), MovementError> {
        if let Some(checkpoint) = &mut self.checkpoint {
            checkpoint.save(&self.state)?;
        }
        Ok(())
    }

    /// Saves from time to time, bounds what waits for another look, ends where it must.
    async fn keep_going(&mut self) -> Result<(), MovementError> {
        if self.state.suspects.len() >= SUSPECTS_MAX {
            self.settle_all().await?;
        }
        if self.checkpoint.as_ref().is_some_and(Checkpoint::is_due) {
            self.state.report.seconds = self.earlier + self.begun.elapsed().as_secs_f64();
            self.save()?;
        }
        match self.stop.is_cancelled() {
            true => Err(MovementError::Interrupted),
            false => Ok(()),
        }
    }
}

fn table_of<'a>(ruleset: &'a Ruleset, entity: &Entity) -> Option<&'a DynamoTable> {
    ruleset.tables.iter().find(|table| table.name == entity.dynamo_table)
}

/// The same keys in both directions, and in every comparison.
fn is_sampled(share: f64, key: &[Cell]) -> bool {
    if share >= 1.0 {
        return true;
    }
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    (hasher.finish() as f64) < share * u64::MAX as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_about_its_share_and_always_the_same() {
        let chosen = |share| (0..10_000).filter(|&id| is_sampled(share, &[Cell::Int(id)])).count();
        assert_eq!((chosen(1.0), chosen(0.0)), (10_000, 0));
        assert!((400..600).contains(&chosen(0.05)), "{}", chosen(0.05));
        assert_eq!(chosen(0.05), chosen(0.05));
    }
}
