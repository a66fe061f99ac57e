//! Each construct of the contract: the SQL it becomes and the attribute it makes.
//! Never here: findings (see `finding_tests`).

use serde_json::{Value, json};

use super::sample::{attribute, author_join, books, catalog};
use super::*;
use crate::value::{Attribute, Row};

pub(super) fn compile(contract: &Value) -> Ruleset {
    Ruleset::compile(&contract.to_string(), catalog()).expect("the contract is sound")
}

pub(super) fn text(value: &str) -> Cell {
    Cell::Text(value.to_owned())
}

pub(super) fn s(value: &str) -> Option<Attribute> {
    Some(Attribute::S(value.to_owned()))
}

fn n(value: &str) -> Option<Attribute> {
    Some(Attribute::N(value.to_owned()))
}

/// Compiles `extra` as attribute `X` and compares the SQL after the key column and the attribute.
pub(super) fn check(
    kind: &str,
    column: &str,
    extra: Value,
    sql: &str,
    row: &[Cell],
    expected: Option<Attribute>,
) {
    let ruleset = compile(&books(&[attribute("X", kind, column, extra)]));
    let entity = &ruleset.entities[0];
    let head = format!("SELECT d.`id`{sql} WHERE d.`id` IN ");
    assert_eq!(entity.view.main.head, head);
    let main: Row = std::iter::once(Cell::Int(7)).chain(row.iter().cloned()).collect();
    let built = entity.build(&main, &[]).expect("the row builds");
    assert_eq!(built.item.get("X").cloned(), expected);
    assert_eq!(built.key.pk, Attribute::S("7".to_owned()));
    assert_eq!(built.row_key, [Cell::Int(7)]);
}

const PUBLISHED: Cell =
    Cell::DateTime { year: 2024, month: 3, day: 9, hour: 7, minute: 5, second: 1, micros: 0 };

#[test]
fn plain_columns_are_selected_plainly() {
    check("N", "price", json!({}), ", d.`price` FROM `books` d", &[text("1.50")], n("1.5"));
    check("S", "price", json!({}), ", d.`price` FROM `books` d", &[Cell::Null], None);
    check(
        "N",
        "published",
        json!({"epoch": "milliseconds"}),
        ", d.`published` FROM `books` d",
        &[PUBLISHED],
        n("1709967901000"),
    );
}

#[test]
fn constants_need_no_column() {
    let constant = json!({"name": "X", "type": "N", "constant": 3});
    let ruleset = compile(&books(&[constant]));
    let built = ruleset.entities[0].build(&vec![Cell::Int(7)], &[]).expect("builds");
    assert_eq!(built.item.get("X").cloned(), n("3"));
}

#[test]
fn lookups_are_left_joins() {
    let from = ", j1.`name` FROM `books` d LEFT JOIN `authors` j1 ON j1.`id` = d.`author_id`";
    check("S", "author_id", author_join("authors.name"), from, &[text("Ann")], s("Ann"));
    check("S", "author_id", author_join("name"), from, &[Cell::Null], None);
}

#[test]
fn one_join_serves_all_its_attributes() {
    let ruleset = compile(&books(&[
        attribute("A", "S", "author_id", author_join("authors.name")),
        attribute("B", "S", "author_id", author_join("authors.born")),
    ]));
    let sql = &ruleset.entities[0].view.main.head;
    assert_eq!(sql.matches("LEFT JOIN").count(), 1, "{sql}");
}

#[test]
fn null_value_stands_for_null() {
    let join = json!({"join": {"type": "self-join", "join_alias": "a", "target_table": "authors",
        "join_condition": "a.id = books.series_id", "select_column": "a.name", "null_value": "none"}});
    check(
        "S",
        "series_id",
        join,
        ", j1.`name` FROM `books` d LEFT JOIN `authors` j1 ON j1.`id` = d.`series_id`",
        &[Cell::Null],
        s("none"),
    );
}

#[test]
fn the_side_written_first_is_the_target_of_a_join_to_the_same_table() {
    let join = json!({"join": {"type": "lookup-table", "target_table": "books",
        "join_condition": "books.id = books.series_id", "select_column": "books.title"}});
    check(
        "S",
        "series_id",
        join,
        ", j1.`title` FROM `books` d LEFT JOIN `books` j1 ON j1.`id` = d.`series_id`",
        &[text("t")],
        s("t"),
    );
}

#[test]
fn multi_column_selects_expressions() {
    let join = json!({"join": {"type": "multi-column", "target_table": "authors",
        "join_conditions": ["authors.id = books.author_id", "authors.name = books.title"],
        "select_column": "CONCAT(authors.name, ': ', books.title)"}});
    check(
        "S",
        "author_id",
        join,
        ", CONCAT(j1.`name`, ': ', d.`title`) FROM `books` d LEFT JOIN `authors` j1 ON \
         j1.`id` = d.`author_id` AND j1.`name` = d.`title`",
        &[text("a: b")],
        s("a: b"),
    );
}

