//! What may happen next in a state, and that it does.
//! Never here: what each of it changes (see the files of the parties).

use std::collections::BTreeSet;

use segue_rules::owed::{JobState, TurnState};
use segue_rules::refresh::Moment;
use stateright::{Model, Property};

use crate::properties;
use crate::scenario::Scenario;
use crate::sidecar::{orphaned, sweep_ready};
use crate::transactions::unlocked;
use crate::world::{At, Flight, Spent, Stage, World};

/// A state that is being changed.
pub(crate) struct Play<'a> {
    pub scenario: &'a Scenario,
    pub world: &'a mut World,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    Owe { sidecar: u8, touch: usize },
    Commit { transaction: u8 },
    JournalLate { transaction: u8 },
    RollBack { transaction: u8 },
    Unheard { transaction: u8 },
    Resolve { transaction: u8, commits: bool },
    Read { sidecar: u8, row: u8 },
    Decide { sidecar: u8, row: u8 },
    Check { sidecar: u8, row: u8 },
    Arrive(Flight),
    Repeat(Flight),
    Lose(Flight),
    Vanish(Flight),
    Unpark { sidecar: u8, row: u8 },
    Look { sidecar: u8 },
    SweepStep { sidecar: u8 },
    Rest { sidecar: u8, row: u8 },
    Release { sidecar: u8 },
    Crash { sidecar: u8 },
}

/// A scenario as `stateright` explores it.
#[derive(Clone, Debug)]
pub(crate) struct Bounded(pub Scenario);

impl Model for Bounded {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World::new(&self.0)]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        progress(world, actions);
        begin_transactions(&self.0, world, actions);
        faults(&self.0, world, actions);
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let mut next = world.clone();
        Play { scenario: &self.0, world: &mut next }.act(action);
        renumber_moments(&mut next);
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all()
    }
}

fn begin_transactions(scenario: &Scenario, world: &World, actions: &mut Vec<Action>) {
    if world.transactions.len() >= scenario.transactions {
        return;
    }
    let free = |touch: &usize| unlocked(scenario, world, *touch);
    for touch in (0..scenario.touches.len()).filter(free) {
        for sidecar in 0..scenario.sidecars {
            // Sidecars that have done nothing yet are all alike.
            let untouched = |number: u8| {
                world.sidecars[usize::from(number)] == Default::default()
                    && world.flights.iter().all(|flight| flight.from != number)
                    && world.transactions.iter().all(|other| {
                        let ended = matches!(other.stage, Stage::Committed | Stage::RolledBack);
                        ended || other.sidecar != number
                    })
            };
            if sidecar > 0 && untouched(sidecar) && untouched(sidecar - 1) {
                continue;
            }
            actions.push(Action::Owe { sidecar, touch });
        }
    }
}

/// What happens by itself, sooner or later.
pub(crate) fn progress(world: &World, actions: &mut Vec<Action>) {
    for (transaction, number) in world.transactions.iter().zip(0..) {
        match transaction.stage {
            Stage::Open => actions.push(Action::Commit { transaction: number }),
            Stage::Late => actions.push(Action::JournalLate { transaction: number }),
            Stage::Loose => {
                for commits in [true, false] {
                    actions.push(Action::Resolve { transaction: number, commits });
                }
            }
            Stage::Committed | Stage::RolledBack => {}
        }
    }
    for (sidecar, number) in world.sidecars.iter().zip(0..) {
        for (row, job) in &sidecar.jobs {
            let (sidecar_number, row) = (number, *row);
            match (job.state(), sidecar.runs.get(&row).map(|run| &run.at)) {
                (JobState::Queued, _) | (JobState::Running, Some(At::Reading)) => {
                    actions.push(Action::Read { sidecar: sidecar_number, row });
                }
                (JobState::Running, Some(At::Deciding { .. })) => {
                    actions.push(Action::Decide { sidecar: sidecar_number, row });
                }
                (JobState::Running, Some(At::Checking { .. })) => {
                    actions.push(Action::Check { sidecar: sidecar_number, row });
                }
                (JobState::Running, Some(At::Resting)) => {
                    actions.push(Action::Rest { sidecar: sidecar_number, row });
                }
                (JobState::Parked, _) => {
                    actions.push(Action::Unpark { sidecar: sidecar_number, row });
                }
                _ => {}
            }
        }
        if !sidecar.uncertain.is_empty() {
            actions.push(Action::Look { sidecar: number });
        }
        if sweep_ready(sidecar) {
            actions.push(Action::SweepStep { sidecar: number });
        }
        let state = sidecar.sweep.as_ref().map(|sweep| sweep.turn.state());
        if state == Some(TurnState::Waiting) && !orphaned(world, number) {
            actions.push(Action::Release { sidecar: number });
        }
    }
    for flight in &world.flights {
        actions.push(Action::Arrive(flight.clone()));
        if !flight.awaited {
            actions.push(Action::Vanish(flight.clone()));
        }
    }
}

