//! Makes one attribute from a driving row and its children, by the attribute's plan.
//! Never here: keys and sizes (see `builder`).

use super::construct::{cell_at, columns, object_native, object_text};
use super::plan::{AttributePlan, FormatPart, Operand, Recipe, Transform};
use crate::catalog::DataType;
use crate::contract::{DateFormat, Moment};
use crate::value::{
    Attribute, AttributeType, Cell, EpochUnit, Number, Row, cell_text, column_text,
    infer_attribute, normalise_number, to_attribute,
};

/// `Ok(None)` leaves the attribute out.
pub(super) fn make(
    plan: &AttributePlan,
    main: &Row,
    children: &[Vec<Row>],
) -> Result<Option<Attribute>, String> {
    let made = match (&plan.transform, &plan.recipe) {
        (Some(transform), Recipe::Cell(operand)) => {
            transformed(transform, plan, operand, cell_at(main, operand.index)?)?
        }
        (_, recipe) => plain(plan, recipe, main, children)?,
    };
    Ok(made.or_else(|| match (&plan.null_value, plan.kind) {
        (Some(text), AttributeType::S) => Some(Attribute::S(text.clone())),
        (Some(text), AttributeType::N) => normalise_number(text).ok().map(Attribute::N),
        _ => None,
    }))
}

fn plain(
    plan: &AttributePlan,
    recipe: &Recipe,
    main: &Row,
    children: &[Vec<Row>],
) -> Result<Option<Attribute>, String> {
    Ok(match recipe {
        Recipe::Cell(operand) => {
            convert(cell_at(main, operand.index)?, operand, plan.kind, plan.epoch)?
        }
        Recipe::Constant(constant) => Some(constant.clone()),
        Recipe::Format(parts) => format(parts, main, children)?.map(Attribute::S),
        Recipe::Chain { hops, separator } => {
            let mut texts = Vec::new();
            for hop in hops {
                texts.extend(text(cell_at(main, hop.index)?, hop));
            }
            (!texts.is_empty()).then(|| Attribute::S(texts.join(separator)))
        }
        Recipe::Columns(fields) => columns(fields, main, plan.kind)?,
        Recipe::Object { presence, fields } => {
            if let Some(presence) = presence
                && matches!(cell_at(main, *presence)?, Cell::Null)
            {
                return Ok(null(plan.kind));
            }
            Some(match plan.kind {
                AttributeType::S => Attribute::S(object_text(fields, main)?),
                _ => Attribute::M(object_native(fields, main)?),
            })
        }
        Recipe::Array { child, fields, limit } => {
            let rows = children.get(*child).ok_or("the rows of an array are missing")?;
            let rows = rows.iter().take(limit.unwrap_or(usize::MAX));
            Some(match plan.kind {
                AttributeType::S => {
                    let objects: Result<Vec<String>, String> =
                        rows.map(|row| object_text(fields, row)).collect();
                    Attribute::S(format!("[{}]", objects?.join(",")))
                }
                _ => {
                    let objects: Result<Vec<Attribute>, String> =
                        rows.map(|row| object_native(fields, row).map(Attribute::M)).collect();
                    Attribute::L(objects?)
                }
            })
        }
    })
}

fn null(kind: AttributeType) -> Option<Attribute> {
    (kind == AttributeType::Null).then_some(Attribute::Null)
}

fn convert(
    cell: &Cell,
    operand: &Operand,
    kind: AttributeType,
    epoch: EpochUnit,
) -> Result<Option<Attribute>, String> {
    let made = match &operand.data_type {
        Some(column) => to_attribute(cell, column, kind, epoch),
        None => infer_attribute(cell, kind, epoch),
    };
    made.map_err(|error| error.to_string())
}

fn text(cell: &Cell, operand: &Operand) -> Option<String> {
    match &operand.data_type {
        Some(column) => column_text(cell, column),
        None => cell_text(cell),
    }
}

/// `None` as soon as one part is NULL: half a text would pass for a whole one.
fn format(
    parts: &[FormatPart],
    main: &Row,
    children: &[Vec<Row>],
) -> Result<Option<String>, String> {
    let mut whole = String::new();
    for part in parts {
        let text = match part {
            FormatPart::Text(text) => Some(text.clone()),
            FormatPart::Cell(operand) => text(cell_at(main, operand.index)?, operand),
            FormatPart::Attribute(plan) => match make(plan, main, children)? {
                Some(Attribute::S(text) | Attribute::N(text)) => Some(text),
                Some(Attribute::Bool(flag)) => Some(flag.to_string()),
                _ => None,
            },
        };
        match text {
            Some(text) => whole.push_str(&text),
            None => return Ok(None),
        }
    }
    Ok(Some(whole))
}

fn transformed(
    transform: &Transform,
    plan: &AttributePlan,
    operand: &Operand,
    cell: &Cell,
) -> Result<Option<Attribute>, String> {
    if matches!(cell, Cell::Null) {
        return Ok(null(plan.kind));
    }
    match transform {
        Transform::Date(DateFormat::Iso) => {
            convert(cell, operand, AttributeType::S, EpochUnit::Seconds)
        }
        Transform::Date(DateFormat::Epoch) => epoch(cell, plan.kind, EpochUnit::Seconds),
        Transform::Date(DateFormat::EpochMilliseconds) => {
            epoch(cell, plan.kind, EpochUnit::Milliseconds)
        }
        Transform::Date(DateFormat::Parts(parts)) => {
            let moment = moment(cell)?;
            let mut text = String::new();
            parts.iter().for_each(|part| part.write(&moment, &mut text));
            Ok(Some(Attribute::S(text)))
        }
        Transform::Number(format) => {
            let text = text(cell, operand).unwrap_or_default();
            let number = Number::parse(&text).ok_or("number-format is given no number")?;
            let text = format.apply(&number.plain())?;
            if plan.kind == AttributeType::N {
                let number = normalise_number(&text).map_err(|error| error.to_string())?;
                return Ok(Some(Attribute::N(number)));
            }
            Ok(Some(Attribute::S(text)))
        }
        Transform::JsonParse => to_attribute(cell, &DataType::Json, plan.kind, EpochUnit::Seconds)
            .map_err(|error| error.to_string()),
    }
}

fn epoch(cell: &Cell, kind: AttributeType, unit: EpochUnit) -> Result<Option<Attribute>, String> {
    // A date alone is its midnight; DATETIME without zone is read as UTC.
    let midnight = match *cell {
        Cell::Date { year, month, day } => {
            Cell::DateTime { year, month, day, hour: 0, minute: 0, second: 0, micros: 0 }
        }
        _ => cell.clone(),
    };
    let column = DataType::DateTime { fraction: 6 };
    let made = to_attribute(&midnight, &column, AttributeType::N, unit);
    Ok(match made.map_err(|error| error.to_string())? {
        Some(Attribute::N(text)) if kind == AttributeType::S => Some(Attribute::S(text)),
        made => made,
    })
}

fn moment(cell: &Cell) -> Result<Moment, String> {
    Ok(match *cell {
        Cell::Date { year, month, day } => Moment { year, month, day, ..Moment::default() },
        Cell::DateTime { year, month, day, hour, minute, second, micros } => {
            Moment { year, month, day, hour, minute, second, micros }
        }
        Cell::Time { negative: false, hours, minutes, seconds, micros } => {
            let hour = u8::try_from(hours).map_err(|_| "date-format is given too many hours")?;
            Moment { hour, minute: minutes, second: seconds, micros, ..Moment::default() }
        }
        _ => return Err("date-format is given what is no date".to_owned()),
    })
}
