//! The machine step by step.
//! Never here: several machines at once (see `interleaved`).

use super::*;

pub(super) fn item_key(name: &str) -> ItemKey {
    ItemKey { table: "T".into(), pk: Attribute::S(name.into()), sk: None }
}

pub(super) fn owner(name: &str) -> Owner {
    Owner { entity: "E".into(), key: vec![Attribute::S(name.into())] }
}

fn existing(tag: &str, row: &str) -> Option<Existing> {
    Some(Existing { tag: Some(tag.into()), owner: Some(owner(row)) })
}

fn present(name: &str) -> Event {
    Event::Row(RowImage::Present { key: item_key(name), tag: None })
}

fn put(name: &str, expect: Condition) -> Step {
    Step::Put { key: item_key(name), expect }
}

fn delete(name: &str, expect: Condition) -> Step {
    Step::Delete { key: item_key(name), expect }
}

fn tag(text: &str) -> Condition {
    Condition::Tag(text.into())
}

/// A machine of row `me` with these stale item keys and known tags.
fn machine(own_key: Option<&str>, stale: &[&str], tags: &[(&str, &str)]) -> Refresh {
    Refresh::new(
        owner("me"),
        own_key.map(item_key),
        stale.iter().map(|name| item_key(name)).collect(),
        tags.iter().map(|(name, tag)| (item_key(name), (*tag).to_owned())).collect(),
    )
}

fn run(mut machine: Refresh, script: Vec<(Event, Step)>) {
    assert_eq!(machine.start(), Step::ReadRow);
    for (number, (event, step)) in script.into_iter().enumerate() {
        assert_eq!(machine.next(event), step, "step {number}");
    }
}

fn done(text: &str) -> Event {
    Event::PutDone { tag: text.into() }
}

fn lost(text: &str, existing: Option<Existing>) -> Event {
    Event::PutConflict { tag: text.into(), existing }
}

#[test]
fn a_created_item_is_checked_against_its_row() {
    run(
        machine(None, &[], &[]),
        vec![
            (present("a"), put("a", Condition::Absent)),
            (done("t1"), Step::RereadAfterCreate),
            (present("a"), Step::Done),
        ],
    );
}

#[test]
fn a_created_item_goes_when_its_row_has_gone() {
    run(
        machine(None, &[], &[]),
        vec![
            (present("a"), put("a", Condition::Absent)),
            (done("t1"), Step::RereadAfterCreate),
            (Event::Row(RowImage::Gone), delete("a", tag("t1"))),
            (Event::DeleteDone, Step::Done),
        ],
    );
}

#[test]
fn a_created_item_follows_a_row_that_moved() {
    run(
        machine(None, &[], &[]),
        vec![
            (present("a"), put("a", Condition::Absent)),
            (done("t1"), Step::RereadAfterCreate),
            (present("b"), put("b", Condition::Absent)),
            (done("t2"), Step::RereadAfterCreate),
            (present("b"), delete("a", tag("t1"))),
            (Event::DeleteDone, Step::Done),
        ],
    );
}

#[test]
fn a_replaced_item_needs_no_second_read() {
    run(
        machine(Some("a"), &[], &[("a", "t0")]),
        vec![(present("a"), put("a", tag("t0"))), (done("t1"), Step::Done)],
    );
}

#[test]
fn a_lost_race_reads_the_row_again_before_it_writes_again() {
    run(
        machine(None, &[], &[]),
        vec![
            (present("a"), put("a", Condition::Absent)),
            (lost("t1", existing("t9", "me")), Step::ReadRow),
            (present("a"), put("a", tag("t9"))),
            (lost("t2", None), Step::ReadRow),
            (present("a"), put("a", Condition::Absent)),
        ],
    );
}

#[test]
fn our_own_tag_in_a_conflict_means_that_the_write_had_passed() {
    run(
        machine(None, &[], &[("a", "t0")]),
        vec![(present("a"), put("a", tag("t0"))), (lost("t1", existing("t1", "me")), Step::Done)],
    );
    run(
        machine(None, &[], &[]),
        vec![
            (present("a"), put("a", Condition::Absent)),
            (lost("t1", existing("t1", "me")), Step::RereadAfterCreate),
        ],
    );
}

