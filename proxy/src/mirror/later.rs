//! Debts that are taken up (again) after a while, kept in the journal until then: writes that were
//! given up may still arrive, and commits that were under way may still move an item's row.
//! Never here: deciding which items need that (see `segue_rules::refresh`), refreshing.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;

use segue_config::limits;
use segue_rules::txn::Dirty;
use segue_rules::value::{ItemKey, SourceKey, TableName};

use super::expand::cascade_tables;
use super::owed;
use super::parts::Shared;
use super::queue::Target;
use super::record::{Debt, OldDriving, OldImage};
use crate::journal::RecordId;

/// What is watched, each once.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Watched {
    Item(Target, ItemKey),
    Table(TableName),
}

/// When a debt is taken up: once or twice, the last time with its record.
#[derive(Clone, Copy, Debug)]
struct Looks {
    first: Instant,
    last: Instant,
}

#[derive(Debug)]
struct Postponed {
    debt: Debt,
    record: Option<RecordId>,
    watched: Option<Watched>,
    last: Instant,
}

/// A moment with a number, because moments may be equal.
type Place = (Instant, u64);

/// The debts that wait, by the moment at which their wait ends.
#[derive(Debug, Default)]
pub(crate) struct Later {
    debts: BTreeMap<Place, Postponed>,
    places: HashMap<Watched, Place>,
    sequence: u64,
}

impl Later {
    fn add(&mut self, due: Instant, postponed: Postponed) {
        self.sequence += 1;
        let place = (due, self.sequence);
        if let Some(watched) = &postponed.watched {
            self.places.insert(watched.clone(), place);
        }
        self.debts.insert(place, postponed);
    }

    /// Something that is watched already is looked at anew. `false`: it is not watched.
    fn extend(&mut self, watched: &Watched, looks: Looks) -> bool {
        let place = self.places.get(watched).copied();
        let Some(mut postponed) = place.and_then(|place| self.debts.remove(&place)) else {
            return false;
        };
        postponed.last = postponed.last.max(looks.last);
        self.add(looks.first, postponed);
        true
    }

    fn next_due(&self) -> Option<Instant> {
        self.debts.keys().next().map(|(due, _)| *due)
    }

    fn take_due(&mut self, now: Instant) -> Vec<(Debt, Option<RecordId>)> {
        let mut due = Vec::new();
        while let Some(first) = self.debts.first_entry() {
            if first.key().0 > now {
                break;
            }
            let mut postponed = first.remove();
            if postponed.last > now {
                due.push((postponed.debt.clone(), None));
                self.add(postponed.last, postponed);
                continue;
            }
            if let Some(watched) = &postponed.watched {
                self.places.remove(watched);
            }
            due.push((postponed.debt, postponed.record.take()));
        }
        due
    }

    pub fn len(&self) -> usize {
        self.debts.len()
    }
}

impl Shared {
    /// A put that may create an item was given up: the row is refreshed again soon, because that is when
    /// a late write mostly arrives, and when none can arrive any more. Journaled when this returns.
    pub(crate) async fn watch_for_late_write(&self, target: &Target, key: &ItemKey) {
        let now = self.now();
        let first = now + limits::LATE_WRITE_FIRST_LOOK_AFTER;
        self.watch_item(target, key, Looks { first, last: now + limits::LATE_WRITE_AFTER }).await;
    }

    /// An item was created that another process's commit may be about to move.
    pub(crate) async fn watch_moved_item(&self, target: &Target, key: &ItemKey) {
        let look = self.now() + limits::MOVED_ITEM_LOOK_AFTER;
        self.watch_item(target, key, Looks { first: look, last: look }).await;
    }

    async fn watch_item(&self, target: &Target, key: &ItemKey, looks: Looks) {
        let watched = Watched::Item(target.clone(), key.clone());
        let room = {
            let mut state = self.state.lock();
            if state.later.extend(&watched, looks) {
                return;
            }
            state.later.len() < limits::LATER_DEBTS_MAX
        };
        if !room {
            self.watch_table(&target.table, looks.last).await;
            return;
        }
        let source = SourceKey { table: target.table.clone(), key: target.key.clone() };
        let driving = OldDriving {
            entity: target.entity.to_string(),
            table: target.table.clone(),
            key: target.key.clone(),
            item: Some(key.clone()),
        };
        let debt = Debt {
            entries: vec![Dirty::Key(source)],
            old: OldImage { driving: vec![driving], ..OldImage::default() },
            session: None,
        };
        self.postpone(debt, watched, looks).await;
    }

