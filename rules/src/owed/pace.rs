//! How fast refreshes of one DynamoDB table may begin, and which of its partitions are left alone for a
//! moment: learnt from the answers, nothing is configured.
//! Never here: clocks (moments are handed in), which key comes next.
//!
//! A table that turns writes away is written at the rate that it took; from there the rate grows by small
//! steps until it is turned away again. A table that answers nothing but errors is tried more and more
//! rarely, and at full speed soon after it is back. Where only few partitions turn writes away, the
//! table's rate stays, and those partitions are paused, each for itself.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

/// Answers are judged together for this long at least: one answer says nothing.
const WINDOW_MIN: Duration = Duration::from_millis(200);
/// With fewer answers than these a window stays open, but not for longer than `WINDOW_MAX`.
const WINDOW_ANSWERS: u32 = 5;
const WINDOW_MAX: Duration = Duration::from_secs(1);

/// Part of the writes that may be turned away before the rate falls. Some must be: nothing else tells that
/// the rate is as high as it can be.
const THROTTLED_SHARE: f64 = 0.1;
/// Up to so many partitions that turn writes away are hot partitions; more are a table without capacity,
/// unless they are few among those that take writes.
const HOT_PARTITIONS: usize = 4;
const HOT_SHARE: usize = 4;
/// Partitions remembered of one window, and pauses of one table: bounds memory.
const PARTITIONS_SEEN_MAX: usize = 256;
const PAUSES_MAX: usize = 1_000;

/// Refreshes a second: a table in trouble is still tried so often.
const RATE_MIN: f64 = 2.0;
/// Above this rate nothing is held back.
const RATE_FREE: f64 = 20_000.0;
/// Seconds' worth of refreshes that may begin at once.
const BURST_SECONDS: f64 = 0.1;
/// Shortest wait for room: shorter ones would be over before anybody looks.
const ROOM_WAIT_MIN: Duration = Duration::from_millis(1);
/// Growth in a window: up to the rate that was right before, and beyond it.
const GROWTH_BACK: f64 = 2.0;
const GROWTH_BEYOND: f64 = 1.1;

/// First and longest pause of a partition.
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// What became of one write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// Carried out, or its condition failed: either way the table had room for it.
    Well,
    Throttled,
    /// No answer, or an error of the service.
    Failed,
}

/// How many refreshes may begin now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Room {
    Any,
    /// At least one.
    For(usize),
    /// None before this moment.
    At(Duration),
}

/// Pace of one table. Moments are times since any fixed moment; partitions are hashes of key values.
#[derive(Clone, Debug, Default)]
pub struct Pace {
    /// Refreshes a second; `None`: as they come.
    rate: Option<f64>,
    /// Last rate known to be right; `None`: none was ever too high.
    right: Option<f64>,
    /// Refreshes that may begin, as of `counted`.
    allowance: f64,
    counted: Duration,
    window: Window,
    pauses: HashMap<u64, Pause>,
}

#[derive(Clone, Debug, Default)]
struct Window {
    begun: Option<Duration>,
    started: u32,
    well: u32,
    throttled: u32,
    failed: u32,
    well_in: HashSet<u64>,
    throttled_in: HashSet<u64>,
}

#[derive(Clone, Copy, Debug)]
struct Pause {
    until: Duration,
    length: Duration,
}

impl Pace {
    pub fn room(&mut self, now: Duration) -> Room {
        let Some(rate) = self.rate else { return Room::Any };
        let passed = now.saturating_sub(self.counted).as_secs_f64();
        self.counted = self.counted.max(now);
        self.allowance = (self.allowance + passed * rate).min((rate * BURST_SECONDS).max(1.0));
        if self.allowance >= 1.0 {
            return Room::For(self.allowance as usize);
        }
        let wait = Duration::from_secs_f64((1.0 - self.allowance) / rate);
        Room::At(now + wait.max(ROOM_WAIT_MIN))
    }

    /// So many refreshes begin.
    pub fn begin(&mut self, now: Duration, count: usize) {
        self.window.begun.get_or_insert(now);
        self.window.started = self.window.started.saturating_add(count as u32);
        if self.rate.is_some() {
            self.allowance -= count as f64;
        }
    }

