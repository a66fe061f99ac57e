//! Where transactions end: their writes are owed before, and settled by MySQL's answer.
//! Never here: how writes are learnt.
//!
//! ```text
//! open --COMMIT, BEGIN, DDL, ...--> owe, forward --OK, flag clear--> settled, nothing open
//!                                               --OK, flag set----> still open: keep the writes
//!                                               --ERR, lost-------> counts as committed; keep them too
//! open --ROLLBACK--> forward --OK--> dropped, nothing was owed
//! ```

use segue_rules::plan::TransactionVerb;
use segue_rules::txn::DirtyEntry;

use super::failure::SessionError;
use super::ledger::Debt;
use super::planner::Scope;
use super::{Connection, Reply};
use crate::wire::scan::Seen;

/// What an OK says about the open transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ends {
    /// It has ended, whatever the flag says (a new one may have begun at once).
    Certainly,
    /// The IN_TRANS flag tells.
    AsFlagged,
    /// The flag may belong to a new transaction, begun by the statement itself.
    Uncertain,
}

impl Connection {
    pub(super) async fn transaction(
        &mut self,
        scope: &Scope,
        verb: &TransactionVerb,
        frames: &[u8],
        reply: &mut Reply,
    ) -> Result<Seen, SessionError> {
        match verb {
            TransactionVerb::Begin | TransactionVerb::Commit => {
                self.maybe_committing(scope, Ends::Certainly, frames, reply).await
            }
            TransactionVerb::AutocommitOn => {
                let seen = self.maybe_committing(scope, Ends::AsFlagged, frames, reply).await?;
                self.follow_autocommit(seen);
                Ok(seen)
            }
            TransactionVerb::AutocommitOff => {
                let seen = self.exchange(frames, reply).await?;
                self.follow_autocommit(seen);
                Ok(seen)
            }
            TransactionVerb::Rollback => self.rollback(scope, frames, reply).await,
            TransactionVerb::Savepoint
            | TransactionVerb::RollbackToSavepoint
            | TransactionVerb::ReleaseSavepoint => self.exchange(frames, reply).await,
        }
    }

    /// From a SET on, the flags say what `autocommit` is.
    fn follow_autocommit(&mut self, seen: Seen) {
        if seen.error.is_none()
            && let Some(settings) = &mut self.state.settings
        {
            settings.autocommit = true;
        }
    }

    /// Forwards a statement that ends the transaction or may do so.
    pub(super) async fn maybe_committing(
        &mut self,
        scope: &Scope,
        ends: Ends,
        frames: &[u8],
        reply: &mut Reply,
    ) -> Result<Seen, SessionError> {
        let debt = self.owe_before(scope, &[]).await;
        let seen = self.exchange(frames, reply).await?;
        self.settle_debt(debt, Vec::new(), ends, seen);
        Ok(seen)
    }

    /// Owes the open transaction's writes and more.
    pub(super) async fn owe_before(
        &mut self,
        scope: &Scope,
        more: &[DirtyEntry],
    ) -> Option<Box<dyn Debt>> {
        let mut entries = self.writes.entries(&scope.ruleset);
        entries.extend_from_slice(more);
        self.owe(scope, entries).await
    }

    /// Settles what was owed before a statement by its answer. Anything uncertain counts as committed.
    pub(super) fn settle_debt(
        &mut self,
        debt: Option<Box<dyn Debt>>,
        more: Vec<DirtyEntry>,
        ends: Ends,
        seen: Seen,
    ) {
        let ok = seen.error.is_none();
        let still_open = self.state.in_transaction();
        if ok && ends == Ends::AsFlagged && still_open {
            self.writes.extend(more);
            if let Some(debt) = debt {
                debt.rolled_back();
            }
            return;
        }
        if ok && ends == Ends::Uncertain && still_open {
            // Perhaps it has committed and begun anew. What it may have changed is refreshed once, after
            // the end of what is open now; until then the journal holds it.
            self.unsettled.extend(debt);
            return;
        }
        if still_open && !(ok && ends == Ends::Certainly) {
            // To be owed again at the certain end: then rows may have changed once more.
            self.writes.extend(more);
        } else {
            self.writes.clear();
            self.settle_unsettled();
        }
        if let Some(debt) = debt {
            debt.committed(None);
        }
    }

    /// The transaction has ended in whose course they came.
    pub(super) fn settle_unsettled(&mut self) {
        for debt in self.unsettled.drain(..) {
            debt.committed(None);
        }
    }

    async fn rollback(
        &mut self,
        scope: &Scope,
        frames: &[u8],
        reply: &mut Reply,
    ) -> Result<Seen, SessionError> {
        let seen = self.exchange(frames, reply).await?;
        let Some(ok) = seen.ok.filter(|_| seen.error.is_none()) else { return Ok(seen) };
        if ok.warnings > 0 {
            // Tables without transactions keep their changes; the warning says so.
            let debt = self.owe_before(scope, &[]).await;
            self.settle_debt(debt, Vec::new(), Ends::Certainly, seen);
        }
        self.writes.clear();
        self.settle_unsettled();
        Ok(seen)
    }
}
