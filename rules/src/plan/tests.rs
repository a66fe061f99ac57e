//! Every statement form but INSERT: what is planned, bound and learnt. `check(sql, expected)` on a small shop.
//! Never here: a server; the texts of preselects are tried on real engines by the system tests.

use std::fmt::Write;

use super::test_ruleset::shop;
use super::{Answer, BindSession, Bound, SlotValue, SqlMode, StatementPlan, plan, reading};
use crate::entity::{Dirty, DirtyEntry, OldImage, Ruleset};
use crate::sql::{digest, slot_values};
use crate::value::Cell;

pub(super) const CHARSET: &str = "utf8mb4";

pub(super) fn session() -> BindSession<'static> {
    BindSession {
        sql_mode: SqlMode::default(),
        charset: CHARSET,
        connection_charset: Some(CHARSET),
        autocommit_statement: true,
    }
}

pub(super) fn planned(
    ruleset: &Ruleset,
    sql: &str,
    parameters: &[SlotValue],
) -> (StatementPlan, Vec<SlotValue>) {
    let mode = SqlMode::default();
    let digests = digest(sql.as_bytes(), reading(&ruleset.catalog, mode, CHARSET));
    assert_eq!(digests.len(), 1, "{sql}");
    let slots = slot_values(&digests[0], sql.as_bytes(), parameters, CHARSET);
    (plan(ruleset, &digests[0], Some("shop"), mode), slots)
}

fn show_cell(cell: &Cell) -> String {
    match cell {
        Cell::Int(number) => number.to_string(),
        Cell::Text(text) => format!("'{text}'"),
        other => format!("{other:?}"),
    }
}

fn show_key(cells: &[Cell]) -> String {
    cells.iter().map(show_cell).collect::<Vec<_>>().join(",")
}

fn show_entries(entries: &[DirtyEntry]) -> String {
    let mut out = String::new();
    for entry in entries {
        let _ = match &entry.dirty {
            Dirty::Key(key) => write!(out, "{}({}) ", key.table, show_key(&key.key)),
            Dirty::Range { table, from, to } => write!(out, "{table}[{from}..{to:?}] "),
            Dirty::Unique { table, columns, values } => {
                let values: Vec<String> = values.iter().map(|v| show_key(v)).collect();
                write!(out, "{table}.{columns:?}({}) ", values.join(";"))
            }
            Dirty::Sweep { table, reason } => write!(out, "{table}~{} ", &reason[..4]),
        };
    }
    out.trim_end().to_owned()
}

pub(super) fn show_bound(bound: &Bound) -> String {
    let mut out = show_entries(&bound.entries);
    for preselect in &bound.preselects {
        let _ = write!(out, " {}", preselect.sql);
    }
    if let Some(table) = &bound.from_answer {
        let _ = write!(out, " answer:{table}");
    }
    // What needs an old image is for the tests of `entity` to say; here only that it counts.
    let old = bound.entries.iter().any(|entry| entry.old_image == OldImage::Needed);
    assert_eq!(bound.wrap, old || !bound.preselects.is_empty());
    out.trim_start().to_owned()
}

fn show_plan(plan: &StatementPlan) -> String {
    match plan {
        StatementPlan::Harmless => "harmless".into(),
        StatementPlan::ImplicitCommit => "commits".into(),
        StatementPlan::Transaction(verb) => format!("{verb:?}"),
        StatementPlan::Session(change) => format!("{change:?}"),
        StatementPlan::Write(_) => "write".into(),
        StatementPlan::Opaque { refusal, tables, commits } => {
            format!("{} [{}] {commits}", &refusal.code[..4], tables.join(" "))
        }
    }
}

/// The statement's plan, bound to its literals (and parameters), as text.
pub(super) fn check_with(sql: &str, parameters: &[SlotValue], expected: &str) {
    let ruleset = shop();
    let (plan, slots) = planned(&ruleset, sql, parameters);
    let shown = match &plan {
        StatementPlan::Write(write) => show_bound(&write.bind(&ruleset, &slots, session())),
        other => show_plan(other),
    };
    assert_eq!(shown, expected, "{sql}");
}

