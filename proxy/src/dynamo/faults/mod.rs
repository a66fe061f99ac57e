//! Faults on purpose: requests to DynamoDB that fail as a script says, below the AWS SDK, so that its
//! own error paths, our classification and our time-outs are what is tried.
//! Never here: reading scripts (see `segue_config::faults`), or whether faults are allowed.

mod answer;
mod connector;
mod request;
mod rules;
#[cfg(test)]
mod tests;

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::config::SharedHttpClient;
use lru::LruCache;
use parking_lot::Mutex;
use segue_config::faults::{FaultKind, FaultScript};
use segue_config::limits;
use serde::Serialize;

use crate::telemetry::Metrics;
use connector::FaultyClient;
use request::Request;
use rules::Rules;

/// The script in force. Cheap to clone.
#[derive(Clone)]
pub struct Faults {
    shared: Arc<Shared>,
}

struct Shared {
    metrics: Arc<Metrics>,
    /// Some rule may still meet requests: looked at before anything of a request is read.
    armed: AtomicBool,
    state: Mutex<State>,
    /// Earlier answers to reads, for stale ones: by operation and body.
    answers: Mutex<LruCache<Vec<u8>, Vec<u8>>>,
}

struct State {
    rules: Rules,
    source: String,
}

/// What is injected, for operators.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FaultReport {
    /// A file's path, `api`, or empty.
    pub source: String,
    pub seed: u64,
    /// Rules that may still meet requests.
    pub active: usize,
    /// Requests met by the script in force.
    pub injected: u64,
    pub rules: Vec<RuleReport>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RuleReport {
    pub kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub operations: Vec<String>,
    pub probability: f64,
    pub delay_ms: u64,
    pub injected: u64,
    pub active: bool,
}

impl Faults {
    /// Nothing fails until a script is taken.
    pub fn new(metrics: Arc<Metrics>) -> Faults {
        let kept = NonZeroUsize::new(limits::FAULT_ANSWERS_KEPT_MAX).unwrap_or(NonZeroUsize::MIN);
        let state = State {
            rules: Rules::new(FaultScript::default(), Instant::now()),
            source: String::new(),
        };
        Faults {
            shared: Arc::new(Shared {
                metrics,
                armed: AtomicBool::new(false),
                state: Mutex::new(state),
                answers: Mutex::new(LruCache::new(kept)),
            }),
        }
    }

    /// Replaces the script. `source` is shown to operators.
    pub fn take(&self, script: FaultScript, source: &str) {
        let rules = script.rules.len();
        let was = self.shared.armed.load(Ordering::Relaxed);
        {
            let mut state = self.shared.state.lock();
            state.rules = Rules::new(script, Instant::now());
            state.source = source.to_owned();
            self.note_active(&mut state);
        }
        self.shared.answers.lock().clear();
        match (rules, was) {
            (0, false) => {}
            (0, true) => tracing::warn!(source, "faults are no longer injected"),
            _ => tracing::warn!(
                rules,
                source,
                "FAULTS ARE INJECTED into requests to DynamoDB, as the script says"
            ),
        }
    }

    pub fn report(&self) -> FaultReport {
        let mut state = self.shared.state.lock();
        self.note_active(&mut state);
        let rules = state.rules.report(Instant::now());
        FaultReport {
            source: state.source.clone(),
            seed: state.rules.seed(),
            active: rules.iter().filter(|rule| rule.active).count(),
            injected: rules.iter().map(|rule| rule.injected).sum(),
            rules,
        }
    }

    /// The HTTP client with the faults in front of it.
    pub(super) fn wrap(&self, client: SharedHttpClient) -> SharedHttpClient {
        SharedHttpClient::new(FaultyClient::new(client, self.clone()))
    }

    fn is_armed(&self) -> bool {
        self.shared.armed.load(Ordering::Relaxed)
    }

    fn note_active(&self, state: &mut State) {
        let active = state.rules.active(Instant::now());
        self.shared.armed.store(active > 0, Ordering::Relaxed);
        self.shared.metrics.fault_rules.set(active as i64);
    }

    /// What is to happen to this request.
    fn choose(&self, request: &Request) -> Option<(FaultKind, Duration)> {
        let mut state = self.shared.state.lock();
        let chosen = state.rules.choose(request, Instant::now());
        self.note_active(&mut state);
        drop(state);
        let (kind, delay) = chosen?;
        self.shared.metrics.fault(kind);
        let (operation, table) = (&request.operation, request.tables.join(","));
        tracing::debug!(kind = kind.name(), operation, table, "a fault is injected");
        Some((kind, delay))
    }

    fn earlier_answer(&self, request: &Request) -> Option<Vec<u8>> {
        self.shared.answers.lock().get(&request.fingerprint()).cloned()
    }

    fn keep_answer(&self, request: &Request, body: Vec<u8>) {
        self.shared.answers.lock().put(request.fingerprint(), body);
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faults").finish_non_exhaustive()
    }
}
