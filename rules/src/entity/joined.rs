//! Joins and calculations of the contract: lookups, conditionals, chains, aggregates, cases.
//! Never here: embedded arrays and objects (see `embedded`).

use super::plan::{Absence, ColumnAt, Operand, Place, Reach, Recipe};
use super::resolve::{Raw, Resolver};
use super::sql_text::{column, quote_name};
use super::target::{Scope, same_name};
use crate::contract::{
    Aggregate, AttributeSpec, ColumnName, ConditionalSpec, Expression, JoinSpec, Target, ValueSpec,
    quote_text,
};

impl<'c> Resolver<'_, 'c> {
    pub(super) fn joined(&mut self, spec: &AttributeSpec, value: &ValueSpec) -> Option<Raw> {
        match value {
            ValueSpec::Join(join) => {
                let mut scope = self.driving_scope();
                let (operand, absence) = self.hop(join, &mut scope)?;
                let recipe = Recipe::Cell(operand);
                Some(Raw { recipe, absence, null_value: join.null_value.clone() })
            }
            ValueSpec::Chain { hops, separator } => self.chain(hops, separator.as_deref()),
            ValueSpec::Conditional(conditional) => self.conditional(conditional),
            ValueSpec::Aggregate { join, operation, select } => {
                self.aggregate(join, *operation, select)
            }
            ValueSpec::Case { branches, otherwise } => {
                self.case(branches, otherwise.as_ref(), &format!("{}.calculation", spec.path))
            }
            ValueSpec::Json(json) => self.embedded(json),
            ValueSpec::Column | ValueSpec::Constant(_) | ValueSpec::Broken => None,
        }
    }

    pub(super) fn driving_scope(&self) -> Scope {
        vec![(self.view.driving.name.to_string(), Place::Driving)]
    }

    /// Joins one table and selects from it; the joined name is in scope afterwards.
    fn hop(&mut self, join: &JoinSpec, scope: &mut Scope) -> Option<(Operand, Absence)> {
        let path = &join.target.path;
        let reach = self.reach(&join.target, scope)?;
        let place = self.join(reach, path);
        self.enter(&join.target, place, scope);
        self.operand(&join.select, Some(place), scope, path)
    }

    /// Puts a joined table's names in scope: table name and alias.
    fn enter(&self, target: &Target, place: Place, scope: &mut Scope) {
        scope.push((self.view.table(place).name.to_string(), place));
        scope.extend(target.table.iter().chain(&target.alias).map(|name| (name.clone(), place)));
    }

    /// A selected value: a plain column keeps its type, anything else is computed by MySQL.
    fn operand(
        &mut self,
        select: &Expression,
        unqualified: Option<Place>,
        scope: &Scope,
        path: &str,
    ) -> Option<(Operand, Absence)> {
        if let Expression::Column(name) = select {
            let at = self.named(name, unqualified, scope, path)?;
            return Some(self.raw_column(at));
        }
        let sql = self.expression_sql(select, unqualified, scope, path)?;
        self.uses.computed = true;
        Some((Operand { index: self.view.select(sql), data_type: None }, Absence::Unknown))
    }

    fn named(
        &mut self,
        name: &ColumnName,
        unqualified: Option<Place>,
        scope: &Scope,
        path: &str,
    ) -> Option<ColumnAt> {
        match (&name.qualifier, unqualified) {
            (None, Some(place)) => {
                let column = self.column(self.view.table(place), &name.name, path)?;
                Some(ColumnAt { place, column })
            }
            _ => self.in_scope(name, scope, path),
        }
    }

    /// SQL of an expression over places of the main query.
    pub(super) fn expression_sql(
        &mut self,
        expression: &Expression,
        unqualified: Option<Place>,
        scope: &Scope,
        path: &str,
    ) -> Option<String> {
        let sql = expression.sql(&mut |name| {
            let at = self.named(name, unqualified, scope, path).ok_or(())?;
            self.uses.columns.insert(at);
            Ok::<String, ()>(self.view.column_sql(at))
        });
        sql.ok()
    }

    /// Without a separator the last hop's value; with it all of them, NULLs skipped (CONCAT_WS).
    fn chain(&mut self, hops: &[JoinSpec], separator: Option<&str>) -> Option<Raw> {
        let mut scope = self.driving_scope();
        let mut operands = Vec::new();
        let mut absence = Absence::Possible;
        for (i, hop) in hops.iter().enumerate() {
            let last = i + 1 == hops.len();
            if separator.is_some() || last {
                let (operand, missing) = self.hop(hop, &mut scope)?;
                operands.push(operand);
                absence = if separator.is_some() { absence.min(missing) } else { missing };
            } else {
                let reach = self.reach(&hop.target, &scope)?;
                let place = self.join(reach, &hop.target.path);
                self.enter(&hop.target, place, &mut scope);
            }
        }
        let null_value = hops.last().and_then(|hop| hop.null_value.clone());
        let recipe = match separator {
            Some(separator) => Recipe::Chain { hops: operands, separator: separator.to_owned() },
            None => Recipe::Cell(operands.pop()?),
        };
        Some(Raw { recipe, absence, null_value })
    }

    /// In `condition` a bare column, and the driving table's name, mean the driving row; in the two
    /// values the target's name and `parent` mean the joined row.
    fn conditional(&mut self, spec: &ConditionalSpec) -> Option<Raw> {
        let path = spec.target.path.clone();
        let driving = self.driving_scope();
        let reach = self.reach(&spec.target, &driving)?;
        let place = self.join(reach, &path);
        let mut values = driving.clone();
        // `parent` is the joined row, unless a table in reach bears that very name.
        values.insert(0, ("parent".to_owned(), place));
        self.enter(&spec.target, place, &mut values);
        let mut condition_scope = values.clone();
        condition_scope.extend(driving);
        let condition =
            self.expression_sql(&spec.condition, Some(Place::Driving), &condition_scope, &path);
        let (then, then_absence) = self.conditional_value(&spec.then, &values, &path, None)?;
        let not_null = self.not_null_in_else(&spec.condition);
        let (otherwise, else_absence) =
            self.conditional_value(&spec.otherwise, &values, &path, not_null)?;
        let sql = format!("(CASE WHEN {} THEN {then} ELSE {otherwise} END)", condition?);
        self.uses.computed = true;
        let operand = Operand { index: self.view.select(sql), data_type: None };
        let absence = then_absence.max(else_absence);
        Some(Raw { recipe: Recipe::Cell(operand), absence, null_value: None })
    }

    /// `x IS NULL` as the condition tells that `x` is not NULL in the ELSE value.
    fn not_null_in_else(&self, condition: &Expression) -> Option<usize> {
        match condition {
            Expression::IsNull { operand, negated: false } => match &**operand {
                Expression::Column(name) => self.view.driving.column_index(&name.name),
                _ => None,
            },
            _ => None,
        }
    }

    /// `'x'` is a literal, `name.column` of a name in reach a column, anything else a literal.
    fn conditional_value(
        &mut self,
        text: &str,
        scope: &Scope,
        path: &str,
        not_null: Option<usize>,
    ) -> Option<(String, Absence)> {
        let parsed = Expression::parse(text).ok();
        let literal = match parsed {
            Some(Expression::Column(name)) if self.qualified(&name, scope) => {
                let at = self.in_scope(&name, scope, path)?;
                self.uses.columns.insert(at);
                let absence = match self.nullable_unless(at, not_null) {
                    true => Absence::Unknown,
                    false => Absence::Never,
                };
                return Some((self.view.column_sql(at), absence));
            }
            Some(Expression::Text(text)) => text,
            _ => text.to_owned(),
        };
        let absence = if literal.is_empty() { Absence::Possible } else { Absence::Never };
        Some((quote_text(&literal), absence))
    }

    fn qualified(&self, name: &ColumnName, scope: &Scope) -> bool {
        let qualifier = name.qualifier.as_deref();
        qualifier.is_some_and(|q| scope.iter().any(|(known, _)| same_name(known, q)))
    }

    /// As [`Resolver::nullable`], where one driving column is known not to be NULL.
    fn nullable_unless(&self, at: ColumnAt, not_null: Option<usize>) -> bool {
        if at.place == Place::Driving && Some(at.column) == not_null {
            return false;
        }
        let own = self.view.table(at.place).columns[at.column].nullable;
        let way = match at.place {
            Place::Join(join) => self.view.joins[join]
                .equations
                .iter()
                // The equation holds in the joined row, so its side there is not NULL.
                .any(|&(_, source)| self.nullable_unless(source, not_null)),
            Place::Driving | Place::Target => false,
        };
        own || way
    }

    fn aggregate(
        &mut self,
        join: &Target,
        operation: Aggregate,
        select: &Expression,
    ) -> Option<Raw> {
        let mut scope = self.driving_scope();
        let reach = self.reach(join, &scope)?;
        let table = reach.table;
        scope.push((table.name.to_string(), Place::Target));
        scope.extend(join.table.iter().map(|name| (name.clone(), Place::Target)));
        let value = match select {
            Expression::Star => "*".to_owned(),
            select => self.target_sql(select, &reach, &scope, &join.path)?,
        };
        let sql = format!(
            "(SELECT {}({value}) FROM {} t WHERE {})",
            operation.sql(),
            quote_name(&table.name),
            self.view.equations_sql("t", &reach)
        );
        self.uses.columns.extend(reach.equations.iter().map(|&(_, source)| source));
        self.uses.computed = true;
        self.uses.aggregates.insert(self.view.aggregates.len());
        self.view.aggregates.push(reach);
        let absence = if operation == Aggregate::Count { Absence::Never } else { Absence::Unknown };
        // MIN and MAX give a value of the column's own type.
        let data_type = match (operation, select) {
            (Aggregate::Min | Aggregate::Max, Expression::Column(name)) => {
                table.column_index(&name.name).map(|at| table.columns[at].data_type.clone())
            }
            _ => None,
        };
        let operand = Operand { index: self.view.select(sql), data_type };
        Some(Raw { recipe: Recipe::Cell(operand), absence, null_value: None })
    }

    /// SQL of an expression over the inner table `t` of a subquery or array.
    pub(super) fn target_sql(
        &mut self,
        select: &Expression,
        reach: &Reach<'c>,
        scope: &Scope,
        path: &str,
    ) -> Option<String> {
        let sql = select.sql(&mut |name| {
            let at = self.target_column(name, reach, scope, path).ok_or(())?;
            Ok::<String, ()>(match at.place {
                Place::Target => column("t", &reach.table.columns[at.column].name),
                _ => {
                    self.uses.columns.insert(at);
                    self.view.column_sql(at)
                }
            })
        });
        sql.ok()
    }

    /// A column of the inner table (bare or under its name), or of a table in scope.
    pub(super) fn target_column(
        &mut self,
        name: &ColumnName,
        reach: &Reach<'c>,
        scope: &Scope,
        path: &str,
    ) -> Option<ColumnAt> {
        let inner = match &name.qualifier {
            None => true,
            Some(q) => scope
                .iter()
                .rev()
                .find(|(known, _)| same_name(known, q))
                .is_some_and(|(_, place)| *place == Place::Target),
        };
        if inner {
            let column = self.column(reach.table, &name.name, path)?;
            return Some(ColumnAt { place: Place::Target, column });
        }
        self.in_scope(name, scope, path)
    }

    fn case(
        &mut self,
        branches: &[(Expression, Expression)],
        otherwise: Option<&Expression>,
        path: &str,
    ) -> Option<Raw> {
        let scope = self.driving_scope();
        let mut sql = "(CASE".to_owned();
        let mut complete = true;
        for (when, then) in branches {
            let when = self.expression_sql(when, Some(Place::Driving), &scope, path);
            let then = self.expression_sql(then, Some(Place::Driving), &scope, path);
            match when.zip(then) {
                Some((when, then)) => sql.push_str(&format!(" WHEN {when} THEN {then}")),
                None => complete = false,
            }
        }
        if let Some(otherwise) = otherwise {
            let value = self.expression_sql(otherwise, Some(Place::Driving), &scope, path)?;
            sql.push_str(&format!(" ELSE {value}"));
        }
        sql.push_str(" END)");
        if !complete {
            return None;
        }
        self.uses.computed = true;
        let absence = if otherwise.is_some() { Absence::Unknown } else { Absence::Possible };
        let operand = Operand { index: self.view.select(sql), data_type: None };
        Some(Raw { recipe: Recipe::Cell(operand), absence, null_value: None })
    }
}
