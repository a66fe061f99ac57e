//! A small bookshop catalog for this room's tests.
//! Never here: tests.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::catalog::*;
use crate::value::TableName;

fn column(spec: &str) -> Column {
    let (name, rest) = spec.split_once(' ').expect("name and type");
    let nullable = !rest.ends_with('!');
    let data_type = match rest.trim_end_matches('!') {
        "int" => DataType::Integer { bits: 32, unsigned: false, display_one: false },
        "bool" => DataType::Integer { bits: 8, unsigned: false, display_one: true },
        "text" => DataType::Varchar { length: 100 },
        "bytes" => DataType::Varbinary { length: 100 },
        "decimal" => DataType::Decimal { precision: 10, scale: 2, unsigned: false },
        "date" => DataType::DateTime { fraction: 0 },
        "json" => DataType::Json,
        "point" => DataType::Other("point".to_owned()),
        other => panic!("no type {other}"),
    };
    let text = matches!(data_type, DataType::Varchar { .. });
    Column {
        name: name.to_owned(),
        data_type,
        type_text: rest.to_owned(),
        nullable,
        default: DefaultValue::None,
        auto_increment: false,
        generated: false,
        on_update_now: false,
        invisible: false,
        charset: text.then(|| "utf8mb4".to_owned()),
        collation: text.then(|| "utf8mb4_0900_ai_ci".to_owned()),
    }
}

/// A table whose first column is its primary key.
pub(super) fn table(name: &str, columns: &[&str]) -> Table {
    Table {
        name: name.into(),
        kind: TableKind::Base,
        engine: "InnoDB".to_owned(),
        columns: columns.iter().map(|spec| column(spec)).collect(),
        primary_key: vec![0],
        unique_keys: Vec::new(),
        foreign_keys: Vec::new(),
        triggers: Vec::new(),
    }
}

pub(super) fn foreign_key(column: usize, parent: &str, action: ReferentialAction) -> ForeignKey {
    ForeignKey {
        name: format!("to_{parent}"),
        columns: vec![column],
        parent: parent.into(),
        parent_columns: vec!["id".to_owned()],
        on_delete: action,
        on_update: action,
    }
}

/// books -> authors -> countries; reviews -> books (CASCADE).
pub(super) fn catalog() -> Catalog {
    let mut books = table(
        "books",
        &[
            "id int!",
            "title text!",
            "author_id int!",
            "price decimal",
            "published date",
            "meta json",
            "cover bytes",
            "in_print bool!",
            "series_id int",
            "spot point",
        ],
    );
    books.foreign_keys.push(foreign_key(2, "authors", ReferentialAction::Restrict));
    let mut authors = table("authors", &["id int!", "name text!", "country_id int", "born date"]);
    authors.foreign_keys.push(foreign_key(2, "countries", ReferentialAction::Restrict));
    let countries = table("countries", &["id int!", "name text!"]);
    let mut reviews =
        table("reviews", &["id int!", "book_id int!", "stars int!", "body text", "extra json"]);
    reviews.foreign_keys.push(foreign_key(1, "books", ReferentialAction::Cascade));
    let mut loose = table("loose", &["a int", "b int"]);
    loose.primary_key.clear();
    let mut shown = table("shown", &["id int!", "title text!"]);
    shown.kind = TableKind::View;
    let tables = [books, authors, countries, reviews, loose, shown];
    Catalog {
        database: "shop".to_owned(),
        server: ServerKind::MySql,
        version: "9.7.0".to_owned(),
        lower_case_table_names: 0,
        tables: tables.into_iter().map(|t| (t.name.clone(), t)).collect::<BTreeMap<TableName, _>>(),
    }
}

/// An attribute of the books entity: `extra` adds or replaces keys.
pub(super) fn attribute(name: &str, kind: &str, column: &str, extra: Value) -> Value {
    let mut attribute =
        json!({"name": name, "type": kind, "source_table": "books", "source_column": column});
    for (key, value) in extra.as_object().expect("an object") {
        attribute[key.as_str()] = value.clone();
    }
    attribute
}

/// A dialect B contract: table `Books`, key `PK` from `id`, and these attributes.
pub(super) fn books(attributes: &[Value]) -> Value {
    let mut all = vec![attribute("PK", "S", "id", json!({}))];
    all.extend_from_slice(attributes);
    json!({"tables": [{
        "table": "Books", "type": "single-entity", "source_table": "books", "pk": "PK",
        "attributes": all, "satisfies": [], "estimated_item_size_bytes": 100
    }]})
}

/// A lookup join of books to authors.
pub(super) fn author_join(select: &str) -> Value {
    json!({"join": {"type": "foreign-key", "target_table": "authors",
        "join_condition": "authors.id = books.author_id", "select_column": select}})
}
