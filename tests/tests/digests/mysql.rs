//! Our digest and MySQL's, for thousands of statements.
//!
//! Ours is the key of a plan, so it must tell apart what MySQL tells apart: **equal digests of ours must be
//! equal digests of MySQL's**. The other direction need not hold, and does not, on purpose:
//!
//! * MySQL folds lists (`IN (?, ?, ?)`, rows of VALUES): a plan needs every value's place;
//! * MySQL folds NULL and signs into `?`: NULL decides whether a key is generated, a sign is an operator;
//! * MySQL folds hex and bit literals: they are numbers or bytes by context;
//! * MySQL folds keywords' letters, synonyms (`SCHEMA`) and backticks: we have no list of keywords;
//! * ours keeps the values of settings that change how later statements are read (`SET sql_mode = '..'`).
//!
//! Exceptions in the first direction, where one plan serves several of MySQL's digests:
//!
//! * hints: MySQL's digest holds them, ours only those that set variables, because no other changes what a
//!   statement does;
//! * introducers (`_latin1'x'`): they belong to the value, which is read anew at each execution;
//! * strings side by side are one value, for the server too;
//! * positions (`ORDER BY 1`): a value to us, and written back as the same number;
//! * nothing but comments: MySQL has a digest even for that, we have no statement.
//!
//! Beyond that both must have read the same tokens: with those differences removed from both texts they are
//! the same text.

use std::collections::HashMap;

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use rand::SeedableRng;
use rand::rngs::StdRng;
use segue_rules::sql::{Dialect, Digested, Reading, SqlMode, digest};
use segue_tests::harness::{Kind, Server};

use crate::statements;

/// Changed copies of each statement.
const CHANGED_EACH: usize = 4;

/// Keywords that MySQL prints by another name.
#[rustfmt::skip]
const SYNONYMS: &[(&str, &str)] = &[
    ("INTEGER", "INT"), ("SCHEMA", "DATABASE"), ("SCHEMAS", "DATABASES"), ("DISTINCTROW", "DISTINCT"),
    ("CHARACTER", "CHAR"), ("SUBSTR", "SUBSTRING"), ("FIELDS", "COLUMNS"), ("DEC", "DECIMAL"),
    ("SOME", "ANY"), ("CURRENT_TIMESTAMP", "NOW"), ("LOCALTIME", "NOW"), ("LOCALTIMESTAMP", "NOW"),
    ("CURRENT_DATE", "CURDATE"), ("CURRENT_TIME", "CURTIME"), ("SESSION_USER", "USER"),
    ("MID", "SUBSTRING"), ("STD", "STDDEV"), ("STDDEV_POP", "STDDEV"), ("VAR_POP", "VARIANCE"),
    ("SYSTEM_USER", "USER"), ("DESCRIBE", "EXPLAIN"), ("VARCHARACTER", "VARCHAR"),
    ("SQL_TSI_SECOND", "SECOND"), ("SQL_TSI_MINUTE", "MINUTE"), ("SQL_TSI_HOUR", "HOUR"),
    ("SQL_TSI_DAY", "DAY"), ("SQL_TSI_WEEK", "WEEK"), ("SQL_TSI_MONTH", "MONTH"),
    ("SQL_TSI_QUARTER", "QUARTER"), ("SQL_TSI_YEAR", "YEAR"), ("RLIKE", "REGEXP"), ("BOOLEAN", "BOOL"), ("DATETIME", "TIMESTAMP"), ("INDEXES", "INDEX"), ("KEYS", "INDEX"),
];

/// The parts of a digest's text that both sides can be asked to agree on.
fn bare(text: &str) -> String {
    let mut text = text.to_uppercase();
    for (from, to) in [("/* , ... */", ""), ("...", "?"), ("X?", "?"), ("<>", "!="), ("\0", "")] {
        text = text.replace(from, to);
    }
    let words = words(&text);
    let mut out: Vec<&str> = Vec::new();
    let mut in_variable = false;
    for (i, word) in words.iter().enumerate() {
        let is_name = word.starts_with(is_word);
        // MySQL leaves out the names of user variables.
        if in_variable && (is_name || word == "?" || word == ".") {
            continue;
        }
        let next = words.get(i + 1).is_some_and(|next| next == "@");
        in_variable = word == "@" && !next && !out.ends_with(&["@"]);
        let word = SYNONYMS.iter().find(|(name, _)| name == word).map_or(word.as_str(), |(_, n)| n);
        // NULL is a value for MySQL in most places, and a position none.
        let is_value = word == "NULL" || word.bytes().all(|byte| byte.is_ascii_digit());
        let word = if is_value { "?" } else { word };
        if word == "?" {
            while matches!(out.last(), Some(&("-" | "+"))) {
                out.pop();
            }
        }
        out.push(word);
        fold(&mut out);
    }
    out.concat()
}

fn is_word(symbol: char) -> bool {
    symbol.is_alphanumeric() || matches!(symbol, '_' | '$') || symbol > '\u{7f}'
}

/// Words and single signs, without white space and quotes.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    for symbol in text.chars().chain([' ']) {
        if is_word(symbol) {
            word.push(symbol);
            continue;
        }
        if !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if !symbol.is_whitespace() && !matches!(symbol, '`' | '"' | '\'') {
            words.push(symbol.to_string());
        }
    }
    words
}

