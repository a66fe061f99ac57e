//! Where each live record stands on disk: some 15 bytes a record, because an outage leaves many of them.
//! Never here: files, waiting callers.

use std::collections::BTreeMap;

/// Ids that share a chunk. Ids are given in order and mostly go in order, so chunks are full or gone.
const CHUNK: u64 = 16;

/// The top bit of a record's length.
const REMOVED: u32 = 1 << 31;

/// A record on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub segment: u64,
    pub offset: u64,
    pub bytes: usize,
}

/// ```text
/// (none) --queue--> queued --put--> written --remove--> removed --forget--> (none)
///                     | drop_queued             (its removal is not on disk yet)
///                     +--> (none)
/// ```
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    /// 0: not on disk yet.
    segment: u32,
    offset: u32,
    /// 0: no record. [`REMOVED`] is set in a removed one.
    bytes: u32,
}

impl Slot {
    fn is_live(self) -> bool {
        self.bytes != 0 && self.bytes & REMOVED == 0
    }
}

#[derive(Debug, Default)]
struct Chunk {
    used: u8,
    slots: [Slot; CHUNK as usize],
}

#[derive(Debug, Default)]
pub(super) struct Places {
    chunks: BTreeMap<u64, Box<Chunk>>,
    /// Of the records that are queued or written.
    live_bytes: u64,
}

impl Places {
    pub fn live_bytes(&self) -> u64 {
        self.live_bytes
    }

    /// A record is on its way to the disk.
    pub fn queue(&mut self, id: u64, bytes: usize) {
        self.set(id, Slot { segment: 0, offset: 0, bytes: narrow(bytes as u64) });
    }

    /// A queued record did not get there.
    pub fn drop_queued(&mut self, id: u64) {
        self.set(id, Slot::default());
    }

    /// A record stands here now: it was written, found, or moved.
    pub fn put(&mut self, id: u64, place: Place) {
        let removed = self.slot(id).bytes & REMOVED;
        let (segment, offset) = (narrow(place.segment), narrow(place.offset));
        self.set(id, Slot { segment, offset, bytes: narrow(place.bytes as u64) | removed });
    }

    /// The record is done with, though not yet on disk. `false`: it was not live.
    pub fn remove(&mut self, id: u64) -> bool {
        let slot = self.slot(id);
        if slot.is_live() {
            self.set(id, Slot { bytes: slot.bytes | REMOVED, ..slot });
        }
        slot.is_live()
    }

    /// The record's removal is on disk. Returns the segment it stood in.
    pub fn forget(&mut self, id: u64) -> Option<u64> {
        let segment = self.slot(id).segment;
        self.set(id, Slot::default());
        (segment != 0).then_some(u64::from(segment))
    }

    /// Where a live record can be read.
    pub fn live(&self, id: u64) -> Option<Place> {
        let slot = self.slot(id);
        (slot.is_live() && slot.segment != 0).then_some(Place {
            segment: u64::from(slot.segment),
            offset: u64::from(slot.offset),
            bytes: slot.bytes as usize,
        })
    }

    /// The segment that holds a record, removed or not.
    pub fn segment(&self, id: u64) -> Option<u64> {
        let segment = self.slot(id).segment;
        (segment != 0).then_some(u64::from(segment))
    }

    /// Every live record on disk with its segment, in the order of ids.
    pub fn all(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.chunks.iter().flat_map(|(chunk, held)| {
            let first = chunk * CHUNK;
            let on_disk = |slot: &&Slot| slot.is_live() && slot.segment != 0;
            let numbered = (first..).zip(&held.slots);
            numbered.filter(move |(_, slot)| on_disk(slot)).map(|(id, s)| (id, s.segment.into()))
        })
    }

    fn slot(&self, id: u64) -> Slot {
        let chunk = self.chunks.get(&(id / CHUNK));
        chunk.map(|chunk| chunk.slots[(id % CHUNK) as usize]).unwrap_or_default()
    }

    fn set(&mut self, id: u64, slot: Slot) {
        let chunk = self.chunks.entry(id / CHUNK).or_default();
        let held = &mut chunk.slots[(id % CHUNK) as usize];
        let weight = |slot: Slot| if slot.is_live() { u64::from(slot.bytes) } else { 0 };
        self.live_bytes = self.live_bytes - weight(*held) + weight(slot);
        chunk.used = chunk.used - u8::from(held.bytes != 0) + u8::from(slot.bytes != 0);
        *held = slot;
        if chunk.used == 0 {
            self.chunks.remove(&(id / CHUNK));
        }
    }
}

fn narrow(number: u64) -> u32 {
    u32::try_from(number).expect("segments are numbered one by one and far smaller than 4 GiB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_live_until_it_is_removed_and_known_until_that_is_on_disk() {
        let mut places = Places::default();
        places.queue(40, 100);
        assert_eq!((places.live_bytes(), places.live(40), places.segment(40)), (100, None, None));
        let place = Place { segment: 3, offset: 7, bytes: 100 };
        places.put(40, place);
        assert_eq!(places.live(40), Some(place));
        assert_eq!(places.all().collect::<Vec<_>>(), [(40, 3)]);
        assert!(places.remove(40) && !places.remove(40));
        assert_eq!((places.live_bytes(), places.live(40), places.segment(40)), (0, None, Some(3)));
        places.put(40, Place { segment: 4, ..place });
        assert_eq!((places.live_bytes(), places.live(40)), (0, None), "moved, and still removed");
        assert_eq!((places.forget(40), places.forget(40)), (Some(4), None));
        assert!(places.chunks.is_empty());
    }

    #[test]
    fn a_record_that_did_not_reach_the_disk_leaves_nothing() {
        let mut places = Places::default();
        places.queue(1, 50);
        places.queue(17, 60);
        places.drop_queued(1);
        assert_eq!((places.live_bytes(), places.chunks.len()), (60, 1));
    }
}
