//! Contract attributes to attribute plans: names looked up, types checked, columns selected.
//! Never here: keys' rules (see `keys`) or SQL assembly (see `view`).

use super::plan::{
    Absence, AttributePlan, ColumnAt, Field, FormatPart, Operand, Place, Recipe, Transform, Uses,
};
use super::sql_text::column;
use super::view::ViewPlan;
use crate::catalog::{Catalog, DataType};
use crate::contract::{
    AttributeSpec, DateFormat, EntitySpec, Findings, Template, TemplatePart, Transformation,
    ValueSpec, codes,
};
use crate::value::{Attribute, AttributeType, EpochUnit, attribute_name, supported, type_name};

/// State while one entity is compiled.
pub(super) struct Resolver<'a, 'c> {
    pub catalog: &'c Catalog,
    pub spec: &'a EntitySpec,
    pub view: ViewPlan<'c>,
    pub findings: &'a mut Findings,
    /// What the attribute being resolved has read so far.
    pub uses: Uses,
    /// Names of the attributes being resolved, to find circles.
    resolving: Vec<String>,
}

/// A value before its transformation.
pub(super) struct Raw {
    pub recipe: Recipe,
    pub absence: Absence,
    pub null_value: Option<String>,
}

impl<'a, 'c> Resolver<'a, 'c> {
    pub(super) fn new(
        catalog: &'c Catalog,
        spec: &'a EntitySpec,
        view: ViewPlan<'c>,
        findings: &'a mut Findings,
    ) -> Resolver<'a, 'c> {
        Resolver { catalog, spec, view, findings, uses: Uses::default(), resolving: Vec::new() }
    }

    /// Selects the plain driving columns first, so that they stand right after the row key.
    pub(super) fn select_driving_columns(&mut self) {
        for attribute in &self.spec.attributes {
            let format = matches!(attribute.transformation, Some(Transformation::StringFormat(_)));
            if matches!(attribute.value, ValueSpec::Column) && !format && !attribute.fold {
                for name in &attribute.source_columns {
                    if let Some(column) = self.view.driving.column_index(name) {
                        let sql = self.view.column_sql(ColumnAt { place: Place::Driving, column });
                        self.view.select(sql);
                    }
                }
            }
        }
    }

    /// Resolves one attribute; `None` when a fault was reported.
    pub(super) fn attribute(&mut self, spec: &AttributeSpec) -> Option<AttributePlan> {
        if self.resolving.contains(&spec.name) {
            let circle = self.resolving.join(" -> ");
            self.findings.report(
                &codes::ATTRIBUTE_CYCLE,
                &spec.path,
                format!("{circle} -> {}", spec.name),
            );
            return None;
        }
        self.resolving.push(spec.name.clone());
        let outer = std::mem::take(&mut self.uses);
        let plan = self.attribute_inner(spec);
        let own = std::mem::replace(&mut self.uses, outer);
        self.resolving.pop();
        let mut plan = plan?;
        plan.uses = own;
        Some(plan)
    }

    fn attribute_inner(&mut self, spec: &AttributeSpec) -> Option<AttributePlan> {
        let constant_format = matches!(&spec.transformation, Some(Transformation::StringFormat(t))
            if matches!(spec.value, ValueSpec::Column) && !t.parts.is_empty());
        if let Some(Transformation::StringFormat(template)) = &spec.transformation {
            // Formats of plain columns read what they name; the source column is checked only.
            let own = if constant_format {
                self.check_source(spec)?;
                None
            } else {
                Some(self.raw(spec)?)
            };
            let (recipe, absence) = self.format(template, &spec.name, own, &spec.path)?;
            if spec.kind != AttributeType::S {
                self.type_fault(spec, "a string-format makes text: the type must be S");
            }
            return Some(self.finish(spec, recipe, None, absence, None));
        }
        let raw = self.raw(spec)?;
        if let Some(value) = &raw.null_value {
            self.check_null_value(spec, value);
        }
        let transform = match &spec.transformation {
            None => None,
            Some(transformation) => Some(self.transform(spec, transformation, &raw.recipe)?),
        };
        if transform.is_none() {
            self.check_type(spec, &raw.recipe);
        }
        self.check_ttl(spec, &raw.recipe);
        let absence = match &raw.null_value {
            Some(value) if !value.is_empty() => Absence::Never,
            _ => raw.absence,
        };
        Some(self.finish(spec, raw.recipe, transform, absence, raw.null_value))
    }

