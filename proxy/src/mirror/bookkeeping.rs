//! The `_segue` map on every item: tag, time, fingerprint, entity and the driving row's key.
//! Never here: an item's own attributes.

use std::collections::BTreeMap;
use std::time::SystemTime;

use segue_rules::catalog::{DataType, Table};
use segue_rules::entity::BOOKKEEPING;
use segue_rules::refresh::{Existing, Owner};
use segue_rules::value::{Attribute, Cell, Item};

/// The map for an item that is about to be written.
pub(crate) fn stamp(owner: &Owner, tag: &str, fingerprint: &str, now: SystemTime) -> Attribute {
    let text = |value: &str| Attribute::S(value.to_owned());
    Attribute::M(BTreeMap::from([
        ("tag".to_owned(), text(tag)),
        ("at".to_owned(), Attribute::S(iso_time(now))),
        ("contract".to_owned(), text(fingerprint)),
        ("entity".to_owned(), text(&owner.entity)),
        ("key".to_owned(), Attribute::L(owner.key.clone())),
    ]))
}

/// Marks an item that was written in one of several parts of a transaction: equal `id`s belong together.
pub(crate) fn mark_part(map: &mut Attribute, id: &str, part: usize, parts: usize) {
    let Attribute::M(map) = map else { return };
    let number = |value: usize| Attribute::N(value.to_string());
    let mark = BTreeMap::from([
        ("id".to_owned(), Attribute::S(id.to_owned())),
        ("part".to_owned(), number(part)),
        ("parts".to_owned(), number(parts)),
    ]);
    map.insert("split".to_owned(), Attribute::M(mark));
}

/// What an item's map says. Both fields are `None` where another tool wrote the item.
pub(crate) fn read(item: &Item) -> Existing {
    let Some(Attribute::M(map)) = item.get(BOOKKEEPING) else {
        return Existing { tag: None, owner: None };
    };
    let text = |name: &str| match map.get(name) {
        Some(Attribute::S(value)) => Some(value.clone()),
        _ => None,
    };
    let owner = match (text("entity"), map.get("key")) {
        (Some(entity), Some(Attribute::L(key))) => Some(Owner { entity, key: key.clone() }),
        _ => None,
    };
    Existing { tag: text("tag"), owner }
}

/// A row key in its stored form. Equal keys have equal forms, and the other way round.
pub(crate) fn encode_key(key: &[Cell]) -> Vec<Attribute> {
    key.iter().map(encode).collect()
}

fn encode(cell: &Cell) -> Attribute {
    match cell {
        Cell::Null => Attribute::Null,
        Cell::Int(value) => Attribute::N(value.to_string()),
        Cell::UInt(value) => Attribute::N(value.to_string()),
        // As text: DynamoDB would round a number, and its range is smaller.
        Cell::Float(value) => Attribute::S(value.to_string()),
        Cell::Double(value) => Attribute::S(value.to_string()),
        Cell::Text(value) => Attribute::S(value.clone()),
        Cell::Bytes(value) => Attribute::B(value.clone()),
        Cell::Date { year, month, day } => Attribute::S(format!("{year:04}-{month:02}-{day:02}")),
        Cell::DateTime { year, month, day, hour, minute, second, micros } => Attribute::S(format!(
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}"
        )),
        Cell::Time { negative, hours, minutes, seconds, micros } => {
            let sign = if *negative { "-" } else { "" };
            Attribute::S(format!("{sign}{hours:02}:{minutes:02}:{seconds:02}.{micros:06}"))
        }
    }
}

/// The cells of a stored row key of this table; `None` where they do not fit.
pub(crate) fn decode_key(table: &Table, key: &[Attribute]) -> Option<Vec<Cell>> {
    let columns = table.row_key()?;
    (columns.len() == key.len()).then_some(())?;
    columns
        .iter()
        .zip(key)
        .map(|(&column, attribute)| decode(&table.columns.get(column)?.data_type, attribute))
        .collect()
}

