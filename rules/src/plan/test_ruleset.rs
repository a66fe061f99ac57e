//! A small shop as ruleset, made by hand, for the tests of planning and routing.
//! Never here: what compiling a contract checks.

use std::collections::{BTreeMap, BTreeSet};

use crate::catalog::{
    Catalog, Column, DataType, DefaultValue, ServerKind, Table, TableKind, Trigger, UniqueKey,
};
use crate::entity::{
    Cascade, EntityId, KeyedSelect, ReverseJoin, Ruleset, SourceTable, TriggerSweep,
};

fn column(name: &str, data_type: DataType) -> Column {
    let text = matches!(
        data_type,
        DataType::Char { .. } | DataType::Varchar { .. } | DataType::Enum { .. }
    );
    Column {
        name: name.into(),
        data_type,
        type_text: String::new(),
        nullable: false,
        default: DefaultValue::None,
        auto_increment: false,
        generated: false,
        on_update_now: false,
        invisible: false,
        charset: text.then(|| "utf8mb4".into()),
        collation: text.then(|| "utf8mb4_0900_ai_ci".into()),
    }
}

fn int(name: &str) -> Column {
    column(name, DataType::Integer { bits: 32, unsigned: false, display_one: false })
}

fn varchar(name: &str) -> Column {
    column(name, DataType::Varchar { length: 64 })
}

fn bin(mut column: Column) -> Column {
    column.collation = Some("utf8mb4_0900_bin".into());
    column
}

fn auto(mut column: Column) -> Column {
    column.auto_increment = true;
    column
}

fn nullable(mut column: Column) -> Column {
    column.nullable = true;
    column.default = DefaultValue::Null;
    column
}

fn table(name: &str, columns: Vec<Column>, primary_key: &[usize]) -> Table {
    Table {
        name: name.into(),
        kind: TableKind::Base,
        engine: "InnoDB".into(),
        columns,
        primary_key: primary_key.to_vec(),
        unique_keys: Vec::new(),
        foreign_keys: Vec::new(),
        triggers: Vec::new(),
    }
}

fn unique(mut table: Table, columns: &[usize]) -> Table {
    table.unique_keys.push(UniqueKey { name: "u".into(), columns: columns.to_vec(), exact: true });
    table
}

fn trigger(mut table: Table, event: &str, timing: &str, body: &str) -> Table {
    table.triggers.push(Trigger {
        name: "trg".into(),
        event: event.into(),
        timing: timing.into(),
        body: body.into(),
    });
    table
}

fn tables() -> Vec<Table> {
    let mut view = table("user_view", vec![int("id")], &[]);
    view.kind = TableKind::View;
    let mut updated = column("updated_at", DataType::Timestamp { fraction: 0 });
    updated.on_update_now = true;
    let mut kind = varchar("kind");
    kind.default = DefaultValue::Literal("plain".into());
    vec![
        unique(
            table(
                "users",
                vec![auto(int("id")), varchar("email"), nullable(varchar("name")), updated],
                &[0],
            ),
            &[1],
        ),
        table(
            "orders",
            vec![
                auto(int("id")),
                int("user_id"),
                column("total", DataType::Decimal { precision: 10, scale: 2, unsigned: false }),
            ],
            &[0],
        ),
        table("items", vec![int("order_id"), int("line"), nullable(varchar("note"))], &[0, 1]),
        table("products", vec![bin(varchar("sku")), varchar("title"), int("price")], &[0]),
        table("tags", vec![varchar("tag"), kind.clone(), int("n")], &[0]),
        table("kinds", vec![bin(kind), int("n")], &[0]),
        table(
            "stamps",
            vec![
                column("at", DataType::Timestamp { fraction: 3 }),
                column("day", DataType::Date),
                column("bytes", DataType::Binary { length: 4 }),
            ],
            &[0, 1, 2],
        ),
        trigger(
            table("guarded", vec![int("id"), int("n")], &[0]),
            "INSERT",
            "BEFORE",
            "SET NEW.`id` = 5",
        ),
        trigger(
            table("unmapped", vec![int("id")], &[0]),
            "DELETE",
            "AFTER",
            "BEGIN INSERT INTO `orders` VALUES (1); END",
        ),
        table("log", vec![int("id"), varchar("text")], &[0]),
        table("keyless", vec![int("n")], &[]),
        view,
    ]
}

fn keyed() -> KeyedSelect {
    KeyedSelect { head: String::new(), width: 1, tail: String::new() }
}

pub(super) fn cascade(child: &str) -> Cascade {
    Cascade {
        child: child.into(),
        deletes: true,
        on_update: true,
        on_delete: true,
        child_keys: keyed(),
    }
}

fn source(name: &str, drives: Option<usize>) -> SourceTable {
    SourceTable {
        name: name.into(),
        drives: drives.map(EntityId).into_iter().collect(),
        joins: Vec::new(),
        cascades: Vec::new(),
        item_key_columns: BTreeSet::new(),
        link_columns: BTreeSet::new(),
        referenced_columns: BTreeSet::new(),
        trigger_sweeps: Vec::new(),
        links: None,
    }
}

/// `users` drives entity 0 and cascades to `orders` (1), which cascades to `items` (2); `products` is
/// joined by entity 2.
pub(crate) fn shop() -> Ruleset {
    let mut sources = BTreeMap::new();
    let names = ["tags", "kinds", "stamps", "guarded", "keyless"];
    let plain = names.iter().map(|name| source(name, None));
    let mut users = source("users", Some(0));
    users.cascades.push(cascade("orders"));
    let mut orders = source("orders", Some(1));
    orders.cascades.push(cascade("items"));
    let mut products = source("products", None);
    products.joins.push(ReverseJoin {
        entity: EntityId(2),
        link_columns: vec![0],
        driving_keys: keyed(),
        decides_item_key: false,
    });
    products.trigger_sweeps.push(TriggerSweep {
        event: "DELETE".into(),
        table: "tags".into(),
        trigger: "trg".into(),
    });
    for source in plain.chain([users, orders, products, source("items", Some(2))]) {
        sources.insert(source.name.clone(), source);
    }
    Ruleset {
        fingerprint: "test".into(),
        contract_fingerprint: "test".into(),
        catalog: Catalog {
            database: "shop".into(),
            server: ServerKind::MySql,
            version: "9.7.0".into(),
            lower_case_table_names: 0,
            tables: tables().into_iter().map(|t| (t.name.clone(), t)).collect(),
        },
        tables: Vec::new(),
        entities: Vec::new(),
        sources,
        warnings: Vec::new(),
        frozen: BTreeMap::new(),
    }
}
