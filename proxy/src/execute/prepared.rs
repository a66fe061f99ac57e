//! Prepared statements of one session: their texts, parameter types and long data.
//! Never here: plans.

use std::collections::HashMap;
use std::sync::Arc;

use segue_config::limits;
use segue_rules::plan::{SlotValue, SqlMode};
use segue_rules::sql::{Digested, Reading, digest};

use crate::telemetry::DigestCounter;
use crate::wire::bulk::BulkExecute;
use crate::wire::capability::Capabilities;
use crate::wire::execute::{
    Execute, Parameter, ParameterType, long_data, sends_types, statement_id,
};

/// MariaDB's id for "the statement prepared last", sent where a client does not wait for the id.
const LAST_PREPARED: u32 = u32::MAX;

/// One prepared statement. Names in it were resolved when it was prepared.
pub struct Prepared {
    pub text: Arc<[u8]>,
    pub schema: Option<String>,
    /// Settings at PREPARE; `None` where they were not known.
    pub sql_mode: Option<SqlMode>,
    pub charset: Option<String>,
    /// The text as it was read last, with the mode and character set of then.
    digested: Option<(SqlMode, String, Arc<[Digested]>)>,
    /// Where its executions are counted, once one was.
    pub counter: Option<Arc<DigestCounter>>,
    parameters: u16,
    types: Option<Vec<ParameterType>>,
    long: HashMap<u16, Long>,
}

#[derive(Debug, Default)]
struct Long {
    bytes: Vec<u8>,
    /// Too large to be kept, or not seen as a whole.
    unknown: bool,
}

/// All prepared statements of a session.
#[derive(Default)]
pub struct PreparedStatements {
    statements: HashMap<u32, Prepared>,
    last: u32,
}

impl Prepared {
    pub fn new(text: &[u8], parameters: u16, schema: Option<String>) -> Self {
        Prepared {
            text: text.into(),
            schema,
            sql_mode: None,
            charset: None,
            digested: None,
            counter: None,
            parameters,
            types: None,
            long: HashMap::new(),
        }
    }
}

impl PreparedStatements {
    pub fn insert(&mut self, id: u32, prepared: Prepared) {
        self.last = id;
        if self.statements.len() < limits::PREPARED_PER_SESSION_MAX {
            self.statements.insert(id, prepared);
        }
    }

    fn id(&self, payload: &[u8]) -> Option<u32> {
        let id = statement_id(payload).ok()?;
        Some(if id == LAST_PREPARED { self.last } else { id })
    }

    pub fn get(&self, payload: &[u8]) -> Option<&Prepared> {
        self.statements.get(&self.id(payload)?)
    }

    pub fn get_mut(&mut self, payload: &[u8]) -> Option<&mut Prepared> {
        let id = self.id(payload)?;
        self.statements.get_mut(&id)
    }

    /// The statements in the text of the one that a payload executes; read anew only where it is read
    /// in another way than last time.
    pub fn statements(
        &mut self,
        payload: &[u8],
        text: &[u8],
        reading: Reading<'_>,
    ) -> Arc<[Digested]> {
        let prepared = self.get_mut(payload);
        if let Some((mode, charset, statements)) =
            prepared.as_ref().and_then(|p| p.digested.as_ref())
            && *mode == reading.sql_mode
            && charset == reading.charset
        {
            return statements.clone();
        }
        let statements: Arc<[Digested]> = digest(text, reading).into();
        if let Some(prepared) = prepared {
            let charset = reading.charset.to_owned();
            prepared.digested = Some((reading.sql_mode, charset, statements.clone()));
        }
        statements
    }

    /// Takes an execution of which only the types matter, because later ones may leave them out.
    pub fn execute_unseen(&mut self, payload: &[u8], whole: bool, capabilities: Capabilities) {
        let Some(prepared) = self.get_mut(payload) else { return };
        let repeats = whole && prepared.types.is_some() && prepared.long.is_empty();
        let sends_types = || sends_types(payload, prepared.parameters, capabilities);
        if !(prepared.parameters == 0 || repeats && !sends_types()) {
            self.execute(payload, whole, capabilities, "");
        }
    }

