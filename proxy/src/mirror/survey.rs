//! Reads of both stores for whoever goes through whole tables: keys, rows, items, and what differs.
//! Never here: refreshes, or the order in which a table is gone through (see `movement`).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::SystemTime;

use segue_config::limits;
use segue_rules::diff::{Verdict, judge};
use segue_rules::entity::{BuildError, Built, DynamoTable, Entity, Ruleset};
use segue_rules::refresh::{Owner, is_stray};
use segue_rules::value::{Attribute, Cell, Item, ItemKey, TableName};

use super::bookkeeping;
use super::lookup::quote;
use super::parts::entity_named;
use crate::dynamo::{self, Expect, Store, StoreError};
use crate::mysql::control::{Control, ControlError, ViewRow};

/// A store could not be read, or refuses.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{reason}")]
pub struct SurveyError {
    pub reason: String,
    /// The same may work in a moment.
    pub passing: bool,
}

impl SurveyError {
    pub fn refused(reason: impl Into<String>) -> SurveyError {
        SurveyError { reason: reason.into(), passing: false }
    }
}

impl From<ControlError> for SurveyError {
    fn from(error: ControlError) -> Self {
        let passing = matches!(error, ControlError::Transient(_));
        SurveyError { reason: error.to_string(), passing }
    }
}

impl From<StoreError> for SurveyError {
    fn from(error: StoreError) -> Self {
        let passing = matches!(error, StoreError::Transient { .. });
        SurveyError { reason: error.to_string(), passing }
    }
}

/// How the item of one driving row stands.
#[derive(Clone, Debug)]
pub struct Look {
    pub row_key: Vec<Cell>,
    /// `None`: the row has no item, or none that can be written.
    pub item_key: Option<ItemKey>,
    pub standing: Standing,
    /// Equal for equal sights of row and item: tells whether either of them moves.
    pub print: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// No row, or one without an item.
    NoItem,
    Item(Verdict),
    /// The row has an item that cannot be written.
    Unbuildable(String),
}

/// Both stores, to be read and compared. Cheap to clone.
#[derive(Clone)]
pub struct Survey {
    pub(super) control: Control,
    pub(super) store: Store,
}

/// An item of ours, as its bookkeeping names it.
#[derive(Clone, Debug)]
pub struct OwnedItem {
    pub entity: Arc<Entity>,
    pub row_key: Vec<Cell>,
    pub key: ItemKey,
}

/// One page of a DynamoDB table.
pub struct ItemPage {
    pub ours: Vec<OwnedItem>,
    /// All items of the page.
    pub items: u64,
    /// Items without readable bookkeeping.
    pub foreign: Vec<ItemKey>,
    pub next: Option<Item>,
}

impl Survey {
    pub fn new(control: Control, store: Store) -> Survey {
        Survey { control, store }
    }

    /// The next driving keys in key order.
    pub async fn driving_keys(
        &self,
        entity: &Entity,
        last: Option<&[Cell]>,
    ) -> Result<Vec<Vec<Cell>>, SurveyError> {
        Ok(self.control.scan_keys(entity, last, limits::SWEEP_SCAN_KEYS).await?)
    }

    /// About how many rows a table has.
    pub async fn row_estimate(&self, table: &TableName) -> Option<u64> {
        if let Some(count) = self.row_count(table).await {
            return Some(count);
        }
        let sql = "SELECT table_rows FROM information_schema.tables \
            WHERE table_schema = DATABASE() AND table_name = ?";
        let name = Cell::Text(table.to_string());
        let rows = self.control.select(sql, &[name]).await.ok()?;
        match rows.first()?.first()? {
            Cell::Int(count) => u64::try_from(*count).ok(),
            Cell::UInt(count) => Some(*count),
            _ => None,
        }
    }

