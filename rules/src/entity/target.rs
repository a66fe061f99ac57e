//! Finds out which table a join reaches and which columns its condition equates.
//! Never here: what is then read from the joined row.

use super::plan::{ColumnAt, Place, Reach};
use super::resolve::{Resolver, is_number};
use crate::catalog::{Table, TableKind};
use crate::contract::{ColumnName, Equation, Target, codes};

/// A name in reach of a condition: as the contract spells it, and the place it stands for.
pub(super) type Scope = Vec<(String, Place)>;

/// Whether a name in the contract means this table or alias.
pub(super) fn same_name(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b)
}

impl<'c> Resolver<'_, 'c> {
    /// Looks a table up and reports if it is missing, a view, or without row key.
    pub(super) fn mapped_table(&mut self, name: &str, path: &str) -> Option<&'c Table> {
        mapped_table(self.catalog, name, path, self.findings)
    }

    pub(super) fn column(&mut self, table: &Table, name: &str, path: &str) -> Option<usize> {
        let found = table.column_index(name);
        if found.is_none() {
            let columns: Vec<&str> = table.columns.iter().map(|c| c.name.as_str()).collect();
            self.findings.report(
                &codes::MISSING_COLUMN,
                path,
                format!("`{}` has no column `{name}`; it has {}", table.name, columns.join(", ")),
            );
        }
        found
    }

    /// Resolves a join condition. In each equation one side is the joined table; where both sides
    /// bear its name (a table joined to itself without alias), it is the side written first.
    pub(super) fn reach(&mut self, target: &Target, scope: &Scope) -> Option<Reach<'c>> {
        let table = match (&target.table, &target.alias) {
            (Some(name), _) => self.mapped_table(name, &target.path)?,
            (None, Some(alias)) => self.self_join_table(target, alias),
            (None, None) => self.view.driving,
        };
        let written = target.alias.as_deref().or(target.table.as_deref()).unwrap_or(&table.name);
        let mut equations = Vec::new();
        for equation in &target.equations {
            equations.push(self.equation(equation, written, table, scope, &target.path)?);
        }
        Some(Reach { table, equations })
    }

    /// The table of a self-join without `target_table`: where the driving columns of the condition
    /// carry a foreign key to the columns it names, that key's parent; else the source table.
    fn self_join_table(&mut self, target: &Target, alias: &str) -> &'c Table {
        let driving = self.view.driving;
        let is_alias = |name: &ColumnName| {
            name.qualifier.as_deref().is_some_and(|qualifier| same_name(qualifier, alias))
        };
        let pairs: Vec<(&str, &str)> = (target.equations.iter())
            .map(|equation| match is_alias(&equation.left) {
                true => (equation.right.name.as_str(), equation.left.name.as_str()),
                false => (equation.left.name.as_str(), equation.right.name.as_str()),
            })
            .collect();
        let parent = driving.foreign_keys.iter().find(|key| {
            key.columns.len() == pairs.len()
                && key.columns.iter().zip(&key.parent_columns).all(|(&child, parent)| {
                    let child = &driving.columns[child].name;
                    pairs.iter().any(|(c, p)| same_name(c, child) && same_name(p, parent))
                })
        });
        let Some(parent) = parent.and_then(|key| self.catalog.table(&key.parent)) else {
            return driving;
        };
        if parent.name != driving.name {
            self.findings.report_with_hint(
                &codes::SELF_JOIN_ELSEWHERE,
                &target.path,
                format!(
                    "`{alias}` is read as `{}`, which the foreign key of the condition references, not as `{}`",
                    parent.name, driving.name
                ),
                format!("Add `\"target_table\": \"{}\"`.", parent.name),
            );
        }
        parent
    }

    fn equation(
        &mut self,
        equation: &Equation,
        target: &str,
        table: &'c Table,
        scope: &Scope,
        path: &str,
    ) -> Option<(usize, ColumnAt)> {
        let is_target = |name: &ColumnName| {
            name.qualifier.as_deref().is_some_and(|qualifier| same_name(qualifier, target))
        };
        let (joined, source) = match (is_target(&equation.left), is_target(&equation.right)) {
            (true, _) => (&equation.left, &equation.right),
            (false, true) => (&equation.right, &equation.left),
            (false, false) => {
                self.findings.report(
                    &codes::JOIN_SCOPE,
                    path,
                    format!("`{} = {}` does not name `{target}`", equation.left, equation.right),
                );
                return None;
            }
        };
        let column = self.column(table, &joined.name, path);
        let source = self.in_scope(source, scope, path);
        Some((column?, source?))
    }

    /// A qualified column of a table in reach; the nearest hop wins where names repeat.
    pub(super) fn in_scope(
        &mut self,
        name: &ColumnName,
        scope: &Scope,
        path: &str,
    ) -> Option<ColumnAt> {
        let qualifier = name.qualifier.as_deref().unwrap_or_default();
        let place =
            scope.iter().rev().find(|(known, _)| same_name(known, qualifier)).map(|(_, p)| *p);
        let Some(place) = place else {
            let known: Vec<&str> = scope.iter().map(|(known, _)| known.as_str()).collect();
            self.findings.report(
                &codes::JOIN_SCOPE,
                path,
                format!(
                    "`{name}`: `{qualifier}` is not in reach; in reach are {}",
                    known.join(", ")
                ),
            );
            return None;
        };
        let column = self.column(self.view.table(place), &name.name, path)?;
        Some(ColumnAt { place, column })
    }

    /// Adds a LEFT JOIN; a join that may find several rows is refused.
    pub(super) fn join(&mut self, reach: Reach<'c>, path: &str) -> Place {
        // A text compared with a number is compared as a number: '1' and '01' both equal 1, so a
        // unique text column does not make such a join single.
        let single = |&(column, source): &(usize, ColumnAt)| {
            let source = &self.view.table(source.place).columns[source.column].data_type;
            is_number(&reach.table.columns[column].data_type) || !is_number(source)
        };
        let columns: Vec<usize> =
            reach.equations.iter().filter(|e| single(e)).map(|(column, _)| *column).collect();
        if !covers_unique_key(reach.table, |column| columns.contains(&column)) {
            self.findings.report(
                &codes::JOIN_MULTIPLIES,
                path,
                format!("the columns of the condition are no unique key of `{}`", reach.table.name),
            );
        }
        Place::Join(self.view.join(reach))
    }

    /// A declared foreign key guarantees that the joined row exists (where the columns are not NULL).
    pub(super) fn backed(&self, reach: &Reach) -> bool {
        let Some(&(_, ColumnAt { place, .. })) = reach.equations.first() else { return false };
        self.view.table(place).foreign_keys.iter().any(|key| {
            same_name(&key.parent, &reach.table.name)
                && key.columns.len() == reach.equations.len()
                && reach.equations.iter().all(|&(target, source)| {
                    source.place == place
                        && key.columns.iter().zip(&key.parent_columns).any(|(&child, parent)| {
                            child == source.column
                                && same_name(parent, &reach.table.columns[target].name)
                        })
                })
        })
    }
}

/// Whether the columns contain the primary key or an exact unique key.
pub(super) fn covers_unique_key(table: &Table, has: impl Fn(usize) -> bool) -> bool {
    let covered = |columns: &[usize]| !columns.is_empty() && columns.iter().all(|&c| has(c));
    covered(&table.primary_key)
        || table.unique_keys.iter().any(|key| key.exact && covered(&key.columns))
}

pub(super) fn mapped_table<'c>(
    catalog: &'c crate::catalog::Catalog,
    name: &str,
    path: &str,
    findings: &mut crate::contract::Findings,
) -> Option<&'c Table> {
    let Some(table) = catalog.table(name) else {
        let message = format!("`{}` has no table `{name}`", catalog.database);
        findings.report(&codes::MISSING_TABLE, path, message);
        return None;
    };
    if table.kind == TableKind::View {
        findings.report(&codes::VIEW, path, format!("`{name}` is a view"));
        return None;
    }
    if table.row_key().is_none() {
        findings.report(&codes::NO_ROW_KEY, path, format!("the rows of `{name}` have no identity"));
        return None;
    }
    Some(table)
}
