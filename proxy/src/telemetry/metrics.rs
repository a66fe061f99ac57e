//! Every metric of the process, in one registry that is handed down (no default registry).
//! Never here: labels with unbounded values (statement text, client names, keys but for the few hottest).

use parking_lot::Mutex;
use prometheus::proto::MetricFamily;
use prometheus::{
    Encoder, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder,
};
use segue_config::faults::FaultKind;
use segue_rules::owed::Heat;

/// Handles to all metrics. Cheap to share behind an `Arc`.
///
/// Labels are bounded: `table` is a mapped MySQL table, `outcome`, `operation`, `code` are fixed sets.
pub struct Metrics {
    registry: Registry,
    /// Statements by table and outcome (`captured`, `swept`, `harmless`, ...).
    pub statements: IntCounterVec,
    /// Dirty keys learnt, by table.
    pub captured: IntCounterVec,
    /// Committed dirty entries taken up, by table: `seen = applied + superseded + owed`.
    pub seen: IntCounterVec,
    pub applied: IntCounterVec,
    pub superseded: IntCounterVec,
    pub owed: IntGaugeVec,
    /// Owed entries parked with a reason, by table (a part of `owed`).
    pub parked: IntGaugeVec,
    /// Sweeps still owed, by table.
    pub sweeps_owed: IntGaugeVec,
    pub sweeps: IntCounterVec,
    /// Seconds from MySQL's commit to DynamoDB's acknowledgement, by table.
    pub lag: HistogramVec,
    /// DynamoDB requests by operation and outcome (`ok`, `conflict`, `throttled`, `error`).
    pub dynamodb_calls: IntCounterVec,
    /// Seconds of one DynamoDB request by operation.
    pub dynamodb_seconds: HistogramVec,
    /// Refreshes a second that may begin, by DynamoDB table; 0: as they come.
    pub pace: IntGaugeVec,
    /// Partitions left alone for a moment, by DynamoDB table.
    pub partitions_paused: IntGaugeVec,
    /// The hottest partition keys of the last minute.
    hot_keys: Mutex<Vec<HotKey>>,
    /// Transactions of several items, by how their items were written.
    transactions: IntCounterVec,
    /// Items written, deleted, found equal, by entity name and action.
    pub items: IntCounterVec,
    /// Write capacity units of puts and deletes that were answered, by DynamoDB table: one for each KB begun of
    /// the new item. Indexes, and larger items that were replaced, cost more.
    pub write_units: IntCounterVec,
    /// Applied keys that were looked at again, by result.
    pub validated: IntCounterVec,
    /// Refusals by code.
    pub refusals: IntCounterVec,
    /// Client connections open now.
    pub connections: IntGauge,
    pub connections_total: IntCounter,
    /// Clients that Segue itself refused or let go, by reason.
    cut: IntCounterVec,
    /// Failed connection attempts to MySQL.
    pub upstream_failures: IntCounter,
    /// Bytes of the journal on disk.
    pub journal_bytes: IntGauge,
    /// Journal syncs to disk.
    pub journal_syncs: IntCounter,
    /// Journal write failures.
    pub journal_errors: IntCounter,
    /// Requests to DynamoDB that were made to fail, by kind.
    faults: IntCounterVec,
    /// Rules of the fault script that may still meet requests.
    pub fault_rules: IntGauge,
    /// Phase by table (1..5).
    pub phase: IntGaugeVec,
    /// Whether each mapped table is frozen (0 or 1).
    pub frozen: IntGaugeVec,
    /// Reloads of phases, contract or configuration by file and outcome.
    pub reloads: IntCounterVec,
}

/// How the items of a transaction were written, where `mirror.transactions` asks for whole ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// All at once: readers see all or nothing of it.
    Whole,
    /// In several parts: it has more items than one request takes.
    Split,
    /// Some of it may show before the rest.
    Torn,
}

impl Written {
    const ALL: [Written; 3] = [Written::Whole, Written::Split, Written::Torn];

    fn outcome(self) -> &'static str {
        match self {
            Written::Whole => "whole",
            Written::Split => "split",
            Written::Torn => "torn",
        }
    }
}

/// A partition key that is written much, or was turned away.
#[derive(Clone, Debug)]
pub struct HotKey {
    /// DynamoDB's table.
    pub table: String,
    pub key: String,
    pub heat: Heat,
}

/// Why Segue itself refused a client or let it go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    TooMany,
    LoginTimeout,
    Idle,
    /// Idle at a stop.
    Drain,
}

impl Cut {
    const ALL: [Cut; 4] = [Cut::TooMany, Cut::LoginTimeout, Cut::Idle, Cut::Drain];

    fn reason(self) -> &'static str {
        match self {
            Cut::TooMany => "too-many",
            Cut::LoginTimeout => "login-timeout",
            Cut::Idle => "idle",
            Cut::Drain => "drain",
        }
    }
}

fn counters(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
    let vec = IntCounterVec::new(Opts::new(name, help), labels).expect("metric names are valid");
    registry.register(Box::new(vec.clone())).expect("metric names are unique");
    vec
}

