//! Plans for statements, from a bounded cache that all sessions share.
//! Never here: what a plan says, or carrying it out.

use std::collections::BTreeSet;
use std::sync::Arc;

use dashmap::DashMap;
use segue_config::limits;
use segue_rules::entity::Ruleset;
use segue_rules::phase::PhaseMap;
use segue_rules::plan::{SqlMode, StatementPlan, plan};
use segue_rules::sql::Digested;
use segue_rules::value::TableName;

/// The rules and phases that a statement or transaction runs under.
#[derive(Clone)]
pub struct Scope {
    /// Number of the generation.
    pub generation: u64,
    pub ruleset: Arc<Ruleset>,
    /// Tables whose writes are captured.
    pub tables: Arc<BTreeSet<TableName>>,
}

/// The tables whose writes have to be captured: those by which an entity with a mirrored driving table
/// can change, through a join or through foreign-key actions as well.
pub fn captured_tables(ruleset: &Ruleset, phases: &PhaseMap) -> BTreeSet<TableName> {
    let mirrors = |entity: segue_rules::entity::EntityId| {
        phases.of(&ruleset.entity(entity).source).mirrors()
    };
    let mut tables: BTreeSet<TableName> = ruleset
        .sources
        .values()
        .filter(|source| {
            source.drives.iter().any(|e| mirrors(*e)) || source.joins.iter().any(|j| mirrors(j.entity))
        })
        .map(|source| source.name.clone())
        .collect();
    // Cascades and triggers may chain; every round adds a table or is the last.
    loop {
        let more: Vec<TableName> = ruleset
            .sources
            .values()
            .filter(|source| !tables.contains(&source.name))
            .filter(|source| {
                source.cascades.iter().any(|c| tables.contains(&c.child))
                    || source.trigger_sweeps.iter().any(|t| tables.contains(&t.table))
            })
            .map(|source| source.name.clone())
            .collect();
        if more.is_empty() {
            return tables;
        }
        tables.extend(more);
    }
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    digest: u64,
    schema: Option<String>,
    sql_mode: SqlMode,
    generation: u64,
}

struct Entry {
    /// The whole digest text: a hash alone could belong to another statement.
    text: String,
    plan: StatementPlan,
}

#[derive(Default)]
pub struct PlanCache {
    plans: DashMap<Key, Entry>,
}

impl PlanCache {
    pub fn plan(
        &self,
        scope: &Scope,
        digested: &Digested,
        schema: Option<&str>,
        sql_mode: SqlMode,
    ) -> StatementPlan {
        let key = Key {
            digest: digested.hash,
            schema: schema.map(str::to_owned),
            sql_mode,
            generation: scope.generation,
        };
        if let Some(entry) = self.plans.get(&key)
            && entry.text == digested.text
        {
            return entry.plan.clone();
        }
        let made = plan(&scope.ruleset, digested, schema, sql_mode);
        // Starting anew is rare, and simpler than knowing which plan was used last: an application has far
        // fewer digests than the cache has places.
        if self.plans.len() >= limits::PLAN_CACHE_ENTRIES_MAX {
            self.plans.clear();
        }
        self.plans.insert(key, Entry { text: digested.text.clone(), plan: made.clone() });
        made
    }
}
