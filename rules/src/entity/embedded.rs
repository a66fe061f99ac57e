//! Embedded arrays and objects (`json-construction`).
//! Never here: how their text or native form is written (see `construct`).

use super::plan::{Absence, ColumnAt, Field, Operand, Place, Reach, Recipe};
use super::resolve::{Raw, Resolver};
use super::sql_text::column;
use super::target::{Scope, covers_unique_key};
use super::view::ChildPlan;
use crate::catalog::Table;
use crate::contract::{Expression, JsonShape, JsonSpec, codes};

impl<'c> Resolver<'_, 'c> {
    pub(super) fn embedded(&mut self, spec: &JsonSpec) -> Option<Raw> {
        let scope = self.driving_scope();
        let reach = self.reach(&spec.target, &scope)?;
        match &spec.shape {
            JsonShape::Object if self.is_identity(&reach) => {
                let fields = self.object_fields(spec, Place::Driving, scope)?;
                let recipe = Recipe::Object { presence: None, fields };
                Some(Raw { recipe, absence: Absence::Never, null_value: None })
            }
            JsonShape::Object => self.joined_object(spec, reach, scope),
            JsonShape::Array { order_by, limit } => {
                let child = self.child(spec, reach, order_by.as_deref(), scope)?;
                let recipe = Recipe::Array { child: child.0, fields: child.1, limit: *limit };
                Some(Raw { recipe, absence: Absence::Never, null_value: None })
            }
        }
    }

    /// The driving row itself: the same columns on both sides, and they identify the row.
    fn is_identity(&self, reach: &Reach) -> bool {
        let table = self.view.driving;
        reach.table.name == table.name
            && reach
                .equations
                .iter()
                .all(|&(target, source)| source.column == target && !table.columns[target].nullable)
            && covers_unique_key(table, |c| reach.equations.iter().any(|(target, _)| *target == c))
    }

    fn joined_object(
        &mut self,
        spec: &JsonSpec,
        reach: Reach<'c>,
        mut scope: Scope,
    ) -> Option<Raw> {
        let path = &spec.target.path;
        let link = reach.equations.first().map(|(column, _)| *column)?;
        let name = reach.table.name.to_string();
        let place = self.join(reach, path);
        scope.push((name, place));
        scope.extend(spec.target.table.iter().map(|name| (name.clone(), place)));
        let presence = self.raw_column(ColumnAt { place, column: link }).0.index;
        let fields = self.object_fields(spec, place, scope)?;
        let recipe = Recipe::Object { presence: Some(presence), fields };
        Some(Raw { recipe, absence: Absence::Possible, null_value: None })
    }

    fn object_fields(&mut self, spec: &JsonSpec, place: Place, scope: Scope) -> Option<Vec<Field>> {
        let path = &spec.target.path;
        let mut fields = Vec::new();
        let mut complete = true;
        for (name, select) in &spec.fields {
            let operand = match select {
                Expression::Column(column) if column.qualifier.is_none() => {
                    let table = self.view.table(place);
                    let found = self.column(table, &column.name, path);
                    found.map(|column| self.raw_column(ColumnAt { place, column }).0)
                }
                Expression::Column(column) => {
                    let found = self.in_scope(column, &scope, path);
                    found.map(|at| self.raw_column(at).0)
                }
                computed => self
                    .expression_sql(computed, Some(place), &scope, path)
                    .map(|sql| Operand { index: self.view.select(sql), data_type: None }),
            };
            complete &= operand.is_some();
            fields.extend(operand.map(|operand| Field { name: name.clone(), operand }));
        }
        complete.then_some(fields)
    }

    fn child(
        &mut self,
        spec: &JsonSpec,
        reach: Reach<'c>,
        order_by: Option<&str>,
        mut scope: Scope,
    ) -> Option<(usize, Vec<Field>)> {
        let path = &spec.target.path;
        scope.push((reach.table.name.to_string(), Place::Target));
        scope.extend(spec.target.table.iter().map(|name| (name.clone(), Place::Target)));
        let mut columns = Vec::new();
        let mut fields = Vec::new();
        let mut complete = true;
        for (name, select) in &spec.fields {
            let data_type = match select {
                Expression::Column(column) => {
                    self.target_column(column, &reach, &scope, path).map(|at| {
                        let table = if at.place == Place::Target {
                            reach.table
                        } else {
                            self.view.table(at.place)
                        };
                        table.columns[at.column].data_type.clone()
                    })
                }
                _ => None,
            };
            let Some(sql) = self.target_sql(select, &reach, &scope, path) else {
                complete = false;
                continue;
            };
            let index = self.view.row_key.len() + columns.len();
            columns.push(sql);
            fields.push(Field { name: name.clone(), operand: Operand { index, data_type } });
        }
        let order = self.order(order_by, reach.table, path);
        self.uses.columns.extend(reach.equations.iter().map(|&(_, source)| source));
        self.uses.computed = true;
        let child = self.view.children.len();
        self.uses.children.insert(child);
        self.view.children.push(ChildPlan { reach, columns, order: order? });
        complete.then_some((child, fields))
    }

    /// `order_by` columns with their direction, then the target's row key, so that the order is total.
    fn order(&mut self, order_by: Option<&str>, table: &Table, path: &str) -> Option<Vec<String>> {
        let mut order = Vec::new();
        let mut named = Vec::new();
        for part in order_by.into_iter().flat_map(|text| text.split(',')) {
            let mut words = part.split_whitespace();
            let name = words.next().unwrap_or_default();
            let direction = words.next().unwrap_or("ASC").to_ascii_uppercase();
            let bare = name.rsplit_once('.').map_or(name, |(_, bare)| bare).trim_matches('`');
            let column_at = table.column_index(bare);
            let fits = matches!(direction.as_str(), "ASC" | "DESC") && words.next().is_none();
            let (Some(at), true) = (column_at, fits) else {
                let message =
                    format!("`{}` is no column of `{}` with ASC or DESC", part.trim(), table.name);
                self.findings.report(&codes::ORDER_BY, path, message);
                return None;
            };
            let direction = if direction == "DESC" { " DESC" } else { "" };
            order.push(format!("{}{direction}", column("t", &table.columns[at].name)));
            named.push(at);
        }
        let key = table.row_key().unwrap_or_default();
        let rest = key.iter().filter(|key| !named.contains(key));
        order.extend(rest.map(|&key| column("t", &table.columns[key].name)));
        Some(order)
    }
}
