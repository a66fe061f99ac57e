//! Every statement form of the store's application, and the very items that must follow: expected
//! values are written out here, not computed by Segue's own code.
//! Never here: random workloads (see `property`).

#![allow(clippy::unwrap_used, reason = "all of this crate is a test")]

use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts};
use segue_tests::harness::{Database, Engine, Items, SegueConfig, SegueProcess, Server};
use segue_tests::on_each_server;
use segue_tests::stage::create_tables;
use serde_json::{Value, json};

const SCHEMA: &str = include_str!("../fixtures/store/schema.sql");
const CONTRACT: &str = include_str!("../fixtures/store/migrationContract.json");
const SETTLE: Duration = Duration::from_secs(30);

/// The store on one server: Segue in `dual-write`, its tables made, one client through Segue.
struct Shop {
    segue: SegueProcess,
    items: Items,
    database: Database,
    client: Conn,
    _engine: Engine,
}

impl Shop {
    async fn open(server: &Server) -> Shop {
        // The schema names a database of its own; a test's tables live in the test's database.
        let tables: String = SCHEMA
            .split_inclusive(';')
            .filter(|part| !part.contains("DATABASE") && !part.trim_start().starts_with("USE "))
            .collect();
        let database = server.database("capture", &tables).await.unwrap();
        let engine = Engine::start().await.unwrap();
        let config = SegueConfig::new(server, &database, CONTRACT).with_engine(&engine);
        let segue = SegueProcess::prepare(&config).unwrap();
        create_tables(&segue).await.unwrap();
        segue.start_again().await.unwrap();
        let client = Conn::new(Opts::from_url(&segue.url(&database)).unwrap()).await.unwrap();
        let items = Items::at(&engine.endpoint());
        Shop { segue, items, database, client, _engine: engine }
    }

    async fn run(&mut self, sql: &str) {
        self.client.query_drop(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// Items of a table with this partition key, once nothing is owed.
    async fn items(&self, table: &str, pk: &str) -> Vec<Value> {
        self.segue.settle(SETTLE).await.unwrap_or_else(|e| panic!("{e}\n{}", self.segue.log()));
        self.items.having(table, "PK", pk).await.unwrap()
    }

    /// One attribute of the items of a table, in the order of the items.
    async fn column(&self, table: &str, pk: &str, attribute: &str) -> Vec<Value> {
        let items = self.items(table, pk).await;
        items.iter().map(|item| item[attribute].clone()).collect()
    }

    async fn another_client(&self) -> Conn {
        let url = self.segue.url(&self.database);
        Conn::new(Opts::from_url(&url).unwrap()).await.unwrap()
    }

    async fn with_users(server: &Server) -> Shop {
        let mut shop = Shop::open(server).await;
        shop.run(
            "INSERT INTO users (username, email, password_hash, first_name) VALUES
             ('ann', 'ann@x.org', 'h1', 'Ann'), ('bob', 'bob@x.org', 'h2', NULL)",
        )
        .await;
        shop
    }

    /// Users 1 and 2, category 1, products 1 and 2 of seller 1.
    async fn stocked(server: &Server) -> Shop {
        let mut shop = Shop::with_users(server).await;
        shop.run("INSERT INTO categories (name) VALUES ('Books')").await;
        shop.run(
            "INSERT INTO products (seller_id, category_id, name, price, inventory_quantity) VALUES
             (1, 1, 'Atlas', 12.50, 3), (1, 1, 'Novel', 8.00, 9)",
        )
        .await;
        shop
    }
}

on_each_server!(rows_with_generated_keys_arrive, |server: &'static Server| async move {
    let shop = Shop::with_users(server).await;
    let ann = shop.items("Users", "ann@x.org").await;
    assert_eq!(ann.len(), 1, "{ann:?}");
    assert_eq!(ann[0]["SK"], "#META");
    assert_eq!(ann[0]["GSI1PK"], "1");
    assert_eq!(ann[0]["username"], "ann");
    assert_eq!(ann[0]["is_seller"], false);
    assert_eq!(ann[0]["profile_data"]["first_name"], "Ann");
    let bob = shop.items("Users", "bob@x.org").await;
    assert_eq!(bob[0]["GSI1PK"], "2");
});

on_each_server!(
    changed_key_moves_the_item_and_all_that_hang_on_it,
    |server: &'static Server| async move {
        let mut shop = Shop::stocked(server).await;
        shop.run("INSERT INTO shopping_carts (user_id, product_id) VALUES (2, 1), (2, 2)").await;
        shop.run("INSERT INTO orders (user_id, total_amount) VALUES (2, 20.50)").await;
        assert_eq!(shop.items("Users", "bob@x.org").await.len(), 4);
        shop.run("UPDATE users SET email = 'rob@x.org' WHERE id = 2").await;
        assert_eq!(shop.items("Users", "bob@x.org").await, Vec::<Value>::new());
        assert_eq!(shop.items("Users", "rob@x.org").await.len(), 4);
    }
);

