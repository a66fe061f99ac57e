//! Checks across the entities of one DynamoDB table: sort keys told apart, key and index types.
//! Never here: one entity's own key (see `keys`).

use super::keys::is_key_type;
use super::plan::{AttributePlan, FormatPart, Recipe};
use super::{DynamoTable, Entity, KeyAttribute, Projection, SecondaryIndex};
use crate::contract::{Findings, IndexSpec, ProjectionSpec, TableSpec, codes};
use crate::value::{Attribute, AttributeType, attribute_name};

/// How a sort key begins: its constant beginning, and whether that is all of it.
struct Beginning {
    text: String,
    whole: bool,
}

fn beginning(plan: &AttributePlan) -> Beginning {
    match &plan.recipe {
        Recipe::Constant(Attribute::S(text)) => Beginning { text: text.clone(), whole: true },
        Recipe::Format(parts) => {
            let mut text = String::new();
            for part in parts {
                match part {
                    FormatPart::Text(constant) => text.push_str(constant),
                    _ => return Beginning { text, whole: false },
                }
            }
            Beginning { text, whole: true }
        }
        _ => Beginning { text: String::new(), whole: false },
    }
}

/// Two sort keys can be equal unless their constant beginnings differ.
fn overlap(a: &Beginning, b: &Beginning) -> bool {
    match (a.whole, b.whole) {
        (true, true) => a.text == b.text,
        (true, false) => a.text.starts_with(&b.text),
        (false, true) => b.text.starts_with(&a.text),
        (false, false) => a.text.starts_with(&b.text) || b.text.starts_with(&a.text),
    }
}

/// The key by which entities are told apart: the sort key, or the partition key where there is none.
fn telling(entity: &Entity) -> &AttributePlan {
    &entity.builder.attributes[entity.builder.sk.unwrap_or(entity.builder.pk)]
}

pub(super) fn check_sort_keys(entities: &[&Entity], findings: &mut Findings) {
    for (i, entity) in entities.iter().enumerate() {
        for other in &entities[i + 1..] {
            let (a, b) = (telling(entity), telling(other));
            if a.kind == b.kind && overlap(&beginning(a), &beginning(b)) {
                let message = format!(
                    "the sort keys of `{}` and `{}` cannot be told apart",
                    entity.name, other.name
                );
                findings.report(&codes::SORT_KEYS_OVERLAP, &b.path, message);
            }
        }
    }
}

/// The DynamoDB table; `None` when a fault was reported.
pub(super) fn dynamo_table(
    spec: &TableSpec,
    entities: &[&Entity],
    findings: &mut Findings,
) -> Option<DynamoTable> {
    let key = |name: &str, position: fn(&Entity) -> Option<usize>, findings: &mut Findings| {
        let mut kind: Option<AttributeType> = None;
        for entity in entities {
            let Some(position) = position(entity) else { continue };
            let plan = &entity.builder.attributes[position];
            if *kind.get_or_insert(plan.kind) != plan.kind {
                let message = format!("`{name}` is of another type in another entity");
                findings.report(&codes::KEY_TYPE, &plan.path, message);
            }
        }
        kind.map(|kind| KeyAttribute { name: name.to_owned(), kind })
    };
    let pk = key(&spec.pk, |entity| Some(entity.builder.pk), findings);
    let sk = match &spec.sk {
        Some(sk) => Some(key(sk, |entity| entity.builder.sk, findings)?),
        None => None,
    };
    let mut indexes = Vec::new();
    for index in &spec.indexes {
        indexes.extend(secondary_index(index, entities, findings));
    }
    let sort_keys = entities
        .iter()
        .filter_map(|entity| entity.builder.sk.map(|sk| &entity.builder.attributes[sk]));
    for plan in sort_keys {
        check_number_as_text(plan, findings);
    }
    Some(DynamoTable { name: spec.name.clone(), pk: pk?, sk, indexes })
}

fn secondary_index(
    spec: &IndexSpec,
    entities: &[&Entity],
    findings: &mut Findings,
) -> Option<SecondaryIndex> {
    let pk = index_key(&spec.pk, spec, entities, findings);
    let sk = spec.sk.as_ref().map(|sk| index_key(sk, spec, entities, findings));
    if let Some(sk) = &spec.sk {
        for entity in entities {
            let plans = entity.builder.attributes.iter().filter(|plan| plan.name == *sk);
            plans.for_each(|plan| check_number_as_text(plan, findings));
        }
    }
    if let ProjectionSpec::Include(names) = &spec.projection {
        for name in names {
            if !entities.iter().any(|e| e.builder.attributes.iter().any(|plan| plan.name == *name))
            {
                let message = format!("no entity has an attribute `{name}`");
                findings.report(&codes::PROJECTION, &spec.path, message);
            }
        }
    }
    let projection = match &spec.projection {
        ProjectionSpec::All => Projection::All,
        ProjectionSpec::KeysOnly => Projection::KeysOnly,
        ProjectionSpec::Include(names) => Projection::Include(names.clone()),
    };
    let sk = match sk {
        Some(sk) => Some(sk?),
        None => None,
    };
    Some(SecondaryIndex { name: spec.name.clone(), pk: pk?, sk, projection })
}

fn index_key(
    name: &str,
    index: &IndexSpec,
    entities: &[&Entity],
    findings: &mut Findings,
) -> Option<KeyAttribute> {
    let plans = entities.iter().flat_map(|entity| &entity.builder.attributes);
    let mut kind: Option<AttributeType> = None;
    for plan in plans.filter(|plan| plan.name == *name) {
        let same = *kind.get_or_insert(plan.kind) == plan.kind;
        if !is_key_type(plan.kind) || !same {
            let found = attribute_name(plan.kind);
            let message =
                format!("index key `{name}` is of type {found}, or differs between entities");
            findings.report(&codes::INDEX_KEY_TYPE, &plan.path, message);
        }
    }
    if kind.is_none() {
        let message = format!("no entity has the index key `{name}`");
        findings.report(&codes::INDEX_KEY_MISSING, &index.path, message);
    }
    kind.map(|kind| KeyAttribute { name: name.to_owned(), kind })
}

fn check_number_as_text(plan: &AttributePlan, findings: &mut Findings) {
    use super::resolve::is_number;
    let Recipe::Cell(operand) = &plan.recipe else { return };
    let number = operand.data_type.as_ref().is_some_and(is_number);
    if number && plan.kind == AttributeType::S && plan.transform.is_none() {
        let message = format!("sort key `{}` holds a number as text: 10 sorts before 9", plan.name);
        findings.report(&codes::NUMBER_SORTS_AS_TEXT, &plan.path, message);
    }
}
