//! The store contract of the fixtures: it loads, with its warnings, and its queries are as expected.
//! Never here: small constructed contracts (see `item_tests`, `finding_tests`).

use super::*;
use crate::contract::Severity;
use crate::value::Attribute;

pub(super) const CONTRACT: &str =
    include_str!("../../../tests/fixtures/store/migrationContract.json");
const CATALOG: &str = include_str!("../../../tests/fixtures/store/catalog.json");

pub(super) fn store() -> Ruleset {
    let catalog = serde_json::from_str(CATALOG).expect("the fixture is a catalog");
    Ruleset::compile(CONTRACT, catalog)
        .unwrap_or_else(|findings| panic!("the store contract must load: {findings:#?}"))
}

#[test]
fn the_store_contract_loads_with_its_warnings() {
    let store = store();
    assert!(store.warnings.iter().all(|finding| finding.severity == Severity::Warning));
    let found: Vec<(&str, &str)> =
        store.warnings.iter().map(|finding| (&finding.code[..4], finding.path.as_str())).collect();
    assert_eq!(
        found,
        [
            // `{user_email}` names nothing; the joined attribute is used.
            ("C046", "$.tables[0].entities[1].attributes[0]"),
            ("C046", "$.tables[0].entities[2].attributes[0]"),
            // orders.created_at may be NULL.
            ("C045", "$.tables[0].entities[2].attributes[1]"),
            ("C056", "$.tables[0].entities[0].attributes[10]"),
            ("C056", "$.tables[0].entities[2].attributes[10]"),
            // `cat_hierarchy` of products is a row of categories.
            ("C038", "$.tables[1].attributes[4].join.join_condition"),
            // Two categories of one parent may bear one name.
            ("C043", "$.tables[2]"),
            ("C056", "$.tables[2].attributes[12]"),
        ]
    );
    assert_eq!(store.tables.len(), 3);
    assert_eq!(store.tables[0].indexes.len(), 3);
}

/// The view query of each entity. These texts ran on MySQL 9.7 and MariaDB 10.11.
#[test]
fn view_queries_are_as_recorded() {
    let store = store();
    let mut text = String::new();
    for entity in &store.entities {
        text.push_str(&format!("-- {}\n{};\n", entity.name, entity.view.main.sql(1)));
        for child in &entity.view.children {
            text.push_str(&format!("{};\n", child.sql(1)));
        }
    }
    assert_eq!(text, include_str!("../../../tests/fixtures/store/views.sql"));
}

#[test]
fn reverse_joins_lead_from_every_joined_table() {
    let store = store();
    let users = &store.sources["users"];
    assert_eq!(users.joins.len(), 2);
    assert!(users.joins.iter().all(|join| join.decides_item_key && join.link_columns == [0]));
    assert_eq!(
        users.joins[0].driving_keys.sql(2),
        "SELECT DISTINCT d.`id` FROM `shopping_carts` d WHERE d.`user_id` IN (?,?)"
    );
    // The parent's row finds its children, a child's row its parent (whose children it counts).
    let categories = &store.sources["categories"];
    let own: Vec<String> = (categories.joins.iter())
        .filter(|join| join.entity == categories.drives[0])
        .map(|join| join.driving_keys.sql(1))
        .collect();
    assert_eq!(
        own,
        [
            "SELECT DISTINCT d.`id` FROM `categories` d WHERE d.`parent_id` IN (?)",
            "SELECT DISTINCT d.`id` FROM `categories` d WHERE d.`id` IN (?)",
        ]
    );
    let links = categories.links.as_ref().expect("a joined table has links");
    assert_eq!(
        links.sql(1),
        "SELECT t.`id`, t.`id`, t.`parent_id` FROM `categories` t WHERE t.`id` IN (?)"
    );
    assert_eq!(users.cascades.len(), 3);
    assert!(users.cascades.iter().all(|cascade| cascade.deletes && !cascade.on_update));
}

#[test]
fn a_root_and_a_child_category_build_their_keys() {
    let store = store();
    let entity = &store.entities[4];
    let created =
        Cell::DateTime { year: 2024, month: 1, day: 2, hour: 3, minute: 4, second: 5, micros: 0 };
    let text = |value: &str| Cell::Text(value.to_owned());
    let root = vec![
        Cell::Int(1),
        text("Books"),
        Cell::Null,
        created.clone(),
        text("ROOT"),
        Cell::Null,
        Cell::Int(1),
        Cell::Int(0),
        text("ROOT"),
    ];
    let built = entity.build(&root, &[]).expect("builds");
    let s = |value: &str| Attribute::S(value.to_owned());
    assert_eq!((built.key.pk, built.key.sk), (s("ROOT"), Some(s("Books"))));
    assert_eq!(built.item["category_path"], s(""));
    assert_eq!(built.item["created_at"], s("2024-01-02T03:04:05Z"));
    assert_eq!(built.item["level"], Attribute::N("1".to_owned()));
    assert!(!built.item.contains_key("parent_id"));
    let child = vec![
        Cell::Int(2),
        text("Novels"),
        Cell::Int(1),
        created,
        text("Books"),
        text("Books"),
        Cell::Int(0),
        Cell::Int(3),
        text("1"),
    ];
    let built = entity.build(&child, &[]).expect("builds");
    assert_eq!(built.key.pk, s("Books"));
    assert_eq!(built.item["GSI1PK"], s("1"));
}
