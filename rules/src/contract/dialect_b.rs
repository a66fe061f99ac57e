//! Reads dialect B: an object with `tables`.
//! Never here: catalog lookups.

use serde_json::Value;

use super::join::{read_calculation, read_join};
use super::node::{Node, as_text, wrong_type};
use super::{
    AttributeSpec, Carry, Contract, DateFormat, EntitySpec, Findings, IndexSpec, NumberFormat,
    ProjectionSpec, TableSpec, Template, Transformation, ValueSpec, codes,
};
use crate::value::{Attribute, AttributeType, EpochUnit};

pub(super) const ATTRIBUTE_TYPES: [(&str, AttributeType); 10] = [
    ("S", AttributeType::S),
    ("N", AttributeType::N),
    ("B", AttributeType::B),
    ("BOOL", AttributeType::Bool),
    ("NULL", AttributeType::Null),
    ("M", AttributeType::M),
    ("L", AttributeType::L),
    ("SS", AttributeType::SS),
    ("NS", AttributeType::NS),
    ("BS", AttributeType::BS),
];

pub(super) fn read(value: &Value, findings: &mut Findings) -> Contract {
    let Some(mut root) = Node::new(value, "$".to_owned(), findings) else {
        return Contract::default();
    };
    let database = root.optional_text("database", findings);
    root.ignore(&["$schema", "version", "description"]);
    let tables = root.array("tables", findings);
    let tables = (tables.iter().enumerate())
        .filter_map(|(i, table)| read_table(table, format!("$.tables[{i}]"), findings))
        .collect();
    root.finish(findings);
    Contract { database, tables }
}

fn read_table(value: &Value, path: String, findings: &mut Findings) -> Option<TableSpec> {
    let mut node = Node::new(value, path.clone(), findings)?;
    let name = node.text("table", findings);
    let word = node.text("type", findings);
    let choices = [("single-entity", false), ("multi-entity", true)];
    let multi = word.and_then(|word| node.choice("type", &word, &choices, findings));
    let source = node.text("source_table", findings);
    let pk = node.text("pk", findings);
    let sk = node.optional_text("sk", findings);
    let indexes = read_indexes(&mut node, findings);
    node.ignore(&["satisfies", "estimated_item_size_bytes", "description"]);
    let mut entities = Vec::new();
    if let Some(name) = &name {
        if multi == Some(true) {
            node.required("entities", findings);
            let list = node.array("entities", findings);
            for (i, entity) in list.iter().enumerate() {
                let at = format!("{path}.entities[{i}]");
                entities.extend(read_entity(entity, at, name, findings));
            }
        } else if multi == Some(false) {
            entities.extend(
                source.map(|source| single_entity(&mut node, name.clone(), source, findings)),
            );
        }
    }
    node.finish(findings);
    Some(TableSpec { path, name: name?, pk: pk?, sk, indexes, entities })
}

fn single_entity(
    node: &mut Node,
    name: String,
    source: String,
    findings: &mut Findings,
) -> EntitySpec {
    let pk_template = read_template(node, "pk_template", findings);
    let sk_template = read_template(node, "sk_template", findings);
    node.required("attributes", findings);
    EntitySpec {
        path: node.path.clone(),
        name,
        source_table: source,
        pk_template,
        sk_template,
        attributes: read_attributes(node, findings),
        carry: read_carry(node, findings),
        guards: read_guards(node, findings),
    }
}

fn read_entity(
    value: &Value,
    path: String,
    table: &str,
    findings: &mut Findings,
) -> Option<EntitySpec> {
    let mut node = Node::new(value, path.clone(), findings)?;
    let entity_type = node.text("entity_type", findings);
    let source_table = node.text("source_table", findings);
    let pk_template = read_template(&mut node, "pk_template", findings);
    let sk_template = read_template(&mut node, "sk_template", findings);
    node.required("attributes", findings);
    let attributes = read_attributes(&mut node, findings);
    let carry = read_carry(&mut node, findings);
    let guards = read_guards(&mut node, findings);
    node.ignore(&["description"]);
    node.finish(findings);
    Some(EntitySpec {
        path,
        name: format!("{table}/{}", entity_type?),
        source_table: source_table?,
        pk_template,
        sk_template,
        attributes,
        carry,
        guards,
    })
}

