//! Reads what only the committed state before a commit can tell: keys of a predicate, MySQL's spelling of
//! keys, old link values, old item keys, rows behind cascades. The application waits for it, holding its locks.
//! Never here: anything after the commit.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use segue_config::limits;
use segue_rules::entity::{Entity, Ruleset, SourceTable};
use segue_rules::plan::refusal_codes;
use segue_rules::txn::{Dirty, DirtyEntry, OldImage as Need};
use segue_rules::value::{Cell, SourceKey, TableName};

use super::lookup::{Lookup, LookupError, join_values};
use super::parts::Shared;
use super::record::{Debt, OldDriving, OldImage};
use crate::mysql::control::{Control, TextRows};

/// Reasons of sweeps.
const UNREAD: &str = "old-image-unread";
const LATE: &str = "old-image-late";

/// What has been found so far. Sets, so that a cascade that comes back around ends.
#[derive(Default)]
struct Found {
    rows: BTreeSet<SourceKey>,
    links: BTreeSet<super::record::OldLink>,
    driving: BTreeSet<OldDriving>,
    /// Tables that cannot be followed row by row, and why.
    sweeps: BTreeMap<TableName, &'static str>,
}

impl Found {
    fn budget(&self) -> usize {
        limits::OLD_IMAGE_ROWS_MAX.saturating_sub(self.rows.len() + self.driving.len())
    }

    fn sweep_with_children(&mut self, ruleset: &Ruleset, table: &TableName, reason: &'static str) {
        for table in cascade_closure(ruleset, table) {
            self.sweeps.entry(table).or_insert(reason);
        }
    }
}

/// The debt of these entries, old image included. Never fails: what cannot be read is swept.
pub(crate) async fn read(shared: &Shared, ruleset: &Ruleset, entries: Vec<DirtyEntry>) -> Debt {
    let needed: Vec<Dirty> = entries
        .iter()
        .filter(|entry| entry.old_image == Need::Needed)
        .map(|entry| entry.dirty.clone())
        .collect();
    let mut debt =
        Debt { entries: entries.into_iter().map(|entry| entry.dirty).collect(), ..Debt::default() };
    if needed.is_empty() || shared.faults.skip_old_image {
        return debt;
    }
    let mut found = Found::default();
    let limit = Duration::from_millis(limits::OLD_IMAGE_READ_MS_MAX);
    let outcome = tokio::time::timeout(limit, walk(shared, ruleset, &needed, &mut found)).await;
    let reason = match outcome {
        Ok(Ok(())) => None,
        Ok(Err(error)) => {
            tracing::warn!(%error, "the state before a commit could not be read; sweeping");
            Some(UNREAD)
        }
        Err(_) => {
            tracing::warn!("reading the state before a commit took too long; sweeping");
            Some(LATE)
        }
    };
    if let Some(reason) = reason {
        for dirty in &needed {
            found.sweep_with_children(ruleset, dirty.table(), reason);
        }
    }
    for (table, reason) in found.sweeps {
        debt.entries.push(Dirty::Sweep { table, reason: reason.to_owned() });
    }
    debt.old = OldImage {
        rows: found.rows.into_iter().collect(),
        links: found.links.into_iter().collect(),
        driving: found.driving.into_iter().collect(),
    };
    debt
}

/// Rows of a SELECT of row keys; the error is the reason for a sweep instead.
pub(crate) async fn keys(control: &Control, sql: &str) -> Result<TextRows, &'static str> {
    let limit = Duration::from_millis(limits::OLD_IMAGE_READ_MS_MAX);
    let rows_max = limits::DIRTY_KEYS_PER_TRANSACTION_MAX;
    let sql = format!("{sql} LIMIT {}", rows_max.saturating_add(1));
    match tokio::time::timeout(limit, control.text_rows(&sql)).await {
        Ok(Ok(rows)) if rows.len() > rows_max => Err(refusal_codes::TOO_MANY_KEYS.code),
        Ok(Ok(rows)) => Ok(rows),
        Ok(Err(error)) => {
            tracing::warn!(%error, "the keys of a write could not be read; sweeping");
            Err(UNREAD)
        }
        Err(_) => {
            tracing::warn!("reading the keys of a write took too long; sweeping");
            Err(LATE)
        }
    }
}

