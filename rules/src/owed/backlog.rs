//! Committed debts that wait in the journal alone, because enough of their tables' debts are worked on: in
//! memory only where their records are.
//! Never here: reading records, the books, how much is enough.
//!
//! Bounded by the rows that are owed rather than by the writes: a debt that asks for exactly what an earlier
//! one asks for takes its place.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use crate::value::TableName;

/// A debt's captured entries, counted by table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Shape(Vec<(TableName, u32)>);

impl Shape {
    pub fn of<'a>(tables: impl IntoIterator<Item = &'a TableName>) -> Shape {
        let mut counts: BTreeMap<&TableName, u32> = BTreeMap::new();
        for table in tables {
            *counts.entry(table).or_default() += 1;
        }
        Shape(counts.into_iter().map(|(table, count)| (table.clone(), count)).collect())
    }

    pub fn counts(&self) -> impl Iterator<Item = (&TableName, u64)> {
        self.0.iter().map(|(table, count)| (table, u64::from(*count)))
    }

    pub fn tables(&self) -> impl Iterator<Item = &TableName> {
        self.0.iter().map(|(table, _)| table)
    }
}

/// Names what a debt asks for: equal prints, equal work. Two numbers, so that no two debts ever meet by chance.
pub type Print = (u64, u64);

/// A debt of which only the record is known. `R`: journal records; `T`: moments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shelved<R, T> {
    pub record: R,
    /// Since when its rows are owed: with merged ones, the first of them.
    pub since: T,
    pub shape: Arc<Shape>,
}

/// Debts of one set of tables, oldest first.
#[derive(Clone, Debug)]
struct Lane<R, T> {
    waiting: VecDeque<Shelved<R, T>>,
    /// Number of the first one, counted from the lane's beginning.
    first: u64,
    /// Numbers of the debts that others may take the place of. Those below `first` are stale.
    prints: BTreeMap<Print, u64>,
    /// Shapes are shared: most debts of a lane have the same.
    shapes: BTreeSet<Arc<Shape>>,
}

impl<R, T> Default for Lane<R, T> {
    fn default() -> Self {
        let (waiting, first, prints, shapes) = Default::default();
        Lane { waiting, first, prints, shapes }
    }
}

/// Lanes beyond which further sets of tables share one.
const LANES_MAX: usize = 256;

/// Shapes that one lane shares.
const SHAPES_MAX: usize = 64;

/// Stale prints that are kept before they are looked for.
const STALE_PRINTS_MAX: usize = 1_024;

/// A lane for each set of tables, so that tables whose store is away hold up no others.
#[derive(Clone, Debug)]
pub struct Backlog<R, T> {
    lanes: BTreeMap<Vec<TableName>, Lane<R, T>>,
    /// Lanes take turns: the next one that is looked at.
    turn: usize,
    len: usize,
}

impl<R, T> Default for Backlog<R, T> {
    fn default() -> Self {
        Backlog { lanes: BTreeMap::new(), turn: 0, len: 0 }
    }
}

impl<R, T: Copy + Ord> Backlog<R, T> {
    /// Puts a debt aside. `print`: where it may take an earlier one's place. Returns the earlier debt whose place
    /// it takes, which is done with: whoever refreshes for this one does it for that one.
    pub fn shelve(
        &mut self,
        record: R,
        since: T,
        shape: Shape,
        print: Option<Print>,
    ) -> Option<Shelved<R, T>> {
        let mut tables: Vec<TableName> = shape.tables().cloned().collect();
        if self.lanes.len() >= LANES_MAX && !self.lanes.contains_key(&tables) {
            tables.clear();
        }
        let lane = self.lanes.entry(tables).or_default();
        let shape = lane.shared(shape);
        let number = lane.first + lane.waiting.len() as u64;
        let earlier = print.and_then(|print| lane.prints.insert(print, number));
        if let (Some(print), Some(earlier)) = (print, earlier)
            && let Some(at) = earlier.checked_sub(lane.first)
            && let Some(held) = lane.waiting.get_mut(at as usize)
        {
            lane.prints.insert(print, earlier);
            let shelved = Shelved { record, since: held.since.min(since), shape };
            return Some(std::mem::replace(held, shelved));
        }
        lane.waiting.push_back(Shelved { record, since, shape });
        self.len += 1;
        None
    }

    /// Takes up to `most` of the next lane that has room. `admit`: whether one more debt of such a shape is to
    /// be worked on; where it says so, the debt is taken.
    pub fn take(
        &mut self,
        most: usize,
        mut admit: impl FnMut(&Shape) -> bool,
    ) -> Vec<Shelved<R, T>> {
        let lanes = self.lanes.len();
        for at in (0..lanes).map(|step| (self.turn + step) % lanes) {
            let Some((tables, lane)) = self.lanes.iter_mut().nth(at) else { continue };
            let mut taken = Vec::new();
            while taken.len() < most && lane.waiting.front().is_some_and(|f| admit(&f.shape)) {
                taken.extend(lane.waiting.pop_front());
            }
            if taken.is_empty() {
                continue;
            }
            lane.first += taken.len() as u64;
            lane.forget_stale();
            self.len -= taken.len();
            self.turn = at + 1;
            if lane.waiting.is_empty() {
                let tables = tables.clone();
                self.lanes.remove(&tables);
            }
            return taken;
        }
        Vec::new()
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Since when the oldest of them is owed.
    pub fn oldest(&self) -> Option<T> {
        self.lanes.values().filter_map(|lane| lane.waiting.front()).map(|front| front.since).min()
    }

    /// All of them, in the order of lanes.
    pub fn iter(&self) -> impl Iterator<Item = &Shelved<R, T>> {
        self.lanes.values().flat_map(|lane| &lane.waiting)
    }
}

impl<R, T> Lane<R, T> {
    fn shared(&mut self, shape: Shape) -> Arc<Shape> {
        if let Some(shared) = self.shapes.get(&shape) {
            return shared.clone();
        }
        let shape = Arc::new(shape);
        if self.shapes.len() < SHAPES_MAX {
            self.shapes.insert(shape.clone());
        }
        shape
    }

