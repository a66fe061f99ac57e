//! UPDATE and DELETE, of one table or several: keys from the predicate or from a preselect.
//! Never here: values of one execution (see `bind`).

use std::collections::BTreeSet;

use super::predicate::{self, Pin, conjuncts, reads_session_counters, uncertainty};
use super::preimage::Source;
use super::projection::{KeyKind, KeySelect, Proof, column_projection, expression_projection};
use super::refusal_codes as codes;
use super::refusal_codes::Code;
use super::resolve::{self, trigger_captures, trigger_may_set_key};
use super::template::{Template, quoted};
use super::value::{Value, value_of};
use super::{Capture, CaptureHow, Refusal, SqlMode, StatementPlan, WritePlan};
use crate::catalog::{Table, TableKind};
use crate::entity::{Change, Ruleset};
use crate::sql::statement::{Assignment, Clauses, Delete, Span, TableRefs, TableUse, Update};
use crate::sql::{Digested, TokenKind};

/// A statement whose rows are found by table references and a predicate.
struct Context<'a> {
    ruleset: &'a Ruleset,
    digested: &'a Digested,
    refs: &'a TableRefs,
    clauses: &'a Clauses,
    /// The catalog's table of each table reference; `None` where it is of another schema or unknown.
    tables: Vec<Option<&'a Table>>,
    mode: SqlMode,
    /// UPDATE or DELETE.
    event: &'a str,
}

/// One written table reference.
struct Target<'a> {
    table: &'a Table,
    position: usize,
    change: Change,
    /// Assignments to this table, in order.
    assignments: Vec<&'a Assignment>,
}

/// What of a statement's choice of rows is repeated.
struct Narrowed {
    /// Parts of WHERE.
    parts: Vec<Span>,
    /// Nothing of WHERE was left out.
    same_rows: bool,
    /// ORDER BY and LIMIT are repeated.
    limited: bool,
}

pub(super) fn view(table: &Table) -> StatementPlan {
    let refusal = codes::VIEW.refusal(&*table.name);
    StatementPlan::Opaque { refusal, tables: Vec::new(), commits: false }
}

pub(super) fn finish(
    captures: Vec<Capture>,
    mut refusals: Vec<Refusal>,
    digested: &Digested,
    mode: SqlMode,
) -> StatementPlan {
    if captures
        .iter()
        .any(|c| matches!(c.how, CaptureHow::Sweep(code) if code == codes::TRIGGER_WRITES.code))
    {
        refusals.push(codes::TRIGGER_WRITES.refusal("trigger"));
    }
    WritePlan {
        captures,
        refusals,
        insert_id_is_key: !predicate::sets_insert_id(digested),
        no_auto_value_on_zero: mode.no_auto_value_on_zero,
    }
    .shared()
}

impl<'a> Context<'a> {
    fn new(
        ruleset: &'a Ruleset,
        digested: &'a Digested,
        refs: &'a TableRefs,
        clauses: &'a Clauses,
        (schema, mode): (Option<&str>, SqlMode),
        event: &'a str,
    ) -> Self {
        let tables = refs.tables.iter().map(|t| resolve::table(ruleset, &t.name, schema)).collect();
        Context { ruleset, digested, refs, clauses, tables, mode, event }
    }

    fn plan(&self, targets: Vec<Target<'a>>) -> StatementPlan {
        if let Some(target) = targets.iter().find(|t| t.table.kind == TableKind::View) {
            return view(target.table);
        }
        let mut captures = Vec::new();
        let mut refusals = Vec::new();
        for target in &targets {
            if self.ruleset.sources.contains_key(&target.table.name) {
                let how = self.how(target).unwrap_or_else(|code| {
                    refusals.push(code.refusal(&*target.table.name));
                    CaptureHow::Sweep(code.code)
                });
                let table = target.table.name.clone();
                captures.push(Capture { table, change: target.change.clone(), how });
            }
            captures.extend(trigger_captures(self.ruleset, target.table, &[self.event]));
        }
        finish(captures, refusals, self.digested, self.mode)
    }