    /// Until when this partition is paused, if it is.
    pub fn paused(&self, partition: u64, now: Duration) -> Option<Duration> {
        self.pauses.get(&partition).map(|pause| pause.until).filter(|until| *until > now)
    }

    /// Refreshes a second that may begin; `None`: as they come.
    pub fn rate(&self) -> Option<f64> {
        self.rate
    }

    /// Partitions that are paused.
    pub fn paused_count(&self, now: Duration) -> usize {
        self.pauses.values().filter(|pause| pause.until > now).count()
    }

    /// Takes in what became of one write. `true`: rate and pauses may have changed.
    pub fn answered(&mut self, now: Duration, partition: u64, taken: Taken) -> bool {
        let window = &mut self.window;
        window.begun.get_or_insert(now);
        match taken {
            Taken::Well => {
                window.well += 1;
                remember(&mut window.well_in, partition);
                self.pauses.remove(&partition);
            }
            Taken::Throttled => {
                window.throttled += 1;
                remember(&mut window.throttled_in, partition);
                self.pause(now, partition);
            }
            Taken::Failed => {
                window.failed += 1;
                self.pause(now, partition);
            }
        }
        let open = now.saturating_sub(self.window.begun.unwrap_or(now));
        let full = self.window.answers() >= WINDOW_ANSWERS;
        let ended = open >= WINDOW_MAX || (full && open >= WINDOW_MIN);
        if ended {
            self.judge(open);
        }
        ended
    }

    /// Each pause in a row is twice as long; answers to what was sent before it began change nothing.
    fn pause(&mut self, now: Duration, partition: u64) {
        if self.pauses.len() >= PAUSES_MAX && !self.pauses.contains_key(&partition) {
            self.pauses.retain(|_, pause| pause.until > now);
            if self.pauses.len() >= PAUSES_MAX {
                return;
            }
        }
        let before = self.pauses.get(&partition).copied();
        if before.is_some_and(|pause| pause.until > now) {
            return;
        }
        let length = before.map_or(PAUSE_MIN, |pause| (pause.length * 2).min(PAUSE_MAX));
        self.pauses.insert(partition, Pause { until: now + length, length });
    }

    /// Ends the window and sets the rate by it.
    fn judge(&mut self, open: Duration) {
        let window = std::mem::take(&mut self.window);
        let seconds = open.as_secs_f64().max(f64::MIN_POSITIVE);
        let started = f64::from(window.started) / seconds;
        if window.well == 0 && window.failed >= window.throttled {
            self.slow_down(self.rate.unwrap_or(started).min(started) / 2.0);
        } else if window.table_is_throttled() {
            let taken = f64::from(window.well) / f64::from(window.well + window.throttled);
            self.slow_down(started * taken);
            self.right = self.rate;
        } else if window.failed == 0 {
            self.speed_up();
        }
    }

    fn slow_down(&mut self, rate: f64) {
        self.rate = Some(rate.max(RATE_MIN));
        self.allowance = self.allowance.min(rate.max(RATE_MIN) * BURST_SECONDS);
    }

    fn speed_up(&mut self) {
        let Some(rate) = self.rate else { return };
        let grown = match self.right {
            Some(right) if rate >= right => rate * GROWTH_BEYOND,
            Some(right) => (rate * GROWTH_BACK).min(right),
            None => rate * GROWTH_BACK,
        };
        self.rate = (grown < RATE_FREE).then_some(grown);
        if self.rate.is_none() {
            self.right = None;
        }
    }
}

impl Window {
    fn answers(&self) -> u32 {
        self.well + self.throttled + self.failed
    }

    /// Writes are turned away all over the table, not only by partitions that are hot.
    fn table_is_throttled(&self) -> bool {
        let share = f64::from(self.throttled) / f64::from(self.answers().max(1));
        let hot = HOT_PARTITIONS.max(self.well_in.len() / HOT_SHARE);
        share > THROTTLED_SHARE && self.throttled_in.len() > hot
    }
}

