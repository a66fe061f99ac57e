//! Two sidecars, a few rows that move between a few item keys, every step at a random moment: once
//! everything owed is done, the items equal their rows.
//! Never here: real stores.

use proptest::prelude::*;

use super::tests::{item_key, owner};
use super::*;

/// Tags and the rows whose items they are.
type Cache = BTreeMap<ItemKey, (String, usize)>;

const ROWS: usize = 3;
const KEYS: usize = 3;
const SIDECARS: usize = 2;

#[derive(Clone, Copy, PartialEq, Debug)]
enum Broken {
    Nothing,
    /// A failed condition is answered with the new tag, without reading the row again.
    StaleWrite,
    /// A created item is not checked.
    NoReread,
    /// Old item keys are forgotten.
    NoOldKeys,
}

#[derive(Clone, PartialEq, Debug)]
struct Stored {
    tag: String,
    row: usize,
    version: u32,
}

struct Run {
    machine: Refresh,
    step: Step,
    cache: Cache,
    version: u32,
    creating: Option<Condition>,
}

#[derive(Default)]
struct Sidecar {
    cache: Cache,
    owed: BTreeMap<usize, BTreeSet<ItemKey>>,
    parked: BTreeMap<usize, BTreeSet<ItemKey>>,
    runs: BTreeMap<usize, Run>,
}

struct World {
    seed: u64,
    pure_keys: bool,
    broken: Broken,
    rows: [Option<(usize, u32)>; ROWS],
    items: BTreeMap<ItemKey, Stored>,
    sidecars: [Sidecar; SIDECARS],
    clock: u32,
}

fn key_of(number: usize) -> ItemKey {
    item_key(&number.to_string())
}

fn known(cache: &Cache, key: &ItemKey, row: usize) -> Option<String> {
    cache.get(key).filter(|(_, of)| *of == row).map(|(tag, _)| tag.clone())
}

fn row_owner(row: usize) -> Owner {
    owner(&row.to_string())
}

impl World {
    fn new(seed: u64, broken: Broken) -> World {
        World {
            seed: seed | 1,
            pure_keys: seed.is_multiple_of(3),
            broken,
            rows: [None; ROWS],
            items: BTreeMap::new(),
            sidecars: Default::default(),
            clock: 0,
        }
    }

    fn random(&mut self, below: usize) -> usize {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        (self.seed % below as u64) as usize
    }

    /// One transaction: changes a row, and owes it to the sidecar it went through.
    fn commit(&mut self) {
        let (row, sidecar) = (self.random(ROWS), self.random(SIDECARS));
        self.clock += 1;
        let old = self.rows[row];
        let key = if self.pure_keys { row } else { self.random(KEYS) };
        self.rows[row] = (self.random(3) > 0).then_some((key, self.clock));
        let stale = old.map(|(key, _)| key_of(key)).filter(|_| self.broken != Broken::NoOldKeys);
        self.sidecars[sidecar].owed.entry(row).or_default().extend(stale);
    }

    /// One step of one refresh. `false`: nothing to do.
    fn advance(&mut self, sidecar: usize, faults: bool) -> bool {
        let ready: Vec<usize> = (0..ROWS)
            .filter(|row| {
                let sidecar = &self.sidecars[sidecar];
                sidecar.runs.contains_key(row) || sidecar.owed.contains_key(row)
            })
            .collect();
        if ready.is_empty() {
            return false;
        }
        let row = ready[self.random(ready.len())];
        let Some(mut run) = self.sidecars[sidecar].runs.remove(&row) else {
            self.begin(sidecar, row);
            return true;
        };
        // A fault: the answer is lost (the write may have passed) and the refresh starts anew.
        let fault = faults && self.random(12) == 0;
        if fault && self.random(2) == 0 {
            self.owe_again(sidecar, row, run.machine.candidates().clone());
            return true;
        }
        let event = self.perform(sidecar, row, &mut run);
        if fault {
            self.owe_again(sidecar, row, run.machine.candidates().clone());
            return true;
        }
        run.step = run.machine.next(event);
        if self.broken == Broken::NoReread && run.step == Step::RereadAfterCreate {
            run.step = Step::Done;
        }
        match &run.step {
            Step::Done => {}
            Step::Park { .. } => {
                let candidates = run.machine.candidates().clone();
                self.sidecars[sidecar].parked.entry(row).or_default().extend(candidates);
            }
            Step::ReadRow | Step::RereadAfterCreate => {
                run.cache = self.sidecars[sidecar].cache.clone();
                self.sidecars[sidecar].runs.insert(row, run);
            }
            _ => drop(self.sidecars[sidecar].runs.insert(row, run)),
        }
        true
    }

    fn owe_again(&mut self, sidecar: usize, row: usize, stale: BTreeSet<ItemKey>) {
        self.sidecars[sidecar].owed.entry(row).or_default().extend(stale);
    }