pub(super) fn check(sql: &str, expected: &str) {
    check_with(sql, &[], expected);
}

pub(super) fn check_after(sql: &str, insert_id: u64, affected_rows: u64, expected: &str) {
    let ruleset = shop();
    let (plan, slots) = planned(&ruleset, sql, &[]);
    let StatementPlan::Write(write) = plan else { panic!("{sql}") };
    let answer = Answer { affected_rows, insert_id, increment: 2, matched: None };
    assert_eq!(show_entries(&write.after(&ruleset, &slots, answer)), expected, "{sql}");
}

pub(super) fn check_preselected(sql: &str, rows: &[&[Option<&str>]], expected: &str) {
    let ruleset = shop();
    let (plan, slots) = planned(&ruleset, sql, &[]);
    let StatementPlan::Write(write) = plan else { panic!("{sql}") };
    let bound = write.bind(&ruleset, &slots, session());
    let cells =
        |row: &&[Option<&str>]| row.iter().map(|c| c.map(|c| c.as_bytes().to_vec())).collect();
    let rows: Vec<Vec<Option<Vec<u8>>>> = rows.iter().map(cells).collect();
    let mut entries = Vec::new();
    for preselect in &bound.preselects {
        entries.extend(write.preselected(&ruleset, preselect.capture, &rows));
    }
    assert_eq!(show_entries(&entries), expected, "{sql}");
}

#[test]
fn reads_and_foreign_tables_are_harmless() {
    for sql in [
        "SELECT * FROM users WHERE id = 1 FOR UPDATE",
        "(SELECT 1) UNION (SELECT 2)",
        "WITH x AS (SELECT 1) SELECT * FROM x",
        "WITH RECURSIVE x (n) AS (SELECT 1 UNION ALL SELECT n+1 FROM x) SELECT * FROM x",
        "SHOW TABLES",
        "EXPLAIN ANALYZE DELETE FROM users",
        "DO SLEEP(1)",
        "SELECT 1 INTO @x",
        "INSERT INTO log (id) VALUES (1)",
        "UPDATE other.users SET id = 1",
        "DELETE FROM no_such_table",
        "SET GLOBAL TRANSACTION ISOLATION LEVEL READ COMMITTED",
        "SET @a = 1, GLOBAL max_connections = 5, time_zone = 'SYSTEM'",
        "/* comment */ -- more\n # and more\n SELECT 1",
        "PREPARE s FROM 'SELECT 1'",
    ] {
        check(sql, "harmless");
    }
}

