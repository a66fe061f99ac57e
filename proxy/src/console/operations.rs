//! What the console shows and starts but does not know how to do: the composition root provides it.
//! Never here: HTTP.

use std::collections::BTreeMap;

use futures_util::future::BoxFuture;
use segue_config::faults::FaultScript;
use segue_rules::value::TableName;
use serde::Serialize;

use crate::mirror::ParkedFilter;

/// Operations of the running sidecar.
pub trait Operations: Send + Sync + 'static {
    /// Looks at every part now.
    fn health(&self) -> BoxFuture<'_, Health>;

    /// Owed work by table, with what is parked and why, as far as the filter admits it.
    fn owed(&self, filter: &ParkedFilter) -> serde_json::Value;

    /// Tries every parked key again. How many there were.
    fn retry_parked(&self) -> usize;

    /// Owes a refresh of all existing rows of these tables.
    fn sweep(&self, tables: Vec<TableName>) -> BoxFuture<'_, ()>;

    /// Sweeps that are owed or under way.
    fn sweeps(&self) -> serde_json::Value;

    /// What the second look at applied keys has found.
    fn validation(&self) -> serde_json::Value;

    /// The fault script in force; `None` where faults on purpose are not allowed.
    fn faults(&self) -> Option<serde_json::Value>;

    /// Puts a fault script in force, where that is allowed.
    fn take_faults(&self, script: FaultScript);
}

/// State of the process and of what it depends on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Health {
    pub mysql: Part,
    pub dynamodb: Part,
    pub journal: Part,
    /// Where faults on purpose are allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub faults: Option<FaultsAtWork>,
    pub generation: u64,
    /// Fingerprint of the live ruleset.
    pub ruleset: String,
    /// Tables whose definition no longer fits the contract, with the reason.
    pub frozen: BTreeMap<TableName, String>,
}

/// Faults on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct FaultsAtWork {
    /// Rules that may still meet requests.
    pub rules: usize,
    pub injected: u64,
}

/// State of one part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Part {
    pub ok: bool,
    /// Empty where all is well.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

impl Part {
    pub fn well() -> Part {
        Part { ok: true, detail: String::new() }
    }

    pub fn ill(detail: impl ToString) -> Part {
        Part { ok: false, detail: detail.to_string() }
    }
}

impl Health {
    /// Whether everything the sidecar depends on answers, and fits. It serves either way: trouble of
    /// DynamoDB never stops the application.
    pub fn is_well(&self) -> bool {
        let undisturbed = self.faults.is_none_or(|faults| faults.rules == 0);
        self.mysql.ok
            && self.dynamodb.ok
            && self.journal.ok
            && undisturbed
            && self.frozen.is_empty()
    }
}
