//! An autocommitted write inside of a transaction of Segue's own, so that nobody changes its rows between
//! reading their keys or old images and the commit.
//! Never here: writes in the application's own transactions.

use segue_rules::plan::{Bound, WritePlan};

use super::failure::{SessionError, client_io, server_io};
use super::planner::Scope;
use super::question::ROW_COUNT_OF_ERRORS;
use super::rewrite::{HeldAnswer, Part};
use super::statement::Unit;
use super::write::{KEYS_NOT_TOLD, Learnt, not_told, sweeps, transactional};
use super::{Connection, Reply};
use crate::wire::command;
use crate::wire::query;
use crate::wire::scan::Seen;
use crate::wire::status::{AUTOCOMMIT, IN_TRANS, IN_TRANS_READONLY};

/// Refusal code where no transaction could be begun.
const NO_TRANSACTION: &str = "no-transaction";

/// For the next transaction only. Below this level other sessions could bring rows between the preselect
/// and the statement.
const LOCK_GAPS: &str = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ";
/// Refusal code of a failed write to a table without transactions.
const PARTLY_DONE: &str = "partly-done";

/// Whatever `completion_type` says, the wrapping ends here and the connection stays.
const COMMIT: &str = "COMMIT AND NO CHAIN NO RELEASE";
const ROLLBACK: &str = "ROLLBACK AND NO CHAIN NO RELEASE";

impl Connection {
    pub(super) async fn wrapped(
        &mut self,
        scope: &Scope,
        plan: &WritePlan,
        mut bound: Bound,
        unit: Unit<'_>,
        reply: &mut Reply,
    ) -> Result<Seen, SessionError> {
        let mut proof_needed = !transactional(scope, plan);
        let put_off = self.put_off(scope, plan, unit, &mut bound);
        if !bound.preselects.is_empty() && !self.state.locks_gaps() {
            // Whatever level was set for the next transaction would have been used up here as well.
            proof_needed |= self.run(LOCK_GAPS).await?.is_some();
        }
        if self.run("BEGIN").await?.is_some() {
            let sweeps = sweeps(scope, plan, NO_TRANSACTION);
            return self.by_key(scope, plan, sweeps, unit, reply).await;
        }
        let generates = bound.from_answer.is_some();
        let (mut entries, found) = match self.learn_keys(scope, plan, bound).await? {
            Learnt::Entries(entries, found) => (entries, found),
            Learnt::Refused(error) => {
                self.run(ROLLBACK).await?;
                self.row_count = Some(ROW_COUNT_OF_ERRORS);
                return self.refuse(&error, reply).await;
            }
        };
        self.server.command(unit.frames).await.map_err(server_io)?;
        let capabilities = self.capabilities;
        let mut held = self.legs().hold(capabilities).await?;
        let seen = held.seen;
        self.note(seen);
        if seen.error.is_some() {
            let warnings = self.keep_warnings(seen).await?;
            self.run(ROLLBACK).await?;
            self.warnings = warnings;
            self.row_count = Some(ROW_COUNT_OF_ERRORS);
            if !transactional(scope, plan) {
                // What was changed before the error stays changed.
                if let Some(debt) = self.owe(scope, sweeps(scope, plan, PARTLY_DONE)).await {
                    debt.committed(None);
                }
            }
            self.deliver(&mut held, reply).await?;
            return Ok(seen);
        }
        entries.extend(self.after(scope, plan, unit, seen));
        entries.extend(self.read_put_off(scope, plan, &put_off, seen).await);
        if proof_needed {
            entries.extend(self.unproven(scope, plan, &found, seen));
        }
        if generates && not_told(scope, plan, seen) {
            entries.extend(sweeps(scope, plan, KEYS_NOT_TOLD));
        }
        let warnings = self.keep_warnings(seen).await?;
        let debt = self.owe(scope, entries).await;
        let error = self.run(COMMIT).await?;
        // Whether it committed is uncertain after an error, but if so it has.
        if let Some(debt) = debt {
            debt.committed(None);
        }
        if let Some(error) = error {
            return self.refuse(&error, reply).await;
        }
        self.warnings = warnings;
        self.row_count = seen.ok.and_then(|ok| i64::try_from(ok.affected_rows).ok());
        self.deliver(&mut held, reply).await?;
        Ok(seen)
    }

    /// Runs a statement of Segue's own that has no rows; gives the ERR packet if there is one.
    async fn run(&mut self, sql: &str) -> Result<Option<Vec<u8>>, SessionError> {
        let capabilities = self.capabilities;
        let answer = self.legs().own(sql, capabilities).await?;
        self.note(answer.seen);
        Ok(answer.error)
    }

    /// Delivers a held answer as it would look had the statement committed by itself.
    async fn deliver(
        &mut self,
        held: &mut HeldAnswer,
        reply: &mut Reply,
    ) -> Result<(), SessionError> {
        let part = reply.part();
        let part = Part { set: part.set | AUTOCOMMIT, clear: IN_TRANS | IN_TRANS_READONLY, ..part };
        reply.sequence = held.rewrite(self.capabilities, part)?;
        self.client.send(&held.frames).await.map_err(client_io)?;
        reply.sequence = self.client.flushed(reply.sequence);
        Ok(())
    }

    /// Fetches the statement's warnings, which the COMMIT or ROLLBACK would clear.
    async fn keep_warnings(&mut self, seen: Seen) -> Result<Option<Vec<u8>>, SessionError> {
        if seen.error.is_none() && seen.ok.is_none_or(|ok| ok.warnings == 0) {
            return Ok(None);
        }
        let capabilities = self.capabilities;
        let payload = query::write("SHOW WARNINGS", capabilities);
        debug_assert_eq!(payload.first(), Some(&command::QUERY));
        self.server.command_packet(&payload).await.map_err(server_io)?;
        let mut held = self.legs().hold(capabilities).await?;
        let part = Part { sequence: 1, set: AUTOCOMMIT, clear: IN_TRANS | IN_TRANS_READONLY };
        held.rewrite(capabilities, part)?;
        Ok(held.seen.error.is_none().then_some(held.frames))
    }
}