#[test]
fn conditionals_are_cases() {
    let join = json!({"join": {"type": "conditional", "condition": "series_id IS NULL",
        "target_table": "books", "join_condition": "books.id = books.series_id",
        "select_column": "'it''s one'", "else_value": "parent.title"}});
    check(
        "S",
        "series_id",
        join,
        ", (CASE WHEN (d.`series_id` IS NULL) THEN 'it''s one' ELSE j1.`title` END) FROM `books` d \
         LEFT JOIN `books` j1 ON j1.`id` = d.`series_id`",
        &[text("it's one")],
        s("it's one"),
    );
}

fn chain(separator: Option<&str>) -> Value {
    let mut join = json!({"type": "chain", "joins": [
        {"target_table": "authors", "join_condition": "authors.id = books.author_id", "select_column": "authors.name"},
        {"target_table": "countries", "join_condition": "countries.id = authors.country_id", "select_column": "countries.name"}
    ]});
    if let Some(separator) = separator {
        join["chain_separator"] = json!(separator);
    }
    json!({"join": join})
}

#[test]
fn chains_follow_their_hops() {
    let joins = " FROM `books` d LEFT JOIN `authors` j1 ON j1.`id` = d.`author_id` \
                 LEFT JOIN `countries` j2 ON j2.`id` = j1.`country_id`";
    check("S", "author_id", chain(None), &format!(", j2.`name`{joins}"), &[text("NO")], s("NO"));
    check(
        "S",
        "author_id",
        chain(Some(" / ")),
        &format!(", j1.`name`, j2.`name`{joins}"),
        &[text("Ann"), text("NO")],
        s("Ann / NO"),
    );
    check(
        "S",
        "author_id",
        chain(Some(" / ")),
        &format!(", j1.`name`, j2.`name`{joins}"),
        &[text("Ann"), Cell::Null],
        s("Ann"),
    );
}

#[test]
fn every_hop_has_a_way_back() {
    let ruleset = compile(&books(&[attribute("X", "S", "author_id", chain(None))]));
    let back = |table: &str| ruleset.sources[table].joins[0].driving_keys.sql(1);
    assert_eq!(back("authors"), "SELECT DISTINCT d.`id` FROM `books` d WHERE d.`author_id` IN (?)");
    assert_eq!(
        back("countries"),
        "SELECT DISTINCT d.`id` FROM `books` d JOIN `authors` j1 ON j1.`id` = d.`author_id` \
         WHERE j1.`country_id` IN (?)"
    );
}

#[test]
fn aggregates_are_correlated_subqueries() {
    let calculation = |operation: &str, select: &str| {
        json!({"calculation": {"type": "aggregate", "target_table": "reviews",
            "join_condition": "reviews.book_id = books.id", "operation": operation, "select_column": select}})
    };
    let sql = |inner: &str| {
        format!(", (SELECT {inner} FROM `reviews` t WHERE t.`book_id` = d.`id`) FROM `books` d")
    };
    check(
        "N",
        "id",
        calculation("AVG", "reviews.stars"),
        &sql("AVG(t.`stars`)"),
        &[text("4.5000")],
        n("4.5"),
    );
    check("N", "id", calculation("COUNT", "*"), &sql("COUNT(*)"), &[Cell::Int(0)], n("0"));
    check(
        "N",
        "id",
        calculation("SUM", "reviews.stars * books.price"),
        &sql("SUM((t.`stars` * d.`price`))"),
        &[Cell::Null],
        None,
    );
}

#[test]
fn cases_are_expressions_of_the_driving_row() {
    let calculation = json!({"calculation": {"type": "case", "cases": [
        {"when": "price >= 10 AND books.in_print = 1", "then": "'dear'"}, {"when": "price IS NULL", "then": 0}]}});
    check(
        "S",
        "price",
        calculation,
        ", (CASE WHEN ((d.`price` >= 10) AND (d.`in_print` = 1)) THEN 'dear' WHEN (d.`price` IS NULL) THEN 0 END) \
         FROM `books` d",
        &[text("dear")],
        s("dear"),
    );
}

