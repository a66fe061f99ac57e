//! The state of everything: MySQL, DynamoDB, requests in flight, sidecars, what may still go wrong.
//! Never here: how it changes.

use std::collections::{BTreeMap, BTreeSet};

use segue_rules::owed::{DebtId, EntryId, Job, Ledger, Patience, Turn};
use segue_rules::refresh::{Condition, Moment, Refresh, Seen};

use crate::scenario::{Change, Scenario};

/// A committed row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Row {
    pub at: u8,
    pub value: u8,
    /// The transaction that wrote it, from one; 0: it was there.
    pub version: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Item {
    pub tag: String,
    pub row: u8,
    pub value: u8,
    pub version: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stage {
    /// Owed; its COMMIT is on its way or not.
    Open,
    /// Its sidecar has lost it; MySQL commits it or rolls it back.
    Loose,
    /// Committed, and not yet journaled. Only where that is broken.
    Late,
    Committed,
    RolledBack,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Transaction {
    pub stage: Stage,
    pub sidecar: u8,
    pub row: u8,
    pub change: Change,
    pub debt: Debt,
    pub record: Option<u8>,
}

/// What one transaction owes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Debt {
    pub row: u8,
    /// The row's item key before the commit.
    pub stale: Option<u8>,
    pub sweep: bool,
    /// The transaction that commits it; `None`: nobody's.
    pub transaction: Option<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Request {
    Put { expect: Condition, item: Item },
    Delete { expect: Condition },
}

impl Request {
    pub fn expect(&self) -> &Condition {
        match self {
            Request::Put { expect, .. } | Request::Delete { expect } => expect,
        }
    }
}

/// A request on its way to DynamoDB.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Flight {
    pub from: u8,
    pub row: u8,
    pub key: u8,
    pub request: Request,
    /// Its sender waits for the answer.
    pub awaited: bool,
}

/// Where a refresh is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum At {
    /// About to read the row.
    Reading,
    /// The row has been read, since `moment`.
    Deciding {
        home: Option<u8>,
        moment: Moment,
    },
    /// About to read the other row.
    Checking {
        row: u8,
        key: u8,
    },
    Flying,
    /// Done, but for transactions that may move the row.
    Resting,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Run {
    pub machine: Refresh,
    pub at: At,
    /// What the last read found, for the item.
    pub read: Option<Row>,
    pub home: Option<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Waiter {
    Entry(EntryId),
    Sweep,
}

/// A sweep with the place it has come to: first rows, then items.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Sweep {
    pub turn: Turn<EntryId>,
    pub at: u8,
    /// A refresh of the current place is under way.
    pub waits: bool,
}

/// One process and its journal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Sidecar {
    /// The only thing that survives a crash.
    pub journal: BTreeMap<u8, Debt>,
    pub ledger: Ledger<Debt, u8, ()>,
    pub jobs: BTreeMap<u8, Job<Waiter, ()>>,
    pub runs: BTreeMap<u8, Run>,
    pub tags: BTreeMap<u8, Seen>,
    pub now: Moment,
    pub homes: BTreeMap<u8, u8>,
    /// Item keys for which it was waited until no transaction could move the row.
    pub settled: BTreeMap<u8, u8>,
    pub uncertain: Vec<Waiting>,
    pub sweep: Option<Sweep>,
}

/// A debt in the books that waits for what may still come.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Waiting {
    pub debt: DebtId,
    pub transaction: Option<u8>,
    /// For requests of this process, or of the one before, that nobody answered.
    pub late_writes: bool,
    /// The row and item of such a request.
    pub item: Option<(u8, u8)>,
    pub patience: Patience,
}

/// What has gone wrong so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Spent {
    pub given_up: u8,
    pub repeated: u8,
    pub crashes: u8,
    pub unheard: u8,
    pub rollbacks: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    pub rows: Vec<Option<Row>>,
    pub parent: u8,
    pub transactions: Vec<Transaction>,
    pub items: BTreeMap<u8, Item>,
    pub flights: BTreeSet<Flight>,
    pub sidecars: Vec<Sidecar>,
    pub spent: Spent,
}

impl World {
    pub fn new(scenario: &Scenario) -> World {
        let rows: Vec<Option<Row>> = scenario
            .rows
            .iter()
            .map(|row| row.map(|at| Row { at, value: 0, version: 0 }))
            .collect();
        let mut items = BTreeMap::new();
        for (number, row) in (0..).zip(&rows) {
            let Some(row) = row else { continue };
            let key = scenario.home(number, row.at, 0);
            let tag = tag(items.len());
            items.insert(key, Item { tag, row: number, value: row.value, version: 0 });
        }
        World {
            rows,
            parent: 0,
            transactions: Vec::new(),
            items,
            flights: BTreeSet::new(),
            sidecars: vec![Sidecar::default(); usize::from(scenario.sidecars)],
            spent: Spent::default(),
        }
    }

    pub fn row(&self, row: u8) -> Option<Row> {
        self.rows.get(usize::from(row)).copied().flatten()
    }

    /// The row's item key as things are committed.
    pub fn home(&self, scenario: &Scenario, row: u8) -> Option<u8> {
        self.row(row).map(|found| scenario.home(row, found.at, self.parent))
    }

    pub fn sidecar(&mut self, number: u8) -> &mut Sidecar {
        &mut self.sidecars[usize::from(number)]
    }

    /// A tag that nothing refers to any more is as good as a new one, and keeps states few.
    pub fn fresh_tag(&self) -> String {
        let mut used: BTreeSet<&str> = self.items.values().map(|item| item.tag.as_str()).collect();
        for flight in &self.flights {
            if let Condition::Tag(tag) = flight.request.expect() {
                used.insert(tag);
            }
            if let Request::Put { item, .. } = &flight.request {
                used.insert(&item.tag);
            }
        }
        for sidecar in &self.sidecars {
            used.extend(sidecar.tags.values().map(|seen| seen.tag.as_str()));
            used.extend(sidecar.runs.values().flat_map(|run| run.machine.tags()));
        }
        (0..).map(tag).find(|tag| !used.contains(tag.as_str())).unwrap_or_default()
    }
}

fn tag(number: usize) -> String {
    format!("t{number}")
}
