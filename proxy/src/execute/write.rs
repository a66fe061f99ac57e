//! A write whose keys can be learnt: preselect, send, read the answer, remember or owe.
//! Never here: autocommitted writes that need a transaction (see `wrapped`).

use segue_rules::plan::{Answer, BindSession, Bound, WritePlan, refusal_codes};
use segue_rules::txn::{Dirty, DirtyEntry, OldImage};
use segue_rules::value::TableName;

use super::failure::{SessionError, client_io};
use super::planner::Scope;
use super::statement::Unit;
use super::{Connection, Reply};
use crate::wire::response::ErrPacket;
use crate::wire::scan::Seen;

/// Refusal code of a table whose keys the application may not read.
const PRESELECT_REFUSED: &str = "preselect-refused";

/// Refusal code of a session whose settings cut results short or pad their values.
const INEXACT_READS: &str = "inexact-reads";

/// Refusal code of writes that would have to be wrapped, but tables are locked.
const TABLES_LOCKED: &str = "tables-locked";

/// Refusal code of generated keys that no OK packet told.
pub(super) const KEYS_NOT_TOLD: &str = "keys-not-told";

/// Errors of a preselect that the statement itself would have met as well: interrupted, lock wait timeout,
/// deadlock, row changed since the snapshot (MariaDB), lock refused by NOWAIT, connection killed.
const ERRORS_OF_LOCKING: [u16; 6] = [1317, 1205, 1213, 1020, 3572, 1927];

/// How many rows a capture's preselect found.
pub(super) struct Found {
    capture: usize,
    rows: u64,
}

/// What a preselect came to.
pub(super) enum Learnt {
    Entries(Vec<DirtyEntry>, Vec<Found>),
    /// An ERR packet that is the answer to the application's statement.
    Refused(Vec<u8>),
}

impl Connection {
    pub(super) async fn write(
        &mut self,
        scope: &Scope,
        plan: &WritePlan,
        unit: Unit<'_>,
        reply: &mut Reply,
    ) -> Result<Seen, SessionError> {
        if !plan.captures.iter().any(|capture| scope.tables.contains(&capture.table)) {
            return self.exchange(unit.frames, reply).await;
        }
        self.learn_settings(scope).await?;
        self.learn_status().await?;
        self.settle_late(scope).await;
        for capture in &plan.captures {
            self.count(&capture.table, "captured");
        }
        let autocommits = self.state.autocommits();
        let bound = self.bind(scope, plan, unit, autocommits);
        if !autocommits {
            return self.write_in_transaction(scope, plan, bound, unit, reply).await;
        }
        if (bound.wrap || !bound.preselects.is_empty()) && self.tables_locked {
            let sweeps = sweeps(scope, plan, TABLES_LOCKED);
            return self.by_key(scope, plan, sweeps, unit, reply).await;
        }
        if bound.wrap || !bound.preselects.is_empty() {
            return self.wrapped(scope, plan, bound, unit, reply).await;
        }
        match bound.from_answer.clone().filter(|table| scope.tables.contains(table)) {
            Some(table) => self.generated(scope, plan, bound, table, unit, reply).await,
            None => self.by_key(scope, plan, bound.entries, unit, reply).await,
        }
    }

    pub(super) fn bind(
        &self,
        scope: &Scope,
        plan: &WritePlan,
        unit: Unit<'_>,
        autocommits: bool,
    ) -> Bound {
        let settings = self.state.settings.as_ref();
        let session = BindSession {
            sql_mode: settings.map(|s| s.sql_mode).unwrap_or_default(),
            charset: settings.map_or("utf8mb4", |s| &s.charset),
            connection_charset: settings.map(|s| s.connection_charset.as_str()),
            autocommit_statement: autocommits,
        };
        plan.bind(&scope.ruleset, unit.values, session)
    }

    /// Autocommitted, keys known beforehand.
    pub(super) async fn by_key(
        &mut self,
        scope: &Scope,
        plan: &WritePlan,
        entries: Vec<DirtyEntry>,
        unit: Unit<'_>,
        reply: &mut Reply,
    ) -> Result<Seen, SessionError> {
        let entries = Self::captured(scope, entries);
        let debt = self.owe(scope, entries).await;
        let seen = self.exchange(unit.frames, reply).await?;
        if let Some(debt) = debt {
            if seen.error.is_some() && transactional(scope, plan) {
                debt.rolled_back();
            } else {
                debt.committed(None);
            }
        }
        Ok(seen)
    }