fn read_template(node: &mut Node, key: &'static str, findings: &mut Findings) -> Option<Template> {
    let text = node.optional_text(key, findings)?;
    template(&text, &node.at(key), findings)
}

fn template(text: &str, path: &str, findings: &mut Findings) -> Option<Template> {
    Template::parse(text).map_err(|reason| findings.report(&codes::FORMAT, path, reason)).ok()
}

pub(super) fn read_carry(node: &mut Node, findings: &mut Findings) -> Carry {
    match node.raw("carry") {
        None => Carry::Key,
        Some(Value::String(word)) => {
            let choices = [("key", false), ("missing", true)];
            match node.choice("carry", word, &choices, findings) {
                Some(true) => Carry::Missing,
                _ => Carry::Key,
            }
        }
        Some(_) => Carry::Columns(node.texts("carry", findings)),
    }
}

pub(super) fn read_guards(node: &mut Node, findings: &mut Findings) -> Option<Vec<String>> {
    node.raw("guards")?;
    Some(node.texts("guards", findings))
}

fn read_indexes(node: &mut Node, findings: &mut Findings) -> Vec<IndexSpec> {
    let path = node.at("gsis");
    let list = node.array("gsis", findings);
    (list.iter().enumerate())
        .filter_map(|(i, index)| {
            let mut index = Node::new(index, format!("{path}[{i}]"), findings)?;
            let name = index.text("index_name", findings);
            let read = read_index(&mut index, name, findings);
            index.finish(findings);
            read
        })
        .collect()
}

/// The part of an index that both dialects share.
pub(super) fn read_index(
    node: &mut Node,
    name: Option<String>,
    findings: &mut Findings,
) -> Option<IndexSpec> {
    let pk = node.text("pk", findings);
    let sk = node.optional_text("sk", findings);
    let word = node.optional_text("projection", findings).unwrap_or_else(|| "ALL".to_owned());
    let attributes = node.texts("projected_attributes", findings);
    let choices = [("ALL", 0), ("KEYS_ONLY", 1), ("INCLUDE", 2)];
    let projection = match node.choice("projection", &word, &choices, findings)? {
        0 => ProjectionSpec::All,
        1 => ProjectionSpec::KeysOnly,
        _ => {
            node.required("projected_attributes", findings);
            ProjectionSpec::Include(attributes)
        }
    };
    Some(IndexSpec { path: node.path.clone(), name: name?, pk: pk?, sk, projection })
}

fn read_attributes(node: &mut Node, findings: &mut Findings) -> Vec<AttributeSpec> {
    let path = node.at("attributes");
    let list = node.array("attributes", findings);
    (list.iter().enumerate())
        .filter_map(|(i, value)| read_attribute(value, format!("{path}[{i}]"), findings))
        .collect()
}

fn read_attribute(value: &Value, path: String, findings: &mut Findings) -> Option<AttributeSpec> {
    let mut node = Node::new(value, path, findings)?;
    let name = node.text("name", findings);
    let attribute = read_attribute_body(&mut node, findings, |node, findings| {
        if let Some(join) = node.object("join", findings) {
            return Some(read_join(join, findings).unwrap_or(ValueSpec::Broken));
        }
        None
    });
    node.ignore(&["denormalized", "justification", "description"]);
    node.finish(findings);
    let mut attribute = attribute?;
    attribute.name = name?;
    Some(attribute)
}

