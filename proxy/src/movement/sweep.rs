//! One sweep of one MySQL table: every driving row refreshed, then every item without its row.
//! Never here: which sweep is next, what a refresh does.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::stream::{FuturesUnordered, StreamExt};
use segue_config::limits;
use segue_rules::entity::{DynamoTable, Entity, EntityId, Ruleset};
use segue_rules::value::{Cell, ItemKey};

use crate::mirror::{Mirror, RefreshEnd, SurveyError, SweepTicket};

/// Refreshes everything that rows of the ticket's table can show in.
pub(super) async fn sweep(mirror: &Mirror, ticket: &SweepTicket) -> Result<(), SurveyError> {
    let ruleset = mirror.ruleset();
    let mut entities = entities_of(&ruleset, &ticket.table);
    entities.retain(|entity| mirror.serves(entity));
    let tables: BTreeSet<&str> = entities.iter().map(|entity| &*entity.dynamo_table).collect();
    let sources: BTreeSet<_> = entities.iter().map(|entity| &entity.source).collect();
    let mut rows_total = Some(0);
    for source in sources {
        let drives = entities.iter().filter(|entity| entity.source == *source).count() as u64;
        let rows = mirror.row_count(source).await;
        rows_total = rows_total.zip(rows).map(|(sum, rows)| sum + rows * drives);
    }
    ticket.note(|progress| {
        progress.entities = entities.len();
        progress.rows_total = rows_total;
    });
    for entity in &entities {
        ticket.note(|progress| progress.entity = Some(entity.name.clone()));
        refresh_rows(mirror, ticket, entity).await?;
        ticket.note(|progress| progress.entities_done += 1);
    }
    ticket.note(|progress| progress.entity = None);
    let names: BTreeSet<&str> = entities.iter().map(|entity| &*entity.name).collect();
    for table in ruleset.tables.iter().filter(|table| tables.contains(&*table.name)) {
        refresh_strays(mirror, ticket, &ruleset, table, &names).await?;
    }
    // A contract that came in the meantime may show the rows elsewhere.
    match Arc::ptr_eq(&ruleset, &mirror.ruleset()) {
        true => Ok(()),
        false => Err(SurveyError("the contract changed meanwhile".to_owned())),
    }
}

/// Why a sweep of the table cannot start: it reads a table whose mapping is frozen.
pub(super) fn frozen(mirror: &Mirror, table: &str) -> Option<String> {
    let ruleset = mirror.ruleset();
    entities_of(&ruleset, table).iter().find_map(|entity| {
        let (table, reason) = ruleset.frozen_entity(entity.id)?;
        Some(format!("table {table} is frozen: {reason}"))
    })
}

/// Entities that the table drives or that join it.
fn entities_of(ruleset: &Ruleset, table: &str) -> Vec<Arc<Entity>> {
    let Some(source) = ruleset.sources.get(table) else { return Vec::new() };
    let joined = source.joins.iter().map(|join| join.entity);
    let ids: BTreeSet<EntityId> = source.drives.iter().copied().chain(joined).collect();
    ids.into_iter().map(|id| ruleset.entity(id).clone()).collect()
}

async fn refresh_rows(
    mirror: &Mirror,
    ticket: &SweepTicket,
    entity: &Arc<Entity>,
) -> Result<(), SurveyError> {
    let mut last: Option<Vec<Cell>> = None;
    let mut flight = Flight::new(mirror, ticket);
    loop {
        let keys = mirror.driving_keys(entity, last.as_deref()).await?;
        let Some(end) = keys.last().cloned() else { break };
        for key in keys {
            flight.launch(entity, key, None).await?;
            ticket.note(|progress| progress.rows += 1);
        }
        last = Some(end);
    }
    flight.land().await
}

async fn refresh_strays(
    mirror: &Mirror,
    ticket: &SweepTicket,
    ruleset: &Ruleset,
    table: &DynamoTable,
    names: &BTreeSet<&str>,
) -> Result<(), SurveyError> {
    let mut from = None;
    let mut flight = Flight::new(mirror, ticket);
    loop {
        let page = mirror.items(ruleset, table, from).await?;
        ticket.note(|progress| {
            progress.items += page.items;
            progress.foreign += page.foreign;
        });
        let mut ours = page.ours;
        ours.retain(|item| names.contains(&*item.entity.name));
        for stray in mirror.strays(ours).await? {
            ticket.note(|progress| progress.strays += 1);
            flight.launch(&stray.entity, stray.row_key, Some(stray.key)).await?;
        }
        match page.next {
            Some(next) => from = Some(next),
            None => break,
        }
    }
    flight.land().await
}

type Landing = (Arc<Entity>, Vec<Cell>, RefreshEnd);
type Refreshing = Pin<Box<dyn Future<Output = Landing> + Send>>;

/// Refreshes under way, never more than the limit.
struct Flight<'a> {
    mirror: &'a Mirror,
    ticket: &'a SweepTicket,
    refreshes: FuturesUnordered<Refreshing>,
}

impl<'a> Flight<'a> {
    fn new(mirror: &'a Mirror, ticket: &'a SweepTicket) -> Self {
        Flight { mirror, ticket, refreshes: FuturesUnordered::new() }
    }

    async fn launch(
        &mut self,
        entity: &Arc<Entity>,
        key: Vec<Cell>,
        stale: Option<ItemKey>,
    ) -> Result<(), SurveyError> {
        while self.refreshes.len() >= limits::SWEEP_REFRESHES_IN_FLIGHT {
            self.land_one().await?;
        }
        let refresh = self.mirror.refresh(entity, key.clone(), stale);
        let entity = entity.clone();
        self.refreshes.push(Box::pin(async move { (entity, key, refresh.await) }));
        Ok(())
    }

    async fn land_one(&mut self) -> Result<bool, SurveyError> {
        let Some((entity, key, end)) = self.refreshes.next().await else { return Ok(false) };
        match end {
            RefreshEnd::Done => {}
            RefreshEnd::Parked { owed } => {
                self.ticket.note(|progress| progress.parked += 1);
                if !owed {
                    self.mirror.owe_row(&entity.source, key).await;
                }
            }
            RefreshEnd::Refused(reason) => return Err(SurveyError(reason)),
        }
        Ok(true)
    }

    async fn land(mut self) -> Result<(), SurveyError> {
        while self.land_one().await? {}
        Ok(())
    }
}
