//! Routes of statements, from a bounded cache that all sessions share.
//! Never here: how a statement is planned and routed, or carrying it out.

use std::collections::BTreeSet;
use std::sync::Arc;

use dashmap::DashMap;
use segue_config::limits;
use segue_rules::entity::Ruleset;
use segue_rules::phase::PhaseMap;
use segue_rules::plan::{SqlMode, plan};
use segue_rules::route::{Route, mirrors, route};
use segue_rules::sql::Digested;
use segue_rules::value::TableName;

/// The rules and phases that a statement or transaction runs under.
#[derive(Clone)]
pub struct Scope {
    /// Number of the generation.
    pub generation: u64,
    pub ruleset: Arc<Ruleset>,
    pub phases: PhaseMap,
    /// Tables whose writes are captured.
    pub tables: Arc<BTreeSet<TableName>>,
}

/// The tables whose writes have to be captured.
pub fn captured_tables(ruleset: &Ruleset, phases: &PhaseMap) -> BTreeSet<TableName> {
    ruleset.sources.keys().filter(|table| mirrors(ruleset, phases, table)).cloned().collect()
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
    route: Route,
}

#[derive(Default)]
pub struct PlanCache {
    plans: DashMap<Key, Entry>,
}

impl PlanCache {
    pub fn route(
        &self,
        scope: &Scope,
        digested: &Digested,
        schema: Option<&str>,
        sql_mode: SqlMode,
    ) -> Route {
        let key = Key {
            digest: digested.hash,
            schema: schema.map(str::to_owned),
            sql_mode,
            generation: scope.generation,
        };
        if let Some(entry) = self.plans.get(&key)
            && entry.text == digested.text
        {
            return entry.route.clone();
        }
        let planned = plan(&scope.ruleset, digested, schema, sql_mode);
        let made = route(&scope.ruleset, &scope.phases, &planned);
        if digested.text.len() > limits::PLAN_CACHE_TEXT_BYTES_MAX {
            return made;
        }
        // Starting anew is rare, and simpler than knowing which plan was used last: an application has far
        // fewer digests than the cache has places.
        if self.plans.len() >= limits::PLAN_CACHE_ENTRIES_MAX {
            self.plans.clear();
        }
        self.plans.insert(key, Entry { text: digested.text.clone(), route: made.clone() });
        made
    }
}
