//! The queue: merging, order, delays, parking.
//! Never here: real clocks.

use std::time::Duration;

use segue_rules::value::Attribute;

use super::*;

fn target(entity: &str, key: u64) -> Target {
    Target { entity: entity.into(), table: "t".into(), key: vec![Cell::UInt(key)] }
}

fn item(name: &str) -> ItemKey {
    ItemKey { table: "T".into(), pk: Attribute::S(name.into()), sk: None }
}

fn entry(number: u64) -> Option<Waiter> {
    Some(Waiter::Entry(EntryId(number)))
}

fn take(queue: &mut Queue, most: usize) -> Vec<(Target, BTreeSet<ItemKey>)> {
    queue.take(most, false, |_| usize::MAX).map_or_else(Vec::new, |batch| batch.keys)
}

fn taken(queue: &mut Queue) -> Vec<Target> {
    take(queue, 10).into_iter().map(|(target, _)| target).collect()
}

fn waited(waiters: Vec<Waiter>) -> Vec<u64> {
    entries(&waiters).into_iter().map(|entry| entry.0).collect()
}

#[test]
fn waiting_requests_of_one_key_merge() {
    let mut queue = Queue::default();
    queue.request(target("E", 1), [item("a")], entry(1), Priority::Live);
    queue.request(target("E", 1), [item("b")], entry(2), Priority::Live);
    let batch = take(&mut queue, 10);
    assert_eq!(batch, vec![(target("E", 1), BTreeSet::from([item("a"), item("b")]))]);
    assert_eq!(waited(queue.done(&target("E", 1))), vec![1, 2]);
    assert_eq!(queue.len(), 0);
}

#[test]
fn a_key_never_runs_twice_at_once_and_runs_again_when_dirtied() {
    let mut queue = Queue::default();
    queue.request(target("E", 1), [], entry(1), Priority::Live);
    assert_eq!(taken(&mut queue), vec![target("E", 1)]);
    queue.request(target("E", 1), [item("a")], entry(2), Priority::Live);
    assert!(taken(&mut queue).is_empty());
    assert_eq!(waited(queue.done(&target("E", 1))), vec![1]);
    assert_eq!(take(&mut queue, 10), vec![(target("E", 1), BTreeSet::from([item("a")]))]);
    assert_eq!(waited(queue.done(&target("E", 1))), vec![2]);
}

#[test]
fn live_keys_go_before_swept_ones_and_raise_them() {
    let mut queue = Queue::default();
    queue.request(target("E", 1), [], None, Priority::Sweep);
    queue.request(target("E", 2), [], None, Priority::Sweep);
    queue.request(target("E", 3), [], entry(3), Priority::Live);
    queue.request(target("E", 2), [], entry(2), Priority::Live);
    assert_eq!(taken(&mut queue), vec![target("E", 3), target("E", 2)]);
    assert_eq!(taken(&mut queue), vec![target("E", 1)]);
    assert!(taken(&mut queue).is_empty());
}

#[test]
fn a_batch_holds_one_entity_and_entities_take_turns() {
    let mut queue = Queue::default();
    for key in 0..3 {
        queue.request(target("A", key), [], None, Priority::Live);
        queue.request(target("B", key), [], None, Priority::Live);
    }
    let batches: Vec<Vec<u64>> = (0..4)
        .map(|_| {
            let batch = take(&mut queue, 2);
            assert!(batch.iter().all(|(target, _)| target.entity == batch[0].0.entity));
            batch.iter().map(|(target, _)| u64::from(&*target.entity == "B")).collect()
        })
        .collect();
    assert_eq!(batches, vec![vec![0, 0], vec![1, 1], vec![0], vec![1]]);
}

#[test]
fn a_delayed_key_waits_for_its_time_even_when_dirtied() {
    let (mut queue, now) = (Queue::default(), Instant::now());
    let later = now + Duration::from_secs(1);
    queue.request(target("E", 1), [item("a")], entry(1), Priority::Live);
    taken(&mut queue);
    queue.retry(&target("E", 1), BTreeSet::from([item("c")]), later);
    queue.request(target("E", 1), [item("b")], entry(2), Priority::Live);
    assert!(queue.wake(now).is_empty() && taken(&mut queue).is_empty());
    assert_eq!((queue.next_due(), queue.attempts(&target("E", 1))), (Some(later), 1));
    queue.wake(later);
    let stale = BTreeSet::from([item("a"), item("b"), item("c")]);
    assert_eq!(take(&mut queue, 10), vec![(target("E", 1), stale)]);
    assert_eq!(waited(queue.done(&target("E", 1))), vec![1, 2]);
}

