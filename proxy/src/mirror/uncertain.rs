//! Commits whose end MySQL did not tell: Segue was killed, or a connection broke in the middle. MySQL
//! may still work on the statement and commit it later, so such debts stay owed until a refresh
//! that begins after the statement's connection has left the server.
//! The same holds for writes that DynamoDB did not answer: they may be carried out later.
//! Never here: how long a debt waits (see `segue_rules::owed`), reading MySQL's list of connections, or
//! looking up keys.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use segue_config::limits;
use segue_rules::owed::{Answer, Fate, Patience, Sight, Verdict, fate};
use segue_rules::txn::Dirty;
use segue_rules::value::{ItemKey, SourceKey};
use serde::{Deserialize, Serialize};

use super::intake::Seen;
use super::ledger::DebtId;
use super::owed;
use super::parts::{Shared, State};
use super::queue::Priority;
use super::queue::Target;
use super::record::{Debt, OldDriving, OldImage};
use crate::journal::RecordId;
use crate::mysql::control::{Connections, ControlError};

/// MySQL's side of the session that a debt belongs to.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Session {
    /// The connection's number in the server's greeting: the low 32 bits of its id.
    pub connection: u32,
    /// When it was owed, in milliseconds of Unix time: by it a restart of the server is noticed, after
    /// which numbers are given again.
    pub owed_at: u64,
    /// The same moment by a clock that nobody sets. A wall clock that is set forward would look like a restart,
    /// and the commit that is waited for would be missed.
    #[serde(skip)]
    owed: Option<Instant>,
}

/// Of one process or read from its journal.
impl PartialEq for Session {
    fn eq(&self, other: &Session) -> bool {
        (self.connection, self.owed_at) == (other.connection, other.owed_at)
    }
}

impl Session {
    pub fn now(connection: u32) -> Session {
        Session { connection, owed_at: unix_millis(), owed: Some(Instant::now()) }
    }

    fn age(&self) -> Duration {
        match self.owed {
            Some(owed) => owed.elapsed(),
            None => Duration::from_millis(unix_millis().saturating_sub(self.owed_at)),
        }
    }

    /// Whether a look at the server shows that the session's last statement has ended. A connection
    /// that has been given the same number counts as this one: waiting too long is harmless.
    fn has_ended(&self, age: Duration, seen: &Connections) -> bool {
        let restarted = seen.uptime + UPTIME_SLACK < age;
        restarted || !seen.numbers.contains(&self.connection)
    }
}

fn unix_millis() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// The server counts its uptime in whole seconds.
const UPTIME_SLACK: Duration = Duration::from_secs(2);

/// A debt in the books that waits for its connection's end.
#[derive(Debug)]
pub(crate) struct Waiting {
    debt: DebtId,
    /// `None`: no commit is waited for.
    session: Option<Session>,
    since: Instant,
    /// Writes that nobody answered may arrive until then.
    until: Instant,
    /// Of which item, if it is one that was not answered; its time can grow.
    late: Option<(Target, ItemKey)>,
    patience: Patience,
}

/// What a look at the server says about the waiting debts.
enum Look {
    Seen(Connections),
    /// Other accounts' connections are hidden from the control account.
    Hidden,
    /// MySQL does not answer now.
    Nothing,
}

impl Look {
    fn at(&self, session: Option<&Session>, waited: Duration) -> Sight {
        match (session, self) {
            (None, _) => Sight::Gone,
            (Some(_), Look::Nothing) => Sight::Nothing,
            (Some(_), Look::Hidden) => Sight::Hidden,
            (Some(session), Look::Seen(seen)) => {
                match session.has_ended(waited.max(session.age()), seen) {
                    true => Sight::Gone,
                    false => Sight::There,
                }
            }
        }
    }
}

impl State {
    /// Commits may show in MySQL whose keys are not in the queue: they wait in the journal, or nobody knows
    /// when they end.
    pub(crate) fn commits_are_hidden(&self) -> bool {
        !self.backlog.is_empty()
            || !self.recovered.is_empty()
            // Their keys are being looked up, and they were not announced.
            || self.expanding > self.announced.len()
            || self.uncertain.iter().any(|waiting| waiting.session.is_some())
    }

    /// A debt waits for time, not for work; or no longer.
    fn set_aside(&mut self, debt: DebtId, aside: bool) {
        let entries = self.ledger.debt(debt).map(|(_, entries)| entries).unwrap_or_default();
        for entry in entries {
            self.ledger.set_aside(entry, aside);
        }
    }
}

