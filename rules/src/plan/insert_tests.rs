//! INSERT and REPLACE: keys from values, answers, unique keys and queries.
//! Never here: the statement forms of `tests`.

use super::test_ruleset::shop;
use super::tests::{
    CHARSET, check, check_after, check_preselected, check_with, planned, session, show_bound,
};
use super::{BindSession, SlotValue, SqlMode, StatementPlan, plan, reading};
use crate::entity::OldImage;
use crate::sql::{digest, slot_values};

#[test]
fn inserted_keys_come_from_values() {
    check("INSERT INTO users VALUES (7, 'a@b', NULL, NOW())", "users(7)");
    check("INSERT users (name, id) VALUE ('x', -3), (DEFAULT, '4')", "users(-3) users(4)");
    check("INSERT INTO shop.items SET order_id = 1, line = 2", "items(1,2)");
    check("INSERT LOW_PRIORITY IGNORE INTO users (id) VALUES ROW(1), ROW(2)", "users(1) users(2)");
    check("INSERT INTO products (sku) VALUES ('it''s' ' a \\'b')", "products('it's a 'b')");
    check("INSERT INTO kinds (n) VALUES (1)", "kinds('plain')");
    check("INSERT INTO kinds VALUES (DEFAULT, 1)", "kinds('plain')");
    check("INSERT INTO items (order_id, line) VALUES (1, TRUE)", "items(1,1)");
    check_with(
        "INSERT INTO items (order_id, line) VALUES (?, ?)",
        &[SlotValue::Int(5), SlotValue::UInt(6)],
        "items(5,6)",
    );
    check(
        "INSERT INTO users (id) SELECT 5 FROM DUAL WHERE NOT EXISTS (SELECT 1 FROM users)",
        "users(5)",
    );
}

#[test]
fn inserted_keys_that_are_converted_or_computed_are_swept() {
    check("INSERT INTO products (sku) VALUES (UUID())", "products~W011");
    check("INSERT INTO users (id) VALUES (1.0)", "users~W011");
    check("INSERT INTO users (id) VALUES ('01')", "users~W011");
    check("INSERT INTO users (id) VALUES (99999999999)", "users~W011");
    check("INSERT INTO users (id) VALUES (1), (LAST_INSERT_ID())", "users(1) users~W011");
    check("INSERT INTO items (order_id) VALUES (1)", "items~W011");
    check("INSERT INTO products (sku) VALUES (DEFAULT)", "products~W011");
    check("INSERT INTO guarded VALUES (1, 1)", "guarded~W012");
    check("INSERT INTO keyless VALUES (1)", "keyless~W010");
    check("INSERT INTO users (nothing) VALUES (1)", "users~W020");
}

#[test]
fn inserted_keys_that_the_server_can_compute_are_selected_before() {
    check(
        "INSERT INTO products (sku, price) VALUES (LOWER('A'), 1), ('b', 2)",
        "SELECT HEX(CONVERT((LOWER( 'A' )) USING utf8mb4)) UNION ALL \
         SELECT HEX(CONVERT(('b') USING utf8mb4))",
    );
    check_preselected(
        "INSERT INTO products (sku) VALUES (LOWER('A'))",
        &[&[Some("61")]],
        "products('a')",
    );
}

#[test]
fn generated_keys_come_from_the_answer() {
    for sql in [
        "INSERT INTO users (email) VALUES ('a')",
        "INSERT INTO users (id, email) VALUES (NULL, 'a')",
        "INSERT INTO users (id, email) VALUES (0, 'a')",
        "INSERT INTO users (id, email) VALUES (DEFAULT, 'a')",
        "INSERT INTO users () VALUES ()",
        "INSERT INTO orders (user_id) SELECT id FROM users",
        "INSERT INTO orders (user_id) SELECT id FROM users GROUP BY id",
    ] {
        let table = if sql.contains("orders") { "orders" } else { "users" };
        check(sql, &format!("answer:{table}"));
    }
    check("INSERT INTO users (id) VALUES (1), (NULL)", "users(1) answer:users");
    check_after("INSERT INTO users (email) VALUES ('a')", 10, 1, "users[10..Some(10)]");
    check_after(
        "INSERT INTO users (email) VALUES ('a'), ('b'), ('c')",
        10,
        3,
        "users[10..Some(14)]",
    );
    check_after("INSERT INTO users (id) VALUES (1), (NULL)", 10, 2, "users[10..None]");
    check_after("INSERT INTO orders (user_id) SELECT id FROM users", 10, 5, "orders[10..None]");
    check_after("INSERT INTO users (id) VALUES (1)", 1, 1, "");
    check_after("INSERT IGNORE INTO users (email) VALUES ('a')", 0, 0, "");
    check_after("INSERT INTO users (email) VALUES ('a')", 0, 1, "users~W025");
    check("INSERT INTO users (email) VALUES ('a') RETURNING id", "users~W024");
}