#[test]
fn a_parked_key_blocks_nobody_and_runs_again_when_dirtied() {
    let (mut queue, now) = (Queue::default(), Instant::now());
    queue.request(target("E", 1), [], entry(1), Priority::Live);
    taken(&mut queue);
    let (callers, parked) =
        queue.park(&target("E", 1), BTreeSet::new(), "too large".into(), now, None);
    assert!(callers.is_empty());
    assert_eq!((parked, queue.parked_len()), (vec![EntryId(1)], 1));
    queue.request(target("E", 2), [], entry(2), Priority::Live);
    assert_eq!(taken(&mut queue), vec![target("E", 2)]);
    let unparked = queue.request(target("E", 1), [], entry(3), Priority::Live);
    assert_eq!((unparked, queue.parked_len()), (vec![EntryId(1)], 0));
    assert_eq!(taken(&mut queue), vec![target("E", 1)]);
    assert_eq!(waited(queue.done(&target("E", 1))), vec![1, 3]);
}

#[test]
fn a_parked_key_whose_cause_may_pass_is_tried_again_when_due() {
    let (mut queue, now) = (Queue::default(), Instant::now());
    let later = now + Duration::from_secs(30);
    queue.request(target("E", 1), [], entry(1), Priority::Live);
    taken(&mut queue);
    queue.park(&target("E", 1), BTreeSet::new(), "no table".into(), now, Some(later));
    assert!(queue.wake(now).is_empty());
    assert_eq!(queue.wake(later), vec![EntryId(1)]);
    assert_eq!(taken(&mut queue), vec![target("E", 1)]);
}

#[test]
fn a_key_dirtied_while_it_ran_is_not_parked() {
    let (mut queue, now) = (Queue::default(), Instant::now());
    queue.request(target("E", 1), [], entry(1), Priority::Live);
    taken(&mut queue);
    queue.request(target("E", 1), [], entry(2), Priority::Live);
    let (_, parked) = queue.park(&target("E", 1), BTreeSet::new(), "x".into(), now, None);
    assert!(parked.is_empty());
    assert_eq!(taken(&mut queue), vec![target("E", 1)]);
    assert_eq!(waited(queue.done(&target("E", 1))), vec![1, 2]);
}

#[test]
fn a_key_that_only_a_sweep_wanted_is_handed_back_when_it_cannot_be_mirrored() {
    let (mut queue, now) = (Queue::default(), Instant::now());
    let (sender, _receiver) = oneshot::channel();
    queue.request(target("E", 1), [], Some(Waiter::Caller(sender)), Priority::Sweep);
    taken(&mut queue);
    let (callers, parked) = queue.park(&target("E", 1), BTreeSet::new(), "x".into(), now, None);
    assert_eq!((callers.len(), parked.len(), queue.len()), (1, 0, 0));
}

#[test]
fn what_waited_for_another_spelling_goes_on_under_the_right_one() {
    let mut queue = Queue::default();
    queue.request(target("E", 1), [item("a")], entry(1), Priority::Live);
    taken(&mut queue);
    queue.request(target("E", 1), [], entry(2), Priority::Live);
    queue.respell(&target("E", 1), vec![Cell::UInt(2)], BTreeSet::from([item("b")]));
    let batch = take(&mut queue, 10);
    let stale = BTreeSet::from([item("a"), item("b")]);
    assert!(batch.contains(&(target("E", 2), stale)));
    assert_eq!(waited(queue.done(&target("E", 2))), vec![1]);
    assert_eq!(waited(queue.done(&target("E", 1))), vec![2]);
}