#[test]
fn an_untagged_item_at_the_rows_key_is_taken_over() {
    let foreign = Some(Existing { tag: None, owner: None });
    run(
        machine(Some("a"), &[], &[]),
        vec![
            (present("a"), put("a", Condition::Absent)),
            (lost("t1", foreign), Step::ReadRow),
            (present("a"), put("a", Condition::Untagged)),
            (done("t2"), Step::Done),
        ],
    );
}

#[test]
fn another_rows_item_is_overwritten_only_once_that_row_left_it() {
    let held = Step::CheckOwner { owner: owner("other"), key: item_key("a") };
    let reason = ParkReason::Collision { key: item_key("a"), holder: owner("other") };
    run(
        machine(None, &[], &[]),
        vec![
            (present("a"), put("a", Condition::Absent)),
            (lost("t1", existing("t9", "other")), held.clone()),
            (Event::OwnerHolds(true), Step::Park { reason }),
        ],
    );
    run(
        machine(None, &[], &[]),
        vec![
            (present("a"), put("a", Condition::Absent)),
            (lost("t1", existing("t9", "other")), held),
            (Event::OwnerHolds(false), Step::ReadRow),
            (present("a"), put("a", tag("t9"))),
            (done("t2"), Step::RereadAfterCreate),
        ],
    );
}

#[test]
fn a_gone_row_takes_every_item_it_may_have_had() {
    run(
        machine(Some("a"), &["b"], &[("a", "t1")]),
        vec![
            (Event::Row(RowImage::Gone), delete("b", Condition::Absent)),
            (Event::DeleteConflict { existing: existing("t5", "me") }, Step::ReadRow),
            (Event::Row(RowImage::Gone), delete("b", tag("t5"))),
            (Event::DeleteDone, delete("a", tag("t1"))),
            (Event::DeleteDone, Step::Done),
        ],
    );
}

#[test]
fn an_old_item_key_that_is_current_again_is_kept() {
    run(
        machine(None, &["a"], &[("a", "t1")]),
        vec![(present("a"), put("a", tag("t1"))), (done("t2"), Step::Done)],
    );
}

#[test]
fn a_tag_learnt_to_take_an_item_over_is_never_used_to_delete_it() {
    let held = Step::CheckOwner { owner: owner("other"), key: item_key("a") };
    run(
        machine(None, &[], &[]),
        vec![
            (present("a"), put("a", Condition::Absent)),
            (lost("t1", existing("t9", "other")), held),
            (Event::OwnerHolds(false), Step::ReadRow),
            (Event::Row(RowImage::Gone), delete("a", Condition::Absent)),
            (Event::DeleteConflict { existing: existing("t9", "other") }, Step::Done),
        ],
    );
}

#[test]
fn items_of_others_are_never_deleted() {
    for other in [existing("t5", "other"), Some(Existing { tag: None, owner: None }), None] {
        run(
            machine(None, &["b"], &[]),
            vec![
                (Event::Row(RowImage::Gone), delete("b", Condition::Absent)),
                (Event::DeleteConflict { existing: other }, Step::Done),
            ],
        );
    }
}

#[test]
fn an_unbuildable_row_is_parked() {
    let reason = "too large".to_owned();
    run(
        machine(None, &["b"], &[]),
        vec![(
            Event::Row(RowImage::Unbuildable { reason: reason.clone() }),
            Step::Park { reason: ParkReason::Unbuildable(reason) },
        )],
    );
}

#[test]
fn an_event_out_of_turn_leads_to_a_read() {
    run(
        machine(None, &[], &[]),
        vec![(Event::DeleteDone, Step::ReadRow), (done("t"), Step::ReadRow)],
    );
}

#[test]
fn only_a_put_over_the_rows_own_tag_cannot_come_late() {
    let mut machine = machine(None, &[], &[("b", "t0")]);
    assert!(!machine.put_may_come_late());
    machine.next(present("a"));
    assert!(machine.put_may_come_late());
    machine.next(lost("t1", existing("t9", "other")));
    machine.next(Event::OwnerHolds(false));
    assert_eq!(machine.next(present("a")), put("a", tag("t9")));
    assert!(machine.put_may_come_late());
    machine.next(lost("t2", existing("t3", "me")));
    assert_eq!(machine.next(present("b")), put("b", tag("t0")));
    assert!(!machine.put_may_come_late());
}
