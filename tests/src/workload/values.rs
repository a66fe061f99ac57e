//! Random values of a column, as parameters.
//! Never here: SQL text.

use mysql_async::Value;
use rand::Rng;
use rand::rngs::StdRng;

use super::tables::{Case, Column, Kind};

const WORDS: &[&str] =
    &["Ash", "birch", "Cedar tree", "dröge", "Elm", "fir", "Größe", "hazel", "Iris", "juniper"];
const PROSE: &[&str] = &[
    "",
    "it's \"quoted\" \\ and ends",
    "line one\nline two\r\n\ttab",
    "日本語 and 🦀",
    "100% _sure_ -- no comment /* none */ # either",
    "plain words, some of them twice, plain words",
];
const DOCUMENTS: &[&str] = &[
    "{}",
    "[]",
    r#"{"a": 1, "b": [true, null, "x\"y"]}"#,
    r#"[1, 2.5, {"deep": {"er": "é"}}]"#,
    r#"{"n": 12345678901234567890, "m": -0.125}"#,
    r#""only text""#,
    "7",
    r#"{"e": 1e30, "list": [[], {}]}"#,
];

/// How often a value does not fit its column.
const MISFIT_CHANCE: f64 = 0.003;

/// A value for the column; rarely NULL where that is allowed, very rarely one that does not fit.
pub fn value(random: &mut StdRng, column: &Column) -> Value {
    if let Some(nulls) = column.nulls
        && random.random_range(0..100) < nulls
    {
        return Value::NULL;
    }
    if random.random_bool(MISFIT_CHANCE) {
        return misfit(random, column);
    }
    of_kind(random, column.kind)
}

/// A key's value, which always fits: INSERT IGNORE clips what does not, and an AUTO_INCREMENT
/// counter that was clipped to its end stays there.
pub fn key_value(random: &mut StdRng, column: &Column) -> Value {
    of_kind(random, column.kind)
}

/// A value that a row is likely to have: from the lower part of the key's domain, which the first
/// filling makes and references choose from.
pub fn likely(random: &mut StdRng, kind: Kind) -> Value {
    let lower = |random: &mut StdRng, low: i64, high: i64| {
        random.random_range(low..=high).min(random.random_range(low..=high))
    };
    match kind {
        Kind::Int(low, high) => Value::Int(lower(random, low, high)),
        Kind::Uid(length, most) => Value::Bytes(uid(lower(random, 1, most), length)),
        Kind::Named(prefix, most, case) => {
            let most = lower(random, 1, most);
            Value::from(named(random, prefix, most, case))
        }
        _ => of_kind(random, kind),
    }
}

/// The n-th value of a key's domain, where it has an order; for the first filling.
pub fn nth(random: &mut StdRng, kind: Kind, number: usize) -> Value {
    let number = number as i64;
    match kind {
        Kind::Int(low, high) => Value::Int((low + number).min(high)),
        Kind::Uid(length, most) => Value::Bytes(uid((number + 1).min(most), length)),
        Kind::Named(prefix, most, _) => Value::from(format!("{prefix}{}", (number + 1).min(most))),
        _ => of_kind(random, kind),
    }
}

/// What MySQL refuses (or, for a few kinds, clips): NULL, too long, out of range.
fn misfit(random: &mut StdRng, column: &Column) -> Value {
    match column.kind {
        Kind::Int(..) | Kind::Decimal(..) => Value::from("99999999999999999999999999"),
        Kind::Word | Kind::Named(..) => Value::from("too long ".repeat(40)),
        Kind::Json => Value::from("{no json"),
        Kind::Date | Kind::Moment(..) => Value::from("2024-13-45 99:00:00"),
        _ if column.is_nullable() => of_kind(random, column.kind),
        _ => Value::NULL,
    }
}

fn pick<'a>(random: &mut StdRng, list: &[&'a str]) -> &'a str {
    list[random.random_range(0..list.len())]
}

pub fn of_kind(random: &mut StdRng, kind: Kind) -> Value {
    match kind {
        Kind::Int(low, high) => Value::Int(random.random_range(low..=high)),
        Kind::Decimal(whole, scale) => Value::from(decimal(random, whole, scale)),
        Kind::Flag => Value::Int(i64::from(random.random_bool(0.6))),
        // Halves and thirds: short and long texts of both widths.
        Kind::Float => Value::Float(random.random_range(-999i16..999) as f32 / 6.0),
        Kind::Double => Value::Double(f64::from(random.random_range(-99_999i32..99_999)) / 7.0),
        Kind::Word => Value::from(pick(random, WORDS)),
        Kind::Prose => Value::from(pick(random, PROSE)),
        Kind::Named(prefix, most, case) => Value::from(named(random, prefix, most, case)),
        Kind::OneOf(list) => Value::from(pick(random, list)),
        Kind::Members(list) => {
            let chosen: Vec<&str> =
                list.iter().copied().filter(|_| random.random_bool(0.4)).collect();
            Value::from(chosen.join(","))
        }
        Kind::Bytes(most) => {
            let length = random.random_range(0..=most);
            Value::Bytes((0..length).map(|_| random.random()).collect())
        }
        Kind::Uid(length, most) => Value::Bytes(uid(random.random_range(1..=most), length)),
        Kind::Date => {
            let (month, day) = (random.random_range(1..=3), random.random_range(1..=28));
            Value::Date(2024, month, day, 0, 0, 0, 0)
        }
        Kind::Time => Value::Time(
            random.random_bool(0.2),
            u32::from(random.random_bool(0.2)) * random.random_range(0..30),
            random.random_range(0..24),
            random.random_range(0..60),
            random.random_range(0..60),
            random.random_range(0..100) * 10_000,
        ),
        Kind::Moment(fraction, choices) => moment(random, fraction, choices),
        Kind::Json => Value::from(pick(random, DOCUMENTS)),
    }
}

/// Up to `whole` before the point and exactly `scale` digits behind it.
fn decimal(random: &mut StdRng, whole: i64, scale: usize) -> String {
    let digits: String = (0..scale)
        // Zeros at the end are likely, so that scales matter.
        .map(|at| if at > 1 && random.random_bool(0.5) { '0' } else { digit(random) })
        .collect();
    format!("{}.{digits}", random.random_range(0..=whole))
}

fn digit(random: &mut StdRng) -> char {
    char::from(b'0' + random.random_range(0..10u8))
}

fn named(random: &mut StdRng, prefix: &str, most: i64, case: Case) -> String {
    let number = random.random_range(1..=most);
    let prefix = match case {
        Case::Varies if random.random_bool(0.3) => prefix.to_uppercase(),
        _ => prefix.to_owned(),
    };
    format!("{prefix}{number}")
}

/// Bytes that are a function of a number, with zeros, high bytes and a quote among them.
pub fn uid(number: i64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0u8; length];
    bytes[0] = (number % 251) as u8;
    bytes[1] = [0x00, 0xff, b'\'', b'\\', 0x80][(number % 5) as usize];
    let low = length - 2;
    bytes[low..].copy_from_slice(&(number as u16).to_be_bytes());
    bytes
}

fn moment(random: &mut StdRng, fraction: u8, choices: Option<i64>) -> Value {
    let number: i64 = random.random_range(0..choices.unwrap_or(100_000));
    let micros = match fraction {
        0 => 0,
        _ => (number * 12_345 % 1_000_000) as u32,
    };
    let (day, hour) = ((number % 28 + 1) as u8, (number % 24) as u8);
    Value::Date(2023, (number % 12 + 1) as u8, day, hour, (number % 60) as u8, 30, micros)
}