#[test]
// tidy: long because it is a list.
fn transaction_and_session_statements_are_told_apart() {
    for (sql, expected) in [
        ("BEGIN", "Begin"),
        ("begin work", "Begin"),
        ("START TRANSACTION READ ONLY", "Begin"),
        ("COMMIT AND CHAIN", "Commit"),
        ("ROLLBACK WORK", "Rollback"),
        ("ROLLBACK TO SAVEPOINT a", "RollbackToSavepoint"),
        ("ROLLBACK WORK TO a", "RollbackToSavepoint"),
        ("SAVEPOINT a", "Savepoint"),
        ("RELEASE SAVEPOINT a", "ReleaseSavepoint"),
        ("SET autocommit=0", "AutocommitOff"),
        ("SET @@session.autocommit := 1", "AutocommitOn"),
        ("SET @@autocommit = ON", "AutocommitOn"),
        ("SET SESSION autocommit = 'off'", "AutocommitOff"),
        ("SET LOCAL autocommit = TRUE", "AutocommitOn"),
        ("SET autocommit = ?", "Unknown"),
        ("SET autocommit = (SELECT 1)", "Unknown"),
        ("SET autocommit = 1, sql_mode = 'ANSI'", "Unknown"),
        ("SET TRANSACTION ISOLATION LEVEL READ COMMITTED", "Isolation"),
        ("SET SESSION TRANSACTION READ ONLY", "Isolation"),
        ("SET autocommit = DEFAULT", "Unknown"),
        ("SET sql_mode = 4", "Unknown"),
        ("SET sql_mode = DEFAULT", "Unknown"),
        ("SET sql_mode = 'ANSI' '_QUOTES'", "Unknown"),
        ("SET sql_mode = _utf8mb4'ANSI_QUOTES'", "Unknown"),
        ("SET sql_mode = N'ANSI_QUOTES'", "Unknown"),
        ("SET sql_mode = @mode", "Unknown"),
        ("SET sql_mode = (SELECT 'ANSI')", "Unknown"),
        ("SET `sql_mode` = ANSI", "SqlMode(\"ansi\")"),
        ("SET @@`sql_mode` = ANSI", "SqlMode(\"ansi\")"),
        ("SET @@SESSION.sql_mode = ANSI", "SqlMode(\"ansi\")"),
        ("SET @@session . sql_mode = ANSI", "SqlMode(\"ansi\")"),
        ("/*!40101 SET sql_mode = ANSI */", "SqlMode(\"ansi\")"),
        ("/*!40101 SET NAMES utf8 */", "Names(\"utf8\")"),
        ("SET @old = @@sql_mode, sql_mode = 'ANSI'", "SqlMode(\"ansi\")"),
        ("SET GLOBAL max_connections = 5, sql_mode = 'ANSI'", "Unknown"),
        ("SET GLOBAL max_connections = 5, SESSION sql_mode = 'ANSI'", "SqlMode(\"ansi\")"),
        ("SET NAMES DEFAULT", "Unknown"),
        ("SET CHARSET DEFAULT", "Unknown"),
        ("SET character_set_client = latin1", "Unknown"),
        ("SET auto_increment_increment = 5", "Unknown"),
        ("SET @@auto_increment_increment = 5", "Unknown"),
        ("SET sql_select_limit = 5", "Unknown"),
        ("SET ROLE x, sql_mode = ANSI", "Unknown"),
        ("SET sql_mode = ANSI, ROLE x", "Unknown"),
        ("SET sql_mode = ANSI, PASSWORD = 'x'", "Unknown"),
        ("SET @@session.transaction_isolation = 'READ-COMMITTED'", "Isolation"),
        ("SET tx_isolation = ?", "Isolation"),
        (
            "SET autocommit = 0, transaction_isolation = 'READ-COMMITTED'",
            "Many([Isolation, Unknown])",
        ),
        ("SET NAMES utf8mb4 COLLATE utf8mb4_bin", "Names(\"utf8mb4\")"),
        ("SET NAMES 'latin1'", "Names(\"latin1\")"),
        ("SET CHARACTER SET utf8", "Names(\"utf8\")"),
        ("SET sql_mode = 'ANSI_QUOTES'", "SqlMode(\"ansi_quotes\")"),
        ("SET sql_mode = CONCAT(@@sql_mode, ',ANSI')", "Unknown"),
        ("SET NAMES utf8, sql_mode=''", "Many([Names(\"utf8\"), SqlMode(\"\")])"),
        ("USE other", "Use(\"other\")"),
        ("LOCK TABLES users WRITE", "commits"),
        ("UNLOCK TABLES", "commits"),
        ("CREATE TABLE x (id INT)", "commits"),
        ("ANALYZE TABLE users", "commits"),
        ("GRANT ALL ON *.* TO a@b", "commits"),
        ("SET PASSWORD = 'x'", "commits"),
        ("SET ROLE x", "commits"),
        ("SET DEFAULT ROLE x TO y", "commits"),
    ] {
        let ruleset = shop();
        let (plan, _) = planned(&ruleset, sql, &[]);
        let shown = show_plan(&plan);
        assert!(shown == expected || shown == format!("Session({expected})"), "{sql}: {shown}");
    }
}