impl Shared {
    /// Takes up a debt whose commit may still be to come.
    pub(crate) fn take_up_uncertain(self: &Arc<Self>, debt: Debt, record: Option<RecordId>) {
        let now = self.now();
        self.hold(debt, record, now, now, Seen::First);
    }

    /// Takes up a debt of an earlier process, whose last writes may arrive until `settled`.
    pub(crate) fn take_up_recovered(
        self: &Arc<Self>,
        debt: Debt,
        record: RecordId,
        settled: Instant,
    ) {
        let waiting = self.state.lock().uncertain.len();
        match waiting < self.settings.debts_waiting_max {
            true => self.hold(debt, Some(record), self.now(), settled, Seen::First),
            false => self.shelve_recovered(&debt, record),
        }
    }

    pub(crate) fn hold(
        self: &Arc<Self>,
        debt: Debt,
        record: Option<RecordId>,
        since: Instant,
        until: Instant,
        seen: Seen,
    ) {
        let session = debt.session;
        let waits = fate(Answer::None, session.is_some(), until > self.now()) == Fate::Wait;
        if debt.entries.is_empty() || (!waits && seen == Seen::First) {
            // Nobody's statement: a sweep of Segue's own.
            self.take_up(debt, record, false, None);
            return;
        }
        if !waits {
            let id = self.open(debt, record, since, seen, |state, _| state.expanding += 1);
            self.spawn_expansion(id, Priority::Owed);
            return;
        }
        // Whole tables are gone through once, when everything has arrived.
        let patience = match session {
            None if debt.is_sweeps() => Patience::to_the_end(),
            _ => Patience::default(),
        };
        self.open(debt, record, since, seen, |state, debt| {
            state.uncertain.push(Waiting { debt, session, since, until, late: None, patience });
            state.set_aside(debt, true);
        });
        self.uncertain_added.notify_one();
    }

    /// A put that found no item of the row (or another row's) was not answered. It may arrive after a delete
    /// that found nothing to delete, so the row is refreshed once more when it cannot arrive any longer.
    pub(crate) async fn owe_late(&self, target: &Target, item: &ItemKey) {
        let now = self.now();
        let until = now + self.settings.late_write;
        if until <= now {
            return;
        }
        let late = (target.clone(), item.clone());
        if let Some(known) = self.state.lock().late.get_mut(&late) {
            *known = until;
            return;
        }
        let key = SourceKey { table: target.table.clone(), key: target.key.clone() };
        let driving = OldDriving {
            entity: target.entity.to_string(),
            table: target.table.clone(),
            key: target.key.clone(),
            item: Some(item.clone()),
        };
        let old = OldImage { driving: vec![driving], ..OldImage::default() };
        let debt = Debt { entries: vec![Dirty::Key(key)], old, session: None };
        let (debt, record, unwritten) = owed::record(self, &self.ruleset(), debt).await;
        self.open(debt, record, now, Seen::First, |state, debt| {
            state.late.insert(late.clone(), until);
            let (session, since, late, patience) = (None, now, Some(late), Patience::to_the_end());
            state.uncertain.push(Waiting { debt, session, since, until, late, patience });
            state.set_aside(debt, true);
        });
        drop(unwritten);
        self.uncertain_added.notify_one();
    }

    /// Expands what need not wait any longer, and what waits for the first time. Returns how many wait.
    fn sort_out(self: &Arc<Self>, look: &Look) -> usize {
        let (now, mut late) = (self.now(), 0);
        let (mut ended, mut early) = (Vec::new(), Vec::new());
        let left = {
            let mut state = self.state.lock();
            let State { uncertain, late: items, .. } = &mut *state;
            uncertain.retain_mut(|waiting| {
                let waited = now.saturating_duration_since(waiting.since);
                let until = waiting.late.as_ref().and_then(|late| items.get(late)).copied();
                let verdict = waiting.patience.judge(
                    look.at(waiting.session.as_ref(), waited),
                    now < until.unwrap_or(waiting.until),
                    waited,
                    limits::UNCERTAIN_GRACE,
                    limits::UNCERTAIN_WAIT_MAX,
                );
                late += usize::from(verdict == Verdict::TooLate);
                match verdict {
                    Verdict::Wait => return true,
                    Verdict::Early => early.push(waiting.debt),
                    Verdict::Settle | Verdict::TooLate => {
                        if let Some(item) = &waiting.late {
                            items.remove(item);
                        }
                        ended.push(waiting.debt);
                    }
                }
                verdict == Verdict::Early
            });
            state.expanding += ended.len();
            for id in &ended {
                state.set_aside(*id, false);
            }
            state.uncertain.len()
        };
        if late > 0 {
            tracing::error!(
                late,
                "connections lasted too long after a commit of unknown end; their keys are refreshed \
                 now, a later commit would be missed"
            );
        }
        for id in early {
            self.expand_again(id);
        }
        for id in ended {
            self.spawn_expansion(id, Priority::Owed);
        }
        self.room.notify_one();
        left
    }

