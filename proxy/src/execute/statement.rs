//! One statement with its route: which of the ways of carrying out it takes.
//! Never here: packets, or how routes are decided.

use segue_rules::plan::{Refusal, SlotValue, refusal_codes};
use segue_rules::route::Route;
use segue_rules::sql::Digested;
use segue_rules::txn::{Dirty, DirtyEntry, OldImage};
use segue_rules::value::TableName;

use super::command::Command;
use super::failure::{SessionError, server_io};
use super::planner::Scope;
use super::state::has_unknown;
use super::transaction::Ends;
use super::{Connection, Reply};
use crate::wire::command::{AnswerShape, answer_shape};
use crate::wire::scan::Seen;

/// One statement as it goes to MySQL.
#[derive(Clone, Copy)]
pub(super) struct Unit<'a> {
    /// The command's frames.
    pub frames: &'a [u8],
    /// Values of its slots.
    pub values: &'a [SlotValue],
    pub digested: &'a Digested,
    /// It was prepared, perhaps under other settings.
    pub prepared: bool,
}

/// What is swept after a statement that is not understood.
pub(super) struct Sweep {
    pub tables: Vec<TableName>,
    pub reason: &'static str,
    pub commits: bool,
    /// A parse error of the server tells that nothing was run.
    pub parse_error_is_harmless: bool,
}

/// ER_PARSE_ERROR
const PARSE_ERROR: u16 = 1064;

impl Connection {
    /// Carries out one statement and delivers its answer.
    pub(super) async fn statement(
        &mut self,
        scope: &Scope,
        route: &Route,
        unit: Unit<'_>,
        reply: &mut Reply,
    ) -> Result<Seen, SessionError> {
        let begun = self.observed_from();
        let certain = self.state.autocommits() && !self.state.status_is_stale;
        let seen = match route {
            Route::Relay => self.exchange(unit.frames, reply).await,
            Route::Transaction(verb) => self.transaction(scope, verb, unit.frames, reply).await,
            Route::Session(change) => {
                let seen = if has_unknown(change) {
                    self.maybe_committing(scope, Ends::AsFlagged, unit.frames, reply).await?
                } else {
                    self.exchange(unit.frames, reply).await?
                };
                if seen.error.is_none() {
                    self.state.apply(change);
                } else {
                    // A SET of several may have been carried out in part.
                    self.state.forget_settings();
                }
                Ok(seen)
            }
            Route::Capture(write) => self.write(scope, write, unit, reply).await,
            Route::Sweep { refusal, tables, commits } => {
                self.count_refusal(refusal);
                let sweep = Sweep {
                    tables: tables.clone(),
                    reason: refusal.code,
                    commits: *commits,
                    parse_error_is_harmless: !runs_other_text(unit.digested.first_word()),
                };
                let seen = self.opaque(scope, sweep, unit.frames, reply).await?;
                if refusal.code != refusal_codes::FROZEN.code {
                    // The statement itself may have changed settings, through a routine for example.
                    self.state.forget_settings();
                    self.state.may_hide_tables = true;
                    // MariaDB's EXECUTE IMMEDIATE takes a USE.
                    self.state.schema_is_stale = true;
                }
                let empties = unit.digested.first_word().eq_ignore_ascii_case("TRUNCATE");
                if refusal.code == refusal_codes::DDL.code && !empties {
                    self.definitions_changed.get_or_insert_default().extend_from_slice(tables);
                }
                Ok(seen)
            }
            Route::ImplicitCommit => {
                // CREATE TEMPORARY TABLE is one of them.
                self.state.may_hide_tables |=
                    unit.digested.first_word().eq_ignore_ascii_case("CREATE");
                // A table that is gone may be back.
                if !scope.ruleset.frozen.is_empty() {
                    self.definitions_changed.get_or_insert_default();
                }
                self.maybe_committing(scope, Ends::AsFlagged, unit.frames, reply).await
            }
        }?;
        self.observe(unit.digested, begun, seen);
        self.follow_locks(unit.digested.first_word(), seen);
        if certain && !matches!(route, Route::Sweep { .. }) && seen.error.is_some() {
            // A failed statement that is understood begins no transaction.
            self.state.status_is_stale = false;
        }
        Ok(seen)
    }

