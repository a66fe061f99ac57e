//! What the ruleset knows of each MySQL table whose writes matter.
//! Never here: the contract, or how an item is made.

use std::collections::{BTreeMap, BTreeSet};

use super::cascade::{cascades, relevant, trigger_sweeps};
use super::reverse::EntityReads;
use super::sql_text::{column, quote_name, row_constructor};
use super::{Change, Entity, KeyedSelect, Ruleset, SourceTable};
use crate::catalog::{Catalog, Table};
use crate::contract::{Findings, codes};
use crate::value::TableName;

/// Gathers the source tables of all entities. `reads[i]` belongs to `entities[i]`.
pub(super) fn sources(
    catalog: &Catalog,
    entities: &[&Entity],
    reads: &[EntityReads],
    findings: &mut Findings,
) -> BTreeMap<TableName, SourceTable> {
    let mut mapped: BTreeSet<TableName> = entities.iter().map(|e| e.source.clone()).collect();
    mapped
        .extend(reads.iter().flat_map(|reads| reads.joins.iter().map(|(table, _)| table.clone())));
    let relevant = relevant(catalog, &mapped);
    let mut sources = BTreeMap::new();
    for name in &relevant {
        let Some(table) = catalog.table(name) else { continue };
        if mapped.contains(name) && !table.engine.eq_ignore_ascii_case("InnoDB") {
            let message = format!("`{name}` uses the engine {}", table.engine);
            findings.report(&codes::ENGINE, "$", message);
        }
        let (cascades, referenced_columns) = cascades(catalog, table, &relevant, findings);
        let joins: Vec<_> = (reads.iter().flat_map(|reads| &reads.joins))
            .filter(|(joined, _)| joined == name)
            .map(|(_, join)| join.clone())
            .collect();
        let link_columns: BTreeSet<usize> =
            joins.iter().flat_map(|join| join.link_columns.iter().copied()).collect();
        let item_key_columns = (reads.iter().flat_map(|reads| &reads.key_columns))
            .filter(|(table, _)| table == name)
            .map(|(_, column)| *column)
            .collect();
        let source = SourceTable {
            name: name.clone(),
            drives: entities.iter().filter(|e| e.source == *name).map(|e| e.id).collect(),
            links: links(table, &link_columns),
            joins,
            cascades,
            item_key_columns,
            link_columns,
            referenced_columns,
            trigger_sweeps: trigger_sweeps(catalog, table, &mapped, findings),
        };
        sources.insert(name.clone(), source);
    }
    sources
}

/// `SELECT row key, link columns (ascending) FROM t WHERE row key IN (..)`.
fn links(table: &Table, link_columns: &BTreeSet<usize>) -> Option<KeyedSelect> {
    let key = table.row_key().filter(|_| !link_columns.is_empty())?;
    let name = |&at: &usize| column("t", &table.columns[at].name);
    let key: Vec<String> = key.iter().map(name).collect();
    let columns: Vec<String> = key.iter().cloned().chain(link_columns.iter().map(name)).collect();
    Some(KeyedSelect {
        head: format!(
            "SELECT {} FROM {} t WHERE {} IN ",
            columns.join(", "),
            quote_name(&table.name),
            row_constructor(&key)
        ),
        width: key.len(),
        tail: String::new(),
    })
}

impl SourceTable {
    /// Whether the committed image before the commit must be read: old item keys, old links and
    /// cascades can be learnt only from it.
    ///
    /// A row key with a character column always needs it for UPDATE and DELETE, unless the collation
    /// compares bytes: the key in a statement may spell the stored key differently (`'A '` for `'a'`),
    /// and only the stored spelling gives the item key. A BEFORE UPDATE trigger needs it too: it may
    /// change any column.
    pub fn needs_old_image(&self, change: &Change, ruleset: &Ruleset) -> bool {
        let table = ruleset.catalog.table(&self.name);
        let row_key = table.and_then(Table::row_key).unwrap_or_default();
        let spelling = table.is_some_and(|table| spelling_varies(table, row_key));
        match change {
            Change::Insert => false,
            Change::Update(columns) => {
                spelling
                    || table.is_some_and(trigger_rewrites)
                    || columns.iter().any(|column| {
                        self.item_key_columns.contains(column)
                            || self.referenced_columns.contains(column)
                            || self.link_columns.contains(column)
                            || row_key.contains(column)
                    })
            }
            Change::Delete => self.delete_needs_old_image(ruleset, spelling, row_key),
            // Rows may be replaced or moved to another key: what UPDATE of every column needs.
            Change::Any => true,
        }
    }

    fn delete_needs_old_image(&self, ruleset: &Ruleset, spelling: bool, row_key: &[usize]) -> bool {
        let by_row_only = |id: &super::EntityId| {
            ruleset.entities.get(id.0).is_none_or(|entity| !entity.key_from_row_key)
        };
        spelling
            || self.link_columns.iter().any(|column| !row_key.contains(column))
            || self.cascades.iter().any(|cascade| cascade.on_delete)
            || self.drives.iter().any(by_row_only)
            || self.joins.iter().any(|join| join.decides_item_key)
    }
}

/// A BEFORE UPDATE trigger may change columns that the statement does not name.
fn trigger_rewrites(table: &Table) -> bool {
    table.triggers.iter().any(|trigger| {
        trigger.timing.eq_ignore_ascii_case("BEFORE")
            && trigger.event.eq_ignore_ascii_case("UPDATE")
    })
}

/// Two spellings of one key may be equal to MySQL: letters, accents, or trailing spaces.
fn spelling_varies(table: &Table, row_key: &[usize]) -> bool {
    row_key.iter().any(|&key| {
        let collation = table.columns[key].collation.as_deref();
        collation.is_some_and(|name| !matches!(name, "binary" | "utf8mb4_0900_bin"))
    })
}
