//! The application's transactions: owed before the commit, committed or not, heard of or not.
//! Never here: what a sidecar does with a debt.

use segue_rules::owed::Answer;

use crate::actions::Play;
use crate::broken::Broken;
use crate::scenario::{Change, Layout, Scenario};
use crate::world::{Debt, Row, Stage, Transaction, World};

/// The lock on the parent; rows are locked by their number.
const PARENT: u8 = u8::MAX;

fn lock(row: u8, change: Change) -> u8 {
    if matches!(change, Change::Parent { .. }) { PARENT } else { row }
}

/// Whether no transaction under way holds the lock that this touch needs.
pub(crate) fn unlocked(scenario: &Scenario, world: &World, touch: usize) -> bool {
    let touch = scenario.touches[touch];
    let wanted = lock(touch.row, touch.change);
    world.transactions.iter().all(|other| {
        !matches!(other.stage, Stage::Open | Stage::Loose)
            || lock(other.row, other.change) != wanted
    })
}

impl Play<'_> {
    /// The statements have run and hold their locks: the old image is read, the debt is journaled.
    pub fn owe(&mut self, sidecar: u8, touch: usize) {
        let touch = self.scenario.touches[touch];
        let number = self.world.transactions.len() as u8;
        let old = self.world.home(self.scenario, touch.row);
        let reads = self.scenario.layout != Layout::Own && !self.scenario.is(Broken::NoOldImage);
        let debt = Debt {
            row: touch.row,
            stale: old.filter(|_| reads && !touch.swept),
            sweep: touch.swept,
            transaction: Some(number),
        };
        let late = self.scenario.is(Broken::JournalAfterCommit);
        let record = (!late).then(|| self.append(sidecar, debt.clone()));
        self.world.transactions.push(Transaction {
            stage: Stage::Open,
            sidecar,
            row: touch.row,
            change: touch.change,
            debt,
            record,
        });
    }

    /// MySQL commits, and its answer arrives.
    pub fn commit(&mut self, number: u8) {
        self.apply(number);
        let transaction = &mut self.world.transactions[usize::from(number)];
        if self.scenario.is(Broken::JournalAfterCommit) {
            transaction.stage = Stage::Late;
            return;
        }
        self.end(number, Answer::Committed);
    }

    /// The debt of a commit that was answered before it was journaled.
    pub fn journal_late(&mut self, number: u8) {
        let transaction = &mut self.world.transactions[usize::from(number)];
        transaction.stage = Stage::Committed;
        let (sidecar, debt) = (transaction.sidecar, transaction.debt.clone());
        let record = self.append(sidecar, debt);
        self.world.transactions[usize::from(number)].record = Some(record);
        self.end(number, Answer::Committed);
    }

    /// MySQL rolls back, and says so.
    pub fn roll_back(&mut self, number: u8) {
        self.world.spent.rollbacks += 1;
        self.world.transactions[usize::from(number)].stage = Stage::RolledBack;
        self.end(number, Answer::RolledBack);
    }

    /// The connection breaks while MySQL works on the commit.
    pub fn unheard(&mut self, number: u8) {
        self.world.spent.unheard += 1;
        self.world.transactions[usize::from(number)].stage = Stage::Loose;
        let answer = match self.scenario.broken {
            Broken::UncertainForgotten => Answer::RolledBack,
            Broken::UncertainSettledEarly => Answer::Committed,
            _ => Answer::None,
        };
        self.end(number, answer);
    }

    /// MySQL comes to an end with a commit that nobody waits for.
    pub fn resolve(&mut self, number: u8, commits: bool) {
        if commits {
            self.apply(number);
        } else {
            self.world.transactions[usize::from(number)].stage = Stage::RolledBack;
        }
        self.forget_transaction(number);
    }

    fn end(&mut self, number: u8, answer: Answer) {
        let transaction = &self.world.transactions[usize::from(number)];
        let (sidecar, debt, record) =
            (transaction.sidecar, transaction.debt.clone(), transaction.record);
        self.answered(sidecar, debt, record, answer, false);
        if self.world.transactions[usize::from(number)].stage != Stage::Loose {
            self.forget_transaction(number);
        }
    }

    /// An ended transaction's particulars matter no more: states that differ in them are one.
    fn forget_transaction(&mut self, number: u8) {
        let transaction = &mut self.world.transactions[usize::from(number)];
        transaction.sidecar = 0;
        transaction.row = 0;
        transaction.change = Change::Delete;
        transaction.debt = Debt { row: 0, stale: None, sweep: false, transaction: None };
        transaction.record = None;
    }

    fn apply(&mut self, number: u8) {
        let transaction = &mut self.world.transactions[usize::from(number)];
        transaction.stage = Stage::Committed;
        let (row, change) = (transaction.row, transaction.change);
        match change {
            Change::Parent { at } => self.world.parent = at,
            _ => self.world.rows[usize::from(row)] = written(number, change),
        }
    }
}

/// What a read of the row finds: what is committed, unless that is broken.
pub(crate) fn read_row(scenario: &Scenario, world: &World, row: u8) -> Option<Row> {
    let open = world.transactions.iter().zip(0..).find(|(transaction, _)| {
        transaction.row == row
            && matches!(transaction.stage, Stage::Open | Stage::Loose)
            && !matches!(transaction.change, Change::Parent { .. })
    });
    match open {
        Some((transaction, number)) if scenario.is(Broken::ReadUncommitted) => {
            written(number, transaction.change)
        }
        _ => world.row(row),
    }
}

fn written(number: u8, change: Change) -> Option<Row> {
    let version = number + 1;
    match change {
        Change::Put { at, value } => Some(Row { at, value: value.unwrap_or(version), version }),
        Change::Delete | Change::Parent { .. } => None,
    }
}