    pub fn close(&mut self, payload: &[u8]) {
        if let Some(id) = self.id(payload) {
            self.statements.remove(&id);
        }
    }

    /// COM_STMT_RESET drops long data.
    pub fn reset(&mut self, payload: &[u8]) {
        if let Some(prepared) = self.get_mut(payload) {
            prepared.long.clear();
        }
    }

    pub fn clear(&mut self) {
        self.statements.clear();
    }

    /// Keeps long data. `whole`: the payload is complete.
    pub fn send_long_data(&mut self, payload: &[u8], whole: bool) {
        let Ok((id, parameter, bytes)) = long_data(payload) else { return };
        let id = if id == LAST_PREPARED { self.last } else { id };
        let Some(prepared) = self.statements.get_mut(&id) else { return };
        if parameter >= prepared.parameters {
            return;
        }
        let long = prepared.long.entry(parameter).or_default();
        long.unknown |= !whole || long.bytes.len() + bytes.len() > limits::LONG_DATA_BYTES_MAX;
        if long.unknown {
            long.bytes = Vec::new();
        } else {
            long.bytes.extend_from_slice(bytes);
        }
    }

    /// Takes an execution: remembers its types, forgets long data, and gives the parameters.
    /// `None` where the packet is not understood; the server will judge it.
    pub fn execute(
        &mut self,
        payload: &[u8],
        whole: bool,
        capabilities: Capabilities,
        charset: &str,
    ) -> Option<Vec<SlotValue>> {
        let id = self.id(payload)?;
        let prepared = self.statements.get_mut(&id)?;
        let long = std::mem::take(&mut prepared.long);
        if !whole {
            prepared.types = None;
            return None;
        }
        let known = prepared.types.take();
        let is_long = |i: usize| u16::try_from(i).is_ok_and(|i| long.contains_key(&i));
        let execute =
            Execute::parse(payload, prepared.parameters, capabilities, known.as_deref(), is_long)
                .ok()?;
        let values = execute.parameters.into_iter().enumerate().map(|(i, parameter)| {
            let long = u16::try_from(i).ok().and_then(|i| long.get(&i));
            match (parameter, long) {
                (Parameter::Long, Some(long)) if long.unknown => SlotValue::Opaque,
                (Parameter::Long, Some(long)) => match execute.types.get(i).map(|t| t & 0xff) {
                    Some(249..=252) => SlotValue::Bytes(long.bytes.clone()),
                    _ => string(long.bytes.clone(), charset),
                },
                (parameter, _) => slot_value(parameter, charset),
            }
        });
        let values = values.collect();
        prepared.types = Some(execute.types);
        Some(values)
    }

    /// A bulk execution of which nothing is captured: its types are not known later.
    pub fn bulk_unseen(&mut self, payload: &[u8]) {
        if let Some(id) = self.id(payload)
            && let Some(prepared) = self.statements.get_mut(&id)
        {
            prepared.long.clear();
            prepared.types = None;
        }
    }

    /// Takes a bulk execution: the values of each row. `None` where the packet is not understood.
    pub fn bulk(
        &mut self,
        payload: &[u8],
        whole: bool,
        charset: &str,
    ) -> Option<Vec<Vec<SlotValue>>> {
        let id = self.id(payload)?;
        let prepared = self.statements.get_mut(&id)?;
        prepared.long.clear();
        let known = prepared.types.take();
        if !whole {
            return None;
        }
        let bulk = BulkExecute::parse(payload, prepared.parameters, known.as_deref()).ok()?;
        prepared.types = Some(bulk.types);
        let value = |parameter: Option<Parameter>| {
            parameter.map_or(SlotValue::Opaque, |parameter| slot_value(parameter, charset))
        };
        Some(bulk.rows.into_iter().map(|row| row.into_iter().map(value).collect()).collect())
    }
}

