//! DescribeTable and CreateTable.
//! Never here: deleting or changing a table.

use std::time::Instant;

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::operation::create_table::builders::CreateTableFluentBuilder;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, GlobalSecondaryIndexDescription,
    KeySchemaElement, KeyType, Projection as SdkProjection, ProjectionType, ProvisionedThroughput,
    ScalarAttributeType, TableDescription,
};
use segue_config::limits::{DYNAMODB_TABLE_ACTIVE_TIMEOUT, DYNAMODB_TABLE_POLL_INTERVAL};
use segue_rules::entity::{DynamoTable, KeyAttribute, Projection, SecondaryIndex};
use segue_rules::value::AttributeType;

use super::{Billing, CreateTable, ExistingIndex, ExistingTable, difference, key_attributes};
use crate::dynamo::{Arrival, Store, StoreError};

impl Store {
    /// The table as it exists (the contract's name is given; the prefix is added here).
    pub async fn describe(&self, table: &str) -> Result<Option<ExistingTable>, StoreError> {
        self.describe_named(&self.table_name(table)).await
    }

    async fn describe_named(&self, name: &str) -> Result<Option<ExistingTable>, StoreError> {
        let request = self.client.describe_table().table_name(name);
        match self.timed("DescribeTable", name, request.send()).await {
            Ok(answer) => Ok(answer.table.as_ref().map(existing_table)),
            Err(StoreError::Rejected { code, .. }) if code == "ResourceNotFoundException" => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Creates a table unless it exists, and waits until it and its indexes are ACTIVE. Whether an
    /// existing table fits is for [`difference`] to say.
    pub async fn create(&self, wanted: &CreateTable) -> Result<ExistingTable, StoreError> {
        let name = &wanted.name;
        if self.describe_named(name).await?.is_none() {
            let request = create_request(self.client.create_table(), wanted).map_err(|error| {
                StoreError::Rejected {
                    operation: "CreateTable",
                    table: name.clone(),
                    code: "InvalidRequest".to_owned(),
                    reason: error.to_string(),
                }
            })?;
            // A transient failure may hide a success, or another process creating the same table: both are
            // seen by the wait below.
            match self.timed("CreateTable", name, request.send()).await {
                Ok(_) | Err(StoreError::Transient { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        self.wait_until_active(name).await
    }

    async fn wait_until_active(&self, name: &str) -> Result<ExistingTable, StoreError> {
        let begun = Instant::now();
        loop {
            let state = match self.describe_named(name).await {
                Ok(Some(table)) if table.is_active() => return Ok(table),
                Ok(Some(table)) => table.status,
                Ok(None) => "absent".to_owned(),
                Err(StoreError::Transient { reason, .. }) => reason,
                Err(error) => return Err(error),
            };
            if begun.elapsed() > DYNAMODB_TABLE_ACTIVE_TIMEOUT {
                return Err(StoreError::Transient {
                    operation: "CreateTable",
                    table: name.to_owned(),
                    reason: format!("not active after {} s: {state}", begun.elapsed().as_secs()),
                    arrival: Arrival::Over,
                    throttled: false,
                });
            }
            tokio::time::sleep(DYNAMODB_TABLE_POLL_INTERVAL).await;
        }
    }

    /// Everything that keeps these tables from being written; empty when they are ready.
    pub async fn tables_ready(&self, tables: &[DynamoTable]) -> Result<Vec<String>, StoreError> {
        let mut faults = Vec::new();
        for table in tables {
            let name = self.table_name(&table.name);
            match self.describe_named(&name).await? {
                None => faults.push(format!("table {name}: missing")),
                Some(existing) => {
                    if !existing.is_active() {
                        faults.push(format!("table {name}: {}", existing.status));
                    }
                    let differences = difference(table, &existing);
                    faults.extend(differences.iter().map(|fault| format!("table {name}: {fault}")));
                }
            }
        }
        Ok(faults)
    }
}

fn create_request(
    request: CreateTableFluentBuilder,
    wanted: &CreateTable,
) -> Result<CreateTableFluentBuilder, BuildError> {
    let table = &wanted.table;
    let mut request = request
        .table_name(&wanted.name)
        .set_key_schema(Some(key_schema(&table.pk, table.sk.as_ref())?));
    for key in key_attributes(table) {
        let kind = match key.kind {
            AttributeType::N => ScalarAttributeType::N,
            AttributeType::B => ScalarAttributeType::B,
            _ => ScalarAttributeType::S,
        };
        let definition = AttributeDefinition::builder()
            .attribute_name(&key.name)
            .attribute_type(kind)
            .build()?;
        request = request.attribute_definitions(definition);
    }
    let throughput = throughput(wanted.billing)?;
    request = match &throughput {
        None => request.billing_mode(BillingMode::PayPerRequest),
        Some(units) => {
            request.billing_mode(BillingMode::Provisioned).provisioned_throughput(units.clone())
        }
    };
    for index in &table.indexes {
        let index = GlobalSecondaryIndex::builder()
            .index_name(&index.name)
            .set_key_schema(Some(key_schema(&index.pk, index.sk.as_ref())?))
            .projection(projection_to_sdk(&index.projection))
            .set_provisioned_throughput(throughput.clone())
            .build()?;
        request = request.global_secondary_indexes(index);
    }
    Ok(request)
}

fn throughput(billing: Billing) -> Result<Option<ProvisionedThroughput>, BuildError> {
    match billing {
        Billing::OnDemand => Ok(None),
        Billing::Provisioned { read, write } => ProvisionedThroughput::builder()
            .read_capacity_units(read.into())
            .write_capacity_units(write.into())
            .build()
            .map(Some),
    }
}

fn key_schema(
    pk: &KeyAttribute,
    sk: Option<&KeyAttribute>,
) -> Result<Vec<KeySchemaElement>, BuildError> {
    let element = |key: &KeyAttribute, kind: KeyType| {
        KeySchemaElement::builder().attribute_name(&key.name).key_type(kind).build()
    };
    let mut schema = vec![element(pk, KeyType::Hash)?];
    if let Some(sk) = sk {
        schema.push(element(sk, KeyType::Range)?);
    }
    Ok(schema)
}

fn projection_to_sdk(projection: &Projection) -> SdkProjection {
    let builder = SdkProjection::builder();
    match projection {
        Projection::All => builder.projection_type(ProjectionType::All).build(),
        Projection::KeysOnly => builder.projection_type(ProjectionType::KeysOnly).build(),
        Projection::Include(names) => builder
            .projection_type(ProjectionType::Include)
            .set_non_key_attributes(Some(names.clone()))
            .build(),
    }
}

fn existing_table(description: &TableDescription) -> ExistingTable {
    let keys = |schema: &[KeySchemaElement]| keys_of(schema, description.attribute_definitions());
    let (pk, sk) = keys(description.key_schema());
    let described = description.global_secondary_indexes();
    let indexes: Vec<SecondaryIndex> = described
        .iter()
        .map(|index| {
            let (pk, sk) = keys(index.key_schema());
            SecondaryIndex {
                name: index.index_name().unwrap_or_default().to_owned(),
                pk,
                sk,
                projection: projection_from_sdk(index.projection()),
            }
        })
        .collect();
    let name = description.table_name().unwrap_or_default().to_owned();
    ExistingTable {
        table: DynamoTable { name, pk, sk, indexes },
        status: description.table_status().map_or_else(String::new, |s| s.as_str().to_owned()),
        indexes: described.iter().map(existing_index).collect(),
        billing: existing_billing(description),
        item_count: positive(description.item_count()),
        size_bytes: positive(description.table_size_bytes()),
    }
}

fn positive(number: Option<i64>) -> u64 {
    number.and_then(|number| u64::try_from(number).ok()).unwrap_or(0)
}

fn existing_index(index: &GlobalSecondaryIndexDescription) -> ExistingIndex {
    ExistingIndex {
        name: index.index_name().unwrap_or_default().to_owned(),
        // Some engines leave the status out; then the index needs no building.
        status: index.index_status().map_or("ACTIVE", |status| status.as_str()).to_owned(),
    }
}

fn existing_billing(description: &TableDescription) -> Billing {
    let mode = description.billing_mode_summary().and_then(|summary| summary.billing_mode());
    let units = description.provisioned_throughput();
    let read = units.map_or(0, |units| positive(units.read_capacity_units()));
    let write = units.map_or(0, |units| positive(units.write_capacity_units()));
    // A table that was never on demand may carry no summary.
    if mode == Some(&BillingMode::PayPerRequest) || (read == 0 && write == 0) {
        return Billing::OnDemand;
    }
    Billing::Provisioned {
        read: u32::try_from(read).unwrap_or(u32::MAX),
        write: u32::try_from(write).unwrap_or(u32::MAX),
    }
}

fn keys_of(
    schema: &[KeySchemaElement],
    definitions: &[AttributeDefinition],
) -> (KeyAttribute, Option<KeyAttribute>) {
    let find = |wanted: KeyType| {
        let name = schema.iter().find(|part| *part.key_type() == wanted)?.attribute_name();
        let definition = definitions.iter().find(|known| known.attribute_name() == name);
        let kind = match definition.map(|known| known.attribute_type()) {
            Some(ScalarAttributeType::N) => AttributeType::N,
            Some(ScalarAttributeType::B) => AttributeType::B,
            _ => AttributeType::S,
        };
        Some(KeyAttribute { name: name.to_owned(), kind })
    };
    let absent = || KeyAttribute { name: String::new(), kind: AttributeType::S };
    (find(KeyType::Hash).unwrap_or_else(absent), find(KeyType::Range))
}

fn projection_from_sdk(projection: Option<&SdkProjection>) -> Projection {
    match projection.and_then(|projection| projection.projection_type()) {
        Some(ProjectionType::KeysOnly) => Projection::KeysOnly,
        Some(ProjectionType::Include) => Projection::Include(
            projection.map(|p| p.non_key_attributes().to_vec()).unwrap_or_default(),
        ),
        _ => Projection::All,
    }
}