    fn begin(&mut self, number: usize, row: usize) {
        let own = self.pure_keys.then(|| key_of(row));
        let sidecar = &mut self.sidecars[number];
        let mut stale = sidecar.owed.remove(&row).unwrap_or_default();
        stale.extend(sidecar.parked.remove(&row).unwrap_or_default());
        let tags: BTreeMap<ItemKey, String> = stale
            .iter()
            .chain(&own)
            .filter_map(|key| Some((key.clone(), known(&sidecar.cache, key, row)?)))
            .collect();
        let machine = Refresh::new(row_owner(row), own, stale, tags);
        let step = machine.start();
        let cache = sidecar.cache.clone();
        let run = Run { machine, step, cache, version: 0, creating: None };
        sidecar.runs.insert(row, run);
    }

    fn perform(&mut self, sidecar: usize, row: usize, run: &mut Run) -> Event {
        match run.step.clone() {
            Step::ReadRow | Step::RereadAfterCreate => match self.rows[row] {
                None => Event::Row(RowImage::Gone),
                Some((key, version)) => {
                    run.version = version;
                    let key = key_of(key);
                    let tag = known(&run.cache, &key, row);
                    Event::Row(RowImage::Present { key, tag })
                }
            },
            Step::Put { key, expect } => {
                run.creating = Some(expect.clone());
                self.clock += 1;
                let tag = format!("tag{}", self.clock);
                let passes = self.holds(&key, &expect) || self.broken == Broken::StaleWrite;
                let existing = self.existing(&key);
                if passes {
                    let stored = Stored { tag: tag.clone(), row, version: run.version };
                    self.items.insert(key.clone(), stored);
                    self.sidecars[sidecar].cache.insert(key, (tag.clone(), row));
                    return Event::PutDone { tag };
                }
                self.learn(sidecar, key);
                Event::PutConflict { tag, existing }
            }
            Step::Delete { key, expect } => {
                if self.holds(&key, &expect) {
                    self.items.remove(&key);
                    self.sidecars[sidecar].cache.remove(&key);
                    return Event::DeleteDone;
                }
                let existing = self.existing(&key);
                self.learn(sidecar, key);
                Event::DeleteConflict { existing }
            }
            Step::CheckOwner { owner, key } => {
                let holds = (0..ROWS).any(|other| {
                    row_owner(other) == owner
                        && self.rows[other].is_some_and(|(at, _)| key_of(at) == key)
                });
                Event::OwnerHolds(holds)
            }
            step @ (Step::Park { .. } | Step::Done) => unreachable!("{step:?}"),
        }
    }

    fn holds(&self, key: &ItemKey, expect: &Condition) -> bool {
        match (self.items.get(key), expect) {
            (None, Condition::Absent) => true,
            (Some(item), Condition::Tag(tag)) => item.tag == *tag,
            _ => false,
        }
    }

    fn existing(&self, key: &ItemKey) -> Option<Existing> {
        let item = self.items.get(key)?;
        Some(Existing { tag: Some(item.tag.clone()), owner: Some(row_owner(item.row)) })
    }

    fn learn(&mut self, sidecar: usize, key: ItemKey) {
        let cache = &mut self.sidecars[sidecar].cache;
        match self.items.get(&key) {
            Some(item) => drop(cache.insert(key, (item.tag.clone(), item.row))),
            None => drop(cache.remove(&key)),
        }
    }

    /// Runs everything owed to its end, parked keys again as long as that changes anything.
    fn settle(&mut self) {
        for _ in 0..2 * ROWS {
            for _ in 0..10_000 {
                let sidecar = self.random(SIDECARS);
                if !self.advance(sidecar, false) && !self.advance(1 - sidecar, false) {
                    break;
                }
            }
            for sidecar in &mut self.sidecars {
                assert!(sidecar.runs.is_empty() && sidecar.owed.is_empty(), "it must settle");
                sidecar.owed = std::mem::take(&mut sidecar.parked);
            }
        }
    }

    /// What differs from `item = f(row)`, `None` if nothing does.
    fn difference(&self) -> Option<String> {
        for (key, item) in &self.items {
            let right = self.rows[item.row]
                .is_some_and(|(at, version)| key_of(at) == *key && version == item.version);
            if !right {
                return Some(format!("{key:?} holds {item:?}, rows {:?}", self.rows));
            }
        }
        let homes: BTreeSet<usize> = self.rows.iter().flatten().map(|(key, _)| *key).collect();
        let missing = homes.into_iter().find(|key| !self.items.contains_key(&key_of(*key)));
        missing.map(|key| format!("no item {key}, rows {:?}", self.rows))
    }
}

fn play(seed: u64, broken: Broken) -> Option<String> {
    let mut world = World::new(seed, broken);
    for _ in 0..60 {
        match world.random(4) {
            0 => world.commit(),
            _ => {
                let sidecar = world.random(SIDECARS);
                world.advance(sidecar, true);
            }
        }
    }
    world.settle();
    world.difference()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases.max(3_000)))]
    #[test]
    fn items_equal_their_rows_once_everything_owed_is_done(seed: u64) {
        prop_assert_eq!(play(seed, Broken::Nothing), None);
    }
}

#[test]
fn each_way_of_breaking_it_is_noticed() {
    for broken in [Broken::StaleWrite, Broken::NoReread, Broken::NoOldKeys] {
        let noticed =
            (1..3_000u64).filter_map(|seed| play(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15), broken));
        assert!(noticed.count() > 0, "{broken:?} went unnoticed");
    }
}
