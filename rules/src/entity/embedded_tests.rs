//! Embedded arrays and objects: their queries, their text and their native form.
//! Never here: other constructs (see `item_tests`).

use serde_json::{Value, json};

use super::item_tests::{check, compile, s, text};
use super::sample::{attribute, books};
use super::*;
use crate::value::Attribute;

fn reviews(kind: &str, extra: Value) -> Ruleset {
    let mut construction = json!({"type": "array",
        "select_columns": {"stars": "stars", "body": "reviews.body", "extra": "extra"}});
    for (key, value) in extra.as_object().expect("an object") {
        construction[key.as_str()] = value.clone();
    }
    compile(&books(&[attribute(
        "X",
        kind,
        "id",
        json!({"join": {"type": "json-construction",
        "target_table": "reviews", "join_condition": "reviews.book_id = books.id",
        "construction": construction}}),
    )]))
}

#[test]
fn arrays_come_from_a_child_query() {
    let ruleset = reviews("S", json!({"order_by": "stars DESC", "limit": 1}));
    let entity = &ruleset.entities[0];
    assert_eq!(
        entity.view.children[0].sql(2),
        "SELECT d.`id`, t.`stars`, t.`body`, t.`extra` FROM `books` d JOIN `reviews` t ON \
         t.`book_id` = d.`id` WHERE d.`id` IN (?,?) ORDER BY d.`id`, t.`stars` DESC, t.`id`"
    );
    let row = |stars| vec![Cell::Int(7), Cell::Int(stars), text("a\"b"), text("[1]")];
    let built = entity.build(&vec![Cell::Int(7)], &[vec![row(5), row(4)]]).expect("builds");
    assert_eq!(
        built.item["X"],
        Attribute::S(r#"[{"stars":5,"body":"a\"b","extra":[1]}]"#.to_owned())
    );
    let none = entity.build(&vec![Cell::Int(7)], &[vec![]]).expect("builds");
    assert_eq!(none.item["X"], Attribute::S("[]".to_owned()));
}

#[test]
fn native_arrays_hold_maps() {
    let ruleset = reviews("L", json!({}));
    let row = vec![Cell::Int(7), Cell::Int(5), Cell::Null, text("[1]")];
    let built = ruleset.entities[0].build(&vec![Cell::Int(7)], &[vec![row]]).expect("builds");
    let expected = Attribute::M(
        [
            ("stars".to_owned(), Attribute::N("5".to_owned())),
            ("body".to_owned(), Attribute::Null),
            ("extra".to_owned(), Attribute::L(vec![Attribute::N("1".to_owned())])),
        ]
        .into(),
    );
    assert_eq!(built.item["X"], Attribute::L(vec![expected]));
}

#[test]
fn objects_come_from_the_own_or_the_joined_row() {
    let object = |target: &str, condition: &str, field: &str| {
        json!({"join": {"type": "json-construction", "target_table": target, "join_condition": condition,
            "construction": {"type": "object", "select_columns": {"f": field}}}})
    };
    check(
        "S",
        "id",
        object("books", "books.id = books.id", "price"),
        ", d.`price` FROM `books` d",
        &[text("1.50")],
        s(r#"{"f":1.50}"#),
    );
    let joined = object("authors", "authors.id = books.author_id", "name");
    let from =
        ", j1.`id`, j1.`name` FROM `books` d LEFT JOIN `authors` j1 ON j1.`id` = d.`author_id`";
    let map = Attribute::M([("f".to_owned(), Attribute::S("Ann".to_owned()))].into());
    check("M", "author_id", joined.clone(), from, &[Cell::Int(1), text("Ann")], Some(map));
    check("M", "author_id", joined, from, &[Cell::Null, Cell::Null], None);
}
