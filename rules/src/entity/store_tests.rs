//! The store contract of the fixtures: it loads, with its warnings, and its queries are as expected.
//! Never here: small constructed contracts (see `item_tests`, `finding_tests`).

use super::*;
use crate::contract::Severity;

pub(super) const CONTRACT: &str =
    include_str!("../../../tests/fixtures/store/migrationContract.json");
const CATALOG: &str = include_str!("../../../tests/fixtures/store/catalog.json");

pub(super) fn store() -> Ruleset {
    let catalog = serde_json::from_str(CATALOG).expect("the fixture is a catalog");
    Ruleset::compile(CONTRACT, catalog)
        .unwrap_or_else(|findings| panic!("the store contract must load: {findings:#?}"))
}

#[test]
fn dump() {
    let store = store();
    for w in &store.warnings {
        println!("{} {} {}", w.code, w.path, w.message);
    }
    for entity in &store.entities {
        println!("\n== {} from_row_key={}\n{}", entity.name, entity.key_from_row_key, entity.view.main.sql(2));
        for child in &entity.view.children {
            println!("{}", child.sql(2));
        }
        println!("{}\n{}", entity.view.scan_first, entity.view.scan_next);
    }
    for source in store.sources.values() {
        println!("\n== {} drives {:?} keycols {:?} links {:?} ref {:?}", source.name, source.drives, source.item_key_columns, source.link_columns, source.referenced_columns);
        for join in &source.joins {
            println!("  {:?} {:?} {} {}", join.entity, join.link_columns, join.decides_item_key, join.driving_keys.sql(1));
        }
        for c in &source.cascades {
            println!("  cascade {} del {} {}", c.child, c.deletes, c.child_keys.sql(1));
        }
        if let Some(l) = &source.links { println!("  {}", l.sql(1)); }
    }
}