    fn finish(
        &self,
        spec: &AttributeSpec,
        recipe: Recipe,
        transform: Option<Transform>,
        absence: Absence,
        null_value: Option<String>,
    ) -> AttributePlan {
        let plain = matches!(spec.value, ValueSpec::Column) && transform.is_none() && !spec.fold;
        let stores = match (&recipe, spec.source_columns.as_slice()) {
            (Recipe::Cell(_), [name]) if plain => self.view.driving.column_index(name),
            _ => None,
        };
        AttributePlan {
            name: spec.name.clone(),
            path: spec.path.clone(),
            kind: spec.kind,
            epoch: spec.epoch,
            recipe,
            transform,
            null_value,
            uses: Uses::default(),
            absence,
            stores,
        }
    }

    fn raw(&mut self, spec: &AttributeSpec) -> Option<Raw> {
        match &spec.value {
            ValueSpec::Broken => None,
            ValueSpec::Constant(constant) => Some(Raw {
                recipe: Recipe::Constant(constant.clone()),
                absence: match constant {
                    Attribute::S(text) if text.is_empty() => Absence::Possible,
                    _ => Absence::Never,
                },
                null_value: None,
            }),
            ValueSpec::Column => self.plain(spec),
            other => {
                self.check_source(spec)?;
                self.joined(spec, other)
            }
        }
    }

    /// The attribute's table must be the driving one, and its columns must exist.
    fn check_source(&mut self, spec: &AttributeSpec) -> Option<Vec<usize>> {
        let path = format!("{}.source_column", spec.path);
        if let Some(table) = &spec.source_table
            && self.catalog.table(table).is_none_or(|table| table.name != self.view.driving.name)
        {
            if self.catalog.table(table).is_none() {
                self.mapped_table(table, &format!("{}.source_table", spec.path));
                return None;
            }
            let message = format!("`{table}` is not the entity's `{}`", self.view.driving.name);
            self.findings.report(
                &codes::SOURCE_TABLE,
                &format!("{}.source_table", spec.path),
                message,
            );
            return None;
        }
        let driving = self.view.driving;
        let mut columns = Vec::new();
        let mut complete = true;
        for name in &spec.source_columns {
            match self.column(driving, name, &path) {
                Some(column) => columns.push(column),
                None => complete = false,
            }
        }
        complete.then_some(columns)
    }

    fn plain(&mut self, spec: &AttributeSpec) -> Option<Raw> {
        let columns = self.check_source(spec)?;
        match columns.as_slice() {
            [] => {
                let message = "no source column is named".to_owned();
                self.findings.report(&codes::SOURCE_COLUMNS, &spec.path, message);
                None
            }
            [single] if spec.fold => self.folded(spec, *single),
            [single] => {
                let at = ColumnAt { place: Place::Driving, column: *single };
                let (operand, absence) = self.raw_column(at);
                Some(Raw { recipe: Recipe::Cell(operand), absence, null_value: None })
            }
            several => {
                use AttributeType as A;
                if !matches!(spec.kind, A::L | A::M | A::SS | A::NS)
                    || spec.transformation.is_some()
                {
                    let kind = attribute_name(spec.kind);
                    let message = format!("{} source columns for one {kind}", several.len());
                    self.findings.report(&codes::SOURCE_COLUMNS, &spec.path, message);
                    return None;
                }
                let fields = (several.iter().zip(&spec.source_columns))
                    .map(|(&column, name)| {
                        let at = ColumnAt { place: Place::Driving, column };
                        Field { name: name.clone(), operand: self.raw_column(at).0 }
                    })
                    .collect();
                Some(Raw {
                    recipe: Recipe::Columns(fields),
                    absence: Absence::Unknown,
                    null_value: None,
                })
            }
        }
    }

    /// A key stored as its collation weights in hexadecimal: equal exactly where MySQL says equal.
    fn folded(&mut self, spec: &AttributeSpec, at: usize) -> Option<Raw> {
        let source = &self.view.driving.columns[at];
        let Some(collation) = &source.collation else {
            let message = format!("`{}` is no character column: nothing to fold", source.name);
            self.findings.report(&codes::SEGUE_OPTION, &format!("{}.fold", spec.path), message);
            return None;
        };
        let kept = self.spec.attributes.iter().any(|other| {
            other.name != spec.name
                && matches!(other.value, ValueSpec::Column)
                && other
                    .source_columns
                    .first()
                    .is_some_and(|name| name.eq_ignore_ascii_case(&source.name))
        });
        if !kept {
            let message = format!("no attribute holds `{}` itself", source.name);
            self.findings.report(&codes::FOLD_HIDES, &spec.path, message);
        }
        let name = column("d", &source.name);
        // Under a PAD SPACE collation trailing spaces do not count; WEIGHT_STRING keeps them.
        let no_pad =
            collation.contains("_0900_") || collation.contains("nopad") || collation == "binary";
        let text = if no_pad { name } else { format!("TRIM(TRAILING ' ' FROM {name})") };
        let index = self.view.select(format!("HEX(WEIGHT_STRING({text}))"));
        self.uses.columns.insert(ColumnAt { place: Place::Driving, column: at });
        let absence = if source.nullable { Absence::Possible } else { Absence::Never };
        let operand = Operand { index, data_type: None };
        Some(Raw { recipe: Recipe::Cell(operand), absence, null_value: None })
    }