fn remember(partitions: &mut HashSet<u64>, partition: u64) {
    if partitions.len() < PARTITIONS_SEEN_MAX {
        partitions.insert(partition);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A table that takes so many writes a second, in steps of 10 ms, and what it was sent.
    struct Table {
        pace: Pace,
        now: Duration,
        next_partition: u64,
    }

    impl Table {
        fn new() -> Table {
            Table { pace: Pace::default(), now: Duration::ZERO, next_partition: 0 }
        }

        /// Sends all that may be sent, at most `most` in a step. Gives (taken, turned away).
        fn run(
            &mut self,
            seconds: u64,
            most: usize,
            answer: impl Fn(u64, usize) -> Taken,
        ) -> (usize, usize) {
            let (mut well, mut other) = (0, 0);
            for _ in 0..seconds * 100 {
                self.now += Duration::from_millis(10);
                let count = match self.pace.room(self.now) {
                    Room::Any => most,
                    Room::For(count) => count.min(most),
                    Room::At(moment) => {
                        assert!(moment > self.now);
                        0
                    }
                };
                self.pace.begin(self.now, count);
                for index in 0..count {
                    self.next_partition += 1;
                    let taken = answer(self.next_partition, index);
                    self.pace.answered(self.now, self.next_partition, taken);
                    if taken == Taken::Well { well += 1 } else { other += 1 }
                }
            }
            (well, other)
        }
    }

    #[test]
    fn a_table_that_takes_everything_is_never_held_back() {
        let mut table = Table::new();
        assert_eq!(table.run(5, 50, |_, _| Taken::Well), (25_000, 0));
        assert_eq!(table.pace.rate(), None);
    }

    #[test]
    fn a_table_with_little_capacity_is_written_at_about_its_capacity() {
        let mut table = Table::new();
        // Two in each step of 10 ms: 200 a second.
        let answer = |_, index| if index < 2 { Taken::Well } else { Taken::Throttled };
        table.run(5, 50, answer);
        let (well, throttled) = table.run(20, 50, answer);
        assert!(well > 3_000, "{well} of 4,000 that it could take");
        assert!(throttled * 4 < well, "{throttled} turned away beside {well}");
    }

    #[test]
    fn capacity_that_comes_back_is_used() {
        let mut table = Table::new();
        table.run(5, 50, |_, index| if index < 1 { Taken::Well } else { Taken::Throttled });
        assert!(table.pace.rate().is_some_and(|rate| rate < 300.0));
        table.run(20, 50, |_, _| Taken::Well);
        let (well, _) = table.run(5, 50, |_, _| Taken::Well);
        assert_eq!(well, 25_000);
    }

    #[test]
    fn a_table_that_is_away_is_asked_rarely_and_at_full_speed_soon_after() {
        let mut table = Table::new();
        table.run(5, 50, |_, _| Taken::Failed);
        let (_, failed) = table.run(60, 50, |_, _| Taken::Failed);
        assert!((60..=180).contains(&failed), "{failed} in a minute");
        table.run(10, 50, |_, _| Taken::Well);
        assert_eq!(table.pace.rate(), None);
    }

    #[test]
    fn a_hot_partition_is_paused_and_the_table_is_not() {
        let mut table = Table::new();
        let (hot, now) = (1_000_000, |table: &Table| table.now);
        for round in 0..200 {
            table.run(1, 1, |_, _| Taken::Well);
            assert_eq!(table.pace.rate(), None, "{round}");
            if table.pace.paused(hot, now(&table)).is_none() {
                table.pace.answered(table.now, hot, Taken::Throttled);
            }
        }
        let until = table.pace.paused(hot, table.now).expect("it is paused");
        assert!(until - table.now <= PAUSE_MAX);
        assert_eq!(table.pace.paused_count(table.now), 1);
        table.pace.answered(table.now, hot, Taken::Well);
        assert_eq!(table.pace.paused(hot, table.now), None);
    }

    #[test]
    fn pauses_are_bounded() {
        let mut pace = Pace::default();
        for partition in 0..10_000 {
            pace.answered(Duration::ZERO, partition, Taken::Failed);
        }
        assert_eq!(pace.pauses.len(), PAUSES_MAX);
        pace.answered(Duration::from_secs(60), 10_001, Taken::Failed);
        assert_eq!(pace.pauses.len(), 1);
    }
}
