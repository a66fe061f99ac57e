//! Which predicates another connection reads after the statement, in which words, and what proves too little.
//! Never here: real servers (see the system tests).

use super::test_ruleset::shop;
use super::tests::{planned, session};
use super::{Answer, BindSession, StatementPlan};
use crate::catalog::{DataType, Trigger};
use crate::entity::Ruleset;
use crate::sql::SlotValue;
use crate::value::Cell;

/// The SELECT for the other connection; `-`: the keys are selected before the statement.
fn committed(
    ruleset: &Ruleset,
    sql: &str,
    parameters: &[SlotValue],
    session: BindSession<'_>,
) -> String {
    let (plan, slots) = planned(ruleset, sql, parameters);
    let StatementPlan::Write(write) = plan else { panic!("{sql}") };
    let bound = write.bind(ruleset, &slots, session);
    assert_eq!(bound.preselects.len(), 1, "{sql}");
    bound.preselects[0].committed.clone().unwrap_or_else(|| "-".to_owned())
}

fn check(sql: &str, expected: &str) {
    assert_eq!(committed(&shop(), sql, &[], session()), expected, "{sql}");
}

#[test]
fn comparisons_with_values_are_written_anew() {
    let where_ = |predicate: &str| format!("SELECT `id` FROM `orders` WHERE {predicate}");
    for (predicate, expected) in [
        ("user_id = 5", "`user_id` = 5"),
        ("((user_id) >= 5)", "-"),
        ("(user_id >= 5)", "`user_id` >= 5"),
        ("orders.user_id <=> -5 AND `total` < 1.5", "`user_id` <=> -5 AND `total` < 1.5"),
        ("shop.orders.user_id != '7'", "`user_id` != '7'"),
        ("user_id NOT IN (1, '2', 3)", "`user_id` NOT IN (1, '2', 3)"),
        ("user_id IN (1)", "`user_id` IN (1)"),
        ("user_id BETWEEN 1 AND 5 AND id > 2", "`user_id` BETWEEN 1 AND 5 AND `id` > 2"),
        ("user_id NOT BETWEEN 1 AND 5", "`user_id` NOT BETWEEN 1 AND 5"),
        ("id > 1 && user_id = 2", "`id` > 1 AND `user_id` = 2"),
        // What rests on chance only makes them fewer.
        ("user_id = 5 AND total > RAND()", "`user_id` = 5"),
    ] {
        let expected = if expected == "-" { "-".to_owned() } else { where_(expected) };
        check(&format!("UPDATE orders SET total = 1 WHERE {predicate}"), &expected);
        check(&format!("DELETE FROM orders WHERE {predicate}"), &expected);
    }
    check(
        "UPDATE shop.users AS u SET name = 'x' WHERE u.name LIKE 'a%' AND u.email <> \"b\" ORDER BY id",
        "SELECT `id` FROM `users` WHERE `name` LIKE 'a%' AND `email` <> 'b'",
    );
    check(
        "UPDATE users SET email = 'x' WHERE name IS NOT NULL",
        "SELECT `id` FROM `users` WHERE `name` IS NOT NULL",
    );
    check(
        "DELETE FROM tags WHERE n = 5 LIMIT 3",
        "SELECT HEX(CONVERT(`tag` USING utf8mb4)) FROM `tags` WHERE `n` = 5",
    );
    check(
        "DELETE FROM stamps WHERE day >= '2026-02-28' AND bytes = X'00ff'",
        "SELECT UNIX_TIMESTAMP(`at`), `day`, HEX(`bytes`) FROM `stamps` \
         WHERE `day` >= '2026-02-28' AND `bytes` = _binary X'00FF'",
    );
}

