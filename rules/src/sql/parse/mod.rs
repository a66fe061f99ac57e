//! Digest to statement. Only what may write is taken apart; what is not understood says so.
//! Never here: knowledge of tables or columns.

mod control;
pub(crate) mod cursor;
mod tables;
mod write;

use super::digest::Digested;
use super::statement::{Cause, Statement};
use cursor::{Cursor, Parsed};

/// Takes a statement apart.
///
/// A SELECT counts as harmless although a stored function that it calls may write: nothing in the
/// text tells such a call from a built-in one. Where the schema has functions that modify data, the
/// preflight has to name them.
pub fn parse(digested: &Digested) -> Statement {
    let mut cursor = Cursor::new(digested);
    let first = digested.first_word().to_ascii_uppercase();
    cursor.at = 1;
    if digested.uncertain {
        return Statement::Opaque(Cause::Unknown);
    }
    statement(&mut cursor, &first, digested).unwrap_or_else(Statement::Opaque)
}

fn statement(cursor: &mut Cursor<'_>, first: &str, digested: &Digested) -> Parsed<Statement> {
    Ok(match first {
        "" => parenthesised(cursor),
        "SELECT" | "SHOW" | "TABLE" | "VALUES" | "EXPLAIN" | "DESCRIBE" | "DESC" | "HELP"
        | "DO" | "KILL" | "CHECKSUM" | "GET" | "SIGNAL" | "RESIGNAL" | "HANDLER" | "DEALLOCATE"
        | "PREPARE" | "BINLOG" | "PURGE" | "CLONE" => harmless_or(first),
        "INSERT" => write::insert(cursor, false)?,
        "REPLACE" => write::insert(cursor, true)?,
        "UPDATE" => write::update(cursor, false)?,
        "DELETE" => write::delete(cursor, false)?,
        "WITH" => with(cursor)?,
        "BEGIN" | "START" | "STOP" | "COMMIT" | "ROLLBACK" | "SAVEPOINT" | "RELEASE" => {
            control::transaction(cursor, first)
        }
        "SET" => control::set(cursor, digested)?,
        "USE" => Statement::Use(cursor.identifier()?),
        "CALL" => Statement::Opaque(Cause::Call),
        "LOAD" if cursor.is(1, "INDEX") => Statement::Ddl { tables: Vec::new() },
        "LOAD" | "IMPORT" => Statement::Opaque(Cause::Load(control::loaded(cursor))),
        "EXECUTE" => Statement::Opaque(Cause::Prepared),
        "XA" => Statement::Opaque(Cause::Xa),
        "DROP" if cursor.is(1, "PREPARE") => Statement::Harmless,
        "TRUNCATE" | "DROP" | "ALTER" | "RENAME" | "CREATE" | "OPTIMIZE" | "REPAIR" => {
            control::ddl(cursor, first)
        }
        "ANALYZE" => analyze(cursor),
        "LOCK" | "UNLOCK" | "CHECK" | "GRANT" | "REVOKE" | "FLUSH" | "RESET" | "INSTALL"
        | "UNINSTALL" | "CACHE" | "CHANGE" | "SHUTDOWN" | "RESTART" | "BACKUP" => {
            Statement::Ddl { tables: Vec::new() }
        }
        _ => Statement::Opaque(Cause::Unknown),
    })
}

/// BINLOG applies row events; the others write nothing.
fn harmless_or(first: &str) -> Statement {
    if first == "BINLOG" { Statement::Opaque(Cause::Unknown) } else { Statement::Harmless }
}

/// A statement that begins with a parenthesis is a query.
fn parenthesised(cursor: &Cursor<'_>) -> Statement {
    let first = (0..cursor.end()).find(|at| !cursor.is_punctuation(*at, "("));
    match first {
        Some(at) if at > 0 && cursor.is_any(at, &["SELECT", "WITH", "VALUES", "TABLE"]) => {
            Statement::Harmless
        }
        _ => Statement::Opaque(Cause::Unknown),
    }
}

/// MariaDB's ANALYZE runs the statement after it.
fn analyze(cursor: &Cursor<'_>) -> Statement {
    if cursor.is_any(1, &["TABLE", "TABLES", "NO_WRITE_TO_BINLOG", "LOCAL"]) {
        return Statement::Ddl { tables: Vec::new() };
    }
    let verb = cursor.find(1, |c, at| {
        c.is_any(at, &["SELECT", "UPDATE", "DELETE", "INSERT", "REPLACE", "WITH"])
    });
    match verb {
        Ok(at) if cursor.is(at, "SELECT") => Statement::Harmless,
        _ => Statement::Opaque(Cause::Clause("ANALYZE".into())),
    }
}

fn with(cursor: &mut Cursor<'_>) -> Parsed<Statement> {
    let verbs = ["SELECT", "UPDATE", "DELETE", "INSERT", "REPLACE", "TABLE", "VALUES"];
    // The common table expressions themselves stand in parentheses.
    cursor.at =
        cursor.find(1, |c, at| at > 2 && c.is_any(at, &verbs) && c.is_punctuation(at - 1, ")"))?;
    if cursor.eat("UPDATE") {
        return write::update(cursor, true);
    }
    if cursor.eat("DELETE") {
        return write::delete(cursor, true);
    }
    let query = cursor.is_any(cursor.at, &["SELECT", "TABLE", "VALUES"]);
    if query || cursor.is_punctuation(cursor.at, "(") {
        return Ok(Statement::Harmless);
    }
    // `WITH x AS (..) (SELECT ..)`: nothing but parentheses follows.
    if cursor.done() { Ok(Statement::Harmless) } else { cursor.stuck() }
}
