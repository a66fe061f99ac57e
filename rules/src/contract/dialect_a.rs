//! Reads dialect A: an array of tables, and of entries that describe their indexes.
//! Never here: catalog lookups.

use serde_json::Value;

use super::dialect_b::{read_attribute_body, read_carry, read_guards, read_index};
use super::expression::{ColumnName, Expression};
use super::node::Node;
use super::{
    AttributeSpec, Contract, EntitySpec, Equation, Findings, JoinSpec, TableSpec, Target,
    ValueSpec, codes,
};

/// An entry of type `GSI`, to be compared with the index that a table declares.
struct IndexEntry {
    path: String,
    name: String,
    pk: String,
    sk: Option<String>,
    source_table: String,
    attributes: Vec<(String, crate::value::AttributeType)>,
}

pub(super) fn read(entries: &[Value], findings: &mut Findings) -> Contract {
    let mut tables = Vec::new();
    let mut indexes = Vec::new();
    for (i, entry) in entries.iter().enumerate() {
        let path = format!("$[{i}]");
        let Some(mut node) = Node::new(entry, path.clone(), findings) else { continue };
        let word = node.text("type", findings);
        let choices = [("Table", false), ("GSI", true)];
        let index = word.and_then(|word| node.choice("type", &word, &choices, findings));
        let table = read_table(&mut node, path, findings);
        node.finish(findings);
        match (index, table) {
            (Some(false), Some(table)) => tables.push(table),
            (Some(true), Some(table)) => indexes.push(index_entry(table)),
            _ => {}
        }
    }
    for index in &indexes {
        compare(index, &tables, findings);
    }
    Contract { database: None, tables }
}

fn read_table(node: &mut Node, path: String, findings: &mut Findings) -> Option<TableSpec> {
    let name = node.text("table", findings);
    let source_table = node.text("source_table", findings);
    let pk = node.text("pk", findings);
    let sk = node.optional_text("sk", findings);
    let gsis_path = node.at("gsis");
    let list = node.array("gsis", findings);
    let mut indexes = Vec::new();
    for (i, index) in list.iter().enumerate() {
        let Some(mut index) = Node::new(index, format!("{gsis_path}[{i}]"), findings) else {
            continue;
        };
        let index_name = index.text("name", findings);
        indexes.extend(read_index(&mut index, index_name, findings));
        index.finish(findings);
    }
    node.required("attributes", findings);
    let mut attributes = Vec::new();
    if let (Some(mut list), Some(source)) = (node.object("attributes", findings), &source_table) {
        for (name, value) in list.members() {
            let at = list.at(name);
            attributes.extend(read_attribute(name, value, at, source, findings));
        }
    }
    let carry = read_carry(node, findings);
    let guards = read_guards(node, findings);
    node.ignore(&["satisfies", "estimated_item_size_bytes", "description"]);
    let (name, source_table) = (name?, source_table?);
    let entity = EntitySpec {
        path: path.clone(),
        name: name.clone(),
        source_table,
        pk_template: None,
        sk_template: None,
        attributes,
        carry,
        guards,
    };
    Some(TableSpec { path, name, pk: pk?, sk, indexes, entities: vec![entity] })
}

fn read_attribute(
    name: &str,
    value: &Value,
    path: String,
    driving: &str,
    findings: &mut Findings,
) -> Option<AttributeSpec> {
    let mut node = Node::new(value, path, findings)?;
    let table = node.raw("source_table").and_then(Value::as_str).map(str::to_owned);
    let column = node.raw("source_column").and_then(Value::as_str).map(str::to_owned);
    let attribute = read_attribute_body(&mut node, findings, |node, findings| {
        let join = node.object("join", findings)?;
        let spec = table
            .zip(column)
            .and_then(|(table, column)| read_join(join, driving, &table, &column, findings));
        Some(spec.map_or(ValueSpec::Broken, ValueSpec::Join))
    });
    let denormalized = node.flag("denormalized", findings);
    let justification = node.optional_text("justification", findings);
    let joined = node.raw("join").is_some();
    let complete = denormalized && joined && justification.is_some_and(|j| !j.trim().is_empty());
    if (denormalized || joined) && !complete {
        let message = "`denormalized`, `justification` and `join` belong together".to_owned();
        findings.report(&codes::DENORMALIZED, &node.path, message);
    }
    node.ignore(&["description"]);
    node.finish(findings);
    let mut attribute = attribute?;
    attribute.name = name.to_owned();
    if joined {
        // From here on both dialects say "the driving table, and a join".
        attribute.source_table = Some(driving.to_owned());
        attribute.source_columns = Vec::new();
    }
    Some(attribute)
}

fn read_join(
    mut node: Node,
    driving: &str,
    table: &str,
    column: &str,
    findings: &mut Findings,
) -> Option<JoinSpec> {
    let local = node.text("local_column", findings);
    let source = node.text("source_column", findings);
    let path = node.path.clone();
    node.finish(findings);
    let name =
        |qualifier: &str, name: String| ColumnName { qualifier: Some(qualifier.to_owned()), name };
    let equation = Equation { left: name(table, source?), right: name(driving, local?) };
    Some(JoinSpec {
        target: Target {
            path,
            table: Some(table.to_owned()),
            alias: None,
            equations: vec![equation],
        },
        select: Expression::Column(name(table, column.to_owned())),
        null_value: None,
    })
}

fn index_entry(table: TableSpec) -> IndexEntry {
    let entity = table.entities.into_iter().next();
    let (source_table, attributes) = entity.map_or_else(Default::default, |entity| {
        let attributes = entity.attributes.into_iter().map(|a| (a.name, a.kind)).collect();
        (entity.source_table, attributes)
    });
    IndexEntry {
        path: table.path,
        name: table.name,
        pk: table.pk,
        sk: table.sk,
        source_table,
        attributes,
    }
}

fn compare(entry: &IndexEntry, tables: &[TableSpec], findings: &mut Findings) {
    let mut disagree =
        |message: String| findings.report(&codes::INDEX_DISAGREES, &entry.path, message);
    let owners: Vec<&TableSpec> = (tables.iter())
        .filter(|table| table.indexes.iter().any(|index| index.name == entry.name))
        .collect();
    let of_source = |table: &&&TableSpec| {
        table.entities.iter().any(|entity| entity.source_table == entry.source_table)
    };
    let owner = owners.iter().find(of_source).or_else(|| owners.first());
    let Some(table) = owner else {
        return disagree(format!("no table declares an index `{}`", entry.name));
    };
    let Some(index) = table.indexes.iter().find(|index| index.name == entry.name) else { return };
    if index.pk != entry.pk || index.sk != entry.sk {
        disagree(format!("the keys differ from those that `{}` declares", table.name));
    }
    let Some(entity) = table.entities.first() else { return };
    if entity.source_table != entry.source_table {
        disagree(format!("`{}` is made from `{}`", table.name, entity.source_table));
    }
    for (name, kind) in &entry.attributes {
        match entity.attributes.iter().find(|attribute| attribute.name == *name) {
            None => disagree(format!("`{}` has no attribute `{name}`", table.name)),
            Some(found) if found.kind != *kind => {
                disagree(format!("`{name}` has another type in `{}`", table.name));
            }
            Some(_) => {}
        }
    }
}
