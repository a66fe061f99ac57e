//! Reading live records again, while the writer goes on writing and compacting.
//! Never here: what opening reads.

use super::RecordId;
use super::record;
use super::segment::Reader;
use super::shared::Shared;

/// Times a record is looked up: compaction may move it between the look-up and the read.
const LOOK_UPS_MAX: usize = 3;

/// What each record holds; `None` where it is not live or cannot be read.
pub(super) fn all(shared: &Shared, ids: &[RecordId]) -> Vec<Option<Vec<u8>>> {
    // Records that were appended together stand together.
    let mut reader = None;
    ids.iter().map(|id| (0..LOOK_UPS_MAX).find_map(|_| one(shared, *id, &mut reader))).collect()
}

fn one(shared: &Shared, id: RecordId, reader: &mut Option<Reader>) -> Option<Vec<u8>> {
    let place = shared.place(id)?;
    if reader.as_ref().is_none_or(|reader| reader.number != place.segment) {
        *reader = Some(Reader::open(shared.folder(), place.segment).ok()?);
    }
    let bytes = reader.as_ref()?.read(place.offset, place.bytes).ok()?;
    record::payload(&bytes, id.0).map(<[u8]>::to_vec)
}
