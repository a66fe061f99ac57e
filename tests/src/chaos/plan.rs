//! The faults of one round, from its seed alone.
//! Never here: carrying them out.

use std::fmt::Write;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::SIDECARS;
use super::fault::Fault;

/// Most faults of one round.
const FAULTS_MAX: usize = 5;

/// A fault and when it begins.
#[derive(Clone, Debug, PartialEq)]
pub struct Planned {
    pub at: Duration,
    pub fault: Fault,
}

/// The faults of a round whose clients work for `load`, in order of time.
pub fn plan(seed: u64, load: Duration) -> Vec<Planned> {
    let mut random = StdRng::seed_from_u64(seed ^ 0x5e60_e000_0000_0000);
    let count = random.random_range(1..=FAULTS_MAX);
    let mut planned: Vec<Planned> = (0..count)
        .map(|_| Planned {
            at: load.mul_f64(random.random_range(0.05..0.95)),
            fault: fault(&mut random),
        })
        .collect();
    planned.sort_by_key(|planned| planned.at);
    planned
}

fn millis(random: &mut StdRng, from: u64, to: u64) -> Duration {
    Duration::from_millis(random.random_range(from..=to))
}

fn fault(random: &mut StdRng) -> Fault {
    let sidecar = random.random_range(0..SIDECARS);
    match random.random_range(0..100) {
        0..34 => {
            let rules = script(random);
            Fault::Script { sidecar, rules, time: millis(random, 200, 1_500) }
        }
        34..48 => Fault::KillSidecar { sidecar, away: millis(random, 0, 300) },
        48..50 => Fault::KillEverySidecar { away: millis(random, 0, 100) },
        50..58 => Fault::PauseSidecar { sidecar, time: millis(random, 100, 900) },
        58..66 => Fault::FullDisk { sidecar, time: millis(random, 200, 900) },
        66..71 => Fault::KillEngine { away: millis(random, 0, 600) },
        71..75 => Fault::PauseEngine { time: millis(random, 100, 800) },
        _ => fault_of_mysql(random, sidecar),
    }
}

/// What goes wrong between Segue and MySQL, or in MySQL.
fn fault_of_mysql(random: &mut StdRng, sidecar: usize) -> Fault {
    match random.random_range(0..40) {
        0..4 => Fault::KillMysql,
        4..6 => Fault::RestartMysql,
        6..10 => Fault::CutWire { sidecar },
        10..14 => Fault::HalfOpenWire { sidecar, time: millis(random, 100, 1_200) },
        14..18 => Fault::SilentWire { sidecar, time: millis(random, 100, 1_200) },
        18..21 => Fault::FreezeWire { sidecar, time: millis(random, 100, 700) },
        21..24 => {
            let delay = millis(random, 2, 20);
            Fault::SlowWire { sidecar, delay, time: millis(random, 200, 900) }
        }
        24..27 => Fault::KillSessions,
        27..29 => Fault::ReadOnly { time: millis(random, 50, 400) },
        29..31 => Fault::SuperReadOnly { time: millis(random, 50, 400) },
        31..34 => Fault::RowLocks { time: millis(random, 100, 2_600) },
        34..37 => Fault::Deadlocks { time: millis(random, 300, 900) },
        37..39 => {
            let table = ["account", "product", "purchase_line", "remark"];
            Fault::RebuildTable { table: table[random.random_range(0..table.len())] }
        }
        _ => Fault::GlobalLock { time: millis(random, 50, 300) },
    }
}

/// Kinds with the delays that make sense for them, in milliseconds.
const KINDS: [(&str, Option<(u64, u64)>); 12] = [
    ("throttle", None),
    ("throughput", None),
    ("request-limit", None),
    ("conflict", None),
    ("server-error", None),
    ("unavailable", None),
    ("reset", None),
    ("answer-lost", None),
    ("answer-lost", Some((1, 100))),
    ("late", Some((1, 400))),
    ("twice", Some((1, 400))),
    ("slow", Some((1, 500))),
];

/// Between one and three rules.
fn script(random: &mut StdRng) -> String {
    let mut text = format!("seed = {}\n", random.random_range(0..1_000_000));
    for _ in 0..random.random_range(1..=3) {
        let (kind, delay) = KINDS[random.random_range(0..KINDS.len())];
        let _ = writeln!(text, "[[rule]]\nkind = \"{kind}\"");
        if let Some((from, to)) = delay {
            let _ = writeln!(text, "delay_ms = {}", random.random_range(from..=to));
        }
        let operation = [None, None, Some("PutItem"), Some("DeleteItem"), Some("Scan")];
        if let Some(operation) = operation[random.random_range(0..operation.len())] {
            let _ = writeln!(text, "operation = \"{operation}\"");
        }
        if random.random_bool(0.2) {
            let table = ["Shop", "Catalogue", "Wiki"][random.random_range(0..3)];
            let _ = writeln!(text, "table = \"{table}\"");
        }
        let probability = [0.1, 0.3, 0.6, 1.0][random.random_range(0..4)];
        let _ = writeln!(text, "probability = {probability:?}");
    }
    if random.random_bool(0.05) {
        // Each costs a whole time-out.
        text.push_str("[[rule]]\nkind = \"silent\"\nprobability = 0.05\ncount = 2\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOAD: Duration = Duration::from_secs(1);

    #[test]
    fn one_seed_makes_one_plan_and_its_scripts_are_valid() {
        assert_eq!(plan(3, LOAD), plan(3, LOAD));
        assert_ne!(plan(3, LOAD), plan(4, LOAD));
        let faults = (0..500).flat_map(|seed| plan(seed, LOAD));
        let mut scripts = 0;
        for planned in faults {
            assert!(planned.at < LOAD);
            if let Fault::Script { rules, .. } = planned.fault {
                segue_config::faults::parse(&rules, "script").unwrap();
                scripts += 1;
            }
        }
        assert!(scripts > 100);
        let names = (0..500).flat_map(|seed| plan(seed, LOAD)).map(|planned| planned.fault.name());
        assert_eq!(names.collect::<std::collections::BTreeSet<_>>().len(), 21, "every fault comes");
    }
}
