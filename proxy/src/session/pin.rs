//! The generation of rules and phases that a transaction runs under, from its first statement to its end.
//! Never here: swapping generations.

use std::collections::BTreeSet;
use std::sync::Arc;

use parking_lot::Mutex;
use segue_rules::catalog::{Catalog, ServerKind};
use segue_rules::value::TableName;

use crate::control::{Generation, Live, Pinned};
use crate::execute::planner::{Scope, captured_tables};

/// Gives pins on the live generation.
pub struct Scopes {
    live: Arc<Live>,
    captures: bool,
    /// Captured tables of the generation asked for last.
    tables: Mutex<Option<(u64, Arc<BTreeSet<TableName>>)>>,
}

/// Holds a generation while it is held.
pub struct Pin {
    generation: Pinned,
    /// `None`: nothing is captured, so nothing is planned.
    pub scope: Option<Scope>,
}

impl Pin {
    pub fn catalog(&self) -> &Catalog {
        &self.generation.ruleset.catalog
    }
}

impl Scopes {
    pub fn new(live: Arc<Live>, captures: bool) -> Self {
        Scopes { live, captures, tables: Mutex::new(None) }
    }

    pub fn pin(&self) -> Pin {
        let generation = self.live.pin();
        let scope = self.scope(&generation);
        Pin { generation, scope }
    }

    /// The next statement will be planned.
    pub fn captures_now(&self) -> bool {
        self.captures && !self.live.current().phases.all_mysql_only()
    }

    /// The family of the server.
    pub fn server(&self) -> ServerKind {
        self.live.current().ruleset.catalog.server
    }

    /// The catalog has to be read again; these tables are not what they were.
    pub fn definitions_changed(&self, tables: &[TableName]) {
        self.live.definitions_changed(tables);
    }

    fn scope(&self, generation: &Generation) -> Option<Scope> {
        if !self.captures || generation.phases.all_mysql_only() {
            return None;
        }
        let tables = self.tables(generation);
        (!tables.is_empty()).then(|| Scope {
            generation: generation.number,
            ruleset: generation.ruleset.clone(),
            phases: generation.phases.clone(),
            tables,
        })
    }

    fn tables(&self, generation: &Generation) -> Arc<BTreeSet<TableName>> {
        let mut known = self.tables.lock();
        if let Some((number, tables)) = &*known
            && *number == generation.number
        {
            return tables.clone();
        }
        let tables = Arc::new(captured_tables(&generation.ruleset, &generation.phases));
        *known = Some((generation.number, tables.clone()));
        tables
    }
}
