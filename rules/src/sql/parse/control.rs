//! Statements that move transactions or session state, and DDL.
//! Never here: what the session makes of them.

use super::cursor::{Cursor, Parsed};
use crate::sql::digest::Digested;
use crate::sql::statement::{Cause, Name, Setting, Statement, Verb};
use crate::sql::token::TokenKind;

pub(super) fn transaction(cursor: &mut Cursor<'_>, first: &str) -> Statement {
    let second = |word: &str| cursor.is(1, word);
    let verb = match first {
        "BEGIN" if cursor.end() == 1 || (second("WORK") && cursor.end() == 2) => Verb::Begin,
        "BEGIN" => return Statement::Opaque(Cause::Compound),
        "START" if second("TRANSACTION") => Verb::Begin,
        "START" | "STOP" => return Statement::Ddl { tables: Vec::new() },
        "COMMIT" => Verb::Commit,
        "ROLLBACK" => {
            let to = if second("WORK") { 2 } else { 1 };
            if cursor.is(to, "TO") { Verb::RollbackToSavepoint } else { Verb::Rollback }
        }
        "SAVEPOINT" => Verb::Savepoint,
        _ => Verb::ReleaseSavepoint,
    };
    Statement::Transaction(verb)
}

/// SET in its many spellings. Assignments that do not matter are left out.
pub(super) fn set(cursor: &mut Cursor<'_>, digested: &Digested) -> Parsed<Statement> {
    if cursor.is(1, "STATEMENT") {
        return Ok(set_statement(cursor));
    }
    if cursor.is_any(1, &["PASSWORD", "ROLE", "DEFAULT", "RESOURCE"])
        && !cursor.is_punctuation(2, "=")
    {
        return Ok(Statement::Ddl { tables: Vec::new() });
    }
    if cursor.is(1, "PASSWORD") {
        return Ok(Statement::Ddl { tables: Vec::new() });
    }
    if cursor.is(1, "GLOBAL") && cursor.is(2, "TRANSACTION") {
        return Ok(Statement::Harmless);
    }
    let transaction = if cursor.is_any(1, &["SESSION", "LOCAL"]) { 2 } else { 1 };
    if cursor.is(transaction, "TRANSACTION") {
        return Ok(Statement::Set(vec![Setting::Isolation]));
    }
    let mut settings = Vec::new();
    for part in cursor.split(1..cursor.end())? {
        cursor.at = part.start;
        if let Some(setting) = one_setting(cursor, digested, part.end) {
            settings.push(setting);
        }
    }
    Ok(if settings.is_empty() { Statement::Harmless } else { Statement::Set(settings) })
}

/// MariaDB's `SET STATEMENT x = y FOR statement`.
fn set_statement(cursor: &Cursor<'_>) -> Statement {
    let statement = cursor.find(2, |c, at| c.is(at, "FOR")).unwrap_or(cursor.end());
    if cursor.is_any(statement + 1, &["SELECT", "SHOW"]) {
        return Statement::Harmless;
    }
    Statement::Opaque(Cause::Clause("SET STATEMENT".into()))
}

