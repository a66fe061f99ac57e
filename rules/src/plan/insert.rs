//! INSERT and REPLACE: keys from the rows written out, from the answer, or from the query.
//! Never here: values of one execution (see `bind`).

use std::collections::BTreeMap;
use std::sync::Arc;

use super::predicate::{reads_session_counters, uncertainty};
use super::projection::{KeyKind, KeySelect, Proof, expression_projection};
use super::refusal_codes as codes;
use super::refusal_codes::Code;
use super::resolve::{self, trigger_captures, trigger_may_set_key};
use super::template::Template;
use super::value::{Value, value_of};
use super::{Capture, CaptureHow, SqlMode, StatementPlan, WritePlan};
use crate::catalog::{DefaultValue, Table, TableKind};
use crate::entity::{Change, Ruleset};
use crate::plan::exact::equality_is_identity;
use crate::sql::statement::{Assignment, Conflict, Insert, InsertSource, Name, Span};
use crate::sql::{Digested, TokenKind};

/// Rows of one INSERT whose computed keys are selected beforehand; the text of that SELECT grows with
/// them.
const COMPUTED_ROWS_MAX: usize = 1_000;

/// Rows written out in an INSERT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InsertRows {
    /// Positions of the columns whose values matter, and each row's values in that order.
    pub columns: Vec<usize>,
    pub rows: Vec<Vec<Value>>,
    /// AUTO_INCREMENT column of the row key.
    pub generated: Option<usize>,
    /// Unique keys through which other rows may be replaced or updated.
    pub unique: Vec<Vec<usize>>,
    /// Further row keys that ON DUPLICATE KEY UPDATE assigns: column and value.
    pub assigned: Vec<(usize, Value)>,
    /// The rows come from a query that repeats them an unknown number of times.
    pub repeated: bool,
    pub returning: bool,
}

struct Context<'a> {
    digested: &'a Digested,
    table: &'a Table,
    key: Vec<usize>,
    statement: &'a Insert,
    /// Column positions in the order of the statement's values.
    columns: Vec<usize>,
}

pub(super) fn plan(
    ruleset: &Ruleset,
    digested: &Digested,
    statement: &Insert,
    schema: Option<&str>,
    mode: SqlMode,
) -> StatementPlan {
    let Some(table) = resolve::table(ruleset, &statement.table, schema) else {
        return StatementPlan::Harmless;
    };
    if table.kind == TableKind::View {
        return super::update::view(table);
    }
    let events: &[&str] = match statement.conflict {
        Conflict::Error | Conflict::Ignore => &["INSERT"],
        Conflict::Replace => &["INSERT", "DELETE"],
        Conflict::Update(_) => &["INSERT", "UPDATE"],
    };
    let mut captures = Vec::new();
    let mut refusals = Vec::new();
    if ruleset.sources.contains_key(&table.name) {
        let change = match statement.conflict {
            Conflict::Error | Conflict::Ignore => Change::Insert,
            Conflict::Replace | Conflict::Update(_) => Change::Any,
        };
        let how = how(digested, table, statement).unwrap_or_else(|code| {
            refusals.push(code.refusal(&*table.name));
            CaptureHow::Sweep(code.code)
        });
        captures.push(Capture { table: table.name.clone(), change, how });
    }
    captures.extend(trigger_captures(ruleset, table, events));
    super::update::finish(captures, refusals, digested, mode)
}

/// Rows that a LOAD DATA brings into this table change no mapped one.
pub(super) fn touches_nothing_mapped(ruleset: &Ruleset, name: &Name, schema: Option<&str>) -> bool {
    let Some(table) = resolve::table(ruleset, name, schema) else { return true };
    table.kind != TableKind::View
        && !ruleset.sources.contains_key(&table.name)
        && trigger_captures(ruleset, table, &["INSERT", "DELETE"]).is_empty()
}