    /// All keys that the server may generate from now on.
    pub(super) async fn keys_to_come(&self, scope: &Scope, table: TableName) -> Option<DirtyEntry> {
        let ledger = self.shared.ledger.clone()?;
        let watermark = match self.state.chooses_insert_id {
            true => 0,
            false => ledger.auto_increment_watermark(&scope.ruleset, &table).await,
        };
        let dirty = Dirty::Range { table, from: watermark.saturating_add(1), to: None };
        Some(DirtyEntry { dirty, old_image: OldImage::NotNeeded })
    }

    /// Autocommitted, keys told by the OK packet: all values that may be allotted from now on are owed
    /// first.
    async fn generated(
        &mut self,
        scope: &Scope,
        plan: &WritePlan,
        bound: Bound,
        table: TableName,
        unit: Unit<'_>,
        reply: &mut Reply,
    ) -> Result<Seen, SessionError> {
        let mut entries = Self::captured(scope, bound.entries);
        let to_come = self.keys_to_come(scope, table.clone()).await;
        let first = to_come.as_ref().and_then(|entry| entry.dirty.first_generated());
        entries.extend(to_come);
        let debt = self.owe(scope, entries).await;
        let seen = self.exchange(unit.frames, reply).await?;
        let learnt = self.after(scope, plan, unit, seen);
        self.check_watermark(&table, first, seen);
        let Some(debt) = debt else { return Ok(seen) };
        if seen.error.is_some() && transactional(scope, plan) {
            debt.rolled_back();
        } else if seen.ok.is_some() {
            debt.committed(Some(learnt.into_iter().map(|entry| entry.dirty).collect()));
        } else {
            debt.committed(None);
        }
        Ok(seen)
    }

    /// A key below those that were expected: the counter was set back by somebody, and what is known of
    /// it is worth nothing.
    fn check_watermark(&self, table: &TableName, first: Option<u64>, seen: Seen) {
        let told = seen.ok.map_or(0, |ok| ok.insert_id);
        if let (Some(ledger), Some(first)) = (&self.shared.ledger, first)
            && (1..first).contains(&told)
        {
            ledger.forget_watermark(table);
        }
    }

    async fn write_in_transaction(
        &mut self,
        scope: &Scope,
        plan: &WritePlan,
        mut bound: Bound,
        unit: Unit<'_>,
        reply: &mut Reply,
    ) -> Result<Seen, SessionError> {
        let put_off = self.put_off(scope, plan, unit, &mut bound);
        plan.captures.iter().for_each(|capture| self.writes.touch(&capture.table));
        let proof_needed = !self.state.locks_gaps() || !transactional(scope, plan);
        let generates = bound.from_answer.is_some();
        match self.learn_keys(scope, plan, bound).await? {
            Learnt::Refused(error) => self.refuse(&error, reply).await,
            Learnt::Entries(entries, found) => {
                // Kept even if the statement fails: tables without transactions may have changed.
                self.writes.extend(entries);
                let seen = self.exchange(unit.frames, reply).await?;
                let learnt = self.after(scope, plan, unit, seen);
                self.writes.extend(learnt);
                let put_off = self.read_put_off(scope, plan, &put_off, seen).await;
                self.writes.extend(put_off);
                if proof_needed {
                    self.writes.extend(self.unproven(scope, plan, &found, seen));
                }
                if generates && not_told(scope, plan, seen) {
                    self.writes.extend(Self::captured(scope, sweeps(scope, plan, KEYS_NOT_TOLD)));
                }
                self.settle_late(scope).await;
                Ok(seen)
            }
        }
    }

    /// Runs the preselects and adds what they find to what is known already.
    pub(super) async fn learn_keys(
        &mut self,
        scope: &Scope,
        plan: &WritePlan,
        bound: Bound,
    ) -> Result<Learnt, SessionError> {
        let capabilities = self.capabilities;
        let mut entries = bound.entries;
        let mut found = Vec::new();
        for preselect in &bound.preselects {
            let Some(capture) = plan.captures.get(preselect.capture) else { continue };
            if !scope.tables.contains(&capture.table) {
                continue;
            }
            if !self.state.reads_are_exact() {
                entries.extend(plan.swept(&scope.ruleset, preselect.capture, INEXACT_READS));
                continue;
            }
            let answer = self.legs().own(&preselect.sql, capabilities).await?;
            self.note(answer.seen);
            if let Some(error) = answer.error {
                let code = answer.seen.error.unwrap_or_default();
                if ERRORS_OF_LOCKING.contains(&code) {
                    return Ok(Learnt::Refused(error));
                }
                tracing::info!(table = %capture.table, code, "keys could not be read: owing a sweep");
                self.state.status_is_stale = false;
                entries.extend(plan.swept(&scope.ruleset, preselect.capture, PRESELECT_REFUSED));
            } else if answer.overflow {
                let reason = refusal_codes::TOO_MANY_KEYS.code;
                entries.extend(plan.swept(&scope.ruleset, preselect.capture, reason));
            } else {
                entries.extend(plan.preselected(&scope.ruleset, preselect.capture, &answer.rows));
                found.push(Found { capture: preselect.capture, rows: answer.rows.len() as u64 });
            }
        }
        Ok(Learnt::Entries(Self::captured(scope, entries), found))
    }

