//! Random INSERT and REPLACE statements, every form.
//! Never here: transactions.

use mysql_async::Value;
use rand::Rng;
use rand::rngs::StdRng;

use super::predicates::{assignments, where_clause};
use super::statement::Statement;
use super::tables::{Column, Table};
use super::values::{key_value, nth, value};

/// Columns of one INSERT: the mandatory ones, and some of those that may be left out. Whether the
/// AUTO_INCREMENT column is among them is the caller's choice.
fn chosen(random: &mut StdRng, table: &Table, with_auto: bool) -> Vec<&'static Column> {
    table
        .columns
        .iter()
        .filter(|column| {
            if table.auto == Some(column.name) {
                return with_auto;
            }
            table.is_key(column) || !column.is_nullable() || random.random_bool(0.7)
        })
        .collect()
}

fn names(columns: &[&Column]) -> String {
    columns.iter().map(|column| column.name).collect::<Vec<_>>().join(", ")
}

fn marks(width: usize) -> String {
    format!("({})", vec!["?"; width].join(", "))
}

fn row(random: &mut StdRng, table: &Table, columns: &[&Column]) -> Vec<Value> {
    let one = |column: &&Column| match table.is_key(column) {
        true => key_value(random, column),
        false => value(random, column),
    };
    columns.iter().map(one).collect()
}

/// `verb INTO t (..) VALUES (..), ..` with `rows` rows.
fn values_form(
    random: &mut StdRng,
    table: &Table,
    verb: &str,
    columns: &[&Column],
    rows: usize,
) -> (String, Vec<Value>) {
    let lists = vec![marks(columns.len()); rows].join(", ");
    let sql = format!("{verb} INTO {} ({}) VALUES {lists}", table.name, names(columns));
    let parameters = (0..rows).flat_map(|_| row(random, table, columns)).collect();
    (sql, parameters)
}

/// The first filling (and filling up later): rows with given keys, counted up where the key is one column; what collides
/// is ignored.
pub fn filling(random: &mut StdRng, table: &Table, number: usize) -> Statement {
    let columns = chosen(random, table, true);
    let (sql, mut parameters) = values_form(random, table, "INSERT IGNORE", &columns, 1);
    if let [key] = table.key {
        for (column, parameter) in columns.iter().zip(&mut parameters) {
            if column.name == *key {
                *parameter = nth(random, column.kind, number);
            }
        }
    }
    Statement::new("filling", sql, parameters)
}

pub fn insert(random: &mut StdRng, table: &Table) -> Statement {
    match random.random_range(0..100) {
        // Where the server makes keys, plain inserts are what matters most.
        _ if table.auto.is_some() && random.random_bool(0.3) => single(random, table),
        0..24 => single(random, table),
        24..40 => several(random, table),
        40..52 => ignoring(random, table),
        52..70 => on_duplicate(random, table),
        70..84 => replace(random, table),
        84..90 => set_form(random, table),
        _ => from_select(random, table),
    }
}

fn single(random: &mut StdRng, table: &Table) -> Statement {
    let with_auto = random.random_bool(0.25);
    let columns = chosen(random, table, with_auto);
    let (sql, parameters) = values_form(random, table, "INSERT", &columns, 1);
    let form = match table.auto {
        Some(_) if !with_auto => "insert, automatic key",
        _ => "insert, key given",
    };
    Statement::new(form, sql, parameters)
}

fn several(random: &mut StdRng, table: &Table) -> Statement {
    let with_auto = random.random_bool(0.4);
    let columns = chosen(random, table, with_auto);
    let rows = random.random_range(2..=4);
    let (sql, mut parameters) = values_form(random, table, "INSERT", &columns, rows);
    if let (Some(auto), true) = (table.auto, with_auto) {
        // Given and automatic keys in one statement: NULL and 0 both ask for the next one.
        let at = columns.iter().position(|column| column.name == auto);
        for parameter in parameters.iter_mut().skip(at.unwrap_or(0)).step_by(columns.len()) {
            match random.random_range(0..4) {
                0 => *parameter = Value::NULL,
                1 => *parameter = Value::Int(0),
                _ => {}
            }
        }
    }
    Statement::new("insert, several rows", sql, parameters)
}

fn ignoring(random: &mut StdRng, table: &Table) -> Statement {
    let with_auto = random.random_bool(0.4);
    let columns = chosen(random, table, with_auto);
    let rows = random.random_range(1..=3);
    let (sql, parameters) = values_form(random, table, "INSERT IGNORE", &columns, rows);
    Statement::new("insert ignore", sql, parameters)
}

fn on_duplicate(random: &mut StdRng, table: &Table) -> Statement {
    let with_auto = random.random_bool(0.4);
    let columns = chosen(random, table, with_auto);
    let rows = random.random_range(1..=3);
    let (mut sql, mut parameters) = values_form(random, table, "INSERT", &columns, rows);
    sql.push_str(" ON DUPLICATE KEY UPDATE ");
    if random.random_bool(0.5) {
        let column = columns[random.random_range(0..columns.len())].name;
        sql.push_str(&format!("{column} = VALUES({column})"));
    } else {
        let (set, values) = assignments(random, table);
        sql.push_str(&set);
        parameters.extend(values);
    }
    Statement::new("insert on duplicate key update", sql, parameters)
}

fn replace(random: &mut StdRng, table: &Table) -> Statement {
    let with_auto = random.random_bool(0.6);
    let columns = chosen(random, table, with_auto);
    let rows = random.random_range(1..=2);
    let (sql, parameters) = values_form(random, table, "REPLACE", &columns, rows);
    Statement::new("replace", sql, parameters)
}

fn set_form(random: &mut StdRng, table: &Table) -> Statement {
    let columns = chosen(random, table, true);
    let set: Vec<String> = columns.iter().map(|column| format!("{} = ?", column.name)).collect();
    let verb = if random.random_bool(0.5) { "INSERT" } else { "REPLACE" };
    let sql = format!("{verb} INTO {} SET {}", table.name, set.join(", "));
    Statement::new("insert set", sql, row(random, table, &columns))
}

/// `INSERT .. SELECT` from the table itself, with a key made from the old one.
fn from_select(random: &mut StdRng, table: &Table) -> Statement {
    let columns: Vec<&Column> =
        table.columns.iter().filter(|column| table.auto != Some(column.name)).collect();
    let unique: &[&str] = match table.name {
        "account" => &["email", "handle"],
        "product" => &["id", "sku"],
        "purchase" => &["uid", "number"],
        "remark" => &[],
        _ => table.key,
    };
    // Columns of unique keys get a new value, the same for every row: so at most one row, by LIMIT.
    let mut parameters = Vec::new();
    let mut selected = Vec::new();
    for column in &columns {
        if unique.contains(&column.name) {
            selected.push("?".to_owned());
            parameters.push(key_value(random, column));
        } else {
            selected.push(column.name.to_owned());
        }
    }
    let (predicate, values) = where_clause(random, table);
    parameters.extend(values);
    let rows = if unique.is_empty() { 3 } else { 1 };
    let verb = ["INSERT", "INSERT IGNORE", "REPLACE"][random.random_range(0..3)];
    let sql = format!(
        "{verb} INTO {} ({}) SELECT {} FROM {} WHERE {predicate} ORDER BY {} LIMIT {rows}",
        table.name,
        names(&columns),
        selected.join(", "),
        table.name,
        table.key.join(", "),
    );
    Statement::new("insert select", sql, parameters)
}
