//! Random WHERE clauses and SET lists.
//! Never here: whole statements.

use mysql_async::Value;
use rand::Rng;
use rand::rngs::StdRng;

use super::tables::{Column, Kind, Table};
use super::values::{likely, of_kind, value};

/// Equality on every column of the row key.
pub fn by_key(random: &mut StdRng, table: &Table) -> (String, Vec<Value>) {
    let columns: Vec<&Column> = table.key.iter().map(|name| table.column(name)).collect();
    let tests: Vec<String> = columns.iter().map(|column| format!("{} = ?", column.name)).collect();
    let values = columns.iter().map(|column| likely(random, column.kind)).collect();
    (tests.join(" AND "), values)
}

/// One to three tests, joined by AND or OR, sometimes negated or in parentheses.
pub fn where_clause(random: &mut StdRng, table: &Table) -> (String, Vec<Value>) {
    let (mut sql, mut values) = test(random, table);
    for _ in 0..random.random_range(0..=2u8) {
        let (next, more) = test(random, table);
        values.extend(more);
        sql = match random.random_range(0..5) {
            0 => format!("({sql}) OR {next}"),
            1 => format!("({sql}) AND NOT ({next})"),
            _ => format!("({sql}) AND {next}"),
        };
    }
    (sql, values)
}

fn test(random: &mut StdRng, table: &Table) -> (String, Vec<Value>) {
    // Keys twice as often: that is what applications do.
    let column = if random.random_bool(0.4) {
        table.column(table.key[random.random_range(0..table.key.len())])
    } else {
        &table.columns[random.random_range(0..table.columns.len())]
    };
    let name = column.name;
    if matches!(column.kind, Kind::Json | Kind::Float | Kind::Double) {
        let not = if random.random_bool(0.5) { "NOT " } else { "" };
        return (format!("{name} IS {not}NULL"), Vec::new());
    }
    let one = |random: &mut StdRng| likely(random, column.kind);
    match random.random_range(0..8) {
        0 => {
            let values: Vec<Value> = (0..random.random_range(1..=4)).map(|_| one(random)).collect();
            (format!("{name} IN ({})", vec!["?"; values.len()].join(", ")), values)
        }
        1 => (format!("{name} BETWEEN ? AND ?"), vec![one(random), one(random)]),
        2 if column.is_nullable() => (format!("{name} IS NULL"), Vec::new()),
        3 => like_or_expression(random, column),
        4 => (format!("{name} < ?"), vec![one(random)]),
        5 => (format!("? = {name}"), vec![one(random)]),
        _ => (format!("{name} = ?"), vec![one(random)]),
    }
}

fn like_or_expression(random: &mut StdRng, column: &Column) -> (String, Vec<Value>) {
    let name = column.name;
    match column.kind {
        Kind::Int(low, high) => {
            let divisor = random.random_range(5..12);
            let value = Value::Int(random.random_range(low..=high) % divisor);
            (format!("{name} % {divisor} = ?"), vec![value])
        }
        Kind::Decimal(whole, _) => {
            (format!("{name} * 2 > ?"), vec![Value::Int(random.random_range(0..=whole * 2))])
        }
        Kind::Word | Kind::Prose | Kind::Named(..) | Kind::OneOf(_) => {
            let pattern = ["%a%", "p%e%7", "%1", "_ir%", "U%3_", "%\\_s%"];
            let chosen = pattern[random.random_range(0..pattern.len())];
            (format!("{name} LIKE ?"), vec![Value::from(chosen)])
        }
        Kind::Date | Kind::Moment(..) => {
            (format!("DAYOFMONTH({name}) = ?"), vec![Value::Int(random.random_range(1..=28))])
        }
        _ => (format!("LENGTH({name}) > ?"), vec![Value::Int(random.random_range(0..30))]),
    }
}

/// One to three assignments, to columns outside the key; values, expressions, DEFAULT.
pub fn assignments(random: &mut StdRng, table: &Table) -> (String, Vec<Value>) {
    let free: Vec<&Column> = table.columns.iter().filter(|column| !table.is_key(column)).collect();
    let mut parts: Vec<String> = Vec::new();
    let mut values = Vec::new();
    let mut used: Vec<&str> = Vec::new();
    for _ in 0..random.random_range(1..=3u8) {
        let column = free[random.random_range(0..free.len())];
        if used.contains(&column.name) {
            continue;
        }
        used.push(column.name);
        let (part, value) = assignment(random, column);
        parts.push(part);
        values.extend(value);
    }
    (parts.join(", "), values)
}

fn assignment(random: &mut StdRng, column: &Column) -> (String, Option<Value>) {
    let name = column.name;
    match column.kind {
        // References and unique numbers get plain values; sums would leave their domain.
        Kind::Int(..) if !name.ends_with("_id") && name != "number" && random.random_bool(0.4) => {
            (format!("{name} = {name} + ?"), Some(Value::Int(random.random_range(-2..=3))))
        }
        Kind::Decimal(_, 2) if random.random_bool(0.3) => {
            (format!("{name} = ROUND({name} * ?, 2)"), Some(Value::from("1.05")))
        }
        Kind::Word if random.random_bool(0.3) => {
            (format!("{name} = LEFT(CONCAT({name}, ?), 25)"), Some(of_kind(random, column.kind)))
        }
        Kind::Word if random.random_bool(0.1) => (format!("{name} = UPPER({name})"), None),
        _ if column.is_nullable() && random.random_bool(0.08) => {
            (format!("{name} = DEFAULT"), None)
        }
        _ => (format!("{name} = ?"), Some(value(random, column))),
    }
}