fn how(digested: &Digested, table: &Table, statement: &Insert) -> Result<CaptureHow, Code> {
    let key = table.row_key().ok_or(codes::NO_ROW_KEY)?.to_vec();
    let replaces = matches!(statement.conflict, Conflict::Replace | Conflict::Update(_));
    let updates = matches!(statement.conflict, Conflict::Update(_));
    if trigger_may_set_key(table, "INSERT", &key)
        || (updates && trigger_may_set_key(table, "UPDATE", &key))
        || key.iter().any(|&c| table.columns[c].generated)
    {
        return Err(codes::KEY_TRIGGER);
    }
    let columns = match &statement.columns {
        // `INSERT INTO t () VALUES ()` gives every column its default.
        Some(names) if !names.is_empty() => names
            .iter()
            .map(|name| table.column_index(name).ok_or(codes::UNKNOWN_COLUMN))
            .collect::<Result<Vec<_>, Code>>()?,
        _ => (0..table.columns.len()).filter(|&c| !table.columns[c].invisible).collect(),
    };
    let context = Context { digested, table, key, statement, columns };
    match &statement.source {
        InsertSource::Rows(rows) => context.rows(rows, replaces),
        InsertSource::Select { projection, rest } => {
            context.select(projection, rest.clone(), replaces)
        }
        InsertSource::Query => context.query(replaces),
    }
}

