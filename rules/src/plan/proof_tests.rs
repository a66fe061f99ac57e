//! What proves, without gap locks, that a preselect found every row that the statement met; and columns
//! that no INSERT without a column list writes. Never here: what preselects look like.

use super::test_ruleset::shop;
use super::tests::{planned, session, show_bound};
use super::{Answer, StatementPlan};
use crate::txn::Dirty;

/// Tables swept after a preselect of `rows` rows and an answer of these numbers.
fn swept(sql: &str, rows: u64, matched: Option<u64>, affected_rows: u64) -> Vec<String> {
    let ruleset = shop();
    let (plan, slots) = planned(&ruleset, sql, &[]);
    let StatementPlan::Write(write) = plan else { panic!("{sql}") };
    let bound = write.bind(&ruleset, &slots, session());
    assert!(!bound.preselects.is_empty(), "{sql}");
    let answer = Answer { affected_rows, insert_id: 0, increment: 1, matched };
    let capture = bound.preselects[0].capture;
    let entries = write.unproven(&ruleset, capture, rows, Some(answer));
    let table = |dirty: &Dirty| match dirty {
        Dirty::Sweep { table, reason } => format!("{table} {}", &reason[..4]),
        other => panic!("{other:?}"),
    };
    entries.iter().map(|entry| table(&entry.dirty)).collect()
}

#[test]
fn equal_numbers_prove_that_no_row_came_in_between() {
    let update = "UPDATE tags SET n = 1 WHERE n > 5 AND kind = 'x'";
    assert_eq!(swept(update, 3, Some(3), 0), Vec::<String>::new());
    assert_eq!(swept(update, 3, Some(4), 3), ["tags W028"]);
    assert_eq!(swept(update, 3, None, 3), ["tags W028"]);
    let delete = "DELETE FROM tags WHERE n > 5";
    assert_eq!(swept(delete, 3, None, 3), Vec::<String>::new());
    assert_eq!(swept(delete, 3, None, 4), ["tags W028"]);
    let insert = "INSERT INTO items (order_id, line) SELECT id, 1 FROM orders WHERE user_id = 4";
    assert_eq!(swept(insert, 3, None, 3), Vec::<String>::new());
    assert_eq!(swept(insert, 3, None, 4), ["items W028"]);
}

#[test]
fn nothing_is_proven_where_select_and_statement_may_choose_other_rows() {
    for sql in [
        "UPDATE tags SET n = 1 WHERE n > 5 AND kind > RAND()",
        "UPDATE tags SET n = 1 WHERE n > 5 ORDER BY tag LIMIT 3",
        "UPDATE tags SET n = 1 WHERE n > 5 LIMIT 3",
        "UPDATE IGNORE tags SET n = 1 WHERE n > 5",
        "UPDATE tags JOIN kinds ON kinds.kind = tags.kind SET tags.n = 1 WHERE kinds.n > 5",
        "DELETE LOW_PRIORITY IGNORE FROM tags WHERE n > 5",
        "DELETE tags FROM tags JOIN kinds USING (kind) WHERE kinds.n > 5",
        "INSERT IGNORE INTO items (order_id, line) SELECT id, 1 FROM orders WHERE user_id = 4",
        "INSERT INTO items (order_id, line) SELECT id, 1 FROM orders LIMIT 3",
        "INSERT INTO items (order_id, line) SELECT orders.id, 1 FROM orders JOIN users USING (id)",
        "INSERT INTO items (order_id, line, note) SELECT id, 1, COUNT(*) FROM orders",
    ] {
        assert_eq!(swept(sql, 3, Some(3), 3).len(), 1, "{sql}");
    }
}

#[test]
fn what_cascades_is_swept_with_its_table() {
    let update = "DELETE FROM users WHERE name = 'x'";
    assert_eq!(swept(update, 3, None, 4), ["items W028", "orders W028", "users W028"]);
}

#[test]
fn computed_keys_rest_on_no_rows() {
    let insert = "INSERT INTO products (sku, title, price) VALUES (UPPER('a'), 'b', 1)";
    assert_eq!(swept(insert, 1, None, 0), Vec::<String>::new());
}

#[test]
fn an_insert_without_columns_passes_over_invisible_ones() {
    let mut ruleset = shop();
    let mut show = |sql: &str, invisible: usize| {
        let items = ruleset.catalog.tables.get_mut("items").expect("the shop has items");
        for (at, column) in items.columns.iter_mut().enumerate() {
            column.invisible = at == invisible;
        }
        let (plan, slots) = planned(&ruleset, sql, &[]);
        let StatementPlan::Write(write) = plan else { panic!("{sql}") };
        show_bound(&write.bind(&ruleset, &slots, session()))
    };
    assert_eq!(show("INSERT INTO items VALUES (7, 8)", 2), "items(7,8)");
    assert_eq!(show("INSERT INTO items (order_id, line, note) VALUES (7, 8, '')", 2), "items(7,8)");
    // A key column that is given no value has its default, and this one has none.
    assert_eq!(show("INSERT INTO items VALUES (8, 'x')", 0), "items~W011");
    assert_eq!(show("REPLACE INTO items VALUES (7, 8)", 2), "items(7,8)");
}
