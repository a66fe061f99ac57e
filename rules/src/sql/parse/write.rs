//! INSERT, REPLACE, UPDATE and DELETE in all their forms.
//! Never here: what may follow from them.

use super::cursor::{Cursor, Parsed};
use super::tables::table_refs;
use crate::sql::digest::SETTING_HINT;
use crate::sql::statement::{
    Assignment, Clauses, Conflict, Delete, Insert, InsertSource, Name, Span, Statement, Update,
};

const TAIL: [&str; 4] = ["WHERE", "ORDER", "LIMIT", "RETURNING"];

pub(super) fn update(cursor: &mut Cursor<'_>, with: bool) -> Parsed<Statement> {
    let ignore = ignores(cursor, &["LOW_PRIORITY"]);
    let span = cursor.until(&["SET"])?;
    let set = cursor.at;
    let tables = table_refs(cursor, span)?;
    cursor.at = set;
    if !cursor.eat("SET") {
        return cursor.stuck();
    }
    let list = cursor.until(&TAIL)?;
    let assignments = assignments(cursor, list)?;
    let clauses = Clauses { ignore, ..clauses(cursor, with)? };
    Ok(Statement::Update(Update { tables, assignments, clauses }))
}

pub(super) fn delete(cursor: &mut Cursor<'_>, with: bool) -> Parsed<Statement> {
    let ignore = ignores(cursor, &["LOW_PRIORITY", "QUICK"]);
    let (targets, tables) = if cursor.eat("FROM") {
        let start = cursor.at;
        let targets = targets(cursor);
        match targets {
            Ok(targets) if cursor.eat("USING") => {
                let span = cursor.until(&TAIL)?;
                (targets, span)
            }
            _ => {
                cursor.at = start;
                (Vec::new(), cursor.until(&TAIL)?)
            }
        }
    } else {
        let targets = targets(cursor)?;
        if !cursor.eat("FROM") {
            return cursor.stuck();
        }
        (targets, cursor.until(&TAIL)?)
    };
    let tail = cursor.at;
    let tables = table_refs(cursor, tables)?;
    cursor.at = tail;
    let clauses = Clauses { ignore, ..clauses(cursor, with)? };
    if targets.is_empty() && (tables.tables.len() != 1 || tables.derived) {
        return cursor.stuck();
    }
    Ok(Statement::Delete(Delete { targets, tables, clauses }))
}

/// Passes over the statement's modifiers; whether IGNORE is among them.
fn ignores(cursor: &mut Cursor<'_>, others: &[&str]) -> bool {
    let mut ignore = false;
    loop {
        if cursor.eat("IGNORE") {
            ignore = true;
        } else if !cursor.eat_any(others) {
            return ignore;
        }
    }
}

/// `t1, s.t2.*, t3.*`
fn targets(cursor: &mut Cursor<'_>) -> Parsed<Vec<Name>> {
    let mut targets = Vec::new();
    loop {
        targets.push(cursor.name()?);
        if cursor.eat_punctuation(".") {
            cursor.expect_punctuation("*")?;
        }
        if !cursor.eat_punctuation(",") {
            return Ok(targets);
        }
    }
}

fn clauses(cursor: &mut Cursor<'_>, with: bool) -> Parsed<Clauses> {
    let mut clauses = Clauses { with, ..Clauses::default() };
    if cursor.eat("WHERE") {
        clauses.predicate = Some(cursor.until(&TAIL[1..])?);
    }
    if cursor.eat("ORDER") {
        if !cursor.eat("BY") {
            return cursor.stuck();
        }
        clauses.order = Some(cursor.until(&TAIL[2..])?);
    }
    if cursor.eat("LIMIT") {
        clauses.limit = Some(cursor.until(&TAIL[3..])?);
    }
    if cursor.eat("RETURNING") {
        cursor.until(&[])?;
    }
    if cursor.done() { Ok(clauses) } else { cursor.stuck() }
}

fn assignments(cursor: &mut Cursor<'_>, list: Span) -> Parsed<Vec<Assignment>> {
    let resume = list.end;
    let mut found = Vec::new();
    for part in cursor.split(list)? {
        cursor.at = part.start;
        let column = cursor.column()?;
        if !cursor.eat_punctuation("=") && !cursor.eat_punctuation(":=") {
            return cursor.stuck();
        }
        found.push(Assignment { column, value: cursor.at..part.end });
    }
    cursor.at = resume;
    Ok(found)
}

