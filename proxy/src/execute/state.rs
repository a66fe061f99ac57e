//! What Segue knows of a session's state on the server, and how statements change it.
//! Never here: asking the server.

use segue_rules::catalog::ServerKind;
use segue_rules::plan::{SessionChange, SqlMode};

use crate::wire::rows::TextRow;
use crate::wire::status::{AUTOCOMMIT, IN_TRANS, IN_TRANS_READONLY, StatusFlags};

/// Asks for [`Settings`] and the current database, in this order.
pub fn settings_query(server: ServerKind) -> String {
    // MariaDB knows `transaction_isolation` since 11.1; MySQL has dropped `tx_isolation`.
    let isolation = match server {
        ServerKind::MySql => "transaction_isolation",
        ServerKind::MariaDb => "tx_isolation",
    };
    format!(
        "SELECT @@sql_mode, @@auto_increment_increment, @@character_set_client, DATABASE(), \
         @@{isolation}, @@sql_select_limit, @@autocommit, @@character_set_connection"
    )
}

/// Levels at which InnoDB locks gaps, so that no row comes between those that a statement locked.
const LEVELS_WITH_GAP_LOCKS: [&str; 2] = ["REPEATABLE-READ", "SERIALIZABLE"];

/// Settings on which reading a statement's text depends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub sql_mode: SqlMode,
    pub increment: u64,
    pub charset: String,
    /// What the server turns the statement's text into.
    pub connection_charset: String,
    /// The session's isolation level locks gaps.
    pub gap_locks: bool,
    /// A SELECT gives every row, and values as they are stored.
    pub exact_reads: bool,
    /// Where `autocommit` is off for the whole server, a new session's status flags say that it is on.
    pub autocommit: bool,
}

/// `@@sql_select_limit` that limits nothing.
const NO_SELECT_LIMIT: &str = "18446744073709551615";

/// Whether values are read as they are stored: in this mode CHAR columns come with spaces at their end.
fn reads_as_stored(sql_mode: &str) -> bool {
    !sql_mode.to_ascii_uppercase().contains("PAD_CHAR_TO_FULL_LENGTH")
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
    /// MySQL's number of the connection, from its greeting.
    pub connection: u32,
    /// The transaction that is open, or else the next, may have another isolation level than the
    /// session.
    isolation_is_uncertain: bool,
    /// A temporary table may hide a mapped one: its numbers say nothing about the mapped table's.
    pub may_hide_tables: bool,
    /// The session may choose the next AUTO_INCREMENT value.
    pub chooses_insert_id: bool,
}

impl SessionState {
    pub fn new(status: StatusFlags, schema: Option<String>) -> Self {
        SessionState {
            status,
            status_is_stale: false,
            schema,
            schema_is_stale: false,
            settings: None,
            connection: 0,
            isolation_is_uncertain: false,
            may_hide_tables: false,
            chooses_insert_id: false,
        }
    }

    /// The same on this connection of the server's.
    pub fn of(self, connection: u32) -> Self {
        SessionState { connection, ..self }
    }

    pub fn in_transaction(&self) -> bool {
        self.status & IN_TRANS != 0
    }

    /// Takes the flags of an OK or EOF packet.
    pub fn take_status(&mut self, status: StatusFlags) {
        let was_open = self.in_transaction();
        self.status = status;
        self.status_is_stale = false;
        if was_open && !self.in_transaction() {
            // What held for one transaction is used up.
            self.isolation_is_uncertain = false;
        }
    }

    /// Other sessions cannot bring rows that match a predicate whose rows this transaction has locked.
    pub fn locks_gaps(&self) -> bool {
        !self.isolation_is_uncertain && self.settings.as_ref().is_some_and(|s| s.gap_locks)
    }

    /// What a SELECT of Segue's own gives in this session is what is stored.
    pub fn reads_are_exact(&self) -> bool {
        self.settings.as_ref().is_some_and(|settings| settings.exact_reads)
    }

    /// The session was reset on the server.
    pub fn reset(&mut self) {
        self.settings = None;
        self.isolation_is_uncertain = false;
        self.may_hide_tables = false;
        self.chooses_insert_id = false;
    }