#[test]
fn zero_is_a_key_under_no_auto_value_on_zero() {
    let ruleset = shop();
    let mode = SqlMode { no_auto_value_on_zero: true, ..SqlMode::default() };
    let sql = b"INSERT INTO users (id) VALUES (0)";
    let digests = digest(sql, reading(&ruleset.catalog, mode, CHARSET));
    let StatementPlan::Write(write) = plan(&ruleset, &digests[0], Some("shop"), mode) else {
        panic!("no write")
    };
    let slots = slot_values(&digests[0], sql, &[], CHARSET);
    assert_eq!(show_bound(&write.bind(&ruleset, &slots, session())), "users(0)");
}

#[test]
fn replaced_rows_are_found_by_unique_keys() {
    check("REPLACE INTO users (id, email) VALUES (1, 'a')", "users(1) users.[1]('a')");
    check(
        "INSERT INTO users (email) VALUES ('a') ON DUPLICATE KEY UPDATE name = VALUES(name)",
        "users.[1]('a') answer:users",
    );
    check(
        "INSERT INTO users (email) VALUES ('a') AS new ON DUPLICATE KEY UPDATE id = LAST_INSERT_ID(id)",
        "users.[1]('a') answer:users",
    );
    check(
        "INSERT INTO items VALUES (1, 2, 'x') ON DUPLICATE KEY UPDATE note = CONCAT(note, 'x')",
        "items(1,2)",
    );
    check(
        "INSERT INTO kinds VALUES ('a', 1) AS new ON DUPLICATE KEY UPDATE kind = new.kind, n = 2",
        "kinds('a')",
    );
    // The collation folds case, so the row may have another spelling of the key.
    check("REPLACE INTO tags (tag, n) VALUES ('A', 1)", "tags('A') tags.[0]('A')");
    check("REPLACE products (sku) VALUES ('A')", "products('A') tags~W019");
    check(
        "REPLACE INTO users (id, email) VALUES (1, LOWER('A'))",
        "users(1) users~W017 orders~W017 items~W017"
            .replace("users~W017 orders~W017 items~W017", "items~W017 orders~W017 users~W017")
            .as_str(),
    );
    check(
        "INSERT INTO kinds VALUES ('a', 1) ON DUPLICATE KEY UPDATE kind = 'b'",
        "kinds('a') kinds('b')",
    );
    check(
        "INSERT INTO kinds VALUES ('a', 1) ON DUPLICATE KEY UPDATE kind = CONCAT(kind, 1)",
        "kinds~W016",
    );
}

#[test]
fn rows_of_a_query_are_selected_before() {
    check(
        "INSERT INTO items (order_id, line) SELECT o.id, 1 AS line FROM orders o WHERE o.total > 5 ORDER BY o.id LIMIT 3",
        "SELECT (o.id), (1) FROM orders o WHERE o.total > 5 LOCK IN SHARE MODE",
    );
    check("INSERT INTO items SELECT * FROM items", "items~W018");
    check("INSERT INTO products (sku) SELECT UUID() FROM users", "products~W014");
    check(
        "REPLACE INTO users (id, email) SELECT id, name FROM users",
        "users~W017".replace("users~W017", "items~W017 orders~W017 users~W017").as_str(),
    );
    check_preselected(
        "INSERT INTO items (order_id, line) SELECT o.id, 1 FROM orders o",
        &[&[Some("5"), Some("1")], &[Some("6"), Some("1")]],
        "items(5,1) items(6,1)",
    );
    check_preselected(
        "INSERT INTO items (order_id, line) SELECT o.total, 1 FROM orders o",
        &[&[Some("5.00"), Some("1")]],
        "items~W026",
    );
}

#[test]
fn rows_found_by_a_unique_key_need_the_old_image() {
    let ruleset = shop();
    let sql = "INSERT INTO users (email) VALUES ('a') ON DUPLICATE KEY UPDATE name = 'x'";
    let (plan, slots) = planned(&ruleset, sql, &[]);
    let StatementPlan::Write(write) = plan else { panic!("no write") };
    let bound = write.bind(&ruleset, &slots, session());
    assert!(bound.wrap);
    assert_eq!(bound.entries[0].old_image, OldImage::Needed);
    let inside = BindSession { autocommit_statement: false, ..session() };
    assert!(!write.bind(&ruleset, &slots, inside).wrap);
}
