//! Compiles a contract against a catalog into a ruleset.
//! Never here: the rules themselves (see `resolve`, `keys`, `key_shapes`, `source`).

use std::collections::BTreeMap;
use std::sync::Arc;

use super::builder::{Builder, PARTITION_KEY_BYTES_MAX, SORT_KEY_BYTES_MAX};
use super::fingerprint::fingerprint;
use super::key_shapes::{check_sort_keys, dynamo_table};
use super::plan::{AttributePlan, FormatPart, Recipe, Uses};
use super::resolve::Resolver;
use super::reverse::{EntityReads, reads};
use super::source::sources;
use super::target::mapped_table;
use super::view::ViewPlan;
use super::{Entity, EntityId, Ruleset};
use crate::catalog::{Catalog, Table};
use crate::contract::{
    Carry, EntitySpec, Finding, Findings, IndexSpec, TableSpec, codes, parse_into,
};

impl Ruleset {
    /// Checks and compiles a contract against a catalog. `Err` holds every finding (errors and
    /// warnings); `Ok` keeps the warnings in the ruleset.
    pub fn compile(contract_text: &str, catalog: Catalog) -> Result<Ruleset, Vec<Finding>> {
        let mut findings = Findings::default();
        let contract = parse_into(contract_text, &mut findings);
        if let Some(database) = &contract.database
            && *database != catalog.database
        {
            let message =
                format!("the contract is for `{database}`, not for `{}`", catalog.database);
            findings.report(&codes::DATABASE, "$.database", message);
        }
        let mut entities: Vec<Entity> = Vec::new();
        let mut all_reads = Vec::new();
        let mut tables = Vec::new();
        for table in &contract.tables {
            let first = entities.len();
            for spec in &table.entities {
                let id = EntityId(entities.len());
                let compiled = compile_entity(id, table, spec, &catalog, &mut findings);
                let Some((entity, entity_reads)) = compiled else { continue };
                entities.push(entity);
                all_reads.push(entity_reads);
            }
            let own: Vec<&Entity> = entities[first..].iter().collect();
            if own.len() == table.entities.len() {
                check_sort_keys(&own, &mut findings);
                tables.extend(dynamo_table(table, &own, &mut findings));
            }
        }
        let borrowed: Vec<&Entity> = entities.iter().collect();
        let sources = sources(&catalog, &borrowed, &all_reads, &mut findings);
        if findings.has_errors() {
            return Err(findings.into_vec());
        }
        let mapped: Vec<&Table> = sources.keys().filter_map(|name| catalog.table(name)).collect();
        Ok(Ruleset {
            fingerprint: ruleset_fingerprint(&contract_text_of(contract_text), &mapped),
            contract_fingerprint: fingerprint([contract_text_of(contract_text).as_str()]),
            tables,
            entities: entities.into_iter().map(Arc::new).collect(),
            sources,
            warnings: findings.into_vec(),
            frozen: BTreeMap::new(),
            catalog,
        })
    }

    pub fn entity(&self, id: EntityId) -> &Arc<Entity> {
        &self.entities[id.0]
    }
}

/// White space of the contract does not count.
fn contract_text_of(text: &str) -> String {
    serde_json::from_str::<serde_json::Value>(text)
        .map_or_else(|_| text.to_owned(), |value| value.to_string())
}

/// Triggers and default values of columns count.
fn ruleset_fingerprint(contract: &str, mapped: &[&Table]) -> String {
    let tables: Vec<String> =
        mapped.iter().map(|table| serde_json::to_string(table).unwrap_or_default()).collect();
    fingerprint(std::iter::once(contract).chain(tables.iter().map(String::as_str)))
}

