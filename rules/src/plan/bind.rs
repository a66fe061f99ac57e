//! A plan and the values of one execution: entries and preselects before the statement, entries from
//! a preselect's rows, entries from the answer.
//! Never here: reading the statement.

use std::collections::BTreeSet;

use super::decode::decode;
use super::exact::{Use, exact_cell};
use super::insert::InsertRows;
use super::predicate::Pin;
use super::projection::{KeySelect, Proof};
use super::refusal_codes as codes;
use super::resolve::reached;
use super::{Answer, BindSession, Bound, Capture, CaptureHow, Preselect, WritePlan};
use crate::catalog::Table;
use crate::entity::{Change, Dirty, DirtyEntry, OldImage, Ruleset};
use crate::sql::SlotValue;
use crate::value::{Cell, SourceKey, TableName};

/// More keys in one predicate than this are found by a preselect instead: an IN list over several
/// key columns multiplies.
const PREDICATE_KEYS_MAX: usize = 4_096;

struct Binder<'a> {
    ruleset: &'a Ruleset,
    slots: &'a [SlotValue],
    session: BindSession<'a>,
    bound: Bound,
}

impl WritePlan {
    /// Binds slot values. Values that do not fit an exact key degrade to preselects or sweeps.
    pub fn bind(&self, ruleset: &Ruleset, slots: &[SlotValue], session: BindSession<'_>) -> Bound {
        let bound =
            Bound { preselects: Vec::new(), entries: Vec::new(), wrap: false, from_answer: None };
        let mut binder = Binder { ruleset, slots, session, bound };
        for (number, capture) in self.captures.iter().enumerate() {
            binder.capture(number, capture, &capture.how, self.no_auto_value_on_zero);
        }
        let mut bound = binder.bound;
        let old = bound.entries.iter().any(|entry| entry.old_image == OldImage::Needed);
        bound.wrap = session.autocommit_statement && (old || !bound.preselects.is_empty());
        bound
    }

    /// Turns the rows of a preselect (text protocol; `None` is NULL) into entries.
    pub fn preselected(
        &self,
        ruleset: &Ruleset,
        capture: usize,
        rows: &[Vec<Option<Vec<u8>>>],
    ) -> Vec<DirtyEntry> {
        let Some(capture) = self.captures.get(capture) else { return Vec::new() };
        let Some(select) = capture.how.key_select() else { return Vec::new() };
        let Some((table, key)) = table_and_key(ruleset, &capture.table) else {
            return sweep(ruleset, capture, codes::NO_ROW_KEY.code);
        };
        let old_image = old_image(ruleset, capture);
        let mut entries = Vec::new();
        for row in rows {
            match selected_keys(table, key, select, row, self.no_auto_value_on_zero) {
                Some(keys) => entries.extend(keys.into_iter().map(|key| DirtyEntry {
                    dirty: Dirty::Key(SourceKey { table: table.name.clone(), key }),
                    old_image,
                })),
                None => return sweep(ruleset, capture, codes::KEY_DECODE.code),
            }
        }
        entries
    }

    /// Entries known only from the OK packet.
    pub fn after(&self, ruleset: &Ruleset, slots: &[SlotValue], answer: Answer) -> Vec<DirtyEntry> {
        let mut entries = Vec::new();
        for capture in &self.captures {
            let Some(generated) = self.generated(ruleset, capture, slots) else { continue };
            if answer.insert_id == 0 {
                if answer.affected_rows > 0 && generated != Generated::Perhaps {
                    entries.extend(sweep(ruleset, capture, codes::NO_INSERT_ID.code));
                }
                continue;
            }
            let to = match generated {
                Generated::Rows(rows) => {
                    let steps =
                        (rows as u64).saturating_sub(1).saturating_mul(answer.increment.max(1));
                    Some(answer.insert_id.saturating_add(steps))
                }
                Generated::Unbounded | Generated::Perhaps => None,
            };
            let table = capture.table.clone();
            let dirty = Dirty::Range { table, from: answer.insert_id, to };
            entries.push(DirtyEntry { dirty, old_image: old_image(ruleset, capture) });
        }
        entries
    }