    /// How many rows a table has, where that is quick to tell.
    pub async fn row_count(&self, table: &TableName) -> Option<u64> {
        const COUNTED_MAX: u64 = 100_000;
        let sql = format!(
            "SELECT COUNT(*) FROM (SELECT 1 FROM {} LIMIT {COUNTED_MAX}) AS counted",
            quote(table)
        );
        let rows = self.control.select(&sql, &[]).await.ok()?;
        let count = match rows.first()?.first()? {
            Cell::Int(count) => u64::try_from(*count).ok()?,
            Cell::UInt(count) => *count,
            _ => return None,
        };
        (count < COUNTED_MAX).then_some(count)
    }

    /// The next page of a DynamoDB table's items, of one part of so many (`segment`).
    async fn items(
        &self,
        ruleset: &Ruleset,
        table: &DynamoTable,
        from: Option<Item>,
        segment: (i32, i32),
    ) -> Result<ItemPage, SurveyError> {
        let page = self.store.scan(table, from, segment).await?;
        let items = page.items.len() as u64;
        let mut out = ItemPage { ours: Vec::new(), items, foreign: Vec::new(), next: page.next };
        for item in &page.items {
            match owned(ruleset, table, item) {
                Some(owned) => out.ours.push(owned),
                None => out.foreign.extend(dynamo::key_of(table, item)),
            }
        }
        Ok(out)
    }

    /// The next page of a DynamoDB table, of one part of so many, with only those items of ours that are wanted, and
    /// those among them that are strays.
    pub async fn strays_in_page(
        &self,
        ruleset: &Ruleset,
        table: &DynamoTable,
        from: Option<Item>,
        segment: (i32, i32),
        wanted: impl Fn(&OwnedItem) -> bool,
    ) -> Result<(ItemPage, Vec<OwnedItem>), SurveyError> {
        let mut page = self.items(ruleset, table, from, segment).await?;
        page.ours.retain(wanted);
        let strays = self.strays(page.ours.clone()).await?;
        Ok((page, strays))
    }

    /// Compares the items of these driving rows with their rows: one look for each key, in order. The row
    /// is read first, so an item that is older than its row is on its way at most.
    pub async fn compare(
        &self,
        entity: &Entity,
        table: &DynamoTable,
        keys: &[Vec<Cell>],
    ) -> Result<Vec<Look>, SurveyError> {
        let now = SystemTime::now();
        let rows = self.control.view(entity, keys).await?;
        let rows: HashMap<&[Cell], &ViewRow> =
            rows.iter().map(|row| (row.row_key(&entity.view), row)).collect();
        let row = |key: &Vec<Cell>| rows.get(key.as_slice()).copied();
        let built: Vec<_> = keys
            .iter()
            .map(|key| row(key).map(|row| entity.build(&row.main, &row.children)))
            .collect();
        let wanted: BTreeSet<ItemKey> =
            built.iter().flatten().flatten().map(|built| built.key.clone()).collect();
        let items = match wanted.is_empty() {
            true => HashMap::new(),
            false => self.store.get_many(table, &wanted).await?,
        };
        let looks = keys.iter().zip(built).map(|(key, built)| {
            let (item_key, standing, found) = match built {
                None | Some(Err(BuildError::KeyAbsent { .. })) => (None, Standing::NoItem, None),
                Some(Err(error)) => (None, Standing::Unbuildable(error.to_string()), None),
                Some(Ok(Built { key: item_key, item, .. })) => {
                    let found = items.get(&item_key);
                    let me =
                        Owner { entity: entity.name.clone(), key: bookkeeping::encode_key(key) };
                    let is_owned =
                        found.is_some_and(|item| bookkeeping::read(item).owner == Some(me));
                    let is_over = expired(entity, &item, now);
                    let verdict = judge(&item, found, is_owned, is_over);
                    (Some(item_key), Standing::Item(verdict), found)
                }
            };
            Look { row_key: key.clone(), item_key, standing, print: print(row(key), found) }
        });
        Ok(looks.collect())
    }

    /// An item of ours, if it still stands there as ours and is a stray.
    pub async fn stray_again(
        &self,
        ruleset: &Ruleset,
        table: &DynamoTable,
        key: &ItemKey,
    ) -> Result<Option<OwnedItem>, SurveyError> {
        let Some(item) = self.store.get(table, key).await? else { return Ok(None) };
        match owned(ruleset, table, &item) {
            Some(owned) => Ok(self.strays(vec![owned]).await?.pop()),
            None => Ok(None),
        }
    }

