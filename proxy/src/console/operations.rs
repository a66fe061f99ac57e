//! What the console shows and starts but does not know how to do: the composition root provides it.
//! Never here: HTTP.

use std::collections::BTreeMap;

use futures_util::future::BoxFuture;
use segue_rules::value::TableName;
use serde::Serialize;

/// Operations of the running sidecar.
pub trait Operations: Send + Sync + 'static {
    /// Looks at every part now.
    fn health(&self) -> BoxFuture<'_, Health>;

    /// Owed work by table, with what is parked and why.
    fn owed(&self) -> serde_json::Value;

    /// Owes a refresh of all existing rows of these tables.
    fn sweep(&self, tables: Vec<TableName>) -> BoxFuture<'_, ()>;

    /// Sweeps that are owed or under way.
    fn sweeps(&self) -> serde_json::Value;
}

/// State of the process and of what it depends on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Health {
    pub mysql: Part,
    pub dynamodb: Part,
    pub journal: Part,
    pub generation: u64,
    /// Fingerprint of the live ruleset.
    pub ruleset: String,
    /// Tables whose definition no longer fits the contract, with the reason.
    pub frozen: BTreeMap<TableName, String>,
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
        self.mysql.ok && self.dynamodb.ok && self.journal.ok && self.frozen.is_empty()
    }
}
