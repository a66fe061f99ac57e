//! The dispatcher of refreshes, and what follows from how each of them ended.
//! Never here: the steps of a refresh.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use segue_config::limits;
use segue_rules::value::ItemKey;
use tokio::sync::Semaphore;

use super::ledger::Ending;
use super::parts::{Shared, State, entity_named};
use super::queue::{Batch, Priority, RefreshEnd, Target, Waiter};
use super::run::{Ended, Group, Outcome, ParkKind, back_off, run_batch, run_groups};

/// Longest sleep of the dispatcher; it is woken by work, so this is only a backstop.
const IDLE_WAIT: Duration = Duration::from_secs(60);

/// Places for batches that run at the same time.
struct Places {
    /// All of them.
    any: Arc<Semaphore>,
    /// Those that batches take that are not live.
    background: Arc<Semaphore>,
    /// For batches that take long, so that the others go on.
    lingering: Arc<Semaphore>,
}

/// Hands batches of due keys to tasks until the mirror stops.
pub(crate) async fn dispatch(shared: Arc<Shared>) {
    let batches = shared.settings.batches_concurrent;
    let background = batches.saturating_sub(limits::REFRESH_BATCHES_LIVE).max(1);
    let places = Places {
        any: Arc::new(Semaphore::new(batches)),
        background: Arc::new(Semaphore::new(background)),
        lingering: Arc::new(Semaphore::new(limits::REFRESH_BATCHES_LINGERING)),
    };
    loop {
        let place = tokio::select! {
            () = shared.stop.cancelled() => return,
            place = places.any.clone().acquire_owned() => place,
        };
        let Ok(place) = place else { return };
        let (Taken { batch, groups }, background) = loop {
            let background = places.background.clone().try_acquire_owned().ok();
            let (taken, due) = take(&shared, background.is_none());
            if let Some(taken) = taken {
                let background = background.filter(|_| taken.batch.priority != Priority::Live);
                break (taken, background);
            }
            drop(background);
            tokio::select! {
                () = shared.stop.cancelled() => return,
                () = shared.work.notified() => {}
                () = tokio::time::sleep_until(due.into()) => {}
            }
        };
        let (worker, lingering) = (shared.clone(), places.lingering.clone());
        shared.spawn(async move {
            let settle = |target: &Target, ended| settle(&worker, target, ended);
            let run = async {
                tokio::join!(
                    run_batch(&worker, batch, settle),
                    run_groups(&worker, groups, &settle)
                );
            };
            let mut run = std::pin::pin!(run);
            let lingers = async {
                tokio::time::sleep(limits::REFRESH_BATCH_LINGERS).await;
                lingering.acquire().await
            };
            let make_room = || {
                drop((place, background));
                worker.work.notify_one();
            };
            tokio::select! {
                () = &mut run => make_room(),
                _place = lingers => {
                    make_room();
                    run.await;
                }
            }
        });
    }
}

/// Keys that begin now.
struct Taken {
    /// Each on its own.
    batch: Batch,
    /// Those of one group together.
    groups: Vec<Group>,
}

/// The next keys, or when to look again.
fn take(shared: &Shared, live_only: bool) -> (Option<Taken>, Instant) {
    let (now, ruleset) = (shared.now(), shared.ruleset());
    shared.paces.name_hot_keys(now);
    let mut look_again = now + IDLE_WAIT;
    let table = |entity: &str| Some(entity_named(&ruleset, entity)?.dynamo_table.as_str());
    let room = |entity: &str| match table(entity).map(|table| shared.paces.room(table, now)) {
        // Nothing holds back a key that is to be dropped.
        None => usize::MAX,
        Some(Ok(count)) => count,
        Some(Err(moment)) => {
            look_again = look_again.min(moment);
            0
        }
    };
    let mut state = shared.state.lock();
    wake(shared, &mut state);
    let mut batch = state.queue.take(shared.settings.batch_keys_max, live_only, room);
    let groups =
        batch.as_mut().map(|batch| shared.gather(&mut state, batch, now)).unwrap_or_default();
    let due = state.queue.next_due();
    drop(state);
    if let Some(batch) = &batch
        && let Some((target, _)) = batch.keys.first()
        && let Some(table) = table(&target.entity)
    {
        shared.paces.begin(table, now, batch.keys.len());
    }
    let taken = batch.map(|batch| Taken { batch, groups });
    (taken, due.map_or(look_again, |due| due.min(look_again)))
}

fn wake(shared: &Shared, state: &mut State) {
    let unparked = state.queue.wake(shared.now());
    if unparked.is_empty() {
        return;
    }
    state.unparked(unparked);
    shared.set_gauges(state);
}

