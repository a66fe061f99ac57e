//! Which predicates another connection certainly reads as the application's does, and the SELECT of their
//! keys for it: comparisons of columns with values, written anew, so that no setting of a session counts.
//! Never here: when the keys may be read so.
//!
//! A statement that is over holds a lock on every row that it changed, so the rows' last committed versions
//! are those that it found. Whoever reads committed rows by the statement's predicate finds them all, and
//! perhaps rows of others that match by now.

use super::BindSession;
use super::exact::{Use, exact_cell};
use super::predicate::{column_at, ungrouped};
use super::projection::column_projection;
use super::resolve::reached;
use super::template::quoted;
use super::value::{Value, value_of};
use crate::catalog::{Column, DataType, Table};
use crate::entity::Ruleset;
use crate::sql::statement::{Clauses, Span, TableRefs};
use crate::sql::{Digested, SlotValue, SqlMode, render_slot};
use crate::value::{Cell, TableName};

/// A SELECT of row keys by values alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreImage {
    /// As far as the WHERE.
    head: String,
    tests: Vec<Test>,
}

/// One AND-ed part of the predicate.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Test {
    column: usize,
    negated: bool,
    shape: Shape,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Shape {
    Compare(&'static str, Value),
    Among(Vec<Value>),
    Between(Value, Value),
    Like(Value),
    Null,
}

/// Settings of the control account's connections.
const CHARSET: &str = "utf8mb4";

const OPERATORS: [&str; 8] = ["=", "<=>", "<", ">", "<=", ">=", "<>", "!="];

/// The statement as far as it decides which rows it changes.
pub(super) struct Source<'a> {
    pub ruleset: &'a Ruleset,
    pub digested: &'a Digested,
    pub refs: &'a TableRefs,
    pub clauses: &'a Clauses,
    pub table: &'a Table,
    pub event: &'a str,
}

impl Source<'_> {
    /// `parts`: those of the predicate that count; the others only make the statement change fewer rows.
    pub fn pre_image(&self, key: &[usize], parts: &[Span]) -> Option<PreImage> {
        if parts.is_empty() || !self.is_plain() || !self.changes_only_what_it_finds() {
            return None;
        }
        let columns = &self.table.columns;
        if key.iter().any(|&at| columns[at].generated) {
            return None;
        }
        let tests = parts.iter().map(|part| self.test(part.clone())).collect::<Option<_>>()?;
        let key: Vec<String> = key
            .iter()
            .map(|&at| column_projection(&columns[at], &quoted(&columns[at].name)))
            .collect();
        let head = format!("SELECT {} FROM {} WHERE ", key.join(", "), quoted(&self.table.name));
        Some(PreImage { head, tests })
    }

    /// One table by its name, perhaps with another: no partitions, no versions of rows, no rows as answer.
    fn is_plain(&self) -> bool {
        let [table] = self.refs.tables.as_slice() else { return false };
        let text = |at: usize| self.digested.token_text(&self.digested.tokens[at]);
        let name = if table.name.schema.is_some() { 3 } else { 1 };
        let alias = match &table.alias {
            None => 0,
            Some(_) if text(self.refs.span.start + name).eq_ignore_ascii_case("AS") => 2,
            Some(_) => 1,
        };
        let returns = |at: usize| text(at).eq_ignore_ascii_case("RETURNING");
        !self.refs.derived
            && !self.clauses.with
            && self.refs.span.len() == name + alias
            && !(0..self.digested.tokens.len()).any(returns)
    }

    /// The engine has committed versions of rows, and nothing that follows from one row's change changes
    /// another row of the table before the statement finds it.
    fn changes_only_what_it_finds(&self) -> bool {
        let fires = |event: &str| event.eq_ignore_ascii_case(self.event);
        self.table.engine.eq_ignore_ascii_case("InnoDB")
            && !self.table.triggers.iter().any(|trigger| fires(&trigger.event))
            && !reaches_itself(self.ruleset, &self.table.name)
    }

    fn test(&self, span: Span) -> Option<Test> {
        let digested = self.digested;
        let span = ungrouped(digested, span);
        let text = |at: usize| digested.tokens.get(at).map_or("", |t| digested.token_text(t));
        let is = |at: usize, word: &str| at < span.end && text(at).eq_ignore_ascii_case(word);
        let (width, (qualifier, name)) = [5, 3, 1].into_iter().find_map(|width| {
            let end = span.start + width;
            let column = (end < span.end).then(|| column_at(digested, span.start..end))?;
            Some((width, column?))
        })?;
        let visible = self.refs.tables.first()?.visible();
        if qualifier.is_some_and(|qualifier| !qualifier.eq_ignore_ascii_case(visible)) {
            return None;
        }
        let column = self.table.column_index(&name)?;
        let at = span.start + width;
        if let Some(operator) = OPERATORS.iter().find(|operator| is(at, operator)) {
            let value = certain(digested, at + 1..span.end)?;
            let shape = Shape::Compare(operator, value);
            return Some(Test { column, negated: false, shape });
        }
        if is(at, "IS") {
            let negated = is(at + 1, "NOT");
            let null = at + 1 + usize::from(negated);
            let whole = is(null, "NULL") && null + 1 == span.end;
            return whole.then_some(Test { column, negated, shape: Shape::Null });
        }
        let negated = is(at, "NOT");
        let at = at + usize::from(negated);
        let shape = if is(at, "IN") {
            Shape::Among(list(digested, at + 1..span.end)?)
        } else if is(at, "BETWEEN") {
            let and = (at + 1..span.end).find(|at| is(*at, "AND"))?;
            let low = certain(digested, at + 1..and)?;
            Shape::Between(low, certain(digested, and + 1..span.end)?)
        } else if is(at, "LIKE") {
            Shape::Like(certain(digested, at + 1..span.end)?)
        } else {
            return None;
        };
        Some(Test { column, negated, shape })
    }
}

