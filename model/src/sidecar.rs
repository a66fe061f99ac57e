//! One process: its journal, its books, its jobs; crash and recovery.
//! Never here: the steps of a refresh, sweeps under way.

use std::time::Duration;

use segue_rules::owed::{
    Answer, Asked, Closed, DebtId, Ending, EntryId, Fate, Job, JobState, Patience, Sight, Turn,
    TurnState, Verdict, fate,
};

use crate::actions::Play;
use crate::broken::Broken;
use crate::scenario::{Layout, item_key, table};
use crate::world::{Debt, Flight, Sidecar, Stage, Sweep, Waiter, Waiting, World};

impl Play<'_> {
    pub fn append(&mut self, sidecar: u8, debt: Debt) -> u8 {
        let journal = &mut self.world.sidecar(sidecar).journal;
        let record = (0..).find(|number| !journal.contains_key(number)).unwrap_or_default();
        journal.insert(record, debt);
        record
    }

    /// What is heard of a commit decides what becomes of its debt.
    pub fn answered(
        &mut self,
        sidecar: u8,
        debt: Debt,
        record: Option<u8>,
        answer: Answer,
        late_writes: bool,
    ) {
        match fate(answer, debt.transaction.is_some(), late_writes) {
            Fate::Forget => {
                if let Some(record) = record {
                    self.world.sidecar(sidecar).journal.remove(&record);
                }
            }
            Fate::TakeUp => self.take_up(sidecar, debt, record),
            Fate::Wait => {
                let sweeps = debt.sweep && debt.transaction.is_none();
                let transaction = debt.transaction;
                let patience = if sweeps { Patience::to_the_end() } else { Patience::default() };
                let debt = self.open(sidecar, debt, record);
                let waiting = Waiting { debt, transaction, late_writes, item: None, patience };
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

    /// Looks whether what may still come has come.
    pub fn look(&mut self, number: u8) {
        let transactions = self.world.transactions.clone();
        let orphaned = orphaned(self.world, number);
        let sidecar = self.world.sidecar(number);
        let (mut early, mut ended) = (Vec::new(), Vec::new());
        sidecar.uncertain.retain_mut(|waiting| {
            let stage = waiting.transaction.map(|number| transactions[usize::from(number)].stage);
            let sight = if stage == Some(Stage::Loose) { Sight::There } else { Sight::Gone };
            let (none, ever) = (Duration::ZERO, Duration::MAX);
            let late_writes = waiting.late_writes && orphaned;
            let verdict = waiting.patience.judge(sight, late_writes, none, ever, ever);
            match verdict {
                Verdict::Wait => return true,
                Verdict::Early => early.push(waiting.debt),
                Verdict::Settle | Verdict::TooLate => ended.push(waiting.debt),
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

    /// A put was given up that may still create an item when its row has gone: the row stays owed until
    /// the put cannot arrive any more.
    pub fn owe_late(&mut self, flight: &Flight) {
        let sidecar = &self.world.sidecars[usize::from(flight.from)];
        let run = sidecar.runs.get(&flight.row);
        let item = Some((flight.row, flight.key));
        let known = sidecar.uncertain.iter().any(|waiting| waiting.item == item);
        let late = run.is_some_and(|run| run.machine.put_may_come_late());
        if !late || known || self.scenario.is(Broken::LateWritesForgotten) {
            return;
        }
        let (row, stale) = (flight.row, Some(flight.key));
        let debt = Debt { row, stale, sweep: false, transaction: None };
        let record = self.append(flight.from, debt.clone());
        let debt = self.open(flight.from, debt, Some(record));
        let (transaction, patience) = (None, Patience::to_the_end());
        let waiting = Waiting { debt, transaction, late_writes: true, item, patience };
        self.world.sidecar(flight.from).uncertain.push(waiting);
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
        let late_writes = !self.scenario.is(Broken::LateWritesForgotten);
        for (record, debt) in journal {
            self.answered(number, debt, Some(record), Answer::None, late_writes);
        }
        if movable {
            let debt = Debt { row: 0, stale: None, sweep: true, transaction: None };
            let record = self.append(number, debt.clone());
            self.take_up(number, debt, Some(record));
            if let Some(sweep) = &mut self.world.sidecar(number).sweep {
                sweep.turn.hold();
            }
        }
    }

    /// A sweep that waited for requests that nobody answered may start.
    pub fn release(&mut self, number: u8) {
        if let Some(sweep) = &mut self.world.sidecar(number).sweep {
            sweep.turn.release();
        }
    }
}

/// Whether a request of this process, or of the one before, may still arrive.
pub(crate) fn orphaned(world: &World, number: u8) -> bool {
    world.flights.iter().any(|flight| flight.from == number && !flight.awaited)
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
