//! The entity's query: columns, joins and embedded arrays, collected and then written as SQL.
//! Never here: contract syntax, or how attributes are made of the rows.

use std::collections::BTreeSet;

use super::plan::{ColumnAt, Place, Reach, Uses};
use super::sql_text::{column, quote_name, row_constructor};
use super::{KeyedSelect, ViewQuery};
use crate::catalog::{DataType, Table};

/// An embedded array: one further SELECT.
#[derive(Debug)]
pub(super) struct ChildPlan<'c> {
    pub reach: Reach<'c>,
    /// SQL of the columns after the driving key.
    pub columns: Vec<String>,
    pub order: Vec<String>,
}

/// What an entity's query selects. Columns are deduplicated by their text.
#[derive(Debug)]
pub(super) struct ViewPlan<'c> {
    pub driving: &'c Table,
    pub row_key: Vec<usize>,
    pub columns: Vec<String>,
    pub joins: Vec<Reach<'c>>,
    pub aggregates: Vec<Reach<'c>>,
    pub children: Vec<ChildPlan<'c>>,
}

impl<'c> ViewPlan<'c> {
    /// `row_key` must be the driving table's row key.
    pub(super) fn new(driving: &'c Table, row_key: &[usize]) -> ViewPlan<'c> {
        let columns = row_key.iter().map(|&key| column("d", &driving.columns[key].name)).collect();
        ViewPlan {
            driving,
            row_key: row_key.to_vec(),
            columns,
            joins: Vec::new(),
            aggregates: Vec::new(),
            children: Vec::new(),
        }
    }

    /// The table at a place; `Target` has none in the view.
    pub(super) fn table(&self, place: Place) -> &'c Table {
        match place {
            Place::Join(join) => self.joins[join].table,
            Place::Driving | Place::Target => self.driving,
        }
    }

    pub(super) fn column_sql(&self, at: ColumnAt) -> String {
        column(&alias(at.place), &self.table(at.place).columns[at.column].name)
    }

    /// Position of a selected expression, selected now if it was not yet.
    pub(super) fn select(&mut self, sql: String) -> usize {
        self.columns.iter().position(|selected| *selected == sql).unwrap_or_else(|| {
            self.columns.push(sql);
            self.columns.len() - 1
        })
    }

