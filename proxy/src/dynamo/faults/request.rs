//! What a request asks for, read from its header and body as it goes out.
//! Never here: changing it (its signature would not fit any more).

use std::collections::BTreeMap;

use aws_sdk_dynamodb::config::http::HttpRequest;
use serde_json::Value;

/// Header that names the operation; requests of the credential chain do not have it.
const TARGET: &str = "x-amz-target";
const SERVICE: &str = "DynamoDB_20120810.";

/// A request to DynamoDB.
pub(super) struct Request {
    /// For example `PutItem`.
    pub operation: String,
    /// Full names.
    pub tables: Vec<String>,
    pub body: Value,
}

impl Request {
    /// `None`: it is none to DynamoDB.
    pub fn of(request: &HttpRequest) -> Option<Request> {
        let operation = request.headers().get(TARGET)?.strip_prefix(SERVICE)?.to_owned();
        let body = serde_json::from_slice(request.body().bytes()?).ok()?;
        Some(Request::from_parts(operation, body))
    }

    pub fn from_parts(operation: String, body: Value) -> Request {
        let mut tables = Vec::new();
        let mut note = |name: &Value| {
            if let Some(name) = name.as_str().filter(|name| !tables.iter().any(|t| t == name)) {
                tables.push(name.to_owned());
            }
        };
        note(&body["TableName"]);
        for part in parts(&body["TransactItems"]) {
            note(&part["TableName"]);
        }
        for name in body["RequestItems"].as_object().into_iter().flat_map(|items| items.keys()) {
            note(&Value::from(name.as_str()));
        }
        for (table, _) in inserts(&body) {
            note(&Value::from(table));
        }
        Request { operation, tables, body }
    }

    /// Whether it reads or writes an item whose key (or, in a put, whose item) has this value.
    pub fn touches(&self, attribute: &str, value: &str) -> bool {
        let has = |item: &Value| ["S", "N", "B"].iter().any(|kind| item[attribute][kind] == value);
        let in_part = |part: &Value| has(&part["Key"]) || has(&part["Item"]);
        let batches =
            self.body["RequestItems"].as_object().into_iter().flat_map(|map| map.values());
        let writes = batches.clone().flat_map(|list| list.as_array().into_iter().flatten());
        let reads = batches.flat_map(|list| list["Keys"].as_array().into_iter().flatten());
        in_part(&self.body)
            || parts(&self.body["TransactItems"]).any(in_part)
            || writes
                .flat_map(|write| write.as_object().into_iter().flat_map(|w| w.values()))
                .any(in_part)
            || { reads }.any(has)
            || inserts(&self.body).any(|(_, item)| has(&item))
    }

    pub fn writes(&self) -> bool {
        let operation = self.operation.as_str();
        matches!(operation, "PutItem" | "DeleteItem" | "UpdateItem" | "BatchExecuteStatement")
    }

    /// Reads that may lag behind: those that do not ask for strong consistency.
    pub fn may_be_stale(&self) -> bool {
        matches!(self.operation.as_str(), "GetItem" | "Query" | "Scan" | "BatchGetItem")
            && self.body["ConsistentRead"] != true
    }

    /// Parts of a transaction, or of each batch.
    pub fn part_count(&self) -> usize {
        self.body["TransactItems"].as_array().map_or(0, Vec::len)
    }

    /// Equal for equal requests.
    pub fn fingerprint(&self) -> Vec<u8> {
        format!("{}\n{}", self.operation, in_order(&self.body)).into_bytes()
    }
}

/// The same with the members of each object in order: the SDK writes maps as they come.
fn in_order(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let sorted: BTreeMap<_, _> =
                members.iter().map(|(name, value)| (name.clone(), in_order(value))).collect();
            Value::Object(sorted.into_iter().collect())
        }
        Value::Array(items) => items.iter().map(in_order).collect(),
        other => other.clone(),
    }
}

/// Table and item of each INSERT of a batch of PartiQL statements, as Segue writes them.
fn inserts(body: &Value) -> impl Iterator<Item = (&str, Value)> {
    let statements = body["Statements"].as_array().into_iter().flatten();
    statements.filter_map(|statement| {
        let text = statement["Statement"].as_str()?;
        let (table, rest) = text.strip_prefix("INSERT INTO \"")?.split_once('"')?;
        let names = rest.split("': ?").filter_map(|part| Some(part.split_once('\'')?.1));
        let names = names.map(|name| name.replace("''", "'"));
        let values = statement["Parameters"].as_array()?.iter().cloned();
        Some((table, Value::Object(names.zip(values).collect())))
    })
}

/// The `Put`, `Delete`, `Update`, `Get` and `ConditionCheck` of a transaction.
fn parts(items: &Value) -> impl Iterator<Item = &Value> {
    let list = items.as_array().into_iter().flatten();
    list.flat_map(|item| item.as_object().into_iter().flat_map(|item| item.values()))
}
