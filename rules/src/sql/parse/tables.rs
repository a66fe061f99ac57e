//! Table references of UPDATE and DELETE.
//! Never here: what the tables are.

use super::cursor::{Cursor, Parsed};
use crate::sql::statement::{Cause, Span, TableRefs, TableUse};

/// Words that cannot be an alias because a clause begins with them.
const AFTER_TABLE: [&str; 22] = [
    "JOIN",
    "INNER",
    "CROSS",
    "LEFT",
    "RIGHT",
    "NATURAL",
    "STRAIGHT_JOIN",
    "ON",
    "USING",
    "USE",
    "FORCE",
    "IGNORE",
    "SET",
    "WHERE",
    "ORDER",
    "LIMIT",
    "PARTITION",
    "FOR",
    "RETURNING",
    "TABLESAMPLE",
    "OUTER",
    "FULL",
];

/// Reads table references in `span` (they end where the span ends).
pub(super) fn table_refs(cursor: &mut Cursor<'_>, span: Span) -> Parsed<TableRefs> {
    let mut refs = TableRefs { span: span.clone(), tables: Vec::new(), derived: false };
    let mut wants_table = true;
    cursor.at = span.start;
    while cursor.at < span.end {
        if wants_table {
            wants_table = factor(cursor, &mut refs)?;
        } else if cursor.is_any(cursor.at, &["JOIN", "STRAIGHT_JOIN"])
            || cursor.is_punctuation(cursor.at, ",")
        {
            cursor.at += 1;
            wants_table = true;
        } else if cursor.is_any(cursor.at, &["FOR", "SELECT", "SET", "WHERE"]) {
            return cursor.stuck();
        } else if cursor.is_punctuation(cursor.at, "(") {
            // A join condition, a column list or an index list.
            cursor.at = cursor.after_group(cursor.at)?;
        } else {
            cursor.at += 1;
        }
    }
    if cursor.at != span.end || wants_table {
        return Err(Cause::Clause("table reference".into()));
    }
    Ok(refs)
}

/// Reads one table, or the parenthesis that opens a nested join; says whether a table still must come.
fn factor(cursor: &mut Cursor<'_>, refs: &mut TableRefs) -> Parsed<bool> {
    if cursor.is_punctuation(cursor.at, "(") {
        if !cursor.is_any(cursor.at + 1, &["SELECT", "WITH", "VALUES", "TABLE"])
            && !cursor.is_punctuation(cursor.at + 1, "(")
        {
            cursor.at += 1;
            return Ok(true);
        }
        refs.derived = true;
        cursor.at = cursor.after_group(cursor.at)?;
        alias(cursor)?;
        return Ok(false);
    }
    if cursor.is_any(cursor.at, &["LATERAL", "JSON_TABLE", "UNNEST", "ONLY"]) {
        return cursor.stuck();
    }
    let name = cursor.name()?;
    if cursor.is_punctuation(cursor.at, "(") || cursor.is_punctuation(cursor.at, ".") {
        return cursor.stuck();
    }
    if cursor.eat("PARTITION") {
        cursor.list()?;
    }
    let alias = alias(cursor)?;
    refs.tables.push(TableUse { name, alias });
    Ok(false)
}

fn alias(cursor: &mut Cursor<'_>) -> Parsed<Option<String>> {
    if cursor.eat("AS") {
        return cursor.identifier().map(Some);
    }
    let quoted = matches!(cursor.kind(cursor.at), Some(crate::sql::TokenKind::Identifier));
    let word = !cursor.word(cursor.at).is_empty() && !cursor.is_any(cursor.at, &AFTER_TABLE);
    if quoted || word { cursor.identifier().map(Some) } else { Ok(None) }
}
