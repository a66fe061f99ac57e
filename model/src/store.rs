//! DynamoDB: conditional writes, carried out when they arrive, which may be late or twice.
//! Never here: what a sidecar makes of the answer.

use segue_rules::refresh::{Condition, Event, Existing};

use crate::actions::Play;
use crate::broken::Broken;
use crate::scenario::{Scenario, owner};
use crate::world::{Flight, Request, World};

/// Whether the request's condition holds now.
pub(crate) fn holds(scenario: &Scenario, world: &World, flight: &Flight) -> bool {
    let item = world.items.get(&flight.key);
    match (item, flight.request.expect()) {
        _ if scenario.is(Broken::NoTagCheck) => true,
        (None, Condition::Absent) => true,
        (Some(item), Condition::Tag(tag)) => item.tag == *tag,
        _ => false,
    }
}

impl Play<'_> {
    /// The request arrives; its answer does too, if somebody waits for it.
    pub fn arrive(&mut self, flight: &Flight) {
        self.world.flights.remove(flight);
        let event = self.carry_out(flight);
        if flight.awaited {
            self.answer(flight, event);
        }
    }

    /// The request is carried out, and will be once more: something on the way sends it again.
    pub fn repeat(&mut self, flight: &Flight) {
        self.world.spent.repeated += 1;
        drop(self.carry_out(flight));
    }

    /// The sender waits no longer. The request may have got lost, or may arrive much later.
    pub fn lose(&mut self, flight: &Flight) {
        self.world.spent.given_up += 1;
        self.world.flights.remove(flight);
        self.world.flights.insert(Flight { awaited: false, ..flight.clone() });
        self.owe_late(flight);
        self.give_up(flight.from, flight.row);
    }

    fn carry_out(&mut self, flight: &Flight) -> Event {
        let existing = self
            .world
            .items
            .get(&flight.key)
            .map(|item| Existing { tag: Some(item.tag.clone()), owner: Some(owner(item.row)) });
        let holds = holds(self.scenario, self.world, flight);
        match &flight.request {
            Request::Put { item, .. } if holds => {
                self.world.items.insert(flight.key, item.clone());
                Event::PutDone { tag: item.tag.clone() }
            }
            Request::Put { item, .. } => Event::PutConflict { tag: item.tag.clone(), existing },
            Request::Delete { .. } if holds => {
                self.world.items.remove(&flight.key);
                Event::DeleteDone
            }
            Request::Delete { .. } => Event::DeleteConflict { existing },
        }
    }
}