fn faults(scenario: &Scenario, world: &World, actions: &mut Vec<Action>) {
    let Spent { given_up, repeated, crashes, unheard, rollbacks } = world.spent;
    for (transaction, number) in world.transactions.iter().zip(0..) {
        if transaction.stage == Stage::Open && rollbacks < scenario.rollbacks {
            actions.push(Action::RollBack { transaction: number });
        }
        if transaction.stage == Stage::Open && unheard < scenario.unheard {
            actions.push(Action::Unheard { transaction: number });
        }
    }
    for flight in world.flights.iter().filter(|flight| flight.awaited) {
        if given_up < scenario.given_up {
            actions.push(Action::Lose(flight.clone()));
        }
        if repeated < scenario.repeated {
            actions.push(Action::Repeat(flight.clone()));
        }
    }
    if crashes < scenario.crashes {
        actions.extend((0..scenario.sidecars).map(|sidecar| Action::Crash { sidecar }));
    }
}

impl Play<'_> {
    fn act(&mut self, action: Action) {
        match action {
            Action::Owe { sidecar, touch } => self.owe(sidecar, touch),
            Action::Commit { transaction } => self.commit(transaction),
            Action::JournalLate { transaction } => self.journal_late(transaction),
            Action::RollBack { transaction } => self.roll_back(transaction),
            Action::Unheard { transaction } => self.unheard(transaction),
            Action::Resolve { transaction, commits } => self.resolve(transaction, commits),
            Action::Read { sidecar, row } => self.read(sidecar, row),
            Action::Decide { sidecar, row } => self.decide(sidecar, row),
            Action::Check { sidecar, row } => self.check(sidecar, row),
            Action::Arrive(flight) => self.arrive(&flight),
            Action::Repeat(flight) => self.repeat(&flight),
            Action::Lose(flight) => self.lose(&flight),
            Action::Vanish(flight) => drop(self.world.flights.remove(&flight)),
            Action::Unpark { sidecar, row } => self.unpark(sidecar, row),
            Action::Look { sidecar } => self.look(sidecar),
            Action::SweepStep { sidecar } => self.sweep_step(sidecar),
            Action::Rest { sidecar, row } => self.rest(sidecar, row),
            Action::Release { sidecar } => self.release(sidecar),
            Action::Crash { sidecar } => self.crash(sidecar),
        }
    }
}

/// Moments are only compared with one another, within one process and as long as a read is under way.
fn renumber_moments(world: &mut World) {
    for sidecar in &mut world.sidecars {
        let reads: BTreeSet<Moment> = sidecar
            .runs
            .values()
            .filter_map(|run| match run.at {
                At::Deciding { moment, .. } => Some(moment),
                _ => None,
            })
            .collect();
        // How many reads began before: 0 for what every read may use.
        let rank =
            |moment: Moment| Moment(reads.iter().filter(|read| **read < moment).count() as u64);
        sidecar.now = rank(sidecar.now);
        for seen in sidecar.tags.values_mut() {
            seen.learnt = rank(seen.learnt);
        }
        for run in sidecar.runs.values_mut() {
            if let At::Deciding { moment, .. } = &mut run.at {
                *moment = rank(*moment);
            }
        }
    }
}
