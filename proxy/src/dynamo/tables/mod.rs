//! DynamoDB tables as data: what the contract wants, what exists, how they differ.
//! Never here: requests (see `admin`).

mod admin;
mod templates;

pub use templates::{TableAndTtl, cloudformation, terraform};

use segue_rules::entity::{DynamoTable, KeyAttribute, Projection, SecondaryIndex};
use segue_rules::value::AttributeType;
use serde_json::{Value, json};

/// How a table's capacity is paid for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Billing {
    #[default]
    OnDemand,
    /// Capacity units a second, for the table and for each index alike.
    Provisioned { read: u32, write: u32 },
}

/// A table to be created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateTable {
    /// Full name, prefix included.
    pub name: String,
    pub table: DynamoTable,
    pub billing: Billing,
}

/// A table as DynamoDB describes it. `table.name` is the full name, prefix included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExistingTable {
    pub table: DynamoTable,
    /// `ACTIVE`, `CREATING`, `UPDATING`, ...
    pub status: String,
    /// Same order as `table.indexes`.
    pub indexes: Vec<ExistingIndex>,
    pub billing: Billing,
    /// DynamoDB's own estimate, hours old.
    pub item_count: u64,
    pub size_bytes: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExistingIndex {
    pub name: String,
    pub status: String,
}

impl ExistingTable {
    /// The table and every index can be used.
    pub fn is_active(&self) -> bool {
        // A table that is being updated still serves reads and writes.
        matches!(self.status.as_str(), "ACTIVE" | "UPDATING")
            && self
                .indexes
                .iter()
                .all(|index| matches!(index.status.as_str(), "ACTIVE" | "UPDATING"))
    }
}

/// What has to be created for these tables of a ruleset.
pub fn plan(tables: &[DynamoTable], prefix: &str, billing: Billing) -> Vec<CreateTable> {
    tables
        .iter()
        .map(|table| CreateTable {
            name: format!("{prefix}{}", table.name),
            table: table.clone(),
            billing,
        })
        .collect()
}

impl CreateTable {
    /// The request as the AWS command line takes it (`--cli-input-json`).
    pub fn to_json(&self) -> Value {
        let mut request = json!({
            "TableName": self.name,
            "AttributeDefinitions": key_attributes(&self.table)
                .iter()
                .map(|key| json!({"AttributeName": key.name, "AttributeType": letter(key.kind)}))
                .collect::<Vec<_>>(),
            "KeySchema": key_schema(&self.table.pk, self.table.sk.as_ref()),
            "BillingMode": match self.billing {
                Billing::OnDemand => "PAY_PER_REQUEST",
                Billing::Provisioned { .. } => "PROVISIONED",
            },
        });
        let throughput = match self.billing {
            Billing::OnDemand => None,
            Billing::Provisioned { read, write } => {
                Some(json!({"ReadCapacityUnits": read, "WriteCapacityUnits": write}))
            }
        };
        if let Some(throughput) = &throughput {
            request["ProvisionedThroughput"] = throughput.clone();
        }
        if !self.table.indexes.is_empty() {
            let indexes = self.table.indexes.iter().map(|index| {
                let mut entry = json!({
                    "IndexName": index.name,
                    "KeySchema": key_schema(&index.pk, index.sk.as_ref()),
                    "Projection": projection_json(&index.projection),
                });
                if let Some(throughput) = &throughput {
                    entry["ProvisionedThroughput"] = throughput.clone();
                }
                entry
            });
            request["GlobalSecondaryIndexes"] = indexes.collect();
        }
        request
    }
}

fn key_schema(pk: &KeyAttribute, sk: Option<&KeyAttribute>) -> Value {
    let mut schema = vec![json!({"AttributeName": pk.name, "KeyType": "HASH"})];
    schema.extend(sk.map(|sk| json!({"AttributeName": sk.name, "KeyType": "RANGE"})));
    Value::Array(schema)
}