    /// Selects a plain column and notes that the attribute reads it.
    pub(super) fn raw_column(&mut self, at: ColumnAt) -> (Operand, Absence) {
        let absence = if self.nullable(at) { Absence::Possible } else { Absence::Never };
        let data_type = self.view.table(at.place).columns[at.column].data_type.clone();
        let sql = self.view.column_sql(at);
        self.uses.columns.insert(at);
        (Operand { index: self.view.select(sql), data_type: Some(data_type) }, absence)
    }

    /// NULL is possible in the column, or in a column that leads to its row. Rows that a missing
    /// foreign key lets go astray are not counted here.
    pub(super) fn nullable(&self, at: ColumnAt) -> bool {
        let own = self.view.table(at.place).columns[at.column].nullable;
        let way = match at.place {
            Place::Join(join) => {
                self.view.joins[join].equations.iter().any(|&(_, source)| self.nullable(source))
            }
            Place::Driving | Place::Target => false,
        };
        own || way
    }

    /// `{name}` is a column of the driving table, else an attribute; the attribute's own name is
    /// its own value beneath the format. A format with a NULL part is left out; so the contract does
    /// say what then, and a nullable column in a key's format is a warning only.
    pub(super) fn format(
        &mut self,
        template: &Template,
        own_name: &str,
        own: Option<Raw>,
        path: &str,
    ) -> Option<(Recipe, Absence)> {
        let mut parts = Vec::new();
        let mut absence = Absence::Never;
        for part in &template.parts {
            let name = match part {
                TemplatePart::Text(text) => {
                    parts.push(FormatPart::Text(text.clone()));
                    continue;
                }
                TemplatePart::Name(name) => name,
            };
            if let Some(column) = self.view.driving.column_index(name) {
                let (operand, missing) =
                    self.raw_column(ColumnAt { place: Place::Driving, column });
                absence = absence.max(missing.min(Absence::Unknown));
                parts.push(FormatPart::Cell(operand));
            } else if name == own_name
                && let Some(Raw { recipe: Recipe::Cell(operand), absence: missing, .. }) = &own
            {
                absence = absence.max((*missing).min(Absence::Unknown));
                parts.push(FormatPart::Cell(operand.clone()));
            } else {
                let plan = self.format_attribute(name, path)?;
                absence = absence.max(plan.absence.min(Absence::Unknown));
                self.uses.merge(&plan.uses);
                parts.push(FormatPart::Attribute(Box::new(plan)));
            }
        }
        if template.text.is_empty() {
            absence = Absence::Possible;
        }
        Some((Recipe::Format(parts), absence))
    }

    fn format_attribute(&mut self, name: &str, path: &str) -> Option<AttributePlan> {
        let entity = self.spec;
        let Some(spec) = entity.attributes.iter().find(|attribute| attribute.name == *name) else {
            let message = format!(
                "`{{{name}}}` is neither a column of `{}` nor an attribute of the entity",
                self.view.driving.name
            );
            self.findings.report(&codes::TEMPLATE_PLACEHOLDER, path, message);
            return None;
        };
        if !matches!(spec.kind, AttributeType::S | AttributeType::N | AttributeType::Bool) {
            let message = format!("`{{{name}}}` is of type {}", attribute_name(spec.kind));
            self.findings.report(&codes::FORMAT, path, message);
            return None;
        }
        self.attribute(spec)
    }