fn compile_entity(
    id: EntityId,
    table: &TableSpec,
    spec: &EntitySpec,
    catalog: &Catalog,
    findings: &mut Findings,
) -> Option<(Entity, EntityReads)> {
    let path = format!("{}.source_table", spec.path);
    let driving = mapped_table(catalog, &spec.source_table, &path, findings)?;
    check_options(spec, driving, findings);
    let view = ViewPlan::new(driving, driving.row_key()?);
    let mut resolver = Resolver::new(catalog, spec, view, findings);
    resolver.select_driving_columns();
    let mut plans = Vec::new();
    for attribute in &spec.attributes {
        plans.extend(resolver.attribute(attribute));
    }
    let complete = plans.len() == spec.attributes.len();
    let pk = resolver.key_attribute(&table.pk, spec.pk_template.as_ref(), &mut plans);
    let sk = table
        .sk
        .as_ref()
        .map(|sk| resolver.key_attribute(sk, spec.sk_template.as_ref(), &mut plans));
    let pk = pk?;
    let sk = match sk {
        Some(sk) => Some(sk?),
        None => None,
    };
    let keys: Vec<&AttributePlan> = std::iter::once(pk).chain(sk).map(|key| &plans[key]).collect();
    keys.iter().for_each(|key| resolver.check_key(key));
    resolver.check_key_unique(&keys);
    if !complete {
        return None;
    }
    let mut key_uses = Uses::default();
    keys.iter().for_each(|key| key_uses.merge(&key.uses));
    let width = resolver.view.row_key.len();
    let key_from_row_key = keys.iter().all(|key| within(key, width));
    let entity = Entity {
        id,
        name: spec.name.clone(),
        dynamo_table: table.name.clone(),
        source: driving.name.clone(),
        view: resolver.view.query(),
        key_rows: resolver.view.key_query(&key_uses),
        key_from_row_key,
        driving_columns: driving.columns.iter().map(|column| column.name.clone()).collect(),
        builder: Builder {
            pk,
            sk,
            index_keys: index_keys(&table.indexes),
            ttl: spec.attributes.iter().find(|a| a.ttl).map(|a| a.name.clone()),
            attributes: plans,
        },
    };
    Some((entity, reads(id, &resolver.view, &key_uses)))
}

/// Index keys with the least bound of the indexes they serve.
fn index_keys(indexes: &[IndexSpec]) -> BTreeMap<String, usize> {
    let mut keys: BTreeMap<String, usize> = BTreeMap::new();
    for index in indexes {
        let parts =
            [(Some(&index.pk), PARTITION_KEY_BYTES_MAX), (index.sk.as_ref(), SORT_KEY_BYTES_MAX)];
        for (name, limit) in parts {
            let Some(name) = name else { continue };
            let least = keys.entry(name.clone()).or_insert(limit);
            *least = limit.min(*least);
        }
    }
    keys
}

/// The attribute reads nothing beyond the first `width` cells: the row key.
fn within(plan: &AttributePlan, width: usize) -> bool {
    match &plan.recipe {
        Recipe::Cell(operand) => operand.index < width,
        Recipe::Constant(_) => true,
        Recipe::Format(parts) => parts.iter().all(|part| match part {
            FormatPart::Text(_) => true,
            FormatPart::Cell(operand) => operand.index < width,
            FormatPart::Attribute(plan) => within(plan, width),
        }),
        _ => false,
    }
}

fn check_options(spec: &EntitySpec, driving: &Table, findings: &mut Findings) {
    if let Carry::Columns(columns) = &spec.carry {
        for name in columns.iter().filter(|name| driving.column_index(name).is_none()) {
            let message = format!("`{}` has no column `{name}` to carry", driving.name);
            findings.report(&codes::MISSING_COLUMN, &format!("{}.carry", spec.path), message);
        }
    }
    for name in spec.guards.iter().flatten() {
        let known = driving.unique_keys.iter().any(|key| key.name.eq_ignore_ascii_case(name));
        if !known && !name.eq_ignore_ascii_case("PRIMARY") {
            let message = format!("`{}` has no unique key `{name}` to guard", driving.name);
            findings.report(&codes::SEGUE_OPTION, &format!("{}.guards", spec.path), message);
        }
    }
}
