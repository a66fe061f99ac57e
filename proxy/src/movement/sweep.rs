//! One sweep of one MySQL table: every driving row refreshed, then every item without its row.
//! Never here: which sweep is next, what a refresh does.

use std::collections::BTreeSet;
use std::sync::Arc;

use segue_config::limits;
use segue_rules::entity::{DynamoTable, Entity, EntityId, Ruleset};
use segue_rules::value::{Cell, ItemKey};

use super::flight::Flight;
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
        let rows = mirror.survey().row_count(source).await;
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
        false => Err(SurveyError::refused("the contract changed meanwhile")),
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
    let survey = mirror.survey();
    let mut last: Option<Vec<Cell>> = None;
    let mut flight = Flight::new(mirror, limits::SWEEP_REFRESHES_IN_FLIGHT);
    loop {
        let keys = survey.driving_keys(entity, last.as_deref()).await?;
        let Some(end) = keys.last().cloned() else { break };
        for key in keys {
            launch(&mut flight, ticket, mirror, (entity.clone(), key), None).await?;
            ticket.note(|progress| progress.rows += 1);
        }
        last = Some(end);
    }
    land(&mut flight, ticket, mirror).await
}

async fn refresh_strays(
    mirror: &Mirror,
    ticket: &SweepTicket,
    ruleset: &Ruleset,
    table: &DynamoTable,
    names: &BTreeSet<&str>,
) -> Result<(), SurveyError> {
    let survey = mirror.survey();
    let mut from = None;
    let mut flight = Flight::new(mirror, limits::SWEEP_REFRESHES_IN_FLIGHT);
    loop {
        let page = survey.items(ruleset, table, from, (0, 1)).await?;
        ticket.note(|progress| {
            progress.items += page.items;
            progress.foreign += page.foreign.len() as u64;
        });
        let mut ours = page.ours;
        ours.retain(|item| names.contains(&*item.entity.name));
        for stray in survey.strays(ours).await? {
            ticket.note(|progress| progress.strays += 1);
            let row = (stray.entity, stray.row_key);
            launch(&mut flight, ticket, mirror, row, Some(stray.key)).await?;
        }
        match page.next {
            Some(next) => from = Some(next),
            None => break,
        }
    }
    land(&mut flight, ticket, mirror).await
}

/// One row of the sweep that is being refreshed.
type Row = (Arc<Entity>, Vec<Cell>);

async fn launch(
    flight: &mut Flight<Row>,
    ticket: &SweepTicket,
    mirror: &Mirror,
    (entity, key): Row,
    stale: Option<ItemKey>,
) -> Result<(), SurveyError> {
    while flight.is_full() {
        land_one(flight, ticket, mirror).await?;
    }
    flight.launch((entity.clone(), key.clone()), &entity, key, stale);
    Ok(())
}

async fn land_one(
    flight: &mut Flight<Row>,
    ticket: &SweepTicket,
    mirror: &Mirror,
) -> Result<bool, SurveyError> {
    let Some(((entity, key), end)) = flight.land().await else { return Ok(false) };
    match end {
        RefreshEnd::Done => {}
        RefreshEnd::Parked { owed, .. } => {
            ticket.note(|progress| progress.parked += 1);
            if !owed {
                mirror.owe_row(&entity.source, key).await;
            }
        }
        RefreshEnd::Refused(reason) => return Err(SurveyError::refused(reason)),
    }
    Ok(true)
}

async fn land(
    flight: &mut Flight<Row>,
    ticket: &SweepTicket,
    mirror: &Mirror,
) -> Result<(), SurveyError> {
    while land_one(flight, ticket, mirror).await? {}
    Ok(())
}