#[test]
fn what_cannot_be_followed_is_swept() {
    for (sql, expected) in [
        ("CALL p(1)", "W002 [] true"),
        ("LOAD DATA INFILE 'x' INTO TABLE users", "W003 [] true"),
        ("EXECUTE s USING @a", "W004 [] true"),
        ("BEGIN NOT ATOMIC INSERT INTO users (id) VALUES (1); END", "W005 [] true"),
        ("XA COMMIT 'x'", "W006 [] true"),
        ("FROBNICATE users", "W001 [] true"),
        ("UPDATE users SET name = 'unclosed", "W001 [] true"),
        ("TRUNCATE users", "W009 [users] true"),
        ("TRUNCATE TABLE shop.users", "W009 [users] true"),
        ("DROP TABLE IF EXISTS log, orders", "W009 [orders] true"),
        ("ALTER TABLE `users` ADD COLUMN x INT", "W009 [users] true"),
        ("RENAME TABLE log TO x, y TO users", "W009 [users] true"),
        ("DROP DATABASE shop", "W009 [] true"),
        ("UPDATE user_view SET id = 1 WHERE id = 2", "W008 [] false"),
        ("INSERT INTO user_view VALUES (1)", "W008 [] false"),
        ("ANALYZE UPDATE users SET name = 1", "W007 [] true"),
        ("UPDATE users FOR PORTION OF p FROM 1 TO 2 SET name = 'x'", "W007 [] true"),
    ] {
        check(sql, expected);
    }
}

#[test]
fn pinned_keys_need_no_preselect() {
    check("UPDATE users SET name = 'x' WHERE id = 5", "users(5)");
    check("UPDATE users u SET u.name = 'x' WHERE (u.id = 5 AND name <> 'y')", "users(5)");
    check("UPDATE IGNORE shop.users SET name = NOW() WHERE 5 = id LIMIT 1", "users(5)");
    check(
        "UPDATE items SET note = 'x' WHERE order_id IN (1, 2) AND line = 3",
        "items(1,3) items(2,3)",
    );
    check("DELETE FROM items WHERE order_id = 1 AND line = 2", "items(1,2)");
    check("DELETE QUICK FROM users WHERE id = '5' AND RAND() < 1", "users(5)");
    check("DELETE FROM products WHERE sku = 'Ab'", "products('Ab') tags~W019");
    check("UPDATE users SET name = (SELECT 1) WHERE id = 5", "users(5)");
    check("UPDATE users SET id = id, name = 'x' WHERE id = 5", "users(5)");
    check_with("DELETE FROM orders WHERE id = ?", &[SlotValue::Int(9)], "orders(9)");
    check(
        "DELETE FROM stamps WHERE day = '2024-02-29' AND bytes = X'01020304' AND at = '2024-01-01 00:00:00'",
        "SELECT UNIX_TIMESTAMP(`stamps`.`at`), `stamps`.`day`, HEX(`stamps`.`bytes`) FROM stamps WHERE \
         (day = '2024-02-29') AND (bytes = X'01020304') AND (at = '2024-01-01 00:00:00') FOR UPDATE",
    );
}

