//! Every finding code has a contract or catalog that provokes it.
//! Never here: sound contracts (see `item_tests`).

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::sample::{attribute, author_join, books, catalog, foreign_key, table};
use super::*;
use crate::catalog::{ReferentialAction, Trigger};
use crate::contract::{Severity, codes};

struct Case {
    code: &'static codes::Code,
    contract: String,
    catalog: Catalog,
}

fn case(code: &'static codes::Code, contract: Value) -> Case {
    Case { code, contract: contract.to_string(), catalog: catalog() }
}

/// A contract with one further attribute `X` of type S.
fn extra(code: &'static codes::Code, column: &str, extra: Value) -> Case {
    case(code, books(&[attribute("X", "S", column, extra)]))
}

/// The base contract with its table changed.
fn changed(code: &'static codes::Code, change: impl FnOnce(&mut Value)) -> Case {
    let mut contract = books(&[]);
    change(&mut contract["tables"][0]);
    case(code, contract)
}

fn join(extra: Value) -> Value {
    let mut join = author_join("authors.name");
    for (key, value) in extra.as_object().expect("an object") {
        join["join"][key.as_str()] = value.clone();
    }
    join
}

fn sort_key(table: &mut Value, key: Value) {
    table["sk"] = json!("SK");
    table["attributes"].as_array_mut().expect("attributes").push(key);
}

fn calculation(value: Value) -> Value {
    json!({"calculation": value})
}

fn format(text: &str) -> Value {
    json!({"transformation": {"type": "string-format", "format": text}})
}

fn shape_cases() -> Vec<Case> {
    let mut broken = case(&codes::JSON_SYNTAX, json!({}));
    broken.contract = "{\"tables\": [}".to_owned();
    vec![
        broken,
        case(&codes::SHAPE, json!({"table": []})),
        changed(&codes::WRONG_TYPE, |t| t["pk"] = json!(3)),
        extra(&codes::WRONG_TYPE, "id", json!({"constant": [1]})),
        changed(&codes::MISSING_KEY, |t| t["pk"] = json!(null)),
        changed(&codes::UNKNOWN_KEY, |t| t["colour"] = json!("red")),
        changed(&codes::UNKNOWN_VALUE, |t| t["type"] = json!("triple-entity")),
        extra(&codes::UNKNOWN_VALUE, "id", json!({"type": "Q"})),
        case(&codes::DUPLICATE_NAME, books(&[attribute("PK", "S", "id", json!({}))])),
        changed(&codes::DYNAMO_NAME, |t| t["table"] = json!("a b")),
        changed(&codes::TOO_MANY_INDEXES, |t| {
            t["gsis"] =
                (0..21).map(|i| json!({"index_name": format!("index{i}"), "pk": "PK"})).collect();
        }),
        case(&codes::RESERVED_ATTRIBUTE, books(&[attribute("_segue", "S", "id", json!({}))])),
        extra(&codes::CONFLICT, "author_id", join_and_constant()),
        extra(
            &codes::CONDITION,
            "author_id",
            join(json!({"join_condition": "authors.id > books.author_id"})),
        ),
        extra(
            &codes::CONDITION,
            "author_id",
            join(json!({"join_condition": "id = books.author_id"})),
        ),
        extra(
            &codes::CONDITION,
            "author_id",
            join(
                json!({"join_condition": "authors.id = books.author_id OR authors.id = books.id"}),
            ),
        ),
        extra(&codes::EXPRESSION, "id", join(json!({"select_column": "NOW()"}))),
        extra(&codes::UNDEFINED_CALCULATION, "id", calculation(json!({"type": "concat"}))),
        case(
            &codes::DENORMALIZED,
            json!([{"table": "Books", "type": "Table", "source_table": "books",
            "pk": "id", "attributes": {"id": {"type": "S", "source_table": "books", "source_column": "id"},
            "n": {"type": "S", "source_table": "authors", "source_column": "name", "denormalized": true,
                "join": {"local_column": "author_id", "source_column": "id"}}}}]),
        ),
        case(
            &codes::INDEX_DISAGREES,
            json!([
            {"table": "Books", "type": "Table", "source_table": "books", "pk": "id",
             "gsis": [{"name": "other", "pk": "id"}],
             "attributes": {"id": {"type": "S", "source_table": "books", "source_column": "id"}}},
            {"table": "other", "type": "GSI", "source_table": "books", "pk": "title",
             "attributes": {"title": {"type": "S", "source_table": "books", "source_column": "title"}}}]),
        ),
        extra(&codes::FORMAT, "published", format("{open")),
        extra(
            &codes::FORMAT,
            "title",
            json!({"transformation": {"type": "date-format", "format": "%Y"}}),
        ),
        changed(&codes::EMPTY, |t| t["attributes"] = json!([])),
        case(&codes::EMPTY, json!({"tables": []})),
    ]
}

fn join_and_constant() -> Value {
    let mut both = author_join("name");
    both["constant"] = json!("x");
    both
}

