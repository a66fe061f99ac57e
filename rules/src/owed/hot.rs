//! Which keys are written most: counted in windows, in bounded memory.
//! Never here: clocks (moments are handed in), how keys are shown.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

/// Keys counted at a time. A key with more than one in so many of a window's writes is never missed.
const COUNTED_MAX: usize = 1_000;

/// Writes of one key in one window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heat {
    /// At least so many; below the truth by no more than a thousandth of the window's writes.
    pub writes: u64,
    /// Of them turned away.
    pub throttled: u64,
}

/// Counts writes by key (the algorithm is Misra and Gries': when the table is full, every count goes down
/// by one and those at zero leave).
#[derive(Debug)]
pub struct HotKeys<K> {
    window: Duration,
    begun: Duration,
    counts: HashMap<K, Heat>,
}

impl<K: Clone + Eq + Hash + Ord> HotKeys<K> {
    pub fn new(window: Duration) -> HotKeys<K> {
        HotKeys { window, begun: Duration::ZERO, counts: HashMap::new() }
    }

    pub fn wrote(&mut self, key: &K, throttled: bool) {
        if let Some(heat) = self.counts.get_mut(key) {
            heat.writes += 1;
            heat.throttled += u64::from(throttled);
        } else if self.counts.len() < COUNTED_MAX {
            let heat = Heat { writes: 1, throttled: u64::from(throttled) };
            self.counts.insert(key.clone(), heat);
        } else {
            self.counts.retain(|_, heat| {
                heat.writes -= 1;
                heat.throttled = heat.throttled.min(heat.writes);
                heat.writes > 0
            });
        }
    }

    /// When the window has ended: its hottest keys, `most` of those with `least` writes or with one that was
    /// turned away; a new window begins.
    pub fn ended(&mut self, now: Duration, most: usize, least: u64) -> Option<Vec<(K, Heat)>> {
        if now.saturating_sub(self.begun) < self.window {
            return None;
        }
        self.begun = now;
        let mut hot: Vec<(K, Heat)> = std::mem::take(&mut self.counts)
            .into_iter()
            .filter(|(_, heat)| heat.writes >= least || heat.throttled > 0)
            .collect();
        hot.sort_by(|(a, heat), (b, other)| other.writes.cmp(&heat.writes).then_with(|| a.cmp(b)));
        hot.truncate(most);
        Some(hot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hottest_keys_are_found_among_many_in_bounded_memory() {
        let mut hot = HotKeys::new(Duration::from_secs(60));
        for round in 0..200_000_u64 {
            // Two hot keys among 200,000 that come once.
            hot.wrote(&(1_000_000 + round), false);
            if round.is_multiple_of(50) {
                hot.wrote(&1, round == 0);
            }
            if round.is_multiple_of(100) {
                hot.wrote(&2, false);
            }
        }
        assert!(hot.counts.len() <= COUNTED_MAX);
        assert_eq!(hot.ended(Duration::from_secs(59), 10, 500), None);
        let found = hot.ended(Duration::from_secs(60), 10, 500).expect("the window has ended");
        let keys: Vec<u64> = found.iter().map(|(key, _)| *key).collect();
        assert_eq!(keys, [1, 2]);
        assert!(found.iter().all(|(_, heat)| heat.writes > 1_700), "{found:?}");
        assert_eq!(hot.ended(Duration::from_secs(120), 10, 500), Some(vec![]));
    }

    #[test]
    fn a_key_that_is_turned_away_is_hot_however_few_its_writes() {
        let mut hot = HotKeys::new(Duration::from_secs(60));
        hot.wrote(&"a", false);
        hot.wrote(&"b", true);
        let found = hot.ended(Duration::from_secs(60), 10, 100);
        assert_eq!(found, Some(vec![("b", Heat { writes: 1, throttled: 1 })]));
    }
}
