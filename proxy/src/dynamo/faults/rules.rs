//! Which rule of a script meets a request.
//! Never here: what the fault then does.

use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use segue_config::faults::{FaultKind, FaultRule, FaultScript};

use super::RuleReport;
use super::request::Request;

/// A script at work.
pub(super) struct Rules {
    seed: u64,
    began: Instant,
    rules: Vec<Armed>,
}

struct Armed {
    rule: FaultRule,
    /// A stream of its own, so that one rule's luck does not hang on the others' requests.
    random: StdRng,
    met: u64,
}

impl Rules {
    pub fn new(script: FaultScript, now: Instant) -> Rules {
        let armed = |(index, rule): (usize, FaultRule)| {
            let stream = script.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(index as u64);
            Armed { rule, random: StdRng::seed_from_u64(stream), met: 0 }
        };
        let rules = script.rules.into_iter().enumerate().map(armed).collect();
        Rules { seed: script.seed, began: now, rules }
    }

    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The first rule that fits and whose chance falls; it counts as used.
    pub fn choose(&mut self, request: &Request, now: Instant) -> Option<(FaultKind, Duration)> {
        let age = now.saturating_duration_since(self.began);
        let rule = self.rules.iter_mut().find_map(|armed| {
            let meets = armed.is_active(age)
                && fits(&armed.rule, request)
                && armed.random.random_bool(armed.rule.probability);
            meets.then_some(armed)
        })?;
        rule.met += 1;
        Some((rule.rule.kind, rule.rule.delay))
    }

    /// How many rules may still meet requests.
    pub fn active(&self, now: Instant) -> usize {
        let age = now.saturating_duration_since(self.began);
        self.rules.iter().filter(|armed| armed.is_active(age)).count()
    }

    pub fn report(&self, now: Instant) -> Vec<RuleReport> {
        let age = now.saturating_duration_since(self.began);
        let report = |armed: &Armed| RuleReport {
            kind: armed.rule.kind.name(),
            table: armed.rule.table.clone(),
            operations: armed.rule.operations.clone(),
            probability: armed.rule.probability,
            delay_ms: armed.rule.delay.as_millis() as u64,
            injected: armed.met,
            active: armed.is_active(age),
        };
        self.rules.iter().map(report).collect()
    }
}

impl Armed {
    fn is_active(&self, age: Duration) -> bool {
        let in_time = self.rule.duration.is_none_or(|most| age < most);
        let in_count = self.rule.count.is_none_or(|most| self.met < most);
        in_time && in_count && self.rule.probability > 0.0
    }
}

fn fits(rule: &FaultRule, request: &Request) -> bool {
    let operation = rule.operations.is_empty() || rule.operations.contains(&request.operation);
    let table = rule.table.as_ref().is_none_or(|table| request.tables.contains(table));
    let partition =
        rule.partition.as_ref().is_none_or(|(name, value)| request.touches(name, value));
    operation && table && partition && is_possible(rule.kind, request)
}

/// DynamoDB gives some answers to some requests only.
fn is_possible(kind: FaultKind, request: &Request) -> bool {
    match kind {
        FaultKind::Conflict => request.writes() || request.operation.starts_with("Transact"),
        FaultKind::Unprocessed => request.operation.starts_with("Batch"),
        FaultKind::Stale => request.may_be_stale(),
        _ => true,
    }
}