/// Foreign keys lead from the table back to it, so that a row of it may change because another did.
fn reaches_itself(ruleset: &Ruleset, table: &TableName) -> bool {
    let source = ruleset.sources.get(table);
    source.is_some_and(|source| {
        source.cascades.iter().any(|cascade| reached(ruleset, &cascade.child).contains(table))
    })
}

/// A literal or parameter. NULL has rules of its own.
fn certain(digested: &Digested, span: Span) -> Option<Value> {
    match value_of(digested, span) {
        Value::Expression | Value::Default | Value::Null => None,
        value => Some(value),
    }
}

/// `(v, ..)`
fn list(digested: &Digested, span: Span) -> Option<Vec<Value>> {
    let text = |at: usize| digested.tokens.get(at).map_or("", |t| digested.token_text(t));
    if span.len() < 3 || text(span.start) != "(" || text(span.end - 1) != ")" {
        return None;
    }
    let mut values = Vec::new();
    let mut start = span.start + 1;
    for at in span.start + 1..span.end {
        if at + 1 == span.end || text(at) == "," {
            values.push(certain(digested, start..at)?);
            start = at + 1;
        }
    }
    Some(values)
}

impl PreImage {
    /// The complete text for a connection of the control account's. `None`: it may read a value in another
    /// way than the session does.
    pub fn render(
        &self,
        table: &Table,
        slots: &[SlotValue],
        session: BindSession<'_>,
    ) -> Option<String> {
        let mut sql = self.head.clone();
        for (number, test) in self.tests.iter().enumerate() {
            let column = table.columns.get(test.column)?;
            let value = |value: &Value, sql: &mut String| {
                let value = value.bound(slots)?;
                let alike = reads_alike(column, &value, &test.shape, session);
                (alike && render_slot(&value, false, SqlMode::default(), CHARSET, sql))
                    .then_some(())
            };
            sql.push_str(if number == 0 { "" } else { " AND " });
            sql.push_str(&quoted(&column.name));
            let not = if test.negated { " NOT" } else { "" };
            match &test.shape {
                Shape::Null if column.nullable && !column.generated => {
                    sql.push_str(&format!(" IS{not} NULL"));
                }
                // `sql_auto_is_null`, and dates that are zero.
                Shape::Null => return None,
                Shape::Compare(operator, with) => {
                    sql.push_str(&format!(" {operator} "));
                    value(with, &mut sql)?;
                }
                Shape::Like(pattern) => {
                    sql.push_str(&format!("{not} LIKE "));
                    value(pattern, &mut sql)?;
                }
                Shape::Between(low, high) => {
                    sql.push_str(&format!("{not} BETWEEN "));
                    value(low, &mut sql)?;
                    sql.push_str(" AND ");
                    value(high, &mut sql)?;
                }
                Shape::Among(values) => {
                    for (number, one) in values.iter().enumerate() {
                        let before = if number == 0 { format!("{not} IN (") } else { ", ".into() };
                        sql.push_str(&before);
                        value(one, &mut sql)?;
                    }
                    sql.push(')');
                }
            }
        }
        Some(sql)
    }
}