fn projection_json(projection: &Projection) -> Value {
    match projection {
        Projection::All => json!({"ProjectionType": "ALL"}),
        Projection::KeysOnly => json!({"ProjectionType": "KEYS_ONLY"}),
        Projection::Include(names) => {
            json!({"ProjectionType": "INCLUDE", "NonKeyAttributes": names})
        }
    }
}

/// Key attributes of the table and its indexes, each once, in order of first use.
fn key_attributes(table: &DynamoTable) -> Vec<&KeyAttribute> {
    let keys = std::iter::once(&table.pk)
        .chain(&table.sk)
        .chain(table.indexes.iter().flat_map(|index| std::iter::once(&index.pk).chain(&index.sk)));
    let mut distinct: Vec<&KeyAttribute> = Vec::new();
    for key in keys {
        if distinct.iter().all(|known| known.name != key.name) {
            distinct.push(key);
        }
    }
    distinct
}

/// The letter of a key attribute's type.
fn letter(kind: AttributeType) -> &'static str {
    match kind {
        AttributeType::N => "N",
        AttributeType::B => "B",
        // The contract allows only S, N and B in keys.
        _ => "S",
    }
}

/// What stands in the way of using `existing` for `wanted`; empty when nothing does. Further indexes and
/// another billing mode (see [`billing_note`]) are no faults.
pub fn difference(wanted: &DynamoTable, existing: &ExistingTable) -> Vec<String> {
    let mut faults = Vec::new();
    let have = &existing.table;
    key_difference("", (&wanted.pk, wanted.sk.as_ref()), (&have.pk, have.sk.as_ref()), &mut faults);
    for index in &wanted.indexes {
        match have.indexes.iter().find(|other| other.name == index.name) {
            None => faults.push(format!("index {}: missing", index.name)),
            Some(other) => index_difference(index, other, &mut faults),
        }
    }
    faults
}

fn index_difference(wanted: &SecondaryIndex, have: &SecondaryIndex, faults: &mut Vec<String>) {
    let place = format!("index {}: ", wanted.name);
    key_difference(&place, (&wanted.pk, wanted.sk.as_ref()), (&have.pk, have.sk.as_ref()), faults);
    if !covers(&have.projection, &wanted.projection) {
        faults.push(format!(
            "{place}projection is {}, the contract wants {}",
            projection_text(&have.projection),
            projection_text(&wanted.projection)
        ));
    }
}

type Keys<'a> = (&'a KeyAttribute, Option<&'a KeyAttribute>);

fn key_difference(place: &str, wanted: Keys<'_>, have: Keys<'_>, faults: &mut Vec<String>) {
    let text = |key: Option<&KeyAttribute>| match key {
        Some(key) => format!("{} ({})", key.name, letter(key.kind)),
        None => "none".to_owned(),
    };
    for (what, want, got) in
        [("partition key", Some(wanted.0), Some(have.0)), ("sort key", wanted.1, have.1)]
    {
        if want != got {
            faults.push(format!(
                "{place}{what} is {}, the contract wants {}",
                text(got),
                text(want)
            ));
        }
    }
}

/// Whether an index with projection `have` carries all that `wanted` asks for.
fn covers(have: &Projection, wanted: &Projection) -> bool {
    match (have, wanted) {
        (Projection::All, _) | (_, Projection::KeysOnly) => true,
        (Projection::Include(have), Projection::Include(wanted)) => {
            wanted.iter().all(|name| have.contains(name))
        }
        _ => false,
    }
}

fn projection_text(projection: &Projection) -> String {
    match projection {
        Projection::All => "ALL".to_owned(),
        Projection::KeysOnly => "KEYS_ONLY".to_owned(),
        Projection::Include(names) => format!("INCLUDE ({})", names.join(", ")),
    }
}

/// A remark where a table is billed otherwise than asked for.
pub fn billing_note(wanted: Billing, existing: &ExistingTable) -> Option<String> {
    let text = |billing: Billing| match billing {
        Billing::OnDemand => "on demand".to_owned(),
        Billing::Provisioned { read, write } => format!("provisioned ({read} read, {write} write)"),
    };
    (wanted != existing.billing)
        .then(|| format!("billing is {}, not {}", text(existing.billing), text(wanted)))
}
