//! `segue tables plan|create|diff`: the store's DynamoDB tables, their keys, indexes, prefix and billing.
//! Never here: what is written into them.

#![allow(clippy::unwrap_used, reason = "all of this crate is a test")]

use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
    TableDescription,
};
use segue_tests::harness::{Engine, Items, Kind, SegueConfig, SegueProcess, Server};
use serde_json::{Value, json};

const SCHEMA: &str = include_str!("../fixtures/store/schema.sql");
const CONTRACT: &str = include_str!("../fixtures/store/migrationContract.json");

/// Tables of the contract with the number of their indexes.
const TABLES: [(&str, usize); 3] = [("Users", 3), ("Products", 2), ("Categories", 1)];

struct Commands {
    segue: SegueProcess,
    items: Items,
    _engine: Engine,
}

impl Commands {
    async fn new(environment: &[(&str, &str)]) -> Option<Commands> {
        let server = Server::shared(Kind::MariaDb).await?;
        let tables: String = SCHEMA
            .split_inclusive(';')
            .filter(|part| !part.contains("DATABASE") && !part.trim_start().starts_with("USE "))
            .collect();
        let database = server.database("tables", &tables).await.unwrap();
        let engine = Engine::start().await.unwrap();
        let mut config = SegueConfig::new(server, &database, CONTRACT).with_engine(&engine);
        let given = environment.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        config.environment.extend(given);
        let segue = SegueProcess::prepare(&config).unwrap();
        let items = Items::at(&engine.endpoint());
        Some(Commands { segue, items, _engine: engine })
    }

    /// Exit code and report of `segue tables WORD --json`.
    async fn tables(&self, word: &str) -> (i32, Value) {
        let output = self.segue.command(&["tables", word, "--json"]).await.unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{errors}"));
        (output.status.code().unwrap(), report)
    }

    async fn describe(&self, name: &str) -> TableDescription {
        let described = self.items.client().describe_table().table_name(name).send().await;
        described.unwrap().table.unwrap()
    }

    async fn names(&self) -> Vec<String> {
        let mut names =
            self.items.client().list_tables().send().await.unwrap().table_names.unwrap();
        names.sort();
        names
    }
}

/// The outcome of each table in a report, in its order.
fn outcomes<'a>(report: &'a Value, field: &str) -> Vec<(&'a str, &'a Value)> {
    let tables = report["tables"].as_array().unwrap();
    tables.iter().map(|table| (table["table"].as_str().unwrap(), &table[field])).collect()
}

