//! The model within its small bounds: what must hold does, and whatever is broken on purpose shows.
//! Never here: the larger bounds (`cargo xtask model`).

#![allow(clippy::unwrap_used, reason = "all of this crate is a test")]

use segue_model::{Size, all, breakages, counterexample, explore, named};

#[test]
fn every_scenario_holds() {
    for scenario in all(Size::Small) {
        let report = explore(&scenario, 2);
        println!("{}: {} states, {:.1} s", scenario.name, report.states, report.took.as_secs_f64());
        let trace = || counterexample(&scenario).map(|found| found.trace).unwrap_or_default();
        assert!(report.holds(), "{}: {:?}\n{}", scenario.name, report.properties, trace());
    }
}

#[test]
fn whatever_is_broken_on_purpose_is_noticed() {
    for scenario in breakages() {
        let found = counterexample(&scenario);
        let found = found.unwrap_or_else(|| panic!("{:?} went unnoticed", scenario.broken));
        println!(
            "{:?}: \"{}\" after {} steps\n{}",
            scenario.broken, found.property, found.steps, found.trace
        );
    }
}

#[test]
fn every_breakage_has_a_scenario() {
    // A name that is mistyped would drop out silently.
    assert_eq!(breakages().len(), 18);
    let mut names: Vec<&str> = all(Size::Small).iter().map(|scenario| scenario.name).collect();
    assert!(names.iter().all(|name| named(Size::Large, name).is_some()));
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all(Size::Large).len());
}
