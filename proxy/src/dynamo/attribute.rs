//! `Attribute` to the SDK's `AttributeValue` and back.
//! Never here: conversions from or to MySQL values (see `segue_rules::value`).

use std::collections::HashMap;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use segue_rules::entity::DynamoTable;
use segue_rules::value::{Attribute, Item, ItemKey};

pub(super) type SdkItem = HashMap<String, AttributeValue>;

pub(super) fn to_sdk(attribute: &Attribute) -> AttributeValue {
    match attribute {
        Attribute::S(text) => AttributeValue::S(text.clone()),
        Attribute::N(number) => AttributeValue::N(number.clone()),
        Attribute::B(bytes) => AttributeValue::B(Blob::new(bytes.clone())),
        Attribute::Bool(flag) => AttributeValue::Bool(*flag),
        Attribute::Null => AttributeValue::Null(true),
        Attribute::M(map) => AttributeValue::M(item_to_sdk(map)),
        Attribute::L(list) => AttributeValue::L(list.iter().map(to_sdk).collect()),
        Attribute::SS(set) => AttributeValue::Ss(set.iter().cloned().collect()),
        Attribute::NS(set) => AttributeValue::Ns(set.iter().cloned().collect()),
        Attribute::BS(set) => {
            AttributeValue::Bs(set.iter().map(|bytes| Blob::new(bytes.clone())).collect())
        }
    }
}

/// `None` for a type this SDK version does not know: such an attribute is left out, never guessed.
pub(super) fn from_sdk(value: &AttributeValue) -> Option<Attribute> {
    Some(match value {
        AttributeValue::S(text) => Attribute::S(text.clone()),
        AttributeValue::N(number) => Attribute::N(number.clone()),
        AttributeValue::B(bytes) => Attribute::B(bytes.as_ref().to_vec()),
        AttributeValue::Bool(flag) => Attribute::Bool(*flag),
        AttributeValue::Null(_) => Attribute::Null,
        AttributeValue::M(map) => Attribute::M(item_from_sdk(map)),
        AttributeValue::L(list) => Attribute::L(list.iter().filter_map(from_sdk).collect()),
        AttributeValue::Ss(set) => Attribute::SS(set.iter().cloned().collect()),
        AttributeValue::Ns(set) => Attribute::NS(set.iter().cloned().collect()),
        AttributeValue::Bs(set) => {
            Attribute::BS(set.iter().map(|bytes| bytes.as_ref().to_vec()).collect())
        }
        _ => return None,
    })
}

pub(super) fn item_to_sdk(item: &Item) -> SdkItem {
    item.iter().map(|(name, attribute)| (name.clone(), to_sdk(attribute))).collect()
}

pub(super) fn item_from_sdk(item: &SdkItem) -> Item {
    item.iter().filter_map(|(name, value)| Some((name.clone(), from_sdk(value)?))).collect()
}

/// The key map of a request. A sort key the table does not have is ignored.
pub(super) fn key_to_sdk(table: &DynamoTable, key: &ItemKey) -> SdkItem {
    let mut map = HashMap::from([(table.pk.name.clone(), to_sdk(&key.pk))]);
    if let (Some(attribute), Some(value)) = (&table.sk, &key.sk) {
        map.insert(attribute.name.clone(), to_sdk(value));
    }
    map
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};

    #[test]
    fn every_attribute_type_survives_the_round_trip() {
        let all = [
            Attribute::S(String::new()),
            Attribute::N("123456789012345678901234567890.12345678".into()),
            Attribute::B(vec![0, 255]),
            Attribute::Bool(false),
            Attribute::Null,
            Attribute::M(BTreeMap::from([("a".into(), Attribute::L(vec![Attribute::Null]))])),
            Attribute::L(vec![]),
            Attribute::SS(BTreeSet::from(["x".into()])),
            Attribute::NS(BTreeSet::from(["1".into(), "-2".into()])),
            Attribute::BS(BTreeSet::from([vec![1, 2]])),
        ];
        for attribute in all {
            assert_eq!(from_sdk(&to_sdk(&attribute)), Some(attribute));
        }
    }
}
