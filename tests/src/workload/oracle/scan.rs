//! Every item of a DynamoDB table, through the plain AWS client.
//! Never here: Segue's own store, which is under test.

use anyhow::Context as _;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_dynamodb::types::AttributeValue;
use segue_rules::value::{Attribute, Item};

/// A client of a local engine, which takes any credentials. `endpoint`: `http://host:port`.
pub fn local_client(endpoint: &str) -> aws_sdk_dynamodb::Client {
    let credentials = Credentials::builder()
        .access_key_id("local")
        .secret_access_key("local")
        .provider_name("segue-tests")
        .build();
    let configuration = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(credentials)
        .endpoint_url(endpoint)
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    aws_sdk_dynamodb::Client::from_conf(configuration)
}

/// Scans the whole table, strongly consistent.
pub async fn scan_items(
    client: &aws_sdk_dynamodb::Client,
    table: &str,
) -> anyhow::Result<Vec<Item>> {
    let mut items = Vec::new();
    let mut from = None;
    loop {
        let page = client
            .scan()
            .table_name(table)
            .consistent_read(true)
            .set_exclusive_start_key(from)
            .send()
            .await
            .with_context(|| format!("scan {table}"))?;
        for raw in page.items.unwrap_or_default() {
            let item: anyhow::Result<Item> =
                raw.into_iter().map(|(name, value)| Ok((name, attribute(value)?))).collect();
            items.push(item.with_context(|| format!("read an item of {table}"))?);
        }
        from = page.last_evaluated_key.filter(|key| !key.is_empty());
        if from.is_none() {
            return Ok(items);
        }
    }
}

fn attribute(value: AttributeValue) -> anyhow::Result<Attribute> {
    Ok(match value {
        AttributeValue::S(text) => Attribute::S(text),
        AttributeValue::N(text) => Attribute::N(text),
        AttributeValue::B(blob) => Attribute::B(blob.into_inner()),
        AttributeValue::Bool(value) => Attribute::Bool(value),
        AttributeValue::Null(_) => Attribute::Null,
        AttributeValue::Ss(set) => Attribute::SS(set.into_iter().collect()),
        AttributeValue::Ns(set) => Attribute::NS(set.into_iter().collect()),
        AttributeValue::Bs(set) => {
            Attribute::BS(set.into_iter().map(|blob| blob.into_inner()).collect())
        }
        AttributeValue::L(list) => {
            Attribute::L(list.into_iter().map(attribute).collect::<anyhow::Result<_>>()?)
        }
        AttributeValue::M(map) => {
            let members = map.into_iter().map(|(name, value)| Ok((name, attribute(value)?)));
            Attribute::M(members.collect::<anyhow::Result<_>>()?)
        }
        other => anyhow::bail!("an attribute type unknown to this build: {other:?}"),
    })
}
