//! Compares two items (later: two result sets) and classifies what differs.
//! Never here: fetching either side.

use std::collections::BTreeSet;
use std::fmt;

use crate::value::BOOKKEEPING;
use crate::value::{Attribute, Item, Number, numbers_equal};

/// One attribute in which two items differ. At least one side is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttributeDifference {
    pub attribute: String,
    /// `None`: the item should not have the attribute.
    pub expected: Option<Attribute>,
    /// `None`: the item lacks the attribute.
    pub actual: Option<Attribute>,
}

impl fmt::Display for AttributeDifference {
    /// Prints data: for reports that an operator asked for, never for logs.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.attribute;
        match (&self.expected, &self.actual) {
            (Some(expected), Some(actual)) => {
                write!(formatter, "{name}: expected {expected:?}, found {actual:?}")
            }
            (Some(expected), None) => write!(formatter, "{name}: expected {expected:?}, missing"),
            (None, Some(actual)) => write!(formatter, "{name}: unexpected {actual:?}"),
            (None, None) => write!(formatter, "{name}"),
        }
    }
}

/// How the item that stands at a row's item key compares with the one that should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Equal,
    /// There is none.
    Missing,
    /// There is none, and its time to live is over.
    Expired,
    /// At least one difference.
    Different(Vec<AttributeDifference>),
}

/// Compares a row's item with what was found at its key. `is_owned`: the bookkeeping of what was found names this
/// row; without it, nobody could tell later whose item it is. `is_over`: its time to live is.
pub fn judge(expected: &Item, found: Option<&Item>, is_owned: bool, is_over: bool) -> Verdict {
    let Some(found) = found else {
        return if is_over { Verdict::Expired } else { Verdict::Missing };
    };
    let mut differences = compare_items(expected, found);
    if !is_owned {
        differences.push(AttributeDifference {
            attribute: BOOKKEEPING.to_owned(),
            expected: None,
            actual: found.get(BOOKKEEPING).cloned(),
        });
    }
    match differences.is_empty() {
        true => Verdict::Equal,
        false => Verdict::Different(differences),
    }
}

/// Every attribute in which the items differ, by name; the bookkeeping attribute is no difference.
pub fn compare_items(expected: &Item, actual: &Item) -> Vec<AttributeDifference> {
    let names: BTreeSet<&String> = expected.keys().chain(actual.keys()).collect();
    names
        .into_iter()
        .filter(|name| name.as_str() != BOOKKEEPING)
        .filter_map(|name| {
            let (left, right) = (expected.get(name), actual.get(name));
            let is_equal = match (left, right) {
                (Some(left), Some(right)) => attributes_equal(left, right),
                _ => false,
            };
            (!is_equal).then(|| AttributeDifference {
                attribute: name.clone(),
                expected: left.cloned(),
                actual: right.cloned(),
            })
        })
        .collect()
}

/// Equality as DynamoDB sees it: numbers by value, at every depth and in sets.
pub fn attributes_equal(left: &Attribute, right: &Attribute) -> bool {
    match (left, right) {
        (Attribute::N(a), Attribute::N(b)) => numbers_equal(a, b),
        (Attribute::NS(a), Attribute::NS(b)) => canonical(a) == canonical(b),
        (Attribute::L(a), Attribute::L(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(x, y)| attributes_equal(x, y))
        }
        (Attribute::M(a), Attribute::M(b)) => {
            a.len() == b.len()
                && a.iter().zip(b).all(|((n, x), (m, y))| n == m && attributes_equal(x, y))
        }
        _ => left == right,
    }
}

fn canonical(numbers: &BTreeSet<String>) -> BTreeSet<(Option<Number>, &str)> {
    numbers
        .iter()
        .map(|text| match Number::parse(text) {
            Some(number) => (Some(number), ""),
            None => (None, text.as_str()),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Attribute {
        Attribute::N(text.to_owned())
    }

    fn numbers(texts: &[&str]) -> Attribute {
        Attribute::NS(texts.iter().map(|&text| text.to_owned()).collect())
    }

    fn item(attributes: &[(&str, Attribute)]) -> Item {
        attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
    }

    #[test]
    fn equal_numbers_in_different_text_are_equal_at_every_depth() {
        let nested = |text: &str| Attribute::L(vec![Attribute::M(item(&[("n", number(text))]))]);
        let left =
            item(&[("a", number("1.50")), ("b", nested("1E2")), ("c", numbers(&["1.0", "2"]))]);
        let right =
            item(&[("a", number("1.5")), ("b", nested("100")), ("c", numbers(&["2.0", "1"]))]);
        assert_eq!(compare_items(&left, &right), Vec::new());
    }

    #[test]
    fn missing_extra_and_different_attributes_are_listed_by_name() {
        let left =
            item(&[("a", number("1")), ("b", Attribute::Bool(true)), ("same", Attribute::Null)]);
        let right = item(&[("a", number("2")), ("c", Attribute::Null), ("same", Attribute::Null)]);
        let found: Vec<_> = compare_items(&left, &right).iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                r#"a: expected N("1"), found N("2")"#,
                "b: expected Bool(true), missing",
                "c: unexpected Null"
            ]
        );
    }

    #[test]
    fn bookkeeping_is_no_difference() {
        let left = item(&[("a", number("1"))]);
        let right = item(&[("a", number("1")), (BOOKKEEPING, Attribute::Null)]);
        assert!(compare_items(&left, &right).is_empty());
        assert!(compare_items(&right, &left).is_empty());
    }

    #[test]
    fn an_item_is_judged_by_content_and_owner() {
        let (one, two) = (item(&[("a", number("1"))]), item(&[("a", number("2"))]));
        assert_eq!(judge(&one, Some(&one), true, false), Verdict::Equal);
        assert_eq!(judge(&one, None, false, false), Verdict::Missing);
        assert_eq!(judge(&one, None, false, true), Verdict::Expired);
        let names = |verdict| match verdict {
            Verdict::Different(found) => found.into_iter().map(|d| d.attribute).collect(),
            _ => Vec::new(),
        };
        assert_eq!(names(judge(&one, Some(&two), true, true)), ["a"]);
        assert_eq!(names(judge(&one, Some(&one), false, false)), [BOOKKEEPING]);
    }

    #[test]
    fn text_and_number_of_the_same_digits_differ() {
        assert!(!attributes_equal(&number("1"), &Attribute::S("1".to_owned())));
    }
}
