//! Carries out statements: relays them to MySQL, and learns and owes what they make dirty.
//! Never here: planning (see `segue-rules`), accepting clients, refreshing items.
//!
//! Known limits of statements that run wrapped in a transaction of Segue's own (only autocommitted
//! writes whose keys or old rows have to be read first):
//! - `FOUND_ROWS()`, `@@warning_count`, `@@error_count` and `GET DIAGNOSTICS` straight after one see
//!   Segue's COMMIT, and so does `ROW_COUNT()` within a larger statement or a prepared one.
//!   `SHOW WARNINGS` and `SELECT ROW_COUNT()` are answered for the statement itself.
//! - They run at REPEATABLE READ where keys are selected before, whatever the session's level: gap locks
//!   keep other sessions' rows away between reading the keys and the statement.
//! - An error at COMMIT (Galera, a full disk) takes the place of the statement's OK.

mod bulk;
pub mod command;
pub mod failure;
pub mod ledger;
mod observe;
pub mod planner;
mod preimage;
pub mod prepared;
mod query;
mod question;
mod relay;
pub mod rewrite;
pub mod state;
mod statement;
#[cfg(test)]
mod tests;
mod transaction;
mod wrapped;
mod write;

pub use self::relay::duplex;

use std::sync::Arc;

use segue_config::limits;
use segue_rules::txn::{DirtyEntry, TransactionWrites};
use segue_rules::value::TableName;

use self::failure::SessionError;
use self::ledger::{Debt, Ledger};
use self::planner::{PlanCache, Scope};
use self::prepared::PreparedStatements;
use self::rewrite::Part;
use self::state::{SessionState, settings_query};
use crate::telemetry::{Digests, Metrics};
use crate::wire::capability::{Capabilities, MULTI_STATEMENTS};
use crate::wire::channel::Channel;
use crate::wire::command::AnswerShape;
use crate::wire::frame::{FRAME_PAYLOAD_MAX, HEADER_BYTES};
use crate::wire::scan::{Scanner, Seen};
use crate::wire::status::MORE_RESULTS_EXISTS;

/// Both legs of a connection.
pub struct Legs<'a> {
    pub client: &'a mut Channel,
    pub server: &'a mut Channel,
}

/// What all connections share.
pub struct Execution {
    /// `None`: nothing is ever captured.
    pub ledger: Option<Arc<dyn Ledger>>,
    pub plans: PlanCache,
    pub metrics: Arc<Metrics>,
    /// Where statements are counted by digest; `None`: they are not.
    pub observed: Option<Arc<Digests>>,
}

/// A client that is logged in, its connection to MySQL, and what is known of its session.
pub struct Connection {
    pub client: Channel,
    pub server: Channel,
    pub capabilities: Capabilities,
    pub state: SessionState,
    pub prepared: PreparedStatements,
    writes: TransactionWrites,
    /// Owed before statements that may have committed within the open transaction.
    unsettled: Vec<Box<dyn Debt>>,
    /// LOCK TABLES is in force: a BEGIN of Segue's own would end it.
    tables_locked: bool,
    /// Answer to a SHOW WARNINGS that follows a wrapped statement.
    warnings: Option<Vec<u8>>,
    /// ROW_COUNT() of the wrapped statement just done.
    row_count: Option<i64>,
    /// Mapped tables whose definition may have changed, or none by name; the session passes it on.
    pub definitions_changed: Option<Vec<TableName>>,
    shared: Arc<Execution>,
}

/// Where the answers of one command go.
#[derive(Clone, Copy, Debug)]
struct Reply {
    /// Sequence id of the next packet to the client.
    sequence: u8,
    /// Another statement of the same command follows.
    more: bool,
    /// The command has several statements, sent one by one.
    split: bool,
}

impl Reply {
    fn part(self) -> Part {
        let set = if self.more { MORE_RESULTS_EXISTS } else { 0 };
        Part { sequence: self.sequence, set, clear: 0 }
    }
}

impl Connection {
    pub fn new(
        client: Channel,
        server: Channel,
        capabilities: Capabilities,
        state: SessionState,
        shared: Arc<Execution>,
    ) -> Self {
        Connection {
            client,
            server,
            capabilities,
            state,
            prepared: PreparedStatements::default(),
            writes: TransactionWrites::new(limits::DIRTY_KEYS_PER_TRANSACTION_MAX),
            unsettled: Vec::new(),
            tables_locked: false,
            warnings: None,
            row_count: None,
            definitions_changed: None,
            shared,
        }
    }

