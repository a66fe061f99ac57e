//! Checks that need no catalog: names, counts, duplicates.
//! Never here: anything about MySQL.

use std::collections::BTreeSet;

use super::{Contract, EntitySpec, Findings, TableSpec, codes};
use crate::value::BOOKKEEPING;

/// DynamoDB's default quota of global secondary indexes per table.
const INDEXES_PER_TABLE_MAX: usize = 20;
/// DynamoDB's bounds on table and index names, in characters.
const NAME_CHARACTERS_MIN: usize = 3;
const NAME_CHARACTERS_MAX: usize = 255;
/// DynamoDB's bound on attribute names, in bytes of UTF-8.
const ATTRIBUTE_NAME_BYTES_MAX: usize = 255;

pub(super) fn check(contract: &Contract, findings: &mut Findings) {
    if contract.tables.is_empty() && !findings.has_errors() {
        findings.report(&codes::EMPTY, "$", "the contract has no tables".to_owned());
    }
    let mut names = BTreeSet::new();
    for table in &contract.tables {
        unique(&mut names, &table.name, &table.path, "table", findings);
        check_table(table, findings);
    }
}

fn check_table(table: &TableSpec, findings: &mut Findings) {
    check_name(&table.name, &format!("{}.table", table.path), findings);
    if table.indexes.len() > INDEXES_PER_TABLE_MAX {
        let message = format!("{} indexes", table.indexes.len());
        findings.report(&codes::TOO_MANY_INDEXES, &format!("{}.gsis", table.path), message);
    }
    let mut names = BTreeSet::new();
    for index in &table.indexes {
        check_name(&index.name, &index.path, findings);
        unique(&mut names, &index.name, &index.path, "index", findings);
    }
    if table.entities.is_empty() && !findings.has_errors() {
        findings.report(&codes::EMPTY, &table.path, "the table has no entities".to_owned());
    }
    let mut names = BTreeSet::new();
    for entity in &table.entities {
        unique(&mut names, &entity.name, &entity.path, "entity", findings);
        check_entity(entity, findings);
    }
}

fn check_entity(entity: &EntitySpec, findings: &mut Findings) {
    if entity.attributes.is_empty() && !findings.has_errors() {
        findings.report(&codes::EMPTY, &entity.path, "the entity has no attributes".to_owned());
    }
    let mut names = BTreeSet::new();
    for attribute in &entity.attributes {
        unique(&mut names, &attribute.name, &attribute.path, "attribute", findings);
        if attribute.name == BOOKKEEPING {
            let message = format!("`{BOOKKEEPING}` is Segue's own attribute");
            findings.report(&codes::RESERVED_ATTRIBUTE, &attribute.path, message);
        }
        if attribute.name.is_empty() || attribute.name.len() > ATTRIBUTE_NAME_BYTES_MAX {
            let message = format!("an attribute name of {} bytes", attribute.name.len());
            findings.report(&codes::DYNAMO_NAME, &attribute.path, message);
        }
    }
}

fn unique<'a>(
    names: &mut BTreeSet<&'a str>,
    name: &'a str,
    path: &str,
    what: &str,
    findings: &mut Findings,
) {
    if !names.insert(name) {
        findings.report(&codes::DUPLICATE_NAME, path, format!("a second {what} named `{name}`"));
    }
}

fn check_name(name: &str, path: &str, findings: &mut Findings) {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let length = name.chars().count();
    if !(NAME_CHARACTERS_MIN..=NAME_CHARACTERS_MAX).contains(&length) || !name.chars().all(allowed)
    {
        findings.report(&codes::DYNAMO_NAME, path, format!("`{name}` is no DynamoDB name"));
    }
}