    /// Index of a join; joins over one table by the same equations are one join.
    pub(super) fn join(&mut self, reach: Reach<'c>) -> usize {
        let same = |other: &Reach<'c>| {
            other.table.name == reach.table.name
                && other.equations.len() == reach.equations.len()
                && other.equations.iter().all(|equation| reach.equations.contains(equation))
        };
        self.joins.iter().position(same).unwrap_or_else(|| {
            self.joins.push(reach);
            self.joins.len() - 1
        })
    }

    /// A joined place and all places its equations lead through, nearest the driving table first.
    pub(super) fn path_to(&self, join: usize) -> Vec<usize> {
        let mut path = vec![join];
        let mut next = 0;
        while let Some(&at) = path.get(next) {
            for (_, source) in &self.joins[at].equations {
                if let Place::Join(before) = source.place
                    && !path.contains(&before)
                {
                    path.push(before);
                }
            }
            next += 1;
        }
        // A join's sources always have smaller indexes than the join itself.
        path.sort_unstable();
        path
    }

    /// `a.`x` = b.`y` AND ..` for a joined table under `alias`.
    pub(super) fn equations_sql(&self, alias: &str, reach: &Reach) -> String {
        let equations: Vec<String> = (reach.equations.iter())
            .map(|&(target, source)| {
                let target = column(alias, &reach.table.columns[target].name);
                format!("{target} = {}", self.column_sql(source))
            })
            .collect();
        equations.join(" AND ")
    }

    /// ` JOIN `t` j1 ON ..` for one join; `kind` is `LEFT JOIN` or `JOIN`.
    pub(super) fn join_sql(&self, kind: &str, join: usize) -> String {
        let reach = &self.joins[join];
        let alias = alias(Place::Join(join));
        let table = quote_name(&reach.table.name);
        format!(" {kind} {table} {alias} ON {}", self.equations_sql(&alias, reach))
    }

    pub(super) fn key_columns(&self) -> Vec<String> {
        self.row_key.iter().map(|&key| column("d", &self.driving.columns[key].name)).collect()
    }

    pub(super) fn query(&self) -> ViewQuery {
        let key = self.key_columns();
        let condition = format!(" WHERE {} IN ", row_constructor(&key));
        let driving = quote_name(&self.driving.name);
        let joins: String = (0..self.joins.len()).map(|j| self.join_sql("LEFT JOIN", j)).collect();
        let main = KeyedSelect {
            head: format!("SELECT {} FROM {driving} d{joins}{condition}", self.columns.join(", ")),
            width: key.len(),
            tail: String::new(),
        };
        let children = self.children.iter().map(|child| self.child_query(child, &key)).collect();
        let (scan_first, scan_next, scan_next_parameters) = scan(self.driving, &self.row_key);
        ViewQuery {
            key_width: key.len(),
            main,
            children,
            scan_first,
            scan_next,
            scan_next_parameters,
        }
    }

    /// Selects, by row keys, the rows that decide the item key, and no others: whoever locks them must not
    /// wait for what an item only shows.
    pub(super) fn key_query(&self, key: &Uses) -> KeyedSelect {
        if !key.aggregates.is_empty() || !key.children.is_empty() {
            return self.query().main;
        }
        let hops = key.columns.iter().filter_map(|at| match at.place {
            Place::Join(join) => Some(self.path_to(join)),
            _ => None,
        });
        let joins: BTreeSet<usize> = hops.flatten().collect();
        let joins: String = joins.into_iter().map(|j| self.join_sql("LEFT JOIN", j)).collect();
        let row_key = self.key_columns();
        // A joined table of which nothing is selected might be left out by the server.
        let mut columns = row_key.clone();
        columns.extend(key.columns.iter().map(|&at| self.column_sql(at)));
        let (driving, columns) = (quote_name(&self.driving.name), columns.join(", "));
        let condition = format!(" WHERE {} IN ", row_constructor(&row_key));
        KeyedSelect {
            head: format!("SELECT {columns} FROM {driving} d{joins}{condition}"),
            width: row_key.len(),
            tail: String::new(),
        }
    }

    fn child_query(&self, child: &ChildPlan, key: &[String]) -> KeyedSelect {
        let columns: Vec<&str> = key.iter().chain(&child.columns).map(String::as_str).collect();
        let order: Vec<&str> = key.iter().chain(&child.order).map(String::as_str).collect();
        KeyedSelect {
            head: format!(
                "SELECT {} FROM {} d JOIN {} t ON {} WHERE {} IN ",
                columns.join(", "),
                quote_name(&self.driving.name),
                quote_name(&child.reach.table.name),
                self.equations_sql("t", &child.reach),
                row_constructor(key)
            ),
            width: key.len(),
            tail: format!(" ORDER BY {}", order.join(", ")),
        }
    }
}

pub(super) fn alias(place: Place) -> String {
    match place {
        Place::Driving => "d".to_owned(),
        Place::Join(join) => format!("j{}", join + 1),
        Place::Target => "t".to_owned(),
    }
}

/// Keyset scan of the row keys: first page, further pages, and the key positions that fill the
/// further pages' parameters.
fn scan(table: &Table, row_key: &[usize]) -> (String, String, Vec<usize>) {
    // ENUM and SET sort by number but compare with text as text: scan them as text.
    let order: Vec<String> = (row_key.iter())
        .map(|&key| {
            let name = column("d", &table.columns[key].name);
            match table.columns[key].data_type {
                DataType::Enum { .. } | DataType::Set { .. } => format!("CAST({name} AS CHAR)"),
                _ => name,
            }
        })
        .collect();
    let key: Vec<String> =
        row_key.iter().map(|&key| column("d", &table.columns[key].name)).collect();
    let head = format!("SELECT {} FROM {} d", key.join(", "), quote_name(&table.name));
    let tail = format!(" ORDER BY {} LIMIT ?", order.join(", "));
    let mut parameters = Vec::new();
    let mut condition = String::new();
    if order.len() == 1 {
        condition = format!("{} > ?", order[0]);
        parameters.push(0);
    } else {
        // The first conjunct alone makes the range sargable; row comparisons are not, in MySQL.
        condition.push_str(&format!("{} >= ? AND (", order[0]));
        parameters.push(0);
        for last in 0..order.len() {
            let equal = order[..last].iter().map(|name| format!("{name} = ? AND "));
            let separator = if last == 0 { "" } else { " OR " };
            let equal: String = equal.collect();
            condition.push_str(&format!("{separator}({equal}{} > ?)", order[last]));
            parameters.extend(0..=last);
        }
        condition.push(')');
    }
    (format!("{head}{tail}"), format!("{head} WHERE {condition}{tail}"), parameters)
}