#[test]
fn what_settings_may_change_is_left_to_the_session() {
    for sql in [
        // Columns of each other, expressions, variables, functions.
        "UPDATE orders SET total = 1 WHERE user_id = id",
        "UPDATE orders SET total = 1 WHERE user_id + 1 = 2",
        "UPDATE orders SET total = 1 WHERE user_id = 1 OR user_id = 2",
        "UPDATE orders SET total = 1 WHERE NOT user_id = 2",
        "UPDATE orders SET total = 1 WHERE user_id = @u",
        "UPDATE orders SET total = 1 WHERE user_id = LAST_INSERT_ID()",
        "UPDATE orders SET total = 1 WHERE user_id = NULL",
        "UPDATE orders SET total = 1 WHERE user_id IS TRUE",
        "UPDATE orders SET total = 1 WHERE id IS NULL",
        "UPDATE orders SET total = 1 WHERE user_id = 1 = 1",
        "UPDATE orders SET total = 1 WHERE user_id",
        "UPDATE orders SET total = 1 WHERE o.user_id = 1",
        "UPDATE users SET name = 'x' WHERE LOWER(name) = 'a'",
        "UPDATE users SET name = 'x' WHERE name = 'a' COLLATE utf8mb4_bin",
        // Conversions of the server's.
        "UPDATE orders SET total = 1 WHERE user_id = '7 '",
        "UPDATE orders SET total = 1 WHERE user_id > 1e0",
        "UPDATE users SET name = 'x' WHERE name = 5",
        "UPDATE users SET name = 'x' WHERE name = X'61'",
        "UPDATE users SET name = 'x' WHERE name > ''",
        "UPDATE users SET name = 'x' WHERE name LIKE 'a\\\\_'",
        "UPDATE users SET name = 'x' WHERE name LIKE 'a!_' ESCAPE '!'",
        "UPDATE users SET name = 'x' WHERE updated_at > '2026-01-01 00:00:00'",
        "DELETE FROM stamps WHERE day = '2026-02-31'",
        "DELETE FROM stamps WHERE day LIKE '2026%'",
        "DELETE FROM stamps WHERE bytes = 'abcd'",
        // The new key, the first rows, parts and old rows of the table, an answer of rows.
        "UPDATE orders SET id = id + 1 WHERE user_id = 1",
        "UPDATE orders SET total = 1 WHERE user_id = 1 ORDER BY id LIMIT 2",
        "UPDATE orders PARTITION (p0) SET total = 1 WHERE user_id = 1",
        "UPDATE orders USE INDEX (PRIMARY) SET total = 1 WHERE user_id = 1",
        "UPDATE orders JOIN users ON users.id = orders.user_id SET orders.total = 1 \
         WHERE orders.user_id = 1",
    ] {
        check(sql, "-");
    }
}

#[test]
fn parameters_are_values_too() {
    let sql = "UPDATE orders SET total = 1 WHERE user_id = ? AND total > ?";
    let show = |values: [SlotValue; 2]| committed(&shop(), sql, &values, session());
    assert_eq!(
        show([SlotValue::Int(-3), SlotValue::UInt(9)]),
        "SELECT `id` FROM `orders` WHERE `user_id` = -3 AND `total` > 9"
    );
    assert_eq!(show([SlotValue::Null, SlotValue::UInt(9)]), "-");
    assert_eq!(show([SlotValue::Int(1), SlotValue::Text("9".to_owned())]), "-");
    let date = Cell::Date { year: 2026, month: 2, day: 3 };
    assert_eq!(
        committed(
            &shop(),
            "DELETE FROM stamps WHERE day < ?",
            &[SlotValue::Temporal(date)],
            session()
        ),
        "SELECT UNIX_TIMESTAMP(`at`), `day`, HEX(`bytes`) FROM `stamps` \
         WHERE `day` < DATE'2026-02-03'"
    );
}

#[test]
fn texts_need_character_sets_that_keep_them() {
    let show = |text: &str, charset: &str, connection: Option<&str>| {
        let session = BindSession { connection_charset: connection, charset, ..session() };
        let sql = format!("UPDATE users SET name = 'x' WHERE name > '{text}'");
        committed(&shop(), &sql, &[], session) != "-"
    };
    assert!(show("abc", "utf8mb4", Some("utf8mb4")));
    assert!(show("é", "utf8mb4", Some("utf8mb4")));
    assert!(show("abc", "latin1", Some("latin1")));
    assert!(!show("é", "utf8mb4", Some("latin1")));
    assert!(!show("abc", "utf8mb4", Some("binary")));
    assert!(!show("abc", "binary", Some("utf8mb4")));
    assert!(!show("abc", "utf8mb4", None));
}

