//! Size of an item as DynamoDB counts it.
//! Source: Developer Guide, "DynamoDB item sizes and formats". Never here: what to do about it.

use super::number::Number;
use super::{Attribute, Item};

/// Largest item, in bytes, names included (DynamoDB's 400 KB).
pub const ITEM_BYTES_MAX: usize = 400 * 1024;

/// Overhead of a list or map, in bytes, and of each of its elements.
const CONTAINER_BYTES: usize = 3;
const ELEMENT_BYTES: usize = 1;

/// Bytes of a whole item: names and values.
pub fn item_size(item: &Item) -> usize {
    item.iter().map(|(name, value)| name.len() + attribute_size(value)).sum()
}

/// Bytes of one value, without its name.
pub fn attribute_size(attribute: &Attribute) -> usize {
    match attribute {
        Attribute::S(text) => text.len(),
        Attribute::N(number) => number_size(number),
        Attribute::B(bytes) => bytes.len(),
        Attribute::Bool(_) | Attribute::Null => 1,
        Attribute::M(map) => {
            let members =
                map.iter().map(|(name, value)| ELEMENT_BYTES + name.len() + attribute_size(value));
            CONTAINER_BYTES + members.sum::<usize>()
        }
        Attribute::L(list) => {
            let elements = list.iter().map(|value| ELEMENT_BYTES + attribute_size(value));
            CONTAINER_BYTES + elements.sum::<usize>()
        }
        Attribute::SS(set) => set.iter().map(String::len).sum(),
        Attribute::NS(set) => set.iter().map(|number| number_size(number)).sum(),
        Attribute::BS(set) => set.iter().map(Vec::len).sum(),
    }
}

/// One byte for two significant digits, one more, and one for a minus sign. The guide says
/// "approximately": this errs towards too large.
fn number_size(text: &str) -> usize {
    match Number::parse(text) {
        Some(number) => {
            number.significant_digits().div_ceil(2) + 1 + usize::from(number.is_negative())
        }
        None => text.len(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn sizes_follow_the_documented_rules() {
        let list = Attribute::L(vec![Attribute::Null, Attribute::Bool(true)]);
        let map = Attribute::M(BTreeMap::from([("k".to_owned(), Attribute::S("vv".to_owned()))]));
        for (attribute, bytes) in [
            (Attribute::S("é1".to_owned()), 3),
            (Attribute::N("100".to_owned()), 2),
            (Attribute::N("-123".to_owned()), 4),
            (Attribute::N("0".to_owned()), 1),
            (Attribute::B(vec![0; 5]), 5),
            (list, 3 + 2 + 2),
            (map, 3 + 1 + 1 + 2),
        ] {
            assert_eq!(attribute_size(&attribute), bytes, "{attribute:?}");
        }
        let item = Item::from([("name".to_owned(), Attribute::S("abc".to_owned()))]);
        assert_eq!(item_size(&item), 7);
    }
}