on_each_server!(price_change_reaches_every_cart, |server: &'static Server| async move {
    let mut shop = Shop::stocked(server).await;
    shop.run("INSERT INTO shopping_carts (user_id, product_id) VALUES (1, 1), (2, 1), (2, 2)")
        .await;
    shop.run("UPDATE products SET price = price + 1 WHERE name LIKE 'Atl%'").await;
    for (mail, product, expected) in [
        ("ann@x.org", "1", json!(13.5)),
        ("bob@x.org", "1", json!(13.5)),
        ("bob@x.org", "2", json!(8)),
    ] {
        let items = shop.items("Users", mail).await;
        let cart = items.iter().find(|item| item["product_id"] == product).expect("the cart");
        assert_eq!(cart["price"], expected, "{mail}");
    }
    assert_eq!(shop.column("Products", "1", "price").await, [json!(13.5)]);
});

on_each_server!(rolled_back_statements_leave_no_trace, |server: &'static Server| async move {
    let mut shop = Shop::with_users(server).await;
    shop.run("BEGIN").await;
    shop.run("UPDATE users SET email = 'gone@x.org' WHERE id = 1").await;
    shop.run("INSERT INTO users (username, email, password_hash) VALUES ('cy', 'cy@x.org', 'h')")
        .await;
    shop.run("ROLLBACK").await;
    assert_eq!(shop.items("Users", "gone@x.org").await, Vec::<Value>::new());
    assert_eq!(shop.items("Users", "cy@x.org").await, Vec::<Value>::new());
    assert_eq!(shop.items("Users", "ann@x.org").await.len(), 1);
});

on_each_server!(
    rollback_to_savepoint_keeps_what_came_before,
    |server: &'static Server| async move {
        let mut shop = Shop::with_users(server).await;
        for sql in [
            "SET autocommit = 0",
            "UPDATE users SET first_name = 'Anna' WHERE id = 1",
            "SAVEPOINT a",
            "UPDATE users SET first_name = 'Bobby' WHERE id = 2",
            "ROLLBACK TO SAVEPOINT a",
            "COMMIT",
            "SET autocommit = 1",
        ] {
            shop.run(sql).await;
        }
        assert_eq!(shop.items("Users", "ann@x.org").await[0]["profile_data"]["first_name"], "Anna");
        assert_ne!(
            shop.items("Users", "bob@x.org").await[0]["profile_data"]["first_name"],
            "Bobby"
        );
    }
);

on_each_server!(
    uncommitted_rows_are_not_shown_before_the_commit,
    |server: &'static Server| async move {
        let mut shop = Shop::with_users(server).await;
        shop.run("BEGIN").await;
        shop.run("UPDATE users SET first_name = 'Early' WHERE id = 1").await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(shop.items("Users", "ann@x.org").await[0]["profile_data"]["first_name"], "Ann");
        shop.run("COMMIT").await;
        assert_eq!(
            shop.items("Users", "ann@x.org").await[0]["profile_data"]["first_name"],
            "Early"
        );
    }
);

on_each_server!(embedded_lines_follow_their_rows, |server: &'static Server| async move {
    let mut shop = Shop::stocked(server).await;
    shop.run("INSERT INTO orders (user_id, total_amount) VALUES (1, 20.50), (1, 1.00)").await;
    shop.run(
        "INSERT INTO order_items (order_id, product_id, quantity, price_at_time)
         VALUES (1, 1, 1, 12.50), (1, 2, 1, 8.00)",
    )
    .await;
    let lines = |items: &[Value], order: &str| -> Value {
        let item = items.iter().find(|item| item["order_id"] == order).expect("the order");
        serde_json::from_str(item["order_items"].as_str().expect("JSON text")).unwrap()
    };
    let items = shop.items("Users", "ann@x.org").await;
    assert_eq!(lines(&items, "1").as_array().map(Vec::len), Some(2));
    assert_eq!(lines(&items, "1")[0]["quantity"], 1);
    assert_eq!(lines(&items, "2"), json!([]));
    shop.run("UPDATE order_items SET order_id = 2 WHERE product_id = 2").await;
    let items = shop.items("Users", "ann@x.org").await;
    assert_eq!(lines(&items, "1").as_array().map(Vec::len), Some(1));
    assert_eq!(lines(&items, "2").as_array().map(Vec::len), Some(1));
    shop.run("DELETE FROM order_items").await;
    let items = shop.items("Users", "ann@x.org").await;
    assert_eq!(lines(&items, "1"), json!([]));
    assert_eq!(lines(&items, "2"), json!([]));
});