#[test]
fn formats_splice_columns_and_attributes() {
    let format = |text: &str| json!({"transformation": {"type": "string-format", "format": text}});
    check(
        "S",
        "title",
        format("B#{title}#{id}"),
        ", d.`title` FROM `books` d",
        &[text("x")],
        s("B#x#7"),
    );
    check("S", "title", format("#META"), " FROM `books` d", &[], s("#META"));
    check("S", "price", format("P{price}"), ", d.`price` FROM `books` d", &[Cell::Null], None);
    check(
        "S",
        "published",
        format("{published}"),
        ", d.`published` FROM `books` d",
        &[PUBLISHED],
        s("2024-03-09T07:05:01"),
    );
    let mut own = author_join("name");
    own["transformation"] = json!({"type": "string-format", "format": "A#{X}/{PK}"});
    check(
        "S",
        "author_id",
        own,
        ", j1.`name` FROM `books` d LEFT JOIN `authors` j1 ON j1.`id` = d.`author_id`",
        &[text("Ann")],
        s("A#Ann/7"),
    );
}

#[test]
fn transformations_apply_to_the_value() {
    let transformation =
        |kind: &str, format: &str| json!({"transformation": {"type": kind, "format": format}});
    let published = ", d.`published` FROM `books` d";
    check(
        "S",
        "published",
        transformation("date-format", "%Y/%m"),
        published,
        &[PUBLISHED],
        s("2024/03"),
    );
    check(
        "N",
        "published",
        transformation("date-format", "epoch"),
        published,
        &[PUBLISHED],
        n("1709967901"),
    );
    check("S", "published", transformation("date-format", "YYYY"), published, &[Cell::Null], None);
    let price = ", d.`price` FROM `books` d";
    check(
        "S",
        "price",
        transformation("number-format", "0000.0"),
        price,
        &[text("12.35")],
        s("0012.4"),
    );
    check("N", "price", transformation("number-format", "0.0"), price, &[text("12.00")], n("12"));
    let parsed = Attribute::M([("a".to_owned(), Attribute::N("1".to_owned()))].into());
    check(
        "M",
        "title",
        json!({"transformation": {"type": "json-parse"}}),
        ", d.`title` FROM `books` d",
        &[text(r#"{"a": 1}"#)],
        Some(parsed),
    );
}

#[test]
fn several_columns_make_lists_and_sets() {
    let columns = json!({"source_column": ["title", "price"]});
    let list = Attribute::L(vec![Attribute::S("t".to_owned()), Attribute::Null]);
    check(
        "L",
        "",
        columns.clone(),
        ", d.`title`, d.`price` FROM `books` d",
        &[text("t"), Cell::Null],
        Some(list),
    );
    check(
        "SS",
        "",
        columns,
        ", d.`title`, d.`price` FROM `books` d",
        &[text("t"), Cell::Null],
        Some(Attribute::SS(["t".to_owned()].into())),
    );
}

#[test]
fn folded_keys_are_collation_weights() {
    let contract = json!({"tables": [{"table": "Books", "type": "single-entity", "source_table": "books",
        "pk": "PK", "sk": "SK", "satisfies": [], "attributes": [
            attribute("PK", "S", "title", json!({"fold": true})), attribute("SK", "N", "id", json!({})),
            attribute("title", "S", "title", json!({}))]}]});
    let ruleset = compile(&contract);
    let sql = &ruleset.entities[0].view.main.head;
    assert!(sql.contains("HEX(WEIGHT_STRING(d.`title`))"), "{sql}");
    assert!(!ruleset.entities[0].key_from_row_key);
}

#[test]
fn templates_make_keys_where_no_attribute_does() {
    let contract = json!({"tables": [{"table": "Books", "type": "multi-entity", "source_table": "books",
        "pk": "PK", "sk": "SK", "entities": [{"entity_type": "BOOK", "source_table": "books",
        "pk_template": "BOOK#{number}", "sk_template": "#META",
        "attributes": [attribute("number", "N", "id", json!({}))]}]}]});
    let ruleset = compile(&contract);
    let entity = &ruleset.entities[0];
    assert!(entity.key_from_row_key);
    let key = entity.key_of(&[Cell::Int(7)]).expect("a pure function of the row key");
    assert_eq!((Some(key.pk), key.sk), (s("BOOK#7"), s("#META")));
    assert_eq!(
        entity.build(&vec![Cell::Int(7)], &[]).expect("builds").item.get("SK").cloned(),
        s("#META")
    );
    assert_eq!(entity.name, "Books/BOOK");
}

fn keyed_by_title() -> Ruleset {
    let mut contract = books(&[
        attribute("G", "S", "title", json!({})),
        attribute("cover", "B", "cover", json!({})),
    ]);
    contract["tables"][0]["gsis"] = json!([{"index_name": "by_g", "pk": "G"}]);
    contract["tables"][0]["sk"] = json!("SK");
    let all = contract["tables"][0]["attributes"].as_array_mut().expect("attributes");
    all.push(attribute("SK", "S", "title", json!({})));
    compile(&contract)
}

#[test]
fn keys_are_measured_and_index_keys_left_out() {
    let ruleset = keyed_by_title();
    let entity = &ruleset.entities[0];
    let build = |title: &str, cover: usize| {
        entity.build(&vec![Cell::Int(7), text(title), Cell::Bytes(vec![0; cover])], &[])
    };
    assert!(matches!(build("", 0), Err(BuildError::KeyAbsent { attribute }) if attribute == "SK"));
    assert!(matches!(build(&"x".repeat(1025), 0), Err(BuildError::KeyTooLong { limit: 1024, .. })));
    assert!(matches!(build("x", 410_000), Err(BuildError::TooLarge { .. })));
    assert!(build("x", 10).is_ok());
    assert_eq!(entity.item_key(&vec![Cell::Int(7), text("")]), None);
}

#[test]
fn an_empty_index_key_is_left_out() {
    let mut contract = books(&[attribute("G", "S", "title", json!({}))]);
    contract["tables"][0]["gsis"] = json!([{"index_name": "by_g", "pk": "G"}]);
    let ruleset = compile(&contract);
    let built = ruleset.entities[0].build(&vec![Cell::Int(7), text("")], &[]).expect("builds");
    assert!(!built.item.contains_key("G"));
}

#[test]
fn items_give_their_columns_back() {
    let ruleset = compile(&books(&[attribute("price", "N", "price", json!({}))]));
    let entity = &ruleset.entities[0];
    let built = entity.build(&vec![Cell::Int(7), text("1.50")], &[]).expect("builds");
    let recovered = entity.recover(&built.item);
    assert_eq!(recovered[0], ("id".to_owned(), Recovered::Value(Cell::Int(7))));
    assert_eq!(recovered[1], ("title".to_owned(), Recovered::NotRecoverable));
    assert_eq!(recovered[3], ("price".to_owned(), Recovered::Value(text("1.50"))));
    assert!(entity.missing_columns().contains(&"title"));
}

#[test]
fn dialect_a_means_the_same() {
    let contract = json!([
        {"table": "Books", "type": "Table", "source_table": "books", "pk": "BookId",
         "gsis": [{"name": "by_author", "pk": "Author"}], "satisfies": ["x"],
         "attributes": {
            "BookId": {"type": "S", "source_table": "books", "source_column": "id"},
            "Author": {"type": "S", "source_table": "authors", "source_column": "name",
                "denormalized": true, "justification": "shown with every book",
                "join": {"local_column": "author_id", "source_column": "id"}}}},
        {"table": "by_author", "type": "GSI", "source_table": "books", "pk": "Author",
         "attributes": {"Author": {"type": "S", "source_table": "books", "source_column": "title"}}}
    ]);
    let ruleset = compile(&contract);
    assert_eq!(
        ruleset.entities[0].view.main.head,
        "SELECT d.`id`, j1.`name` FROM `books` d LEFT JOIN `authors` j1 ON j1.`id` = d.`author_id` \
         WHERE d.`id` IN "
    );
    assert_eq!(ruleset.tables[0].indexes[0].name, "by_author");
}

#[test]
fn composite_keys_scan_in_key_order() {
    let mut catalog = catalog();
    let mut pairs = sample::table("pa`irs", &["a int!", "b text!"]);
    pairs.primary_key = vec![0, 1];
    catalog.tables.insert(pairs.name.clone(), pairs);
    let contract = json!({"tables": [{"table": "Pairs", "type": "single-entity", "source_table": "pa`irs",
        "pk": "a", "sk": "b", "attributes": [
            {"name": "a", "type": "N", "source_table": "pa`irs", "source_column": "a"},
            {"name": "b", "type": "S", "source_table": "pa`irs", "source_column": "b"}]}]});
    let ruleset = Ruleset::compile(&contract.to_string(), catalog).expect("sound");
    let view = &ruleset.entities[0].view;
    assert_eq!(
        view.main.sql(2),
        "SELECT d.`a`, d.`b` FROM `pa``irs` d WHERE (d.`a`,d.`b`) IN ((?,?),(?,?))"
    );
    assert_eq!(
        view.scan_next,
        "SELECT d.`a`, d.`b` FROM `pa``irs` d WHERE d.`a` >= ? AND ((d.`a` > ?) OR (d.`a` = ? AND d.`b` > ?)) \
         ORDER BY d.`a`, d.`b` LIMIT ?"
    );
    assert_eq!(view.scan_next_parameters, [0, 0, 0, 1]);
    assert!(ruleset.entities[0].key_from_row_key);
}

#[test]
fn the_fingerprint_follows_contract_and_catalog() {
    let contract = books(&[]);
    let first = compile(&contract).fingerprint;
    let spaced = serde_json::to_string_pretty(&contract).expect("JSON");
    assert_eq!(Ruleset::compile(&spaced, catalog()).expect("sound").fingerprint, first);
    assert_ne!(compile(&books(&[attribute("t", "S", "title", json!({}))])).fingerprint, first);
}