pub(super) fn insert(cursor: &mut Cursor<'_>, replace: bool) -> Parsed<Statement> {
    let mut conflict = if replace { Conflict::Replace } else { Conflict::Error };
    loop {
        if cursor.eat("IGNORE") {
            conflict = if replace { Conflict::Replace } else { Conflict::Ignore };
        } else if !cursor.eat_any(&["LOW_PRIORITY", "DELAYED", "HIGH_PRIORITY"]) {
            break;
        }
    }
    cursor.eat("INTO");
    let table = cursor.name()?;
    if cursor.eat("PARTITION") {
        cursor.list()?;
    }
    let mut columns = column_list(cursor)?;
    let source = if cursor.eat_any(&["VALUES", "VALUE"]) {
        InsertSource::Rows(rows(cursor)?)
    } else if cursor.eat("SET") {
        let list = cursor.until(&["ON", "AS", "RETURNING"])?;
        let assigned = assignments(cursor, list)?;
        columns = Some(assigned.iter().map(|a| a.column.name.clone()).collect());
        InsertSource::Rows(vec![assigned.into_iter().map(|a| a.value).collect()])
    } else {
        query(cursor)?
    };
    let mut row_alias = None;
    if cursor.eat("AS") {
        let alias = cursor.identifier()?;
        // Renamed columns of the new row are not followed.
        row_alias = column_list(cursor)?.is_none().then_some(alias);
    }
    if cursor.is(cursor.at, "ON") && cursor.is(cursor.at + 1, "DUPLICATE") {
        cursor.at += 2;
        if !(cursor.eat("KEY") && cursor.eat("UPDATE")) {
            return cursor.stuck();
        }
        let list = cursor.until(&["RETURNING"])?;
        conflict = Conflict::Update(assignments(cursor, list)?);
    }
    let returning = cursor.eat("RETURNING");
    if returning {
        cursor.until(&[])?;
    }
    if !cursor.done() {
        return cursor.stuck();
    }
    Ok(Statement::Insert(Insert { table, columns, source, conflict, row_alias, returning }))
}

fn column_list(cursor: &mut Cursor<'_>) -> Parsed<Option<Vec<String>>> {
    let query = cursor.is_any(cursor.at + 1, &["SELECT", "WITH", "TABLE", "VALUES"]);
    if !cursor.is_punctuation(cursor.at, "(") || query || cursor.is_punctuation(cursor.at + 1, "(")
    {
        return Ok(None);
    }
    let parts = cursor.list()?;
    let resume = cursor.at;
    let mut columns = Vec::with_capacity(parts.len());
    for part in parts {
        cursor.at = part.start;
        columns.push(cursor.column()?.name);
        if cursor.at != part.end {
            return cursor.stuck();
        }
    }
    cursor.at = resume;
    Ok(Some(columns))
}

fn rows(cursor: &mut Cursor<'_>) -> Parsed<Vec<Vec<Span>>> {
    let mut rows = Vec::new();
    loop {
        cursor.eat("ROW");
        rows.push(cursor.list()?);
        if !cursor.eat_punctuation(",") {
            return Ok(rows);
        }
    }
}

/// Position of ON DUPLICATE outside parentheses (an ON of a join is followed by something else).
fn on_duplicate(cursor: &Cursor<'_>, at: usize) -> bool {
    (cursor.is(at, "ON") && cursor.is(at + 1, "DUPLICATE") && cursor.is(at + 2, "KEY"))
        || cursor.is(at, "RETURNING")
}

fn query(cursor: &mut Cursor<'_>) -> Parsed<InsertSource> {
    let start = cursor.at;
    if !cursor.is_any(start, &["SELECT", "WITH", "TABLE"]) && !cursor.is_punctuation(start, "(") {
        return cursor.stuck();
    }
    if cursor.is_punctuation(start + 1, SETTING_HINT) {
        return cursor.stuck();
    }
    let end = cursor.find(start, on_duplicate)?;
    let fancy =
        ["UNION", "EXCEPT", "INTERSECT", "GROUP", "HAVING", "INTO", "FOR", "LOCK", "WINDOW"];
    let plain = cursor.is(start, "SELECT")
        && cursor.find(start, |c, at| at >= end || c.is_any(at, &fancy))? >= end;
    cursor.at = end;
    if !plain {
        return Ok(InsertSource::Query);
    }
    let mut first = start + 1;
    let modifiers = [
        "ALL",
        "DISTINCT",
        "DISTINCTROW",
        "HIGH_PRIORITY",
        "STRAIGHT_JOIN",
        "SQL_NO_CACHE",
        "SQL_CACHE",
        "SQL_SMALL_RESULT",
        "SQL_BIG_RESULT",
        "SQL_BUFFER_RESULT",
    ];
    while cursor.is_any(first, &modifiers) {
        first += 1;
    }
    let from = cursor.find(first, |c, at| at >= end || c.is(at, "FROM"))?.min(end);
    let projection = cursor.split(first..from)?;
    Ok(InsertSource::Select { projection, rest: from..end })
}