    fn how(&self, target: &Target<'_>) -> Result<CaptureHow, Code> {
        let key = target.table.row_key().ok_or(codes::NO_ROW_KEY)?;
        let new = self.new_key(target, key)?;
        let select = self.key_select(target, key, new.as_deref());
        let single = self.refs.tables.len() == 1 && !self.refs.derived && !self.clauses.with;
        if single
            && new.is_none()
            && let Some(pins) = self.pins(target, key)
        {
            let otherwise = match select {
                Ok(select) => CaptureHow::Preselect(select),
                Err(code) => CaptureHow::Sweep(code.code),
            };
            return Ok(CaptureHow::ByKey { pins, otherwise: Box::new(otherwise) });
        }
        Ok(CaptureHow::Preselect(select?))
    }

    /// The expressions of the new row key, or `None` where the key stays as it is.
    fn new_key(
        &self,
        target: &Target<'_>,
        key: &[usize],
    ) -> Result<Option<Vec<Option<Span>>>, Code> {
        if target.assignments.is_empty() {
            return Ok(None);
        }
        let moves = |c: &usize| {
            target.table.columns[*c].generated || target.table.columns[*c].on_update_now
        };
        if key.iter().any(moves) {
            return Err(codes::KEY_ASSIGNMENT);
        }
        if trigger_may_set_key(target.table, "UPDATE", key) {
            return Err(codes::KEY_TRIGGER);
        }
        let mut new = vec![None; key.len()];
        let mut earlier: Vec<&str> = Vec::new();
        for assignment in &target.assignments {
            let column =
                target.table.column_index(&assignment.column.name).ok_or(codes::UNKNOWN_COLUMN)?;
            if let Some(part) = key.iter().position(|k| *k == column)
                && !self.assigns_itself(assignment)
            {
                self.check_new_part(assignment, &earlier)?;
                if new[part].is_some() {
                    return Err(codes::KEY_ASSIGNMENT);
                }
                new[part] = Some(assignment.value.clone());
            }
            earlier.push(&assignment.column.name);
        }
        Ok(new.iter().any(Option::is_some).then_some(new))
    }

    fn assigns_itself(&self, assignment: &Assignment) -> bool {
        predicate::column_at(self.digested, assignment.value.clone())
            .is_some_and(|(_, name)| name.eq_ignore_ascii_case(&assignment.column.name))
            && self.refs.tables.len() == 1
    }

    /// MySQL evaluates assignments from left to right, and later ones see the new values; in what
    /// order several tables are updated is not said.
    fn check_new_part(&self, assignment: &Assignment, earlier: &[&str]) -> Result<(), Code> {
        let code = uncertainty(self.digested, assignment.value.clone());
        let several = self.refs.tables.len() > 1;
        let depends = assignment.value.clone().any(|at| {
            let token = &self.digested.tokens[at];
            let name = crate::sql::identifier_name(self.digested.token_text(token));
            matches!(token.kind, TokenKind::Word | TokenKind::Identifier)
                && (several || earlier.iter().any(|e| e.eq_ignore_ascii_case(&name)))
        });
        let default = value_of(self.digested, assignment.value.clone()) == Value::Default;
        if code.is_some() || depends || default { Err(codes::KEY_ASSIGNMENT) } else { Ok(()) }
    }

    fn conjuncts(&self) -> Vec<Span> {
        let predicate = self.clauses.predicate.clone();
        predicate
            .map_or_else(Vec::new, |span| conjuncts(self.digested, span, self.mode.pipes_as_concat))
    }

    /// For each row key column the values that the predicate allows.
    fn pins(&self, target: &Target<'_>, key: &[usize]) -> Option<Vec<Pin>> {
        let visible = self.refs.tables[target.position].visible();
        let mut pins: Vec<Option<Pin>> = vec![None; key.len()];
        for part in self.conjuncts() {
            let Some(((qualifier, name), values)) = predicate::equality(self.digested, part) else {
                continue;
            };
            if qualifier.is_some_and(|q| !q.eq_ignore_ascii_case(visible)) {
                continue;
            }
            let column = target.table.column_index(&name)?;
            if let Some(at) = key.iter().position(|k| *k == column) {
                pins[at].get_or_insert(Pin { column, values });
            }
        }
        pins.into_iter().collect()
    }

