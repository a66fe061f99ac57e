//! What a process remembers of items between refreshes, and what each answer teaches it.
//! Never here: where it is kept, or how much.

use crate::value::ItemKey;

use super::{Event, Existing, Owner};

/// A moment in the order of learning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Moment(pub u64);

impl Moment {
    pub fn next(self) -> Moment {
        Moment(self.0 + 1)
    }
}

/// The tag of an item as last seen.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Seen {
    pub tag: String,
    pub owner: Owner,
    pub learnt: Moment,
}

impl Seen {
    /// Whether a write of this owner may rest on the tag, if its row was read from `moment` on.
    ///
    /// Another owner's tag would let a refresh delete or replace an item that is not its own.
    /// Without the limit another row's refresh could teach a tag between this row's read and its
    /// write, and the write would replace a newer item.
    pub fn serves(&self, owner: &Owner, moment: Moment) -> bool {
        self.learnt <= moment && self.owner == *owner
    }
}

/// What the end of a write teaches about the item key that it went to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lesson {
    /// Our item stands there, under this tag.
    Written { tag: String },
    /// There is no item of ours any more.
    Deleted,
    /// An item stands there.
    Found { tag: String, owner: Owner },
    /// Nothing is there, or nothing of ours.
    Unknown,
}

impl Lesson {
    /// `None`: the event ends no write.
    pub fn of(event: &Event) -> Option<Lesson> {
        match event {
            Event::PutDone { tag } => Some(Lesson::Written { tag: tag.clone() }),
            // Our own write had passed, and was sent again.
            Event::PutConflict { tag, existing: Some(existing) }
                if existing.tag.as_ref() == Some(tag) =>
            {
                Some(Lesson::Written { tag: tag.clone() })
            }
            Event::DeleteDone => Some(Lesson::Deleted),
            Event::PutConflict { existing, .. } | Event::DeleteConflict { existing } => {
                Some(Lesson::found(existing.as_ref()))
            }
            Event::Row(_) | Event::OwnerHolds(_) => None,
        }
    }

    fn found(existing: Option<&Existing>) -> Lesson {
        match existing.and_then(|item| item.tag.as_ref().zip(item.owner.as_ref())) {
            Some((tag, owner)) => Lesson::Found { tag: tag.clone(), owner: owner.clone() },
            None => Lesson::Unknown,
        }
    }
}

/// Whether a refresh that wrote an item must wait until no open transaction may move its row: where
/// other rows decide the item key as well, such a transaction may have read its old image before, and
/// nobody would take the item away. `settled`: the item key for which that was waited for before.
pub fn must_come_to_rest(
    shares_item_key: bool,
    settled: Option<&ItemKey>,
    home: Option<&ItemKey>,
) -> bool {
    shares_item_key && home.is_some() && settled != home
}

/// Whether an item is a stray: its row is gone, or its item key is another one now.
pub fn is_stray(item: &ItemKey, home: Option<&ItemKey>) -> bool {
    home != Some(item)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Attribute;

    #[test]
    fn a_tag_serves_its_owner_and_only_reads_that_began_after_it_was_learnt() {
        let owner = |name: &str| Owner { entity: name.into(), key: vec![Attribute::Null] };
        let seen = Seen { tag: "t".into(), owner: owner("me"), learnt: Moment(3) };
        assert!(seen.serves(&owner("me"), Moment(3)) && seen.serves(&owner("me"), Moment(4)));
        assert!(!seen.serves(&owner("me"), Moment(2)));
        assert!(!seen.serves(&owner("other"), Moment(4)));
    }

    #[test]
    fn what_another_tool_wrote_teaches_no_tag() {
        let existing = Some(Existing { tag: Some("t".into()), owner: None });
        assert_eq!(Lesson::of(&Event::DeleteConflict { existing }), Some(Lesson::Unknown));
        assert_eq!(Lesson::of(&Event::OwnerHolds(true)), None);
    }

    #[test]
    fn our_own_tag_in_a_conflict_teaches_that_our_item_stands_there() {
        let existing = Some(Existing { tag: Some("t".into()), owner: None });
        let event = Event::PutConflict { tag: "t".into(), existing };
        assert_eq!(Lesson::of(&event), Some(Lesson::Written { tag: "t".into() }));
    }

    #[test]
    fn a_new_home_must_come_to_rest() {
        let key =
            |name: &str| ItemKey { table: "T".into(), pk: Attribute::S(name.into()), sk: None };
        let (a, b) = (key("a"), key("b"));
        assert!(must_come_to_rest(true, None, Some(&a)));
        assert!(must_come_to_rest(true, Some(&b), Some(&a)));
        assert!(!must_come_to_rest(true, Some(&a), Some(&a)));
        assert!(!must_come_to_rest(true, None, None) && !must_come_to_rest(false, None, Some(&a)));
    }
}
