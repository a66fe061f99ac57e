//! The control account's pool: catalog, view queries, key look-ups, grants.
//! Never here: anything that runs as the application.

mod catalog;
mod cell;
mod connections;
mod fault;
mod grants;
mod keyed;
mod pool;
mod server;

pub use connections::Connections;
pub use grants::{CONTROL_PRIVILEGES, MissingGrant, PROCESS_PRIVILEGE, grant_statements};
pub use keyed::Snapshot;
pub use pool::{Control, Reads};
pub use server::ServerFacts;

use segue_rules::entity::ViewQuery;
use segue_rules::value::{Cell, Row};

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// Connection refused, lost, timed out, lock wait, server shutting down: try again.
    #[error("MySQL control connection: {0}")]
    Transient(String),
    /// The server refused the statement (missing grant, unknown column, ...).
    #[error("MySQL control account: {0}")]
    Rejected(String),
}

/// Rows of the text protocol; `None` is NULL.
pub type TextRows = Vec<Vec<Option<Vec<u8>>>>;

/// One driving row as the view query returned it.
#[derive(Clone, Debug, PartialEq)]
pub struct ViewRow {
    pub main: Row,
    /// `children[i]`: rows of the entity's i-th child query for this driving row, in order.
    pub children: Vec<Vec<Row>>,
}

impl ViewRow {
    /// The driving row's key, as MySQL spells it.
    pub fn row_key(&self, view: &ViewQuery) -> &[Cell] {
        &self.main[..view.key_width.min(self.main.len())]
    }
}