    /// What is owed where nothing kept other sessions' rows away between the preselect of a capture,
    /// which found `rows` rows, and the statement: a sweep, unless the numbers prove that there was no
    /// such row. `answer`: `None` where the answer held no numbers.
    pub fn unproven(
        &self,
        ruleset: &Ruleset,
        capture: usize,
        rows: u64,
        answer: Option<Answer>,
    ) -> Vec<DirtyEntry> {
        let Some(capture) = self.captures.get(capture) else { return Vec::new() };
        let Some(select) = capture.how.key_select() else { return Vec::new() };
        let counted = match select.proof {
            Proof::NotNeeded => return Vec::new(),
            Proof::Matched => answer.and_then(|answer| answer.matched),
            Proof::Affected => answer.map(|answer| answer.affected_rows),
            Proof::None => None,
        };
        if counted == Some(rows) {
            return Vec::new();
        }
        sweep(ruleset, capture, codes::CONCURRENT_ROWS.code)
    }

    /// What is owed where a capture's keys were read from the committed rows after the statement, and fewer
    /// than it found: a sweep. That never happens as long as other sessions keep to what InnoDB grants them.
    pub fn missed(
        &self,
        ruleset: &Ruleset,
        capture: usize,
        rows: u64,
        answer: Option<Answer>,
    ) -> Vec<DirtyEntry> {
        let Some(capture) = self.captures.get(capture) else { return Vec::new() };
        match answer {
            Some(answer) if found(capture, answer) <= rows => Vec::new(),
            _ => sweep(ruleset, capture, codes::CONCURRENT_ROWS.code),
        }
    }

    /// The answer says that the statement met no row that it could change.
    pub fn found_nothing(&self, capture: usize, answer: Answer) -> bool {
        self.captures.get(capture).is_some_and(|capture| found(capture, answer) == 0)
    }

    /// A sweep of a capture's table, and of what its foreign-key actions may have changed.
    pub fn swept(&self, ruleset: &Ruleset, capture: usize, reason: &str) -> Vec<DirtyEntry> {
        let capture = self.captures.get(capture);
        capture.map_or_else(Vec::new, |capture| sweep(ruleset, capture, reason))
    }

    fn generated(
        &self,
        ruleset: &Ruleset,
        capture: &Capture,
        slots: &[SlotValue],
    ) -> Option<Generated> {
        match &capture.how {
            CaptureHow::Generated => Some(Generated::Unbounded),
            CaptureHow::Preselect(select) if select.generates => Some(Generated::Perhaps),
            CaptureHow::Rows(rows) if !rows.returning => {
                let table = ruleset.catalog.table(&capture.table)?;
                let count = rows.generated_rows(table, slots, self.no_auto_value_on_zero);
                match count {
                    0 => None,
                    // A key given or assigned in the midst of them lets the numbers jump.
                    _ if rows.repeated || count < rows.rows.len() => Some(Generated::Unbounded),
                    _ if !rows.assigned.is_empty() => Some(Generated::Unbounded),
                    _ => Some(Generated::Rows(count)),
                }
            }
            _ => None,
        }
    }
}

impl CaptureHow {
    fn key_select(&self) -> Option<&KeySelect> {
        match self {
            CaptureHow::Preselect(select) => Some(select),
            CaptureHow::ByKey { otherwise, .. } => otherwise.key_select(),
            _ => None,
        }
    }
}

/// How many rows an UPDATE or DELETE of one table found, at least those that it changed.
fn found(capture: &Capture, answer: Answer) -> u64 {
    match capture.change {
        Change::Delete => answer.affected_rows,
        // In a wide character set the text is not read.
        _ => answer.matched.unwrap_or(answer.affected_rows),
    }
}

/// How many keys the server generates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Generated {
    /// So many, one after the other.
    Rows(usize),
    Unbounded,
    /// None, unless the query gave NULL or 0.
    Perhaps,
}

/// Whether an AUTO_INCREMENT column makes a number of its own for this value.
fn is_generated(value: Option<&SlotValue>, no_auto_value_on_zero: bool) -> bool {
    match value {
        None => false,
        Some(SlotValue::Null) => true,
        Some(SlotValue::Int(0) | SlotValue::UInt(0)) => !no_auto_value_on_zero,
        Some(SlotValue::Text(text)) => !no_auto_value_on_zero && text == "0",
        Some(_) => false,
    }
}

impl InsertRows {
    fn place(&self, column: usize) -> Option<usize> {
        self.columns.iter().position(|c| *c == column)
    }