    fn key_select(
        &self,
        target: &Target<'_>,
        key: &[usize],
        new: Option<&[Option<Span>]>,
    ) -> Result<KeySelect, Code> {
        let digested = self.digested;
        if reads_session_counters(digested) {
            return Err(codes::SESSION_COUNTERS);
        }
        if self.refs.derived || self.clauses.with {
            return Err(codes::DERIVED_TABLE);
        }
        uncertainty(digested, self.refs.span.clone()).map_or(Ok(()), Err)?;
        let visible = quoted(self.refs.tables[target.position].visible());
        let mut template = Template::default().text("SELECT ");
        for (number, &column) in key.iter().enumerate() {
            let column = &target.table.columns[column];
            let name = format!("{visible}.{}", quoted(&column.name));
            let comma = if number == 0 { "" } else { ", " };
            template = template.text(&format!("{comma}{}", column_projection(column, &name)));
        }
        let mut places = Vec::new();
        let mut next = key.len();
        for (part, &column) in new.unwrap_or_default().iter().zip(key) {
            let Some(expression) = part else {
                places.push(None);
                continue;
            };
            let (before, after) = expression_projection(&target.table.columns[column])
                .ok_or(codes::KEY_ASSIGNMENT)?;
            template = template
                .text(&format!(", {before}"))
                .tokens(digested, expression.clone())
                .text(&after);
            places.push(Some(next));
            next += 1;
        }
        template = template.text(" FROM ").tokens(digested, self.refs.span.clone());
        let (template, narrowed) = self.narrowed(template, target, key)?;
        // A row that comes in between would take a place among the first, and the row that had it is missed.
        let pre_image = (new.is_none() && !narrowed.limited)
            .then(|| self.source(target).pre_image(key, &narrowed.parts))
            .flatten();
        Ok(KeySelect {
            template: template.text(" FOR UPDATE"),
            kind: KeyKind::Columns,
            new: new.map(|_| places),
            generates: false,
            proof: self.proof(target, narrowed.same_rows),
            pre_image,
        })
    }