#[test]
fn tables_whose_rows_may_change_otherwise_are_read_before() {
    let update = "UPDATE orders SET total = 1 WHERE user_id = 1";
    let show = |change: fn(&mut Ruleset)| {
        let mut ruleset = shop();
        change(&mut ruleset);
        committed(&ruleset, update, &[], session()) != "-"
    };
    assert!(show(|_| {}));
    let orders = |ruleset: &mut Ruleset| {
        ruleset.catalog.tables.remove("orders").expect("the shop has orders")
    };
    assert!(!show(|ruleset| {
        let mut table = ruleset.catalog.tables["orders"].clone();
        table.engine = "MyISAM".into();
        ruleset.catalog.tables.insert(table.name.clone(), table);
    }));
    assert!(!show(|ruleset| {
        let mut table = ruleset.catalog.tables["orders"].clone();
        table.triggers.push(Trigger {
            name: "t".into(),
            event: "update".into(),
            timing: "AFTER".into(),
            body: "DO 0".into(),
        });
        ruleset.catalog.tables.insert(table.name.clone(), table);
    }));
    assert!(!show(|ruleset| {
        let items = ruleset.sources.get_mut("items").expect("the shop has items");
        items.cascades.push(super::test_ruleset::cascade("orders"));
    }));
    let mut generated = shop();
    let mut table = orders(&mut generated);
    table.columns[1].generated = true;
    generated.catalog.tables.insert(table.name.clone(), table);
    assert_eq!(committed(&generated, update, &[], session()), "-");
    let mut other = shop();
    let mut table = orders(&mut other);
    table.columns[1].data_type = DataType::Timestamp { fraction: 0 };
    other.catalog.tables.insert(table.name.clone(), table);
    assert_eq!(committed(&other, update, &[], session()), "-");
}

#[test]
fn fewer_keys_than_rows_are_swept_with_what_cascades() {
    let ruleset = shop();
    let missed = |sql: &str, rows: u64, matched: Option<u64>, affected_rows: u64| {
        let (plan, slots) = planned(&ruleset, sql, &[]);
        let StatementPlan::Write(write) = plan else { panic!("{sql}") };
        let capture = write.bind(&ruleset, &slots, session()).preselects[0].capture;
        let answer = Answer { affected_rows, insert_id: 0, increment: 1, matched };
        assert_eq!(write.missed(&ruleset, capture, rows, None).len(), 3, "{sql}");
        (
            write.missed(&ruleset, capture, rows, Some(answer)).len(),
            write.found_nothing(capture, answer),
        )
    };
    let update = "UPDATE users SET name = 'x' WHERE name = 'y'";
    assert_eq!(missed(update, 3, Some(3), 0), (0, false));
    assert_eq!(missed(update, 4, Some(3), 0), (0, false));
    assert_eq!(missed(update, 2, Some(3), 0), (3, false));
    assert_eq!(missed(update, 3, None, 3), (0, false));
    assert_eq!(missed(update, 2, None, 3), (3, false));
    assert_eq!(missed(update, 0, Some(0), 0), (0, true));
    let delete = "DELETE FROM users WHERE name = 'y'";
    assert_eq!(missed(delete, 3, None, 3), (0, false));
    assert_eq!(missed(delete, 2, None, 3), (3, false));
    assert_eq!(missed(delete, 2, None, 0), (0, true));
}

#[test]
fn a_sweep_instead_of_keys_takes_what_cascades_along() {
    let ruleset = shop();
    let (plan, _) = planned(&ruleset, "DELETE FROM users WHERE name = 'y'", &[]);
    let StatementPlan::Write(write) = plan else { panic!() };
    let swept = write.swept(&ruleset, 0, "reason");
    let tables: Vec<&str> = swept.iter().map(|entry| &**entry.dirty.table()).collect();
    assert_eq!(tables, ["items", "orders", "users"]);
}
