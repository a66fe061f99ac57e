//! Random transactions: how statements are put together.
//! Never here: sending them.

use rand::Rng;
use rand::rngs::StdRng;

use super::statement::{Protocol, Statement};
use super::tables::{TABLES, Table, table};
use super::{changes, inserts};

/// Statements of one connection that belong together; after them no transaction is open and
/// autocommit is on.
pub type Transaction = Vec<Statement>;

/// Most statements between a begin and its end.
const STATEMENTS_MAX: usize = 6;

fn choose_table(random: &mut StdRng) -> &'static Table {
    let total: u32 = TABLES.iter().map(|table| table.weight).sum();
    let mut at = random.random_range(0..total);
    for table in TABLES {
        if at < table.weight {
            return table;
        }
        at -= table.weight;
    }
    &TABLES[0]
}

/// One random write over either protocol.
pub fn statement(random: &mut StdRng) -> Statement {
    let table = choose_table(random);
    // Parents that cascade are removed less often, or little would be left to work on.
    let is_parent = matches!(table.name, "region" | "account" | "product" | "purchase" | "page");
    let mut statement = match random.random_range(0..100) {
        0..46 => inserts::insert(random, table),
        46..82 => changes::update(random, table),
        _ if is_parent && random.random_bool(0.8) => changes::update(random, table),
        _ => changes::delete(random, table),
    };
    if random.random_bool(0.45) {
        statement.protocol = Protocol::Prepared;
    }
    statement
}

fn statements(random: &mut StdRng, most: usize) -> Vec<Statement> {
    (0..random.random_range(1..=most)).map(|_| statement(random)).collect()
}

pub fn transaction(random: &mut StdRng) -> Transaction {
    match random.random_range(0..100) {
        0..6 => restock(random),
        6..38 => statements(random, 3),
        38..66 => explicit(random),
        66..78 => savepoints(random),
        78..90 => without_autocommit(random),
        90..96 => ended_by_ddl(random),
        _ => chained(random),
    }
}

/// Brings back parents that references choose from: or a long run would meet missing parents only.
fn restock(random: &mut StdRng) -> Transaction {
    let mut all = Vec::new();
    for name in ["region", "account", "product", "purchase", "page"] {
        let table = table(name);
        let number = random.random_range(0..table.filling / 2);
        let mut statement = inserts::filling(random, table, number);
        statement.form = "insert ignore, parent again";
        all.push(statement);
    }
    all
}

fn begin(random: &mut StdRng) -> Statement {
    let text = ["BEGIN", "START TRANSACTION", "begin work"][random.random_range(0..3)];
    Statement::plain("begin", text)
}

fn end(random: &mut StdRng) -> Statement {
    if random.random_bool(0.75) {
        Statement::plain("commit", "COMMIT")
    } else {
        Statement::plain("rollback", "ROLLBACK")
    }
}

fn explicit(random: &mut StdRng) -> Transaction {
    let mut all = vec![begin(random)];
    all.extend(statements(random, STATEMENTS_MAX));
    all.push(end(random));
    all
}

fn savepoints(random: &mut StdRng) -> Transaction {
    let mut all = vec![begin(random)];
    all.extend(statements(random, 2));
    all.push(Statement::plain("savepoint", "SAVEPOINT one"));
    all.extend(statements(random, 2));
    match random.random_range(0..4) {
        0 => {
            all.push(Statement::plain("savepoint", "SAVEPOINT `Two`"));
            all.extend(statements(random, 2));
            all.push(Statement::plain("rollback to savepoint", "ROLLBACK TO two"));
            all.push(Statement::plain("release savepoint", "RELEASE SAVEPOINT one"));
        }
        1 => all.push(Statement::plain("release savepoint", "RELEASE SAVEPOINT one")),
        _ => all.push(Statement::plain("rollback to savepoint", "ROLLBACK TO SAVEPOINT one")),
    }
    all.extend(statements(random, 2));
    all.push(end(random));
    all
}

fn without_autocommit(random: &mut StdRng) -> Transaction {
    let mut all = vec![Statement::plain("autocommit off", "SET autocommit=0")];
    for _ in 0..random.random_range(1..=2) {
        all.extend(statements(random, 3));
        all.push(end(random));
    }
    if random.random_bool(0.3) {
        // What is open when autocommit comes back is committed by that.
        all.extend(statements(random, 2));
    }
    all.push(Statement::plain("autocommit on", "SET autocommit=1"));
    all
}

/// DDL on an unmapped table commits what is open.
fn ended_by_ddl(random: &mut StdRng) -> Transaction {
    let mut all = vec![begin(random)];
    all.extend(statements(random, 3));
    let name = format!("scratch_{}", random.random_range(0..4));
    let ddl = match random.random_range(0..3) {
        0 => format!("CREATE TABLE IF NOT EXISTS {name} (id INT PRIMARY KEY)"),
        1 => format!("DROP TABLE IF EXISTS {name}"),
        _ => "TRUNCATE TABLE unmapped".to_owned(),
    };
    all.push(Statement::plain("implicit commit", ddl));
    all.push(Statement::plain("unmapped write", "INSERT INTO unmapped (filler) VALUES ('x')"));
    all.extend(statements(random, 2));
    all.push(Statement::plain("rollback", "ROLLBACK"));
    all
}

/// `COMMIT AND CHAIN` opens the next transaction; BEGIN commits an open one.
fn chained(random: &mut StdRng) -> Transaction {
    let mut all = vec![begin(random)];
    all.extend(statements(random, 2));
    let link = ["COMMIT AND CHAIN", "ROLLBACK AND CHAIN", "BEGIN"][random.random_range(0..3)];
    all.push(Statement::plain("chain", link));
    all.extend(statements(random, 2));
    all.push(end(random));
    all
}
