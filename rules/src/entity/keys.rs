//! The rules on item keys: present, of a key type, never NULL, unique, in agreement with templates.
//! Never here: sort keys across entities and index keys (see `key_shapes`).

use std::collections::BTreeSet;

use super::plan::{Absence, AttributePlan, ColumnAt, FormatPart, Place, Recipe, Uses};
use super::resolve::Resolver;
use super::target::covers_unique_key;
use crate::contract::{AttributeSpec, Template, TemplatePart, Transformation, ValueSpec, codes};
use crate::value::{AttributeType, EpochUnit, attribute_name};

impl Resolver<'_, '_> {
    /// The plan of a key attribute: the attribute of that name, else the template.
    pub(super) fn key_attribute(
        &mut self,
        name: &str,
        template: Option<&Template>,
        plans: &mut Vec<AttributePlan>,
    ) -> Option<usize> {
        let entity = self.spec;
        if let Some(spec) = entity.attributes.iter().find(|attribute| attribute.name == name) {
            // A faulty attribute has no plan; its fault is reported already.
            let position = plans.iter().position(|plan| plan.name == name)?;
            if let Some(template) = template {
                self.compare_template(template, spec);
            }
            return Some(position);
        }
        let Some(template) = template else {
            let message =
                format!("`{}` has no attribute `{name}` and no template for it", entity.name);
            self.findings.report(&codes::KEY_MISSING, &entity.path, message);
            return None;
        };
        let outer = std::mem::take(&mut self.uses);
        let made = self.format(template, name, None, &entity.path);
        let uses = std::mem::replace(&mut self.uses, outer);
        let (recipe, absence) = made?;
        plans.push(AttributePlan {
            name: name.to_owned(),
            path: entity.path.clone(),
            kind: AttributeType::S,
            epoch: EpochUnit::Seconds,
            recipe,
            transform: None,
            null_value: None,
            uses,
            absence,
            stores: None,
        });
        Some(plans.len() - 1)
    }

    /// Compares a template with the attribute that is used in its place.
    fn compare_template(&mut self, template: &Template, spec: &AttributeSpec) {
        // A template that is nothing but the attribute's own name cannot disagree with it.
        let itself =
            matches!(&template.parts[..], [TemplatePart::Name(name)] if *name == spec.name);
        if itself && self.view.driving.column_index(&spec.name).is_none() {
            return;
        }
        let own = match (&spec.value, &spec.transformation) {
            (_, Some(Transformation::StringFormat(format))) => self.canonical(format),
            (ValueSpec::Column, None) if spec.source_columns.len() == 1 => {
                format!("{{{}}}", spec.source_columns[0].to_lowercase())
            }
            _ => format!("(the value of `{}`)", spec.name),
        };
        if self.canonical(template) != own {
            let message = format!(
                "the template is `{}`, the attribute `{}` gives {own}; the attribute is used",
                template.text, spec.name
            );
            self.findings.report(&codes::TEMPLATE_DISAGREES, &spec.path, message);
        }
    }

    /// A template with attributes that hold plain columns replaced by those columns.
    fn canonical(&self, template: &Template) -> String {
        let mut text = String::new();
        for part in &template.parts {
            match part {
                TemplatePart::Text(constant) => text.push_str(constant),
                TemplatePart::Name(name) => {
                    let attribute = self.spec.attributes.iter().find(|a| a.name == *name);
                    let column = attribute
                        .filter(|a| {
                            matches!(a.value, ValueSpec::Column) && a.transformation.is_none()
                        })
                        .filter(|_| self.view.driving.column_index(name).is_none())
                        .and_then(|a| a.source_columns.first())
                        .unwrap_or(name);
                    text.push_str(&format!("{{{}}}", column.to_lowercase()));
                }
            }
        }
        text
    }

