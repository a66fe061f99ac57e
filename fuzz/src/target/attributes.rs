//! Cells to DynamoDB attributes and back, for any pair of types.
//! Never here: items.

use std::collections::{BTreeMap, BTreeSet};

use segue_rules::catalog::DataType;
use segue_rules::value::{
    Attribute, AttributeType, Cell, EpochUnit, attribute_size, cell_text, column_text,
    from_attribute, infer_attribute, json_text, normalise_number, numbers_equal, to_attribute,
};

use crate::input::Input;

/// How deep lists and maps go.
const DEPTH_MAX: usize = 4;

const TARGETS: [AttributeType; 10] = [
    AttributeType::S,
    AttributeType::N,
    AttributeType::B,
    AttributeType::Bool,
    AttributeType::Null,
    AttributeType::M,
    AttributeType::L,
    AttributeType::SS,
    AttributeType::NS,
    AttributeType::BS,
];

fn text(input: &mut Input<'_>) -> String {
    String::from_utf8_lossy(input.chunk()).into_owned()
}

fn data_type(input: &mut Input<'_>) -> DataType {
    let unsigned = input.flag();
    let small = input.byte();
    let values = || ["a", "", "b,c", "é"].map(str::to_owned).to_vec();
    match input.byte() % 22 {
        0 => DataType::Integer {
            bits: [8, 16, 24, 32, 64][usize::from(small % 5)],
            unsigned,
            display_one: small > 127,
        },
        1 => DataType::Bit { width: small % 64 + 1 },
        2 => DataType::Year,
        3 => DataType::Decimal { precision: small % 65 + 1, scale: input.byte() % 31, unsigned },
        4 => DataType::Float,
        5 => DataType::Double,
        6 => DataType::Char { length: u64::from(small) },
        7 => DataType::Varchar { length: u64::from(small) },
        8 => DataType::Text,
        9 => DataType::Enum { values: values() },
        10 => DataType::Set { values: values() },
        11 => DataType::Binary { length: u64::from(small) },
        12 => DataType::Varbinary { length: u64::from(small) },
        13 => DataType::Blob,
        14 => DataType::Date,
        15 => DataType::Time { fraction: small % 7 },
        16 => DataType::DateTime { fraction: small % 7 },
        17 => DataType::Timestamp { fraction: small % 7 },
        18 => DataType::Other("point".to_owned()),
        _ => DataType::Json,
    }
}

fn cell(input: &mut Input<'_>) -> Cell {
    match input.byte() % 10 {
        0 => Cell::Null,
        1 => Cell::Int(input.long() as i64),
        2 => Cell::UInt(input.long()),
        3 => Cell::Float(f32::from_bits(input.word())),
        4 => Cell::Double(f64::from_bits(input.long())),
        5 => Cell::Bytes(input.chunk().to_vec()),
        6 => Cell::Date { year: input.short(), month: input.byte(), day: input.byte() },
        7 => Cell::DateTime {
            year: input.short(),
            month: input.byte(),
            day: input.byte(),
            hour: input.byte(),
            minute: input.byte(),
            second: input.byte(),
            micros: input.word(),
        },
        8 => Cell::Time {
            negative: input.flag(),
            hours: input.word(),
            minutes: input.byte(),
            seconds: input.byte(),
            micros: input.word(),
        },
        _ => Cell::Text(text(input)),
    }
}

fn attribute(input: &mut Input<'_>, depth: usize) -> Attribute {
    let many = usize::from(input.byte() % 4);
    match input.byte() % 10 {
        0 => Attribute::N(text(input)),
        1 => Attribute::B(input.chunk().to_vec()),
        2 => Attribute::Bool(input.flag()),
        3 => Attribute::Null,
        4 => Attribute::SS((0..many).map(|_| text(input)).collect()),
        5 => Attribute::NS((0..many).map(|_| text(input)).collect()),
        6 => Attribute::BS((0..many).map(|_| input.chunk().to_vec()).collect::<BTreeSet<_>>()),
        7 if depth > 0 => Attribute::L((0..many).map(|_| attribute(input, depth - 1)).collect()),
        8 if depth > 0 => {
            let entry = |_| (text(input), attribute(input, depth - 1));
            Attribute::M((0..many).map(entry).collect::<BTreeMap<_, _>>())
        }
        _ => Attribute::S(text(input)),
    }
}

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let epoch = input.pick(&[EpochUnit::Seconds, EpochUnit::Milliseconds]);
    let target = input.pick(&TARGETS);
    let column = data_type(&mut input);
    if input.flag() {
        let cell = cell(&mut input);
        let _ = (cell_text(&cell), column_text(&cell, &column));
        let _ = infer_attribute(&cell, target, epoch);
        let Ok(Some(stored)) = to_attribute(&cell, &column, target, epoch) else { return };
        let _ = attribute_size(&stored);
        back_and_forth(&stored, &column, target, epoch);
    } else {
        let foreign = attribute(&mut input, DEPTH_MAX);
        let _ = (attribute_size(&foreign), json_text(&foreign));
        if let Attribute::N(number) | Attribute::S(number) = &foreign
            && let Ok(normal) = normalise_number(number)
        {
            assert!(numbers_equal(&normal, number), "{number} became {normal}");
            assert_eq!(normalise_number(&normal), Ok(normal));
        }
        back_and_forth(&foreign, &column, target, epoch);
    }
}

/// What a cell was read from is what the cell is stored as from then on.
fn back_and_forth(stored: &Attribute, column: &DataType, target: AttributeType, epoch: EpochUnit) {
    let Ok(cell) = from_attribute(Some(stored), column, epoch) else { return };
    let Ok(Some(again)) = to_attribute(&cell, column, target, epoch) else { return };
    // Texts that no column of the type holds may be read from `S`, and not from other forms.
    let Ok(same) = from_attribute(Some(&again), column, epoch) else { return };
    let once_more = to_attribute(&same, column, target, epoch);
    assert_eq!(once_more, Ok(Some(again)), "{cell:?} became {same:?}");
}