    /// Sweeps for preselects of which the answer does not prove that they found every row.
    pub(super) fn unproven(
        &self,
        scope: &Scope,
        plan: &WritePlan,
        found: &[Found],
        seen: Seen,
    ) -> Vec<DirtyEntry> {
        if seen.error.is_some() && transactional(scope, plan) {
            return Vec::new();
        }
        let answer = self.answer(seen);
        let entries = found
            .iter()
            .flat_map(|f| plan.unproven(&scope.ruleset, f.capture, f.rows, answer))
            .collect();
        Self::captured(scope, entries)
    }

    /// The numbers in a statement's answer.
    pub(super) fn answer(&self, seen: Seen) -> Option<Answer> {
        let ok = seen.ok.filter(|_| seen.error.is_none())?;
        Some(Answer {
            affected_rows: ok.affected_rows,
            insert_id: ok.insert_id,
            increment: self.state.settings.as_ref().map_or(1, |s| s.increment),
            matched: seen.matched,
        })
    }

    /// Entries that the OK packet tells.
    pub(super) fn after(
        &self,
        scope: &Scope,
        plan: &WritePlan,
        unit: Unit<'_>,
        seen: Seen,
    ) -> Vec<DirtyEntry> {
        let Some(answer) = self.answer(seen) else { return Vec::new() };
        let entries = plan.after(&scope.ruleset, unit.values, answer);
        if let (Some(entry), Some(ledger), 1..) =
            (entries.first(), &self.shared.ledger, answer.insert_id)
            && plan.insert_id_is_key
            && !self.state.may_hide_tables
        {
            ledger.raise_watermark(entry.dirty.table(), answer.insert_id);
        }
        Self::captured(scope, entries)
    }

    /// Those of the entries whose tables are captured.
    pub(super) fn captured(scope: &Scope, mut entries: Vec<DirtyEntry>) -> Vec<DirtyEntry> {
        entries.retain(|entry| scope.tables.contains(entry.dirty.table()));
        entries
    }

    /// Answers the application's statement with an ERR packet that MySQL gave to a statement of Segue's.
    pub(super) async fn refuse(
        &mut self,
        error: &[u8],
        reply: &mut Reply,
    ) -> Result<Seen, SessionError> {
        self.client.send_packet(reply.sequence, error).await.map_err(client_io)?;
        let code = ErrPacket::parse(error).map(|e| e.code).ok();
        Ok(Seen { error: code, results: 1, ..Seen::default() })
    }

    /// The server says that no transaction is open, but writes were not owed: nobody saw the commit
    /// (or the rollback after a deadlock). Late, but a superset.
    pub(super) async fn settle_late(&mut self, scope: &Scope) {
        if self.state.in_transaction() || self.state.status_is_stale {
            return;
        }
        if !self.writes.is_empty()
            && let Some(debt) = self.owe_before(scope, &[]).await
        {
            debt.committed(None);
        }
        self.writes.clear();
    }
}

/// Sweeps of every table that a plan captures, and of those that foreign keys reach from there.
pub(super) fn sweeps(scope: &Scope, plan: &WritePlan, reason: &str) -> Vec<DirtyEntry> {
    let captures = 0..plan.captures.len();
    captures.flat_map(|capture| plan.swept(&scope.ruleset, capture, reason)).collect()
}

/// Rows with generated keys may be there, but no OK packet tells which: the answer was a result set, or
/// an error in the midst of a table without transactions.
pub(super) fn not_told(scope: &Scope, plan: &WritePlan, seen: Seen) -> bool {
    match seen.error {
        Some(_) => !transactional(scope, plan),
        None => seen.ok.is_none(),
    }
}

/// A failed statement changed nothing: all written tables are in an engine with transactions.
pub(super) fn transactional(scope: &Scope, plan: &WritePlan) -> bool {
    plan.captures.iter().all(|capture| {
        scope
            .ruleset
            .catalog
            .table(&capture.table)
            .is_some_and(|table| table.engine.eq_ignore_ascii_case("InnoDB"))
    })
}