    /// Type, absence and joins of one key attribute of the base table.
    pub(super) fn check_key(&mut self, plan: &AttributePlan) {
        if !is_key_type(plan.kind) {
            let message = format!("`{}` is of type {}", plan.name, attribute_name(plan.kind));
            self.findings.report(&codes::KEY_TYPE, &plan.path, message);
        }
        match plan.absence {
            Absence::Never => {}
            Absence::Unknown => {
                let message = format!("`{}` may be NULL or empty for some rows", plan.name);
                self.findings.report(&codes::KEY_MAYBE_ABSENT, &plan.path, message);
            }
            Absence::Possible => {
                let message = format!("`{}` can be NULL or empty", plan.name);
                self.findings.report(&codes::KEY_NULLABLE, &plan.path, message);
            }
        }
        for join in self.joins_of(&plan.uses) {
            let reach = &self.view.joins[join];
            if !self.backed(reach) {
                let message = format!(
                    "`{}` goes through `{}`, to which no foreign key leads",
                    plan.name, reach.table.name
                );
                self.findings.report(&codes::KEY_JOIN_UNBACKED, &plan.path, message);
            }
        }
    }

    /// Every join that the uses lead through.
    pub(super) fn joins_of(&self, uses: &Uses) -> BTreeSet<usize> {
        let joins = uses.columns.iter().filter_map(|at| match at.place {
            Place::Join(join) => Some(self.view.path_to(join)),
            _ => None,
        });
        joins.flatten().collect()
    }

    /// Warns where the item key does not determine one driving row.
    pub(super) fn check_key_unique(&mut self, plans: &[&AttributePlan]) {
        let mut known = BTreeSet::new();
        for plan in plans {
            determined(plan, &self.view.columns, &mut known, self);
        }
        self.close(&mut known);
        let driving = self.view.driving;
        let unique = covers_unique_key(driving, |column| {
            known.contains(&ColumnAt { place: Place::Driving, column })
        });
        if !unique {
            let names: Vec<&str> = plans.iter().map(|plan| plan.name.as_str()).collect();
            let message = format!(
                "{} together do not determine one row of `{}`",
                names.join(" and "),
                driving.name
            );
            self.findings.report(&codes::KEY_NOT_UNIQUE, &self.spec.path, message);
        }
    }

    /// Adds what known columns determine: a unique key of a joined row gives the whole row, and so
    /// the columns that its condition equates.
    fn close(&self, known: &mut BTreeSet<ColumnAt>) {
        loop {
            let before = known.len();
            for (join, reach) in self.view.joins.iter().enumerate() {
                let place = Place::Join(join);
                if covers_unique_key(reach.table, |column| {
                    known.contains(&ColumnAt { place, column })
                }) {
                    known.extend(reach.equations.iter().map(|&(_, source)| source));
                }
            }
            if known.len() == before {
                return;
            }
        }
    }
}

/// Columns whose value can be told from the attribute's value.
fn determined(
    plan: &AttributePlan,
    selected: &[String],
    known: &mut BTreeSet<ColumnAt>,
    resolver: &Resolver,
) {
    if plan.transform.is_some() || plan.uses.computed {
        return;
    }
    let mut add = |index: usize| {
        let found =
            plan.uses.columns.iter().find(|at| resolver.view.column_sql(**at) == selected[index]);
        known.extend(found);
    };
    match &plan.recipe {
        Recipe::Cell(operand) => add(operand.index),
        Recipe::Format(parts) => {
            let mut nested = Vec::new();
            for part in parts {
                match part {
                    FormatPart::Cell(operand) => add(operand.index),
                    FormatPart::Attribute(plan) => nested.push(plan),
                    FormatPart::Text(_) => {}
                }
            }
            for plan in nested {
                determined(plan, selected, known, resolver);
            }
        }
        _ => {}
    }
}

pub(super) fn is_key_type(kind: AttributeType) -> bool {
    matches!(kind, AttributeType::S | AttributeType::N | AttributeType::B)
}
