//! The only conversion between MySQL values and DynamoDB attributes.
//! Never here: SQL text, contract syntax, or a client library's own value type.

mod attribute;
mod cell;
mod convert;
mod json;
mod number;
mod restore;
mod size;
mod supported;
mod temporal;
mod text;

#[cfg(test)]
mod round_trips;
#[cfg(test)]
mod type_table;

pub use attribute::{Attribute, AttributeType, BOOKKEEPING, Item, ItemKey};
pub use cell::{Cell, Row, SourceKey, TableName};
pub use convert::{ConvertError, EpochUnit, infer_attribute, to_attribute};
pub use json::json_text;
pub use number::{NUMBER_DIGITS_MAX, Number, normalise_number, numbers_equal};
pub use restore::from_attribute;
pub use size::{ITEM_BYTES_MAX, attribute_size, item_size};
pub use supported::{attribute_name, supported, type_name};
pub use text::{cell_text, column_text};