fn slot_value(parameter: Parameter, charset: &str) -> SlotValue {
    match parameter {
        Parameter::Null => SlotValue::Null,
        Parameter::Int(v) => SlotValue::Int(v),
        Parameter::UInt(v) => SlotValue::UInt(v),
        Parameter::Double(v) => SlotValue::Double(v),
        Parameter::Decimal(text) => {
            String::from_utf8(text).map_or(SlotValue::Opaque, SlotValue::Decimal)
        }
        Parameter::String(bytes) => string(bytes, charset),
        Parameter::Blob(bytes) => SlotValue::Bytes(bytes),
        Parameter::Temporal(cell) => SlotValue::Temporal(cell),
        Parameter::Long => SlotValue::Opaque,
    }
}

/// A character string in the connection's character set. Drivers send binary keys as strings, too;
/// bytes that are no UTF-8 reach a binary column as they are.
fn string(bytes: Vec<u8>, charset: &str) -> SlotValue {
    let unicode = matches!(charset, "utf8mb4" | "utf8mb3" | "utf8");
    match String::from_utf8(bytes) {
        Ok(text) if unicode || text.is_ascii() => SlotValue::Text(text),
        Err(e) if unicode => SlotValue::Bytes(e.into_bytes()),
        _ => SlotValue::Opaque,
    }
}

#[cfg(test)]
mod tests {
    use segue_rules::sql::Dialect;

    use super::*;

    fn one() -> PreparedStatements {
        let mut all = PreparedStatements::default();
        all.insert(7, Prepared::new(b"INSERT INTO t VALUES (?, ?)", 2, None));
        all
    }

    #[test]
    fn types_stay_from_one_execution_to_the_next() {
        let mut all = one();
        let first = b"\x17\x07\0\0\0\0\x01\0\0\0\x00\x01\x03\x00\xfd\x00\x05\0\0\0\x01a";
        let again = b"\x17\xff\xff\xff\xff\0\x01\0\0\0\x00\x00\x06\0\0\0\x01b";
        let values = all.execute(first, true, 0, "utf8mb4").unwrap();
        assert_eq!(values, [SlotValue::Int(5), SlotValue::Text("a".into())]);
        let values = all.execute(again, true, 0, "utf8mb4").unwrap();
        assert_eq!(values, [SlotValue::Int(6), SlotValue::Text("b".into())]);
    }

    #[test]
    fn types_of_an_execution_that_nobody_reads_are_kept() {
        let mut all = one();
        let first = b"\x17\x07\0\0\0\0\x01\0\0\0\x00\x01\x03\x00\xfd\x00\x05\0\0\0\x01a";
        let again = b"\x17\x07\0\0\0\0\x01\0\0\0\x00\x00\x06\0\0\0\x01b";
        all.execute_unseen(first, true, 0);
        all.execute_unseen(again, true, 0);
        let values = all.execute(again, true, 0, "utf8mb4").unwrap();
        assert_eq!(values, [SlotValue::Int(6), SlotValue::Text("b".into())]);
    }

    #[test]
    fn text_is_read_anew_only_in_another_mode() {
        let mut all = one();
        let payload = b"\x17\x07\0\0\0";
        let text = all.get(payload).unwrap().text.clone();
        let reading = |ansi_quotes| Reading {
            sql_mode: SqlMode { ansi_quotes, ..SqlMode::default() },
            dialect: Dialect::MySql,
            version: 90_000,
            charset: "utf8mb4",
        };
        let first = all.statements(payload, &text, reading(false));
        assert!(Arc::ptr_eq(&first, &all.statements(payload, &text, reading(false))));
        assert!(!Arc::ptr_eq(&first, &all.statements(payload, &text, reading(true))));
    }

    #[test]
    fn long_data_adds_up_and_is_used_once() {
        let mut all = one();
        all.send_long_data(b"\x18\x07\0\0\0\x01\0ab", true);
        all.send_long_data(b"\x18\x07\0\0\0\x01\0c", true);
        let execute = b"\x17\x07\0\0\0\0\x01\0\0\0\x00\x01\x03\x00\xfd\x00\x05\0\0\0";
        let values = all.execute(execute, true, 0, "utf8mb4").unwrap();
        assert_eq!(values[1], SlotValue::Text("abc".into()));
        assert!(all.execute(execute, true, 0, "utf8mb4").is_none());
    }
}