#[test]
fn other_predicates_are_selected_before() {
    check(
        "UPDATE users SET name = 'it''s' WHERE name = 'x\\'y' OR id = 5",
        "SELECT `users`.`id` FROM users WHERE (name = 'x''y' OR id = 5) FOR UPDATE",
    );
    check(
        "DELETE FROM tags WHERE tag = 'Ab'",
        "SELECT HEX(CONVERT(`tags`.`tag` USING utf8mb4)) FROM tags WHERE (tag = 'Ab') FOR UPDATE",
    );
    check(
        "UPDATE users SET name = 1 WHERE id BETWEEN 1 AND 5 AND email LIKE 'a%'",
        "SELECT `users`.`id` FROM users WHERE (id BETWEEN 1 AND 5) AND (email LIKE 'a%') FOR UPDATE",
    );
    check(
        "UPDATE users SET name = 1 WHERE id = 5.0",
        "SELECT `users`.`id` FROM users WHERE (id = 5.0) FOR UPDATE",
    );
    check_with(
        "DELETE FROM items WHERE note = ? LIMIT 5",
        &[SlotValue::Text("é".into())],
        "SELECT `items`.`order_id`, `items`.`line` FROM items WHERE (note = 'é') FOR UPDATE",
    );
    check(
        "DELETE FROM items WHERE line > 1 ORDER BY order_id DESC, line LIMIT 5",
        "SELECT `items`.`order_id`, `items`.`line` FROM items WHERE (line > 1) ORDER BY order_id DESC , line LIMIT 5 FOR UPDATE",
    );
    check(
        "DELETE FROM items WHERE line > 1 ORDER BY order_id LIMIT 5",
        "SELECT `items`.`order_id`, `items`.`line` FROM items WHERE (line > 1) FOR UPDATE",
    );
}

#[test]
fn doubtful_parts_of_a_predicate_are_left_out_or_lead_to_a_sweep() {
    check(
        "DELETE FROM items WHERE line > 1 AND note < NOW() AND order_id IN (SELECT id FROM orders)",
        "SELECT `items`.`order_id`, `items`.`line` FROM items WHERE (line > 1) FOR UPDATE",
    );
    for (sql, code) in [
        ("DELETE FROM items WHERE note < NOW()", "W014"),
        ("DELETE FROM items WHERE note < CURRENT_TIMESTAMP", "W014"),
        ("DELETE FROM items WHERE shop.f(note)", "W014"),
        ("DELETE FROM items WHERE line = @@x", "W014"),
        ("DELETE FROM items WHERE (@a := line) > 1", "W014"),
        ("DELETE FROM items WHERE order_id IN (SELECT 1)", "W013"),
        ("DELETE FROM items WHERE line > 1 AND ROW_COUNT() > 0", "W021"),
        ("DELETE FROM items", "W023"),
        ("UPDATE items SET note = 1 LIMIT 1", "W023"),
        ("UPDATE items, (SELECT 1 AS a) x SET items.note = 1 WHERE line = a", "W015"),
        ("WITH x AS (SELECT 1 AS a) DELETE items FROM items JOIN x ON line = a", "W015"),
    ] {
        check(sql, &format!("items~{code}"));
    }
}

#[test]
fn changed_keys_are_both_old_and_new() {
    check(
        "UPDATE items SET line = line + 10 WHERE order_id = 1",
        "SELECT `items`.`order_id`, `items`.`line`, (line + 10) FROM items WHERE (order_id = 1) FOR UPDATE",
    );
    check_preselected(
        "UPDATE items SET line = line + 10 WHERE order_id = 1",
        &[&[Some("1"), Some("2"), Some("12")]],
        "items(1,2) items(1,12)",
    );
    check(
        "UPDATE products SET sku = 'B' WHERE sku = 'A'",
        "SELECT HEX(CONVERT(`products`.`sku` USING utf8mb4)), HEX(CONVERT(('B') USING utf8mb4)) \
         FROM products WHERE (sku = 'A') FOR UPDATE",
    );
    check_preselected(
        "UPDATE products SET sku = 'B' WHERE sku = 'A'",
        &[&[Some("41"), Some("42")]],
        "products('A') products('B')",
    );
    check("UPDATE items SET note = 1, line = note WHERE order_id = 1", "items~W016");
    check("UPDATE items SET line = RAND() WHERE order_id = 1", "items~W016");
}

