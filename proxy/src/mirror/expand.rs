//! From a committed debt to the driving rows that must be refreshed.
//! Never here: queueing them, or the state before the commit.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use segue_config::limits;
use segue_rules::entity::{Entity, Ruleset, SourceTable};
use segue_rules::txn::Dirty;
use segue_rules::value::{Cell, ItemKey, SourceKey, TableName};

use super::lookup::{Lookup, LookupError, join_values, join_values_of_key};
use super::old_image::{cascade_closure, reached_by_cascades};
use super::parts::{Shared, entity_named};
use super::queue::Target;
use super::record::Debt;

/// A piece of work for one entry of the debt.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Refresh { target: Target, stale: Option<ItemKey> },
    Sweep { table: TableName, reason: String },
}

/// Work by the position of the entry it is done for.
pub(crate) type Units = Vec<(usize, Unit)>;

pub(crate) fn target(entity: &Entity, key: Vec<Cell>) -> Target {
    Target { entity: Arc::from(entity.name.as_str()), table: entity.source.clone(), key }
}

/// The work of a debt under this ruleset. Tables it does not know make no work.
pub(crate) async fn expand(
    shared: &Shared,
    ruleset: &Ruleset,
    debt: &Debt,
) -> Result<Units, LookupError> {
    let lookup = Lookup { control: &shared.control, ruleset, limit: limits::EXPANDED_KEYS_MAX };
    let mut units = Units::new();
    let mut rows: BTreeMap<TableName, Vec<(usize, Vec<Cell>)>> = BTreeMap::new();
    for (index, dirty) in debt.entries.iter().enumerate() {
        let table = dirty.table();
        if !ruleset.sources.contains_key(table) {
            continue;
        }
        let keys = match dirty {
            Dirty::Sweep { table, reason } => {
                units.push((index, sweep(table, reason)));
                continue;
            }
            Dirty::Key(key) => Ok(vec![key.key.clone()]),
            Dirty::Range { from, to, .. } => lookup.by_range(table, *from, *to).await,
            Dirty::Unique { columns, values, .. } => lookup.by_unique(table, columns, values).await,
        };
        match keys {
            Ok(keys) => rows
                .entry(table.clone())
                .or_default()
                .extend(keys.into_iter().map(|key| (index, key))),
            Err(error) if error.is_transient() => return Err(error),
            Err(error) => units.push((index, unknown_keys(table, &error))),
        }
    }
    for SourceKey { table, key } in &debt.old.rows {
        rows.entry(table.clone()).or_default().push((0, key.clone()));
    }
    for old in &debt.old.driving {
        let Some(entity) = entity_named(ruleset, &old.entity) else { continue };
        if entity.source == old.table {
            let target = target(entity, old.key.clone());
            units.push((0, Unit::Refresh { target, stale: old.item.clone() }));
        }
    }
    for link in &debt.old.links {
        rows.entry(link.table.clone()).or_default();
    }
    for (table, keys) in rows {
        let Some(source) = ruleset.sources.get(&table) else { continue };
        for (index, key) in &keys {
            for &id in &source.drives {
                let target = target(ruleset.entity(id), key.clone());
                units.push((*index, Unit::Refresh { target, stale: None }));
            }
        }
        if !source.joins.is_empty() && !shared.faults.skip_fan_out {
            fan_out(&lookup, source, &keys, debt, &mut units).await?;
        }
    }
    units.retain(|(_, unit)| match unit {
        Unit::Refresh { target, .. } => (shared.served)(&target.table),
        Unit::Sweep { .. } => true,
    });
    Ok(units)
}