    fn generates(
        &self,
        row: &[super::value::Value],
        column: usize,
        slots: &[SlotValue],
        no_zero: bool,
    ) -> bool {
        let Some(value) = self.place(column).and_then(|at| row.get(at)) else { return false };
        *value == super::value::Value::Default || is_generated(value.bound(slots).as_ref(), no_zero)
    }

    fn generated_rows(&self, _table: &Table, slots: &[SlotValue], no_zero: bool) -> usize {
        let Some(column) = self.generated else { return 0 };
        self.rows.iter().filter(|row| self.generates(row, column, slots, no_zero)).count()
    }
}

impl Binder<'_> {
    fn capture(&mut self, number: usize, capture: &Capture, how: &CaptureHow, no_zero: bool) {
        match how {
            CaptureHow::Rows(rows) => self.rows(capture, rows, no_zero),
            CaptureHow::Generated => self.bound.from_answer = Some(capture.table.clone()),
            CaptureHow::ByKey { pins, otherwise } => match self.pinned(capture, pins) {
                Some(keys) => self.keys(capture, keys),
                None => self.capture(number, capture, otherwise, no_zero),
            },
            CaptureHow::Preselect(select) => {
                let sql =
                    select.template.render(self.slots, self.session.sql_mode, self.session.charset);
                match sql {
                    Some(sql) => {
                        let committed = self.committed(capture, select);
                        self.bound.preselects.push(Preselect { capture: number, sql, committed });
                    }
                    None => self.sweep(capture, codes::VALUE.code),
                }
                if select.generates {
                    self.bound.from_answer = Some(capture.table.clone());
                }
            }
            CaptureHow::Sweep(code) => self.sweep(capture, code),
        }
    }

    fn committed(&self, capture: &Capture, select: &KeySelect) -> Option<String> {
        let table = self.ruleset.catalog.table(&capture.table)?;
        select.pre_image.as_ref()?.render(table, self.slots, self.session)
    }

    fn sweep(&mut self, capture: &Capture, code: &'static str) {
        self.bound.entries.extend(sweep(self.ruleset, capture, code));
    }

    fn keys(&mut self, capture: &Capture, keys: Vec<Vec<Cell>>) {
        let old_image = old_image(self.ruleset, capture);
        let entries = keys.into_iter().map(|key| DirtyEntry {
            dirty: Dirty::Key(SourceKey { table: capture.table.clone(), key }),
            old_image,
        });
        self.bound.entries.extend(entries);
    }

    /// Every key that the predicate allows; `None` where a value is no exact key.
    fn pinned(&self, capture: &Capture, pins: &[Pin]) -> Option<Vec<Vec<Cell>>> {
        let table = self.ruleset.catalog.table(&capture.table)?;
        let mut keys: Vec<Vec<Cell>> = vec![Vec::new()];
        for pin in pins {
            let mut cells = Vec::with_capacity(pin.values.len());
            for value in &pin.values {
                let value = value.bound(self.slots)?;
                let column = &table.columns[pin.column];
                cells.push(exact_cell(column, &value, Use::Compared, self.session.charset)?);
            }
            if keys.len().saturating_mul(cells.len()) > PREDICATE_KEYS_MAX {
                return None;
            }
            let longer = |key: &Vec<Cell>, cell: &Cell| {
                [key.as_slice(), std::slice::from_ref(cell)].concat()
            };
            keys = keys
                .iter()
                .flat_map(|key| cells.iter().map(move |cell| longer(key, cell)))
                .collect();
        }
        Some(keys)
    }

    fn rows(&mut self, capture: &Capture, rows: &InsertRows, no_zero: bool) {
        let Some((table, key)) = table_and_key(self.ruleset, &capture.table) else {
            return self.sweep(capture, codes::NO_ROW_KEY.code);
        };
        let mut keys = Vec::new();
        let mut doubt = None;
        for row in &rows.rows {
            if rows.generated.is_some_and(|column| rows.generates(row, column, self.slots, no_zero))
            {
                match rows.returning {
                    true => doubt = Some(codes::RETURNING.code),
                    false => self.bound.from_answer = Some(capture.table.clone()),
                }
                continue;
            }
            match self.stored(table, rows, row, key) {
                Some(key) => keys.push(key),
                None => doubt = Some(codes::KEY_EXPRESSION.code),
            }
        }
        for (column, value) in &rows.assigned {
            let cell = value.bound(self.slots).and_then(|value| {
                exact_cell(&table.columns[*column], &value, Use::Stored, self.session.charset)
            });
            match cell {
                Some(cell) => keys.push(vec![cell]),
                None => doubt = Some(codes::KEY_ASSIGNMENT.code),
            }
        }
        self.keys(capture, keys);
        for columns in &rows.unique {
            self.unique(capture, table, rows, columns, no_zero, &mut doubt);
        }
        if let Some(code) = doubt {
            self.sweep(capture, code);
        }
    }

    fn stored(
        &self,
        table: &Table,
        rows: &InsertRows,
        row: &[super::value::Value],
        columns: &[usize],
    ) -> Option<Vec<Cell>> {
        let cell = |column: &usize| {
            let value = row.get(rows.place(*column)?)?.bound(self.slots)?;
            exact_cell(&table.columns[*column], &value, Use::Stored, self.session.charset)
        };
        columns.iter().map(cell).collect()
    }

    /// Rows that the statement replaces or updates, found by a unique key before and after.
    fn unique(
        &mut self,
        capture: &Capture,
        table: &Table,
        rows: &InsertRows,
        columns: &[usize],
        no_zero: bool,
        doubt: &mut Option<&'static str>,
    ) {
        let mut values = Vec::new();
        for row in &rows.rows {
            let null = columns.iter().any(|column| {
                let value = rows.place(*column).and_then(|at| row.get(at)?.bound(self.slots));
                value == Some(SlotValue::Null) && table.columns[*column].nullable
            });
            let generated = rows.generated.is_some_and(|c| {
                columns.contains(&c) && rows.generates(row, c, self.slots, no_zero)
            });
            if null || generated {
                // NULL and new numbers conflict with nothing.
                continue;
            }
            match self.stored(table, rows, row, columns) {
                Some(cells) => values.push(cells),
                None => *doubt = Some(codes::UNIQUE_VALUE.code),
            }
        }
        if !values.is_empty() {
            let dirty =
                Dirty::Unique { table: capture.table.clone(), columns: columns.to_vec(), values };
            self.bound.entries.push(DirtyEntry { dirty, old_image: OldImage::Needed });
        }
    }
}