fn one_setting(cursor: &mut Cursor<'_>, digested: &Digested, end: usize) -> Option<Setting> {
    if cursor.eat("NAMES")
        || cursor.eat("CHARSET")
        || (cursor.is(cursor.at, "CHARACTER") && cursor.is(cursor.at + 1, "SET"))
    {
        if cursor.is(cursor.at, "CHARACTER") {
            cursor.at += 2;
        }
        return Some(
            value(cursor, digested, cursor.at + 1).map_or(Setting::Unknown, Setting::Names),
        );
    }
    let mut global = cursor.is_any(cursor.at, &["GLOBAL", "PERSIST", "PERSIST_ONLY"]);
    cursor.eat_any(&["GLOBAL", "PERSIST", "PERSIST_ONLY", "SESSION", "LOCAL"]);
    let mut name = cursor.text(cursor.at).replace('`', "").to_ascii_lowercase();
    cursor.at += 1;
    // White space or a comment around the dot makes tokens of it.
    if name.starts_with("@@") && cursor.eat_punctuation(".") {
        name = format!("{name}.{}", cursor.text(cursor.at).replace('`', "").to_ascii_lowercase());
        cursor.at += 1;
    }
    global |= name.starts_with("@@global.") || name.starts_with("@@persist");
    if global || (name.starts_with('@') && !name.starts_with("@@")) {
        return None;
    }
    let name =
        name.trim_start_matches("@@").trim_start_matches("session.").trim_start_matches("local.");
    if matches!(name, "transaction_isolation" | "tx_isolation") {
        return Some(Setting::Isolation);
    }
    let relevant = [
        "autocommit",
        "sql_mode",
        "character_set_client",
        "character_set_connection",
        "collation_connection",
        "auto_increment_increment",
    ];
    if !relevant.contains(&name) {
        return None;
    }
    if !cursor.eat_punctuation("=") && !cursor.eat_punctuation(":=") {
        return Some(Setting::Unknown);
    }
    let text = value(cursor, digested, end);
    Some(match (name, text.as_deref().map(str::to_ascii_lowercase).as_deref()) {
        ("autocommit", Some("1" | "on" | "true" | "default")) => Setting::AutocommitOn,
        ("autocommit", Some("0" | "off" | "false")) => Setting::AutocommitOff,
        ("sql_mode", Some(mode)) if mode != "default" => Setting::SqlMode(mode.to_owned()),
        _ => Setting::Unknown,
    })
}

/// A literal or a bare word that ends at `end`.
fn value(cursor: &mut Cursor<'_>, digested: &Digested, end: usize) -> Option<String> {
    let token = digested.tokens.get(cursor.at)?;
    let text = digested.token_text(token);
    if cursor.at + 1 != end {
        return None;
    }
    match token.kind {
        TokenKind::Word => Some(text.to_owned()),
        TokenKind::Identifier => Some(super::cursor::unquoted(text)),
        TokenKind::Inline => {
            let inner = text.trim_matches(['\'', '"']);
            (!inner.contains(['\\', '\'', '"'])).then(|| inner.to_owned())
        }
        _ => None,
    }
}

/// Statements that commit implicitly. Every name in the place of a table is taken as one.
pub(super) fn ddl(cursor: &mut Cursor<'_>, first: &str) -> Statement {
    // `DROP TEMPORARY TABLE` and `CREATE TEMPORARY TABLE` do not commit; to be told apart from what
    // the answer's status flags say, so they are treated alike.
    let mut tables = Vec::new();
    match first {
        "TRUNCATE" => {
            cursor.at = 1;
            cursor.eat("TABLE");
            tables.extend(cursor.name());
        }
        // A CREATE that replaces nothing leaves every row that is there as it is.
        "CREATE" if !cursor.is(1, "OR") => {}
        "DROP" | "RENAME" | "ALTER" | "CREATE" | "REPAIR" => names_anywhere(cursor, &mut tables),
        _ => {}
    }
    Statement::Ddl { tables }
}

/// The table of a LOAD DATA.
pub(super) fn loaded(cursor: &mut Cursor<'_>) -> Option<Name> {
    cursor.at = 1;
    if !cursor.eat("DATA") {
        return None;
    }
    cursor.eat_any(&["LOW_PRIORITY", "CONCURRENT"]);
    cursor.eat("LOCAL");
    if !cursor.eat("INFILE") {
        return None;
    }
    // The file's name.
    cursor.at += 1;
    cursor.eat_any(&["REPLACE", "IGNORE"]);
    if cursor.eat("INTO") && cursor.eat("TABLE") { cursor.name().ok() } else { None }
}

/// Every identifier, qualified where it is: a superset of the tables that the statement names.
fn names_anywhere(cursor: &mut Cursor<'_>, tables: &mut Vec<Name>) {
    cursor.at = 1;
    while !cursor.done() {
        match cursor.name() {
            Ok(name) => tables.push(name),
            Err(_) => cursor.at += 1,
        }
    }
}