#[test]
fn several_tables_are_captured_each() {
    check(
        "UPDATE users u JOIN orders AS o ON o.user_id = u.id SET u.name = 'x', o.total = 1 WHERE o.total > 2",
        "SELECT `u`.`id` FROM users u JOIN orders AS o ON o.user_id = u.id WHERE (o.total > 2) FOR UPDATE \
         SELECT `o`.`id` FROM users u JOIN orders AS o ON o.user_id = u.id WHERE (o.total > 2) FOR UPDATE",
    );
    for sql in [
        "DELETE i FROM items i LEFT JOIN orders o ON (i.order_id = o.id) WHERE o.id = 1",
        "DELETE i.* FROM items i LEFT JOIN orders o ON (i.order_id = o.id) WHERE o.id = 1",
        "DELETE FROM i USING items i LEFT JOIN orders o ON (i.order_id = o.id) WHERE o.id = 1",
    ] {
        check(
            sql,
            "SELECT `i`.`order_id`, `i`.`line` FROM items i LEFT JOIN orders o ON ( i.order_id = o.id ) \
             WHERE (o.id = 1) FOR UPDATE",
        );
    }
    check(
        "UPDATE items, log SET note = text WHERE line = log.id",
        "SELECT `items`.`order_id`, `items`.`line` FROM items , log WHERE (line = log.id) FOR UPDATE",
    );
    check_preselected(
        "DELETE o FROM users u LEFT JOIN orders o ON o.user_id = u.id WHERE u.name = 'x'",
        &[&[Some("1")], &[None]],
        "orders(1)",
    );
    check(
        "DELETE FROM shop.items, orders USING items JOIN orders WHERE orders.id = 1 AND NOW() > 1",
        "SELECT `items`.`order_id`, `items`.`line` FROM items JOIN orders WHERE (orders.id = 1) FOR UPDATE \
         SELECT `orders`.`id` FROM items JOIN orders WHERE (orders.id = 1) FOR UPDATE",
    );
}

#[test]
fn triggers_of_unmapped_tables_lead_to_sweeps() {
    check("DELETE FROM unmapped WHERE id = 1", "items~W019 orders~W019");
    check("INSERT INTO unmapped VALUES (1)", "harmless");
}

#[test]
fn rows_loaded_into_an_unmapped_table_sweep_nothing() {
    check(
        "LOAD DATA LOCAL INFILE 'f' IGNORE INTO TABLE elsewhere.t FIELDS TERMINATED BY ','",
        "harmless",
    );
    check("LOAD DATA CONCURRENT INFILE 'f' INTO TABLE nowhere (id)", "harmless");
}

#[test]
fn stored_keys_are_decoded_free_of_the_session() {
    check_preselected(
        "DELETE FROM stamps WHERE day > '2020-01-01'",
        &[
            &[Some("1700000000.250"), Some("2024-02-29"), Some("01020304")],
            &[Some("0.000"), Some("0000-00-00"), Some("00000000")],
        ],
        "stamps(DateTime { year: 2023, month: 11, day: 14, hour: 22, minute: 13, second: 20, micros: 250000 },\
         Date { year: 2024, month: 2, day: 29 },Bytes([1, 2, 3, 4])) \
         stamps(DateTime { year: 0, month: 0, day: 0, hour: 0, minute: 0, second: 0, micros: 0 },\
         Date { year: 0, month: 0, day: 0 },Bytes([0, 0, 0, 0]))",
    );
}

#[test]
fn without_a_schema_nothing_is_ours() {
    let ruleset = shop();
    let mode = SqlMode::default();
    for (sql, harmless) in
        [("DELETE FROM users WHERE id=1", true), ("DELETE FROM shop.users WHERE id=1", false)]
    {
        let digests = digest(sql.as_bytes(), reading(&ruleset.catalog, mode, CHARSET));
        let plan = plan(&ruleset, &digests[0], None, mode);
        assert_eq!(matches!(plan, StatementPlan::Harmless), harmless, "{sql}");
    }
}