fn gauges(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
    let vec = IntGaugeVec::new(Opts::new(name, help), labels).expect("metric names are valid");
    registry.register(Box::new(vec.clone())).expect("metric names are unique");
    vec
}

fn histograms(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> HistogramVec {
    let buckets = vec![
        0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0,
        60.0, 300.0,
    ];
    let vec = HistogramVec::new(HistogramOpts::new(name, help).buckets(buckets), labels)
        .expect("metric names are valid");
    registry.register(Box::new(vec.clone())).expect("metric names are unique");
    vec
}

fn counter(registry: &Registry, name: &str, help: &str) -> IntCounter {
    let metric = IntCounter::new(name, help).expect("metric names are valid");
    registry.register(Box::new(metric.clone())).expect("metric names are unique");
    metric
}

fn gauge(registry: &Registry, name: &str, help: &str) -> IntGauge {
    let metric = IntGauge::new(name, help).expect("metric names are valid");
    registry.register(Box::new(metric.clone())).expect("metric names are unique");
    metric
}

/// Requests and seconds of DynamoDB's operations.
fn dynamodb(registry: &Registry) -> (IntCounterVec, HistogramVec) {
    let calls = counters(
        registry,
        "segue_dynamodb_calls_total",
        "DynamoDB requests.",
        &["operation", "outcome"],
    );
    let seconds = histograms(
        registry,
        "segue_dynamodb_seconds",
        "Seconds of one DynamoDB request.",
        &["operation"],
    );
    (calls, seconds)
}

/// Shown for every reason from the first moment.
fn clients_cut(registry: &Registry) -> IntCounterVec {
    let cut = counters(
        registry,
        "segue_connections_cut_total",
        "Clients that Segue itself refused or let go: `too-many`, `login-timeout`, `idle`, \
         `drain` (idle at a stop).",
        &["reason"],
    );
    for reason in Cut::ALL {
        cut.with_label_values(&[reason.reason()]);
    }
    cut
}

/// Shown for every outcome from the first moment.
fn transactions(registry: &Registry) -> IntCounterVec {
    let transactions = counters(
        registry,
        "segue_transactions_total",
        "With `mirror.transactions = \"whole\"`, transactions of several items by how these were \
         written: `whole`, `split` (too many for one request), `torn` (some may have shown first).",
        &["outcome"],
    );
    for written in Written::ALL {
        transactions.with_label_values(&[written.outcome()]);
    }
    transactions
}

/// Shown for every kind from the first moment.
fn faults(registry: &Registry) -> (IntCounterVec, IntGauge) {
    let injected = counters(
        registry,
        "segue_faults_injected_total",
        "Requests to DynamoDB that were made to fail on purpose.",
        &["kind"],
    );
    for kind in FaultKind::ALL {
        injected.with_label_values(&[kind.name()]);
    }
    let rules = gauge(registry, "segue_fault_rules", "Rules of the fault script in force.");
    (injected, rules)
}

/// How fast DynamoDB tables are written.
fn paces(registry: &Registry) -> (IntGaugeVec, IntGaugeVec) {
    let pace = gauges(
        registry,
        "segue_pace",
        "Refreshes a second that may begin while a DynamoDB table turns writes away or is away; \
         0: as they come.",
        &["table"],
    );
    let paused = gauges(
        registry,
        "segue_partitions_paused",
        "Partitions of a DynamoDB table that turned writes away and are left alone for a moment.",
        &["table"],
    );
    (pace, paused)
}

fn written(r: &Registry) -> (IntCounterVec, IntCounterVec, IntCounterVec) {
    let items = counters(r, "segue_items_total", "Items by action.", &["entity", "action"]);
    let help = "Write capacity units by table, at least: indexes come on top.";
    let write_units = counters(r, "segue_write_units_total", help, &["table"]);
    let help = "Applied keys looked at again, by result.";
    let validated = counters(r, "segue_validated_total", help, &["result"]);
    for result in ["equal", "in_flight", "missing", "different", "unsettled", "parked"] {
        validated.with_label_values(&[result]);
    }
    (items, write_units, validated)
}

impl Metrics {
    pub fn new() -> Self {
        let r = Registry::new();
        let (dynamodb_calls, dynamodb_seconds) = dynamodb(&r);
        let (faults, fault_rules) = faults(&r);
        let (pace, partitions_paused) = paces(&r);
        let (items, write_units, validated) = written(&r);
        Metrics {
            statements: counters(
                &r,
                "segue_statements_total",
                "Statements seen.",
                &["table", "outcome"],
            ),
            captured: counters(&r, "segue_captured_total", "Dirty keys captured.", &["table"]),
            seen: counters(&r, "segue_seen_total", "Committed dirty entries taken up.", &["table"]),
            applied: counters(
                &r,
                "segue_applied_total",
                "Entries applied to DynamoDB.",
                &["table"],
            ),
            superseded: counters(
                &r,
                "segue_superseded_total",
                "Entries whose work a later entry of the same key did.",
                &["table"],
            ),
            owed: gauges(&r, "segue_owed", "Entries owed to DynamoDB.", &["table"]),
            parked: gauges(&r, "segue_parked", "Owed entries parked with a reason.", &["table"]),
            sweeps_owed: gauges(&r, "segue_sweeps_owed", "Sweeps owed.", &["table"]),
            sweeps: counters(&r, "segue_sweeps_total", "Sweeps begun.", &["table"]),
            lag: histograms(&r, "segue_lag_seconds", "Seconds from commit to applied.", &["table"]),
            dynamodb_calls,
            dynamodb_seconds,
            pace,
            partitions_paused,
            hot_keys: Mutex::new(Vec::new()),
            transactions: transactions(&r),
            items,
            write_units,
            validated,
            refusals: counters(&r, "segue_refusals_total", "Refusals by code.", &["code"]),
            connections: gauge(&r, "segue_connections", "Client connections open."),
            connections_total: counter(
                &r,
                "segue_connections_total",
                "Client connections accepted.",
            ),
            cut: clients_cut(&r),
            upstream_failures: counter(
                &r,
                "segue_upstream_failures_total",
                "Failed connections to MySQL.",
            ),
            journal_bytes: gauge(&r, "segue_journal_bytes", "Bytes of the journal on disk."),
            journal_syncs: counter(&r, "segue_journal_syncs_total", "Journal syncs."),
            journal_errors: counter(&r, "segue_journal_errors_total", "Journal write failures."),
            faults,
            fault_rules,
            phase: gauges(&r, "segue_phase", "Phase of each mapped table, 1 to 5.", &["table"]),
            frozen: gauges(&r, "segue_frozen", "1 where a table fits no more.", &["table"]),
            reloads: counters(
                &r,
                "segue_reloads_total",
                "Reloads by file and outcome.",
                &["file", "outcome"],
            ),
            registry: r,
        }
    }

    /// Names the hottest partition keys, the hottest first; those named before are no longer.
    pub fn name_hot_keys(&self, hottest: Vec<HotKey>) {
        *self.hot_keys.lock() = hottest;
    }

    /// Counts a client that Segue itself refused or let go.
    pub fn cut(&self, cut: Cut) {
        self.cut.with_label_values(&[cut.reason()]).inc();
    }

    /// Counts a transaction whose items were written.
    pub fn transaction(&self, written: Written) {
        self.transactions.with_label_values(&[written.outcome()]).inc();
    }

    /// How many transactions were written so.
    pub fn transactions(&self, written: Written) -> u64 {
        self.transactions.with_label_values(&[written.outcome()]).get()
    }

    /// Counts a request that was made to fail on purpose.
    pub fn fault(&self, kind: FaultKind) {
        self.faults.with_label_values(&[kind.name()]).inc();
    }

    /// Shows the books of a mapped table from its first moment, so that a rate over its first entry is
    /// right.
    pub fn show_table(&self, table: &str) {
        for counter in [&self.captured, &self.seen, &self.applied, &self.superseded, &self.sweeps] {
            counter.with_label_values(&[table]);
        }
        for gauge in [&self.owed, &self.parked, &self.sweeps_owed] {
            gauge.with_label_values(&[table]);
        }
    }

    /// The metrics in Prometheus' text format. `values`: whoever reads them may see values of rows, which
    /// hot keys are.
    pub fn render(&self, values: bool) -> String {
        let mut families = self.registry.gather();
        families.extend(self.hot_key_families(values));
        let mut out = Vec::new();
        // Encoding into memory fails only on a metric without samples; such a family is left out.
        let _ = TextEncoder::new().encode(&families, &mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    /// In a registry of their own: keys that are not hot any more must leave no sample behind.
    fn hot_key_families(&self, values: bool) -> Vec<MetricFamily> {
        let registry = Registry::new();
        let labels = &["table", "key"];
        let help = "Writes of the partition keys that were written most in the last minute.";
        let writes = gauges(&registry, "segue_hot_key_writes", help, labels);
        let help = "Of these writes, those that DynamoDB turned away.";
        let throttled = gauges(&registry, "segue_hot_key_throttled", help, labels);
        for (index, HotKey { table, key, heat }) in self.hot_keys.lock().iter().enumerate() {
            let hidden = format!("(hidden {})", index + 1);
            let label = &[table.as_str(), if values { key } else { &hidden }];
            writes.with_label_values(label).set(heat.writes as i64);
            throttled.with_label_values(label).set(heat.throttled as i64);
        }
        registry.gather()
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

/// Sum of a metric over all its labels, read from [`Metrics::render`]'s text; 0 where it has no sample.
pub fn sum_of_metric(text: &str, name: &str) -> f64 {
    let samples = text.lines().filter_map(|line| line.strip_prefix(name));
    samples
        .filter(|rest| rest.starts_with(['{', ' ']))
        .filter_map(|rest| rest.rsplit(' ').next()?.parse::<f64>().ok())
        .sum()
}
