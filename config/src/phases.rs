//! The phases file: which phase each mapped table is in.
//! Never here: which changes are allowed (`segue_rules::phase`), or writing files.

use std::collections::BTreeMap;
use std::fmt::Write;

use segue_rules::phase::{Phase, PhaseMap};
use segue_rules::value::TableName;

use crate::document::{Document, Entry, Raw};
use crate::{SettingError, nearest};

/// The furthest phase that this build serves. Later ones are refused, not half served.
pub const HIGHEST_PHASE: Phase = Phase::DualWrite;

/// Reads a phases file. `known_tables`: MySQL tables of the contract. `Err` holds every fault.
pub fn parse(
    text: &str,
    file: &str,
    known_tables: &[TableName],
) -> Result<PhaseMap, Vec<SettingError>> {
    let document = Document::read(text, file)?;
    let mut faults = Vec::new();
    let mut default = None;
    let mut tables = BTreeMap::new();
    for (name, line) in &document.sections {
        if !matches!(name.as_str(), "tables" | "canary") {
            faults.push(fault(
                file,
                *line,
                format!("[{name}]"),
                "there is no such section",
                "use [tables]",
            ));
        }
    }
    for entry in &document.entries {
        let result = match entry.section.as_str() {
            "" => top_level(file, entry).map(|phase| default = Some(phase)),
            "tables" => table(file, entry, known_tables).map(|(table, phase)| {
                tables.insert(table, phase);
            }),
            "canary" => Err(fault(
                file,
                entry.line,
                format!("canary.{}", entry.key),
                "canary percentages are not yet supported",
                "remove the entry",
            )),
            // The unknown section is already a fault.
            _ => Ok(()),
        };
        if let Err(fault) = result {
            faults.push(fault);
        }
    }
    if default.is_none() && !document.entries.iter().any(|entry| entry.section.is_empty()) {
        faults.push(SettingError {
            file: file.to_owned(),
            line: None,
            key: "default".to_owned(),
            message: "is required and missing".to_owned(),
            remedy: "add `default = \"mysql-only\"` at the top".to_owned(),
        });
    }
    if faults.is_empty() {
        return Ok(PhaseMap { default: default.unwrap_or_default(), tables });
    }
    faults.sort_by_key(|fault| fault.line);
    Err(faults)
}

/// The file's text for a phase map; `parse` reads it back.
pub fn render(phases: &PhaseMap) -> String {
    let mut text = format!("default = \"{}\"\n", phases.default);
    if !phases.tables.is_empty() {
        text.push_str("\n[tables]\n");
    }
    for (table, phase) in &phases.tables {
        // Writing into a String cannot fail. Debug quoting of a `toml::Value` is TOML's own.
        let _ = writeln!(text, "{} = \"{phase}\"", toml::Value::String(table.to_string()));
    }
    text
}

/// Whether this build serves the phase; the message for the operator where it does not.
pub fn served(phase: Phase) -> Result<(), String> {
    if phase > HIGHEST_PHASE {
        return Err(format!("phase `{phase}` is served from a later version of segue"));
    }
    Ok(())
}

fn top_level(file: &str, entry: &Entry) -> Result<Phase, SettingError> {
    if entry.key != "default" {
        return Err(fault(
            file,
            entry.line,
            entry.key.clone(),
            "there is no such key",
            "use `default`, or put tables under [tables]",
        ));
    }
    phase(file, entry, "default".to_owned())
}

fn table(
    file: &str,
    entry: &Entry,
    known_tables: &[TableName],
) -> Result<(TableName, Phase), SettingError> {
    let Some(name) = known_tables.iter().find(|known| ***known == *entry.key) else {
        let remedy = match nearest(&entry.key, known_tables.iter().map(|name| &**name)) {
            Some(known) => format!("did you mean `{known}`?"),
            None => "name a MySQL table that the contract reads".to_owned(),
        };
        let key = format!("tables.{}", entry.key);
        return Err(fault(file, entry.line, key, "the contract maps no such table", &remedy));
    };
    Ok((name.clone(), phase(file, entry, format!("tables.{}", entry.key))?))
}

fn phase(file: &str, entry: &Entry, key: String) -> Result<Phase, SettingError> {
    let Raw::Text(text) = &entry.raw else {
        return Err(fault(
            file,
            entry.line,
            key,
            "has the wrong type",
            "give a phase in double quotes",
        ));
    };
    let phase: Phase = text.parse().map_err(|_| {
        let names: Vec<&str> = Phase::ALL.iter().map(|phase| phase.name()).collect();
        let message = format!("`{text}` is not a phase");
        fault(file, entry.line, key.clone(), &message, &format!("use one of {}", names.join(", ")))
    })?;
    served(phase).map_err(|message| {
        let remedy = format!("use a phase up to `{HIGHEST_PHASE}`");
        fault(file, entry.line, key, &message, &remedy)
    })?;
    Ok(phase)
}

fn fault(file: &str, line: usize, key: String, message: &str, remedy: &str) -> SettingError {
    SettingError {
        file: file.to_owned(),
        line: Some(line),
        key,
        message: message.to_owned(),
        remedy: remedy.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tables() -> Vec<TableName> {
        ["users", "orders", "odd name"].into_iter().map(TableName::from).collect()
    }

    fn faults(text: &str) -> Vec<SettingError> {
        parse(text, "phases.toml", &tables()).expect_err("the text is refused")
    }

    #[test]
    fn a_table_overrides_the_default() {
        let text = "default = \"mysql-only\"\n[tables]\nusers = \"dual-write\"\n[canary]\n";
        let phases = parse(text, "phases.toml", &tables()).expect("accepted");
        assert_eq!(phases.of("users"), Phase::DualWrite);
        assert_eq!(phases.of("orders"), Phase::MysqlOnly);
    }

    #[test]
    fn what_is_rendered_reads_back_the_same() {
        let mut phases = PhaseMap { default: Phase::DualWrite, ..PhaseMap::default() };
        phases.tables.insert("odd name".into(), Phase::MysqlOnly);
        phases.tables.insert("users".into(), Phase::DualWrite);
        assert_eq!(parse(&render(&phases), "phases.toml", &tables()), Ok(phases));
    }

    #[test]
    fn an_unknown_table_names_its_nearest_neighbour() {
        let found = faults("default = \"mysql-only\"\n[tables]\nuser = \"dual-write\"\n");
        assert_eq!(found[0].line, Some(3));
        assert!(found[0].remedy.contains("`users`"));
    }

    #[test]
    fn phases_beyond_the_build_are_refused_by_name() {
        let found = faults("default = \"dual-read\"\n[tables]\nusers = \"dynamodb-only\"\n");
        assert_eq!(found.len(), 2);
        assert!(found[0].message.contains("later version"));
    }

    #[test]
    fn canary_entries_and_a_missing_default_are_faults() {
        let found = faults("[canary]\nusers = 10\n[other]\n");
        assert_eq!(found.len(), 3);
        assert_eq!(found[0].key, "default");
        assert!(found[1].message.contains("not yet supported"));
    }
}
