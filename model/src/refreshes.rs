//! Refreshes: the machine of `segue_rules` driven as the mirror drives it.
//! Never here: what DynamoDB does with a request.

use std::collections::BTreeSet;

use segue_rules::owed::{Ending, JobState, Parking};
use segue_rules::refresh::{
    Condition, Event, Lesson, ParkReason, Refresh, RowImage, Seen, Step, must_come_to_rest,
};
use segue_rules::value::ItemKey;

use crate::actions::Play;
use crate::broken::Broken;
use crate::scenario::{Layout, item_key, number_of, owner, row_of};
use crate::sidecar::entries;
use crate::transactions::read_row;
use crate::world::{At, Debt, Flight, Item, Request, Run, Stage, Waiter};

impl Play<'_> {
    /// Begins a refresh if none is under way, and reads the row.
    pub fn read(&mut self, number: u8, row: u8) {
        let (found, home) = {
            let found = read_row(self.scenario, self.world, row);
            (found, found.map(|found| self.scenario.home(row, found.at, self.world.parent)))
        };
        let scenario = self.scenario;
        let sidecar = self.world.sidecar(number);
        let moment = sidecar.now;
        if !sidecar.runs.contains_key(&row) {
            let Some(job) = sidecar.jobs.get_mut(&row) else { return };
            let Some(mut stale) = job.take() else { return };
            if scenario.own_key(row).is_none() {
                stale.extend(sidecar.homes.get(&row).copied().map(item_key));
            }
            let own = scenario.own_key(row);
            let serves = |key: &ItemKey| {
                let seen = sidecar.tags.get(&number_of(key))?;
                let serves = scenario.cached && seen.serves(&owner(row), moment);
                serves.then(|| (key.clone(), seen.tag.clone()))
            };
            let tags = stale.iter().chain(&own).filter_map(serves).collect();
            let machine = Refresh::new(owner(row), own, stale, tags);
            sidecar.runs.insert(row, Run { machine, at: At::Reading, read: None, home: None });
        }
        let Some(run) = sidecar.runs.get_mut(&row) else { return };
        run.at = At::Deciding { home, moment };
        run.read = found;
        run.home = home;
        if scenario.rows.len() == 1 {
            // No other row's refresh can teach anything in between.
            self.decide(number, row);
        }
    }

    /// Decides by what was read.
    pub fn decide(&mut self, number: u8, row: u8) {
        let scenario = self.scenario;
        let sidecar = self.world.sidecar(number);
        let Some(run) = sidecar.runs.get_mut(&row) else { return };
        let At::Deciding { home, moment } = run.at else { return };
        let moment = if scenario.is(Broken::TagLearntAfterRead) { sidecar.now } else { moment };
        let image = match home {
            None => RowImage::Gone,
            Some(home) => {
                let seen = sidecar.tags.get(&home);
                let serves = |seen: &&Seen| scenario.cached && seen.serves(&owner(row), moment);
                let tag = seen.filter(serves).map(|seen| seen.tag.clone());
                RowImage::Present { key: item_key(home), tag }
            }
        };
        let step = run.machine.next(Event::Row(image));
        self.follow(number, row, step);
    }

    /// Reads the row that an item in the way belongs to.
    pub fn check(&mut self, number: u8, row: u8) {
        let Some(run) = self.world.sidecar(number).runs.get(&row) else { return };
        let At::Checking { row: other, key } = run.at else { return };
        let holds = self.world.home(self.scenario, other) == Some(key);
        self.tell_machine(number, row, Event::OwnerHolds(holds));
    }

    /// The answer of DynamoDB to the refresh's request.
    pub fn answer(&mut self, flight: &Flight, event: Event) {
        self.learn(flight.from, flight.row, flight.key, &event);
        if let (
            Event::PutConflict { existing, .. },
            Request::Put { item, .. },
            Broken::NoReadAfterConflict,
        ) = (&event, &flight.request, self.scenario.broken)
        {
            let tag = existing.as_ref().and_then(|existing| existing.tag.clone());
            let expect = tag.map_or(Condition::Absent, Condition::Tag);
            let item = Item { tag: self.world.fresh_tag(), ..item.clone() };
            let request = Request::Put { expect, item };
            self.world.flights.insert(Flight { request, ..flight.clone() });
            return;
        }
        self.tell_machine(flight.from, flight.row, event);
    }

    fn learn(&mut self, number: u8, row: u8, key: u8, event: &Event) {
        let movable = self.scenario.own_key(row).is_none();
        let sidecar = self.world.sidecar(number);
        let (tag, owner) = match Lesson::of(event) {
            Some(Lesson::Written { tag }) => {
                if movable {
                    sidecar.homes.insert(row, key);
                }
                (tag, owner(row))
            }
            Some(Lesson::Found { tag, owner }) => (tag, owner),
            Some(Lesson::Deleted) => {
                if sidecar.homes.get(&row) == Some(&key) {
                    sidecar.homes.remove(&row);
                }
                sidecar.tags.remove(&key);
                return;
            }
            Some(Lesson::Unknown) => {
                sidecar.tags.remove(&key);
                return;
            }
            None => return,
        };
        if self.scenario.cached {
            sidecar.now = sidecar.now.next();
            let learnt = sidecar.now;
            sidecar.tags.insert(key, Seen { tag, owner, learnt });
        }
    }

    fn tell_machine(&mut self, number: u8, row: u8, event: Event) {
        let Some(run) = self.world.sidecar(number).runs.get_mut(&row) else { return };
        let step = run.machine.next(event);
        self.follow(number, row, step);
    }

    fn follow(&mut self, number: u8, row: u8, step: Step) {
        let Some(run) = self.world.sidecar(number).runs.get_mut(&row) else { return };
        match step {
            Step::RereadAfterCreate if self.scenario.is(Broken::NoRereadAfterCreate) => {
                self.finish(number, row);
            }
            Step::ReadRow | Step::RereadAfterCreate => run.at = At::Reading,
            Step::CheckOwner { owner, key } => {
                run.at = At::Checking { row: row_of(&owner), key: number_of(&key) };
            }
            Step::Put { key, expect } => self.put(number, row, &key, expect),
            Step::Delete { key, expect } => {
                run.at = At::Flying;
                let (key, request) = (number_of(&key), Request::Delete { expect });
                self.send(number, row, key, request);
            }
            Step::Park { reason } => self.park(number, row, &reason),
            Step::Done => self.come_to_rest(number, row),
        }
    }

    /// The machine is done. Where other rows decide the item key, nobody else may be about to move the row.
    fn come_to_rest(&mut self, number: u8, row: u8) {
        let shared = self.scenario.layout == Layout::Joined;
        let sidecar = self.world.sidecar(number);
        let settled = sidecar.settled.get(&row).copied().map(item_key);
        let Some(run) = sidecar.runs.get_mut(&row) else { return };
        let home = run.home.map(item_key);
        let rests = must_come_to_rest(shared, settled.as_ref(), home.as_ref());
        if rests && !self.scenario.is(Broken::NoRestForMovedItems) {
            run.at = At::Resting;
        } else {
            self.finish(number, row);
        }
    }

    /// Looks whether a transaction holds a row that decides the item key, then at the row.
    pub fn rest(&mut self, number: u8, row: u8) {
        let at_rest = self
            .world
            .transactions
            .iter()
            .all(|transaction| !matches!(transaction.stage, Stage::Open | Stage::Loose));
        let home = self.world.home(self.scenario, row);
        let sidecar = self.world.sidecar(number);
        match sidecar.runs.get(&row).and_then(|run| run.home) {
            Some(read) if at_rest && home == Some(read) => {
                sidecar.settled.insert(row, read);
                self.finish(number, row);
            }
            _ => self.give_up(number, row),
        }
    }

    fn put(&mut self, number: u8, row: u8, key: &ItemKey, expect: Condition) {
        let key = number_of(key);
        let tag = match (&expect, self.scenario.is(Broken::Counters)) {
            (Condition::Tag(tag), true) => counted(number, tag),
            (_, true) => counted(number, ""),
            (_, false) => self.world.fresh_tag(),
        };
        let standing = self.world.items.get(&key).map(|item| (item.row, item.value));
        let sidecar = self.world.sidecar(number);
        let Some(run) = sidecar.runs.get_mut(&row) else { return };
        let Some(read) = run.read else { return };
        if self.scenario.is(Broken::SkipWhenEqual) && standing == Some((row, read.value)) {
            self.finish(number, row);
            return;
        }
        run.at = At::Flying;
        if run.machine.put_may_come_late() {
            sidecar.settled.remove(&row);
        }
        if self.scenario.is(Broken::SettledBeforeAcknowledged) {
            for entry in entries(sidecar.jobs[&row].waiters()) {
                self.end_work(number, entry, Ending::Applied);
            }
        }
        let item = Item { tag, row, value: read.value, version: read.version };
        self.send(number, row, key, Request::Put { expect, item });
    }

    fn send(&mut self, from: u8, row: u8, key: u8, request: Request) {
        self.world.flights.insert(Flight { from, row, key, request, awaited: true });
    }

    fn finish(&mut self, number: u8, row: u8) {
        let served = self.scenario.is(Broken::RequestServedByRunUnderWay);
        let sidecar = self.world.sidecar(number);
        sidecar.runs.remove(&row);
        let Some(job) = sidecar.jobs.get_mut(&row) else { return };
        let (mut waiters, mut again) = job.done();
        if again && served {
            job.take();
            let (others, _) = job.done();
            waiters.extend(others);
            again = false;
        }
        if !again {
            sidecar.jobs.remove(&row);
        }
        let waited = entries(&waiters);
        let count = waited.len();
        for (index, entry) in waited.into_iter().enumerate() {
            self.end_work(number, entry, Ending::Applied.of(index, count));
        }
        if waiters.contains(&Waiter::Sweep) {
            self.sweep_goes_on(number);
        }
    }

    fn park(&mut self, number: u8, row: u8, _reason: &ParkReason) {
        let sidecar = self.world.sidecar(number);
        let Some(run) = sidecar.runs.remove(&row) else { return };
        let Some(job) = sidecar.jobs.get_mut(&row) else { return };
        let stays = |waiter: &Waiter| matches!(waiter, Waiter::Entry(_));
        let (leaving, owed) = match job.park(run.machine.candidates().clone(), stays) {
            Parking::Again => return,
            Parking::Dropped { leaving } => {
                sidecar.jobs.remove(&row);
                (leaving, false)
            }
            Parking::Parked { leaving } => {
                for entry in entries(job.waiters()) {
                    sidecar.ledger.set_parked(entry, true);
                }
                (leaving, true)
            }
        };
        if leaving.is_empty() {
            return;
        }
        if !owed {
            let debt = Debt { row, stale: None, sweep: false, transaction: None };
            let record = self.append(number, debt.clone());
            self.take_up(number, debt, Some(record));
        }
        self.sweep_goes_on(number);
    }

    /// The refresh gives up; it starts anew, with every item key it may have written.
    pub fn give_up(&mut self, number: u8, row: u8) {
        let sidecar = self.world.sidecar(number);
        let Some(run) = sidecar.runs.remove(&row) else { return };
        let candidates: BTreeSet<ItemKey> = run.machine.candidates().clone();
        let Some(job) = sidecar.jobs.get_mut(&row) else { return };
        job.retry(candidates);
        job.due();
    }

    /// Tries a parked key again.
    pub fn unpark(&mut self, number: u8, row: u8) {
        let job = self.world.sidecar(number).jobs.get(&row);
        if job.is_some_and(|job| job.state() == JobState::Parked) {
            self.request(number, row, None, None);
        }
    }
}

/// The tag that follows, counted from one, with the number of its writer.
fn counted(sidecar: u8, tag: &str) -> String {
    let digits: String = tag.chars().skip(1).take_while(char::is_ascii_digit).collect();
    format!("t{}s{sidecar}", digits.parse::<usize>().unwrap_or_default() + 1)
}