fn keys(schema: &[KeySchemaElement]) -> Vec<(&str, &KeyType)> {
    schema.iter().map(|key| (key.attribute_name(), key.key_type())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plan_is_the_create_request_and_touches_nothing() {
    let Some(commands) = Commands::new(&[]).await else { return };
    let (code, report) = commands.tables("plan").await;
    assert_eq!(code, 0);
    let tables = report["tables"].as_array().unwrap();
    let names: Vec<&str> =
        tables.iter().map(|table| table["TableName"].as_str().unwrap()).collect();
    assert_eq!(names, TABLES.map(|(name, _)| name));
    let key = |pk: &str, sk: &str| json!([{"AttributeName": pk, "KeyType": "HASH"}, {"AttributeName": sk, "KeyType": "RANGE"}]);
    for (table, (_, indexes)) in tables.iter().zip(TABLES) {
        assert_eq!(table["BillingMode"], "PAY_PER_REQUEST");
        assert_eq!(table["KeySchema"], key("PK", "SK"));
        let wanted: Vec<Value> = (1..=indexes)
            .map(|number| {
                json!({
                    "IndexName": format!("GSI{number}"),
                    "KeySchema": key(&format!("GSI{number}PK"), &format!("GSI{number}SK")),
                    "Projection": {"ProjectionType": "ALL"},
                })
            })
            .collect();
        assert_eq!(table["GlobalSecondaryIndexes"], json!(wanted));
        let definitions = table["AttributeDefinitions"].as_array().unwrap();
        assert_eq!(definitions.len(), 2 + 2 * indexes);
        assert!(definitions.iter().all(|definition| definition["AttributeType"] == "S"));
    }
    assert_eq!(commands.names().await, Vec::<String>::new());
    let (code, report) = commands.tables("diff").await;
    assert_eq!(code, 1, "nothing exists yet");
    for (_, differences) in outcomes(&report, "differences") {
        assert_eq!(differences, &json!(["missing"]));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn create_makes_what_is_missing_and_may_be_repeated() {
    let Some(commands) = Commands::new(&[]).await else { return };
    for expected in ["created", "exists"] {
        let (code, report) = commands.tables("create").await;
        assert_eq!(code, 0, "{report}");
        let expected = json!(expected);
        assert_eq!(outcomes(&report, "outcome"), TABLES.map(|(name, _)| (name, &expected)));
    }
    let users = commands.describe("Users").await;
    assert_eq!(keys(users.key_schema()), [("PK", &KeyType::Hash), ("SK", &KeyType::Range)]);
    let mut indexes: Vec<_> = users.global_secondary_indexes().iter().collect();
    indexes.sort_by_key(|index| index.index_name().map(str::to_owned));
    assert_eq!(indexes.len(), 3);
    assert_eq!(
        keys(indexes[2].key_schema()),
        [("GSI3PK", &KeyType::Hash), ("GSI3SK", &KeyType::Range)]
    );
    let (code, report) = commands.tables("diff").await;
    assert_eq!(code, 0, "{report}");
    assert!(outcomes(&report, "differences").iter().all(|(_, found)| **found == json!([])));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn existing_table_with_other_keys_is_named_and_left_alone() {
    let Some(commands) = Commands::new(&[]).await else { return };
    let definition = AttributeDefinition::builder()
        .attribute_name("Id")
        .attribute_type(ScalarAttributeType::N)
        .build()
        .unwrap();
    let key = KeySchemaElement::builder().attribute_name("Id").key_type(KeyType::Hash).build();
    let create = commands.items.client().create_table().table_name("Products");
    create
        .attribute_definitions(definition)
        .key_schema(key.unwrap())
        .billing_mode(BillingMode::PayPerRequest)
        .send()
        .await
        .unwrap();
    for word in ["create", "diff"] {
        let (code, report) = commands.tables(word).await;
        assert_eq!(code, 1, "{report}");
        let differences = outcomes(&report, "differences");
        assert_eq!((differences[0].1, differences[2].1), (&json!([]), &json!([])), "{report}");
        assert_eq!(
            *differences[1].1,
            json!([
                "partition key is Id (N), the contract wants PK (S)",
                "sort key is none, the contract wants SK (S)",
                "index GSI1: missing",
                "index GSI2: missing",
            ])
        );
    }
    let products = commands.describe("Products").await;
    assert_eq!(keys(products.key_schema()), [("Id", &KeyType::Hash)]);
    assert_eq!(commands.segue.command(&["check"]).await.unwrap().status.code(), Some(2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prefix_and_provisioned_capacity_come_from_the_settings() {
    let environment = [
        ("SEGUE_DYNAMODB_TABLE_PREFIX", "stage-"),
        ("SEGUE_DYNAMODB_BILLING", "provisioned"),
        ("SEGUE_DYNAMODB_READ_UNITS", "7"),
        ("SEGUE_DYNAMODB_WRITE_UNITS", "5"),
    ];
    let Some(commands) = Commands::new(&environment).await else { return };
    let (_, report) = commands.tables("plan").await;
    let first = &report["tables"][0];
    let units = json!({"ReadCapacityUnits": 7, "WriteCapacityUnits": 5});
    assert_eq!(
        (&first["TableName"], &first["BillingMode"]),
        (&json!("stage-Users"), &json!("PROVISIONED"))
    );
    assert_eq!(first["ProvisionedThroughput"], units);
    assert_eq!(first["GlobalSecondaryIndexes"][2]["ProvisionedThroughput"], units);
    assert_eq!(commands.tables("create").await.0, 0);
    assert_eq!(commands.names().await, ["stage-Categories", "stage-Products", "stage-Users"]);
    let users = commands.describe("stage-Users").await;
    let throughput = users.provisioned_throughput().unwrap();
    assert_eq!(throughput.write_capacity_units(), Some(5));
    assert_eq!(commands.tables("diff").await.0, 0);
}
