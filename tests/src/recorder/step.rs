//! The commands that can be recorded, as payloads.
//! Never here: sending them.

use super::answer::Shape;

/// One command.
#[derive(Clone, Debug)]
pub enum Step {
    Query(Vec<u8>),
    /// A LOAD DATA LOCAL with the file's content.
    File {
        sql: String,
        content: Vec<u8>,
    },
    Prepare(String),
    /// Executes the statement prepared last. `cursor`: 0 none, 1 read only.
    Execute {
        cursor: u8,
        parameters: Vec<Parameter>,
    },
    /// MariaDB's execution with the parameters of many rows; the first row's types are those of all.
    Bulk(Vec<Vec<Parameter>>),
    /// So many rows of the cursor.
    Fetch(u32),
    /// A piece of a parameter.
    LongData(u16, Vec<u8>),
    ResetStatement,
    CloseStatement,
    InitDb(String),
    FieldList(String),
    Ping,
    /// 0 switches several statements in one command on, 1 off.
    SetOption(u16),
    ResetConnection,
    Statistics,
    /// A command of which only one packet comes back.
    Unknown(Vec<u8>),
}

/// A bound value.
#[derive(Clone, Debug)]
pub enum Parameter {
    Null,
    Int(i64),
    Unsigned(u64),
    Double(f64),
    Text(String),
    Blob(Vec<u8>),
    /// Year, month, day, hour, minute, second, microseconds.
    DateTime(u16, [u8; 5], u32),
    /// Sent before as long data.
    Long,
    /// Any other type: its code, and its value in the binary protocol's form.
    Typed(u8, Vec<u8>),
}

impl Step {
    pub fn query(sql: impl Into<Vec<u8>>) -> Step {
        Step::Query(sql.into())
    }

    pub(super) fn shape(&self) -> Shape {
        match self {
            Step::Query(_) | Step::File { .. } | Step::Execute { .. } | Step::Bulk(_) => {
                Shape::Results
            }
            Step::Prepare(_) => Shape::Prepare,
            Step::Fetch(_) => Shape::Rows,
            Step::FieldList(_) => Shape::Fields,
            Step::LongData(..) | Step::CloseStatement => Shape::Nothing,
            _ => Shape::Single,
        }
    }

    /// `attributes`: queries and executions may have attributes, so they say how many (none).
    pub(super) fn payload(&self, statement: u32, attributes: bool) -> Vec<u8> {
        let id = statement.to_le_bytes();
        match self {
            Step::Query(sql) => query(sql, attributes),
            Step::File { sql, .. } => query(sql.as_bytes(), attributes),
            Step::Prepare(sql) => [&[0x16], sql.as_bytes()].concat(),
            Step::Execute { cursor, parameters } => {
                let mut payload = [&[0x17], &id[..], &[*cursor], &[1, 0, 0, 0]].concat();
                put_parameters(&mut payload, parameters, attributes);
                payload
            }
            Step::Bulk(rows) => {
                let mut payload = [&[0xfa], &id[..], &[128, 0]].concat();
                put_rows(&mut payload, rows);
                payload
            }
            Step::Fetch(rows) => [&[0x1c], &id[..], &rows.to_le_bytes()].concat(),
            Step::LongData(parameter, bytes) => {
                [&[0x18], &id[..], &parameter.to_le_bytes(), bytes].concat()
            }
            Step::ResetStatement => [&[0x1a], &id[..]].concat(),
            Step::CloseStatement => [&[0x19], &id[..]].concat(),
            Step::InitDb(name) => [&[0x02], name.as_bytes()].concat(),
            Step::FieldList(table) => [&[0x04], table.as_bytes(), b"\0"].concat(),
            Step::Ping => vec![0x0e],
            Step::SetOption(option) => [&[0x1b], &option.to_le_bytes()[..]].concat(),
            Step::ResetConnection => vec![0x1f],
            Step::Statistics => vec![0x09],
            Step::Unknown(payload) => payload.clone(),
        }
    }
}

fn query(sql: &[u8], attributes: bool) -> Vec<u8> {
    let head: &[u8] = if attributes { &[0x03, 0, 1] } else { &[0x03] };
    [head, sql].concat()
}

/// `named`: attributes may follow, so their number is told and each has a name.
fn put_parameters(payload: &mut Vec<u8>, parameters: &[Parameter], named: bool) {
    if parameters.is_empty() {
        return;
    }
    if named {
        payload.push(parameters.len() as u8);
    }
    let mut nulls = vec![0_u8; parameters.len().div_ceil(8)];
    let (mut types, mut values) = (Vec::new(), Vec::new());
    for (i, parameter) in parameters.iter().enumerate() {
        if matches!(parameter, Parameter::Null) {
            nulls[i / 8] |= 1 << (i % 8);
        }
        let (kind, unsigned) = put_value(&mut values, parameter);
        types.extend_from_slice(&[kind, unsigned]);
        if named {
            types.push(0);
        }
    }
    payload.extend_from_slice(&nulls);
    payload.push(1);
    payload.extend_from_slice(&types);
    payload.extend_from_slice(&values);
}

/// Appends a value; gives its type and whether it is unsigned.
fn put_value(values: &mut Vec<u8>, parameter: &Parameter) -> (u8, u8) {
    match parameter {
        Parameter::Null => (6, 0),
        Parameter::Int(value) => {
            values.extend_from_slice(&value.to_le_bytes());
            (8, 0)
        }
        Parameter::Unsigned(value) => {
            values.extend_from_slice(&value.to_le_bytes());
            (8, 0x80)
        }
        Parameter::Double(value) => {
            values.extend_from_slice(&value.to_le_bytes());
            (5, 0)
        }
        Parameter::Text(text) => {
            put_bytes(values, text.as_bytes());
            (253, 0)
        }
        Parameter::Blob(bytes) => {
            put_bytes(values, bytes);
            (252, 0)
        }
        Parameter::DateTime(year, rest, micros) => {
            values.push(11);
            values.extend_from_slice(&year.to_le_bytes());
            values.extend_from_slice(rest);
            values.extend_from_slice(&micros.to_le_bytes());
            (12, 0)
        }
        Parameter::Long => (252, 0),
        Parameter::Typed(kind, bytes) => {
            values.extend_from_slice(bytes);
            (*kind, 0)
        }
    }
}

/// Rows of a bulk execution: types first, then each value behind a byte that says whether there is one.
fn put_rows(payload: &mut Vec<u8>, rows: &[Vec<Parameter>]) {
    for parameter in &rows[0] {
        let (kind, unsigned) = put_value(&mut vec![], parameter);
        payload.extend_from_slice(&[kind, unsigned]);
    }
    for parameter in rows.iter().flatten() {
        payload.push(u8::from(matches!(parameter, Parameter::Null)));
        put_value(payload, parameter);
    }
}

fn put_bytes(payload: &mut Vec<u8>, bytes: &[u8]) {
    match bytes.len() {
        length @ 0..=250 => payload.push(length as u8),
        length @ 251..=0xffff => {
            payload.push(0xfc);
            payload.extend_from_slice(&(length as u16).to_le_bytes());
        }
        length => {
            payload.push(0xfd);
            payload.extend_from_slice(&(length as u32).to_le_bytes()[..3]);
        }
    }
    payload.extend_from_slice(bytes);
}