#[test]
fn what_failed_waits_for_live_keys_but_not_for_ever() {
    let (mut queue, now) = (Queue::default(), Instant::now());
    queue.request(target("E", 0), [], entry(0), Priority::Live);
    queue.request(target("E", 1), [], None, Priority::Sweep);
    for _ in 0..limits::LIVE_ATTEMPTS {
        assert_eq!(queue.take(1, true, |_| 1).map(|batch| batch.keys.len()), Some(1));
        queue.retry(&target("E", 0), BTreeSet::new(), now);
        queue.wake(now);
    }
    assert_eq!(queue.take(1, true, |_| 1), None);
    let mut order = Vec::new();
    for key in 10..20 {
        queue.request(target("E", key), [], entry(key), Priority::Live);
        queue.request(target("E", key + 100), [], entry(key), Priority::Live);
        order.extend(take(&mut queue, 1));
    }
    let place = |key| order.iter().position(|(found, _)| *found == target("E", key));
    assert!(place(0).is_some_and(|at| (1..8).contains(&at)), "{order:?}");
    assert!(place(1).is_some_and(|at| (1..8).contains(&at)), "{order:?}");
}

#[test]
fn an_entity_without_room_holds_up_nobody() {
    let mut queue = Queue::default();
    for key in 0..3 {
        queue.request(target("A", key), [], None, Priority::Live);
    }
    queue.request(target("B", 1), [], None, Priority::Owed);
    let room = |entity: &str| if entity == "A" { 0 } else { 5 };
    let batch = queue.take(10, false, room).expect("B has room");
    assert_eq!((batch.priority, batch.keys.len()), (Priority::Owed, 1));
    assert_eq!(queue.take(10, false, room), None);
    assert_eq!(queue.take(10, true, |_| 2).map(|batch| batch.keys.len()), Some(2));
    assert_eq!(taken(&mut queue), vec![target("A", 2)]);
}

#[test]
fn what_was_live_for_long_makes_room_for_newer_keys() {
    let (mut queue, now) = (Queue::default(), Instant::now());
    for key in 0..3 {
        queue.request(target("E", key), [], entry(key), Priority::Live);
    }
    queue.wake(now);
    queue.wake(now + limits::LIVE_FOR);
    queue.request(target("E", 9), [], entry(9), Priority::Live);
    queue.wake(now + limits::LIVE_FOR * 2);
    assert_eq!(taken(&mut queue), [target("E", 9)]);
    queue.request(target("E", 1), [], entry(4), Priority::Live);
    assert_eq!(taken(&mut queue), [target("E", 1)]);
    assert_eq!(taken(&mut queue), [target("E", 0), target("E", 2)]);
}

#[test]
fn a_key_taken_along_is_not_woken_by_its_earlier_wait() {
    let (mut queue, now) = (Queue::default(), Instant::now());
    queue.request(target("E", 1), [], entry(1), Priority::Live);
    taken(&mut queue);
    assert_eq!(queue.take_along(&target("E", 1)), Along::Busy);
    queue.retry(&target("E", 1), BTreeSet::new(), now);
    assert_eq!(queue.take_along(&target("E", 1)), Along::Taken(BTreeSet::new()));
    let later = now + Duration::from_secs(9);
    queue.retry(&target("E", 1), BTreeSet::new(), later);
    queue.wake(now);
    assert_eq!((taken(&mut queue), queue.next_due()), (vec![], Some(later)));
    queue.wake(later);
    assert_eq!(taken(&mut queue), [target("E", 1)]);
    assert_eq!(queue.take_along(&target("E", 2)), Along::Idle);
}

#[test]
fn a_key_waits_behind_another_of_its_group_and_goes_on_with_its_end() {
    let (mut queue, now) = (Queue::default(), Instant::now());
    queue.request(target("E", 1), [], entry(1), Priority::Live);
    taken(&mut queue);
    queue.wait_behind(&target("E", 1), now + Duration::from_secs(9));
    queue.go_on();
    queue.go_on();
    assert_eq!((taken(&mut queue), queue.next_due()), (vec![target("E", 1)], None));
}

#[test]
fn what_could_not_be_written_with_others_runs_alone_once() {
    let (mut queue, now) = (Queue::default(), Instant::now());
    queue.request(target("E", 1), [], entry(1), Priority::Live);
    taken(&mut queue);
    queue.set_apart(&target("E", 1), BTreeSet::new(), now);
    assert_eq!(queue.take_along(&target("E", 1)), Along::Alone);
    queue.wake(now);
    assert_eq!(taken(&mut queue), [target("E", 1)]);
    queue.request(target("E", 1), [], entry(2), Priority::Live);
    queue.done(&target("E", 1));
    assert_eq!(queue.take_along(&target("E", 1)), Along::Taken(BTreeSet::new()));
}