/// Faults of the schema itself, not of what the contract names in it.
fn schema_cases() -> Vec<Case> {
    let mut engine = case(&codes::ENGINE, books(&[]));
    engine.catalog.tables.get_mut("books").expect("books").engine = "MyISAM".to_owned();
    let mut trigger = case(&codes::TRIGGER_WRITES, books(&[]));
    trigger.catalog.tables.get_mut("countries").expect("countries").triggers.push(Trigger {
        name: "touch".to_owned(),
        event: "UPDATE".to_owned(),
        timing: "AFTER".to_owned(),
        body: "BEGIN update `books` set title = 'x'; END".to_owned(),
    });
    let mut cascade = case(&codes::CASCADE_WITHOUT_KEY, books(&[]));
    let mut middle = table("middle", &["id int", "country_id int"]);
    middle.primary_key.clear();
    middle.foreign_keys.push(foreign_key(1, "countries", ReferentialAction::Cascade));
    cascade.catalog.tables.insert(middle.name.clone(), middle);
    let books_table = cascade.catalog.tables.get_mut("books").expect("books");
    books_table.foreign_keys.push(foreign_key(8, "middle", ReferentialAction::Cascade));
    vec![engine, trigger, cascade]
}

fn catalog_cases() -> Vec<Case> {
    let mut other_database = books(&[]);
    other_database["database"] = json!("elsewhere");
    vec![
        case(&codes::DATABASE, other_database),
        changed(&codes::MISSING_TABLE, |t| t["source_table"] = json!("boks")),
        extra(&codes::MISSING_COLUMN, "titel", json!({})),
        changed(&codes::MISSING_COLUMN, |t| t["carry"] = json!(["titel"])),
        changed(&codes::NO_ROW_KEY, |t| t["source_table"] = json!("loose")),
        extra(
            &codes::NO_ROW_KEY,
            "id",
            join(
                json!({"target_table": "loose", "join_condition": "loose.a = books.id", "select_column": "b"}),
            ),
        ),
        changed(&codes::VIEW, |t| t["source_table"] = json!("shown")),
        extra(&codes::TYPE, "spot", json!({})),
        extra(&codes::TYPE, "title", json!({"type": "N"})),
        extra(&codes::SEGUE_OPTION, "title", json!({"ttl": true})),
        extra(&codes::SEGUE_OPTION, "id", json!({"fold": true})),
        changed(&codes::SEGUE_OPTION, |t| t["guards"] = json!(["by_title"])),
    ]
}

fn join_cases() -> Vec<Case> {
    vec![
        extra(
            &codes::JOIN_MULTIPLIES,
            "id",
            join(json!({"target_table": "reviews",
            "join_condition": "reviews.book_id = books.id", "select_column": "body"})),
        ),
        {
            let mut texts = extra(
                &codes::JOIN_MULTIPLIES,
                "author_id",
                join(json!({"join_condition": "authors.name = books.author_id"})),
            );
            let authors = texts.catalog.tables.get_mut("authors").expect("authors");
            authors.unique_keys.push(crate::catalog::UniqueKey {
                name: "by_name".to_owned(),
                columns: vec![1],
                exact: true,
            });
            texts
        },
        extra(
            &codes::JOIN_SCOPE,
            "author_id",
            join(json!({"join_condition": "authors.id = reviews.book_id"})),
        ),
        extra(
            &codes::JOIN_SCOPE,
            "author_id",
            join(json!({"join_condition": "reviews.id = books.author_id"})),
        ),
        extra(
            &codes::SELF_JOIN_ELSEWHERE,
            "author_id",
            json!({"join": {"type": "self-join", "join_alias": "a",
            "join_condition": "a.id = books.author_id", "select_column": "a.name"}}),
        ),
        extra(&codes::SOURCE_TABLE, "name", json!({"source_table": "authors"})),
        extra(&codes::SOURCE_COLUMNS, "", json!({"source_column": ["id", "title"]})),
        extra(
            &codes::ORDER_BY,
            "id",
            json!({"join": {"type": "json-construction", "target_table": "reviews",
            "join_condition": "reviews.book_id = books.id",
            "construction": {"type": "array", "order_by": "rank", "select_columns": {"a": "stars"}}}}),
        ),
        extra(&codes::TEMPLATE_PLACEHOLDER, "title", format("{nobody}")),
        case(
            &codes::ATTRIBUTE_CYCLE,
            books(&[
                attribute("X", "S", "id", format("{Y}")),
                attribute("Y", "S", "id", format("{X}")),
            ]),
        ),
        case(&codes::FOLD_HIDES, books(&[attribute("X", "S", "title", json!({"fold": true}))])),
    ]
}

fn entity(kind: &str, sort_key: Value) -> Value {
    json!({"entity_type": kind, "source_table": "books", "attributes": [
        attribute("PK", "S", "id", json!({})), sort_key]})
}

