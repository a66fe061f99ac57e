//! Runs `stateright` over a scenario.
//! Never here: what is explored, or printing.

use std::time::{Duration, Instant};

use stateright::{Checker, HasDiscoveries, Model};

use crate::actions::Bounded;
use crate::properties;
use crate::scenario::Scenario;
use crate::tell;

/// A property that does not hold.
#[derive(Clone, Debug)]
pub struct Found {
    pub property: &'static str,
    pub steps: usize,
    /// The shortest way there, numbered, with the state at its end.
    pub trace: String,
}

/// What an exploration saw.
#[derive(Clone, Debug)]
pub struct Report {
    /// Different states.
    pub states: usize,
    /// Steps from state to state.
    pub transitions: usize,
    pub depth: usize,
    /// With whether each holds (or is reachable, for the last).
    pub properties: Vec<(&'static str, bool)>,
    pub took: Duration,
}

impl Report {
    pub fn holds(&self) -> bool {
        self.properties.iter().all(|(_, holds)| *holds)
    }
}

/// Every state within the scenario's bounds.
pub fn explore(scenario: &Scenario, threads: usize) -> Report {
    let begin = Instant::now();
    let checker = Bounded(scenario.clone()).checker().threads(threads).spawn_dfs().join();
    let discoveries = checker.discoveries();
    let properties = properties::all()
        .into_iter()
        .map(|property| {
            let found = discoveries.contains_key(property.name);
            (property.name, found != property.expectation.discovery_is_failure())
        })
        .collect();
    Report {
        states: checker.unique_state_count(),
        transitions: checker.state_count(),
        depth: checker.max_depth(),
        properties,
        took: begin.elapsed(),
    }
}

/// The shortest way to a state in which a property does not hold, if there is one.
pub fn counterexample(scenario: &Scenario) -> Option<Found> {
    let mut shortest = within(scenario, None)?;
    // What is found first is not always the shortest; ask for shorter ones until there are none.
    while let Some(shorter) = within(scenario, Some(shortest.steps)) {
        shortest = shorter;
    }
    Some(shortest)
}

/// A counterexample of fewer steps.
fn within(scenario: &Scenario, fewer_than: Option<usize>) -> Option<Found> {
    let model = Bounded(scenario.clone());
    let checker = model.checker().finish_when(HasDiscoveries::AnyFailures);
    let checker = match fewer_than {
        // The first state has depth one, and states of this depth are not looked at.
        Some(steps) => checker.target_max_depth(steps + 1),
        None => checker,
    };
    let mut discoveries = checker.spawn_bfs().join().discoveries();
    let failures = properties::all().into_iter().filter(|p| p.expectation.discovery_is_failure());
    let found = failures.filter_map(|property| {
        let path = discoveries.remove(property.name)?.into_vec();
        let steps = path.len() - 1;
        Some(Found { property: property.name, steps, trace: tell::path(scenario, &path) })
    });
    found.min_by_key(|found| found.steps)
}
