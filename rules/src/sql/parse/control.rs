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
    if cursor.is_any(1, &["PASSWORD", "ROLE", "RESOURCE"]) || default_role(cursor) {
        // In MariaDB they may stand among other settings.
        let alone = cursor.split(1..cursor.end())?.len() == 1;
        let several = Statement::Set(vec![Setting::Unknown]);
        return Ok(if alone { Statement::Ddl { tables: Vec::new() } } else { several });
    }
    if cursor.is(1, "GLOBAL") && cursor.is(2, "TRANSACTION") {
        return Ok(Statement::Harmless);
    }
    let transaction = if cursor.is_any(1, &["SESSION", "LOCAL"]) { 2 } else { 1 };
    if cursor.is(transaction, "TRANSACTION") {
        return Ok(Statement::Set(vec![Setting::Isolation]));
    }
    let mut settings = Vec::new();
    let mut scope = Reach::Session;
    for part in cursor.split(1..cursor.end())? {
        cursor.at = part.start;
        if let Some(setting) = one_setting(cursor, digested, part.end, &mut scope) {
            settings.push(setting);
        }
    }
    Ok(if settings.is_empty() { Statement::Harmless } else { Statement::Set(settings) })
}

/// What an assignment without a scope of its own is for: the last keyword before it may count.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    Session,
    Uncertain,
}

fn default_role(cursor: &Cursor<'_>) -> bool {
    cursor.is(1, "DEFAULT") && cursor.is(2, "ROLE")
}

/// MariaDB's `SET STATEMENT x = y FOR statement`.
fn set_statement(cursor: &Cursor<'_>) -> Statement {
    let statement = cursor.find(2, |c, at| c.is(at, "FOR")).unwrap_or(cursor.end());
    if cursor.is_any(statement + 1, &["SELECT", "SHOW"]) {
        return Statement::Harmless;
    }
    Statement::Opaque(Cause::Clause("SET STATEMENT".into()))
}

/// Settings that later plans depend on.
const RELEVANT: [&str; 9] = [
    "autocommit",
    "sql_mode",
    "character_set_client",
    "character_set_connection",
    "collation_connection",
    "auto_increment_increment",
    "sql_select_limit",
    "transaction_isolation",
    "tx_isolation",
];

fn one_setting(
    cursor: &mut Cursor<'_>,
    digested: &Digested,
    end: usize,
    reach: &mut Reach,
) -> Option<Setting> {
    if cursor.eat("NAMES")
        || cursor.eat("CHARSET")
        || (cursor.is(cursor.at, "CHARACTER") && cursor.is(cursor.at + 1, "SET"))
    {
        if cursor.is(cursor.at, "CHARACTER") {
            cursor.at += 2;
        }
        let charset = value(cursor, digested, cursor.at + 1);
        let charset = charset.filter(|name| !name.eq_ignore_ascii_case("default"));
        return Some(charset.map_or(Setting::Unknown, Setting::Names));
    }
    let global = cursor.eat_any(&["GLOBAL", "PERSIST", "PERSIST_ONLY"]);
    let session = !global && cursor.eat_any(&["SESSION", "LOCAL"]);
    if global || session {
        *reach = if global { Reach::Uncertain } else { Reach::Session };
    }
    let is_name = matches!(
        cursor.kind(cursor.at),
        Some(TokenKind::Word | TokenKind::Identifier | TokenKind::Variable)
    );
    let plain = |text: &str| text.replace(['`', '\'', '"'], "").to_ascii_lowercase();
    let mut name = plain(cursor.text(cursor.at));
    cursor.at += 1;
    // White space or a comment around the dot makes tokens of it.
    if name.starts_with("@@") && cursor.eat_punctuation(".") {
        name = format!("{name}.{}", plain(cursor.text(cursor.at)));
        cursor.at += 1;
    }
    let assigns = cursor.eat_punctuation("=") || cursor.eat_punctuation(":=");
    if name.starts_with('@') && !name.starts_with("@@") {
        return None;
    }
    if !is_name || !assigns {
        // MariaDB's PASSWORD and ROLE, and what else there may be.
        return Some(Setting::Unknown);
    }
    if global || name.starts_with("@@global.") || name.starts_with("@@persist") {
        return None;
    }
    let name =
        name.trim_start_matches("@@").trim_start_matches("session.").trim_start_matches("local.");
    if name == "password" {
        return Some(Setting::Unknown);
    }
    if name == "insert_id" {
        return Some(Setting::InsertId);
    }
    if !RELEVANT.contains(&name) {
        return None;
    }
    if *reach == Reach::Uncertain {
        return Some(Setting::Unknown);
    }
    Some(relevant(name, value(cursor, digested, end)))
}

fn relevant(name: &str, value: Option<String>) -> Setting {
    let value = value.map(|text| text.to_ascii_lowercase());
    match (name, value.as_deref()) {
        ("transaction_isolation" | "tx_isolation", _) => Setting::Isolation,
        ("autocommit", Some("1" | "on" | "true")) => Setting::AutocommitOn,
        ("autocommit", Some("0" | "off" | "false")) => Setting::AutocommitOff,
        // A number stands for modes by their bits.
        ("sql_mode", Some(mode))
            if mode != "default" && !mode.starts_with(|c: char| c.is_ascii_digit()) =>
        {
            Setting::SqlMode(mode.to_owned())
        }
        _ => Setting::Unknown,
    }
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
