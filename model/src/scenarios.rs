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
    let mut all = races(size);
    all.extend(troubles(size));
    all.extend(item_keys(size));
    all.extend(sweeps(size));
    all
}

/// A bound of the small size and one of the large.
fn bound<N>(size: Size, small: N, large: N) -> N {
    match size {
        Size::Small => small,
        Size::Large => large,
    }
}

/// Nothing fails: transactions and refreshes overtake one another.
fn races(size: Size) -> Vec<Scenario> {
    let changes = || vec![put(0, 0), delete(0)];
    let absent = vec![None];
    vec![
        Scenario { rollbacks: 1, ..plain("writes and deletes", changes(), bound(size, 3, 4)) },
        Scenario { rows: absent, ..plain("insert, delete, insert", changes(), bound(size, 3, 4)) },
        Scenario { cached: false, ..plain("nothing remembered", changes(), bound(size, 2, 3)) },
        Scenario { sidecars: 3, ..plain("three processes", changes(), bound(size, 2, 3)) },
        plain("the same value again", vec![shows(0), shows(1)], bound(size, 2, 4)),
    ]
}

/// Requests, processes and connections fail.
fn troubles(size: Size) -> Vec<Scenario> {
    let changes = || vec![put(0, 0), delete(0)];
    let absent = || vec![None];
    vec![
        Scenario {
            rows: absent(),
            given_up: 1,
            repeated: bound(size, 0, 1),
            ..plain("late writes", changes(), bound(size, 2, 3))
        },
        Scenario { given_up: 1, ..plain("late writes over an item", changes(), bound(size, 2, 3)) },
        Scenario {
            rows: absent(),
            repeated: bound(size, 1, 2),
            ..plain("repeated writes", changes(), bound(size, 2, 3))
        },
        Scenario { crashes: bound(size, 1, 2), ..plain("crashes", changes(), 2) },
        Scenario {
            rows: absent(),
            crashes: 1,
            given_up: bound(size, 0, 1),
            ..plain("crashes of creators", changes(), 2)
        },
        Scenario {
            unheard: bound(size, 1, 2),
            rollbacks: 1,
            crashes: bound(size, 0, 1),
            ..plain("commits of unknown end", changes(), 2)
        },
    ]
}

/// Items move, and rows meet on one item key.
fn item_keys(size: Size) -> Vec<Scenario> {
    let column = |name, touches, transactions| Scenario {
        layout: Layout::Column,
        ..plain(name, touches, transactions)
    };
    let joined = |name, transactions| Scenario {
        layout: Layout::Joined,
        ..plain(name, vec![put(0, 1), parent(1)], transactions)
    };
    let moves = vec![put(0, 0), put(0, 1), delete(0)];
    vec![
        column("the item key changes", moves.clone(), bound(size, 2, 3)),
        Scenario { given_up: 1, ..column("the item key changes, late writes", moves, 2) },
        Scenario {
            sidecars: bound(size, 1, 2),
            rows: vec![Some(0), Some(1)],
            ..column("rows change places", vec![put(0, 1), put(1, 0), delete(0)], 2)
        },
        Scenario {
            rows: vec![Some(0), Some(1)],
            ..column("two rows at one item key", vec![put(0, 0), put(1, 0)], bound(size, 2, 3))
        },
        Scenario {
            sidecars: 1,
            rows: vec![Some(0), None],
            given_up: bound(size, 0, 1),
            ..column("collisions", vec![put(1, 0), put(0, 1), delete(0)], bound(size, 2, 3))
        },
        Scenario {
            sidecars: 1,
            rows: vec![Some(0), None],
            given_up: 1,
            ..column(
                "late writes over another row's item",
                vec![put(1, 0), put(0, 1), delete(1)],
                bound(size, 2, 3),
            )
        },
        Scenario {
            touches: vec![put(0, 0), put(0, 1), parent(1)],
            transactions: bound(size, 1, 4),
            ..joined("shared item keys, to and fro", 0)
        },
        Scenario { sidecars: 1, ..joined("shared item keys, one process", bound(size, 2, 3)) },
        joined("shared item keys", 2),
        Scenario { crashes: 1, ..joined("shared item keys and a crash", bound(size, 1, 2)) },
    ]
}

/// Statements whose rows are not known.
fn sweeps(size: Size) -> Vec<Scenario> {
    let changes = vec![swept(put(0, 0)), swept(delete(0)), delete(0)];
    let moves = vec![swept(put(0, 1)), swept(delete(0))];
    vec![
        Scenario {
            crashes: bound(size, 0, 1),
            given_up: bound(size, 0, 1),
            ..plain("sweeps", changes.clone(), 2)
        },
        Scenario { crashes: 1, ..plain("a sweep and a crash", changes, 1) },
        Scenario {
            layout: Layout::Column,
            sidecars: bound(size, 1, 2),
            crashes: bound(size, 0, 1),
            ..plain("sweeps of items that moved", moves, 2)
        },
    ]
}

/// One of them.
pub fn named(size: Size, name: &str) -> Option<Scenario> {
    all(size).into_iter().find(|scenario| scenario.name == name)
}

/// Every way to break the product, in a scenario where it shows. Small: those that show quickly.
pub fn breakages(size: Size) -> Vec<Scenario> {
    let mut table = vec![
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
        (Broken::LateWritesForgotten, "late writes"),
        (Broken::LateWritesForgotten, "crashes of creators"),
        (Broken::NoRestForMovedItems, "shared item keys"),
    ];
    if size == Size::Large {
        table.push((Broken::OnlyAbsenceComesLate, "late writes over another row's item"));
        table.push((Broken::SettledForEver, "shared item keys, to and fro"));
    }
    let scenario = |(broken, name)| {
        // They need transactions whose order alone is more than the small bounds allow.
        let size = match broken {
            Broken::TagLearntAfterRead | Broken::OnlyAbsenceComesLate | Broken::SettledForEver => {
                Size::Large
            }
            _ => Size::Small,
        };
        Some(named(size, name)?.broken(broken))
    };
    table.into_iter().filter_map(scenario).collect()
}