    /// The same of a whole table, where single items are too many.
    async fn watch_table(&self, table: &TableName, look: Instant) {
        let watched = Watched::Table(table.clone());
        let looks = Looks { first: look, last: look };
        if !self.state.lock().later.extend(&watched, looks) {
            self.postpone(Debt::sweeps([table], "late-writes"), watched, looks).await;
        }
    }

    async fn postpone(&self, debt: Debt, watched: Watched, looks: Looks) {
        let record = owed::record(self, &self.ruleset(), &debt).await;
        let postponed = Postponed { debt, record, watched: Some(watched), last: looks.last };
        self.state.lock().later.add(looks.first, postponed);
        self.later_added.notify_one();
    }

    /// Takes up what the journal brought back, twice: at once, and when no write of the process that is
    /// gone can arrive any more. The records stay until then.
    pub(crate) async fn recover(self: &Arc<Self>, debts: Vec<(RecordId, Debt)>) {
        let due = self.now() + limits::LATE_WRITE_AFTER;
        let ruleset = self.ruleset();
        let mut tables = BTreeSet::new();
        for (record, debt) in debts {
            let fits = self.state.lock().later.len() < limits::LATER_DEBTS_MAX;
            let record = if fits {
                let (debt, record) = (debt.clone(), Some(record));
                let again = Postponed { debt, record, watched: None, last: due };
                self.state.lock().later.add(due, again);
                None
            } else {
                tables.extend(cascade_tables(&ruleset, &debt));
                Some(record)
            };
            self.take_up_uncertain(debt, record);
        }
        for table in &tables {
            self.watch_table(table, due).await;
        }
    }
}

/// Takes up debts whose wait has ended until the mirror stops.
pub(crate) async fn watch(shared: Arc<Shared>) {
    loop {
        let due = shared.state.lock().later.next_due();
        let wait = async {
            match due {
                Some(due) => tokio::time::sleep_until(due.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = shared.stop.cancelled() => return,
            () = shared.later_added.notified() => {}
            () = wait => {}
        }
        let now = shared.now();
        let debts = shared.state.lock().later.take_due(now);
        for (debt, record) in debts {
            shared.take_up_uncertain(debt, record);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn postponed(table: &str, record: u64, last: Instant) -> Postponed {
        let table = TableName::from(table);
        Postponed {
            debt: Debt::sweeps([&table], "x"),
            record: Some(RecordId(record)),
            watched: Some(Watched::Table(table)),
            last,
        }
    }

    fn taken(later: &mut Later, now: Instant) -> Vec<(String, Option<u64>)> {
        let due = later.take_due(now).into_iter();
        due.map(|(debt, record)| (debt.entries[0].table().to_string(), record.map(|r| r.0)))
            .collect()
    }

    #[test]
    fn debts_come_back_when_their_wait_has_ended_and_keep_their_record_to_the_last() {
        let (mut later, now) = (Later::default(), Instant::now());
        let at = |seconds| now + Duration::from_secs(seconds);
        later.add(at(2), postponed("b", 2, at(2)));
        later.add(at(1), postponed("a", 1, at(9)));
        assert!(taken(&mut later, now).is_empty());
        assert_eq!(later.next_due(), Some(at(1)));
        let both = [("a".to_owned(), None), ("b".to_owned(), Some(2))];
        assert_eq!(taken(&mut later, at(2)), both);
        assert_eq!((later.len(), later.next_due()), (1, Some(at(9))));
        assert_eq!(taken(&mut later, at(9)), [("a".to_owned(), Some(1))]);
        assert_eq!((later.len(), later.places.len()), (0, 0));
    }

    #[test]
    fn what_is_watched_already_is_looked_at_anew() {
        let (mut later, now) = (Later::default(), Instant::now());
        let at = |seconds| now + Duration::from_secs(seconds);
        let watched = Watched::Table("a".into());
        assert!(!later.extend(&watched, Looks { first: at(1), last: at(1) }));
        later.add(at(1), postponed("a", 1, at(5)));
        assert!(later.extend(&watched, Looks { first: at(3), last: at(7) }));
        assert!(taken(&mut later, at(2)).is_empty());
        assert_eq!(taken(&mut later, at(3)), [("a".to_owned(), None)]);
        assert!(later.extend(&watched, Looks { first: at(4), last: at(4) }));
        assert_eq!(taken(&mut later, at(4)), [("a".to_owned(), None)]);
        assert_eq!(taken(&mut later, at(7)), [("a".to_owned(), Some(1))]);
        assert!(!later.extend(&watched, Looks { first: at(8), last: at(8) }));
    }
}
