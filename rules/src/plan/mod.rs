//! Statement x ruleset -> plan: what a statement may change and how its keys are learnt.
//! Never here: packets or connections; the session carries plans out.

use std::sync::Arc;

use serde::Serialize;

use crate::entity::{Change, Ruleset};
use crate::txn::DirtyEntry;
use crate::value::{Cell, TableName};

/// Session settings that change how text is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SqlMode {
    pub ansi_quotes: bool,
    pub no_backslash_escapes: bool,
    pub no_auto_value_on_zero: bool,
    pub pipes_as_concat: bool,
}

/// Why a statement's keys cannot be known (or, later, why DynamoDB cannot answer it).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Refusal {
    /// Stable code, for example `W003-subquery`; every code is documented in the reference.
    pub code: &'static str,
    /// What in the statement is at fault (no literals).
    pub place: String,
    pub hint: &'static str,
}

/// Where a value comes from at execution: the n-th slot of the statement, counted in text order over
/// literals and `?` parameters alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Slot(pub usize);

/// The value of a slot in one execution.
#[derive(Clone, Debug, PartialEq)]
pub enum SlotValue {
    Null,
    /// Integer literal or integer parameter.
    Int(i64),
    UInt(u64),
    /// DECIMAL literal text, for example `1.50`.
    Decimal(String),
    Double(f64),
    /// Character string in the connection's character set, decoded to UTF-8.
    Text(String),
    /// Hex or bit literal, or a binary parameter.
    Bytes(Vec<u8>),
    /// Temporal parameter (binary protocol) or typed literal.
    Temporal(Cell),
    /// A value that this layer does not understand (for example an unknown introducer).
    Opaque,
}

/// What one statement means for capture.
#[derive(Clone, Debug)]
pub enum StatementPlan {
    /// Changes no mapped row and no transaction or session state that matters.
    Harmless,
    Transaction(TransactionVerb),
    Session(SessionChange),
    /// Writes tables of interest and its keys can be learnt.
    Write(Arc<WritePlan>),
    /// May write: `tables` (empty: every mapped table) are swept after it. `commits`: it also ends the transaction implicitly.
    Opaque { refusal: Refusal, tables: Vec<TableName>, commits: bool },
    /// DDL and other statements that commit implicitly but change no mapped rows.
    ImplicitCommit,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransactionVerb {
    /// Also START TRANSACTION; commits an open transaction first.
    Begin,
    Commit,
    Rollback,
    Savepoint,
    RollbackToSavepoint,
    ReleaseSavepoint,
    /// `SET autocommit = 1` commits an open transaction.
    AutocommitOn,
    AutocommitOff,
}

/// Session state that a statement sets and that later plans depend on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionChange {
    Use(String),
    /// `SET sql_mode = <literal>`.
    SqlMode(String),
    /// `SET NAMES x` / `SET CHARACTER SET x`.
    Names(String),
    /// A SET that may touch what matters in a way not understood: ask the server before the next plan.
    Unknown,
    /// Several of the above in one SET.
    Many(Vec<SessionChange>),
}

/// Capture plan of one digest.
#[derive(Debug)]
pub struct WritePlan {
    pub captures: Vec<Capture>,
}

/// How the keys of one written table are learnt.
#[derive(Debug)]
pub struct Capture {
    pub table: TableName,
    pub change: Change,
    pub how: CaptureHow,
}

/// See the owner's module; the session only uses [`WritePlan::bind`].
#[derive(Debug)]
pub enum CaptureHow {}

/// A SELECT that Segue runs on the application's connection, in its transaction, before the statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preselect {
    /// Index into [`WritePlan::captures`].
    pub capture: usize,
    /// Complete text, literals included, ends in FOR UPDATE; for the text protocol.
    pub sql: String,
}

/// A plan bound to the values of one execution: what must happen before the statement is sent.
#[derive(Debug)]
pub struct Bound {
    pub preselects: Vec<Preselect>,
    /// Known before the statement runs.
    pub entries: Vec<DirtyEntry>,
    /// An autocommitted statement must be wrapped in a transaction: it has preselects or needs an
    /// old image.
    pub wrap: bool,
    /// Keys come from the OK packet: call [`WritePlan::after`]. Under an unwrapped autocommit the
    /// session owes an intent (a `Range` from the table's watermark) first.
    pub from_answer: Option<TableName>,
}

/// What the server answered to a captured statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    pub affected_rows: u64,
    pub insert_id: u64,
    /// `auto_increment_increment` of the session.
    pub increment: u64,
}

impl WritePlan {
    /// Binds slot values. Values that do not fit an exact key degrade to preselects or sweeps.
    pub fn bind(&self, _ruleset: &Ruleset, _slots: &[SlotValue], _session: BindSession<'_>) -> Bound {
        unimplemented!()
    }

    /// Turns the rows of a preselect (text protocol; `None` is NULL) into entries.
    pub fn preselected(&self, _ruleset: &Ruleset, _capture: usize, _rows: &[Vec<Option<Vec<u8>>>]) -> Vec<DirtyEntry> {
        unimplemented!()
    }

    /// Entries known only from the OK packet.
    pub fn after(&self, _ruleset: &Ruleset, _slots: &[SlotValue], _answer: Answer) -> Vec<DirtyEntry> {
        unimplemented!()
    }
}

/// Session facts that binding needs.
#[derive(Clone, Copy, Debug)]
pub struct BindSession<'a> {
    pub sql_mode: SqlMode,
    /// Character set of statement text, for rendering literals in preselects.
    pub charset: &'a str,
    pub autocommit_statement: bool,
}
