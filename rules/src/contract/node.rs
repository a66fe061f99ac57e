//! Typed access to JSON objects that reports every fault with its path and knows unread keys.
//! Never here: the meaning of any key.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{Findings, codes};

/// A JSON object being read. Call [`Node::finish`] at the end: it reports the keys nobody asked for.
pub(super) struct Node<'a> {
    map: &'a Map<String, Value>,
    pub(super) path: String,
    read: BTreeSet<&'static str>,
}

impl<'a> Node<'a> {
    pub(super) fn new(value: &'a Value, path: String, findings: &mut Findings) -> Option<Node<'a>> {
        match value {
            Value::Object(map) => Some(Node { map, path, read: BTreeSet::new() }),
            other => {
                wrong_type(&path, "an object", other, findings);
                None
            }
        }
    }

    /// JSON path of a member.
    pub(super) fn at(&self, key: &str) -> String {
        format!("{}.{key}", self.path)
    }

    /// The raw member; an explicit null counts as missing.
    pub(super) fn raw(&mut self, key: &'static str) -> Option<&'a Value> {
        self.read.insert(key);
        self.map.get(key).filter(|value| !value.is_null())
    }

    /// The raw member, null included.
    pub(super) fn raw_or_null(&mut self, key: &'static str) -> Option<&'a Value> {
        self.read.insert(key);
        self.map.get(key)
    }

    pub(super) fn required(
        &mut self,
        key: &'static str,
        findings: &mut Findings,
    ) -> Option<&'a Value> {
        let value = self.raw(key);
        if value.is_none() {
            findings.report_with_hint(
                &codes::MISSING_KEY,
                &self.path,
                format!("`{key}` is missing"),
                format!("Add `{key}`."),
            );
        }
        value
    }

    pub(super) fn text(&mut self, key: &'static str, findings: &mut Findings) -> Option<String> {
        let value = self.required(key, findings)?;
        as_text(value, &self.at(key), findings)
    }

    pub(super) fn optional_text(
        &mut self,
        key: &'static str,
        findings: &mut Findings,
    ) -> Option<String> {
        let value = self.raw(key)?;
        as_text(value, &self.at(key), findings)
    }

    pub(super) fn flag(&mut self, key: &'static str, findings: &mut Findings) -> bool {
        match self.raw(key) {
            None => false,
            Some(Value::Bool(flag)) => *flag,
            Some(other) => {
                wrong_type(&self.at(key), "true or false", other, findings);
                false
            }
        }
    }

    pub(super) fn array(&mut self, key: &'static str, findings: &mut Findings) -> &'a [Value] {
        match self.raw(key) {
            None => &[],
            Some(Value::Array(values)) => values,
            Some(other) => {
                wrong_type(&self.at(key), "an array", other, findings);
                &[]
            }
        }
    }

    pub(super) fn texts(&mut self, key: &'static str, findings: &mut Findings) -> Vec<String> {
        let path = self.at(key);
        let values = self.array(key, findings);
        (values.iter().enumerate())
            .filter_map(|(i, value)| as_text(value, &format!("{path}[{i}]"), findings))
            .collect()
    }

    pub(super) fn object(
        &mut self,
        key: &'static str,
        findings: &mut Findings,
    ) -> Option<Node<'a>> {
        let value = self.raw(key)?;
        Node::new(value, self.at(key), findings)
    }

    /// Members in the file's order, for objects whose keys are names.
    pub(super) fn members(&mut self) -> impl Iterator<Item = (&'a String, &'a Value)> + use<'a> {
        self.map.iter()
    }

    /// A non-negative whole number.
    pub(super) fn count(&mut self, key: &'static str, findings: &mut Findings) -> Option<usize> {
        let value = self.raw(key)?;
        let count = value.as_u64().and_then(|n| usize::try_from(n).ok());
        if count.is_none() {
            wrong_type(&self.at(key), "a whole number", value, findings);
        }
        count
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(
        &self,
        key: &str,
        word: &str,
        choices: &[(&str, T)],
        findings: &mut Findings,
    ) -> Option<T> {
        let found = choices.iter().find(|(name, _)| *name == word).map(|(_, value)| *value);
        if found.is_none() {
            let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
            findings.report(
                &codes::UNKNOWN_VALUE,
                &self.at(key),
                format!("`{word}` is not one of {}", names.join(", ")),
            );
        }
        found
    }

    /// Keys that carry meaning for people only (`satisfies`, estimates) are read and dropped.
    pub(super) fn ignore(&mut self, keys: &[&'static str]) {
        self.read.extend(keys);
    }

    pub(super) fn finish(self, findings: &mut Findings) {
        for key in self.map.keys().filter(|key| !self.read.contains(key.as_str())) {
            findings.report(
                &codes::UNKNOWN_KEY,
                &self.at(key),
                format!("`{key}` has no meaning here and is ignored"),
            );
        }
    }
}

pub(super) fn as_text(value: &Value, path: &str, findings: &mut Findings) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        other => {
            wrong_type(path, "a string", other, findings);
            None
        }
    }
}

pub(super) fn wrong_type(path: &str, wanted: &str, found: &Value, findings: &mut Findings) {
    let kind = match found {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    };
    findings.report(&codes::WRONG_TYPE, path, format!("{wanted} is wanted here, found {kind}"));
}
