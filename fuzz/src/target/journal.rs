//! Journal segments as they may be after a crash or on a failing disk, and the debts in their records.
//! Never here: files.

use segue::journal::{self, Survey};
use segue::mirror;

/// Records are found again among any bytes, and every byte is accounted for.
pub fn run(data: &[u8]) {
    let found = journal::survey(data);
    check(&found, data.len());
    // What recovery keeps holds the same.
    let kept = &data[..found.kept_bytes];
    let again = journal::survey(kept);
    assert_eq!(again.kept_bytes, kept.len(), "a tail that was cut off is torn again");
    assert_eq!((&again.records, again.damaged_bytes), (&found.records, found.damaged_bytes));
    // A record behind it is found, whatever stands before.
    let mut longer = kept.to_vec();
    journal::append_put(&mut longer, 77, data);
    let more = journal::survey(&longer);
    check(&more, longer.len());
    assert_eq!(more.kept_bytes, longer.len());
    assert_eq!(more.records.len(), found.records.len() + 1);
    let last = more.records.last().and_then(|(id, payload)| Some((*id, payload.clone()?)));
    assert_eq!(last.map(|(id, payload)| (id, &longer[payload])), Some((77, data)));
}

fn check(found: &Survey, length: usize) {
    assert!(found.kept_bytes <= length);
    let mut at = 0;
    for payload in found.records.iter().filter_map(|(_, payload)| payload.clone()) {
        assert!(payload.start >= at && payload.end <= found.kept_bytes);
        at = payload.end;
    }
    assert!(found.damaged_bytes <= found.kept_bytes as u64);
}

/// A debt that can be read is the same after it was written again.
pub fn debt(data: &[u8]) {
    if let Some(again) = mirror::debt_written_again(data) {
        assert_eq!(mirror::debt_written_again(&again).as_deref(), Some(&again[..]));
    }
}