fn table_and_key<'a>(ruleset: &'a Ruleset, name: &TableName) -> Option<(&'a Table, &'a [usize])> {
    let table = ruleset.catalog.table(name)?;
    Some((table, table.row_key()?))
}

fn old_image(ruleset: &Ruleset, capture: &Capture) -> OldImage {
    match ruleset.sources.get(&capture.table) {
        Some(source) if source.needs_old_image(&capture.change, ruleset) => OldImage::Needed,
        _ => OldImage::NotNeeded,
    }
}

/// A sweep of the table, and of what its foreign-key actions may have changed.
fn sweep(ruleset: &Ruleset, capture: &Capture, code: &str) -> Vec<DirtyEntry> {
    let tables = match capture.change {
        Change::Insert => BTreeSet::from([capture.table.clone()]),
        _ => reached(ruleset, &capture.table),
    };
    tables
        .into_iter()
        .map(|table| DirtyEntry {
            dirty: Dirty::Sweep { table, reason: code.to_owned() },
            old_image: OldImage::NotNeeded,
        })
        .collect()
}

/// The old key and, where the statement changes it, the new one. `None`: not understood. A row
/// without a key (outer join, generated key) gives nothing.
fn selected_keys(
    table: &Table,
    key: &[usize],
    select: &KeySelect,
    row: &[Option<Vec<u8>>],
    no_zero: bool,
) -> Option<Vec<Vec<Cell>>> {
    let mut old = Vec::with_capacity(key.len());
    for (at, &column) in key.iter().enumerate() {
        let column = &table.columns[column];
        let Some(text) = row.get(at)? else { return Some(Vec::new()) };
        if select.generates && column.auto_increment && !no_zero && text == b"0" {
            return Some(Vec::new());
        }
        old.push(decode(column, text, select.kind)?);
    }
    let Some(places) = &select.new else { return Some(vec![old]) };
    let mut new = old.clone();
    for ((place, &column), cell) in places.iter().zip(key).zip(&mut new) {
        if let Some(place) = place {
            let text = row.get(*place)?.as_ref()?;
            *cell = decode(&table.columns[column], text, super::projection::KeyKind::Expressions)?;
        }
    }
    Some(vec![old, new])
}
