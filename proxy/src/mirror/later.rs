//! Debts that are taken up (again) after a while, kept in the journal until then: writes that were
//! given up may still arrive, and commits that were under way may still move an item's row.
//! Never here: deciding which items need that (see `segue_rules::refresh`), refreshing.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

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

#[derive(Debug)]
struct Postponed {
    debt: Debt,
    record: Option<RecordId>,
    watched: Option<Watched>,
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

    /// Waits until `due` for something that is watched already. `false`: it is not.
    fn extend(&mut self, watched: &Watched, due: Instant) -> bool {
        let Some(place) = self.places.get(watched).copied() else { return false };
        if place.0 < due
            && let Some(postponed) = self.debts.remove(&place)
        {
            self.add(due, postponed);
        }
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
            let Postponed { debt, record, watched } = first.remove();
            if let Some(watched) = watched {
                self.places.remove(&watched);
            }
            due.push((debt, record));
        }
        due
    }

    pub fn len(&self) -> usize {
        self.debts.len()
    }
}

impl Shared {
    /// Owes one more refresh of a row, with this item key, that begins after the delay. Journaled when
    /// this returns.
    pub(crate) async fn watch_item(&self, target: &Target, key: &ItemKey, delay: Duration) {
        let watched = Watched::Item(target.clone(), key.clone());
        if self.extend(&watched, delay) {
            return;
        }
        if self.state.lock().later.len() >= limits::LATER_DEBTS_MAX {
            self.watch_table(&target.table, delay).await;
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
        self.postpone(debt, Some(watched), delay).await;
    }

    /// The same of a whole table, where single items are too many.
    async fn watch_table(&self, table: &TableName, delay: Duration) {
        let watched = Watched::Table(table.clone());
        if !self.extend(&watched, delay) {
            self.postpone(Debt::sweeps([table], "late-writes"), Some(watched), delay).await;
        }
    }

    fn extend(&self, watched: &Watched, delay: Duration) -> bool {
        let due = self.now() + delay;
        self.state.lock().later.extend(watched, due)
    }

    async fn postpone(&self, debt: Debt, watched: Option<Watched>, delay: Duration) {
        let record = owed::record(self, &self.ruleset(), &debt).await;
        let due = self.now() + delay;
        self.state.lock().later.add(due, Postponed { debt, record, watched });
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
                let again = Postponed { debt: debt.clone(), record: Some(record), watched: None };
                self.state.lock().later.add(due, again);
                None
            } else {
                tables.extend(cascade_tables(&ruleset, &debt));
                Some(record)
            };
            self.take_up_uncertain(debt, record);
        }
        for table in &tables {
            self.watch_table(table, limits::LATE_WRITE_AFTER).await;
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
    use super::*;

    fn postponed(table: &str, watched: bool) -> Postponed {
        let table = TableName::from(table);
        Postponed {
            debt: Debt::sweeps([&table], "x"),
            record: None,
            watched: watched.then_some(Watched::Table(table)),
        }
    }

    fn tables(debts: Vec<(Debt, Option<RecordId>)>) -> Vec<String> {
        debts.iter().map(|(debt, _)| debt.entries[0].table().to_string()).collect()
    }

    #[test]
    fn debts_come_back_when_their_wait_has_ended() {
        let (mut later, now) = (Later::default(), Instant::now());
        let at = |seconds| now + Duration::from_secs(seconds);
        later.add(at(2), postponed("b", false));
        later.add(at(1), postponed("a", true));
        later.add(at(2), postponed("c", false));
        assert!(later.take_due(now).is_empty());
        assert_eq!(later.next_due(), Some(at(1)));
        assert_eq!(tables(later.take_due(at(2))), ["a", "b", "c"]);
        assert_eq!((later.len(), later.next_due()), (0, None));
    }

    #[test]
    fn what_is_watched_already_waits_longer_never_shorter() {
        let (mut later, now) = (Later::default(), Instant::now());
        let at = |seconds| now + Duration::from_secs(seconds);
        let watched = Watched::Table("a".into());
        assert!(!later.extend(&watched, at(1)));
        later.add(at(5), postponed("a", true));
        assert!(later.extend(&watched, at(3)) && later.extend(&watched, at(9)));
        assert!(later.take_due(at(8)).is_empty());
        assert_eq!((later.len(), tables(later.take_due(at(9)))), (1, vec!["a".to_owned()]));
        assert!(!later.extend(&watched, at(10)));
    }
}
