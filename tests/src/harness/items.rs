//! What a DynamoDB table holds, read with the AWS SDK and shown as plain JSON.
//! Never here: Segue's own conversion of items.

use anyhow::{Context, Result};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine as _;
use serde_json::{Map, Number, Value};

/// Segue's bookkeeping attribute, left out of what is shown.
const BOOKKEEPING: &str = "_segue";

/// Reads the tables of one engine.
#[derive(Clone)]
pub struct Items {
    client: Client,
}

impl Items {
    /// A reader of the engine at this URL.
    pub fn at(endpoint: &str) -> Items {
        let config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("tests", "tests", None, None, "tests"))
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .endpoint_url(endpoint)
            .build();
        Items { client: Client::from_conf(config) }
    }

    /// The SDK's client, for tests that write items behind Segue's back.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Every item of a table, without bookkeeping, ordered by its JSON text.
    pub async fn all(&self, table: &str) -> Result<Vec<Value>> {
        let mut found = Vec::new();
        let mut start = None;
        loop {
            let page = self
                .client
                .scan()
                .table_name(table)
                .consistent_read(true)
                .set_exclusive_start_key(start)
                .send()
                .await
                .with_context(|| format!("scan {table}"))?;
            for item in page.items() {
                let shown: Map<String, Value> = item
                    .iter()
                    .filter(|(name, _)| *name != BOOKKEEPING)
                    .map(|(name, value)| (name.clone(), shown(value)))
                    .collect::<std::collections::BTreeMap<_, _>>()
                    .into_iter()
                    .collect();
                found.push(Value::Object(shown));
            }
            start = page.last_evaluated_key().cloned();
            if start.is_none() {
                break;
            }
        }
        found.sort_by_key(Value::to_string);
        Ok(found)
    }

    /// The items whose attribute `name` is the string `value`.
    pub async fn having(&self, table: &str, name: &str, value: &str) -> Result<Vec<Value>> {
        let all = self.all(table).await?;
        Ok(all.into_iter().filter(|item| item[name] == value).collect())
    }
}

/// Numbers are JSON numbers where they fit, binaries are `base64:...`.
fn shown(value: &AttributeValue) -> Value {
    match value {
        AttributeValue::S(text) => Value::String(text.clone()),
        AttributeValue::N(text) => number(text),
        AttributeValue::B(bytes) => Value::String(format!(
            "base64:{}",
            base64::engine::general_purpose::STANDARD.encode(bytes.as_ref())
        )),
        AttributeValue::Bool(flag) => Value::Bool(*flag),
        AttributeValue::Null(_) => Value::Null,
        AttributeValue::M(map) => Value::Object(
            map.iter()
                .map(|(name, value)| (name.clone(), shown(value)))
                .collect::<std::collections::BTreeMap<_, _>>()
                .into_iter()
                .collect(),
        ),
        AttributeValue::L(list) => Value::Array(list.iter().map(shown).collect()),
        AttributeValue::Ss(set) | AttributeValue::Ns(set) => {
            let mut sorted = set.clone();
            sorted.sort();
            Value::from(sorted)
        }
        other => Value::String(format!("{other:?}")),
    }
}

/// A JSON number where that shows every digit, else the text.
fn number(text: &str) -> Value {
    if let Ok(whole) = text.parse::<i64>() {
        return Value::from(whole);
    }
    let parsed = text.parse::<f64>().ok().filter(|float| float.to_string() == text);
    parsed.and_then(Number::from_f64).map_or_else(|| Value::from(text), Value::Number)
}