    fn transform(
        &mut self,
        spec: &AttributeSpec,
        transformation: &Transformation,
        recipe: &Recipe,
    ) -> Option<Transform> {
        use AttributeType as A;
        let Recipe::Cell(operand) = recipe else {
            self.format_fault(spec, "a transformation needs a single value");
            return None;
        };
        let column = operand.data_type.as_ref();
        let (transform, types, fits) = match transformation {
            Transformation::DateFormat(format) => {
                let types: &[A] = match format {
                    DateFormat::Epoch | DateFormat::EpochMilliseconds => &[A::N, A::S],
                    DateFormat::Iso | DateFormat::Parts(_) => &[A::S],
                };
                let time = matches!(format, DateFormat::Parts(_) | DateFormat::Iso);
                let fits = column.is_none_or(|column| match column {
                    DataType::Date | DataType::DateTime { .. } | DataType::Timestamp { .. } => true,
                    DataType::Time { .. } => time,
                    _ => false,
                });
                (Transform::Date(format.clone()), types, fits)
            }
            Transformation::NumberFormat(format) => {
                let fits = column.is_none_or(is_number);
                (Transform::Number(format.clone()), &[A::S, A::N][..], fits)
            }
            Transformation::JsonParse => {
                let fits = column.is_none_or(|column| {
                    matches!(
                        column,
                        DataType::Json
                            | DataType::Text
                            | DataType::Varchar { .. }
                            | DataType::Char { .. }
                    )
                });
                (Transform::JsonParse, &[A::M, A::L, A::S][..], fits)
            }
            Transformation::StringFormat(_) => return None,
        };
        if !fits {
            let name = column.map_or("computed", type_name);
            self.format_fault(
                spec,
                &format!("the transformation does not fit a value of type {name}"),
            );
        }
        if !types.contains(&spec.kind) {
            let kind = attribute_name(spec.kind);
            self.type_fault(spec, &format!("the transformation does not make the type {kind}"));
        }
        Some(transform)
    }

    fn check_type(&mut self, spec: &AttributeSpec, recipe: &Recipe) {
        use AttributeType as A;
        let kind = attribute_name(spec.kind);
        match recipe {
            Recipe::Cell(Operand { data_type: Some(data_type), .. }) => {
                if let Err(reason) = supported(data_type, spec.kind) {
                    self.type_fault(spec, &reason);
                }
            }
            Recipe::Cell(_) if matches!(spec.kind, A::SS | A::NS | A::BS | A::Null) => {
                self.type_fault(spec, &format!("a computed value cannot be stored as {kind}"));
            }
            Recipe::Chain { .. } if spec.kind != A::S => {
                self.type_fault(spec, "a chain with a separator makes text: the type must be S");
            }
            Recipe::Object { .. } if !matches!(spec.kind, A::S | A::M) => {
                self.type_fault(spec, &format!("an object is stored as S or M, not {kind}"));
            }
            Recipe::Array { .. } if !matches!(spec.kind, A::S | A::L) => {
                self.type_fault(spec, &format!("an array is stored as S or L, not {kind}"));
            }
            Recipe::Columns(fields)
                if spec.kind == A::NS
                    && !fields
                        .iter()
                        .all(|f| f.operand.data_type.as_ref().is_some_and(is_number)) =>
            {
                self.type_fault(spec, "NS holds numeric columns only");
            }
            _ => {}
        }
    }

    fn check_null_value(&mut self, spec: &AttributeSpec, value: &str) {
        let fits = match spec.kind {
            AttributeType::S => true,
            AttributeType::N => value.is_empty() || crate::value::normalise_number(value).is_ok(),
            _ => false,
        };
        if !fits {
            let kind = attribute_name(spec.kind);
            self.type_fault(spec, &format!("the `null_value` cannot be stored as {kind}"));
        }
    }

    fn check_ttl(&mut self, spec: &AttributeSpec, recipe: &Recipe) {
        if !spec.ttl {
            return;
        }
        let moment = match recipe {
            Recipe::Cell(Operand { data_type: Some(column), .. }) => matches!(
                column,
                DataType::DateTime { .. } | DataType::Timestamp { .. } | DataType::Integer { .. }
            ),
            _ => true,
        };
        if spec.kind != AttributeType::N || spec.epoch != EpochUnit::Seconds || !moment {
            let message = "a TTL attribute is a number of epoch seconds (type N)".to_owned();
            self.findings.report(&codes::SEGUE_OPTION, &format!("{}.ttl", spec.path), message);
        }
    }

    fn type_fault(&mut self, spec: &AttributeSpec, reason: &str) {
        self.findings.report(&codes::TYPE, &format!("{}.type", spec.path), reason.to_owned());
    }

    fn format_fault(&mut self, spec: &AttributeSpec, reason: &str) {
        let path = format!("{}.transformation", spec.path);
        self.findings.report(&codes::FORMAT, &path, reason.to_owned());
    }
}

/// Columns whose values are numbers.
pub(super) fn is_number(column: &DataType) -> bool {
    matches!(
        column,
        DataType::Integer { .. }
            | DataType::Bit { .. }
            | DataType::Year
            | DataType::Decimal { .. }
            | DataType::Float
            | DataType::Double
    )
}
