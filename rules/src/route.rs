//! The one routing table: statement plan x phases -> what to do with a statement.
//! Never here: parsing, or doing it.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::entity::{EntityId, Ruleset};
use crate::phase::PhaseMap;
use crate::plan::{
    Refusal, SessionChange, StatementPlan, TransactionVerb, WritePlan, refusal_codes,
};
use crate::value::TableName;

/// What to do with a statement, decided once.
#[derive(Clone, Debug)]
pub enum Route {
    /// Forward it; nothing else depends on it.
    Relay,
    /// Learn its keys, then forward it.
    Capture(Arc<WritePlan>),
    /// Forward it and owe a sweep of these tables (never empty).
    Sweep { refusal: Refusal, tables: Vec<TableName>, commits: bool },
    /// Forward it; it begins, ends or divides a transaction.
    Transaction(TransactionVerb),
    /// Forward it; it changes how later statements are read.
    Session(SessionChange),
    /// Forward it; it commits an open transaction and changes no mapped row.
    ImplicitCommit,
}

/// Decides by the plan and the phases of the tables that it may touch.
pub fn route(ruleset: &Ruleset, phases: &PhaseMap, plan: &StatementPlan) -> Route {
    match plan {
        StatementPlan::Harmless => Route::Relay,
        StatementPlan::Transaction(verb) => Route::Transaction(verb.clone()),
        StatementPlan::Session(change) => Route::Session(change.clone()),
        StatementPlan::ImplicitCommit => Route::ImplicitCommit,
        StatementPlan::Write(write) => {
            let written = write.captures.iter().map(|capture| &capture.table);
            let tables: Vec<TableName> =
                written.filter(|table| mirrors(ruleset, phases, table)).cloned().collect();
            match tables.iter().find(|table| ruleset.frozen.contains_key(*table)) {
                _ if tables.is_empty() => Route::Relay,
                None => Route::Capture(Arc::clone(write)),
                Some(frozen) => Route::Sweep {
                    refusal: refusal_codes::FROZEN.refusal(&**frozen),
                    tables,
                    commits: false,
                },
            }
        }
        StatementPlan::Opaque { refusal, tables, commits } => {
            let named: Vec<&TableName> = if tables.is_empty() {
                ruleset.sources.keys().collect()
            } else {
                tables.iter().collect()
            };
            let tables: Vec<TableName> = named
                .into_iter()
                .filter(|table| mirrors(ruleset, phases, table))
                .cloned()
                .collect();
            match (tables.is_empty(), *commits) {
                (false, commits) => Route::Sweep { refusal: refusal.clone(), tables, commits },
                (true, true) => Route::ImplicitCommit,
                (true, false) => Route::Relay,
            }
        }
    }
}

/// Whether a write to a table must be captured: an entity that shows its rows, or rows that its
/// foreign-key actions change, has a driving table in a mirroring phase. The phases file names MySQL
/// tables, and an entity follows the phase of its driving table.
pub fn mirrors(ruleset: &Ruleset, phases: &PhaseMap, table: &str) -> bool {
    mirrors_by(ruleset, table, |entity| phases.of(&ruleset.entity(entity).source).mirrors())
}

fn mirrors_by(ruleset: &Ruleset, table: &str, entity_mirrors: impl Fn(EntityId) -> bool) -> bool {
    let mut seen: BTreeSet<&str> = BTreeSet::from([table]);
    let mut open = vec![table];
    while let Some(next) = open.pop() {
        let Some(source) = ruleset.sources.get(next) else { continue };
        let joined = source.joins.iter().map(|join| join.entity);
        if source.drives.iter().copied().chain(joined).any(&entity_mirrors) {
            return true;
        }
        for cascade in &source.cascades {
            if seen.insert(&cascade.child) {
                open.push(&cascade.child);
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phase::Phase;
    use crate::plan::test_ruleset::shop;
    use crate::plan::{StatementPlan, TransactionVerb};

    #[test]
    fn a_joined_or_cascading_table_mirrors_with_the_driving_table() {
        let ruleset = shop();
        // In the test ruleset `users` cascades to `orders`, `orders` to `items`.
        let only = |wanted: usize| move |entity: EntityId| entity == EntityId(wanted);
        assert!(mirrors_by(&ruleset, "users", only(0)));
        assert!(mirrors_by(&ruleset, "users", only(1)));
        assert!(mirrors_by(&ruleset, "users", only(2)));
        assert!(mirrors_by(&ruleset, "products", only(2)));
        assert!(!mirrors_by(&ruleset, "products", only(0)));
        assert!(!mirrors_by(&ruleset, "items", only(0)));
        assert!(!mirrors_by(&ruleset, "unmapped", |_| true));
    }

    #[test]
    fn plans_without_tables_route_as_they_are() {
        let ruleset = shop();
        let phases = PhaseMap { default: Phase::DualWrite, tables: Default::default() };
        assert!(matches!(route(&ruleset, &phases, &StatementPlan::Harmless), Route::Relay));
        assert!(matches!(
            route(&ruleset, &phases, &StatementPlan::Transaction(TransactionVerb::Commit)),
            Route::Transaction(TransactionVerb::Commit)
        ));
    }

    #[test]
    fn an_opaque_statement_of_unmapped_tables_only_commits() {
        let mut ruleset = shop();
        ruleset.sources.clear();
        let refusal = refusal_codes::CALL.refusal("CALL");
        let plan = StatementPlan::Opaque { refusal, tables: Vec::new(), commits: true };
        assert!(matches!(route(&ruleset, &PhaseMap::default(), &plan), Route::ImplicitCommit));
    }
}
