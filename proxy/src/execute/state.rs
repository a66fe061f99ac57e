//! What Segue knows of a session's state on the server, and how statements change it.
//! Never here: asking the server.

use segue_rules::plan::{SessionChange, SqlMode};

use crate::wire::rows::TextRow;
use crate::wire::status::{AUTOCOMMIT, IN_TRANS, IN_TRANS_READONLY, StatusFlags};

/// Asks for [`Settings`] and the current database, in this order.
pub const SETTINGS_QUERY: &str =
    "SELECT @@sql_mode, @@auto_increment_increment, @@character_set_client, DATABASE()";

/// Settings on which reading a statement's text depends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub sql_mode: SqlMode,
    pub increment: u64,
    pub charset: String,
}

/// State of one session on the server.
#[derive(Clone, Debug)]
pub struct SessionState {
    /// Flags of the last OK or EOF packet.
    pub status: StatusFlags,
    /// An ERR packet came since then, and it carries no flags: a deadlock may have ended the transaction.
    pub status_is_stale: bool,
    pub schema: Option<String>,
    /// Statements went by unread; one may have been a USE.
    pub schema_is_stale: bool,
    /// `None`: not asked yet, or changed in a way not understood.
    pub settings: Option<Settings>,
}

impl SessionState {
    pub fn new(status: StatusFlags, schema: Option<String>) -> Self {
        SessionState {
            status,
            status_is_stale: false,
            schema,
            schema_is_stale: false,
            settings: None,
        }
    }

    pub fn in_transaction(&self) -> bool {
        self.status & IN_TRANS != 0
    }

    /// A statement that comes now commits by itself.
    pub fn autocommits(&self) -> bool {
        self.status & AUTOCOMMIT != 0 && !self.in_transaction()
    }

    /// Takes the answer to [`SETTINGS_QUERY`].
    pub fn learn(&mut self, row: &TextRow) {
        let text = |i: usize| -> Option<String> {
            let value = row.get(i)?.as_ref()?;
            Some(String::from_utf8_lossy(value).into_owned())
        };
        let (Some(mode), Some(increment), Some(charset)) = (text(0), text(1), text(2)) else {
            return;
        };
        self.settings = Some(Settings {
            sql_mode: SqlMode::from_text(&mode),
            increment: increment.parse().unwrap_or(1),
            charset,
        });
        self.schema = text(3);
        self.schema_is_stale = false;
    }

    /// Statements go by unread.
    pub fn unread(&mut self) {
        self.settings = None;
        self.schema_is_stale = true;
    }

    /// The server has ended the session's transaction and reset its settings, and did not say to what.
    pub fn start_anew(&mut self) {
        self.unread();
        self.status &= !(IN_TRANS | IN_TRANS_READONLY);
        self.status_is_stale = true;
    }

    /// The server has changed the current database.
    pub fn use_schema(&mut self, schema: String) {
        self.schema = Some(schema);
        self.schema_is_stale = false;
    }

    /// Takes a change that the server has carried out.
    pub fn apply(&mut self, change: &SessionChange) {
        match change {
            SessionChange::Use(schema) => self.use_schema(schema.clone()),
            SessionChange::SqlMode(text) => {
                if let Some(settings) = &mut self.settings {
                    settings.sql_mode = SqlMode::from_text(text);
                }
            }
            SessionChange::Names(charset) => {
                if let Some(settings) = &mut self.settings {
                    settings.charset.clone_from(charset);
                }
            }
            SessionChange::Unknown => self.settings = None,
            SessionChange::Many(changes) => changes.iter().for_each(|change| self.apply(change)),
        }
    }
}

/// Whether a change is (partly) not understood.
pub fn has_unknown(change: &SessionChange) -> bool {
    match change {
        SessionChange::Unknown => true,
        SessionChange::Many(changes) => changes.iter().any(has_unknown),
        _ => false,
    }
}