impl Context<'_> {
    fn generated(&self) -> Option<usize> {
        self.table.auto_increment().filter(|column| self.key.contains(column))
    }

    /// Unique keys that may lead to other rows, the primary key included where equal keys need not be
    /// the same key.
    fn conflict_keys(&self, replaces: bool) -> Result<Vec<Vec<usize>>, Code> {
        if !replaces {
            return Ok(Vec::new());
        }
        let mut keys: Vec<Vec<usize>> = Vec::new();
        for unique in &self.table.unique_keys {
            if !unique.exact || unique.columns.iter().any(|&c| self.table.columns[c].generated) {
                return Err(codes::UNIQUE_VALUE);
            }
            keys.push(unique.columns.clone());
        }
        if !self.table.primary_key.is_empty() {
            keys.push(self.table.primary_key.clone());
        }
        let identity = self.key.iter().all(|&c| equality_is_identity(&self.table.columns[c]));
        keys.retain(|columns| *columns != self.key || !identity);
        Ok(keys)
    }

    /// The value that a column gets where the statement gives none, or says DEFAULT.
    fn default(&self, column: usize) -> Value {
        let column = &self.table.columns[column];
        match &column.default {
            _ if column.auto_increment => Value::Default,
            DefaultValue::Literal(text) => Value::Text(text.clone()),
            DefaultValue::Null | DefaultValue::None if column.nullable => Value::Null,
            _ => Value::Expression,
        }
    }

    fn rows(&self, rows: &[Vec<Span>], replaces: bool) -> Result<CaptureHow, Code> {
        let unique = self.conflict_keys(replaces)?;
        let mut needed: Vec<usize> =
            self.key.iter().chain(unique.iter().flatten()).copied().collect();
        needed.sort_unstable();
        needed.dedup();
        let positions: BTreeMap<usize, usize> =
            self.columns.iter().enumerate().map(|(position, column)| (*column, position)).collect();
        let mut values = Vec::with_capacity(rows.len());
        for row in rows {
            if !row.is_empty() && row.len() != self.columns.len() {
                return Err(codes::KEY_EXPRESSION);
            }
            let value = |column: &usize| {
                let position = positions.get(column).filter(|_| !row.is_empty());
                let value =
                    position.map_or(Value::Default, |at| value_of(self.digested, row[*at].clone()));
                if value == Value::Default { self.default(*column) } else { value }
            };
            values.push(needed.iter().map(value).collect());
        }
        let computed = |row: &Vec<Value>| {
            needed.iter().zip(row).any(|(c, v)| self.key.contains(c) && *v == Value::Expression)
        };
        if !replaces && self.generated().is_none() && values.iter().any(computed) {
            return self.computed_keys(rows, &positions);
        }
        Ok(CaptureHow::Rows(InsertRows {
            columns: needed,
            rows: values,
            generated: self.generated(),
            unique,
            assigned: self.assigned_keys()?,
            repeated: false,
            returning: self.statement.returning,
        }))
    }

    /// Keys that are deterministic expressions, such as `UNHEX(?)`: the server computes them
    /// beforehand.
    fn computed_keys(
        &self,
        rows: &[Vec<Span>],
        positions: &BTreeMap<usize, usize>,
    ) -> Result<CaptureHow, Code> {
        if rows.len() > COMPUTED_ROWS_MAX || reads_session_counters(self.digested) {
            return Err(codes::KEY_EXPRESSION);
        }
        let mut template = Template::default();
        for (number, row) in rows.iter().enumerate() {
            template = template.text(if number == 0 { "SELECT " } else { " UNION ALL SELECT " });
            for (part, column) in self.key.iter().enumerate() {
                let value = positions.get(column).and_then(|at| row.get(*at));
                let value = value.ok_or(codes::KEY_EXPRESSION)?.clone();
                let default = value_of(self.digested, value.clone()) == Value::Default;
                if default || uncertainty(self.digested, value.clone()).is_some() {
                    return Err(codes::KEY_EXPRESSION);
                }
                let (before, after) = expression_projection(&self.table.columns[*column])
                    .ok_or(codes::KEY_EXPRESSION)?;
                let comma = if part == 0 { "" } else { ", " };
                template = template
                    .text(&format!("{comma}{before}"))
                    .tokens(self.digested, value)
                    .text(&after);
            }
        }
        let kind = KeyKind::Expressions;
        Ok(CaptureHow::Preselect(KeySelect {
            template,
            kind,
            new: None,
            generates: false,
            proof: Proof::NotNeeded,
            pre_image: None,
        }))
    }

    /// Row key columns that ON DUPLICATE KEY UPDATE changes to something new.
    fn assigned_keys(&self) -> Result<Vec<(usize, Value)>, Code> {
        let Conflict::Update(assignments) = &self.statement.conflict else { return Ok(Vec::new()) };
        let mut assigned = Vec::new();
        for assignment in assignments {
            let column =
                self.table.column_index(&assignment.column.name).ok_or(codes::UNKNOWN_COLUMN)?;
            if !self.key.contains(&column) || self.keeps_key(assignment) {
                continue;
            }
            match value_of(self.digested, assignment.value.clone()) {
                Value::Expression | Value::Default => return Err(codes::KEY_ASSIGNMENT),
                value if self.key.len() == 1 => assigned.push((column, value)),
                _ => return Err(codes::KEY_ASSIGNMENT),
            }
        }
        Ok(assigned)
    }

    /// `c = c`, `c = VALUES(c)` and the idiom `c = LAST_INSERT_ID(c)` lead to no key that is not
    /// known already.
    fn keeps_key(&self, assignment: &Assignment) -> bool {
        let words: Vec<String> = assignment
            .value
            .clone()
            .map(|at| {
                crate::sql::identifier_name(self.digested.token_text(&self.digested.tokens[at]))
            })
            .collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let same = |name: &str| name.eq_ignore_ascii_case(&assignment.column.name);
        let table = |name: &str| name.eq_ignore_ascii_case(&self.table.name);
        match words.as_slice() {
            [name] => same(name),
            [qualifier, ".", name] => {
                let alias = self.statement.row_alias.as_deref();
                let new_row = alias.is_some_and(|alias| alias.eq_ignore_ascii_case(qualifier));
                same(name) && (table(qualifier) || (new_row && self.key.len() == 1))
            }
            [function, "(", name, ")"] => {
                same(name)
                    && ["VALUES", "VALUE", "LAST_INSERT_ID"].iter().any(|f| f.eq_ignore_ascii_case(function))
                    // VALUES(c) of one part of a key, with the other parts from the old row, is new.
                    && (self.key.len() == 1 || function.eq_ignore_ascii_case("LAST_INSERT_ID"))
            }
            _ => false,
        }
    }

    fn query(&self, replaces: bool) -> Result<CaptureHow, Code> {
        if !self.conflict_keys(replaces)?.is_empty() || !self.assigned_keys()?.is_empty() {
            return Err(codes::UNIQUE_VALUE);
        }
        let generated = self.generated().ok_or(codes::SELECTED_KEY)?;
        if self.columns.contains(&generated) || self.statement.returning {
            return Err(codes::SELECTED_KEY);
        }
        Ok(CaptureHow::Generated)
    }

    fn select(&self, projection: &[Span], rest: Span, replaces: bool) -> Result<CaptureHow, Code> {
        let text = |at: usize| self.digested.token_text(&self.digested.tokens[at]);
        let star = projection.iter().any(|part| part.end > part.start && text(part.end - 1) == "*");
        if star || projection.len() != self.columns.len() {
            return self.query(replaces);
        }
        let projection: Vec<Span> =
            projection.iter().map(|part| self.without_alias(part)).collect();
        // Constant keys: whatever the query's rows are, these are their keys.
        let constants = self.rows(std::slice::from_ref(&projection), replaces);
        if let Ok(CaptureHow::Rows(mut rows)) = constants
            && !rows.rows.iter().flatten().any(|value| *value == Value::Expression)
        {
            rows.repeated = !rest.is_empty();
            return Ok(CaptureHow::Rows(rows));
        }
        if !self.conflict_keys(replaces)?.is_empty() || !self.assigned_keys()?.is_empty() {
            return Err(codes::UNIQUE_VALUE);
        }
        self.key_select(&projection, rest)
    }

    /// The select expression without `AS name`.
    fn without_alias(&self, part: &Span) -> Span {
        let text = |at: usize| self.digested.token_text(&self.digested.tokens[at]);
        match part.len() {
            3.. if text(part.end - 2).eq_ignore_ascii_case("AS") => part.start..part.end - 2,
            _ => part.clone(),
        }
    }

    fn key_select(&self, projection: &[Span], rest: Span) -> Result<CaptureHow, Code> {
        let digested = self.digested;
        let text = |at: usize| digested.token_text(&digested.tokens[at]);
        if reads_session_counters(digested) {
            return Err(codes::SESSION_COUNTERS);
        }
        // Without a total order a LIMIT may take other rows: all of them are a superset.
        let mut depth = 0usize;
        let mut end = rest.end;
        for at in rest.clone() {
            match text(at) {
                "(" => depth += 1,
                ")" => depth = depth.saturating_sub(1),
                word if depth == 0
                    && digested.tokens[at].kind == TokenKind::Word
                    && ["ORDER", "LIMIT"].iter().any(|w| w.eq_ignore_ascii_case(word)) =>
                {
                    end = end.min(at);
                }
                _ => {}
            }
        }
        let whole = end == rest.end;
        let rest = rest.start..end;
        uncertainty(digested, rest.clone()).map_or(Ok(()), Err)?;
        let mut template = Template::default().text("SELECT ");
        for (number, column) in self.key.iter().enumerate() {
            let position =
                self.columns.iter().position(|c| c == column).ok_or(codes::SELECTED_KEY)?;
            let expression = projection[position].clone();
            uncertainty(digested, expression.clone()).map_or(Ok(()), Err)?;
            let (before, after) =
                expression_projection(&self.table.columns[*column]).ok_or(codes::SELECTED_KEY)?;
            let comma = if number == 0 { "" } else { ", " };
            template = template
                .text(&format!("{comma}{before}"))
                .tokens(digested, expression)
                .text(&after);
        }
        template = template.text(" ").tokens(digested, rest.clone());
        if !rest.is_empty() {
            template = template.text(" LOCK IN SHARE MODE");
        }
        Ok(CaptureHow::Preselect(KeySelect {
            template,
            kind: KeyKind::Expressions,
            new: None,
            generates: self.generated().is_some(),
            proof: self.proof(projection, rest, whole),
            pre_image: None,
        }))
    }

    /// `rest` is FROM and what follows it; `whole` if nothing of it was left out.
    fn proof(&self, projection: &[Span], rest: Span, whole: bool) -> Proof {
        if rest.is_empty() {
            return Proof::NotNeeded;
        }
        let counted = whole
            && self.statement.conflict == Conflict::Error
            && !self.statement.returning
            // An aggregate would make one row of many.
            && projection.iter().all(|part| uncertainty(self.digested, part.clone()).is_none())
            && self.reads_one_table(rest);
        if counted { Proof::Affected } else { Proof::None }
    }

    /// `FROM t`, `FROM t WHERE ..`: one result row for each row that is read. (Grouping never comes
    /// here.)
    fn reads_one_table(&self, rest: Span) -> bool {
        let text = |at: usize| self.digested.token_text(&self.digested.tokens[at]);
        let is = |at: usize, words: &[&str]| {
            self.digested.tokens[at].kind == TokenKind::Word
                && words.iter().any(|word| word.eq_ignore_ascii_case(text(at)))
        };
        let refs = rest.clone().find(|at| is(*at, &["WHERE"])).unwrap_or(rest.end);
        !(rest.start..refs)
            .any(|at| matches!(text(at), "," | "(") || is(at, &["JOIN", "STRAIGHT_JOIN"]))
    }
}

impl WritePlan {
    /// Whether nothing has to be done for the statement.
    pub(super) fn is_empty(&self) -> bool {
        self.captures.is_empty()
    }

    pub(super) fn shared(self) -> StatementPlan {
        if self.is_empty() { StatementPlan::Harmless } else { StatementPlan::Write(Arc::new(self)) }
    }
}
