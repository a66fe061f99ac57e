//! Sweeps: every row refreshed, then every item without its row.
//! Never here: who waits for which run of a sweep.

use segue_rules::owed::{Ending, TurnState};
use segue_rules::refresh::is_stray;

use crate::actions::Play;
use crate::broken::Broken;
use crate::scenario::item_key;
use crate::world::Waiter;

impl Play<'_> {
    /// One place of a sweep: a row, or an item with the row that it belongs to.
    pub fn sweep_step(&mut self, number: u8) {
        let rows = self.scenario.rows.len() as u8;
        let places = match self.scenario.is(Broken::SweepWithoutStrays) {
            true => rows,
            false => rows + self.scenario.keys(),
        };
        let Some(sweep) = &mut self.world.sidecar(number).sweep else { return };
        if sweep.turn.state() == TurnState::Ready {
            sweep.turn.start();
            sweep.at = 0;
        }
        let at = sweep.at;
        if at >= places {
            self.sweep_done(number);
        } else if at < rows {
            // A scan of the table finds the rows that are there.
            match self.world.row(at) {
                Some(_) => self.sweep_refresh(number, at, None),
                None => self.sweep_goes_on(number),
            }
        } else {
            let key = at - rows;
            let row = self.world.items.get(&key).map(|item| item.row);
            let home = row.and_then(|row| self.world.home(self.scenario, row)).map(item_key);
            match row {
                Some(row) if is_stray(&item_key(key), home.as_ref()) => {
                    self.sweep_refresh(number, row, Some(key));
                }
                _ => self.sweep_goes_on(number),
            }
        }
    }

    fn sweep_refresh(&mut self, number: u8, row: u8, stale: Option<u8>) {
        if let Some(sweep) = &mut self.world.sidecar(number).sweep {
            sweep.waits = true;
        }
        self.request(number, row, stale, Some(Waiter::Sweep));
    }

    /// On to the next place.
    pub fn sweep_goes_on(&mut self, number: u8) {
        if let Some(sweep) = &mut self.world.sidecar(number).sweep {
            sweep.waits = false;
            sweep.at += 1;
        }
    }

    fn sweep_done(&mut self, number: u8) {
        let latecomers = self.scenario.is(Broken::SweepServesLatecomers);
        let sidecar = self.world.sidecar(number);
        let Some(sweep) = &mut sidecar.sweep else { return };
        let (mut waiters, mut again) = sweep.turn.done();
        if again && latecomers {
            let (others, _) = sweep.turn.done();
            waiters.extend(others);
            again = false;
        }
        sweep.at = 0;
        if !again {
            sidecar.sweep = None;
        }
        for entry in waiters {
            self.end_work(number, entry, Ending::Applied);
        }
    }
}
