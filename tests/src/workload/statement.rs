//! One statement with its parameters, for either protocol.
//! Never here: which statements are made (see `inserts`, `changes`, `deletes`).

use mysql_async::Value;

/// How a statement reaches the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    Text,
    Prepared,
}

/// A statement of the workload. The text holds `?` for parameters only.
#[derive(Clone, Debug, PartialEq)]
pub struct Statement {
    /// Name of its form, for the report.
    pub form: &'static str,
    pub sql: String,
    pub parameters: Vec<Value>,
    pub protocol: Protocol,
}

impl Statement {
    pub fn new(form: &'static str, sql: String, parameters: Vec<Value>) -> Self {
        Statement { form, sql, parameters, protocol: Protocol::Text }
    }

    /// A statement without parameters over the text protocol.
    pub fn plain(form: &'static str, sql: impl Into<String>) -> Self {
        Statement::new(form, sql.into(), Vec::new())
    }

    /// The whole text with literals in place of the parameters.
    pub fn text(&self) -> String {
        let mut text = String::with_capacity(self.sql.len() + self.parameters.len() * 8);
        let mut parameters = self.parameters.iter();
        for part in self.sql.split_inclusive('?') {
            match part.strip_suffix('?') {
                Some(before) => {
                    text.push_str(before);
                    let value = parameters.next().expect("one parameter for each mark");
                    text.push_str(&literal(value));
                }
                None => text.push_str(part),
            }
        }
        text
    }
}

fn literal(value: &Value) -> String {
    match value {
        // Bytes that happen to be UTF-8 may hold anything: hexadecimal is always safe.
        Value::Bytes(bytes) if bytes.iter().any(|&b| b < 0x20 || b == 0x7f) => {
            let mut text = String::from("X'");
            for byte in bytes {
                text.push_str(&format!("{byte:02X}"));
            }
            text.push('\'');
            text
        }
        _ => value.as_sql(false),
    }
}