/// Books the end of one key's run.
fn settle(shared: &Shared, target: &Target, (outcome, candidates): Ended) {
    match of_passing(shared, target, outcome) {
        Outcome::Done => {
            shared.applied.note(target, shared.now());
            finish(shared, target, Ending::Applied);
        }
        Outcome::Unmapped => {
            tracing::info!(entity = %target.entity, "a key owed to an entity no longer mapped is dropped");
            finish(shared, target, Ending::Nothing);
        }
        Outcome::Respelled(key) => {
            let mut state = shared.state.lock();
            let unparked = state.queue.respell(target, key, candidates);
            state.unparked(unparked);
        }
        Outcome::Retry(reason) => {
            let mut state = shared.state.lock();
            let attempts = state.queue.attempts(target);
            let wait =
                back_off(attempts, limits::REFRESH_RETRY_MS_MIN, limits::REFRESH_RETRY_MS_MAX);
            state.queue.retry(target, candidates, shared.now() + wait);
            drop(state);
            tracing::debug!(entity = %target.entity, attempts, %reason, "a refresh is tried again");
        }
        Outcome::Paused(until) => shared.state.lock().queue.delay(target, candidates, until),
        Outcome::Overtaken => {
            let mut state = shared.state.lock();
            let (times, now) = (state.queue.times_overtaken(target), shared.now());
            let wait = back_off(times, limits::GROUP_RETRY_MS_MIN, limits::GROUP_RETRY_MS_MAX);
            state.queue.overtaken(target, candidates, now + wait);
        }
        Outcome::Apart => {
            shared.state.lock().queue.set_apart(target, candidates, shared.now());
        }
        Outcome::Park { reason, kind } => park(shared, target, candidates, reason, kind),
    }
    if shared.settings.whole_transactions {
        shared.state.lock().queue.go_on();
    }
    shared.work.notify_one();
    shared.progress.notify_waiters();
}

/// Two rows are read one after the other, so they may seem to meet while both are on their way: a collision
/// counts once it has been seen some times.
fn of_passing(shared: &Shared, target: &Target, outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Park { kind: ParkKind::Collision, .. }
            if shared.state.lock().queue.attempts(target) < limits::COLLISIONS_BEFORE_PARKED =>
        {
            // Not the reason itself, which names rows.
            Outcome::Retry("two rows met on one item key".to_owned())
        }
        outcome => outcome,
    }
}

fn finish(shared: &Shared, target: &Target, last: Ending) {
    let mut closed = Vec::new();
    let mut callers = Vec::new();
    {
        let mut state = shared.state.lock();
        let mut entries = Vec::new();
        for waiter in state.queue.done(target) {
            match waiter {
                Waiter::Entry(entry) => entries.push(entry),
                Waiter::Caller(caller) => callers.push(caller),
            }
        }
        let count = entries.len();
        for (index, entry) in entries.into_iter().enumerate() {
            closed.extend(state.ledger.end_work(entry, last.of(index, count)));
        }
    }
    for caller in callers {
        let _ = caller.send(RefreshEnd::Done);
    }
    shared.close(closed);
}

fn park(
    shared: &Shared,
    target: &Target,
    candidates: BTreeSet<ItemKey>,
    reason: String,
    kind: ParkKind,
) {
    let (callers, owed) = {
        let mut state = shared.state.lock();
        let now = shared.now();
        let due = match kind {
            ParkKind::Row => None,
            ParkKind::Collision | ParkKind::Refused => {
                let attempts = state.queue.attempts(target);
                let attempts = attempts.saturating_sub(limits::COLLISIONS_BEFORE_PARKED);
                Some(
                    now + back_off(
                        attempts,
                        limits::PARKED_RETRY_MS_MIN,
                        limits::PARKED_RETRY_MS_MAX,
                    ),
                )
            }
        };
        let (callers, entries) = state.queue.park(target, candidates, reason.clone(), now, due);
        for &entry in &entries {
            state.ledger.set_parked(entry, true);
        }
        if !entries.is_empty() {
            shared.set_gauges(&state);
        }
        (callers, !entries.is_empty())
    };
    // The reason may name a row's key: it is for the report, never for the log.
    tracing::warn!(entity = %target.entity, kind = ?kind, "a key is parked");
    for caller in callers {
        let _ = caller.send(match kind {
            ParkKind::Refused => RefreshEnd::Refused(reason.clone()),
            ParkKind::Row | ParkKind::Collision => {
                RefreshEnd::Parked { owed, reason: reason.clone() }
            }
        });
    }
}
