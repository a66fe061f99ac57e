//! JSON documents as native attributes and back. Numbers keep their exact digits.
//! Never here: when a column is stored natively (see `convert`).
//!
//! The inverse prints as MySQL does: `", "` and `": "`, shorter keys first, then by bytes. Key
//! order, and numerals of one value (`1.0` and `1`), are not told apart.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use serde::Deserializer as _;
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::number::normalise_number;
use super::{Attribute, ConvertError};

/// Containers within containers: DynamoDB nests 32 levels deep, the innermost value included.
const DEPTH_MAX: usize = 31;
/// Longest name of a map entry, in bytes, as for attribute names.
const NAME_BYTES_MAX: usize = 65_535;

/// The native form of a JSON object or array; `None` where there is none that loses nothing:
/// scalars, numbers beyond DynamoDB's, duplicate or empty names, too deep, not valid JSON.
pub(super) fn native(text: &str) -> Option<Attribute> {
    let trimmed = text.trim_start();
    if !trimmed.starts_with(['{', '[']) {
        return None;
    }
    // A first pass over the whole text, because raw values are cut before they are looked into.
    serde_json::from_str::<serde::de::IgnoredAny>(text).ok()?;
    value(trimmed, 0)
}

fn value(text: &str, depth: usize) -> Option<Attribute> {
    let text = text.trim();
    match text.as_bytes().first()? {
        b'{' | b'[' if depth >= DEPTH_MAX => None,
        b'{' => {
            let mut deserializer = serde_json::Deserializer::from_str(text);
            let members = deserializer.deserialize_map(Members).ok()?;
            let mut map = BTreeMap::new();
            for (name, raw) in members {
                if name.is_empty() || name.len() > NAME_BYTES_MAX {
                    return None;
                }
                if map.insert(name, value(raw.get(), depth + 1)?).is_some() {
                    return None;
                }
            }
            Some(Attribute::M(map))
        }
        b'[' => {
            let mut deserializer = serde_json::Deserializer::from_str(text);
            let elements = deserializer.deserialize_seq(Elements).ok()?;
            let list: Option<Vec<_>> =
                elements.into_iter().map(|raw| value(raw.get(), depth + 1)).collect();
            Some(Attribute::L(list?))
        }
        b'"' => serde_json::from_str(text).ok().map(Attribute::S),
        b't' => Some(Attribute::Bool(true)),
        b'f' => Some(Attribute::Bool(false)),
        b'n' => Some(Attribute::Null),
        _ => normalise_number(text).ok().map(Attribute::N),
    }
}

/// Collects an object's members with their text, duplicates included.
struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Vec<(String, &'de RawValue)>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(entry) = access.next_entry()? {
            members.push(entry);
        }
        Ok(members)
    }
}

/// Collects an array's elements with their text.
struct Elements;

impl<'de> Visitor<'de> for Elements {
    type Value = Vec<&'de RawValue>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = access.next_element()? {
            elements.push(element);
        }
        Ok(elements)
    }
}

/// JSON text of an attribute. Binary values become base64 strings, sets become arrays (neither
/// comes from a JSON column).
pub fn json_text(attribute: &Attribute) -> Result<String, ConvertError> {
    let mut text = String::new();
    print(attribute, &mut text)?;
    Ok(text)
}

fn print(attribute: &Attribute, out: &mut String) -> Result<(), ConvertError> {
    match attribute {
        Attribute::Null => out.push_str("null"),
        Attribute::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Attribute::N(number) => out.push_str(&normalise_number(number)?),
        Attribute::S(value) => string(value, out)?,
        Attribute::B(bytes) => string(&base64_text(bytes), out)?,
        Attribute::L(list) => array(list.iter(), out, print)?,
        Attribute::SS(set) => array(set.iter(), out, |value, out| string(value, out))?,
        Attribute::NS(set) => array(set.iter(), out, |value, out| {
            out.push_str(&normalise_number(value)?);
            Ok(())
        })?,
        Attribute::BS(set) => {
            array(set.iter(), out, |value, out| string(&base64_text(value), out))?;
        }
        Attribute::M(map) => {
            let mut members: Vec<_> = map.iter().collect();
            members.sort_by_key(|(name, _)| name.len());
            out.push('{');
            for (index, (name, value)) in members.into_iter().enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                string(name, out)?;
                out.push_str(": ");
                print(value, out)?;
            }
            out.push('}');
        }
    }
    Ok(())
}

fn array<T>(
    elements: impl Iterator<Item = T>,
    out: &mut String,
    print: impl Fn(T, &mut String) -> Result<(), ConvertError>,
) -> Result<(), ConvertError> {
    out.push('[');
    for (index, element) in elements.enumerate() {
        if index > 0 {
            out.push_str(", ");
        }
        print(element, out)?;
    }
    out.push(']');
    Ok(())
}

fn string(value: &str, out: &mut String) -> Result<(), ConvertError> {
    let quoted = serde_json::to_string(value)
        .map_err(|error| ConvertError::Unfit(format!("the text has no JSON form: {error}")))?;
    out.push_str(&quoted);
    Ok(())
}

fn base64_text(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn back(text: &str) -> Option<String> {
        native(text).map(|attribute| json_text(&attribute).unwrap())
    }

    #[test]
    fn documents_keep_exact_numbers_and_print_as_mysql_does() {
        assert_eq!(
            back(
                r#"{"long":[1,true,null,"x\"\u00e9"],"b":{"n":12345678901234567890.125}, "a": {}}"#
            )
            .unwrap(),
            r#"{"a": {}, "b": {"n": 12345678901234567890.125}, "long": [1, true, null, "x\"é"]}"#
        );
        assert_eq!(back(" [ ] ").unwrap(), "[]");
    }

    #[test]
    fn what_would_lose_something_has_no_native_form() {
        let deep = format!("{}{}", "[".repeat(40), "]".repeat(40));
        for text in [
            "1",
            "\"s\"",
            "null",
            r#"{"a":1,"a":2}"#,
            r#"{"":1}"#,
            "[1e300]",
            "[123456789012345678901234567890123456789]",
            "[1,",
            r#"["\ud800"]"#,
            &deep,
        ] {
            assert_eq!(back(text), None, "{text}");
        }
        let allowed = format!("{}{}", "[".repeat(31), "]".repeat(31));
        assert!(back(&allowed).is_some());
    }
}
