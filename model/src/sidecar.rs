//! One process: its journal, its books, its jobs; crash and recovery.
//! Never here: the steps of a refresh, sweeps under way.

use std::collections::BTreeSet;
use std::time::Duration;

use segue_rules::owed::{
    Answer, Asked, Closed, DebtId, Ending, EntryId, Fate, Job, JobState, Patience, Sight, Turn,
    TurnState, Verdict, fate,
};
use segue_rules::refresh::may_come_late;

use crate::actions::Play;
use crate::broken::Broken;
use crate::scenario::{Layout, item_key, table};
use crate::world::{Debt, Flight, Later, Sidecar, Stage, Sweep, Waiter};

impl Play<'_> {
    pub fn append(&mut self, sidecar: u8, debt: Debt) -> u8 {
        let journal = &mut self.world.sidecar(sidecar).journal;
        let record = (0..).find(|number| !journal.contains_key(number)).unwrap_or_default();
        journal.insert(record, debt);
        record
    }

    /// What is heard of a commit decides what becomes of its debt.
    pub fn answered(&mut self, sidecar: u8, debt: Debt, record: Option<u8>, answer: Answer) {
        match fate(answer, debt.transaction.is_some()) {
            Fate::Forget => {
                if let Some(record) = record {
                    self.world.sidecar(sidecar).journal.remove(&record);
                }
            }
            Fate::TakeUp => self.take_up(sidecar, debt, record),
            Fate::Wait => {
                let transaction = debt.transaction.unwrap_or_default();
                let id = self.open(sidecar, debt, record);
                let waiting = (id, transaction, Patience::default());
                self.world.sidecar(sidecar).uncertain.push(waiting);
            }
        }
    }

    fn open(&mut self, sidecar: u8, debt: Debt, record: Option<u8>) -> DebtId {
        self.world.sidecar(sidecar).ledger.open(debt, [&table()], record, ())
    }

    pub fn take_up(&mut self, sidecar: u8, debt: Debt, record: Option<u8>) {
        let id = self.open(sidecar, debt, record);
        self.expand(sidecar, id);
    }

    /// Makes the work of a debt, then lets go of one hold on its entries.
    fn expand(&mut self, sidecar: u8, id: DebtId) {
        let Some((debt, entries)) = self.world.sidecar(sidecar).ledger.debt(id) else { return };
        for entry in entries {
            if !self.world.sidecar(sidecar).ledger.add_work(entry) {
                continue;
            }
            if debt.sweep {
                self.owe_sweep(sidecar, entry);
            } else {
                self.request(sidecar, debt.row, debt.stale, Some(Waiter::Entry(entry)));
            }
            self.end_work(sidecar, entry, Ending::Nothing);
        }
    }

    fn owe_sweep(&mut self, sidecar: u8, entry: EntryId) {
        match &mut self.world.sidecar(sidecar).sweep {
            Some(sweep) => drop(sweep.turn.owe(entry)),
            none => *none = Some(Sweep { turn: Turn::new(entry), at: 0, waits: false }),
        }
    }

    pub fn end_work(&mut self, sidecar: u8, entry: EntryId, ending: Ending) {
        let sidecar = self.world.sidecar(sidecar);
        if let Some(Closed { record: Some(record), .. }) = sidecar.ledger.end_work(entry, ending) {
            sidecar.journal.remove(&record);
        }
    }

    pub fn request(&mut self, number: u8, row: u8, stale: Option<u8>, waiter: Option<Waiter>) {
        let sidecar = self.world.sidecar(number);
        let stale = stale.map(item_key);
        let Some(job) = sidecar.jobs.get_mut(&row) else {
            sidecar.jobs.insert(row, Job::new(stale, waiter, ()));
            return;
        };
        let waited = match job.state() {
            JobState::Parked => entries(job.waiters()),
            _ => Vec::new(),
        };
        if job.request(stale, waiter, ()) == Asked::Unparked {
            for entry in waited {
                sidecar.ledger.set_parked(entry, false);
            }
        }
    }

    /// Looks at MySQL's connections for the sake of commits of unknown end.
    pub fn look(&mut self, number: u8) {
        let transactions = self.world.transactions.clone();
        let sidecar = self.world.sidecar(number);
        let (mut early, mut ended) = (Vec::new(), Vec::new());
        sidecar.uncertain.retain_mut(|(debt, transaction, patience)| {
            let there = transactions[usize::from(*transaction)].stage == Stage::Loose;
            let sight = if there { Sight::There } else { Sight::Gone };
            let verdict = patience.judge(sight, Duration::ZERO, Duration::MAX, Duration::MAX);
            match verdict {
                Verdict::Wait => return true,
                Verdict::Early => early.push(*debt),
                Verdict::Settle | Verdict::TooLate => ended.push(*debt),
            }
            verdict == Verdict::Early
        });
        for id in early {
            let ledger = &mut self.world.sidecar(number).ledger;
            let entries = ledger.debt(id).map(|(_, entries)| entries).unwrap_or_default();
            for entry in entries {
                ledger.add_work(entry);
            }
            self.expand(number, id);
        }
        for id in ended {
            self.expand(number, id);
        }
    }

    /// A write without an answer: whether it may still create an item when it was given up long ago.
    pub fn watch_for(&mut self, flight: &Flight) {
        if !may_come_late(flight.request.expect()) || self.scenario.is(Broken::NoWatchForLateWrites)
        {
            return;
        }
        self.watch(flight.from, flight.row, flight.key, BTreeSet::new());
    }

    /// An item was created whose key other rows decide as well.
    pub fn watch_moved(&mut self, number: u8, row: u8, key: u8) {
        if !self.scenario.is(Broken::NoSecondLookAtMovedItems) {
            let under_way = self.world.transactions.iter().zip(0..);
            let under_way = under_way.filter(|(transaction, _)| {
                matches!(transaction.stage, Stage::Open | Stage::Loose | Stage::Late)
            });
            let after = under_way.map(|(_, number)| number).collect();
            self.watch(number, row, key, after);
        }
    }

    fn watch(&mut self, number: u8, row: u8, key: u8, after: BTreeSet<u8>) {
        let debt = Debt { row, stale: Some(key), sweep: false, transaction: None };
        let watched = &mut self.world.sidecar(number).later;
        match watched.iter_mut().find(|other| other.debt == debt) {
            Some(other) => other.after.extend(after),
            None => {
                let record = self.append(number, debt.clone());
                self.world.sidecar(number).later.push(Later { debt, record, after });
            }
        }
    }

    /// No request that was sent before can arrive any more: the debt is taken up (again).
    pub fn take_up_later(&mut self, sidecar: u8, at: usize) {
        let Later { debt, record, .. } = self.world.sidecar(sidecar).later.remove(at);
        self.answered(sidecar, debt, Some(record), Answer::None);
    }

    /// `kill -9` and a new start with the same journal.
    pub fn crash(&mut self, number: u8) {
        self.world.spent.crashes += 1;
        for transaction in &mut self.world.transactions {
            if transaction.sidecar == number && transaction.stage == Stage::Open {
                transaction.stage = Stage::Loose;
            }
            if transaction.sidecar == number && transaction.stage == Stage::Late {
                transaction.stage = Stage::Committed;
            }
        }
        let flights = std::mem::take(&mut self.world.flights);
        let orphaned = |mut flight: Flight| {
            flight.awaited &= flight.from != number;
            flight
        };
        self.world.flights = flights.into_iter().map(orphaned).collect();
        let journal = std::mem::take(&mut self.world.sidecar(number).journal);
        *self.world.sidecar(number) = Sidecar { journal: journal.clone(), ..Sidecar::default() };
        let movable = self.scenario.layout == Layout::Joined && !journal.is_empty();
        for (record, debt) in journal {
            let watched = !self.scenario.is(Broken::NoWatchForLateWrites);
            if watched {
                let again = Later { debt: debt.clone(), record, after: BTreeSet::new() };
                self.world.sidecar(number).later.push(again);
            }
            self.answered(number, debt, (!watched).then_some(record), Answer::None);
        }
        if movable {
            let debt = Debt { row: 0, stale: None, sweep: true, transaction: None };
            let record = self.append(number, debt.clone());
            self.take_up(number, debt, Some(record));
        }
    }
}

/// Whether a sweep has a step to do.
pub(crate) fn sweep_ready(sidecar: &Sidecar) -> bool {
    sidecar.sweep.as_ref().is_some_and(|sweep| {
        !sweep.waits && matches!(sweep.turn.state(), TurnState::Ready | TurnState::Running)
    })
}

pub(crate) fn entries(waiters: &[Waiter]) -> Vec<EntryId> {
    waiters
        .iter()
        .filter_map(|waiter| match waiter {
            Waiter::Entry(entry) => Some(*entry),
            Waiter::Sweep => None,
        })
        .collect()
}
