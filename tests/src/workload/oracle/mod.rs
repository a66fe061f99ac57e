//! The oracle: what DynamoDB should hold, from MySQL's committed rows, against what it holds.
//! Never here: Segue's own scans, journal or bookkeeping; every row is read afresh, every item
//! scanned through the plain AWS client.

mod differences;
mod scan;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use segue::mysql::control::Control;
use segue_rules::catalog::Catalog;
use segue_rules::diff::compare_items;
use segue_rules::entity::{BuildError, DynamoTable, Entity, Ruleset};
use segue_rules::value::{Attribute, Cell, Item, ItemKey, SourceKey, normalise_number};

pub use differences::{Differences, Mismatch};
pub use scan::{local_client, scan_items};

/// Driving rows read by one view query.
const KEYS_PER_READ: usize = 200;
/// Pause between two looks of [`settle`].
const SETTLE_PAUSE: Duration = Duration::from_millis(250);

/// Where the truth comes from: MySQL itself, not through Segue.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    pub control: &'a Control,
    pub contract: &'a str,
    /// The MySQL schema.
    pub database: &'a str,
}

/// What is judged.
#[derive(Clone, Copy)]
pub struct Target<'a> {
    pub client: &'a aws_sdk_dynamodb::Client,
    /// Prefix of the DynamoDB table names.
    pub prefix: &'a str,
}

/// An item that should be there, and the row that it comes from.
struct Expected {
    item: Item,
    source: SourceKey,
}

/// Items of one run of the oracle, by key with canonical numbers.
type ExpectedItems = BTreeMap<ItemKey, Expected>;

/// Compares everything once. Nothing may be writing meanwhile.
pub async fn compare(source: Source<'_>, target: Target<'_>) -> anyhow::Result<Differences> {
    let catalog = source.control.catalog(source.database).await.context("read the schema")?;
    let ruleset = compile(source.contract, catalog)?;
    compare_ruleset(&ruleset, source.control, target).await
}

/// As [`compare`], with a ruleset that is compiled already.
pub async fn compare_ruleset(
    ruleset: &Ruleset,
    control: &Control,
    target: Target<'_>,
) -> anyhow::Result<Differences> {
    let (mut expected, mut differences) = expect_all(ruleset, control).await?;
    for table in &ruleset.tables {
        let name = format!("{}{}", target.prefix, table.name);
        for item in scan_items(target.client, &name).await? {
            differences.scanned_items += 1;
            judge(table, item, &mut expected, &mut differences);
        }
    }
    for (key, missing) in expected {
        differences.mismatches.push(Mismatch::Missing { key, source: missing.source });
    }
    Ok(differences)
}

async fn expect_all(
    ruleset: &Ruleset,
    control: &Control,
) -> anyhow::Result<(ExpectedItems, Differences)> {
    let mut differences = Differences::default();
    let mut expected = ExpectedItems::new();
    for entity in &ruleset.entities {
        expect_entity(ruleset, entity, control, &mut expected, &mut differences).await?;
    }
    differences.expected_items = expected.len();
    Ok((expected, differences))
}

/// Every item that should be there, without bookkeeping.
pub async fn expected_items(
    ruleset: &Ruleset,
    control: &Control,
) -> anyhow::Result<BTreeMap<ItemKey, Item>> {
    let (expected, _) = expect_all(ruleset, control).await?;
    Ok(expected.into_iter().map(|(key, expected)| (key, expected.item)).collect())
}

/// Compares until nothing differs or the time is over; the last differences are the answer.
pub async fn settle(
    source: Source<'_>,
    target: Target<'_>,
    time_max: Duration,
) -> anyhow::Result<Differences> {
    let began = Instant::now();
    let catalog = source.control.catalog(source.database).await.context("read the schema")?;
    let ruleset = compile(source.contract, catalog)?;
    loop {
        let differences = compare_ruleset(&ruleset, source.control, target).await?;
        if differences.is_empty() || began.elapsed() >= time_max {
            return Ok(differences);
        }
        tokio::time::sleep(SETTLE_PAUSE).await;
    }
}

/// Compiles a contract; the error lists every finding.
pub fn compile(contract: &str, catalog: Catalog) -> anyhow::Result<Ruleset> {
    Ruleset::compile(contract, catalog).map_err(|findings| {
        let lines: Vec<String> = findings
            .iter()
            .map(|finding| {
                let (severity, code) = (finding.severity, finding.code);
                format!("{severity:?} {code} {}: {}", finding.path, finding.message)
            })
            .collect();
        anyhow::anyhow!("the contract does not compile:\n{}", lines.join("\n"))
    })
}

/// Every row key of the driving table, by a plain SELECT.
async fn row_keys(
    ruleset: &Ruleset,
    entity: &Entity,
    control: &Control,
) -> anyhow::Result<Vec<Vec<Cell>>> {
    let table = ruleset.catalog.tables.get(&entity.source).context("the driving table is known")?;
    let key = table.row_key().context("the driving table has a row key")?;
    let columns: Vec<String> =
        key.iter().map(|&column| quoted(&table.columns[column].name)).collect();
    let (database, name) = (quoted(&ruleset.catalog.database), quoted(&table.name));
    let sql = format!("SELECT {} FROM {database}.{name}", columns.join(", "));
    control.select(&sql, &[]).await.with_context(|| format!("read the keys of {name}"))
}

fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

async fn expect_entity(
    ruleset: &Ruleset,
    entity: &Entity,
    control: &Control,
    expected: &mut ExpectedItems,
    differences: &mut Differences,
) -> anyhow::Result<()> {
    let keys = row_keys(ruleset, entity, control).await?;
    for chunk in keys.chunks(KEYS_PER_READ) {
        let rows = control
            .view(entity, chunk)
            .await
            .with_context(|| format!("read the view of {}", entity.name))?;
        let mut seen = BTreeSet::new();
        for row in &rows {
            let row_key = row.main.iter().take(entity.view.key_width).cloned().collect::<Vec<_>>();
            seen.insert(row_key.clone());
            let source = SourceKey { table: entity.source.clone(), key: row_key };
            expect_row(
                entity,
                entity.build(&row.main, &row.children),
                source,
                expected,
                differences,
            );
        }
        for key in chunk.iter().filter(|key| !seen.contains(*key)) {
            let source = SourceKey { table: entity.source.clone(), key: key.clone() };
            differences
                .mismatches
                .push(Mismatch::NotInView { entity: entity.name.clone(), source });
        }
    }
    Ok(())
}

fn expect_row(
    entity: &Entity,
    built: Result<segue_rules::entity::Built, BuildError>,
    source: SourceKey,
    expected: &mut ExpectedItems,
    differences: &mut Differences,
) {
    match built {
        Ok(built) => {
            let key = canonical_key(built.key);
            let item = built.item;
            if let Some(other) =
                expected.insert(key.clone(), Expected { item, source: source.clone() })
            {
                let sources = [other.source, source];
                differences.mismatches.push(Mismatch::Collision { key, sources });
            }
        }
        // The contract says that such a row has no item.
        Err(BuildError::KeyAbsent { .. }) => differences.rows_without_item += 1,
        Err(error) => differences.mismatches.push(Mismatch::Unbuildable {
            entity: entity.name.clone(),
            source,
            reason: error.to_string(),
        }),
    }
}

/// Takes the item's expectation away and compares the two.
fn judge(
    table: &DynamoTable,
    item: Item,
    expected: &mut ExpectedItems,
    differences: &mut Differences,
) {
    let Some(key) = segue::dynamo::key_of(table, &item).map(canonical_key) else {
        // DynamoDB lets no item in without its key.
        differences.mismatches.push(Mismatch::Keyless { table: table.name.clone() });
        return;
    };
    match expected.remove(&key) {
        None => differences.mismatches.push(Mismatch::Extra { key, item }),
        Some(wanted) => {
            let attributes = compare_items(&wanted.item, &item);
            if !attributes.is_empty() {
                let source = wanted.source;
                differences.mismatches.push(Mismatch::Different { key, source, attributes });
            }
        }
    }
}

/// One text for one number, so that keys can be looked up.
fn canonical_key(mut key: ItemKey) -> ItemKey {
    for attribute in [Some(&mut key.pk), key.sk.as_mut()].into_iter().flatten() {
        if let Attribute::N(text) = attribute
            && let Ok(normal) = normalise_number(text)
        {
            *text = normal;
        }
    }
    key
}

#[cfg(test)]
mod tests {
    use segue_rules::entity::KeyAttribute;
    use segue_rules::value::AttributeType;

    use super::*;

    fn table() -> DynamoTable {
        DynamoTable {
            name: "T".to_owned(),
            pk: KeyAttribute { name: "id".to_owned(), kind: AttributeType::N },
            sk: None,
            indexes: Vec::new(),
        }
    }

    fn item(id: &str, name: &str) -> Item {
        Item::from([
            ("id".to_owned(), Attribute::N(id.to_owned())),
            ("name".to_owned(), Attribute::S(name.to_owned())),
        ])
    }

    fn expecting(items: &[Item]) -> ExpectedItems {
        items
            .iter()
            .map(|item| {
                let key = canonical_key(segue::dynamo::key_of(&table(), item).unwrap());
                let source = SourceKey { table: "t".into(), key: Vec::new() };
                (key, Expected { item: item.clone(), source })
            })
            .collect()
    }

    #[test]
    fn items_are_equal_different_or_extra() {
        let mut expected = expecting(&[item("1", "a"), item("2", "b"), item("3", "c")]);
        let mut differences = Differences::default();
        // The first key in another text, the second with another value, the fourth unexpected.
        for found in [item("1.0", "a"), item("2", "x"), item("4", "d")] {
            judge(&table(), found, &mut expected, &mut differences);
        }
        assert_eq!(expected.len(), 1, "the third stays expected");
        assert!(matches!(
            differences.mismatches.as_slice(),
            [Mismatch::Different { .. }, Mismatch::Extra { .. }]
        ));
    }

    #[test]
    fn an_item_without_its_key_is_a_mismatch() {
        let mut differences = Differences::default();
        judge(&table(), Item::new(), &mut ExpectedItems::new(), &mut differences);
        assert_eq!(differences.mismatches, [Mismatch::Keyless { table: "T".to_owned() }]);
    }
}