    pub fn legs(&mut self) -> Legs<'_> {
        Legs { client: &mut self.client, server: &mut self.server }
    }

    /// No transaction is open and nothing waits to be owed.
    pub fn is_idle(&self) -> bool {
        !self.state.in_transaction() && self.writes.is_empty() && self.unsettled.is_empty()
    }

    /// COM_SET_OPTION was carried out: it switches whether a command may hold several statements.
    pub fn set_option(&mut self, payload: &[u8]) {
        match payload.get(1..3) {
            Some([0, 0]) => self.capabilities |= MULTI_STATEMENTS,
            Some([1, 0]) => self.capabilities &= !MULTI_STATEMENTS,
            _ => {}
        }
    }

    /// The server has rolled back and forgotten the session (COM_RESET_CONNECTION, COM_CHANGE_USER).
    pub fn forget_session(&mut self) {
        self.writes.clear();
        self.settle_unsettled();
        self.prepared.clear();
        self.tables_locked = false;
        self.forget_questions();
        self.state.reset();
    }

    /// What was kept of a wrapped statement for questions about it is out of date.
    pub fn forget_questions(&mut self) {
        self.warnings = None;
        self.row_count = None;
    }

    /// The answer to a command of these frames is one whole; it is numbered on from the command's
    /// last frame.
    fn reply(&self, frames: &[u8]) -> Reply {
        let sequence = frames.len() / (FRAME_PAYLOAD_MAX + HEADER_BYTES) + 1;
        // Sequence ids wrap around.
        let sequence = self.client.flushed(sequence as u8);
        Reply { sequence, more: false, split: false }
    }

    /// Streams an answer to the client as it comes and remembers its status.
    pub async fn relay_answer(&mut self, shape: AnswerShape) -> Result<Seen, SessionError> {
        let mut scanner = Scanner::new(shape, self.capabilities);
        self.legs().answer(&mut scanner).await?;
        self.note(scanner.seen);
        Ok(scanner.seen)
    }

    /// Sends a command's frames to MySQL and delivers the answer.
    async fn exchange(&mut self, frames: &[u8], reply: &mut Reply) -> Result<Seen, SessionError> {
        self.server.command(frames).await.map_err(failure::server_io)?;
        if !reply.split {
            return self.relay_answer(AnswerShape::Results).await;
        }
        let mut scanner = Scanner::new(AnswerShape::Results, self.capabilities);
        let part = reply.part();
        reply.sequence = self.legs().part(&mut scanner, part).await?;
        self.note(scanner.seen);
        Ok(scanner.seen)
    }

    fn note(&mut self, seen: Seen) {
        if let Some(status) = seen.status {
            self.state.take_status(status);
        }
        self.state.status_is_stale |= seen.error.is_some();
    }

    /// After a command: owes what has been committed without anybody seeing it.
    pub async fn settle(&mut self, scope: &Scope) {
        self.settle_late(scope).await;
        if !self.state.in_transaction() && !self.state.status_is_stale {
            self.settle_unsettled();
        }
    }

    /// Asks the server for settings that text depends on, if they are not known. Only called where the
    /// application's next statement overwrites the diagnostics anyway.
    async fn learn_settings(&mut self, scope: &Scope) -> Result<(), SessionError> {
        if self.state.settings.is_some() {
            return Ok(());
        }
        let capabilities = self.capabilities;
        let query = settings_query(scope.ruleset.catalog.server);
        let answer = self.legs().own(&query, capabilities).await?;
        self.note(answer.seen);
        if let Some(row) = answer.rows.first() {
            self.state.learn(row);
        }
        Ok(())
    }

    /// An ERR packet carries no flags. Asks for them where a transaction may have ended by it.
    async fn learn_status(&mut self) -> Result<(), SessionError> {
        if !self.state.status_is_stale {
            return Ok(());
        }
        let capabilities = self.capabilities;
        let answer = self.legs().own("DO 0", capabilities).await?;
        self.note(answer.seen);
        self.state.status_is_stale = false;
        Ok(())
    }

    /// Journals entries before something that may commit them is forwarded.
    async fn owe(&self, scope: &Scope, entries: Vec<DirtyEntry>) -> Option<Box<dyn Debt>> {
        let ledger = self.shared.ledger.as_ref()?;
        if entries.is_empty() {
            return None;
        }
        Some(ledger.owe(scope.ruleset.clone(), entries, self.state.connection).await)
    }

    fn count(&self, table: &str, outcome: &str) {
        self.shared.metrics.statements.with_label_values(&[table, outcome]).inc();
    }
}