    async fn look(&self, visible_at_start: bool) -> Look {
        let commits = self.state.lock().uncertain.iter().any(|waiting| waiting.session.is_some());
        if !commits {
            return Look::Nothing;
        }
        if !visible_at_start {
            return Look::Hidden;
        }
        // Revoked meanwhile? Then a short list would look like connections that are gone.
        match self.connections_visible().await {
            Some(true) => {}
            Some(false) => return Look::Hidden,
            None => return Look::Nothing,
        }
        match self.control.connections().await {
            Ok(seen) => Look::Seen(seen),
            Err(ControlError::Transient(_)) => Look::Nothing,
            Err(error @ ControlError::Rejected(_)) => {
                tracing::warn!(%error, "MySQL's connections cannot be listed");
                Look::Hidden
            }
        }
    }

    /// Whether other accounts' connections show. `None`: MySQL does not answer now.
    async fn connections_visible(&self) -> Option<bool> {
        match self.control.process_grant_missing().await {
            Ok(missing) => Some(missing.is_none()),
            Err(ControlError::Transient(_)) => None,
            Err(ControlError::Rejected(_)) => Some(false),
        }
    }
}

/// Watches the connections of uncertain debts until the mirror stops.
pub(crate) async fn watch(shared: Arc<Shared>) {
    let stop = shared.stop.clone();
    let _ = stop.run_until_cancelled(watch_on(&shared)).await;
}

async fn watch_on(shared: &Arc<Shared>) {
    // A grant given later counts for new connections only, and the pool's may be older.
    let visible_at_start = loop {
        match shared.connections_visible().await {
            Some(visible) => break visible,
            None => tokio::time::sleep(limits::UNCERTAIN_POLL_MAX).await,
        }
    };
    if !visible_at_start {
        tracing::warn!(
            "the control account lacks PROCESS: after a crash or a broken connection, Segue cannot see \
             whether MySQL still works on a statement, and refreshes its keys a second time after {} s \
             instead (docs/reference/grants.md)",
            limits::UNCERTAIN_GRACE.as_secs()
        );
    }
    let mut pause = limits::UNCERTAIN_POLL_MIN;
    loop {
        if shared.state.lock().uncertain.is_empty() {
            pause = limits::UNCERTAIN_POLL_MIN;
            shared.uncertain_added.notified().await;
        }
        let look = shared.look(visible_at_start).await;
        if shared.sort_out(&look) == 0 {
            continue;
        }
        let added = shared.uncertain_added.notified();
        pause = match tokio::time::timeout(pause, added).await {
            Ok(()) => limits::UNCERTAIN_POLL_MIN,
            Err(_) => (pause * 2).min(limits::UNCERTAIN_POLL_MAX),
        };
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn seen(numbers: &[u32], uptime: u64) -> Connections {
        let numbers: BTreeSet<u32> = numbers.iter().copied().collect();
        Connections { numbers, uptime: Duration::from_secs(uptime) }
    }

    #[test]
    fn a_clock_that_is_set_forward_makes_no_session_older() {
        let session = Session { owed_at: 0, ..Session::now(7) };
        assert!(session.age() < Duration::from_secs(3_600));
        assert!(Session { owed: None, ..session }.age() > Duration::from_secs(3_600));
    }

    #[test]
    fn a_session_has_ended_when_its_number_is_gone_or_the_server_was_restarted() {
        let session = Session::now(7);
        let age = Duration::from_secs(60);
        assert!(session.has_ended(age, &seen(&[6, 8], 1_000)));
        assert!(!session.has_ended(age, &seen(&[6, 7], 1_000)));
        // Another connection that was given the number after a restart.
        assert!(session.has_ended(age, &seen(&[6, 7], 50)));
        assert!(!session.has_ended(age, &seen(&[6, 7], 59)));
    }
}
