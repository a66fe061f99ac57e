//! The contract's tables as infrastructure templates: CloudFormation and Terraform, both in their JSON forms.
//! Never here: requests (see `admin`), which tables there are.

use segue_rules::entity::Projection;
use serde_json::{Map, Value, json};

use super::{Billing, CreateTable, key_attributes, letter};

/// A table with the attribute that DynamoDB's time to live goes by, if the contract names one.
pub type TableAndTtl = (CreateTable, Option<String>);

/// A CloudFormation template. Deleting the stack keeps the tables.
pub fn cloudformation(tables: &[TableAndTtl]) -> Value {
    let resources: Map<String, Value> = tables
        .iter()
        .map(|(table, ttl)| {
            let mut properties = table.to_json();
            properties["PointInTimeRecoverySpecification"] =
                json!({ "PointInTimeRecoveryEnabled": true });
            if let Some(attribute) = ttl {
                properties["TimeToLiveSpecification"] =
                    json!({ "AttributeName": attribute, "Enabled": true });
            }
            let resource = json!({
                "Type": "AWS::DynamoDB::Table",
                "DeletionPolicy": "Retain",
                "UpdateReplacePolicy": "Retain",
                "Properties": properties,
            });
            (logical_id(&table.name), resource)
        })
        .collect();
    json!({
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": "DynamoDB tables of a Segue migration contract",
        "Resources": resources,
    })
}

/// Terraform's JSON syntax: a file `tables.tf.json`. Terraform refuses to destroy the tables.
pub fn terraform(tables: &[TableAndTtl]) -> Value {
    let resources: Map<String, Value> = tables
        .iter()
        .map(|(table, ttl)| (local_name(&table.name), terraform_table(table, ttl.as_deref())))
        .collect();
    json!({ "resource": { "aws_dynamodb_table": resources } })
}

fn terraform_table(table: &CreateTable, ttl: Option<&str>) -> Value {
    let keys = key_attributes(&table.table);
    let attributes = keys.iter().map(|key| json!({ "name": key.name, "type": letter(key.kind) }));
    let mut resource = json!({
        "name": table.name,
        "hash_key": table.table.pk.name,
        "attribute": attributes.collect::<Vec<_>>(),
        "point_in_time_recovery": { "enabled": true },
        "lifecycle": { "prevent_destroy": true },
    });
    capacity(&mut resource, table.billing);
    resource["billing_mode"] = match table.billing {
        Billing::OnDemand => "PAY_PER_REQUEST".into(),
        Billing::Provisioned { .. } => "PROVISIONED".into(),
    };
    if let Some(sk) = &table.table.sk {
        resource["range_key"] = sk.name.as_str().into();
    }
    if let Some(attribute) = ttl {
        resource["ttl"] = json!({ "attribute_name": attribute, "enabled": true });
    }
    let indexes = table.table.indexes.iter().map(|index| {
        let mut entry = json!({ "name": index.name, "hash_key": index.pk.name });
        if let Some(sk) = &index.sk {
            entry["range_key"] = sk.name.as_str().into();
        }
        entry["projection_type"] = match &index.projection {
            Projection::All => "ALL".into(),
            Projection::KeysOnly => "KEYS_ONLY".into(),
            Projection::Include(names) => {
                entry["non_key_attributes"] = json!(names);
                "INCLUDE".into()
            }
        };
        capacity(&mut entry, table.billing);
        entry
    });
    let indexes: Vec<Value> = indexes.collect();
    if !indexes.is_empty() {
        resource["global_secondary_index"] = Value::Array(indexes);
    }
    resource
}

fn capacity(entry: &mut Value, billing: Billing) {
    if let Billing::Provisioned { read, write } = billing {
        entry["read_capacity"] = read.into();
        entry["write_capacity"] = write.into();
    }
}

/// Letters and digits only; names that differ in other characters alone stay apart.
fn logical_id(name: &str) -> String {
    name.chars()
        .map(|c| match c {
            '_' => "U".to_owned(),
            '-' => "D".to_owned(),
            '.' => "P".to_owned(),
            other => other.to_string(),
        })
        .collect()
}

/// Letters, digits, `_` and `-`; the first is a letter or `_`.
fn local_name(name: &str) -> String {
    let name = name.replace('.', "-");
    match name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        true => name,
        false => format!("_{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::tests::orders;
    use super::super::plan;
    use super::*;

    fn tables(billing: Billing) -> Vec<TableAndTtl> {
        let planned = plan(&[orders()], "shop-", billing);
        planned.into_iter().map(|table| (table, Some("expires".to_owned()))).collect()
    }

    #[test]
    fn cloudformation_keeps_tables_and_knows_keys_indexes_and_ttl() {
        let template = cloudformation(&tables(Billing::OnDemand));
        let table = &template["Resources"]["shopDOrders"];
        assert_eq!(table["Type"], "AWS::DynamoDB::Table");
        assert_eq!(table["DeletionPolicy"], "Retain");
        let properties = &table["Properties"];
        assert_eq!(properties["TableName"], "shop-Orders");
        assert_eq!(properties["KeySchema"][1]["AttributeName"], "sk");
        assert_eq!(properties["GlobalSecondaryIndexes"][0]["IndexName"], "by_customer");
        assert_eq!(properties["TimeToLiveSpecification"]["AttributeName"], "expires");
    }

    #[test]
    fn terraform_names_capacity_where_it_is_bought() {
        let file = terraform(&tables(Billing::Provisioned { read: 5, write: 7 }));
        let table = &file["resource"]["aws_dynamodb_table"]["shop-Orders"];
        assert_eq!(
            (table["hash_key"].as_str(), table["range_key"].as_str()),
            (Some("pk"), Some("sk"))
        );
        assert_eq!(
            (table["billing_mode"].as_str(), table["write_capacity"].as_u64()),
            (Some("PROVISIONED"), Some(7))
        );
        let index = &table["global_secondary_index"][0];
        assert_eq!(index["non_key_attributes"][0], "total");
        assert_eq!(index["read_capacity"], 5);
        assert_eq!(table["ttl"]["attribute_name"], "expires");
        assert_eq!(local_name("1.a"), "_1-a");
        let on_demand = terraform(&tables(Billing::OnDemand));
        assert!(
            on_demand["resource"]["aws_dynamodb_table"]["shop-Orders"]
                .get("read_capacity")
                .is_none()
        );
    }
}