    /// Whether an item without readable bookkeeping stands at the key.
    pub async fn is_foreign(
        &self,
        ruleset: &Ruleset,
        table: &DynamoTable,
        key: &ItemKey,
    ) -> Result<bool, SurveyError> {
        let item = self.store.get(table, key).await?;
        Ok(item.is_some_and(|item| owned(ruleset, table, &item).is_none()))
    }

    /// Deletes an item without readable bookkeeping, as long as it is one.
    pub async fn remove_foreign(
        &self,
        ruleset: &Ruleset,
        table: &DynamoTable,
        key: &ItemKey,
    ) -> Result<(), SurveyError> {
        let Some(item) = self.store.get(table, key).await? else { return Ok(()) };
        if owned(ruleset, table, &item).is_some() {
            return Ok(());
        }
        let expect = bookkeeping::read(&item).tag.map_or(Expect::Untagged, Expect::Tag);
        // Where the condition fails somebody else has taken the place meanwhile.
        self.store.delete(table, key, &expect).await?;
        Ok(())
    }

    /// Statements that MySQL works on now.
    pub async fn threads_running(&self) -> Result<u64, SurveyError> {
        let rows = self.control.select("SHOW GLOBAL STATUS LIKE 'Threads_running'", &[]).await?;
        let text = rows.first().and_then(|row| row.get(1));
        match text {
            Some(Cell::Text(text)) => text.parse().ok(),
            _ => None,
        }
        .ok_or_else(|| SurveyError::refused("MySQL does not tell its running threads"))
    }

    /// Those items whose row is gone or lives under another item key.
    async fn strays(&self, items: Vec<OwnedItem>) -> Result<Vec<OwnedItem>, SurveyError> {
        let mut by_entity: BTreeMap<String, Vec<OwnedItem>> = BTreeMap::new();
        for item in items {
            by_entity.entry(item.entity.name.clone()).or_default().push(item);
        }
        let mut strays = Vec::new();
        for items in by_entity.into_values() {
            let Some(entity) = items.first().map(|item| item.entity.clone()) else { continue };
            let keys: Vec<Vec<Cell>> = items.iter().map(|item| item.row_key.clone()).collect();
            let rows = self.control.view(&entity, &keys).await?;
            let homes: BTreeMap<&[Cell], Option<ItemKey>> = rows
                .iter()
                .map(|row| (row.row_key(&entity.view), entity.item_key(&row.main)))
                .collect();
            strays.extend(items.into_iter().filter(|item| {
                let home = homes.get(item.row_key.as_slice()).and_then(Option::as_ref);
                is_stray(&item.key, home)
            }));
        }
        Ok(strays)
    }
}

/// Whether the item's time to live is over, so that DynamoDB removes it without anybody's doing.
fn expired(entity: &Entity, item: &Item, now: SystemTime) -> bool {
    let ttl = entity.ttl_attribute().and_then(|name| item.get(name));
    let Some(Attribute::N(seconds)) = ttl else { return false };
    let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    seconds.parse::<u64>().is_ok_and(|seconds| seconds <= now)
}

/// Equal for equal rows and items.
fn print(row: Option<&ViewRow>, found: Option<&Item>) -> u64 {
    let mut hasher = DefaultHasher::new();
    match row {
        Some(row) => (&row.main, &row.children).hash(&mut hasher),
        None => 0.hash(&mut hasher),
    }
    found.hash(&mut hasher);
    hasher.finish()
}

fn owned(ruleset: &Ruleset, table: &DynamoTable, item: &Item) -> Option<OwnedItem> {
    let owner = bookkeeping::read(item).owner?;
    let entity = entity_named(ruleset, &owner.entity)?;
    let source = ruleset.catalog.tables.get(&entity.source)?;
    let row_key = bookkeeping::decode_key(source, &owner.key)?;
    Some(OwnedItem { entity: entity.clone(), row_key, key: dynamo::key_of(table, item)? })
}
