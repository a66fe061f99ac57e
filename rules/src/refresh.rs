//! The refresh of one driving row as a state machine: what to do next, given what the stores said.
//! Never here: I/O, tags being made, retries after faults (a fault starts the machine anew).

use std::collections::{BTreeMap, BTreeSet};

use crate::value::{Attribute, ItemKey};

/// Who an item belongs to, as its bookkeeping says: the entity's name and the driving row's key in
/// its stored form.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Owner {
    pub entity: String,
    pub key: Vec<Attribute>,
}

/// The condition of a write: what the item at the key must be when the write arrives.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Condition {
    Absent,
    Tag(String),
    /// There, but without a tag: another tool wrote it.
    Untagged,
}

/// What a failed condition returned of the item as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Existing {
    pub tag: Option<String>,
    pub owner: Option<Owner>,
}

impl Existing {
    fn condition(&self) -> Condition {
        self.tag.clone().map_or(Condition::Untagged, Condition::Tag)
    }
}

/// What a read of the driving row found.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RowImage {
    /// No row, or a row that has no item.
    Gone,
    /// `tag`: the tag known for this item key before the read began, if one was.
    Present { key: ItemKey, tag: Option<String> },
    /// The row has an item, but it cannot be written.
    Unbuildable { reason: String },
}

/// What happened since the last step.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    Row(RowImage),
    PutDone {
        tag: String,
    },
    /// `tag` is the one that the put tried to write.
    PutConflict {
        tag: String,
        existing: Option<Existing>,
    },
    DeleteDone,
    DeleteConflict {
        existing: Option<Existing>,
    },
    /// Whether the row asked about by `CheckOwner` lives under that item key now.
    OwnerHolds(bool),
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// Read the committed driving row through the view query.
    ReadRow,
    /// The same read, after a put created an item: the row may have gone since.
    RereadAfterCreate,
    /// Put the item built from the last read.
    Put {
        key: ItemKey,
        expect: Condition,
    },
    Delete {
        key: ItemKey,
        expect: Condition,
    },
    /// Read the other row and say whether its item key is `key`.
    CheckOwner {
        owner: Owner,
        key: ItemKey,
    },
    Park {
        reason: ParkReason,
    },
    Done,
}

/// Why a row's item cannot be written.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ParkReason {
    Unbuildable(String),
    /// Another row that exists has the same item key.
    Collision {
        key: ItemKey,
        holder: Owner,
    },
}

/// One refresh of one driving row of one entity.
///
/// ```text
///            +------------------ conflict: learn the tag ------------------+
///            v                                                             |
///   --> Reading --present--> Putting --done, replaced--> Deleting (other item keys) --> Ended
///        |  ^                 |   |                        ^
///        |  +-- Rereading <---+   +-- held by another row --> Checking --holds--> Ended (parked)
///        |      (created)                                        +-- does not --> Reading
///        +--gone--> Deleting (every item key it may have had) --> Ended
/// ```
///
/// Always: a condition used by a write was learnt before the last read began. So a write that passes
/// replaces an item made from a state no newer than the one that was read.
/// Never: a delete of an item that belongs to another row, or a put over one whose row still holds it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Refresh {
    me: Owner,
    /// The item key, where it follows from the row's key alone.
    own_key: Option<ItemKey>,
    /// Item keys under which an item of this row may stand.
    candidates: BTreeSet<ItemKey>,
    known: BTreeMap<ItemKey, Condition>,
    state: State,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum State {
    Reading { created: Option<ItemKey> },
    Putting { key: ItemKey, expect: Condition },
    Deleting { key: ItemKey, left: Vec<ItemKey> },
    Checking { key: ItemKey, existing: Existing },
    Ended,
}

impl Refresh {
    /// `stale`: item keys the row had before; `tags`: tags known now, before the first read.
    pub fn new(
        me: Owner,
        own_key: Option<ItemKey>,
        stale: BTreeSet<ItemKey>,
        tags: BTreeMap<ItemKey, String>,
    ) -> Refresh {
        let known = tags.into_iter().map(|(key, tag)| (key, Condition::Tag(tag))).collect();
        let state = State::Reading { created: None };
        Refresh { me, own_key, candidates: stale, known, state }
    }

    pub fn me(&self) -> &Owner {
        &self.me
    }

    /// The first step.
    pub fn start(&self) -> Step {
        Step::ReadRow
    }

