//! Follows a schema that changes under a live ruleset: what fits is taken over, what does not is frozen.
//! Never here: what fits (see `ruleset`).

use std::collections::{BTreeMap, BTreeSet};

use super::Ruleset;
use super::fingerprint::fingerprint;
use crate::catalog::Catalog;
use crate::contract::{Finding, Severity};
use crate::value::TableName;

/// Findings that a frozen table's reason names; the rest is counted.
const REASONS_MAX: usize = 3;

impl Ruleset {
    /// Compiles the contract against a catalog that was read anew.
    ///
    /// A table whose definition changed in such a way that the contract no longer fits it is *frozen*: it
    /// keeps the definition that `self` has, and is listed in [`Ruleset::frozen`] with the findings. The
    /// others follow their new definitions. `Err` holds every finding where the contract is at fault even
    /// with the definitions of `self`.
    pub fn adapt(&self, contract_text: &str, catalog: Catalog) -> Result<Ruleset, Vec<Finding>> {
        let refused = match Ruleset::compile(contract_text, catalog.clone()) {
            Ok(ruleset) => return Ok(ruleset),
            Err(findings) => findings,
        };
        let changed = self.changed_sources(&catalog);
        let mut fitting = catalog.clone();
        for table in &changed {
            define(&mut fitting, table, &self.catalog);
        }
        let Ok(mut ruleset) = Ruleset::compile(contract_text, fitting.clone()) else {
            return Err(refused);
        };
        let mut frozen = BTreeMap::new();
        for table in changed {
            let mut next = fitting.clone();
            define(&mut next, &table, &catalog);
            match Ruleset::compile(contract_text, next.clone()) {
                Ok(compiled) => (fitting, ruleset) = (next, compiled),
                Err(findings) => {
                    let missing = !catalog.tables.contains_key(&table);
                    frozen.insert(table, reason(missing, &findings));
                }
            }
        }
        ruleset.freeze(frozen);
        Ok(ruleset)
    }

    /// The same with these tables frozen as well; `None` where they are already.
    pub fn with_frozen(&self, tables: &[TableName], reason: &str) -> Option<Ruleset> {
        let known = |table: &&TableName| {
            self.sources.contains_key(*table) && !self.frozen.contains_key(*table)
        };
        let mut frozen = self.frozen.clone();
        frozen.extend(tables.iter().filter(known).map(|t| (t.clone(), reason.to_owned())));
        if frozen.len() == self.frozen.len() {
            return None;
        }
        let mut ruleset = self.clone();
        ruleset.freeze(frozen);
        Some(ruleset)
    }

    /// Why an entity's rows cannot be read as the contract wants: a table it reads is frozen.
    pub fn frozen_entity(&self, entity: super::EntityId) -> Option<(&TableName, &str)> {
        let reads = |table: &TableName| {
            self.sources.get(table).is_some_and(|source| {
                source.drives.contains(&entity)
                    || source.joins.iter().any(|join| join.entity == entity)
            })
        };
        let frozen = self.frozen.iter().find(|(table, _)| reads(table));
        frozen.map(|(table, reason)| (table, reason.as_str()))
    }

    /// Tables whose rows may make other items than under `older`; `None`: any, for the contract is another.
    pub fn differing_sources(&self, older: &Ruleset) -> Option<BTreeSet<TableName>> {
        if self.contract_fingerprint != older.contract_fingerprint {
            return None;
        }
        let differs = |table: &&TableName| {
            self.catalog.tables.get(*table) != older.catalog.tables.get(*table)
                || self.frozen.contains_key(*table) != older.frozen.contains_key(*table)
        };
        Some(self.sources.keys().filter(differs).cloned().collect())
    }

    fn changed_sources(&self, catalog: &Catalog) -> Vec<TableName> {
        let changed =
            |table: &&TableName| self.catalog.tables.get(*table) != catalog.tables.get(*table);
        self.sources.keys().filter(changed).cloned().collect()
    }

    fn freeze(&mut self, frozen: BTreeMap<TableName, String>) {
        if !frozen.is_empty() {
            let reasons = frozen.iter().flat_map(|(table, reason)| [&**table, reason.as_str()]);
            let parts = [self.fingerprint.as_str(), "frozen"].into_iter().chain(reasons);
            self.fingerprint = fingerprint(parts);
        }
        self.frozen = frozen;
    }
}

