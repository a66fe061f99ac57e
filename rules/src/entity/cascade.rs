//! Foreign-key actions and triggers: how a write on one table changes another.
//! Never here: joins (see `reverse`).

use std::collections::BTreeSet;

use super::sql_text::{column, quote_name, row_constructor};
use super::{Cascade, KeyedSelect, TriggerSweep};
use crate::catalog::{Catalog, ForeignKey, ReferentialAction, Table, Trigger};
use crate::contract::{Findings, codes};
use crate::value::TableName;

fn acts(action: ReferentialAction) -> bool {
    action != ReferentialAction::Restrict
}

fn acting(key: &ForeignKey) -> bool {
    acts(key.on_delete) || acts(key.on_update)
}

/// `mapped` and every table from which foreign-key actions or triggers reach one of them.
pub(super) fn relevant(catalog: &Catalog, mapped: &BTreeSet<TableName>) -> BTreeSet<TableName> {
    let mut found = mapped.clone();
    loop {
        let before = found.len();
        for table in catalog.tables.values() {
            let parents =
                table.foreign_keys.iter().filter(|key| acting(key)).map(|key| &key.parent);
            if found.contains(&table.name) {
                found
                    .extend(parents.filter(|parent| catalog.tables.contains_key(*parent)).cloned());
            }
            if table.triggers.iter().any(|trigger| !written(trigger, &found).is_empty()) {
                found.insert(table.name.clone());
            }
        }
        if found.len() == before {
            return found;
        }
    }
}

/// Mapped tables that a change of `table` may change through actions and triggers, itself included.
fn reached(
    catalog: &Catalog,
    table: &TableName,
    mapped: &BTreeSet<TableName>,
) -> BTreeSet<TableName> {
    let all: BTreeSet<TableName> = catalog.tables.keys().cloned().collect();
    let mut found = BTreeSet::from([table.clone()]);
    loop {
        let before = found.len();
        for name in found.clone() {
            let children = catalog.children_of(&name).filter(|(_, key)| acting(key));
            found.extend(children.map(|(child, _)| child.name.clone()));
            let triggers = catalog.table(&name).map(|t| t.triggers.as_slice()).unwrap_or_default();
            found.extend(triggers.iter().flat_map(|trigger| written(trigger, &all)));
        }
        if found.len() == before {
            return found.intersection(mapped).cloned().collect();
        }
    }
}

/// The actions that start at `table` and matter, and the columns that fire those on update.
pub(super) fn cascades(
    catalog: &Catalog,
    table: &Table,
    relevant: &BTreeSet<TableName>,
    findings: &mut Findings,
) -> (Vec<Cascade>, BTreeSet<usize>) {
    let mut cascades = Vec::new();
    let mut referenced = BTreeSet::new();
    let children: Vec<(&Table, &ForeignKey)> = catalog
        .children_of(&table.name)
        .filter(|(child, key)| acting(key) && relevant.contains(&child.name))
        .collect();
    for (child, key) in children {
        let (Some(parent_key), Some(child_key)) = (table.row_key(), child.row_key()) else {
            let message = format!(
                "the foreign key `{}` from `{}` to `{}` acts on a table without row key",
                key.name, child.name, table.name
            );
            findings.report(&codes::CASCADE_WITHOUT_KEY, "$", message);
            continue;
        };
        if acts(key.on_update) {
            referenced
                .extend(key.parent_columns.iter().filter_map(|name| table.column_index(name)));
        }
        cascades.push(Cascade {
            child: child.name.clone(),
            deletes: key.on_delete == ReferentialAction::Cascade,
            on_update: acts(key.on_update),
            on_delete: acts(key.on_delete),
            child_keys: child_keys(table, parent_key, child, child_key, key),
        });
    }
    (cascades, referenced)
}

fn child_keys(
    parent: &Table,
    parent_key: &[usize],
    child: &Table,
    child_key: &[usize],
    key: &ForeignKey,
) -> KeyedSelect {
    let names = |alias: &str, table: &Table, columns: &[usize]| -> Vec<String> {
        columns.iter().map(|&c| column(alias, &table.columns[c].name)).collect()
    };
    let equations: Vec<String> = (key.columns.iter().zip(&key.parent_columns))
        .map(|(&c, p)| format!("{} = {}", column("c", &child.columns[c].name), column("p", p)))
        .collect();
    KeyedSelect {
        head: format!(
            "SELECT DISTINCT {} FROM {} c JOIN {} p ON {} WHERE {} IN ",
            names("c", child, child_key).join(", "),
            quote_name(&child.name),
            quote_name(&parent.name),
            equations.join(" AND "),
            row_constructor(&names("p", parent, parent_key))
        ),
        width: parent_key.len(),
        tail: String::new(),
    }
}

/// Mapped tables that triggers of `table` may write, with a warning for each.
pub(super) fn trigger_sweeps(
    catalog: &Catalog,
    table: &Table,
    mapped: &BTreeSet<TableName>,
    findings: &mut Findings,
) -> Vec<TriggerSweep> {
    let all: BTreeSet<TableName> = catalog.tables.keys().cloned().collect();
    let mut sweeps = Vec::new();
    for trigger in &table.triggers {
        let mut tables = BTreeSet::new();
        for target in written(trigger, &all) {
            tables.extend(reached(catalog, &target, mapped));
        }
        for target in tables {
            let message =
                format!("the trigger `{}` of `{}` may change `{target}`", trigger.name, table.name);
            findings.report(&codes::TRIGGER_WRITES, "$", message);
            sweeps.push(TriggerSweep {
                event: trigger.event.to_ascii_uppercase(),
                table: target,
                trigger: trigger.name.clone(),
            });
        }
    }
    sweeps
}

/// Tables of `candidates` that a trigger's body may write: those named after INTO, REPLACE, INSERT,
/// UPDATE or DELETE up to the words that end the table list. A CALL may write all of them.
fn written(trigger: &Trigger, candidates: &BTreeSet<TableName>) -> BTreeSet<TableName> {
    let mut found = BTreeSet::new();
    let mut in_tables = false;
    let separator = |c: char| !(c.is_alphanumeric() || c == '_' || c == '$' || c == ';');
    let body = trigger.body.replace(';', " ; ");
    for word in body.split(separator).filter(|word| !word.is_empty()) {
        match word.to_ascii_uppercase().as_str() {
            "CALL" => return candidates.clone(),
            "INSERT" | "REPLACE" | "INTO" | "UPDATE" | "DELETE" => in_tables = true,
            "SET" | "WHERE" | "VALUES" | "VALUE" | "SELECT" | ";" => in_tables = false,
            _ if in_tables => {
                found.extend(
                    candidates.iter().filter(|name| name.eq_ignore_ascii_case(word)).cloned(),
                );
            }
            _ => {}
        }
    }
    found
}
