//! Cell to attribute and back, by column type and attribute type.

use thiserror::Error;

use super::{Attribute, AttributeType, Cell};
use crate::catalog::DataType;

/// Unit of an epoch number made from a DATETIME or TIMESTAMP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EpochUnit {
    #[default]
    Seconds,
    Milliseconds,
}

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ConvertError {
    #[error("{0}")]
    Unsupported(String),
}

/// Converts a cell to the attribute stored for it; `Ok(None)` leaves the attribute out (NULL).
pub fn to_attribute(
    _cell: &Cell,
    _column: &DataType,
    _target: AttributeType,
    _epoch: EpochUnit,
) -> Result<Option<Attribute>, ConvertError> {
    unimplemented!()
}

/// The inverse of [`to_attribute`].
pub fn from_attribute(
    _attribute: Option<&Attribute>,
    _column: &DataType,
    _epoch: EpochUnit,
) -> Result<Cell, ConvertError> {
    unimplemented!()
}