    /// LOCK TABLES lasts until UNLOCK TABLES or the begin of a transaction.
    fn follow_locks(&mut self, first_word: &str, seen: Seen) {
        let is = |word: &str| first_word.eq_ignore_ascii_case(word);
        if seen.error.is_none() && (is("UNLOCK") || is("BEGIN") || is("START")) {
            self.tables_locked = false;
        } else if is("LOCK") {
            self.tables_locked = true;
        }
    }

    /// Relays a statement that may have changed anything in some tables.
    pub(super) async fn opaque(
        &mut self,
        scope: &Scope,
        sweep: Sweep,
        frames: &[u8],
        reply: &mut Reply,
    ) -> Result<Seen, SessionError> {
        let sweeps = self.sweeps(scope, &sweep);
        let debt = self.owe_before(scope, &sweeps).await;
        let seen = self.exchange(frames, reply).await?;
        self.settle_opaque(debt, sweeps, &sweep, seen);
        Ok(seen)
    }

    /// The same for a command that is no single statement, or too large to be held.
    pub(super) async fn opaque_command(
        &mut self,
        scope: &Scope,
        sweep: Sweep,
        command: &Command,
    ) -> Result<(), SessionError> {
        let sweeps = self.sweeps(scope, &sweep);
        let debt = self.owe_before(scope, &sweeps).await;
        self.server.command(&command.frames).await.map_err(server_io)?;
        if let Some(walker) = &command.rest {
            self.legs().rest_of_packet(&mut walker.clone()).await?;
        }
        let shape = match answer_shape(command.code) {
            AnswerShape::Results => AnswerShape::Results,
            _ => AnswerShape::Single,
        };
        let seen = self.relay_answer(shape).await?;
        self.settle_opaque(debt, sweeps, &sweep, seen);
        Ok(())
    }

    fn sweeps(&self, scope: &Scope, what: &Sweep) -> Vec<DirtyEntry> {
        let swept: Vec<DirtyEntry> = scope
            .tables
            .iter()
            .filter(|table| what.tables.contains(*table))
            .map(|table| sweep(table, what.reason))
            .collect();
        for entry in &swept {
            self.count(entry.dirty.table(), "swept");
        }
        swept
    }

    fn settle_opaque(
        &mut self,
        debt: Option<Box<dyn super::ledger::Debt>>,
        sweeps: Vec<DirtyEntry>,
        what: &Sweep,
        seen: Seen,
    ) {
        if what.parse_error_is_harmless && seen.error == Some(PARSE_ERROR) && seen.results == 1 {
            if let Some(debt) = debt {
                debt.rolled_back();
            }
            return;
        }
        let ends = if what.commits { Ends::Uncertain } else { Ends::AsFlagged };
        self.settle_debt(debt, sweeps, ends, seen);
    }

    fn count_refusal(&self, refusal: &Refusal) {
        self.shared.metrics.refusals.with_label_values(&[refusal.code]).inc();
    }
}

/// Statements in whose course other text is parsed, so that a parse error may come late.
fn runs_other_text(first_word: &str) -> bool {
    ["CALL", "EXECUTE", "BEGIN", "PREPARE"].iter().any(|w| first_word.eq_ignore_ascii_case(w))
}

/// A sweep of a whole table.
pub(super) fn sweep(table: &TableName, reason: &str) -> DirtyEntry {
    DirtyEntry {
        dirty: Dirty::Sweep { table: table.clone(), reason: reason.to_owned() },
        old_image: OldImage::NotNeeded,
    }
}
