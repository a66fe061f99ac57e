//! Arrays and objects as DynamoDB values and as JSON text.
//! Never here: which rows they are made of (see `make`).

use std::collections::BTreeMap;

use base64::Engine as _;

use super::plan::Field;
use super::resolve::is_number;
use crate::catalog::DataType;
use crate::value::{
    Attribute, AttributeType, Cell, EpochUnit, Row, cell_text, column_text, infer_attribute,
    normalise_number, to_attribute,
};

/// The cell of an operand; a row shorter than the query's columns is a caller's slip.
pub(super) fn cell_at(row: &Row, index: usize) -> Result<&Cell, String> {
    row.get(index).ok_or_else(|| format!("the row has no column {index}"))
}

/// One JSON object with its members in the contract's order: exact numbers for numeric columns,
/// documents for JSON columns, strings otherwise (bytes in base64), null for NULL.
pub(super) fn object_text(fields: &[Field], row: &Row) -> Result<String, String> {
    let mut members = Vec::new();
    for field in fields {
        let cell = cell_at(row, field.operand.index)?;
        let value = value_text(cell, field.operand.data_type.as_ref());
        members.push(format!("{}:{value}", quoted(&field.name)));
    }
    Ok(format!("{{{}}}", members.join(",")))
}

fn value_text(cell: &Cell, column: Option<&DataType>) -> String {
    let text = match column {
        Some(column) => column_text(cell, column),
        None => cell_text(cell),
    };
    let Some(text) = text else { return "null".to_owned() };
    match (cell, column) {
        (_, Some(DataType::Json)) => text,
        (_, Some(column)) if is_number(column) => text,
        (Cell::Int(_) | Cell::UInt(_) | Cell::Float(_) | Cell::Double(_), None) => text,
        (Cell::Bytes(bytes), _) => quoted(&base64::engine::general_purpose::STANDARD.encode(bytes)),
        _ => quoted(&text),
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

pub(super) fn object_native(
    fields: &[Field],
    row: &Row,
) -> Result<BTreeMap<String, Attribute>, String> {
    let mut members = BTreeMap::new();
    for field in fields {
        let cell = cell_at(row, field.operand.index)?;
        members.insert(field.name.clone(), native(cell, field.operand.data_type.as_ref())?);
    }
    Ok(members)
}

/// The natural attribute of a value inside a list or map; NULL is an explicit null there.
pub(super) fn native(cell: &Cell, column: Option<&DataType>) -> Result<Attribute, String> {
    use AttributeType as A;
    let target = match (cell, column) {
        (_, Some(DataType::Json)) => A::M,
        (_, Some(column)) if is_number(column) => A::N,
        (Cell::Int(_) | Cell::UInt(_) | Cell::Float(_) | Cell::Double(_), None) => A::N,
        (Cell::Bytes(_), _) => A::B,
        _ => A::S,
    };
    let convert = |target| match column {
        Some(column) => to_attribute(cell, column, target, EpochUnit::Seconds),
        None => infer_attribute(cell, target, EpochUnit::Seconds),
    };
    // A number beyond N's digits or range keeps its text.
    let made = match convert(target) {
        Err(_) if target == A::N => convert(A::S),
        made => made,
    };
    Ok(made.map_err(|error| error.to_string())?.unwrap_or(Attribute::Null))
}

/// Several columns of the driving row as one list, map or set; NULL members of a set are skipped.
pub(super) fn columns(
    fields: &[Field],
    row: &Row,
    kind: AttributeType,
) -> Result<Option<Attribute>, String> {
    let mut list = Vec::new();
    for field in fields {
        let cell = cell_at(row, field.operand.index)?;
        let column = field.operand.data_type.as_ref();
        match kind {
            AttributeType::L => list.push(native(cell, column)?),
            AttributeType::M => return Ok(Some(Attribute::M(object_native(fields, row)?))),
            _ => {
                let text =
                    column.map_or_else(|| cell_text(cell), |column| column_text(cell, column));
                list.extend(text.map(Attribute::S));
            }
        }
    }
    let texts = |list: Vec<Attribute>| {
        list.into_iter().filter_map(|value| match value {
            Attribute::S(text) => Some(text),
            _ => None,
        })
    };
    Ok(match kind {
        AttributeType::SS => Some(Attribute::SS(texts(list).collect())),
        AttributeType::NS => {
            let numbers: Result<_, _> = texts(list).map(|text| normalise_number(&text)).collect();
            Some(Attribute::NS(numbers.map_err(|error| error.to_string())?))
        }
        _ => Some(Attribute::L(list)),
    }
    .filter(|made| !matches!(made, Attribute::SS(set) | Attribute::NS(set) if set.is_empty())))
}
