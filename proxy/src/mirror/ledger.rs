//! The books of this process's debts (see `segue_rules::owed`).
//! Never here: how entries are counted.

use std::sync::Arc;
use std::time::Instant;

use super::record::Debt;
use crate::journal::RecordId;

pub use segue_rules::owed::Counts;
pub(crate) use segue_rules::owed::{DebtId, Ending, EntryId};

pub(crate) type Ledger = segue_rules::owed::Ledger<Arc<Debt>, RecordId, Instant>;
pub(crate) type Closed = segue_rules::owed::Closed<RecordId, Instant>;
