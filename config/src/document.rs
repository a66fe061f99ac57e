//! A TOML document as flat `section.key` entries with their lines, and its syntax faults.
//! Never here: which keys exist, or what their values mean.

use toml::de::{DeTable, DeValue};

use crate::SettingError;

/// A value as written. Only what the files use; other TOML types are kept by name for messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Raw {
    Text(String),
    Integer(i64),
    Other(&'static str),
}

/// One `section.key = value`. Keys outside of a section have an empty `section`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub section: String,
    pub key: String,
    pub line: usize,
    pub raw: Raw,
}

/// The sections and entries of a document.
#[derive(Debug, Default)]
pub(crate) struct Document {
    /// (name, line) of every `[section]`, also of empty ones.
    pub sections: Vec<(String, usize)>,
    pub entries: Vec<Entry>,
}

impl Document {
    /// Reads the text; `Err` holds every syntax fault.
    pub fn read(text: &str, file: &str) -> Result<Document, Vec<SettingError>> {
        let (table, errors) = DeTable::parse_recoverable(text);
        if !errors.is_empty() {
            return Err(errors.iter().map(|error| syntax(text, file, error)).collect());
        }
        let mut document = Document::default();
        for (name, value) in table.get_ref().iter() {
            let line = line_of(text, name.span().start);
            match value.get_ref() {
                DeValue::Table(section) => {
                    document.sections.push((name.get_ref().to_string(), line));
                    document.section(text, name.get_ref(), section);
                }
                other => document.entries.push(Entry {
                    section: String::new(),
                    key: name.get_ref().to_string(),
                    line,
                    raw: raw(other),
                }),
            }
        }
        document.entries.sort_by_key(|entry| entry.line);
        Ok(document)
    }

    fn section(&mut self, text: &str, section: &str, table: &DeTable<'_>) {
        for (key, value) in table.iter() {
            self.entries.push(Entry {
                section: section.to_owned(),
                key: key.get_ref().to_string(),
                line: line_of(text, key.span().start),
                raw: raw(value.get_ref()),
            });
        }
    }
}

fn raw(value: &DeValue<'_>) -> Raw {
    match value {
        DeValue::String(text) => Raw::Text(text.to_string()),
        DeValue::Integer(integer) => match i64::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(number) => Raw::Integer(number),
            Err(_) => Raw::Other("integer beyond 64 bits"),
        },
        other => Raw::Other(other.type_str()),
    }
}

pub(crate) fn syntax(text: &str, file: &str, error: &toml::de::Error) -> SettingError {
    SettingError {
        file: file.to_owned(),
        line: error.span().map(|span| line_of(text, span.start)),
        key: String::new(),
        message: format!("not valid TOML: {}", error.message()),
        remedy: "correct the syntax; texts stand in double quotes".to_owned(),
    }
}

/// Line of a byte offset, counted from 1.
pub(crate) fn line_of(text: &str, offset: usize) -> usize {
    text.as_bytes().iter().take(offset).filter(|byte| **byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_carry_their_section_and_line() {
        let document = Document::read("a = 1\n[s]\n# note\nb = \"x\"\n", "f").expect("parses");
        assert_eq!(document.sections, vec![("s".to_owned(), 2)]);
        assert_eq!(document.entries[0].raw, Raw::Integer(1));
        assert_eq!((document.entries[1].section.as_str(), document.entries[1].line), ("s", 4));
    }

    #[test]
    fn syntax_faults_name_their_line() {
        let faults = Document::read("[a]\nb = nonsense\n", "f.toml").expect_err("refused");
        assert_eq!(faults[0].line, Some(2));
    }
}