/// Gives a table the definition that it has in `from`, or none.
fn define(catalog: &mut Catalog, table: &TableName, from: &Catalog) {
    match from.tables.get(table) {
        Some(definition) => catalog.tables.insert(table.clone(), definition.clone()),
        None => catalog.tables.remove(table),
    };
}

fn reason(missing: bool, findings: &[Finding]) -> String {
    if missing {
        return "the table is gone".to_owned();
    }
    let errors: Vec<&Finding> =
        findings.iter().filter(|finding| finding.severity == Severity::Error).collect();
    let named = errors.iter().take(REASONS_MAX);
    let mut texts: Vec<String> =
        named.map(|finding| format!("{} at {}", finding.message, finding.path)).collect();
    if errors.len() > REASONS_MAX {
        texts.push(format!("{} more", errors.len() - REASONS_MAX));
    }
    texts.join("; ")
}

#[cfg(test)]
mod tests {
    use super::super::sample::{attribute, author_join, books, catalog, table};
    use super::*;

    /// Books with their authors' names.
    fn contract() -> String {
        books(&[attribute("X", "S", "author_id", author_join("authors.name"))]).to_string()
    }

    fn live() -> Ruleset {
        Ruleset::compile(&contract(), catalog()).expect("the contract fits")
    }

    fn column_gone(catalog: &mut Catalog, table: &str, column: &str) {
        let table = catalog.tables.get_mut(table).expect("the sample has it");
        table.columns.retain(|known| known.name != column);
    }

    fn wider(catalog: &mut Catalog, name: &str) {
        let column = table("any", &["more int"]).columns.remove(0);
        catalog.tables.get_mut(name).expect("the sample has it").columns.push(column);
    }

    #[test]
    fn a_table_that_no_longer_fits_is_frozen_and_the_others_follow() {
        let (live, mut changed) = (live(), catalog());
        column_gone(&mut changed, "authors", "name");
        wider(&mut changed, "books");
        let adapted = live.adapt(&contract(), changed.clone()).expect("frozen, not refused");
        assert_eq!(adapted.frozen.keys().map(|table| &**table).collect::<Vec<_>>(), ["authors"]);
        assert!(adapted.frozen["authors"].contains("name"), "{}", adapted.frozen["authors"]);
        assert_eq!(adapted.catalog.tables["authors"], live.catalog.tables["authors"]);
        assert_eq!(adapted.catalog.tables["books"], changed.tables["books"]);
        assert_ne!(adapted.fingerprint, live.fingerprint);
        let entity = adapted.entities[0].id;
        assert_eq!(adapted.frozen_entity(entity).map(|(table, _)| &**table), Some("authors"));
        let differing = adapted.differing_sources(&live).expect("the same contract");
        let differing: Vec<&str> = differing.iter().map(|table| &**table).collect();
        assert_eq!(differing, ["authors", "books"]);
    }

    #[test]
    fn a_table_that_fits_again_thaws() {
        let (live, mut changed) = (live(), catalog());
        changed.tables.remove("books");
        let frozen = live.adapt(&contract(), changed).expect("frozen, not refused");
        assert_eq!(frozen.frozen["books"], "the table is gone");
        let thawed = frozen.adapt(&contract(), catalog()).expect("fits");
        assert!(thawed.frozen.is_empty());
        assert_eq!(thawed.fingerprint, live.fingerprint);
        let differing = thawed.differing_sources(&frozen).expect("the same contract");
        assert!(differing.contains("books"));
    }

    #[test]
    fn tables_that_have_just_changed_are_frozen_until_they_are_read_again() {
        let live = live();
        let frozen = live.with_frozen(&["books".into(), "unmapped".into()], "changed");
        let frozen = frozen.expect("books is mapped");
        assert_eq!(frozen.frozen.keys().map(|table| &**table).collect::<Vec<_>>(), ["books"]);
        assert!(frozen.with_frozen(&["books".into()], "changed").is_none());
        let thawed = frozen.adapt(&contract(), catalog()).expect("fits");
        assert_eq!(thawed.fingerprint, live.fingerprint);
        assert_ne!(thawed.fingerprint, frozen.fingerprint);
    }

    #[test]
    fn a_contract_at_fault_is_refused_as_a_whole() {
        let mut changed = catalog();
        changed.tables.remove("books");
        assert!(live().adapt("{", changed).is_err());
    }

    #[test]
    fn another_contract_concerns_every_table() {
        let other = Ruleset::compile(&books(&[]).to_string(), catalog()).expect("sound");
        assert_eq!(other.differing_sources(&live()), None);
    }
}