fn decode(kind: &DataType, attribute: &Attribute) -> Option<Cell> {
    match (kind, attribute) {
        (_, Attribute::Null) => Some(Cell::Null),
        (DataType::Integer { unsigned: false, .. }, Attribute::N(digits)) => {
            digits.parse().ok().map(Cell::Int)
        }
        (_, Attribute::N(digits)) => digits.parse().ok().map(Cell::UInt),
        (_, Attribute::B(bytes)) => Some(Cell::Bytes(bytes.clone())),
        (DataType::Float, Attribute::S(text)) => text.parse().ok().map(Cell::Float),
        (DataType::Double, Attribute::S(text)) => text.parse().ok().map(Cell::Double),
        (DataType::Date, Attribute::S(text)) => {
            let [year, month, day] = numbers(text)?;
            Some(Cell::Date { year: narrow(year)?, month: narrow(month)?, day: narrow(day)? })
        }
        (DataType::DateTime { .. } | DataType::Timestamp { .. }, Attribute::S(text)) => {
            let [year, month, day, hour, minute, second, micros] = numbers(text)?;
            Some(Cell::DateTime {
                year: narrow(year)?,
                month: narrow(month)?,
                day: narrow(day)?,
                hour: narrow(hour)?,
                minute: narrow(minute)?,
                second: narrow(second)?,
                micros,
            })
        }
        (DataType::Time { .. }, Attribute::S(text)) => {
            let [hours, minutes, seconds, micros] = numbers(text.trim_start_matches('-'))?;
            Some(Cell::Time {
                negative: text.starts_with('-'),
                hours,
                minutes: narrow(minutes)?,
                seconds: narrow(seconds)?,
                micros,
            })
        }
        (_, Attribute::S(text)) => Some(Cell::Text(text.clone())),
        _ => None,
    }
}

fn narrow<N: TryFrom<u32>>(value: u32) -> Option<N> {
    N::try_from(value).ok()
}

/// Exactly `COUNT` groups of digits, whatever stands between them.
fn numbers<const COUNT: usize>(text: &str) -> Option<[u32; COUNT]> {
    let mut out = [0; COUNT];
    let mut parts = text.split(|c: char| !c.is_ascii_digit());
    for slot in &mut out {
        *slot = parts.next()?.parse().ok()?;
    }
    parts.next().is_none().then_some(out)
}

/// `2026-01-31T12:00:00.123Z`.
pub(crate) fn iso_time(time: SystemTime) -> String {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let (seconds, millis) = (since.as_secs(), since.subsec_millis());
    let (days, of_day) = (seconds / 86_400, seconds % 86_400);
    // Civil date from days: years begin in March, so that the leap day ends a year.
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let of_era = shifted % 146_097;
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn times_are_civil_dates() {
        let at = |seconds| iso_time(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(at(951_782_400), "2000-02-29T00:00:00.000Z");
        assert_eq!(at(1_709_251_199), "2024-02-29T23:59:59.000Z");
        assert_eq!(at(4_102_444_800), "2100-01-01T00:00:00.000Z");
    }

    #[test]
    fn row_keys_survive_their_stored_form() {
        let cases = [
            (DataType::Integer { bits: 64, unsigned: true, display_one: false }, Cell::UInt(5)),
            (DataType::Integer { bits: 32, unsigned: false, display_one: false }, Cell::Int(-5)),
            (DataType::Varchar { length: 9 }, Cell::Text("2024-01-01".into())),
            (
                DataType::Decimal { precision: 9, scale: 2, unsigned: false },
                Cell::Text("1.50".into()),
            ),
            (DataType::Binary { length: 2 }, Cell::Bytes(vec![0, 9])),
            (DataType::Date, Cell::Date { year: 0, month: 0, day: 0 }),
            (DataType::Double, Cell::Double(0.1)),
            (
                DataType::Time { fraction: 6 },
                Cell::Time { negative: true, hours: 838, minutes: 1, seconds: 2, micros: 3 },
            ),
            (
                DataType::DateTime { fraction: 6 },
                Cell::DateTime {
                    year: 2024,
                    month: 2,
                    day: 29,
                    hour: 1,
                    minute: 2,
                    second: 3,
                    micros: 400,
                },
            ),
        ];
        for (kind, cell) in cases {
            assert_eq!(decode(&kind, &encode(&cell)), Some(cell));
        }
        assert_eq!(decode(&DataType::Date, &Attribute::S("2024-01".into())), None);
    }

    #[test]
    fn an_item_names_its_owner() {
        let owner = Owner { entity: "Order".into(), key: encode_key(&[Cell::UInt(7)]) };
        let map = stamp(&owner, "t1", "f", SystemTime::UNIX_EPOCH);
        let item = Item::from([(BOOKKEEPING.to_owned(), map)]);
        let existing = read(&item);
        assert_eq!(existing, Existing { tag: Some("t1".into()), owner: Some(owner) });
        assert_eq!(read(&Item::new()), Existing { tag: None, owner: None });
    }
}
