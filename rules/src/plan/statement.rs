//! Statement x ruleset -> plan: the dispatch over statement forms.
//! Never here: the details of a form (see `insert` and `update`).

use super::refusal_codes as codes;
use super::{SessionChange, SqlMode, StatementPlan, TransactionVerb, insert, resolve, update};
use crate::catalog::{Catalog, ServerKind};
use crate::entity::Ruleset;
use crate::sql::statement::{Cause, Name, Setting, Statement, Verb};
use crate::sql::{Dialect, Digested, Reading, parse, version_number};
use crate::value::TableName;

/// How statements to the catalog's server are to be read.
pub fn reading<'a>(catalog: &Catalog, sql_mode: SqlMode, charset: &'a str) -> Reading<'a> {
    let dialect = match catalog.server {
        ServerKind::MySql => Dialect::MySql,
        ServerKind::MariaDb => Dialect::MariaDb,
    };
    Reading { sql_mode, dialect, version: version_number(&catalog.version), charset }
}

/// Plans one statement. `schema` is the session's current schema.
pub fn plan(
    ruleset: &Ruleset,
    digested: &Digested,
    schema: Option<&str>,
    mode: SqlMode,
) -> StatementPlan {
    match parse(digested) {
        Statement::Harmless => StatementPlan::Harmless,
        Statement::Transaction(verb) => StatementPlan::Transaction(transaction(verb)),
        Statement::Use(schema) => StatementPlan::Session(SessionChange::Use(schema)),
        Statement::Set(settings) => set(settings),
        Statement::Ddl { tables } => ddl(ruleset, &tables, schema),
        Statement::Opaque(Cause::Load(Some(table)))
            if insert::touches_nothing_mapped(ruleset, &table, schema) =>
        {
            StatementPlan::Harmless
        }
        Statement::Opaque(cause) => opaque(&cause),
        Statement::Insert(statement) => insert::plan(ruleset, digested, &statement, schema, mode),
        Statement::Update(statement) => {
            update::plan_update(ruleset, digested, &statement, schema, mode)
        }
        Statement::Delete(statement) => {
            update::plan_delete(ruleset, digested, &statement, schema, mode)
        }
    }
}

fn transaction(verb: Verb) -> TransactionVerb {
    match verb {
        Verb::Begin => TransactionVerb::Begin,
        Verb::Commit => TransactionVerb::Commit,
        Verb::Rollback => TransactionVerb::Rollback,
        Verb::Savepoint => TransactionVerb::Savepoint,
        Verb::RollbackToSavepoint => TransactionVerb::RollbackToSavepoint,
        Verb::ReleaseSavepoint => TransactionVerb::ReleaseSavepoint,
    }
}

fn set(settings: Vec<Setting>) -> StatementPlan {
    match settings.as_slice() {
        [Setting::AutocommitOn] => {
            return StatementPlan::Transaction(TransactionVerb::AutocommitOn);
        }
        [Setting::AutocommitOff] => {
            return StatementPlan::Transaction(TransactionVerb::AutocommitOff);
        }
        _ => {}
    }
    let mut changes: Vec<SessionChange> = settings
        .into_iter()
        .map(|setting| match setting {
            // Together with other settings: the server is asked, and the answer's flags decide.
            Setting::AutocommitOn | Setting::AutocommitOff | Setting::Unknown => {
                SessionChange::Unknown
            }
            Setting::SqlMode(mode) => SessionChange::SqlMode(mode),
            Setting::Names(charset) => SessionChange::Names(charset),
            Setting::Isolation => SessionChange::Isolation,
            Setting::InsertId => SessionChange::InsertId,
        })
        .collect();
    if changes.contains(&SessionChange::Unknown) {
        // The server is asked for all but what holds for the next transaction or statement only.
        changes.retain(|c| matches!(c, SessionChange::Isolation | SessionChange::InsertId));
        changes.push(SessionChange::Unknown);
    }
    match changes.pop() {
        Some(change) if changes.is_empty() => StatementPlan::Session(change),
        Some(change) => {
            changes.push(change);
            StatementPlan::Session(SessionChange::Many(changes))
        }
        None => StatementPlan::Harmless,
    }
}

fn ddl(ruleset: &Ruleset, names: &[Name], schema: Option<&str>) -> StatementPlan {
    let mut tables: Vec<TableName> = names
        .iter()
        .filter_map(|name| resolve::table(ruleset, name, schema))
        .filter(|table| ruleset.sources.contains_key(&table.name))
        .map(|table| table.name.clone())
        .collect();
    tables.sort();
    tables.dedup();
    let whole = names.iter().any(|name| {
        name.schema.is_none() && resolve::is_mapped_schema(&ruleset.catalog, &name.name)
    });
    if whole {
        tables.clear();
    } else if tables.is_empty() {
        return StatementPlan::ImplicitCommit;
    }
    let place = tables.join(", ");
    StatementPlan::Opaque { refusal: codes::DDL.refusal(place), tables, commits: true }
}

fn opaque(cause: &Cause) -> StatementPlan {
    let (code, place) = match cause {
        Cause::Call => (codes::CALL, "CALL"),
        Cause::Load(_) => (codes::LOAD, "LOAD"),
        Cause::Prepared => (codes::PREPARED, "EXECUTE"),
        Cause::Compound => (codes::COMPOUND, "BEGIN"),
        Cause::Xa => (codes::XA, "XA"),
        Cause::Unknown => (codes::UNKNOWN_STATEMENT, "statement"),
        Cause::Clause(clause) => (codes::CLAUSE, clause.as_str()),
    };
    // Procedures and whatever else is not followed may hold a COMMIT.
    StatementPlan::Opaque { refusal: code.refusal(place), tables: Vec::new(), commits: true }
}