    /// Takes what happened and says what is next. An event that does not answer the last step ends
    /// the machine in a read, which is always safe.
    pub fn next(&mut self, event: Event) -> Step {
        let state = std::mem::replace(&mut self.state, State::Ended);
        match (state, event) {
            (State::Reading { created }, Event::Row(image)) => self.row_read(created, image),
            (State::Putting { key, expect }, Event::PutDone { tag }) => {
                self.put_done(key, expect, tag)
            }
            (State::Putting { key, expect }, Event::PutConflict { tag, existing }) => {
                self.put_conflict(key, expect, tag, existing)
            }
            (State::Deleting { key, left }, Event::DeleteDone) => {
                self.forget(&key);
                self.delete_next(left)
            }
            (State::Deleting { key, left }, Event::DeleteConflict { existing }) => {
                self.delete_conflict(key, left, existing)
            }
            (State::Checking { key, existing }, Event::OwnerHolds(true)) => {
                let holder = existing.owner.unwrap_or_else(|| self.me.clone());
                Step::Park { reason: ParkReason::Collision { key, holder } }
            }
            (State::Checking { key, existing }, Event::OwnerHolds(false)) => {
                self.learn(key, existing.condition())
            }
            _ => self.read(),
        }
    }

    fn row_read(&mut self, created: Option<ItemKey>, image: RowImage) -> Step {
        match image {
            RowImage::Unbuildable { reason } => {
                Step::Park { reason: ParkReason::Unbuildable(reason) }
            }
            RowImage::Gone => {
                self.candidates.extend(self.own_key.clone());
                self.delete_next(self.candidates.iter().cloned().collect())
            }
            RowImage::Present { key, tag } => {
                self.candidates.insert(key.clone());
                if created.as_ref() == Some(&key) {
                    return self.delete_others(&key);
                }
                if let Some(tag) = tag {
                    self.known.entry(key.clone()).or_insert(Condition::Tag(tag));
                }
                let expect = self.known.get(&key).cloned().unwrap_or(Condition::Absent);
                self.state = State::Putting { key: key.clone(), expect: expect.clone() };
                Step::Put { key, expect }
            }
        }
    }

    fn put_done(&mut self, key: ItemKey, expect: Condition, tag: String) -> Step {
        self.known.insert(key.clone(), Condition::Tag(tag));
        if expect == Condition::Absent {
            self.state = State::Reading { created: Some(key) };
            return Step::RereadAfterCreate;
        }
        self.delete_others(&key)
    }

    fn put_conflict(
        &mut self,
        key: ItemKey,
        expect: Condition,
        tag: String,
        existing: Option<Existing>,
    ) -> Step {
        let Some(existing) = existing else { return self.learn(key, Condition::Absent) };
        if existing.tag.as_ref() == Some(&tag) {
            // The answer to our own write was lost, and the client library sent it again.
            return self.put_done(key, expect, tag);
        }
        match &existing.owner {
            Some(owner) if *owner != self.me => {
                let step = Step::CheckOwner { owner: owner.clone(), key: key.clone() };
                self.state = State::Checking { key, existing };
                step
            }
            _ => self.learn(key, existing.condition()),
        }
    }

    fn delete_conflict(
        &mut self,
        key: ItemKey,
        left: Vec<ItemKey>,
        existing: Option<Existing>,
    ) -> Step {
        let ours = existing.as_ref().is_some_and(|existing| match &existing.owner {
            Some(owner) => *owner == self.me,
            // Another tool's item: only where the row's own key says that it stands for this row.
            None => self.own_key.as_ref() == Some(&key),
        });
        match existing {
            Some(existing) if ours => self.learn(key, existing.condition()),
            _ => {
                self.forget(&key);
                self.delete_next(left)
            }
        }
    }

    fn delete_others(&mut self, current: &ItemKey) -> Step {
        self.delete_next(self.candidates.iter().filter(|key| *key != current).cloned().collect())
    }

    fn delete_next(&mut self, mut left: Vec<ItemKey>) -> Step {
        let Some(key) = left.pop() else { return Step::Done };
        let expect = self.known.get(&key).cloned().unwrap_or(Condition::Absent);
        self.state = State::Deleting { key: key.clone(), left };
        Step::Delete { key, expect }
    }

    /// A new condition is of use only for what is read after it was learnt.
    fn learn(&mut self, key: ItemKey, condition: Condition) -> Step {
        self.known.insert(key, condition);
        self.read()
    }

    fn forget(&mut self, key: &ItemKey) {
        self.candidates.remove(key);
        self.known.remove(key);
    }

    fn read(&mut self) -> Step {
        self.state = State::Reading { created: None };
        Step::ReadRow
    }
}
