//! The bytes of one record, and finding records again in bytes that may be damaged.
//! Never here: files.
//!
//! ```text
//! magic 4 | body length 4 | crc32 of length and body 4 | body: kind 1, id 8, payload
//! ```
//! Numbers are little-endian.

use std::ops::Range;

use segue_config::limits::JOURNAL_RECORD_BYTES_MAX;

/// Starts every record, so that the next one is found after a damaged one. The last byte is the format's
/// version.
const MAGIC: [u8; 4] = [0xD5, b'S', b'J', 1];

const HEADER_BYTES: usize = 12;
const BODY_PREFIX_BYTES: usize = 9;

/// Bytes of a record beside its payload.
pub(super) const OVERHEAD_BYTES: usize = HEADER_BYTES + BODY_PREFIX_BYTES;

const PUT: u8 = 1;
const REMOVE: u8 = 2;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Record {
    /// `payload`: where it stands in the bytes given to [`Scan`].
    Put {
        id: u64,
        payload: Range<usize>,
    },
    Remove {
        id: u64,
    },
}

pub(super) fn encode_put(into: &mut Vec<u8>, id: u64, payload: &[u8]) {
    encode(into, PUT, id, payload);
}

pub(super) fn encode_remove(into: &mut Vec<u8>, id: u64) {
    encode(into, REMOVE, id, &[]);
}

fn encode(into: &mut Vec<u8>, kind: u8, id: u64, payload: &[u8]) {
    let length = u32::try_from(BODY_PREFIX_BYTES + payload.len())
        .expect("payloads are bounded by JOURNAL_RECORD_BYTES_MAX")
        .to_le_bytes();
    into.extend(MAGIC);
    into.extend(length);
    let checksum_at = into.len();
    into.extend([0; 4]);
    into.push(kind);
    into.extend(id.to_le_bytes());
    into.extend(payload);
    let checksum = checksum(&length, &into[checksum_at + 4..]);
    into[checksum_at..checksum_at + 4].copy_from_slice(&checksum.to_le_bytes());
}

fn checksum(length: &[u8], body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(length);
    hasher.update(body);
    hasher.finalize()
}

/// What stands at one place.
enum Found {
    Whole(Record, usize),
    /// A record that begins here ends behind the last byte.
    Short,
    Damaged,
}

/// The payload of a record whose bytes these should be.
pub(super) fn payload(bytes: &[u8], id: u64) -> Option<&[u8]> {
    match find(bytes, 0) {
        Found::Whole(Record::Put { id: found, payload }, _) if found == id => Some(&bytes[payload]),
        _ => None,
    }
}

/// How a run of bytes ends.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Bytes that belong to no whole record, but for the tail.
    pub damaged_bytes: u64,
    /// Bytes from the start that are worth keeping; fewer than all where the tail is torn.
    pub kept_bytes: usize,
}

/// Calls `visit` with every whole record, in order. The tail counts as torn when it begins a record that
/// it does not end, or holds only zeros (what a file system may leave after a power cut). A record that
/// is all there but fails its checksum is damage, at the end too.
pub(super) fn scan(bytes: &[u8], mut visit: impl FnMut(Record)) -> Tally {
    let mut tally = Tally { damaged_bytes: 0, kept_bytes: bytes.len() };
    let mut at = 0;
    while at < bytes.len() {
        match find(bytes, at) {
            Found::Whole(record, end) => {
                visit(record);
                at = end;
            }
            found => {
                let next = next_whole(bytes, at + 1);
                let end = next.unwrap_or(bytes.len());
                let torn = next.is_none()
                    && (matches!(found, Found::Short) || bytes[at..].iter().all(|&b| b == 0));
                if torn {
                    tally.kept_bytes = at;
                } else {
                    tally.damaged_bytes += (end - at) as u64;
                }
                at = end;
            }
        }
    }
    tally
}

fn next_whole(bytes: &[u8], from: usize) -> Option<usize> {
    (from..bytes.len().saturating_sub(OVERHEAD_BYTES - 1))
        .find(|&at| bytes[at] == MAGIC[0] && matches!(find(bytes, at), Found::Whole(..)))
}

fn find(bytes: &[u8], at: usize) -> Found {
    let rest = &bytes[at..];
    let begun = rest.len().min(MAGIC.len());
    if rest[..begun] != MAGIC[..begun] {
        return Found::Damaged;
    }
    let (Some(length), Some(expected)) = (word(rest, 4), word(rest, 8)) else {
        return Found::Short;
    };
    let length = length as usize;
    if !(BODY_PREFIX_BYTES..=BODY_PREFIX_BYTES + JOURNAL_RECORD_BYTES_MAX).contains(&length) {
        return Found::Damaged;
    }
    let Some(body) = rest.get(HEADER_BYTES..HEADER_BYTES + length) else { return Found::Short };
    if checksum(&rest[4..8], body) != expected {
        return Found::Damaged;
    }
    let id = body[1..BODY_PREFIX_BYTES].try_into().map(u64::from_le_bytes);
    let end = at + HEADER_BYTES + length;
    match (body[0], id) {
        (PUT, Ok(id)) => Found::Whole(Record::Put { id, payload: at + OVERHEAD_BYTES..end }, end),
        (REMOVE, Ok(id)) => Found::Whole(Record::Remove { id }, end),
        _ => Found::Damaged,
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().map(u32::from_le_bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three() -> (Vec<u8>, Vec<usize>) {
        let (mut bytes, mut ends) = (Vec::new(), Vec::new());
        encode_put(&mut bytes, 1, b"first");
        ends.push(bytes.len());
        encode_put(&mut bytes, 2, &MAGIC);
        ends.push(bytes.len());
        encode_remove(&mut bytes, 1);
        ends.push(bytes.len());
        (bytes, ends)
    }

    fn ids(bytes: &[u8]) -> (Vec<u64>, Tally) {
        let mut ids = Vec::new();
        let tally = scan(bytes, |record| match record {
            Record::Put { id, .. } | Record::Remove { id } => ids.push(id),
        });
        (ids, tally)
    }

    #[test]
    fn records_are_found_in_order() {
        let (bytes, _) = three();
        assert_eq!(
            ids(&bytes),
            (vec![1, 2, 1], Tally { damaged_bytes: 0, kept_bytes: bytes.len() })
        );
    }

    #[test]
    fn a_tail_cut_anywhere_is_torn_not_damaged() {
        let (bytes, ends) = three();
        for cut in ends[1] + 1..ends[2] {
            assert_eq!(
                ids(&bytes[..cut]),
                (vec![1, 2], Tally { damaged_bytes: 0, kept_bytes: ends[1] }),
                "cut at {cut}"
            );
        }
    }

    #[test]
    fn zeros_at_the_end_are_a_torn_tail() {
        let (mut bytes, ends) = three();
        bytes.extend([0; 100]);
        assert_eq!(ids(&bytes).1, Tally { damaged_bytes: 0, kept_bytes: ends[2] });
    }

    #[test]
    fn a_flipped_byte_costs_one_record() {
        let (bytes, ends) = three();
        for at in ends[0]..ends[1] {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x40;
            let lost = (ends[1] - ends[0]) as u64;
            assert_eq!(
                ids(&damaged),
                (vec![1, 1], Tally { damaged_bytes: lost, kept_bytes: bytes.len() }),
                "flipped at {at}"
            );
        }
    }
}
