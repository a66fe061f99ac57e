//! The scenarios: together they bring every party to every kind of trouble, each within small bounds.
//! Never here: what happens in them.

use crate::broken::Broken;
use crate::scenario::{Change, Layout, Scenario, Touch};

/// How far the bounds go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// Seconds without optimisation.
    Small,
    /// Minutes.
    Large,
}

fn put(row: u8, at: u8) -> Touch {
    Touch { row, change: Change::Put { at, value: None }, swept: false }
}

fn shows(value: u8) -> Touch {
    Touch { row: 0, change: Change::Put { at: 0, value: Some(value) }, swept: false }
}

fn delete(row: u8) -> Touch {
    Touch { row, change: Change::Delete, swept: false }
}

fn swept(touch: Touch) -> Touch {
    Touch { swept: true, ..touch }
}

fn parent(at: u8) -> Touch {
    Touch { row: 0, change: Change::Parent { at }, swept: false }
}

/// One row that is there, two processes, nothing goes wrong but what the scenario adds.
fn plain(name: &'static str, touches: Vec<Touch>, transactions: usize) -> Scenario {
    Scenario {
        name,
        layout: Layout::Own,
        sidecars: 2,
        rows: vec![Some(0)],
        touches,
        transactions,
        given_up: 0,
        repeated: 0,
        crashes: 0,
        unheard: 0,
        rollbacks: 0,
        cached: true,
        broken: Broken::Nothing,
    }
}

/// All scenarios.
pub fn all(size: Size) -> Vec<Scenario> {
    let large = size == Size::Large;
    let more = |small: usize, big: usize| if large { big } else { small };
    let times = |small: u8, big: u8| if large { big } else { small };
    vec![
        Scenario {
            rollbacks: 1,
            ..plain("writes and deletes", vec![put(0, 0), delete(0)], more(3, 4))
        },
        Scenario {
            rows: vec![None],
            ..plain("insert, delete, insert", vec![put(0, 0), delete(0)], more(3, 4))
        },
        Scenario {
            cached: false,
            ..plain("nothing remembered", vec![put(0, 0), delete(0)], more(2, 3))
        },
        plain("the same value again", vec![shows(0), shows(1)], more(2, 3)),
        Scenario {
            rows: vec![None],
            given_up: times(1, 2),
            repeated: times(0, 1),
            ..plain("late and repeated writes", vec![put(0, 0), delete(0)], more(2, 3))
        },
        Scenario {
            rows: vec![None],
            repeated: 1,
            ..plain("repeated writes", vec![put(0, 0), delete(0)], 2)
        },
        Scenario {
            crashes: times(1, 2),
            ..plain("crashes", vec![put(0, 0), delete(0)], more(2, 2))
        },
        Scenario {
            rows: vec![None],
            crashes: 1,
            given_up: times(0, 1),
            ..plain("crashes of creators", vec![put(0, 0), delete(0)], 2)
        },
        Scenario {
            unheard: times(1, 2),
            rollbacks: 1,
            crashes: times(0, 1),
            ..plain("commits of unknown end", vec![put(0, 0), delete(0)], 2)
        },
        Scenario {
            layout: Layout::Column,
            given_up: times(0, 1),
            ..plain("the item key changes", vec![put(0, 0), put(0, 1), delete(0)], more(2, 3))
        },
        Scenario {
            layout: Layout::Column,
            sidecars: times(1, 2),
            rows: vec![Some(0), Some(1)],
            ..plain("two rows and their item keys", vec![put(0, 1), put(1, 0), delete(0)], 2)
        },
        Scenario {
            layout: Layout::Column,
            rows: vec![Some(0), Some(1)],
            ..plain("two rows at one item key", vec![put(0, 0), put(1, 0)], 3)
        },
        Scenario {
            layout: Layout::Column,
            sidecars: 1,
            rows: vec![Some(0), None],
            given_up: times(0, 1),
            ..plain("collisions", vec![put(1, 0), put(0, 1), delete(0)], more(2, 3))
        },
        Scenario {
            layout: Layout::Joined,
            sidecars: 1,
            ..plain("item keys of two rows, one process", vec![put(0, 1), parent(1)], more(2, 3))
        },
        Scenario {
            layout: Layout::Joined,
            ..plain("item keys of two rows", vec![put(0, 1), parent(1)], more(2, 3))
        },
        Scenario {
            crashes: times(0, 1),
            ..plain("sweeps", vec![swept(put(0, 0)), swept(delete(0)), delete(0)], 2)
        },
        Scenario {
            layout: Layout::Column,
            sidecars: 1,
            ..plain("sweeps of items that moved", vec![swept(put(0, 1)), swept(delete(0))], 2)
        },
    ]
}

/// One of them.
pub fn named(size: Size, name: &str) -> Option<Scenario> {
    all(size).into_iter().find(|scenario| scenario.name == name)
}

/// Every way to break the product, in a scenario where it shows.
pub fn breakages() -> Vec<Scenario> {
    let table = [
        (Broken::NoTagCheck, "writes and deletes"),
        (Broken::NoReadAfterConflict, "writes and deletes"),
        (Broken::NoRereadAfterCreate, "insert, delete, insert"),
        (Broken::Counters, "insert, delete, insert"),
        (Broken::TagLearntAfterRead, "two rows at one item key"),
        (Broken::JournalAfterCommit, "crashes"),
        (Broken::SkipWhenEqual, "the same value again"),
        (Broken::SettledBeforeAcknowledged, "crashes"),
        (Broken::UncertainSettledEarly, "commits of unknown end"),
        (Broken::UncertainForgotten, "commits of unknown end"),
        (Broken::RequestServedByRunUnderWay, "writes and deletes"),
        (Broken::SweepServesLatecomers, "sweeps"),
        (Broken::SweepWithoutStrays, "sweeps"),
        (Broken::NoOldImage, "the item key changes"),
        (Broken::ReadUncommitted, "writes and deletes"),
        (Broken::NoWatchForLateWrites, "late and repeated writes"),
        (Broken::NoWatchForLateWrites, "crashes of creators"),
        (Broken::NoSecondLookAtMovedItems, "item keys of two rows"),
    ];
    let scenario = |(broken, name)| Some(named(Size::Small, name)?.broken(broken));
    table.into_iter().filter_map(scenario).collect()
}
