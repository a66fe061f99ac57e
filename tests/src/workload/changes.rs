//! Random UPDATE and DELETE statements, every form.
//! Never here: transactions.

use mysql_async::Value;
use rand::Rng;
use rand::rngs::StdRng;

use super::predicates::{assignments, by_key, where_clause};
use super::statement::Statement;
use super::tables::{Table, table};
use super::values::{likely, of_kind};

pub fn update(random: &mut StdRng, table: &Table) -> Statement {
    match random.random_range(0..100) {
        0..34 => update_by_key(random, table),
        34..54 => update_by_predicate(random, table),
        54..68 => update_ordered(random, table),
        68..84 => update_key(random, table),
        _ => update_joined(random),
    }
}

fn update_by_key(random: &mut StdRng, table: &Table) -> Statement {
    let (set, mut parameters) = assignments(random, table);
    let (predicate, values) = by_key(random, table);
    parameters.extend(values);
    let sql = format!("UPDATE {} SET {set} WHERE {predicate}", table.name);
    Statement::new("update by key", sql, parameters)
}

fn update_by_predicate(random: &mut StdRng, table: &Table) -> Statement {
    let (set, mut parameters) = assignments(random, table);
    let (predicate, values) = where_clause(random, table);
    parameters.extend(values);
    let ignore = if random.random_bool(0.1) { "IGNORE " } else { "" };
    let sql = format!("UPDATE {ignore}{} SET {set} WHERE {predicate}", table.name);
    Statement::new("update by predicate", sql, parameters)
}

fn order(random: &mut StdRng, table: &Table) -> String {
    let direction = if random.random_bool(0.5) { " DESC" } else { "" };
    let column = &table.columns[random.random_range(0..table.columns.len())];
    match column.kind {
        // Ties are left on purpose: which rows are hit is then the server's choice.
        _ if random.random_bool(0.5) => format!("{}{direction}", column.name),
        _ => format!("{}{direction}", table.key[0]),
    }
}

fn update_ordered(random: &mut StdRng, table: &Table) -> Statement {
    let (set, mut parameters) = assignments(random, table);
    let (predicate, values) = where_clause(random, table);
    parameters.extend(values);
    let ordering = order(random, table);
    let rows = random.random_range(1..=4);
    let sql = format!(
        "UPDATE {} SET {set} WHERE {predicate} ORDER BY {ordering} LIMIT {rows}",
        table.name
    );
    Statement::new("update, order by, limit", sql, parameters)
}

/// The row key itself changes: by key, or in its letters' case only.
fn update_key(random: &mut StdRng, table: &Table) -> Statement {
    let name = table.key[random.random_range(0..table.key.len())];
    let column = table.column(name);
    let (predicate, values) = by_key(random, table);
    if matches!(table.name, "page" | "setting" | "badge") && random.random_bool(0.3) {
        let column = if table.name == "badge" { "kind" } else { name };
        let function = if random.random_bool(0.5) { "UPPER" } else { "LOWER" };
        let sql =
            format!("UPDATE {} SET {column} = {function}({column}) WHERE {predicate}", table.name);
        return Statement::new("update of the key", sql, values);
    }
    let mut parameters = vec![of_kind(random, column.kind)];
    parameters.extend(values);
    let sql = format!("UPDATE {} SET {name} = ? WHERE {predicate}", table.name);
    Statement::new("update of the key", sql, parameters)
}

fn id(random: &mut StdRng, table_name: &str) -> Value {
    let table = table(table_name);
    likely(random, table.column(table.key[0]).kind)
}

