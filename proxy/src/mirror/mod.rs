//! Keeps DynamoDB in step: owed entries, expansion through joins and cascades, refresh workers.
//! Never here: statements, packets, or phases.

use std::sync::Arc;

use segue_rules::entity::Ruleset;
use segue_rules::txn::{Dirty, DirtyEntry};

/// The mirror. Cheap to clone.
#[derive(Clone)]
pub struct Mirror {}

/// Owed work of one transaction, on disk, waiting for MySQL's answer to the commit.
/// Dropping it counts as committed: a refresh too many is harmless.
#[must_use]
pub struct Owed {}

impl Mirror {
    /// Called before a commit (or an autocommitted write) is forwarded. Reads the old image where an
    /// entry needs it, then journals everything. Never fails and never blocks on DynamoDB: what
    /// cannot be read or journaled becomes an owed sweep.
    pub async fn owe(&self, _ruleset: Arc<Ruleset>, _entries: Vec<DirtyEntry>) -> Owed {
        unimplemented!()
    }

    /// Greatest AUTO_INCREMENT value known to be allotted in `table` (lower bound for intents); asks
    /// MySQL once per table.
    pub async fn auto_increment_watermark(&self, _ruleset: &Arc<Ruleset>, _table: &str) -> u64 {
        unimplemented!()
    }

    /// Raises the watermark after an OK packet told an insert id.
    pub fn raise_watermark(&self, _table: &str, _value: u64) {
        unimplemented!()
    }
}

impl Owed {
    /// MySQL committed (or may have). `narrowed`: exact entries that replace `Range` intents.
    pub fn committed(self, _narrowed: Option<Vec<Dirty>>) {
        unimplemented!()
    }

    /// MySQL certainly rolled back: nothing is owed.
    pub fn rolled_back(self) {
        unimplemented!()
    }
}
