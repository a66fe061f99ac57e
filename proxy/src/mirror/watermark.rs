//! Greatest AUTO_INCREMENT values known, so that an intent need not cover the whole table.
//! Never here: what an intent is (see `segue_rules::txn`).

use std::sync::atomic::Ordering;

use segue_rules::entity::Ruleset;
use segue_rules::value::{Cell, TableName};

use super::lookup::quote;
use super::parts::Shared;

/// The watermark of a table; the first call asks MySQL. 0 where it cannot be told, which only
/// widens the intent.
///
/// Always a value that some committed row had: rows above it may exist, rows that a statement is
/// about to insert never lie below it, unless it names their values itself.
pub(crate) async fn current(shared: &Shared, ruleset: &Ruleset, table: &str) -> u64 {
    if let Some(known) = shared.watermarks.get(table) {
        return known.load(Ordering::Acquire);
    }
    let Some(value) = ask(shared, ruleset, table).await else { return 0 };
    raise_to(shared, table, value)
}

async fn ask(shared: &Shared, ruleset: &Ruleset, table: &str) -> Option<u64> {
    let table = ruleset.catalog.table(table)?;
    let column = &table.columns[table.auto_increment()?];
    let sql = format!("SELECT MAX({}) FROM {}", quote(&column.name), quote(&table.name));
    let rows = shared.control.select(&sql, &[]).await.ok()?;
    match rows.first()?.first()? {
        Cell::UInt(value) => Some(*value),
        Cell::Int(value) => Some(u64::try_from(*value).unwrap_or(0)),
        Cell::Null => Some(0),
        _ => None,
    }
}

pub(crate) fn raise(shared: &Shared, table: &str, value: u64) {
    // A table that was never asked about stays unknown: an insert id of an explicit value may lie
    // below rows that exist.
    if let Some(known) = shared.watermarks.get(table) {
        known.fetch_max(value, Ordering::AcqRel);
    }
}

fn raise_to(shared: &Shared, table: &str, value: u64) -> u64 {
    let known = shared.watermarks.entry(TableName::from(table)).or_default().clone();
    known.fetch_max(value, Ordering::AcqRel).max(value)
}

/// Forgets what is known of a table whose counter may have been, or was, set back (TRUNCATE, ALTER, a server
/// that was killed before it had written its counter).
pub(crate) fn forget(shared: &Shared, table: &str) {
    shared.watermarks.remove(table);
}
