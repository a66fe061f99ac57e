//! DynamoDB attributes and items as data.
//! Never here: the AWS SDK's types (the `dynamo` room of `proxy` converts them).

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// Name of the bookkeeping attribute on every item (a map: tag, time, fingerprint, entity, key).
pub const BOOKKEEPING: &str = "_segue";

/// A DynamoDB attribute value. Numbers are kept as the exact decimal text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Attribute {
    S(String),
    N(String),
    B(Vec<u8>),
    Bool(bool),
    Null,
    M(BTreeMap<String, Attribute>),
    L(Vec<Attribute>),
    SS(BTreeSet<String>),
    NS(BTreeSet<String>),
    BS(BTreeSet<Vec<u8>>),
}

/// The attribute types a contract can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AttributeType {
    S,
    N,
    B,
    #[serde(rename = "BOOL")]
    Bool,
    #[serde(rename = "NULL")]
    Null,
    M,
    L,
    SS,
    NS,
    BS,
}

/// One DynamoDB item: attribute name to value.
pub type Item = BTreeMap<String, Attribute>;

/// Identity of an item: its table (contract name, without the configured prefix) and key values.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ItemKey {
    pub table: String,
    /// Partition key value.
    pub pk: Attribute,
    /// Sort key value; `None` where the table has no sort key.
    pub sk: Option<Attribute>,
}
