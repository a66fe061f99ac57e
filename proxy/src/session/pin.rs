//! The generation of rules and phases that a transaction runs under, from its first statement to its end.
//! Never here: swapping generations.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::Mutex;
use segue_rules::value::TableName;

use crate::control::{Generation, Live};
use crate::execute::planner::{Scope, captured_tables};

/// Gives pins on the live generation.
pub struct Scopes {
    live: Arc<Live>,
    captures: bool,
    /// Captured tables of the generation asked for last.
    tables: Mutex<Option<(u64, Arc<BTreeSet<TableName>>)>>,
}

/// Holds a generation; counts in it while it is held.
pub struct Pin {
    generation: Arc<Generation>,
    /// `None`: nothing is captured, so nothing is planned.
    pub scope: Option<Scope>,
}

impl Scopes {
    pub fn new(live: Arc<Live>, captures: bool) -> Self {
        Scopes { live, captures, tables: Mutex::new(None) }
    }

    pub fn pin(&self) -> Pin {
        loop {
            let generation = self.live.current();
            generation.active.fetch_add(1, Ordering::SeqCst);
            // From here on a swap waits for this pin; one that came in between is seen here.
            if self.live.current().number != generation.number {
                generation.active.fetch_sub(1, Ordering::SeqCst);
                continue;
            }
            let scope = self.scope(&generation);
            return Pin { generation, scope };
        }
    }

    fn scope(&self, generation: &Generation) -> Option<Scope> {
        if !self.captures || generation.phases.all_mysql_only() {
            return None;
        }
        let tables = self.tables(generation);
        (!tables.is_empty()).then(|| Scope {
            generation: generation.number,
            ruleset: generation.ruleset.clone(),
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

impl Drop for Pin {
    fn drop(&mut self) {
        self.generation.active.fetch_sub(1, Ordering::SeqCst);
    }
}