async fn walk(
    shared: &Shared,
    ruleset: &Ruleset,
    needed: &[Dirty],
    found: &mut Found,
) -> Result<(), LookupError> {
    let mut todo: BTreeMap<TableName, Vec<Vec<Cell>>> = BTreeMap::new();
    for dirty in needed {
        let keys = match dirty {
            Dirty::Key(key) => vec![key.key.clone()],
            Dirty::Unique { table, columns, values } => {
                let lookup = Lookup { control: &shared.control, ruleset, limit: found.budget() };
                lookup.by_unique(table, columns, values).await?
            }
            Dirty::Range { .. } | Dirty::Sweep { .. } => continue,
        };
        todo.entry(dirty.table().clone()).or_default().extend(keys);
    }
    while let Some((table, keys)) = todo.pop_first() {
        let Some(source) = ruleset.sources.get(&table) else { continue };
        if keys.is_empty() {
            continue;
        }
        for (child, keys) in table_rows(shared, ruleset, source, keys, found).await? {
            todo.entry(child).or_default().extend(keys);
        }
    }
    Ok(())
}

/// Takes up rows of one table; returns rows of child tables to follow.
async fn table_rows(
    shared: &Shared,
    ruleset: &Ruleset,
    source: &SourceTable,
    keys: Vec<Vec<Cell>>,
    found: &mut Found,
) -> Result<Vec<(TableName, Vec<Vec<Cell>>)>, LookupError> {
    let lookup = Lookup { control: &shared.control, ruleset, limit: found.budget() };
    let mut links = Vec::new();
    let mut keys = keys;
    if let Some(rows) = lookup.links(source, &keys).await? {
        (keys, links) = rows.into_iter().unzip();
    }
    keys.retain(|key| {
        found.rows.insert(SourceKey { table: source.name.clone(), key: key.clone() })
    });
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    for &id in &source.drives {
        let entity = ruleset.entity(id);
        if !entity.key_from_row_key || source.links.is_none() {
            driving_rows(shared, entity, &keys, found).await?;
        }
    }
    for join in source.joins.iter().filter(|join| join.decides_item_key) {
        let values = links.iter().filter_map(|link| join_values(join, link)).collect();
        let reached = match lookup.driving(join, &values).await {
            Err(LookupError::TooMany(_)) => {
                found.sweep_with_children(ruleset, &source.name, "old-image-too-large");
                continue;
            }
            reached => reached?,
        };
        driving_rows(shared, ruleset.entity(join.entity), &reached, found).await?;
    }
    found.links.extend(links);
    children(&lookup, ruleset, source, &keys, found).await
}

async fn driving_rows(
    shared: &Shared,
    entity: &Entity,
    keys: &[Vec<Cell>],
    found: &mut Found,
) -> Result<(), LookupError> {
    if keys.is_empty() {
        return Ok(());
    }
    for row in shared.control.view(entity, keys).await? {
        found.driving.insert(OldDriving {
            entity: entity.name.clone(),
            table: entity.source.clone(),
            key: row.row_key(&entity.view).to_vec(),
            item: entity.item_key(&row.main),
        });
    }
    Ok(())
}

/// Rows of child tables that foreign-key actions may change. Whether the statement deletes or
/// updates is not known here; following both is a superset.
async fn children(
    lookup: &Lookup<'_>,
    ruleset: &Ruleset,
    source: &SourceTable,
    keys: &[Vec<Cell>],
    found: &mut Found,
) -> Result<Vec<(TableName, Vec<Vec<Cell>>)>, LookupError> {
    let mut out = Vec::new();
    for cascade in &source.cascades {
        match lookup.keyed(&cascade.child_keys, keys).await {
            Ok(rows) => {
                let fresh = |key: &Vec<Cell>| {
                    !found
                        .rows
                        .contains(&SourceKey { table: cascade.child.clone(), key: key.clone() })
                };
                let rows: Vec<Vec<Cell>> = rows.into_iter().filter(fresh).collect();
                out.push((cascade.child.clone(), rows));
            }
            Err(LookupError::TooMany(_)) => {
                found.sweep_with_children(ruleset, &cascade.child, "cascade-too-large");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(out)
}

/// The tables themselves, and all whose rows a change of theirs may change by cascades.
pub(crate) fn reached_by_cascades<'a>(
    ruleset: &Ruleset,
    tables: impl IntoIterator<Item = &'a TableName>,
) -> BTreeSet<TableName> {
    tables.into_iter().flat_map(|table| cascade_closure(ruleset, table)).collect()
}

/// The table and every table its foreign-key actions reach.
pub(crate) fn cascade_closure(ruleset: &Ruleset, table: &TableName) -> BTreeSet<TableName> {
    let mut closure = BTreeSet::new();
    let mut todo = vec![table.clone()];
    while let Some(table) = todo.pop() {
        if !closure.insert(table.clone()) {
            continue;
        }
        if let Some(source) = ruleset.sources.get(&table) {
            todo.extend(source.cascades.iter().map(|cascade| cascade.child.clone()));
        }
    }
    closure
}
