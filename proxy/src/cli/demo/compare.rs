//! Compares every item in DynamoDB with what MySQL's rows say it should be.
//! Never here: repairing a difference.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use segue_rules::diff::compare_items;
use segue_rules::entity::{BOOKKEEPING, Entity, Ruleset};
use segue_rules::value::{Attribute, Item, ItemKey};
use serde::Serialize;

use crate::dynamo::{Store, key_of};
use crate::mysql::control::Control;

/// Rows fetched at once.
const PAGE_ROWS: usize = 500;
/// Differences that are described; the rest is only counted.
const SAMPLES_MAX: usize = 5;

/// Outcome for one entity.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct EntityOutcome {
    pub entity: String,
    pub rows: u64,
    pub items: u64,
    /// Rows without their item.
    pub missing: u64,
    /// Items without a row.
    pub extra: u64,
    /// Items that are not what their row says.
    pub different: u64,
    /// Rows of which no item can be made.
    pub unbuildable: u64,
    /// Descriptions of some differences.
    pub samples: Vec<String>,
}

impl EntityOutcome {
    pub fn differs(&self) -> bool {
        self.missing + self.extra + self.different + self.unbuildable > 0
    }

    fn sample(&mut self, text: impl FnOnce() -> String) {
        if self.samples.len() < SAMPLES_MAX {
            self.samples.push(text());
        }
    }
}

/// Compares all entities of a ruleset. Nothing may write meanwhile.
pub async fn compare(
    ruleset: &Ruleset,
    control: &Control,
    store: &Store,
) -> Result<Vec<EntityOutcome>> {
    let mut actual = scan(ruleset, store).await?;
    let mut outcomes = vec![];
    for entity in &ruleset.entities {
        let mut outcome = EntityOutcome { entity: entity.name.clone(), ..Default::default() };
        let expected = build(entity, control, &mut outcome).await?;
        for (key, item) in &expected {
            match actual.remove(key) {
                None => {
                    outcome.missing += 1;
                    outcome.sample(|| format!("missing: {}", describe(key)));
                }
                Some(found) => {
                    outcome.items += 1;
                    let differences = compare_items(item, &found);
                    if !differences.is_empty() {
                        outcome.different += 1;
                        let names: Vec<&str> =
                            differences.iter().map(|one| one.attribute.as_str()).collect();
                        outcome.sample(|| {
                            format!("different: {} in {}", describe(key), names.join(", "))
                        });
                    }
                }
            }
        }
        outcomes.push(outcome);
    }
    extras(actual, &mut outcomes);
    Ok(outcomes)
}

/// Every item of every table, by key.
async fn scan(ruleset: &Ruleset, store: &Store) -> Result<BTreeMap<ItemKey, Item>> {
    let mut found = BTreeMap::new();
    for table in &ruleset.tables {
        let mut from = None;
        loop {
            let page = store.scan(table, from, (0, 1)).await.context("scan DynamoDB")?;
            for item in page.items {
                let key = key_of(table, &item).context("an item without its key")?;
                found.insert(key, item);
            }
            match page.next {
                Some(next) => from = Some(next),
                None => break,
            }
        }
    }
    Ok(found)
}

/// What the entity's items should be.
async fn build(
    entity: &Entity,
    control: &Control,
    outcome: &mut EntityOutcome,
) -> Result<BTreeMap<ItemKey, Item>> {
    let mut expected = BTreeMap::new();
    let mut last = None;
    loop {
        let keys = control.scan_keys(entity, last.as_deref(), PAGE_ROWS).await;
        let keys = keys.with_context(|| format!("read the keys of {}", entity.source))?;
        let Some(end) = keys.last() else { return Ok(expected) };
        last = Some(end.clone());
        let rows = control.view(entity, &keys).await;
        for row in rows.with_context(|| format!("read the rows of {}", entity.source))? {
            outcome.rows += 1;
            match entity.build(&row.main, &row.children) {
                Ok(built) => drop(expected.insert(built.key, built.item)),
                Err(error) => {
                    outcome.unbuildable += 1;
                    outcome.sample(|| format!("no item can be made: {error}"));
                }
            }
        }
    }
}

/// What is left belongs to no row; the bookkeeping names the entity it was written for.
fn extras(left: BTreeMap<ItemKey, Item>, outcomes: &mut Vec<EntityOutcome>) {
    let mut strangers: BTreeSet<ItemKey> = BTreeSet::new();
    for (key, item) in left {
        let written_for = match item.get(BOOKKEEPING) {
            Some(Attribute::M(bookkeeping)) => match bookkeeping.get("entity") {
                Some(Attribute::S(name)) => name.as_str(),
                _ => "",
            },
            _ => "",
        };
        match outcomes.iter_mut().find(|outcome| outcome.entity == written_for) {
            Some(outcome) => {
                outcome.items += 1;
                outcome.extra += 1;
                outcome.sample(|| format!("extra: {}", describe(&key)));
            }
            None => drop(strangers.insert(key)),
        }
    }
    if !strangers.is_empty() {
        let count = strangers.len() as u64;
        let samples = strangers.iter().take(SAMPLES_MAX).map(describe).collect();
        let entity = "(no entity)".to_owned();
        let outcome =
            EntityOutcome { entity, items: count, extra: count, samples, ..Default::default() };
        outcomes.push(outcome);
    }
}

fn describe(key: &ItemKey) -> String {
    let text = |attribute: &Attribute| match attribute {
        Attribute::S(text) | Attribute::N(text) => text.clone(),
        other => format!("{other:?}"),
    };
    match &key.sk {
        Some(sk) => format!("{} {} / {}", key.table, text(&key.pk), text(sk)),
        None => format!("{} {}", key.table, text(&key.pk)),
    }
}
