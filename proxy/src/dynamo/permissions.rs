//! The IAM permissions Segue needs, and a probe that tells which are missing.
//! Never here: anything that changes an item.
//!
//! Least privilege, for each table of the contract (`arn:aws:dynamodb:REGION:ACCOUNT:table/PREFIX*`):
//!
//! ```json
//! {"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
//!   "Action": ["dynamodb:DescribeTable", "dynamodb:GetItem", "dynamodb:BatchGetItem",
//!              "dynamodb:PutItem", "dynamodb:DeleteItem", "dynamodb:Scan", "dynamodb:PartiQLInsert"],
//!   "Resource": "arn:aws:dynamodb:us-east-1:111122223333:table/shop-*"}]}
//! ```
//!
//! `dynamodb:CreateTable` is needed only by whoever runs `segue tables create`.

use std::collections::BTreeSet;

use segue_rules::entity::{DynamoTable, KeyAttribute};
use segue_rules::value::{Attribute, AttributeType, Item, ItemKey};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Expect, Store, StoreError};

/// Actions of the least privilege policy, and what each is for.
pub const IAM_ACTIONS: &[(&str, &str)] = &[
    ("dynamodb:DescribeTable", "compare a table's keys and indexes with the contract"),
    ("dynamodb:GetItem", "read an item that stood in the way of a conditional write"),
    (
        "dynamodb:BatchGetItem",
        "look at many items before their rows are read: owed for long, swept",
    ),
    ("dynamodb:PutItem", "write the item of a committed row"),
    ("dynamodb:DeleteItem", "remove the item of a deleted row"),
    ("dynamodb:Scan", "find items whose row is gone: verify, repair, owed sweeps"),
    (
        "dynamodb:PartiQLInsert",
        "create many items at once, each where there is none; without it one by one",
    ),
    ("dynamodb:CreateTable", "only for `segue tables create`"),
];

/// The least privilege policy for a running sidecar, as IAM takes it.
pub fn iam_policy(table_arns: &[String]) -> Value {
    let actions: Vec<&str> = IAM_ACTIONS
        .iter()
        .map(|(action, _)| *action)
        .filter(|action| *action != "dynamodb:CreateTable")
        .collect();
    json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Sid": "Segue",
            "Effect": "Allow",
            "Action": actions,
            "Resource": table_arns,
        }],
    })
}

/// A permission that DynamoDB refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingPermission {
    /// Full table name.
    pub table: String,
    /// For example `dynamodb:PutItem`.
    pub action: &'static str,
    pub why: &'static str,
}

impl Store {
    /// Tries every action on every table, without changing anything, and lists what is denied. Writes
    /// are tried on a random key with a condition that cannot hold: a failed condition proves the
    /// permission.
    pub async fn missing_permissions(
        &self,
        tables: &[DynamoTable],
    ) -> Result<Vec<MissingPermission>, StoreError> {
        let mut missing = Vec::new();
        for table in tables {
            let key = random_key(table);
            let nobody = Expect::Tag(Uuid::new_v4().to_string());
            let item = key_item(table, &key);
            let answers = [
                ("dynamodb:DescribeTable", self.describe(&table.name).await.err()),
                ("dynamodb:GetItem", self.get(table, &key).await.err()),
                (
                    "dynamodb:BatchGetItem",
                    self.bookkeeping(table, &BTreeSet::from([key.clone()])).await.err(),
                ),
                ("dynamodb:PutItem", self.put(table, &item, &nobody).await.err()),
                ("dynamodb:DeleteItem", self.delete(table, &key, &nobody).await.err()),
                ("dynamodb:Scan", self.scan_probe(table).await.err()),
            ];
            for (action, error) in answers {
                match error {
                    None => {}
                    Some(StoreError::Rejected { code, .. }) if code == "AccessDeniedException" => {
                        let table = self.table_name(&table.name);
                        missing.push(MissingPermission { table, action, why: why(action) });
                    }
                    Some(error) => return Err(error),
                }
            }
        }
        Ok(missing)
    }

    async fn scan_probe(&self, table: &DynamoTable) -> Result<(), StoreError> {
        let name = self.table_name(&table.name);
        let request = self.client.scan().table_name(&name).limit(1).consistent_read(true);
        self.timed("Scan", &name, request.send()).await.map(|_| ())
    }
}

fn why(action: &str) -> &'static str {
    IAM_ACTIONS.iter().find(|(known, _)| *known == action).map_or("", |(_, why)| why)
}

/// A key that no item has.
fn random_key(table: &DynamoTable) -> ItemKey {
    let value = |attribute: &KeyAttribute| {
        let random = Uuid::new_v4();
        match attribute.kind {
            // DynamoDB numbers have 38 digits; 19 fit for certain.
            AttributeType::N => Attribute::N((random.as_u128() >> 65).to_string()),
            AttributeType::B => Attribute::B(random.as_bytes().to_vec()),
            _ => Attribute::S(format!("segue-probe-{random}")),
        }
    };
    ItemKey { table: table.name.clone(), pk: value(&table.pk), sk: table.sk.as_ref().map(value) }
}

fn key_item(table: &DynamoTable, key: &ItemKey) -> Item {
    let mut item = Item::from([(table.pk.name.clone(), key.pk.clone())]);
    if let (Some(attribute), Some(value)) = (&table.sk, &key.sk) {
        item.insert(attribute.name.clone(), value.clone());
    }
    item
}
