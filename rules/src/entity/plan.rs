//! The parts of a compiled entity: where columns come from and how attributes are made of them.
//! Never here: contract syntax.

use std::collections::BTreeSet;

use crate::catalog::{DataType, Table};
use crate::contract::{DateFormat, NumberFormat};
use crate::value::{Attribute, AttributeType, EpochUnit};

/// A table instance in the entity's query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Place {
    Driving,
    /// Index into [`super::view::ViewPlan::joins`].
    Join(usize),
    /// The inner table of a subquery or of an embedded array.
    Target,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ColumnAt {
    pub place: Place,
    pub column: usize,
}

/// A joined table and its equations: column of `table` = column already in reach.
#[derive(Clone, Debug)]
pub(super) struct Reach<'c> {
    pub table: &'c Table,
    pub equations: Vec<(usize, ColumnAt)>,
}

/// A cell of a row: its position and, where a plain column is selected, its type.
#[derive(Clone, Debug)]
pub(super) struct Operand {
    pub index: usize,
    pub data_type: Option<DataType>,
}

/// What an attribute reads, to find out what a change of a row can change.
#[derive(Clone, Debug, Default)]
pub(super) struct Uses {
    pub columns: BTreeSet<ColumnAt>,
    /// Indexes into the view's aggregates.
    pub aggregates: BTreeSet<usize>,
    /// Indexes into the view's children.
    pub children: BTreeSet<usize>,
    /// The value is computed by MySQL, so that it does not determine its columns.
    pub computed: bool,
}

impl Uses {
    pub(super) fn merge(&mut self, other: &Uses) {
        self.columns.extend(&other.columns);
        self.aggregates.extend(&other.aggregates);
        self.children.extend(&other.children);
        self.computed |= other.computed;
    }
}

/// Whether an attribute's value can be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Absence {
    Never,
    /// Computed; the contract does not tell.
    Unknown,
    Possible,
}

#[derive(Clone, Debug)]
pub(super) struct AttributePlan {
    pub name: String,
    pub path: String,
    pub kind: AttributeType,
    pub epoch: EpochUnit,
    pub recipe: Recipe,
    pub transform: Option<Transform>,
    pub null_value: Option<String>,
    pub uses: Uses,
    pub absence: Absence,
    /// The driving column that the attribute stores unchanged, for the inverse.
    pub stores: Option<usize>,
}

#[derive(Clone, Debug)]
pub(super) enum Recipe {
    Cell(Operand),
    Constant(Attribute),
    Format(Vec<FormatPart>),
    Chain { hops: Vec<Operand>, separator: String },
    Columns(Vec<Field>),
    Object { presence: Option<usize>, fields: Vec<Field> },
    Array { child: usize, fields: Vec<Field>, limit: Option<usize> },
}

#[derive(Clone, Debug)]
pub(super) enum FormatPart {
    Text(String),
    Cell(Operand),
    Attribute(Box<AttributePlan>),
}

#[derive(Clone, Debug)]
pub(super) struct Field {
    pub name: String,
    pub operand: Operand,
}

#[derive(Clone, Debug)]
pub(super) enum Transform {
    Date(DateFormat),
    Number(NumberFormat),
    JsonParse,
}