    fn forget_stale(&mut self) {
        if self.prints.len() > self.waiting.len() + STALE_PRINTS_MAX.max(self.waiting.len()) {
            let first = self.first;
            self.prints.retain(|_, number| *number >= first);
            self.waiting.shrink_to(self.waiting.len() * 2);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn shape(tables: &[&str]) -> Shape {
        let tables: Vec<TableName> = tables.iter().map(|name| (*name).into()).collect();
        Shape::of(&tables)
    }

    fn records(shelved: &[Shelved<u32, u64>]) -> Vec<u32> {
        shelved.iter().map(|shelved| shelved.record).collect()
    }

    #[test]
    fn a_debt_takes_the_place_of_an_earlier_one_that_asks_for_the_same() {
        let mut backlog = Backlog::default();
        assert_eq!(backlog.shelve(1, 10, shape(&["a"]), Some((1, 1))), None);
        assert_eq!(backlog.shelve(2, 11, shape(&["a"]), Some((2, 2))), None);
        let earlier = backlog.shelve(3, 12, shape(&["a"]), Some((1, 1))).unwrap();
        assert_eq!((earlier.record, backlog.len(), backlog.oldest()), (1, 2, Some(10)));
        assert_eq!(backlog.shelve(4, 13, shape(&["a"]), None), None);
        assert_eq!(records(&backlog.take(9, |_| true)), [3, 2, 4]);
        assert!(backlog.is_empty());
        // What was taken is worked on already: it may have been read before this one.
        assert_eq!(backlog.shelve(5, 14, shape(&["a"]), Some((1, 1))), None);
    }

    #[test]
    fn what_was_taken_is_not_superseded_though_its_lane_goes_on() {
        let mut backlog = Backlog::default();
        for record in 0..3 {
            backlog.shelve(record, 0, shape(&["a"]), Some((u64::from(record), 0)));
        }
        assert_eq!(records(&backlog.take(1, |_| true)), [0]);
        assert_eq!(backlog.shelve(9, 1, shape(&["a"]), Some((0, 0))), None);
        assert_eq!(records(&backlog.take(9, |_| true)), [1, 2, 9]);
    }

    #[test]
    fn tables_without_room_hold_up_no_others() {
        let mut backlog = Backlog::default();
        for record in 0..4 {
            backlog.shelve(record, 0, shape(&["a"]), None);
        }
        backlog.shelve(7, 0, shape(&["b"]), None);
        backlog.shelve(8, 0, shape(&["a", "b"]), None);
        let room = |shape: &Shape| shape.tables().all(|table| &**table != "a");
        assert_eq!(records(&backlog.take(9, room)), [7]);
        assert!(backlog.take(9, room).is_empty());
        let mut order = Vec::new();
        while !backlog.is_empty() {
            order.extend(records(&backlog.take(2, |_| true)));
        }
        let at = order.iter().position(|record| *record == 8);
        assert!(at <= Some(2), "lanes take turns: {order:?}");
    }

    #[test]
    fn further_sets_of_tables_share_a_lane() {
        let mut backlog = Backlog::default();
        for record in 0..2_000_u32 {
            backlog.shelve(record, 0, shape(&[&record.to_string()]), None);
        }
        assert_eq!(backlog.lanes.len(), LANES_MAX + 1);
        let mut seen = BTreeSet::new();
        while !backlog.is_empty() {
            seen.extend(records(&backlog.take(7, |_| true)));
        }
        assert_eq!(seen.len(), 2_000);
    }

    proptest! {
        /// Whatever is shelved is taken, or is superseded by something of the same print that is taken later.
        #[test]
        fn nothing_is_forgotten(steps in proptest::collection::vec((0..5_u64, 0..3_usize, any::<bool>()), 0..200)) {
            let mut backlog = Backlog::default();
            let (mut waiting, mut record) = (BTreeMap::new(), 0);
            let take = |backlog: &mut Backlog<u32, u64>, waiting: &mut BTreeMap<u32, u64>, most| {
                for taken in backlog.take(most, |_| true) {
                    assert!(waiting.remove(&taken.record).is_some(), "taken twice");
                }
                assert_eq!(backlog.len(), waiting.len());
            };
            for (print, most, named) in steps {
                record += 1;
                let superseded = backlog.shelve(
                    record, u64::from(record), shape(&["a"]), named.then_some((print, 0)),
                );
                waiting.insert(record, if named { print } else { 99 });
                if let Some(earlier) = superseded {
                    assert_eq!(waiting.remove(&earlier.record), Some(print));
                }
                take(&mut backlog, &mut waiting, most);
            }
            while !backlog.is_empty() {
                take(&mut backlog, &mut waiting, 3);
            }
            assert!(waiting.is_empty());
        }
    }
}
