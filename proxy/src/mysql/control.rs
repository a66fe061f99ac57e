//! The control account's pool: catalog, view queries, key look-ups, grants.
//! Never here: anything that runs as the application.

use segue_rules::catalog::Catalog;
use segue_rules::entity::{Entity, KeyedSelect};
use segue_rules::value::{Cell, Row};

#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// Connection refused, lost, timed out, lock wait, server shutting down: try again.
    #[error("MySQL control connection: {0}")]
    Transient(String),
    /// The server refused the statement (missing grant, unknown column, ...).
    #[error("MySQL control account: {0}")]
    Rejected(String),
}

/// One driving row as the view query returned it.
#[derive(Clone, Debug, PartialEq)]
pub struct ViewRow {
    pub main: Row,
    /// `children[i]`: rows of the entity's i-th child query for this driving row, in order.
    pub children: Vec<Vec<Row>>,
}

/// The control pool. Cheap to clone. Sessions run with `time_zone='+00:00'`, `NAMES utf8mb4`,
/// `sql_mode=''`, READ COMMITTED.
#[derive(Clone)]
pub struct Control {}

impl Control {
    /// Reads the schema.
    pub async fn catalog(&self, _database: &str) -> Result<Catalog, ControlError> {
        unimplemented!()
    }

    /// Rows of a keyed select for these key tuples (any number; chunked and padded inside).
    /// Committed state only.
    pub async fn keyed(&self, _select: &KeyedSelect, _keys: &[Vec<Cell>]) -> Result<Vec<Row>, ControlError> {
        unimplemented!()
    }

    /// View rows of an entity for these driving keys; missing rows are simply absent. Main and child
    /// queries of one chunk see one snapshot.
    pub async fn view(&self, _entity: &Entity, _keys: &[Vec<Cell>]) -> Result<Vec<ViewRow>, ControlError> {
        unimplemented!()
    }

    /// The next keys of an entity's driving table in key order, after `last`.
    pub async fn scan_keys(
        &self,
        _entity: &Entity,
        _last: Option<&[Cell]>,
        _limit: usize,
    ) -> Result<Vec<Vec<Cell>>, ControlError> {
        unimplemented!()
    }

    /// Any SELECT with positional parameters.
    pub async fn select(&self, _sql: &str, _parameters: &[Cell]) -> Result<Vec<Row>, ControlError> {
        unimplemented!()
    }
}
