//! Which changes need the committed image before the commit, and how tables become relevant.
//! Never here: how the image is read.

use serde_json::json;

use super::sample::{attribute, author_join, books, catalog, foreign_key, table};
use super::store_tests::store;
use super::*;
use crate::catalog::{ReferentialAction, Trigger};

fn needs(ruleset: &Ruleset, table: &str, change: &Change) -> bool {
    ruleset.sources[table].needs_old_image(change, ruleset)
}

fn update(columns: &[usize]) -> Change {
    Change::Update(columns.iter().copied().collect())
}

#[test]
fn inserts_never_need_the_old_image() {
    let store = store();
    for table in store.sources.keys() {
        assert!(!needs(&store, table, &Change::Insert), "{table}");
    }
}

#[test]
fn updates_need_it_where_keys_or_links_move() {
    let store = store();
    // users.email is the item key of users, and of carts and orders through their join.
    assert!(needs(&store, "users", &update(&[2])));
    assert!(!needs(&store, "users", &update(&[3, 9])));
    // products: the item key is the row key; category_id links to categories' product count.
    assert!(needs(&store, "products", &update(&[2])));
    assert!(!needs(&store, "products", &update(&[5])));
    assert!(needs(&store, "products", &update(&[0])));
    assert!(needs(&store, "order_items", &update(&[1])));
    assert!(!needs(&store, "order_items", &update(&[3])));
}

#[test]
fn deletes_need_it_unless_the_row_key_tells_all() {
    let store = store();
    assert!(needs(&store, "orders", &Change::Delete));
    assert!(needs(&store, "users", &Change::Delete));
    let plain = Ruleset::compile(&books(&[]).to_string(), catalog()).expect("sound");
    // Nothing mapped hangs on books by a foreign key, and the item key is the row key.
    assert!(!needs(&plain, "books", &Change::Delete));
    assert!(needs(&plain, "books", &Change::Any));
}

#[test]
fn text_row_keys_need_it_because_spellings_vary() {
    let mut catalog = catalog();
    let mut shelves = table("shelves", &["code text!", "size int"]);
    let contract = json!({"tables": [{"table": "Shelves", "type": "single-entity", "source_table": "shelves",
        "pk": "code", "attributes": [
            {"name": "code", "type": "S", "source_table": "shelves", "source_column": "code"}]}]});
    catalog.tables.insert(shelves.name.clone(), shelves.clone());
    let ruleset = Ruleset::compile(&contract.to_string(), catalog.clone()).expect("sound");
    assert!(needs(&ruleset, "shelves", &Change::Delete));
    assert!(needs(&ruleset, "shelves", &update(&[1])));
    shelves.columns[0].collation = Some("utf8mb4_0900_bin".to_owned());
    catalog.tables.insert(shelves.name.clone(), shelves);
    let ruleset = Ruleset::compile(&contract.to_string(), catalog).expect("sound");
    assert!(!needs(&ruleset, "shelves", &Change::Delete));
}

#[test]
fn tables_that_reach_mapped_ones_by_foreign_keys_are_sources() {
    let mut catalog = catalog();
    let books_table = catalog.tables.get_mut("books").expect("books");
    books_table.foreign_keys.push(foreign_key(8, "series", ReferentialAction::SetNull));
    let mut series = table("series", &["id int!", "owner_id int!"]);
    series.foreign_keys.push(foreign_key(1, "owners", ReferentialAction::Cascade));
    let owners = table("owners", &["id int!"]);
    for table in [series, owners] {
        catalog.tables.insert(table.name.clone(), table);
    }
    let ruleset = Ruleset::compile(&books(&[]).to_string(), catalog).expect("sound");
    let owners = &ruleset.sources["owners"];
    assert_eq!(&*owners.cascades[0].child, "series");
    assert!(owners.cascades[0].deletes && owners.referenced_columns.contains(&0));
    let series = &ruleset.sources["series"];
    assert!(!series.cascades[0].deletes && series.cascades[0].on_delete);
    assert_eq!(
        series.cascades[0].child_keys.sql(1),
        "SELECT DISTINCT c.`id` FROM `books` c JOIN `series` p ON c.`series_id` = p.`id` WHERE p.`id` IN (?)"
    );
    assert!(needs(&ruleset, "owners", &Change::Delete));
    assert!(!ruleset.sources.contains_key("countries"));
}

#[test]
fn triggers_owe_sweeps_of_what_they_write() {
    let mut catalog = catalog();
    let log = catalog.tables.get_mut("reviews").expect("reviews");
    let body = "BEGIN INSERT INTO loose SELECT * FROM authors; UPDATE shop.books b SET title = NEW.body; END";
    log.triggers.push(Trigger {
        name: "t".to_owned(),
        event: "insert".to_owned(),
        timing: "AFTER".to_owned(),
        body: body.to_owned(),
    });
    let contract = books(&[attribute("X", "S", "author_id", author_join("name"))]);
    let ruleset = Ruleset::compile(&contract.to_string(), catalog).expect("sound");
    let sweep =
        TriggerSweep { event: "INSERT".to_owned(), table: "books".into(), trigger: "t".to_owned() };
    assert_eq!(ruleset.sources["reviews"].trigger_sweeps, [sweep]);
}

#[test]
fn triggers_before_an_update_may_move_any_column() {
    let mut catalog = catalog();
    let contract = books(&[attribute("X", "S", "author_id", author_join("name"))]);
    let ruleset = Ruleset::compile(&contract.to_string(), catalog.clone()).expect("sound");
    assert!(!needs(&ruleset, "books", &update(&[1])));
    catalog.tables.get_mut("books").expect("books").triggers.push(Trigger {
        name: "t".to_owned(),
        event: "UPDATE".to_owned(),
        timing: "BEFORE".to_owned(),
        body: "SET NEW.id = OLD.id + 1".to_owned(),
    });
    let ruleset = Ruleset::compile(&contract.to_string(), catalog).expect("sound");
    assert!(needs(&ruleset, "books", &update(&[1])));
}
