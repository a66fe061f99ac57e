//! The paces of all DynamoDB tables, their hot partitions, and both in the metrics.
//! Never here: how a pace changes (see `segue_rules::owed`), or which key comes next.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rand::Rng;
use segue_config::limits;
use segue_rules::owed::{HotKeys, Pace, Room, Taken};
use segue_rules::value::{Attribute, ItemKey};

use crate::dynamo::{StoreError, WriteOutcome};
use crate::telemetry::{HotKey, Metrics};

/// A partition of a DynamoDB table.
type Partition = (String, Attribute);

pub(crate) struct Paces {
    /// Moments are counted from here.
    epoch: Instant,
    tables: Mutex<HashMap<String, Pace>>,
    hot: Mutex<HotKeys<Partition>>,
    metrics: Arc<Metrics>,
}

impl Paces {
    pub fn new(epoch: Instant, metrics: Arc<Metrics>) -> Paces {
        let hot = Mutex::new(HotKeys::new(limits::HOT_KEYS_WINDOW));
        Paces { epoch, tables: Mutex::new(HashMap::new()), hot, metrics }
    }

    fn moment(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.epoch)
    }

    /// How many refreshes of a table may begin now; `Err`: none before that moment.
    pub fn room(&self, table: &str, now: Instant) -> Result<usize, Instant> {
        let mut tables = self.tables.lock();
        match tables.get_mut(table).map(|pace| pace.room(self.moment(now))) {
            None | Some(Room::Any) => Ok(usize::MAX),
            Some(Room::For(count)) => Ok(count),
            Some(Room::At(moment)) => Err(self.epoch + moment),
        }
    }

    /// So many refreshes of a table begin.
    pub fn begin(&self, table: &str, now: Instant, count: usize) {
        let mut tables = self.tables.lock();
        let pace = tables.entry(table.to_owned()).or_insert_with(|| {
            self.show(table, 0.0, 0);
            Pace::default()
        });
        pace.begin(self.moment(now), count);
    }

    fn show(&self, table: &str, rate: f64, paused: usize) {
        self.metrics.pace.with_label_values(&[table]).set(rate.ceil() as i64);
        self.metrics.partitions_paused.with_label_values(&[table]).set(paused as i64);
    }

    /// Until when the partition of this item is paused, if it is; a little apart for each who asks, so
    /// that not all come back together.
    pub fn paused(&self, key: &ItemKey, now: Instant) -> Option<Instant> {
        let tables = self.tables.lock();
        let until = tables.get(&key.table)?.paused(hash(key), self.moment(now))?;
        let apart = rand::rng().random_range(0..=limits::PARTITION_PAUSES_APART_MS);
        Some(self.epoch + until + Duration::from_millis(apart))
    }

    /// Takes in what became of one write.
    pub fn answered(&self, key: &ItemKey, now: Instant, answer: &Result<WriteOutcome, StoreError>) {
        let taken = match answer {
            Ok(_) | Err(StoreError::Rejected { .. }) => Taken::Well,
            Err(StoreError::Transient { throttled: true, .. }) => Taken::Throttled,
            Err(StoreError::Transient { .. }) => Taken::Failed,
        };
        let partition = (key.table.clone(), key.pk.clone());
        self.hot.lock().wrote(&partition, taken == Taken::Throttled);
        let moment = self.moment(now);
        let mut tables = self.tables.lock();
        let pace = tables.entry(key.table.clone()).or_default();
        if !pace.answered(moment, hash(key), taken) {
            return;
        }
        let (rate, paused) = (pace.rate().unwrap_or(0.0), pace.paused_count(moment));
        drop(tables);
        self.show(&key.table, rate, paused);
    }

    /// Names the hottest partitions of the last window, once it has ended.
    pub fn name_hot_keys(&self, now: Instant) {
        let (most, least) = (limits::HOT_KEYS_NAMED_MAX, limits::HOT_KEY_WRITES_MIN);
        let Some(hottest) = self.hot.lock().ended(self.moment(now), most, least) else { return };
        let named = |((table, key), heat)| HotKey { table, key: shown(&key), heat };
        self.metrics.name_hot_keys(hottest.into_iter().map(named).collect());
    }
}

fn hash(key: &ItemKey) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.pk.hash(&mut hasher);
    hasher.finish()
}

/// A key value as an operator knows it, shortened where it is long.
fn shown(key: &Attribute) -> String {
    let text = match key {
        Attribute::S(text) | Attribute::N(text) => text.clone(),
        Attribute::B(bytes) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        other => format!("{other:?}"),
    };
    text.chars().take(limits::HOT_KEY_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dynamo::Arrival;

    fn item(pk: &str) -> ItemKey {
        ItemKey { table: "Orders".into(), pk: Attribute::S(pk.into()), sk: None }
    }

    fn throttled() -> Result<WriteOutcome, StoreError> {
        Err(StoreError::Transient {
            operation: "PutItem",
            table: "Orders".into(),
            reason: "ThrottlingException".into(),
            arrival: Arrival::Over,
            throttled: true,
        })
    }

    #[test]
    fn a_hot_partition_is_paused_and_named_and_the_others_go_on() {
        let (epoch, metrics) = (Instant::now(), Arc::new(Metrics::new()));
        let paces = Paces::new(epoch, metrics.clone());
        for _ in 0..100 {
            paces.answered(&item("ann"), epoch, &throttled());
            paces.answered(&item("bob"), epoch, &Ok(WriteOutcome::Done));
        }
        assert!(paces.paused(&item("ann"), epoch).is_some_and(|until| until > epoch));
        assert_eq!(paces.paused(&item("bob"), epoch), None);
        assert_eq!(paces.room("Orders", epoch), Ok(usize::MAX));
        paces.name_hot_keys(epoch + limits::HOT_KEYS_WINDOW);
        let text = metrics.render(true);
        assert!(
            text.contains("segue_hot_key_throttled{key=\"ann\",table=\"Orders\"} 100"),
            "{text}"
        );
        assert!(text.contains("segue_hot_key_writes{key=\"bob\",table=\"Orders\"} 100"), "{text}");
        paces.name_hot_keys(epoch + limits::HOT_KEYS_WINDOW * 2);
        assert!(!metrics.render(true).contains("ann"));
    }

    #[test]
    fn values_of_keys_are_not_for_everybody() {
        let (epoch, metrics) = (Instant::now(), Arc::new(Metrics::new()));
        let paces = Paces::new(epoch, metrics.clone());
        paces.answered(&item("ann"), epoch, &throttled());
        paces.name_hot_keys(epoch + limits::HOT_KEYS_WINDOW);
        let text = metrics.render(false);
        assert!(!text.contains("ann"), "{text}");
        assert!(
            text.contains("segue_hot_key_writes{key=\"(hidden 1)\",table=\"Orders\"} 1"),
            "{text}"
        );
    }
}
