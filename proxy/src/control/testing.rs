//! A ruleset without entities, for tests of this room and of the console.
//! Never here: anything a running process uses.

use std::collections::BTreeMap;

use segue_rules::catalog::{Catalog, ServerKind};
use segue_rules::entity::{Ruleset, SourceTable};
use segue_rules::value::TableName;

pub(crate) fn ruleset(fingerprint: &str, tables: &[&str]) -> Ruleset {
    let source = |name: &str| SourceTable {
        name: name.into(),
        drives: Vec::new(),
        joins: Vec::new(),
        cascades: Vec::new(),
        item_key_columns: Default::default(),
        link_columns: Default::default(),
        referenced_columns: Default::default(),
        trigger_sweeps: Vec::new(),
        links: None,
    };
    Ruleset {
        fingerprint: fingerprint.to_owned(),
        contract_fingerprint: fingerprint.to_owned(),
        catalog: Catalog {
            database: "shop".to_owned(),
            server: ServerKind::MySql,
            version: "9.7.0".to_owned(),
            lower_case_table_names: 0,
            tables: BTreeMap::new(),
        },
        tables: Vec::new(),
        entities: Vec::new(),
        sources: tables.iter().map(|name| (TableName::from(*name), source(name))).collect(),
        warnings: Vec::new(),
        frozen: BTreeMap::new(),
    }
}
