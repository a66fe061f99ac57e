//! `bench_digest`: nanoseconds that reading a statement's text and finding its plan take, without any
//! connection. Never here: what a query costs on the way (see `bench_relay`).

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Result, anyhow};
use clap::Parser;
use segue::execute::planner::{PlanCache, Scope, captured_tables};
use segue_rules::catalog::{Catalog, Column, DataType, DefaultValue, ServerKind, Table, TableKind};
use segue_rules::entity::Ruleset;
use segue_rules::phase::{Phase, PhaseMap};
use segue_rules::plan::{SqlMode, reading};
use segue_rules::sql::{digest, slot_values};

const CONTRACT: &str = r#"{"tables": [{"table": "Notes", "type": "single-entity",
    "source_table": "notes", "pk": "id", "attributes": [
    {"name": "id", "type": "N", "source_table": "notes", "source_column": "id"},
    {"name": "body", "type": "S", "source_table": "notes", "source_column": "body"}]}]}"#;
const INSERTED_ROWS: usize = 20;

#[derive(Parser)]
struct Arguments {
    /// Rounds of each case; the report shows the least, the middle and the most
    #[arg(long, default_value_t = 9)]
    rounds: usize,
    /// Statements in a round
    #[arg(long, default_value_t = 200_000)]
    statements: u32,
}

fn column(name: &str, data_type: DataType) -> Column {
    let text = matches!(data_type, DataType::Varchar { .. });
    Column {
        name: name.to_owned(),
        data_type,
        type_text: String::new(),
        nullable: false,
        default: DefaultValue::None,
        auto_increment: false,
        generated: false,
        on_update_now: false,
        invisible: false,
        charset: text.then(|| "utf8mb4".to_owned()),
        collation: text.then(|| "utf8mb4_0900_ai_ci".to_owned()),
    }
}

fn scope() -> Result<Scope> {
    let id = DataType::Integer { bits: 64, unsigned: false, display_one: false };
    let notes = Table {
        name: "notes".into(),
        kind: TableKind::Base,
        engine: "InnoDB".to_owned(),
        columns: vec![column("id", id), column("body", DataType::Varchar { length: 200 })],
        primary_key: vec![0],
        unique_keys: Vec::new(),
        foreign_keys: Vec::new(),
        triggers: Vec::new(),
    };
    let catalog = Catalog {
        database: "bench".to_owned(),
        server: ServerKind::MySql,
        version: "9.7.0".to_owned(),
        lower_case_table_names: 0,
        tables: [(notes.name.clone(), notes)].into(),
    };
    let ruleset = Ruleset::compile(CONTRACT, catalog).map_err(|found| anyhow!("{found:?}"))?;
    let ruleset = Arc::new(ruleset);
    let phases = PhaseMap { default: Phase::DualWrite, ..PhaseMap::default() };
    let tables = Arc::new(captured_tables(&ruleset, &phases));
    Ok(Scope { generation: 1, ruleset, phases, tables })
}

/// Nanoseconds a statement.
fn round(scope: &Scope, plans: &PlanCache, sql: &str, values: bool, statements: u32) -> u64 {
    let mode = SqlMode::default();
    let begin = Instant::now();
    for _ in 0..statements {
        let reading = reading(&scope.ruleset.catalog, mode, "utf8mb4");
        let digests = digest(black_box(sql).as_bytes(), reading);
        for digested in &digests {
            black_box(plans.route(scope, digested, Some("bench"), mode));
            if values {
                black_box(slot_values(digested, sql.as_bytes(), &[], "utf8mb4"));
            }
        }
    }
    u64::try_from(begin.elapsed().as_nanos()).unwrap_or(u64::MAX) / u64::from(statements.max(1))
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let scope = scope()?;
    let plans = PlanCache::default();
    let rows = (0..INSERTED_ROWS).map(|n| format!("({n}, 'a note of some length, number {n}')"));
    let insert =
        format!("INSERT INTO notes (id, body) VALUES {}", rows.collect::<Vec<_>>().join(", "));
    let cases = [
        ("point select", "SELECT id, body FROM notes WHERE id = 12345".to_owned(), false),
        ("point update", "UPDATE notes SET body = 'changed' WHERE id = 12345".to_owned(), true),
        ("insert of 20 rows", insert, true),
    ];
    println!("{:<20} {:>10} {:>10} {:>10}  nanoseconds a statement", "", "min", "median", "max");
    for (name, sql, values) in &cases {
        let mut all: Vec<u64> = (0..arguments.rounds.max(1))
            .map(|_| round(&scope, &plans, sql, *values, arguments.statements))
            .collect();
        all.sort_unstable();
        println!("{name:<20} {:>10} {:>10} {:>10}", all[0], all[all.len() / 2], all[all.len() - 1]);
    }
    Ok(())
}