/// Driving rows that show these rows of a joined table, by the links they had and have.
///
/// The old link values are looked up after the commit, too: a driving row with the old value may
/// have been committed since the old image was read.
async fn fan_out(
    lookup: &Lookup<'_>,
    source: &SourceTable,
    keys: &[(usize, Vec<Cell>)],
    debt: &Debt,
    units: &mut Units,
) -> Result<(), LookupError> {
    let index = keys.first().map_or(0, |(index, _)| *index);
    let bare: Vec<Vec<Cell>> = keys.iter().map(|(_, key)| key.clone()).collect();
    let row_key = lookup.ruleset.catalog.tables.get(&source.name).and_then(|table| table.row_key());
    let row_key = row_key.unwrap_or_default();
    let by_key_alone = |join: &segue_rules::entity::ReverseJoin| {
        join.link_columns.iter().all(|c| row_key.contains(c))
    };
    let mut links = Vec::new();
    if !bare.is_empty() && !source.joins.iter().all(by_key_alone) {
        match lookup.links(source, &bare).await? {
            Some(rows) => links.extend(rows.into_iter().map(|(_, link)| link)),
            None => {
                units.push((index, sweep(&source.name, "links-unknown")));
                return Ok(());
            }
        }
    }
    links.extend(debt.old.links.iter().filter(|link| link.table == source.name).cloned());
    for join in &source.joins {
        let mut values: BTreeSet<Vec<Cell>> =
            bare.iter().filter_map(|key| join_values_of_key(join, row_key, key)).collect();
        let from_links: Vec<Option<Vec<Cell>>> =
            links.iter().map(|link| join_values(join, link)).collect();
        if !by_key_alone(join) && from_links.iter().any(Option::is_none) {
            // The old image was read under a ruleset that did not need this column.
            units.push((index, sweep(&source.name, "links-of-another-contract")));
            continue;
        }
        values.extend(from_links.into_iter().flatten());
        match lookup.driving(join, &values).await {
            Ok(found) => {
                let entity = lookup.ruleset.entity(join.entity);
                for key in found {
                    let target = target(entity, key);
                    units.push((index, Unit::Refresh { target, stale: None }));
                }
            }
            Err(error) if error.is_transient() => return Err(error),
            Err(error) => units.push((index, unknown_keys(&source.name, &error))),
        }
    }
    Ok(())
}

fn sweep(table: &TableName, reason: &str) -> Unit {
    Unit::Sweep { table: table.clone(), reason: reason.to_owned() }
}

fn unknown_keys(table: &TableName, error: &LookupError) -> Unit {
    tracing::warn!(%table, %error, "keys of a committed change could not be looked up; sweeping");
    match error {
        LookupError::TooMany(_) => sweep(table, "too-many-keys"),
        LookupError::NoKey(_) => sweep(table, "no-row-key"),
        LookupError::SetBack(_) => sweep(table, "counter-set-back"),
        LookupError::Control(_) => sweep(table, "lookup-refused"),
    }
}

/// The same debt by sweeps alone, where its keys cannot or should not be followed.
pub(crate) fn collapse(ruleset: &Ruleset, debt: &Debt, reason: &str) -> Units {
    let mut units = Units::new();
    for (index, dirty) in debt.entries.iter().enumerate() {
        for table in cascade_closure(ruleset, dirty.table()) {
            if ruleset.sources.contains_key(&table) {
                units.push((index, sweep(&table, reason)));
            }
        }
    }
    units
}

/// Whether rows of other tables than its own decide under which key a row's item stands.
pub(crate) fn joins_decide_key(ruleset: &Ruleset, entity: &Entity) -> bool {
    let mut joins = ruleset.sources.values().flat_map(|source| &source.joins);
    joins.any(|join| join.decides_item_key && join.entity == entity.id)
}

/// Driving tables of those entities the debt may reach whose item keys depend on joined rows.
pub(crate) fn movable(ruleset: &Ruleset, debt: &Debt) -> BTreeSet<TableName> {
    let joined: BTreeSet<_> = (ruleset.sources.values().flat_map(|source| &source.joins))
        .filter(|join| join.decides_item_key)
        .map(|join| join.entity)
        .collect();
    let named = debt.entries.iter().map(|dirty| dirty.table());
    reached_by_cascades(ruleset, named)
        .iter()
        .filter_map(|table| ruleset.sources.get(table))
        .flat_map(|source| {
            source.drives.iter().copied().chain(source.joins.iter().map(|join| join.entity))
        })
        .filter(|id| joined.contains(id))
        .map(|id| ruleset.entity(id).source.clone())
        .collect()
}
