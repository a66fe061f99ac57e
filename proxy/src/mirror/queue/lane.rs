//! Keys of one urgency in the order in which they came: entities take turns, each entity's keys in a row.
//! Never here: jobs, clocks.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::Target;

#[derive(Debug, Default)]
pub(super) struct Lane {
    /// Entities with places, in the order of their turns.
    turns: VecDeque<Arc<str>>,
    rows: HashMap<Arc<str>, Row>,
}

#[derive(Debug, Default)]
struct Row {
    places: VecDeque<Target>,
    /// Places at the front that were here at the last-but-one call of `grow_older`.
    overdue: usize,
    /// Places behind them that were here at the last one.
    old: usize,
}

impl Lane {
    pub fn push(&mut self, target: Target) {
        let row = self.rows.entry(target.entity.clone()).or_default();
        if row.places.is_empty() {
            self.turns.push_back(target.entity.clone());
        }
        row.places.push_back(target);
    }

    /// How many entities have places.
    pub fn entities(&self) -> usize {
        self.turns.len()
    }

    /// Gives `take` the places of the entity whose turn it is, of which those it looks at are gone, and puts
    /// the entity behind the others.
    pub fn next_entity(&mut self, mut take: impl FnMut(&str, &mut dyn Iterator<Item = Target>)) {
        let Some(entity) = self.turns.pop_front() else { return };
        let Some(row) = self.rows.get_mut(&entity) else { return };
        take(&entity, &mut std::iter::from_fn(|| row.pop()));
        match row.places.is_empty() {
            true => drop(self.rows.remove(&entity)),
            false => self.turns.push_back(entity),
        }
    }

    /// What is here at two calls in a row is overdue after the second.
    pub fn grow_older(&mut self) {
        for row in self.rows.values_mut() {
            row.overdue += row.old;
            row.old = row.places.len() - row.overdue;
        }
    }

    /// Takes out overdue places, `most` of them.
    pub fn overdue(&mut self, most: usize) -> Vec<Target> {
        let mut out = Vec::new();
        for row in self.rows.values_mut() {
            while row.overdue > 0 && out.len() < most {
                out.extend(row.pop());
            }
        }
        self.rows.retain(|_, row| !row.places.is_empty());
        self.turns.retain(|entity| self.rows.contains_key(entity));
        out
    }
}

impl Row {
    fn pop(&mut self) -> Option<Target> {
        let target = self.places.pop_front()?;
        if self.overdue > 0 {
            self.overdue -= 1;
        } else {
            self.old = self.old.saturating_sub(1);
        }
        Some(target)
    }
}

#[cfg(test)]
mod tests {
    use segue_rules::value::Cell;

    use super::*;

    fn target(entity: &str, key: u64) -> Target {
        Target { entity: entity.into(), table: "t".into(), key: vec![Cell::UInt(key)] }
    }

    fn take(lane: &mut Lane, most: usize) -> Vec<Target> {
        let mut taken = Vec::new();
        lane.next_entity(|_, places| taken.extend(places.take(most)));
        taken
    }

    #[test]
    fn entities_take_turns_and_leave_when_nothing_is_left() {
        let mut lane = Lane::default();
        for key in 0..2 {
            lane.push(target("A", key));
        }
        lane.push(target("B", 9));
        assert_eq!(take(&mut lane, 1), [target("A", 0)]);
        assert_eq!(take(&mut lane, 5), [target("B", 9)]);
        assert_eq!(take(&mut lane, 5), [target("A", 1)]);
        assert_eq!((lane.entities(), take(&mut lane, 5)), (0, vec![]));
    }

    #[test]
    fn a_place_is_overdue_after_one_whole_period() {
        let mut lane = Lane::default();
        lane.push(target("A", 0));
        lane.push(target("A", 1));
        lane.grow_older();
        lane.push(target("A", 2));
        assert!(lane.overdue(10).is_empty());
        assert_eq!(take(&mut lane, 1), [target("A", 0)]);
        lane.grow_older();
        assert_eq!(lane.overdue(10), [target("A", 1)]);
        lane.grow_older();
        assert_eq!((lane.overdue(10), lane.entities()), (vec![target("A", 2)], 0));
        lane.push(target("A", 3));
        assert_eq!(take(&mut lane, 1), [target("A", 3)]);
    }
}
