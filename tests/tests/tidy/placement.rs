//! What may stand only in certain rooms: unwrap, spawned tasks, clocks, outside libraries.
//! Never here: rules about our own rooms naming each other.

use crate::assert_none;
use crate::scan::line_of;
use crate::tree::{Source, sources};

/// Something that is allowed only under some paths, outside of tests.
struct Placement {
    needles: &'static [&'static str],
    /// Beginnings of paths.
    allowed: &'static [&'static str],
    why: &'static str,
}

const UNWRAP: Placement = Placement {
    needles: &[".unwrap()", ".unwrap_err()"],
    allowed: &[],
    why: "say by `expect` why it holds, or handle it",
};

const SPAWN: Placement = Placement {
    needles: &["tokio::spawn", "task::spawn(", "JoinSet", "TaskTracker"],
    allowed: &[
        "proxy/src/app",
        "proxy/src/mirror",
        "proxy/src/console",
        "proxy/src/session",
        // Its clients are tasks of its own.
        "proxy/src/cli/demo",
    ],
    why: "tasks belong to the rooms that end them",
};

const CLOCK: Placement = Placement {
    needles: &["SystemTime::now", "UNIX_EPOCH.elapsed", "Utc::now"],
    allowed: &["proxy/src/app", "proxy/src/telemetry", "proxy/src/mirror"],
    why: "the time of day is read in few places and handed on",
};

const STOPWATCH: Placement = Placement {
    needles: &["Instant::now"],
    allowed: &[
        "proxy/src/app",
        "proxy/src/telemetry",
        "proxy/src/mirror",
        "proxy/src/cli",
        // It tells how long a client has been idle.
        "proxy/src/session/idle.rs",
        // It times its own requests for the metrics.
        "proxy/src/dynamo",
        // It paces itself and says how long it took.
        "proxy/src/movement",
        // Its writer paces its syncs.
        "proxy/src/journal",
        "model/src/explore.rs",
        "model/src/main.rs",
        "xtask/",
    ],
    why: "durations are measured in few places",
};

const DYNAMODB: Placement = Placement {
    needles: &["aws_sdk_dynamodb", "dynoxide"],
    allowed: &["proxy/src/dynamo"],
    why: "only the room `dynamo` knows the SDK and the engine",
};

/// The rules decide; they neither wait nor look around.
const PURE: Placement = Placement {
    needles: &[
        "std::fs", "std::net", "std::env", "tokio", "async fn", "tracing", "rand::", "println!",
    ],
    allowed: &["proxy/", "config/", "fuzz/", "model/src/main.rs", "xtask/"],
    why: "`rules` is pure: no I/O, async, logging or randomness",
};

const ALL: [&Placement; 6] = [&UNWRAP, &SPAWN, &CLOCK, &STOPWATCH, &DYNAMODB, &PURE];

/// A line with this, on the needle's line or the one above, says why it is right there.
const EXCUSE: &str = "// tidy: allowed because";

fn misplaced(sources: &[Source], placement: &Placement) -> Vec<String> {
    let mut found = vec![];
    for source in sources {
        if placement.allowed.iter().any(|allowed| source.path.starts_with(allowed)) {
            continue;
        }
        for needle in placement.needles {
            for (at, _) in source.product.match_indices(needle) {
                let before = source.product[..at].chars().next_back();
                let starts_word = needle.starts_with('.')
                    || !before.is_some_and(|c| c.is_alphanumeric() || c == '_');
                let line = line_of(&source.product, at);
                let near = source.text.lines().skip(line.saturating_sub(2)).take(2);
                let excused = near.into_iter().any(|line| line.contains(EXCUSE));
                if starts_word && !excused {
                    let why = placement.why;
                    found.push(format!("{}:{line}: `{needle}` ({why})", source.path));
                }
            }
        }
    }
    found
}

#[test]
fn nothing_unwraps_outside_of_tests() {
    assert_none(misplaced(&sources(), &UNWRAP));
}

#[test]
fn tasks_are_spawned_only_by_rooms_that_own_them() {
    assert_none(misplaced(&sources(), &SPAWN));
}

#[test]
fn clocks_are_read_only_where_time_is_handed_on() {
    assert_none(misplaced(&sources(), &CLOCK));
    assert_none(misplaced(&sources(), &STOPWATCH));
}

#[test]
fn only_the_dynamo_room_names_the_sdk() {
    assert_none(misplaced(&sources(), &DYNAMODB));
}

#[test]
fn rules_are_pure() {
    assert_none(misplaced(&sources(), &PURE));
}

#[test]
fn every_misplaced_needle_is_found_and_tests_are_free() {
    for placement in ALL {
        for needle in placement.needles {
            let receiver = if needle.starts_with('.') { "a" } else { "" };
            let line = format!("fn f() {{ {receiver}{needle} }}\n");
            let found = misplaced(&[Source::new("rules/src/route.rs", &line)], placement);
            assert_eq!(found.len(), 1, "{needle}: {found:?}");
            let tested = format!("#[cfg(test)]\nmod tests {{ {line} }}\n// {line}");
            assert_none(misplaced(&[Source::new("rules/src/route.rs", &tested)], placement));
            if let Some(allowed) = placement.allowed.first() {
                let path = format!("{allowed}/x.rs");
                assert_none(misplaced(&[Source::new(&path, &line)], placement));
            }
        }
    }
}

#[test]
fn reason_beside_a_needle_excuses_it() {
    let text = format!("{EXCUSE} it is no Option\nlet a = row.unwrap();\nlet b = c.unwrap();\n");
    assert_eq!(misplaced(&[Source::new("rules/src/route.rs", &text)], &UNWRAP).len(), 1);
}
