//! What must hold in every state, and what must be reachable at all.
//! Never here: how states come about.

use segue_rules::owed::JobState;
use stateright::Property;

use crate::actions::{Bounded, progress};
use crate::scenario::Scenario;
use crate::world::{Sidecar, Stage, World};

pub(crate) fn all() -> Vec<Property<Bounded>> {
    vec![
        Property::always("converged when quiet", |model: &Bounded, world: &World| {
            !quiet(&model.0, world)
                || wrong_rows(&model.0, world).is_empty() && strays(&model.0, world).is_empty()
        }),
        Property::always("nothing of a rolled-back transaction", |_, world: &World| {
            world.items.values().all(|item| committed(world, item.version))
        }),
        Property::always("no resurrection", |model: &Bounded, world: &World| {
            strays(&model.0, world).into_iter().all(|row| owed(world, row))
        }),
        Property::always("nothing owed is forgotten", |model: &Bounded, world: &World| {
            wrong_rows(&model.0, world).into_iter().all(|row| owed(world, row))
        }),
        Property::always("the books balance", |_, world: &World| {
            world.sidecars.iter().all(balanced)
        }),
        Property::always("nothing waits for ever", |model: &Bounded, world: &World| {
            // With a request or a refresh under way there is a next step.
            let busy = !world.flights.is_empty();
            if busy || quiet(&model.0, world) || world.sidecars.iter().any(|s| !s.runs.is_empty()) {
                return true;
            }
            let mut actions = Vec::new();
            progress(world, &mut actions);
            !actions.is_empty()
        }),
        Property::sometimes("all is done", |model: &Bounded, world: &World| {
            quiet(&model.0, world) && world.transactions.len() == model.0.transactions
        }),
    ]
}

/// Nothing is under way, and nothing is owed but what another row stands in the way of.
fn quiet(scenario: &Scenario, world: &World) -> bool {
    let ended = |stage| matches!(stage, Stage::Committed | Stage::RolledBack);
    world.flights.is_empty()
        && world.transactions.iter().all(|transaction| ended(transaction.stage))
        && world.sidecars.iter().all(|sidecar| {
            sidecar.jobs.iter().all(|(row, job)| {
                job.state() == JobState::Parked && held_by_another(scenario, world, *row)
            }) && sidecar.runs.is_empty()
                && sidecar.uncertain.is_empty()
                && sidecar.sweep.is_none()
        })
}

fn committed(world: &World, version: u8) -> bool {
    let Some(number) = version.checked_sub(1) else { return true };
    world
        .transactions
        .get(usize::from(number))
        .is_some_and(|transaction| matches!(transaction.stage, Stage::Committed | Stage::Late))
}

/// Rows whose item is missing or shows another state, unless another row has a right to its place.
pub(crate) fn wrong_rows(scenario: &Scenario, world: &World) -> Vec<u8> {
    let rows = (0..).zip(&world.rows).filter_map(|(number, row)| Some((number, (*row)?)));
    let right = |number: u8, value: u8| {
        let home = world.home(scenario, number);
        home.and_then(|home| world.items.get(&home))
            .is_some_and(|item| item.row == number && item.value == value)
    };
    rows.filter(|(number, row)| !right(*number, row.value))
        .filter(|(number, _)| !quiet(scenario, world) || !held_by_another(scenario, world, *number))
        .map(|(number, _)| number)
        .collect()
}

/// Two rows have one item key: one of them is parked.
fn held_by_another(scenario: &Scenario, world: &World, row: u8) -> bool {
    let home = world.home(scenario, row);
    let item = home.and_then(|home| world.items.get(&home));
    item.is_some_and(|item| item.row != row && world.home(scenario, item.row) == home)
}

/// Rows of items that stand where their row is not, or no more.
pub(crate) fn strays(scenario: &Scenario, world: &World) -> Vec<u8> {
    let astray = |(key, row): &(u8, u8)| world.home(scenario, *row) != Some(*key);
    world
        .items
        .iter()
        .map(|(key, item)| (*key, item.row))
        .filter(astray)
        .map(|(_, row)| row)
        .collect()
}

/// A journal, of a process that lives or will be started again, has a record of the row.
fn owed(world: &World, row: u8) -> bool {
    let records = world.sidecars.iter().flat_map(|sidecar| sidecar.journal.values());
    records.into_iter().any(|debt| debt.sweep || debt.row == row)
}

fn balanced(sidecar: &Sidecar) -> bool {
    let counts = sidecar.ledger.counts().values();
    let mut owed = 0;
    for count in counts {
        owed += count.owed;
        if count.seen != count.applied + count.superseded + count.owed || count.parked > count.owed
        {
            return false;
        }
    }
    owed as usize == sidecar.ledger.owed()
}
