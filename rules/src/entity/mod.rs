//! Contract x catalog, compiled: entities with their view queries, item builders and reverse joins.
//! Never here: running a query or writing an item.

mod adapt;
mod builder;
mod cascade;
mod construct;
mod dirty;
mod embedded;
mod fingerprint;
mod inverse;
mod joined;
mod key_shapes;
mod keys;
mod make;
mod plan;
mod resolve;
mod reverse;
mod ruleset;
mod source;
mod sql_text;
mod target;
mod view;

#[cfg(test)]
mod embedded_tests;
#[cfg(test)]
mod finding_tests;
#[cfg(test)]
mod item_tests;
#[cfg(test)]
mod old_image_tests;
#[cfg(test)]
mod sample;
#[cfg(test)]
mod store_tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::catalog::Catalog;
use crate::contract::Finding;
use crate::value::{AttributeType, Cell, Item, ItemKey, TableName};

pub use crate::value::BOOKKEEPING;
pub use dirty::{Dirty, DirtyEntry, OldImage};
pub use inverse::Recovered;

/// Index of an entity in its ruleset; stable only within one ruleset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntityId(pub usize);

/// A checked and compiled contract. Immutable; swapped as a whole.
#[derive(Clone, Debug)]
pub struct Ruleset {
    /// SHA-like stable text hash of contract and of the mapped part of the catalog (hex).
    pub fingerprint: String,
    /// The same of the contract alone.
    pub contract_fingerprint: String,
    pub catalog: Catalog,
    pub tables: Vec<DynamoTable>,
    pub entities: Vec<Arc<Entity>>,
    /// Every MySQL table whose writes matter: it drives an entity, is joined by one, or reaches
    /// such a table through foreign-key actions.
    pub sources: BTreeMap<TableName, SourceTable>,
    pub warnings: Vec<Finding>,
    /// Tables whose definition on the server no longer fits the contract, each with the reason. The catalog
    /// has the definition that fitted last; their writes become owed sweeps, which wait.
    pub frozen: BTreeMap<TableName, String>,
}

/// A DynamoDB table as the contract wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DynamoTable {
    /// Name in the contract, without prefix.
    pub name: String,
    pub pk: KeyAttribute,
    pub sk: Option<KeyAttribute>,
    pub indexes: Vec<SecondaryIndex>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyAttribute {
    pub name: String,
    /// S, N or B.
    pub kind: AttributeType,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecondaryIndex {
    pub name: String,
    pub pk: KeyAttribute,
    pub sk: Option<KeyAttribute>,
    pub projection: Projection,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Projection {
    All,
    KeysOnly,
    Include(Vec<String>),
}

/// A parameterised SELECT whose `?` count grows with the number of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyedSelect {
    /// Text up to and including the row constructor that stands left of `IN`, for example
    /// ``SELECT ... FROM `t` d WHERE (d.`a`,d.`b`) IN ``.
    pub head: String,
    /// Parameters in one key tuple.
    pub width: usize,
    /// Text after the key list (GROUP BY, ORDER BY), or empty.
    pub tail: String,
}

impl KeyedSelect {
    /// The statement for `keys` key tuples: `keys * width` positional parameters.
    pub fn sql(&self, keys: usize) -> String {
        let tuple = if self.width == 1 {
            "?".to_owned()
        } else {
            format!("({})", vec!["?"; self.width].join(","))
        };
        format!("{}({}){}", self.head, vec![tuple.as_str(); keys].join(","), self.tail)
    }
}

/// The compiled query of an entity: one SELECT with one row per driving row, and one further SELECT
/// for each embedded array, to be grouped by the driving row's key.
///
/// All of them are meant for a session with `time_zone = '+00:00'`, `NAMES utf8mb4`, empty `sql_mode`,
/// over the binary protocol.
#[derive(Clone, Debug)]
pub struct ViewQuery {
    /// Columns `0..key_width` of every row (main and children) are the driving row's key.
    pub key_width: usize,
    pub main: KeyedSelect,
    pub children: Vec<KeyedSelect>,
    /// Keyset scan of the driving table's row keys, in key order: `SELECT key FROM t WHERE key > (..)
    /// ORDER BY key LIMIT ?`; `first` takes only the LIMIT, `next` the key values (expanded so that
    /// the range is sargable; parameters are listed in `next_parameters`) and the LIMIT.
    pub scan_first: String,
    pub scan_next: String,
    /// Positions into the last key, one per `?` of `scan_next` before the LIMIT.
    pub scan_next_parameters: Vec<usize>,
}

/// One kind of item.
#[derive(Debug)]
pub struct Entity {
    pub id: EntityId,
    /// `Table` or `Table/ENTITY_TYPE`.
    pub name: String,
    /// Contract name of the DynamoDB table.
    pub dynamo_table: String,
    /// Driving MySQL table.
    pub source: TableName,
    pub view: ViewQuery,
    /// Selects, by row keys, the rows that decide the item key.
    pub key_rows: KeyedSelect,
    /// The item key is a pure function of the driving row's key (and of constants): it never changes
    /// while the row exists, and it can be computed when the row is gone.
    pub key_from_row_key: bool,
    /// Names of the driving table's columns, in its order.
    pub driving_columns: Vec<String>,
    /// Private to this room: how attributes are made.
    pub(crate) builder: builder::Builder,
}

/// Result of building one driving row.
#[derive(Clone, Debug, PartialEq)]
pub struct Built {
    pub row_key: Vec<Cell>,
    pub key: ItemKey,
    /// Complete but for [`BOOKKEEPING`].
    pub item: Item,
}

/// Why a row has no item, or none that may be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// A key part is NULL or empty and the contract says such rows have no item.
    #[error("key attribute {attribute} is empty")]
    KeyAbsent { attribute: String },
    #[error("attribute {attribute}: {reason}")]
    Unconvertible { attribute: String, reason: String },
    #[error("item of {bytes} bytes exceeds DynamoDB's 400 KB")]
    TooLarge { bytes: usize },
    #[error("key attribute {attribute} of {bytes} bytes exceeds {limit}")]
    KeyTooLong { attribute: String, bytes: usize, limit: usize },
}