/// Whether this comparison has the same outcome under all settings that sessions may differ in, given the
/// character sets of this one.
fn reads_alike(
    column: &Column,
    value: &SlotValue,
    shape: &Shape,
    session: BindSession<'_>,
) -> bool {
    if column.generated || (matches!(shape, Shape::Like(_)) && !is_text(column)) {
        return false;
    }
    let exact = |value: &SlotValue| exact_cell(column, value, Use::Compared, CHARSET).is_some();
    match (&column.data_type, value) {
        (DataType::Integer { .. }, SlotValue::Int(_) | SlotValue::UInt(_)) => true,
        (DataType::Integer { .. }, SlotValue::Text(_)) => exact(value),
        (DataType::Decimal { .. } | DataType::Year | DataType::Date, _) => exact(value),
        (DataType::DateTime { .. }, SlotValue::Text(text)) => {
            exact(value) || exact(&SlotValue::Text(format!("{text} 00:00:00")))
        }
        (DataType::DateTime { .. }, SlotValue::Temporal(Cell::DateTime { .. })) => exact(value),
        (
            DataType::Char { .. } | DataType::Varchar { .. } | DataType::Text,
            SlotValue::Text(text),
        ) => text_reads_alike(column, text, session) && !(like(shape) && text.contains('\\')),
        (DataType::Enum { .. }, SlotValue::Text(text)) => {
            let equality = match shape {
                Shape::Compare(operator, _) => ["=", "<=>", "<>", "!="].contains(operator),
                Shape::Among(_) => true,
                _ => false,
            };
            equality && text_reads_alike(column, text, session)
        }
        (
            DataType::Binary { .. } | DataType::Varbinary { .. } | DataType::Blob,
            SlotValue::Bytes(_),
        ) => true,
        _ => false,
    }
}

fn like(shape: &Shape) -> bool {
    matches!(shape, Shape::Like(_))
}

fn is_text(column: &Column) -> bool {
    matches!(column.data_type, DataType::Char { .. } | DataType::Varchar { .. } | DataType::Text)
}

/// The column's collation decides, unless the session's texts are binary. A text that is empty is NULL in one
/// of MariaDB's modes; one beyond ASCII may be lost on its way through narrower character sets.
fn text_reads_alike(column: &Column, text: &str, session: BindSession<'_>) -> bool {
    let is = |charset: Option<&str>, name: &str| {
        charset.is_some_and(|charset| charset.eq_ignore_ascii_case(name))
    };
    let all = [column.charset.as_deref(), Some(session.charset), session.connection_charset];
    let known = all.iter().all(|charset| charset.is_some() && !is(*charset, "binary"));
    let fits = text.is_ascii() || all.iter().all(|charset| is(*charset, CHARSET));
    known && fits && !text.is_empty()
}