/// Lists of values, and lists of such lists, become one.
fn fold(out: &mut Vec<&str>) {
    loop {
        let length = out.len();
        let ends_with = |end: &[&str]| out.ends_with(end);
        if ends_with(&["?", ",", "?"]) {
            out.truncate(length - 2);
        } else if ends_with(&["?", "?"]) {
            out.truncate(length - 1);
        } else if ends_with(&["(", "?", ")", ",", "(", "?", ")"]) {
            out.truncate(length - 4);
        } else if ends_with(&["(", "?", ")", "(", "?", ")"]) {
            out.truncate(length - 3);
        } else {
            return;
        }
    }
}

/// Digest and its text, where MySQL can parse the statement and its digest is not cut.
async fn of_mysql(connection: &mut Conn, text: &str) -> Option<(String, String)> {
    let query = "SELECT STATEMENT_DIGEST(?), STATEMENT_DIGEST_TEXT(?)";
    let row: Option<(String, String)> = connection.exec_first(query, (text, text)).await.ok()?;
    row.filter(|(_, text)| !text.is_empty() && (!text.ends_with("...") || text.len() < 900))
}

/// MySQL tells statements apart here that have one plan, as said above.
fn is_told_apart(text: &str, their_text: &str) -> bool {
    let digits = |word: &String| word.bytes().all(|byte| byte.is_ascii_digit());
    text.contains("/*+")
        // Adjacent strings, one literal to us; the second is seen in a folded list as well.
        || their_text.contains("? ?")
        || their_text.contains("... ?")
        || their_text.contains("(_")
        || words(their_text).iter().any(digits)
}

/// Differences in what was read that are known and why they do no harm.
fn is_known(text: &str, ours: &Digested) -> bool {
    // Introducers: MySQL prints `(_latin1)?`, ours knows them by the literal's kind.
    // Hints: see above. A statement with settings keeps their values.
    let upper = text.to_uppercase();
    upper.contains("/*+")
        || upper.contains("_BINARY")
        || ["_UTF8", "_LATIN1", "_ASCII", "N'"].iter().any(|mark| upper.contains(mark))
        || ours.first_word().eq_ignore_ascii_case("SET")
        // The name of a variable in quotes may hold anything.
        || ["@'", "@\""].iter().any(|mark| upper.contains(mark))
}

async fn compare(mode: SqlMode, mode_text: &str) {
    let Some(server) = Server::shared(Kind::Mysql97).await else { return };
    let mut connection = server.connect().await.unwrap();
    // Names without a schema need one.
    let database = server.database("digests", "").await.unwrap();
    connection.query_drop(format!("USE `{}`", database.name)).await.unwrap();
    connection.query_drop(format!("SET sql_mode = '{mode_text}'")).await.unwrap();
    let reading =
        Reading { sql_mode: mode, dialect: Dialect::MySql, version: 90_700, charset: "utf8mb4" };
    let mut random = StdRng::seed_from_u64(7);
    let mut texts = statements::originals();
    for i in 0..texts.len() {
        for _ in 0..CHANGED_EACH {
            let changed = statements::changed(&mut random, &texts[i]);
            texts.push(changed);
        }
    }
    let (mut compared, mut wrong) = (0, Vec::new());
    let mut digests: HashMap<String, (String, String)> = HashMap::new();
    for text in &texts {
        let Some((theirs, their_text)) = of_mysql(&mut connection, text).await else { continue };
        let ours = digest(text.as_bytes(), reading);
        compared += 1;
        let [ours] = ours.as_slice() else {
            wrong.push(format!("{} statements: {text:?}\n  MySQL: {their_text}", ours.len()));
            continue;
        };
        if !ours.uncertain && bare(&ours.text) != bare(&their_text) && !is_known(text, ours) {
            wrong.push(format!("{text:?}\n  ours:  {}\n  MySQL: {their_text}", ours.text));
        }
        if is_told_apart(text, &their_text) {
            continue;
        }
        let (first, known) =
            digests.entry(ours.text.clone()).or_insert_with(|| (text.clone(), theirs.clone()));
        if *known != theirs && !ours.uncertain {
            wrong.push(format!("one digest for two of MySQL's: {first:?} and {text:?}"));
        }
    }
    println!("{compared} of {} statements compared, {} digests", texts.len(), digests.len());
    assert!(wrong.is_empty(), "{} differ\n{}", wrong.len(), wrong.join("\n"));
    assert!(compared > texts.len() / 4, "only {compared} of {} are statements", texts.len());
}

#[tokio::test]
async fn digests_tell_apart_what_mysql_tells_apart() {
    compare(SqlMode::default(), "").await;
}

#[tokio::test]
async fn the_same_under_ansi_quotes_and_without_backslashes() {
    let mode = SqlMode { ansi_quotes: true, ..SqlMode::default() };
    compare(mode, "ANSI_QUOTES").await;
    let mode = SqlMode { no_backslash_escapes: true, ..SqlMode::default() };
    compare(mode, "NO_BACKSLASH_ESCAPES").await;
    let mode = SqlMode { pipes_as_concat: true, ..SqlMode::default() };
    compare(mode, "PIPES_AS_CONCAT").await;
}
