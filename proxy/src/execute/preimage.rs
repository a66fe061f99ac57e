//! Keys of a predicate read after the statement: the control account sees the committed rows that the
//! statement has found and holds locked. So the application waits for no lock but MySQL's own.
//! Never here: keys that are selected before the statement (see `write`), or which predicates read alike.

use segue_rules::plan::{Bound, Preselect, WritePlan};
use segue_rules::sql::{LiteralKind, SlotSource};
use segue_rules::txn::DirtyEntry;

use super::Connection;
use super::planner::Scope;
use super::statement::Unit;
use crate::wire::scan::Seen;

impl Connection {
    /// Takes out the selects whose keys can as well be read after the statement. Rows that the transaction has
    /// changed before look to others as they did before that, so their tables' keys cannot.
    pub(super) fn put_off(
        &self,
        scope: &Scope,
        plan: &WritePlan,
        unit: Unit<'_>,
        bound: &mut Bound,
    ) -> Vec<Preselect> {
        // Locks on tables would keep the control account waiting; what happened before a statement that may
        // have committed is not known.
        let certain = !self.tables_locked
            && self.unsettled.is_empty()
            && self.state.reads_are_exact()
            && !settled_when_prepared(unit);
        if !certain {
            return Vec::new();
        }
        let can_wait = |select: &Preselect| {
            let table = plan.captures.get(select.capture).map(|capture| &capture.table);
            select.committed.is_some()
                && table.is_some_and(|table| !self.writes.may_have_changed(&scope.ruleset, table))
        };
        let all = std::mem::take(&mut bound.preselects);
        let (put_off, before) = all.into_iter().partition(can_wait);
        bound.preselects = before;
        put_off
    }

    /// After the statement: reads the keys, or owes sweeps.
    pub(super) async fn read_put_off(
        &self,
        scope: &Scope,
        plan: &WritePlan,
        put_off: &[Preselect],
        seen: Seen,
    ) -> Vec<DirtyEntry> {
        let mut entries = Vec::new();
        let Some(ledger) = self.shared.ledger.as_ref().filter(|_| seen.error.is_none()) else {
            // Only tables with transactions are read so: the statement has changed nothing.
            return entries;
        };
        let ruleset = &scope.ruleset;
        let answer = self.answer(seen);
        for select in put_off {
            let nothing = answer.is_some_and(|answer| plan.found_nothing(select.capture, answer));
            let Some(sql) = select.committed.as_ref().filter(|_| !nothing) else { continue };
            match ledger.committed_keys(sql).await {
                Ok(rows) => {
                    let count = rows.len() as u64;
                    entries.extend(plan.preselected(ruleset, select.capture, &rows));
                    entries.extend(plan.missed(ruleset, select.capture, count, answer));
                }
                Err(reason) => entries.extend(plan.swept(ruleset, select.capture, reason)),
            }
        }
        Self::captured(scope, entries)
    }
}

/// A prepared statement's own texts are in the character set of the session when it was prepared.
fn settled_when_prepared(unit: Unit<'_>) -> bool {
    let is_text = |slot: &SlotSource| matches!(slot, SlotSource::Literal(kind, _) if !matches!(kind, LiteralKind::Number));
    unit.prepared && unit.digested.slots.iter().any(is_text)
}
