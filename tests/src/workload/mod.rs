//! A random workload over every statement form, and the oracle that says whether DynamoDB holds
//! what MySQL committed.
//! Never here: starting servers or Segue; connection URLs come from the caller.
//!
//! ```ignore
//! workload::prepare(&direct_url, 7).await?;
//! let report = workload::run(Plan::new(7, &url_through_segue)).await?;
//! report.check()?;                        // failures, with the seed
//! let differences = oracle::compare(source, target).await?;
//! ```

mod changes;
mod client;
mod inserts;
pub mod oracle;
mod predicates;
mod record;
mod report;
mod run;
mod statement;
mod tables;
mod transaction;
mod values;

pub use record::Record;
pub use report::{EXPECTED_ERRORS, Report};
pub use run::{Forms, LostConnection, Plan, prepare, run};
pub use statement::{Protocol, Statement};
pub use transaction::{Transaction, transaction};

/// The schema that [`prepare`] applies.
pub const SCHEMA: &str = include_str!("../../fixtures/workload/schema.sql");
/// A contract of dialect A over the schema.
pub const CONTRACT_A: &str = include_str!("../../fixtures/workload/contract_a.json");
/// A contract of dialect B over the schema.
pub const CONTRACT_B: &str = include_str!("../../fixtures/workload/contract_b.json");

/// Names of the tables that the workload writes, parents first.
pub fn table_names() -> impl Iterator<Item = &'static str> {
    tables::TABLES.iter().map(|table| table.name)
}