/// What both dialects share of an attribute; `join` reads the dialect's own join.
pub(super) fn read_attribute_body(
    node: &mut Node,
    findings: &mut Findings,
    join: impl FnOnce(&mut Node, &mut Findings) -> Option<ValueSpec>,
) -> Option<AttributeSpec> {
    let word = node.text("type", findings);
    let kind = word.and_then(|word| node.choice("type", &word, &ATTRIBUTE_TYPES, findings));
    let constant = node.raw_or_null("constant");
    let present =
        [node.raw("join").is_some(), node.raw("calculation").is_some(), constant.is_some()];
    if present.iter().filter(|present| **present).count() > 1 {
        let message = "more than one of `join`, `calculation` and `constant`".to_owned();
        findings.report(&codes::CONFLICT, &node.path, message);
    }
    let mut source_columns = Vec::new();
    let source_table = if constant.is_some() {
        node.optional_text("source_table", findings)
    } else {
        node.required("source_column", findings);
        node.text("source_table", findings)
    };
    match node.raw("source_column") {
        Some(Value::Array(_)) => source_columns = node.texts("source_column", findings),
        Some(value) => source_columns.extend(as_text(value, &node.at("source_column"), findings)),
        None => {}
    }
    let mut value = join(node, findings);
    if let Some(calculation) = node.object("calculation", findings) {
        value = Some(read_calculation(calculation, findings).unwrap_or(ValueSpec::Broken));
    }
    if let (Some(constant), Some(kind)) = (constant, kind) {
        value = Some(read_constant(constant, kind, &node.at("constant"), findings));
    }
    let transformation = read_transformation(node, findings);
    let epoch = read_epoch(node, findings);
    let fold = node.flag("fold", findings);
    let ttl = node.flag("ttl", findings);
    Some(AttributeSpec {
        path: node.path.clone(),
        name: String::new(),
        kind: kind?,
        epoch,
        source_table,
        source_columns,
        value: value.unwrap_or(ValueSpec::Column),
        transformation,
        fold,
        ttl,
    })
}

fn read_epoch(node: &mut Node, findings: &mut Findings) -> EpochUnit {
    let choices = [("seconds", EpochUnit::Seconds), ("milliseconds", EpochUnit::Milliseconds)];
    (node.optional_text("epoch", findings))
        .and_then(|word| node.choice("epoch", &word, &choices, findings))
        .unwrap_or_default()
}

fn read_constant(
    value: &Value,
    kind: AttributeType,
    path: &str,
    findings: &mut Findings,
) -> ValueSpec {
    let attribute = match (kind, value) {
        (AttributeType::S, Value::String(text)) => Attribute::S(text.clone()),
        (AttributeType::N, Value::Number(number)) => Attribute::N(number.to_string()),
        (AttributeType::Bool, Value::Bool(flag)) => Attribute::Bool(*flag),
        (AttributeType::Null, Value::Null) => Attribute::Null,
        _ => {
            wrong_type(
                path,
                &format!("a constant of type {kind:?} (S, N, BOOL or NULL)"),
                value,
                findings,
            );
            return ValueSpec::Broken;
        }
    };
    ValueSpec::Constant(attribute)
}

fn read_transformation(node: &mut Node, findings: &mut Findings) -> Option<Transformation> {
    let mut node = node.object("transformation", findings)?;
    let word = node.text("type", findings)?;
    let path = node.at("format");
    let source_format = node.optional_text("source_format", findings);
    let format = |node: &mut Node, findings: &mut Findings| node.text("format", findings);
    let fault = |reason: String, findings: &mut Findings| {
        findings.report(&codes::FORMAT, &path, reason);
    };
    let transformation = match word.as_str() {
        "string-format" => format(&mut node, findings)
            .and_then(|text| template(&text, &path, findings))
            .map(Transformation::StringFormat),
        "date-format" => format(&mut node, findings)
            .and_then(|text| DateFormat::parse(&text).map_err(|r| fault(r, findings)).ok())
            .map(Transformation::DateFormat),
        "number-format" => format(&mut node, findings)
            .and_then(|text| NumberFormat::parse(&text).map_err(|r| fault(r, findings)).ok())
            .map(Transformation::NumberFormat),
        "json-parse" => {
            node.ignore(&["format"]);
            Some(Transformation::JsonParse)
        }
        other => {
            let choices = [
                ("string-format", ()),
                ("date-format", ()),
                ("number-format", ()),
                ("json-parse", ()),
            ];
            node.choice("type", other, &choices, findings);
            None
        }
    };
    if source_format.is_some() {
        let message = "`source_format` is ignored: a value's own format is known from its column";
        findings.report(&codes::UNKNOWN_KEY, &node.at("source_format"), message.to_owned());
    }
    node.finish(findings);
    transformation
}
