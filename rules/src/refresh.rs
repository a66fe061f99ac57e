//! The refresh of one driving row as a state machine: what to do next, given what the stores said.
//! Never here: I/O, tags being made, retries after faults (a fault starts the machine anew).

mod knowledge;
mod together;

use std::collections::{BTreeMap, BTreeSet};

pub use knowledge::{Lesson, Moment, Seen, is_stray, must_come_to_rest};
pub use together::Write;

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
    /// `tag`: the tag of this row's item there, if it was known before the read began.
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
    /// The same read, after a put created an item or took one over: the row may have gone since,
    /// and whoever saw it go found no item of ours to delete.
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
///        |  +-- Rereading <---+   +-- held by another row --> Checking --holds--> Deleting, then parked
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
    known: BTreeMap<ItemKey, Known>,
    /// Another row has the item key. The items under other keys still go before the row is parked.
    blocked: Option<ParkReason>,
    state: State,
}

/// What stands at an item key, as far as we know.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Known {
    condition: Condition,
    /// It is this row's item, so that a delete may rest on the condition. A put may rest on another
    /// row's tag once that row is known to have left.
    ours: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum State {
    Reading {
        created: Option<ItemKey>,
    },
    /// `anew`: no item of ours stands there, so whoever moves or deletes the row finds nothing to
    /// delete; the row must be looked at again afterwards.
    Putting {
        key: ItemKey,
        anew: bool,
    },
    Deleting {
        key: ItemKey,
        left: Vec<ItemKey>,
    },
    Checking {
        key: ItemKey,
        existing: Existing,
    },
    Ended,
}

impl Refresh {
    /// `stale`: item keys the row had before; `tags`: tags of this row's own items known now, before
    /// the first read.
    pub fn new(
        me: Owner,
        own_key: Option<ItemKey>,
        stale: BTreeSet<ItemKey>,
        tags: BTreeMap<ItemKey, String>,
    ) -> Refresh {
        let ours = |tag| Known { condition: Condition::Tag(tag), ours: true };
        let known = tags.into_iter().map(|(key, tag)| (key, ours(tag))).collect();
        let state = State::Reading { created: None };
        Refresh { me, own_key, candidates: stale, known, blocked: None, state }
    }

    pub fn me(&self) -> &Owner {
        &self.me
    }

    /// Item keys under which this row's items may stand. A refresh that is broken off hands them to
    /// the next one: a write whose answer was lost may have passed.
    pub fn candidates(&self) -> &BTreeSet<ItemKey> {
        &self.candidates
    }

    /// Whether the put under way may still create an item of this row when it was given up long ago. A tag
    /// of this row's own item is gone for ever once it has been replaced, and with it every late put
    /// that rests on it fails. Absence comes back with every deletion; and another row's item may
    /// keep its tag for as long as it likes.
    pub fn put_may_come_late(&self) -> bool {
        let State::Putting { key, .. } = &self.state else { return false };
        let fenced = |known: &Known| known.ours && matches!(known.condition, Condition::Tag(_));
        !self.known.get(key).is_some_and(fenced)
    }

    /// Tags that a condition to come may name.
    pub fn tags(&self) -> BTreeSet<&str> {
        let held = match &self.state {
            State::Checking { existing, .. } => existing.tag.as_deref(),
            _ => None,
        };
        let known = self.known.values().filter_map(|known| match &known.condition {
            Condition::Tag(tag) => Some(tag.as_str()),
            Condition::Absent | Condition::Untagged => None,
        });
        known.chain(held).collect()
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
            (State::Putting { key, anew }, Event::PutDone { tag }) => self.put_done(key, anew, tag),
            (State::Putting { key, anew }, Event::PutConflict { tag, existing }) => {
                self.put_conflict(key, anew, tag, existing)
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
                self.blocked = Some(ParkReason::Collision { key: key.clone(), holder });
                self.delete_others(&key)
            }
            (State::Checking { key, existing }, Event::OwnerHolds(false)) => {
                self.learn(key, existing.condition(), false)
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
                    let known = Known { condition: Condition::Tag(tag), ours: true };
                    self.known.entry(key.clone()).or_insert(known);
                }
                let known = self.known.get(&key);
                let expect = known.map_or(Condition::Absent, |known| known.condition.clone());
                let anew = expect == Condition::Absent || known.is_some_and(|known| !known.ours);
                self.state = State::Putting { key: key.clone(), anew };
                Step::Put { key, expect }
            }
        }
    }

    fn put_done(&mut self, key: ItemKey, anew: bool, tag: String) -> Step {
        self.known.insert(key.clone(), Known { condition: Condition::Tag(tag), ours: true });
        if anew {
            self.state = State::Reading { created: Some(key) };
            return Step::RereadAfterCreate;
        }
        self.delete_others(&key)
    }

    fn put_conflict(
        &mut self,
        key: ItemKey,
        anew: bool,
        tag: String,
        existing: Option<Existing>,
    ) -> Step {
        let Some(existing) = existing else { return self.learn(key, Condition::Absent, true) };
        if existing.tag.as_ref() == Some(&tag) {
            // The answer to our own write was lost, and the client library sent it again.
            return self.put_done(key, anew, tag);
        }
        match &existing.owner {
            Some(owner) if *owner != self.me => {
                let step = Step::CheckOwner { owner: owner.clone(), key: key.clone() };
                self.state = State::Checking { key, existing };
                step
            }
            owner => {
                let ours = owner.is_some() || self.own_key.as_ref() == Some(&key);
                self.learn(key, existing.condition(), ours)
            }
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
            Some(existing) if ours => self.learn(key, existing.condition(), true),
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
        let Some(key) = left.pop() else {
            return self.blocked.take().map_or(Step::Done, |reason| Step::Park { reason });
        };
        let known = self.known.get(&key).filter(|known| known.ours);
        let expect = known.map_or(Condition::Absent, |known| known.condition.clone());
        self.state = State::Deleting { key: key.clone(), left };
        Step::Delete { key, expect }
    }

    /// A new condition is of use only for what is read after it was learnt.
    fn learn(&mut self, key: ItemKey, condition: Condition, ours: bool) -> Step {
        self.known.insert(key, Known { condition, ours });
        self.read()
    }

    fn forget(&mut self, key: &ItemKey) {
        self.candidates.remove(key);
        self.known.remove(key);
    }

    fn read(&mut self) -> Step {
        self.blocked = None;
        self.state = State::Reading { created: None };
        Step::ReadRow
    }
}

#[cfg(test)]
mod interleaved;
#[cfg(test)]
mod tests;
