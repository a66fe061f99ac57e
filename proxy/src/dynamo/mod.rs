//! DynamoDB: the only room that names `aws_sdk_dynamodb`. Tables, items, the embedded engine.
//! Never here: what an item should contain, or when it is written.

mod attribute;
mod client;
mod create;
mod embedded;
mod fault;
mod faults;
mod permissions;
mod read;
mod tables;
mod transact;
mod write;

#[cfg(test)]
mod tests;

use segue_rules::entity::DynamoTable;
use segue_rules::value::{Attribute, Item, ItemKey};

pub use client::Store;
pub use faults::{FaultReport, Faults, RuleReport};
pub use permissions::{IAM_ACTIONS, MissingPermission, iam_policy};
pub use tables::{
    Billing, CreateTable, ExistingIndex, ExistingTable, TableAndTtl, billing_note, cloudformation,
    difference, plan, terraform,
};
pub use transact::{TransactOutcome, TransactWrite};

/// A condition on the item a write replaces or removes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expect {
    /// `attribute_not_exists(partition key)`.
    Absent,
    /// The item's `_segue.tag` equals this.
    Tag(String),
    /// The item exists but carries no `_segue` tag (written by another tool).
    Untagged,
}

/// Outcome of a conditional write. A failed condition is an outcome, not an error.
#[derive(Clone, Debug, PartialEq)]
pub enum WriteOutcome {
    Done,
    /// The condition failed; the item as it stands (`None`: there is none).
    Conflict {
        existing: Option<Item>,
    },
}

/// What went wrong, as far as a caller must tell cases apart.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Throttled, 5xx, connection refused, timed out: try again later. The write may have happened.
    #[error("{operation} on {table}: {reason}")]
    Transient {
        operation: &'static str,
        table: String,
        reason: String,
        arrival: Arrival,
        /// Turned away because it came too fast.
        throttled: bool,
    },
    /// The request itself is at fault (validation, access denied, no such table).
    #[error("{operation} on {table}: {code}: {reason}")]
    Rejected { operation: &'static str, table: String, code: String, reason: String },
}

/// What is known of a request that failed for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// It was answered, or never sent: nothing of it is still to come.
    Over,
    /// No answer came: it may arrive, and be carried out, at any time until its signature expires.
    MayBeLate,
}

/// One page of a scan.
#[derive(Debug)]
pub struct ScanPage {
    pub items: Vec<Item>,
    /// Pass to the next call; `None` at the end.
    pub next: Option<Item>,
}

/// The key of an item of this table, if the item has it.
pub fn key_of(table: &DynamoTable, item: &Item) -> Option<ItemKey> {
    let part = |name: &str| -> Option<Attribute> { item.get(name).cloned() };
    let sk = match &table.sk {
        Some(sk) => Some(part(&sk.name)?),
        None => None,
    };
    Some(ItemKey { table: table.name.clone(), pk: part(&table.pk.name)?, sk })
}