on_each_server!(cascade_removes_items_of_every_level, |server: &'static Server| async move {
    let mut shop = Shop::stocked(server).await;
    shop.run("INSERT INTO shopping_carts (user_id, product_id) VALUES (1, 1), (2, 1), (2, 2)")
        .await;
    assert_eq!(shop.items("Users", "bob@x.org").await.len(), 3);
    // User 1 sells both products: products and every cart that holds them go too.
    shop.run("DELETE FROM users WHERE username = 'ann'").await;
    assert_eq!(shop.items("Users", "ann@x.org").await, Vec::<Value>::new());
    assert_eq!(shop.items("Users", "bob@x.org").await.len(), 1);
    assert_eq!(shop.items.all("Products").await.unwrap(), Vec::<Value>::new());
});

on_each_server!(renamed_parent_moves_its_children, |server: &'static Server| async move {
    let mut shop = Shop::with_users(server).await;
    shop.run("INSERT INTO categories (name) VALUES ('Media')").await;
    shop.run("INSERT INTO categories (name, parent_id) VALUES ('Film', 1), ('Music', 1)").await;
    assert_eq!(shop.column("Categories", "Media", "SK").await, ["Film", "Music"]);
    assert_eq!(shop.column("Categories", "ROOT", "children_count").await, [json!(2)]);
    shop.run("UPDATE categories SET name = 'Audio' WHERE id = 1").await;
    assert_eq!(shop.items("Categories", "Media").await, Vec::<Value>::new());
    assert_eq!(shop.column("Categories", "Audio", "SK").await, ["Film", "Music"]);
    shop.run("DELETE FROM categories WHERE name = 'Film'").await;
    assert_eq!(shop.column("Categories", "ROOT", "children_count").await, [json!(1)]);
});

on_each_server!(upserts_and_replaces_are_followed, |server: &'static Server| async move {
    let mut shop = Shop::stocked(server).await;
    let upsert = "INSERT INTO shopping_carts (user_id, product_id, quantity) VALUES (2, 1, 2)
                  ON DUPLICATE KEY UPDATE quantity = quantity + VALUES(quantity)";
    for expected in [2, 4] {
        shop.run(upsert).await;
        let items = shop.items("Users", "bob@x.org").await;
        let cart = items.iter().find(|item| item["SK"] == "CART#1").expect("the cart");
        assert_eq!(cart["quantity"], expected);
    }
    shop.run("INSERT IGNORE INTO shopping_carts (user_id, product_id) VALUES (2, 1), (2, 2)").await;
    assert_eq!(shop.items("Users", "bob@x.org").await.len(), 3);
    // Replaces by the unique user name: the old row goes, with its mail address and its carts.
    shop.run(
        "REPLACE INTO users (username, email, password_hash) VALUES ('bob', 'new@x.org', 'h')",
    )
    .await;
    assert_eq!(shop.items("Users", "bob@x.org").await, Vec::<Value>::new());
    assert_eq!(shop.items("Users", "new@x.org").await.len(), 1);
});

on_each_server!(
    insert_from_select_and_multi_table_statements_arrive,
    |server: &'static Server| async move {
        let mut shop = Shop::stocked(server).await;
        shop.run("INSERT INTO shopping_carts (user_id, product_id) SELECT 2, id FROM products")
            .await;
        assert_eq!(shop.items("Users", "bob@x.org").await.len(), 3);
        shop.run(
            "UPDATE shopping_carts c JOIN products p ON p.id = c.product_id
         SET c.quantity = 7, p.inventory_quantity = 0 WHERE p.name = 'Novel'",
        )
        .await;
        let items = shop.items("Users", "bob@x.org").await;
        let quantities: Vec<_> = items.iter().map(|item| item["quantity"].clone()).collect();
        assert!(quantities.contains(&json!(7)), "{items:?}");
        assert_eq!(shop.column("Products", "2", "inventory_quantity").await, [json!(0)]);
        shop.run(
            "DELETE c FROM shopping_carts c JOIN products p ON p.id = c.product_id WHERE p.id = 2",
        )
        .await;
        assert_eq!(shop.items("Users", "bob@x.org").await.len(), 2);
        shop.run("UPDATE products SET inventory_quantity = 5 ORDER BY price DESC LIMIT 1").await;
        assert_eq!(shop.column("Products", "1", "inventory_quantity").await, [json!(5)]);
        shop.run("DELETE FROM shopping_carts ORDER BY id LIMIT 1").await;
        assert_eq!(shop.items("Users", "bob@x.org").await.len(), 1);
    }
);

