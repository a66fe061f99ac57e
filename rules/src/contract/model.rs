//! The checked contract: one neutral model for both dialects.
//! Never here: JSON or catalog lookups.

use super::expression::{ColumnName, Expression};
use super::format::{DateFormat, NumberFormat};
use super::template::Template;
use crate::value::{Attribute, AttributeType, EpochUnit};

#[derive(Clone, Debug, Default)]
pub struct Contract {
    /// The MySQL schema that the tables live in, where the contract says so.
    pub database: Option<String>,
    pub tables: Vec<TableSpec>,
}

/// One DynamoDB table. `path` is everywhere the JSON path of the construct.
#[derive(Clone, Debug)]
pub struct TableSpec {
    pub path: String,
    pub name: String,
    pub pk: String,
    pub sk: Option<String>,
    pub indexes: Vec<IndexSpec>,
    pub entities: Vec<EntitySpec>,
}

#[derive(Clone, Debug)]
pub struct IndexSpec {
    pub path: String,
    pub name: String,
    pub pk: String,
    pub sk: Option<String>,
    pub projection: ProjectionSpec,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProjectionSpec {
    All,
    KeysOnly,
    Include(Vec<String>),
}

#[derive(Clone, Debug)]
pub struct EntitySpec {
    pub path: String,
    /// `Table` or `Table/ENTITY_TYPE`.
    pub name: String,
    pub source_table: String,
    pub pk_template: Option<Template>,
    pub sk_template: Option<Template>,
    pub attributes: Vec<AttributeSpec>,
    pub carry: Carry,
    /// Unique keys kept as lookup items; `None` is the default (all of them, in `dynamodb-only`).
    pub guards: Option<Vec<String>>,
}

/// Driving-table columns kept in the bookkeeping map.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Carry {
    #[default]
    Key,
    Missing,
    Columns(Vec<String>),
}

#[derive(Clone, Debug)]
pub struct AttributeSpec {
    pub path: String,
    pub name: String,
    pub kind: AttributeType,
    pub epoch: EpochUnit,
    /// Table that the columns are read from; `None` for constants.
    pub source_table: Option<String>,
    pub source_columns: Vec<String>,
    pub value: ValueSpec,
    pub transformation: Option<Transformation>,
    pub fold: bool,
    pub ttl: bool,
}

#[derive(Clone, Debug)]
pub enum ValueSpec {
    /// The source column itself.
    Column,
    Constant(Attribute),
    Join(JoinSpec),
    Conditional(ConditionalSpec),
    Chain {
        hops: Vec<JoinSpec>,
        separator: Option<String>,
    },
    Json(JsonSpec),
    Aggregate {
        join: Target,
        operation: Aggregate,
        select: Expression,
    },
    Case {
        branches: Vec<(Expression, Expression)>,
        otherwise: Option<Expression>,
    },
    /// Not readable; the fault is reported already.
    Broken,
}

/// The joined table and how it is reached.
#[derive(Clone, Debug)]
pub struct Target {
    pub path: String,
    pub table: Option<String>,
    pub alias: Option<String>,
    pub equations: Vec<Equation>,
}

/// `left = right`; the side written first is kept first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Equation {
    pub left: ColumnName,
    pub right: ColumnName,
}

#[derive(Clone, Debug)]
pub struct JoinSpec {
    pub target: Target,
    pub select: Expression,
    pub null_value: Option<String>,
}

#[derive(Clone, Debug)]
pub struct ConditionalSpec {
    pub target: Target,
    pub condition: Expression,
    pub then: String,
    pub otherwise: String,
}

#[derive(Clone, Debug)]
pub struct JsonSpec {
    pub target: Target,
    pub shape: JsonShape,
    /// Member name and what it holds, in the contract's order.
    pub fields: Vec<(String, Expression)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JsonShape {
    Object,
    Array { order_by: Option<String>, limit: Option<usize> },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aggregate {
    Sum,
    Count,
    Avg,
    Min,
    Max,
}

impl Aggregate {
    pub fn sql(self) -> &'static str {
        match self {
            Aggregate::Sum => "SUM",
            Aggregate::Count => "COUNT",
            Aggregate::Avg => "AVG",
            Aggregate::Min => "MIN",
            Aggregate::Max => "MAX",
        }
    }
}

#[derive(Clone, Debug)]
pub enum Transformation {
    StringFormat(Template),
    DateFormat(DateFormat),
    NumberFormat(NumberFormat),
    JsonParse,
}
