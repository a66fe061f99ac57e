//! A small shop: a catalog and a contract over it, for statements to be planned on and contracts to be
//! compiled against. Never here: inputs.

use std::sync::OnceLock;

use segue_rules::catalog::{
    Catalog, Column, DataType, DefaultValue, ForeignKey, ReferentialAction, ServerKind, Table,
    TableKind, UniqueKey,
};
use segue_rules::entity::Ruleset;
use segue_rules::value::TableName;

/// Items of users and orders; an order shows its user's name.
const CONTRACT: &str = include_str!("shop.json");

fn column(name: &str, data_type: DataType, nullable: bool) -> Column {
    let text = matches!(data_type, DataType::Char { .. } | DataType::Varchar { .. });
    Column {
        name: name.to_owned(),
        data_type,
        type_text: String::new(),
        nullable,
        default: if nullable { DefaultValue::Null } else { DefaultValue::None },
        auto_increment: false,
        generated: false,
        on_update_now: false,
        invisible: false,
        charset: text.then(|| "utf8mb4".to_owned()),
        collation: text.then(|| "utf8mb4_0900_bin".to_owned()),
    }
}

fn number(name: &str) -> Column {
    column(name, DataType::Integer { bits: 64, unsigned: false, display_one: false }, false)
}

fn generated(name: &str) -> Column {
    Column { auto_increment: true, ..number(name) }
}

fn text(name: &str) -> Column {
    column(name, DataType::Varchar { length: 64 }, true)
}

fn table(name: &str, columns: Vec<Column>, primary_key: &[usize]) -> Table {
    Table {
        name: name.into(),
        kind: TableKind::Base,
        engine: "InnoDB".to_owned(),
        columns,
        primary_key: primary_key.to_vec(),
        unique_keys: Vec::new(),
        foreign_keys: Vec::new(),
        triggers: Vec::new(),
    }
}

/// users <- orders <- items (CASCADE); products with a key of text.
pub fn catalog() -> Catalog {
    let mut users = table("users", vec![generated("id"), text("email"), text("name")], &[0]);
    users.unique_keys.push(UniqueKey { name: "email".to_owned(), columns: vec![1], exact: true });
    let decimal = DataType::Decimal { precision: 10, scale: 2, unsigned: false };
    let day = column("day", DataType::DateTime { fraction: 3 }, true);
    let orders = vec![
        generated("id"),
        number("user_id"),
        column("total", decimal, true),
        day,
        text("state"),
    ];
    let mut orders = table("orders", orders, &[0]);
    orders.foreign_keys.push(foreign_key("user_id", 1, "users"));
    let mut items = table("items", vec![number("order_id"), number("line"), text("note")], &[0, 1]);
    items.foreign_keys.push(foreign_key("order_id", 0, "orders"));
    let sku = column("sku", DataType::Varchar { length: 20 }, false);
    let bytes = column("picture", DataType::Blob, true);
    let products = table("products", vec![sku, text("title"), bytes], &[0]);
    let tables = [users, orders, items, products];
    Catalog {
        database: "shop".to_owned(),
        server: ServerKind::MySql,
        version: "9.7.0".to_owned(),
        lower_case_table_names: 0,
        tables: tables.into_iter().map(|table| (TableName::clone(&table.name), table)).collect(),
    }
}

fn foreign_key(name: &str, column: usize, parent: &str) -> ForeignKey {
    ForeignKey {
        name: name.to_owned(),
        columns: vec![column],
        parent: parent.into(),
        parent_columns: vec!["id".to_owned()],
        on_delete: ReferentialAction::Cascade,
        on_update: ReferentialAction::Cascade,
    }
}

/// The contract compiled against the catalog, for a server of this family.
pub fn ruleset(server: ServerKind) -> &'static Ruleset {
    static MYSQL: OnceLock<Ruleset> = OnceLock::new();
    static MARIADB: OnceLock<Ruleset> = OnceLock::new();
    let (place, version) = match server {
        ServerKind::MySql => (&MYSQL, "9.7.0"),
        ServerKind::MariaDb => (&MARIADB, "10.11.6-MariaDB"),
    };
    place.get_or_init(|| {
        let catalog = Catalog { server, version: version.to_owned(), ..catalog() };
        Ruleset::compile(CONTRACT, catalog).expect("the shop's contract is sound")
    })
}
