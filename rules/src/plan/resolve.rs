//! Names of a statement to tables of the catalog, and what hangs on a table.
//! Never here: how keys are learnt.

use std::collections::BTreeSet;

use super::refusal_codes as codes;
use super::{Capture, CaptureHow};
use crate::catalog::{Catalog, Table};
use crate::entity::{Change, Ruleset};
use crate::sql::statement::Name;
use crate::value::TableName;

/// The table of the mapped schema that a name means in a session.
pub fn table<'a>(ruleset: &'a Ruleset, name: &Name, schema: Option<&str>) -> Option<&'a Table> {
    let schema = name.schema.as_deref().or(schema)?;
    if !is_mapped_schema(&ruleset.catalog, schema) {
        return None;
    }
    ruleset.catalog.table(&name.name)
}

pub fn is_mapped_schema(catalog: &Catalog, schema: &str) -> bool {
    match catalog.lower_case_table_names {
        0 => catalog.database == schema,
        _ => catalog.database.eq_ignore_ascii_case(schema),
    }
}

/// The table and every table that its foreign-key actions reach.
pub fn reached(ruleset: &Ruleset, table: &TableName) -> BTreeSet<TableName> {
    let mut reached = BTreeSet::from([table.clone()]);
    let mut open = vec![table.clone()];
    while let Some(next) = open.pop() {
        for cascade in ruleset.sources.get(&next).into_iter().flat_map(|s| &s.cascades) {
            if reached.insert(cascade.child.clone()) {
                open.push(cascade.child.clone());
            }
        }
    }
    reached
}

/// Sweeps of mapped tables that triggers on this table write.
pub fn trigger_captures(ruleset: &Ruleset, table: &Table, events: &[&str]) -> Vec<Capture> {
    let mut written: BTreeSet<TableName> = BTreeSet::new();
    if let Some(source) = ruleset.sources.get(&table.name) {
        let matching = source
            .trigger_sweeps
            .iter()
            .filter(|sweep| events.iter().any(|event| event.eq_ignore_ascii_case(&sweep.event)));
        written.extend(matching.map(|sweep| sweep.table.clone()));
    }
    let own = table
        .triggers
        .iter()
        .filter(|trigger| events.iter().any(|event| event.eq_ignore_ascii_case(&trigger.event)));
    written.extend(written_through_unmapped(ruleset, table, own.map(|trigger| &*trigger.body)));
    let capture = |table| Capture {
        table,
        change: Change::Any,
        how: CaptureHow::Sweep(codes::TRIGGER_WRITES.code),
    };
    written.into_iter().map(capture).collect()
}

/// Mapped tables that trigger bodies may write, where the trigger's table, or one in between, is not
/// mapped: whatever a body names counts as written.
fn written_through_unmapped<'a>(
    ruleset: &'a Ruleset,
    table: &Table,
    bodies: impl Iterator<Item = &'a str>,
) -> BTreeSet<TableName> {
    let mut written = BTreeSet::new();
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    let mut open: Vec<&str> = bodies.collect();
    let mut mapped = ruleset.sources.contains_key(&table.name);
    while !open.is_empty() {
        let mut next = Vec::new();
        for body in open {
            if !mapped && mentions(body, &["CALL"]) {
                return ruleset.sources.keys().cloned().collect();
            }
            for other in ruleset.catalog.tables.values().filter(|t| mentions(body, &[&t.name])) {
                let source = ruleset.sources.contains_key(&other.name);
                if source && !mapped {
                    written.insert(other.name.clone());
                }
                if !source && seen.insert(&other.name) {
                    next.extend(other.triggers.iter().map(|trigger| &*trigger.body));
                }
            }
        }
        mapped = false;
        open = next;
    }
    written
}

/// Whether a BEFORE trigger of the event may set a row key column.
pub fn trigger_may_set_key(table: &Table, event: &str, key: &[usize]) -> bool {
    table
        .triggers
        .iter()
        .filter(|t| t.event.eq_ignore_ascii_case(event) && t.timing.eq_ignore_ascii_case("BEFORE"))
        .any(|t| key.iter().any(|&c| mentions(&t.body, &["NEW", &table.columns[c].name])))
}

/// Whether a text holds these words one after the other, with nothing but dots, quotes and white
/// space between them.
fn mentions(text: &str, words: &[&str]) -> bool {
    let found: Vec<&str> = text
        .split(|c: char| {
            c.is_ascii_whitespace() || (c.is_ascii_punctuation() && c != '_' && c != '$')
        })
        .filter(|word| !word.is_empty())
        .collect();
    found
        .windows(words.len())
        .any(|window| window.iter().zip(words).all(|(a, b)| a.eq_ignore_ascii_case(b)))
}