    /// A statement may have changed settings, those of the next transaction too.
    pub fn forget_settings(&mut self) {
        self.settings = None;
        self.isolation_is_uncertain = true;
    }

    /// A statement that comes now commits by itself.
    pub fn autocommits(&self) -> bool {
        let told = self.settings.as_ref().is_none_or(|settings| settings.autocommit);
        told && self.status & AUTOCOMMIT != 0 && !self.in_transaction()
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
        // Where there is none, no text is read alike elsewhere.
        let connection_charset = text(7).unwrap_or_else(|| "binary".to_owned());
        let limited = text(5).is_none_or(|limit| limit != NO_SELECT_LIMIT);
        self.settings = Some(Settings {
            exact_reads: !limited && reads_as_stored(&mode),
            sql_mode: SqlMode::from_text(&mode),
            increment: increment.parse().unwrap_or(1),
            charset,
            connection_charset,
            gap_locks: text(4).is_some_and(|level| LEVELS_WITH_GAP_LOCKS.contains(&level.as_str())),
            autocommit: text(6).as_deref() != Some("0"),
        });
        self.schema = text(3);
        self.schema_is_stale = false;
    }

    /// Statements go by unread.
    pub fn unread(&mut self) {
        self.forget_settings();
        self.may_hide_tables = true;
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
                if !reads_as_stored(text) || !self.reads_are_exact() {
                    self.settings = None;
                }
                if let Some(settings) = &mut self.settings {
                    settings.sql_mode = SqlMode::from_text(text);
                }
            }
            // SET CHARACTER SET says one of two character sets, SET NAMES both.
            SessionChange::Names(_) | SessionChange::Unknown => self.settings = None,
            SessionChange::Isolation => self.forget_settings(),
            SessionChange::InsertId => self.chooses_insert_id = true,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn state(level: &str) -> SessionState {
        let mut state = SessionState::new(AUTOCOMMIT, None);
        learn(&mut state, level);
        state
    }

    fn learn(state: &mut SessionState, level: &str) {
        let text = |text: &str| Some(text.as_bytes().to_vec());
        let limit = text(NO_SELECT_LIMIT);
        state.learn(&vec![text(""), text("1"), text("utf8mb4"), None, text(level), limit]);
    }

    #[test]
    fn gaps_are_locked_from_repeatable_read_on() {
        assert!(state("REPEATABLE-READ").locks_gaps());
        assert!(state("SERIALIZABLE").locks_gaps());
        assert!(!state("READ-COMMITTED").locks_gaps());
        assert!(!state("READ-UNCOMMITTED").locks_gaps());
        assert!(!SessionState::new(AUTOCOMMIT, None).locks_gaps());
    }

    #[test]
    fn a_mode_that_pads_is_asked_for_again_when_it_goes() {
        let mut state = state("REPEATABLE-READ");
        assert!(state.reads_are_exact());
        let set = |mode: &str| SessionChange::SqlMode(mode.to_owned());
        state.apply(&set("ansi"));
        assert!(state.reads_are_exact());
        state.apply(&set("pad_char_to_full_length"));
        assert!(!state.reads_are_exact());
        state.apply(&set(""));
        assert!(state.settings.is_none());
    }

    #[test]
    fn a_changed_level_is_uncertain_until_a_transaction_has_ended() {
        let mut state = state("REPEATABLE-READ");
        state.apply(&SessionChange::Isolation);
        learn(&mut state, "REPEATABLE-READ");
        assert!(!state.locks_gaps(), "SET TRANSACTION is for the next transaction");
        state.take_status(IN_TRANS | AUTOCOMMIT);
        assert!(!state.locks_gaps());
        state.take_status(AUTOCOMMIT);
        assert!(state.locks_gaps());
    }

    #[test]
    fn statements_that_went_by_unread_may_have_set_a_level() {
        let mut state = state("REPEATABLE-READ");
        state.unread();
        learn(&mut state, "REPEATABLE-READ");
        assert!(!state.locks_gaps());
        state.reset();
        learn(&mut state, "REPEATABLE-READ");
        assert!(state.locks_gaps());
    }
}