fn key_cases() -> Vec<Case> {
    let two = |first: Value, second: Value| {
        json!({"tables": [{"table": "Books", "type": "multi-entity", "source_table": "books", "pk": "PK",
            "sk": "SK", "entities": [entity("A", first), entity("B", second)]}]})
    };
    let sk = |text: &str| attribute("SK", "S", "id", format(text));
    let index = |t: &mut Value, index: Value| t["gsis"] = json!([index]);
    vec![
        changed(&codes::KEY_NULLABLE, |t| {
            sort_key(t, attribute("SK", "N", "series_id", json!({})))
        }),
        changed(&codes::KEY_MAYBE_ABSENT, |t| {
            sort_key(t, attribute("SK", "S", "id", format("S{series_id}")))
        }),
        changed(&codes::KEY_MISSING, |t| t["pk"] = json!("Nobody")),
        changed(&codes::KEY_TYPE, |t| sort_key(t, attribute("SK", "BOOL", "in_print", json!({})))),
        case(&codes::KEY_TYPE, two(sk("A#"), attribute("SK", "N", "id", json!({})))),
        changed(&codes::KEY_NOT_UNIQUE, |t| {
            t["attributes"] = json!([attribute("PK", "S", "title", json!({}))])
        }),
        changed(&codes::KEY_JOIN_UNBACKED, |t| {
            let join = join(json!({"join_condition": "authors.id = books.id"}));
            sort_key(t, attribute("SK", "S", "id", join));
        }),
        changed(&codes::TEMPLATE_DISAGREES, |t| t["pk_template"] = json!("BOOK#{id}")),
        case(&codes::SORT_KEYS_OVERLAP, two(sk("A#{id}"), sk("A#B"))),
        changed(&codes::INDEX_KEY_MISSING, |t| {
            index(t, json!({"index_name": "by_x", "pk": "Nobody"}))
        }),
        changed(&codes::INDEX_KEY_TYPE, |t| {
            index(t, json!({"index_name": "by_x", "pk": "flag"}));
            let all = t["attributes"].as_array_mut().expect("attributes");
            all.push(attribute("flag", "BOOL", "in_print", json!({})));
        }),
        changed(&codes::PROJECTION, |t| {
            index(
                t,
                json!({"index_name": "by_x", "pk": "PK", "projection": "INCLUDE",
                "projected_attributes": ["Nobody"]}),
            );
        }),
        changed(&codes::NUMBER_SORTS_AS_TEXT, |t| {
            sort_key(t, attribute("SK", "S", "id", json!({})))
        }),
    ]
}

fn findings(contract: &str, catalog: Catalog) -> Vec<Finding> {
    match Ruleset::compile(contract, catalog) {
        Ok(ruleset) => ruleset.warnings,
        Err(findings) => {
            assert!(findings.iter().any(|finding| finding.severity == Severity::Error));
            findings
        }
    }
}

#[test]
fn every_code_is_provoked() {
    let mut provoked = BTreeSet::new();
    for case in shape_cases()
        .into_iter()
        .chain(schema_cases())
        .chain(catalog_cases())
        .chain(join_cases())
        .chain(key_cases())
    {
        let found = findings(&case.contract, case.catalog);
        assert!(
            found.iter().any(|finding| finding.code == case.code.code),
            "{} is not among {found:#?}\n{}",
            case.code.code,
            case.contract
        );
        provoked.insert(case.code.code);
    }
    let missing: Vec<_> = codes::ALL.iter().filter(|c| !provoked.contains(c.code)).collect();
    assert!(missing.is_empty(), "no case provokes {missing:?}");
}

#[test]
fn the_base_contract_has_no_findings() {
    assert_eq!(findings(&books(&[]).to_string(), catalog()), []);
}

#[test]
fn a_template_that_is_its_own_attribute_does_not_disagree() {
    let mut contract = books(&[]);
    let table = &mut contract["tables"][0];
    sort_key(table, attribute("SK", "S", "author_id", author_join("authors.name")));
    for (template, disagrees) in [("{SK}", false), ("{title}", true)] {
        contract["tables"][0]["sk_template"] = json!(template);
        let found = findings(&contract.to_string(), catalog());
        let told = found.iter().any(|finding| finding.code == codes::TEMPLATE_DISAGREES.code);
        assert_eq!(told, disagrees, "{template}: {found:#?}");
    }
}

#[test]
fn all_faults_are_told_at_once() {
    let contract = books(&[
        attribute("A", "S", "titel", json!({})),
        attribute("B", "Q", "title", json!({})),
        attribute("C", "N", "title", json!({"colour": 1})),
    ]);
    let found: BTreeSet<&str> =
        findings(&contract.to_string(), catalog()).iter().map(|finding| finding.code).collect();
    let expected =
        [&codes::MISSING_COLUMN, &codes::UNKNOWN_VALUE, &codes::TYPE, &codes::UNKNOWN_KEY]
            .map(|c| c.code);
    assert_eq!(found, BTreeSet::from(expected));
}

#[test]
fn faults_name_their_place() {
    let contract = books(&[attribute("X", "S", "author_id", join(json!({"join_condition": "1"})))]);
    let found = findings(&contract.to_string(), catalog());
    assert_eq!(found[0].path, "$.tables[0].attributes[1].join.join_condition");
    let syntax = findings("{\n \"tables\": [,]}", catalog());
    assert!(syntax[0].message.starts_with("line 2 column 13"), "{}", syntax[0].message);
}
