//! What a statement says, as far as writes are concerned. Expressions stay token ranges: a plan
//! slices them out of the statement, so nothing of them is lost or rewritten.
//! Never here: how it was parsed, or what the tables mean.

use std::ops::Range;

/// Positions in [`super::Digested::tokens`].
pub type Span = Range<usize>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Statement {
    Insert(Insert),
    Update(Update),
    Delete(Delete),
    Transaction(Verb),
    /// One entry per assignment that matters.
    Set(Vec<Setting>),
    Use(String),
    /// Commits implicitly; the tables named may be changed or replaced as a whole.
    Ddl {
        tables: Vec<Name>,
    },
    /// Writes nothing that is stored in tables and ends no transaction.
    Harmless,
    /// May do anything.
    Opaque(Cause),
}

/// Why a statement was not taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    Call,
    /// The table, where it is a LOAD DATA whose table was found.
    Load(Option<Name>),
    Prepared,
    Compound,
    Xa,
    Unknown,
    /// A known statement with a clause that is not understood; the clause's keyword.
    Clause(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    Begin,
    Commit,
    Rollback,
    Savepoint,
    RollbackToSavepoint,
    ReleaseSavepoint,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Setting {
    AutocommitOn,
    AutocommitOff,
    SqlMode(String),
    Names(String),
    /// Isolation level or access mode of this session's transactions.
    Isolation,
    /// The number that the next AUTO_INCREMENT column is given.
    InsertId,
    Unknown,
}

/// A table's name as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    pub schema: Option<String>,
    pub name: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Insert {
    pub table: Name,
    /// `None`: every column in table order.
    pub columns: Option<Vec<String>>,
    pub source: InsertSource,
    pub conflict: Conflict,
    /// `VALUES (..) AS new`: the name of the row about to be inserted.
    pub row_alias: Option<String>,
    /// MariaDB's RETURNING: the answer is a result set, without an insert id.
    pub returning: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InsertSource {
    Rows(Vec<Vec<Span>>),
    /// A plain SELECT: its projection and what follows it, FROM included.
    Select {
        projection: Vec<Span>,
        rest: Span,
    },
    /// A query that is not taken apart (UNION, WITH, TABLE, GROUP BY, `*`).
    Query,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Conflict {
    Error,
    Ignore,
    Replace,
    Update(Vec<Assignment>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    pub column: Column,
    pub value: Span,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Table or alias, with its schema if written.
    pub qualifier: Option<Name>,
    pub name: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    pub tables: TableRefs,
    pub assignments: Vec<Assignment>,
    pub clauses: Clauses,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delete {
    /// Targets by name or alias; empty in the single-table form.
    pub targets: Vec<Name>,
    pub tables: TableRefs,
    pub clauses: Clauses,
}

/// WHERE, ORDER BY and LIMIT, without their keywords.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Clauses {
    pub predicate: Option<Span>,
    pub order: Option<Span>,
    pub limit: Option<Span>,
    /// The statement begins with WITH.
    pub with: bool,
    /// UPDATE IGNORE, DELETE IGNORE.
    pub ignore: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableRefs {
    pub span: Span,
    pub tables: Vec<TableUse>,
    /// Holds a derived table, a table function or something else that is not a base table.
    pub derived: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableUse {
    pub name: Name,
    pub alias: Option<String>,
}

impl TableUse {
    /// The name by which columns refer to it.
    pub fn visible(&self) -> &str {
        self.alias.as_deref().unwrap_or(&self.name.name)
    }
}
