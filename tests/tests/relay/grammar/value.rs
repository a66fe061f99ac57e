//! Values of statements: as literals and as parameters of every type.
//! Never here: where they stand.

use rand::Rng;
use rand::rngs::StdRng;
use segue_tests::recorder::Parameter;

/// Names that the rules use.
pub const KINDS: [&str; 12] = [
    "int", "small", "unsigned", "decimal", "double", "null", "text", "bytes", "day", "moment",
    "time", "serial",
];

/// One value in both forms.
pub struct Value {
    pub literal: String,
    pub parameter: Parameter,
}

const TEXTS: [&str; 12] = [
    "",
    "a",
    "alpha",
    "ann",
    "ü€😀",
    "it's",
    "back\\slash",
    "line\nbreak",
    "100%",
    "Ünï_code",
    "  pad ",
    "12.5abc",
];

/// A value of the kind.
pub fn value(kind: &str, random: &mut StdRng) -> Value {
    let small = random.random_range(1_u8..9);
    let any: i64 =
        [0, 1, -1, 7, 42, 100, 255, 1000, -128, 70_000, i64::from(i32::MAX), -5_000_000_000]
            [random.random_range(0..12)];
    match kind {
        "int" => integer(any, random),
        "small" => integer(i64::from(small), random),
        "unsigned" => {
            let value = [0, 9, u64::MAX, 1 << 63][random.random_range(0..4)];
            Value { literal: value.to_string(), parameter: Parameter::Unsigned(value) }
        }
        "decimal" => {
            let text = format!("{}.{:02}", any % 1_000_000, random.random_range(0..100));
            Value { parameter: typed_text(246, &text), literal: text }
        }
        "double" => {
            let value = [0.0, 0.1, -2.5e10, 1e300, 3.25][random.random_range(0..5)];
            let parameter = if random.random() {
                Parameter::Double(value)
            } else {
                Parameter::Typed(4, (value as f32).to_le_bytes().to_vec())
            };
            Value { literal: format!("{value:e}"), parameter }
        }
        "null" => Value { literal: "NULL".to_owned(), parameter: Parameter::Null },
        "text" => {
            let text = TEXTS[random.random_range(0..TEXTS.len())];
            let kinds = [253, 254, 15, 252];
            let parameter = typed_text(kinds[random.random_range(0..4)], text);
            let literal = text.replace('\\', "\\\\").replace('\'', "''").replace('\n', "\\n");
            Value { literal: format!("'{literal}'"), parameter }
        }
        "bytes" => {
            let bytes: Vec<u8> = (0..small).map(|_| random.random()).collect();
            let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
            Value { literal: format!("x'{hex}'"), parameter: Parameter::Blob(bytes) }
        }
        "day" | "moment" => moment(kind == "day", small, random),
        _ => {
            let (hours, micros) = (random.random_range(0..24_u8), u32::from(small) * 1000);
            let mut bytes = vec![12, 0, 0, 0, 0, 0, hours, 30, small];
            bytes.extend_from_slice(&micros.to_le_bytes());
            let literal = format!("'{hours:02}:30:{small:02}.{micros:06}'");
            Value { literal, parameter: Parameter::Typed(11, bytes) }
        }
    }
}

/// In the smallest type that holds it, or a larger one.
fn integer(value: i64, random: &mut StdRng) -> Value {
    let wide: bool = random.random();
    let parameter = match (i8::try_from(value), i16::try_from(value), i32::try_from(value)) {
        _ if wide => Parameter::Int(value),
        (Ok(tiny), _, _) => Parameter::Typed(1, tiny.to_le_bytes().to_vec()),
        (_, Ok(short), _) => Parameter::Typed(2, short.to_le_bytes().to_vec()),
        (_, _, Ok(long)) => Parameter::Typed(3, long.to_le_bytes().to_vec()),
        _ => Parameter::Int(value),
    };
    Value { literal: value.to_string(), parameter }
}

fn moment(is_day: bool, small: u8, random: &mut StdRng) -> Value {
    let year: u16 = [1000, 1970, 2000, 2024, 9999][random.random_range(0..5)];
    let mut bytes = year.to_le_bytes().to_vec();
    bytes.extend_from_slice(&[small, small]);
    let day = format!("{year:04}-{small:02}-{small:02}");
    if is_day {
        bytes.insert(0, 4);
        return Value { literal: format!("'{day}'"), parameter: Parameter::Typed(10, bytes) };
    }
    bytes.extend_from_slice(&[12, 30, small]);
    bytes.extend_from_slice(&u32::from(small).to_le_bytes());
    bytes.insert(0, 11);
    let kind = if random.random() { 12 } else { 7 };
    Value {
        literal: format!("'{day} 12:30:{small:02}.{:06}'", u32::from(small)),
        parameter: Parameter::Typed(kind, bytes),
    }
}

/// Short text with its length.
fn typed_text(kind: u8, text: &str) -> Parameter {
    let length = u8::try_from(text.len()).expect("the texts are short");
    Parameter::Typed(kind, [&[length], text.as_bytes()].concat())
}