/// What the ruleset knows of one MySQL table.
#[derive(Clone, Debug)]
pub struct SourceTable {
    pub name: TableName,
    /// Entities whose driving table this is.
    pub drives: Vec<EntityId>,
    /// Joins of entities that read this table.
    pub joins: Vec<ReverseJoin>,
    /// Tables that a DELETE or key UPDATE here changes through foreign-key actions (one step).
    pub cascades: Vec<Cascade>,
    /// Columns of this table that take part in an item key, directly or through a join, beyond the
    /// driving row's own key.
    pub item_key_columns: BTreeSet<usize>,
    /// Columns of this table by which joins find driving rows (the joined side), or, on a driving
    /// table, nothing: a driving row is found by its own key.
    pub link_columns: BTreeSet<usize>,
    /// Columns referenced by foreign keys with ON UPDATE CASCADE or SET NULL.
    pub referenced_columns: BTreeSet<usize>,
    /// Tables that writes here may change by triggers and that are mapped: owed sweeps.
    pub trigger_sweeps: Vec<TriggerSweep>,
    /// `SELECT row key, link columns (ascending) FROM t WHERE row key IN (..)`.
    pub links: Option<KeyedSelect>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TriggerSweep {
    /// `INSERT`, `UPDATE` or `DELETE` on the table that has the trigger.
    pub event: String,
    pub table: TableName,
    pub trigger: String,
}

/// The way back from a joined table's row to the driving rows that show it.
#[derive(Clone, Debug)]
pub struct ReverseJoin {
    pub entity: EntityId,
    /// Columns of the joined table in the join condition, in the order of the parameters.
    pub link_columns: Vec<usize>,
    /// Selects the driving rows' keys by link values: ``SELECT DISTINCT d.pk.. FROM driving d [JOIN hop..]
    /// WHERE (x, y) IN``.
    pub driving_keys: KeyedSelect,
    /// The join decides part of the item key.
    pub decides_item_key: bool,
}

/// One foreign-key action from a parent table to a child table.
#[derive(Clone, Debug)]
pub struct Cascade {
    pub child: TableName,
    /// Child rows die with the parent (CASCADE on delete), so their own cascades follow.
    pub deletes: bool,
    /// Fires on a change of the parent's referenced columns.
    pub on_update: bool,
    /// Fires on delete.
    pub on_delete: bool,
    /// Selects the child rows' keys by the parent rows' keys.
    pub child_keys: KeyedSelect,
}

/// What a statement does to the rows of one table, as far as the plan knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    Insert,
    /// Only these columns (positions) may change; includes generated and ON UPDATE columns.
    Update(BTreeSet<usize>),
    Delete,
    /// Anything may have happened (REPLACE, ON DUPLICATE KEY UPDATE).
    Any,
}