    fn source(&self, target: &Target<'a>) -> Source<'a> {
        let Context { ruleset, digested, refs, clauses, event, .. } = *self;
        Source { ruleset, digested, refs, clauses, table: target.table, event }
    }

    /// `same_rows`: the SELECT and the statement differ in nothing that chooses rows.
    fn proof(&self, target: &Target<'_>, same_rows: bool) -> Proof {
        match target.change {
            // Rows of a join are more than those changed; IGNORE leaves rows out of the count; and a
            // new row takes an old one's place among those that a LIMIT lets pass.
            _ if !same_rows || self.refs.tables.len() > 1 => Proof::None,
            _ if self.clauses.ignore || self.clauses.limit.is_some() => Proof::None,
            Change::Delete => Proof::Affected,
            _ => Proof::Matched,
        }
    }

    /// WHERE with the parts that are certain, then ORDER BY and LIMIT if they choose the same rows.
    fn narrowed(
        &self,
        mut template: Template,
        target: &Target<'_>,
        key: &[usize],
    ) -> Result<(Template, Narrowed), Code> {
        let joined = self.refs.tables.len() > 1;
        let mut doubt = None;
        let mut parts = Vec::new();
        for part in self.conjuncts() {
            if let Some(code) = uncertainty(self.digested, part.clone()) {
                doubt = Some(code);
                continue;
            }
            template = template
                .text(if parts.is_empty() { " WHERE (" } else { " AND (" })
                .tokens(self.digested, part.clone())
                .text(")");
            parts.push(part);
        }
        if parts.is_empty() && !joined {
            return Err(doubt.unwrap_or(codes::WHOLE_TABLE));
        }
        if parts.is_empty()
            && let Some(code) = doubt
        {
            return Err(code);
        }
        let mut narrowed = Narrowed { parts, same_rows: doubt.is_none(), limited: false };
        let (Some(order), Some(limit)) = (&self.clauses.order, &self.clauses.limit) else {
            return Ok((template, narrowed));
        };
        if doubt.is_none() && !joined && self.orders_totally(order.clone(), target, key) {
            template = template
                .text(" ORDER BY ")
                .tokens(self.digested, order.clone())
                .text(" LIMIT ")
                .tokens(self.digested, limit.clone());
            narrowed.limited = true;
        }
        Ok((template, narrowed))
    }

    /// Whether the order is over plain columns and holds every row key column.
    fn orders_totally(&self, order: Span, target: &Target<'_>, key: &[usize]) -> bool {
        let text = |at: usize| self.digested.token_text(&self.digested.tokens[at]);
        let mut columns = BTreeSet::new();
        let mut start = order.start;
        for at in order.start..=order.end {
            if at != order.end && text(at) != "," {
                continue;
            }
            let mut part = start..at;
            start = at + 1;
            if part.len() > 1
                && ["ASC", "DESC"].iter().any(|w| w.eq_ignore_ascii_case(text(part.end - 1)))
            {
                part.end -= 1;
            }
            let column = predicate::column_at(self.digested, part)
                .and_then(|(_, name)| target.table.column_index(&name));
            match column {
                Some(column) => columns.insert(column),
                None => return false,
            };
        }
        key.iter().all(|column| columns.contains(column))
    }
}

pub(super) fn plan_update(
    ruleset: &Ruleset,
    digested: &Digested,
    statement: &Update,
    schema: Option<&str>,
    mode: SqlMode,
) -> StatementPlan {
    let context = Context::new(
        ruleset,
        digested,
        &statement.tables,
        &statement.clauses,
        (schema, mode),
        "UPDATE",
    );
    let mut targets: Vec<Target<'_>> = Vec::new();
    for assignment in &statement.assignments {
        for position in assigned_tables(&context, assignment) {
            let Some(table) = context.tables[position] else { continue };
            match targets.iter_mut().find(|t| t.position == position) {
                Some(target) => target.assignments.push(assignment),
                None => targets.push(Target {
                    table,
                    position,
                    change: Change::Any,
                    assignments: vec![assignment],
                }),
            }
        }
    }
    for target in &mut targets {
        target.change = updated_columns(target);
    }
    context.plan(targets)
}

/// The table references that an assignment may write: one, unless the statement is wrong or speaks
/// of tables that the catalog does not hold.
fn assigned_tables(context: &Context<'_>, assignment: &Assignment) -> Vec<usize> {
    let uses = context.refs.tables.iter().enumerate();
    if let Some(qualifier) = &assignment.column.qualifier {
        return uses
            .filter(|(_, table)| is_called(table, &qualifier.name))
            .map(|(n, _)| n)
            .collect();
    }
    if context.tables.len() == 1 {
        return vec![0];
    }
    let has = |n: usize| {
        context.tables[n].is_some_and(|t| t.column_index(&assignment.column.name).is_some())
    };
    let found: Vec<usize> = uses.map(|(n, _)| n).filter(|n| has(*n)).collect();
    // A column that no table has: the catalog is older than the schema, so it may be any table's.
    if found.is_empty() { (0..context.tables.len()).collect() } else { found }
}

fn is_called(table: &TableUse, name: &str) -> bool {
    table.visible().eq_ignore_ascii_case(name)
}

/// Assigned columns, and those that change with them; every column if a BEFORE trigger may set more.
fn updated_columns(target: &Target<'_>) -> Change {
    let table = target.table;
    let before = |t: &&crate::catalog::Trigger| {
        t.event.eq_ignore_ascii_case("UPDATE") && t.timing.eq_ignore_ascii_case("BEFORE")
    };
    if table.triggers.iter().find(before).is_some() {
        return Change::Update((0..table.columns.len()).collect());
    }
    let assigned = target.assignments.iter().filter_map(|a| table.column_index(&a.column.name));
    let follows = |c: &usize| table.columns[*c].generated || table.columns[*c].on_update_now;
    Change::Update(assigned.chain((0..table.columns.len()).filter(follows)).collect())
}

pub(super) fn plan_delete(
    ruleset: &Ruleset,
    digested: &Digested,
    statement: &Delete,
    schema: Option<&str>,
    mode: SqlMode,
) -> StatementPlan {
    let context = Context::new(
        ruleset,
        digested,
        &statement.tables,
        &statement.clauses,
        (schema, mode),
        "DELETE",
    );
    let positions: Vec<usize> = if statement.targets.is_empty() {
        vec![0]
    } else {
        let uses = context.refs.tables.iter().enumerate();
        let target = |table: &TableUse| {
            statement.targets.iter().any(|t| {
                is_called(table, &t.name)
                    || (t.schema.is_some() && table.name.name.eq_ignore_ascii_case(&t.name))
            })
        };
        uses.filter(|(_, table)| target(table)).map(|(n, _)| n).collect()
    };
    let target = |position: usize| {
        let table = context.tables[position]?;
        Some(Target { table, position, change: Change::Delete, assignments: Vec::new() })
    };
    let targets = positions.into_iter().filter_map(target).collect();
    context.plan(targets)
}