fn update_joined(random: &mut StdRng) -> Statement {
    let (sql, parameters) = match random.random_range(0..6) {
        0 => (
            "UPDATE product p JOIN purchase_line l ON l.product_id = p.id \
             SET p.stock = p.stock - 1, l.quantity = l.quantity + 1 WHERE p.id = ?",
            vec![id(random, "product")],
        ),
        1 => (
            "UPDATE purchase_line l, product p SET l.unit_price = p.price \
             WHERE l.product_id = p.id AND p.price BETWEEN ? AND ?",
            vec![Value::Int(10), Value::Int(random.random_range(11..80))],
        ),
        2 => (
            "UPDATE account a LEFT JOIN purchase o ON o.account_id = a.id \
             SET a.note = 'never bought', a.level = 0 WHERE o.uid IS NULL AND a.id % 7 = ?",
            vec![Value::Int(random.random_range(0..7))],
        ),
        3 => (
            "UPDATE account a INNER JOIN region r ON r.code = a.region_code \
             SET a.score = a.level, r.tax = r.tax + 0.125 WHERE r.code = ? AND r.tax < 90",
            vec![id(random, "region")],
        ),
        4 => (
            "UPDATE page g JOIN remark m ON m.page_slug = g.slug \
             SET g.views = g.views + 1, m.stars = 5 WHERE g.slug = ?",
            vec![id(random, "page")],
        ),
        _ => (
            "UPDATE account SET balance = balance + 1 WHERE id IN \
             (SELECT account_id FROM purchase WHERE state = ?)",
            vec![Value::from("paid")],
        ),
    };
    Statement::new("update, several tables", sql.to_owned(), parameters)
}

pub fn delete(random: &mut StdRng, table: &Table) -> Statement {
    match random.random_range(0..100) {
        0..50 => {
            let (predicate, parameters) = by_key(random, table);
            let sql = format!("DELETE FROM {} WHERE {predicate}", table.name);
            Statement::new("delete by key", sql, parameters)
        }
        50..68 => {
            // Together with its key's test, so that a table is not emptied in one stroke.
            let (key, mut parameters) = by_key(random, table);
            let (predicate, values) = where_clause(random, table);
            parameters.extend(values);
            let sql = format!(
                "DELETE FROM {} WHERE ({key}) OR (({predicate}) AND {})",
                table.name,
                few(random, table)
            );
            Statement::new("delete by predicate", sql, parameters)
        }
        68..86 => {
            let (predicate, parameters) = where_clause(random, table);
            let ordering = order(random, table);
            let rows = random.random_range(1..=2);
            let sql = format!(
                "DELETE FROM {} WHERE {predicate} ORDER BY {ordering} LIMIT {rows}",
                table.name
            );
            Statement::new("delete, order by, limit", sql, parameters)
        }
        _ => delete_joined(random),
    }
}

/// A test that holds for about one row in twenty.
fn few(random: &mut StdRng, table: &Table) -> String {
    let key = table.key[table.key.len() - 1];
    format!("CRC32({key}) % 20 = {}", random.random_range(0..20))
}

fn delete_joined(random: &mut StdRng) -> Statement {
    let (sql, parameters) = match random.random_range(0..4) {
        0 => (
            "DELETE l, o FROM purchase_line l JOIN purchase o ON o.uid = l.purchase_uid \
             WHERE o.number = ?",
            vec![likely(random, table("purchase").column("number").kind)],
        ),
        1 => (
            "DELETE FROM m USING remark m JOIN page g ON g.slug = m.page_slug WHERE g.slug = ?",
            vec![id(random, "page")],
        ),
        2 => (
            "DELETE b FROM badge b LEFT JOIN perk k ON k.account_id = b.account_id \
             AND k.kind = b.kind WHERE k.kind IS NULL AND b.account_id % 9 = ?",
            vec![Value::Int(random.random_range(0..9))],
        ),
        _ => (
            "DELETE FROM purchase_line WHERE product_id IN \
             (SELECT id FROM product WHERE stock < ? AND id % 11 = ?)",
            vec![Value::Int(0), Value::Int(random.random_range(0..11))],
        ),
    };
    Statement::new("delete, several tables", sql.to_owned(), parameters)
}