on_each_server!(prepared_statements_are_captured, |server: &'static Server| async move {
    let mut shop = Shop::with_users(server).await;
    let insert = "INSERT INTO users (username, email, password_hash) VALUES (?, ?, ?)";
    shop.client.exec_drop(insert, ("cy", "cy@x.org", "h")).await.unwrap();
    assert_eq!(shop.client.last_insert_id(), Some(3));
    assert_eq!(shop.items("Users", "cy@x.org").await.len(), 1);
    let update = "UPDATE users SET email = ? WHERE username = ?";
    shop.client.exec_drop(update, ("cyd@x.org", "cy")).await.unwrap();
    assert_eq!(shop.client.affected_rows(), 1);
    assert_eq!(shop.items("Users", "cy@x.org").await, Vec::<Value>::new());
    assert_eq!(shop.items("Users", "cyd@x.org").await.len(), 1);
    shop.client.exec_drop("DELETE FROM users WHERE id IN (?, ?)", (3, 99)).await.unwrap();
    assert_eq!(shop.items("Users", "cyd@x.org").await, Vec::<Value>::new());
});

on_each_server!(unknown_keys_become_a_sweep_that_is_done, |server: &'static Server| async move {
    let mut shop = Shop::with_users(server).await;
    shop.run("CREATE PROCEDURE rename_all() UPDATE users SET first_name = 'Same'").await;
    shop.run("CALL rename_all()").await;
    for mail in ["ann@x.org", "bob@x.org"] {
        assert_eq!(shop.items("Users", mail).await[0]["profile_data"]["first_name"], "Same");
    }
    assert!(shop.segue.metric("segue_refusals_total").await.unwrap() >= 1.0);
});

on_each_server!(implicit_commit_counts_as_commit, |server: &'static Server| async move {
    let mut shop = Shop::with_users(server).await;
    shop.run("BEGIN").await;
    shop.run("UPDATE users SET first_name = 'Kept' WHERE id = 1").await;
    shop.run("CREATE TABLE other (id INT PRIMARY KEY)").await;
    shop.run("ROLLBACK").await;
    assert_eq!(shop.items("Users", "ann@x.org").await[0]["profile_data"]["first_name"], "Kept");
});

on_each_server!(
    failed_statement_leaves_error_and_items_as_mysql_has_them,
    |server: &'static Server| async move {
        let mut shop = Shop::with_users(server).await;
        let twice =
            "INSERT INTO users (username, email, password_hash) VALUES ('z', 'ann@x.org', 'h')";
        let error = shop.client.query_drop(twice).await.unwrap_err();
        let mysql_async::Error::Server(error) = error else { panic!("{error}") };
        assert_eq!((error.code, error.state.as_str()), (1062, "23000"));
        assert_eq!(shop.items("Users", "ann@x.org").await.len(), 1);
        let mut other = shop.another_client().await;
        let names: Vec<String> =
            other.query("SELECT username FROM users ORDER BY id").await.unwrap();
        assert_eq!(names, ["ann", "bob"]);
    }
);

on_each_server!(accounts_are_exact_when_nothing_is_owed, |server: &'static Server| async move {
    let mut shop = Shop::stocked(server).await;
    for quantity in 0..50 {
        shop.run(&format!("UPDATE products SET inventory_quantity = {quantity} WHERE id = 1"))
            .await;
    }
    shop.segue.settle(SETTLE).await.unwrap();
    let metric = async |name: &str| shop.segue.metric(name).await.unwrap();
    let (seen, applied) = (metric("segue_seen_total").await, metric("segue_applied_total").await);
    let superseded = metric("segue_superseded_total").await;
    assert_eq!(seen, applied + superseded);
    assert!(seen >= 53.0, "{seen}");
});
