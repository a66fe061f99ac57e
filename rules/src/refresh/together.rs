//! The writes of a refresh all at once, for several rows whose items are written in one transaction.
//! Never here: which rows those are, or sending anything.

use super::{Event, Existing, Refresh, RowImage, State, Step};
use crate::refresh::Condition;
use crate::value::ItemKey;

/// One write of a refresh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    pub key: ItemKey,
    pub expect: Condition,
    /// The item built from the row, or nothing.
    pub put: bool,
}

impl Refresh {
    /// Every write that the row read last asks for, if all of them pass. `step`: what the read led to. `None`:
    /// it takes more than writes.
    ///
    /// Found by rehearsal: a copy of the machine is told that each write passed, and that the row stays as
    /// it is. So what is written together is what would be written one after the other.
    pub fn writes(&self, step: &Step) -> Option<Vec<Write>> {
        let (mut rehearsed, mut step) = (self.clone(), step.clone());
        let (mut writes, mut home) = (Vec::new(), None);
        loop {
            step = match step {
                Step::Done => return Some(writes),
                Step::Put { key, expect } => {
                    home = Some(key.clone());
                    writes.push(Write { key, expect, put: true });
                    rehearsed.next(Event::PutDone { tag: String::new() })
                }
                Step::Delete { key, expect } => {
                    writes.push(Write { key, expect, put: false });
                    rehearsed.next(Event::DeleteDone)
                }
                Step::RereadAfterCreate => {
                    let image = RowImage::Present { key: home.clone()?, tag: None };
                    rehearsed.next(Event::Row(image))
                }
                Step::ReadRow | Step::CheckOwner { .. } | Step::Park { .. } => return None,
            };
        }
    }

    /// One of the deletes that were sent together failed its condition, and so nothing was carried out. What the
    /// item teaches is kept; call [`Refresh::again`] next, or tell of the put if it failed as well.
    pub fn delete_refused(&mut self, key: &ItemKey, existing: Option<Existing>) {
        let state = self.state.clone();
        let _ = self.delete_conflict(key.clone(), Vec::new(), existing);
        self.state = state;
    }

    /// Starts again at the read.
    pub fn again(&mut self) -> Step {
        self.read()
    }

    /// Whether it waits for the row to be read.
    pub fn is_reading(&self) -> bool {
        matches!(self.state, State::Reading { .. })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::refresh::Owner;
    use crate::value::Attribute;

    fn item(name: &str) -> ItemKey {
        ItemKey { table: "T".into(), pk: Attribute::S(name.into()), sk: None }
    }

    fn me() -> Owner {
        Owner { entity: "E".into(), key: vec![Attribute::N("1".into())] }
    }

    fn refresh(stale: &[&str], tags: &[(&str, &str)]) -> Refresh {
        let stale: BTreeSet<ItemKey> = stale.iter().map(|name| item(name)).collect();
        let tags: BTreeMap<ItemKey, String> =
            tags.iter().map(|(name, tag)| (item(name), (*tag).to_owned())).collect();
        Refresh::new(me(), None, stale, tags)
    }

    fn present(name: &str) -> Event {
        Event::Row(RowImage::Present { key: item(name), tag: None })
    }

    fn write(name: &str, tag: Option<&str>, put: bool) -> Write {
        let expect = tag.map_or(Condition::Absent, |tag| Condition::Tag(tag.to_owned()));
        Write { key: item(name), expect, put }
    }

    #[test]
    fn a_moved_item_is_put_and_its_old_one_deleted_together() {
        let mut machine = refresh(&["old"], &[("old", "t")]);
        let step = machine.next(present("new"));
        let writes = machine.writes(&step).unwrap();
        assert_eq!(writes, [write("new", None, true), write("old", Some("t"), false)]);
    }

    #[test]
    fn a_row_that_is_gone_takes_all_its_items_along() {
        let mut machine = refresh(&["a", "b"], &[("a", "t")]);
        let step = machine.next(Event::Row(RowImage::Gone));
        let writes = machine.writes(&step).unwrap();
        assert_eq!(writes, [write("b", None, false), write("a", Some("t"), false)]);
    }

    #[test]
    fn what_cannot_be_written_has_no_writes() {
        let mut machine = refresh(&[], &[]);
        let image = RowImage::Unbuildable { reason: "large".into() };
        let step = machine.next(Event::Row(image));
        assert_eq!(machine.writes(&step), None);
    }

    #[test]
    fn every_refused_write_teaches_and_nothing_is_forgotten() {
        let mut machine = refresh(&["old"], &[]);
        let step = machine.next(present("new"));
        assert_eq!(machine.writes(&step).unwrap().len(), 2);
        let ours = |tag: &str| Some(Existing { tag: Some(tag.into()), owner: Some(me()) });
        machine.delete_refused(&item("old"), ours("t1"));
        let put = Event::PutConflict { tag: "mine".into(), existing: ours("t2") };
        assert_eq!(machine.next(put), Step::ReadRow);
        assert!(machine.is_reading());
        let step = machine.next(present("new"));
        let writes = machine.writes(&step).unwrap();
        assert_eq!(writes, [write("new", Some("t2"), true), write("old", Some("t1"), false)]);
    }

    #[test]
    fn another_rows_item_is_no_candidate_any_more() {
        let mut machine = refresh(&["old"], &[("old", "t")]);
        machine.next(Event::Row(RowImage::Gone));
        let other = Owner { entity: "E".into(), key: vec![Attribute::N("2".into())] };
        let existing = Existing { tag: Some("u".into()), owner: Some(other) };
        machine.delete_refused(&item("old"), Some(existing));
        assert_eq!(machine.again(), Step::ReadRow);
        let step = machine.next(Event::Row(RowImage::Gone));
        assert_eq!(machine.writes(&step), Some(vec![]));
    }

    #[test]
    fn the_rehearsal_leaves_the_machine_where_it_was() {
        let mut machine = refresh(&["old"], &[("old", "t"), ("new", "n")]);
        let step = machine.next(present("new"));
        let before = machine.clone();
        assert!(machine.writes(&step).is_some());
        assert_eq!(machine, before);
    }
}
