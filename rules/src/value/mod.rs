//! The only conversion between MySQL values and DynamoDB attributes.
//! Never here: SQL text, contract syntax, or a client library's own value type.

mod attribute;
mod cell;
mod convert;

pub use attribute::{Attribute, AttributeType, Item, ItemKey};
pub use cell::{Cell, Row, SourceKey, TableName};
pub use convert::{ConvertError, from_attribute, to_attribute, EpochUnit};
