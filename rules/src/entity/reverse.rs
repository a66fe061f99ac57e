//! The ways back from joined tables to the driving rows that show them.
//! Never here: foreign-key actions (see `cascade`).

use std::collections::BTreeSet;

use super::plan::{Place, Reach, Uses};
use super::sql_text::{quote_name, row_constructor};
use super::view::ViewPlan;
use super::{EntityId, KeyedSelect, ReverseJoin};
use crate::value::TableName;

/// What an entity tells of the tables it reads.
#[derive(Debug, Default)]
pub(super) struct EntityReads {
    pub joins: Vec<(TableName, ReverseJoin)>,
    /// (table, column) pairs that take part in the item key.
    pub key_columns: BTreeSet<(TableName, usize)>,
}

/// Every hop of every join, aggregate and array has a way back of its own. A change of a hop's
/// column that leads to the next hop needs no more: the driving rows are found by the hop's own link.
pub(super) fn reads(entity: EntityId, view: &ViewPlan, key: &Uses) -> EntityReads {
    let mut reads = EntityReads::default();
    let key_joins: BTreeSet<usize> = (key.columns.iter())
        .filter_map(|at| match at.place {
            Place::Join(join) => Some(view.path_to(join)),
            _ => None,
        })
        .flatten()
        .collect();
    for (join, reach) in view.joins.iter().enumerate() {
        let decides = key_joins.contains(&join);
        let before = &view.path_to(join)[..];
        let before: Vec<usize> = before.iter().copied().filter(|hop| *hop != join).collect();
        reads.add(entity, view, reach, &before, decides);
    }
    for (i, reach) in view.aggregates.iter().enumerate() {
        reads.add(entity, view, reach, &[], key.aggregates.contains(&i));
    }
    for (i, child) in view.children.iter().enumerate() {
        reads.add(entity, view, &child.reach, &[], key.children.contains(&i));
    }
    for at in &key.columns {
        reads.key_column(view, at.place, at.column);
    }
    for join in key_joins {
        reads.link_key_columns(view, &view.joins[join]);
    }
    for &aggregate in &key.aggregates {
        // Any column of an aggregated row may count.
        let reach = &view.aggregates[aggregate];
        let columns = 0..reach.table.columns.len();
        reads.key_columns.extend(columns.map(|column| (reach.table.name.clone(), column)));
    }
    reads
}

impl EntityReads {
    fn key_column(&mut self, view: &ViewPlan, place: Place, column: usize) {
        let own_key = place == Place::Driving && view.row_key.contains(&column);
        if !own_key {
            self.key_columns.insert((view.table(place).name.clone(), column));
        }
    }

    fn link_key_columns(&mut self, view: &ViewPlan, reach: &Reach) {
        for &(target, source) in &reach.equations {
            self.key_columns.insert((reach.table.name.clone(), target));
            self.key_column(view, source.place, source.column);
        }
    }

    fn add(
        &mut self,
        entity: EntityId,
        view: &ViewPlan,
        reach: &Reach,
        before: &[usize],
        decides_item_key: bool,
    ) {
        let sources: Vec<String> =
            reach.equations.iter().map(|&(_, source)| view.column_sql(source)).collect();
        let hops: String = before.iter().map(|&hop| view.join_sql("JOIN", hop)).collect();
        let driving_keys = KeyedSelect {
            head: format!(
                "SELECT DISTINCT {} FROM {} d{hops} WHERE {} IN ",
                view.key_columns().join(", "),
                quote_name(&view.driving.name),
                row_constructor(&sources)
            ),
            width: sources.len(),
            tail: String::new(),
        };
        let link_columns: Vec<usize> = reach.equations.iter().map(|(target, _)| *target).collect();
        let known = self.joins.iter_mut().find(|(table, join)| {
            *table == reach.table.name
                && join.link_columns == link_columns
                && join.driving_keys == driving_keys
        });
        match known {
            Some((_, join)) => join.decides_item_key |= decides_item_key,
            None => self.joins.push((
                reach.table.name.clone(),
                ReverseJoin { entity, link_columns, driving_keys, decides_item_key },
            )),
        }
    }
}
