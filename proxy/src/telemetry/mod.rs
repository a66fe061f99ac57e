//! Events to logs and metrics, and redaction of what must not leave the process.
//! Never here: decisions that depend on a metric.

mod metrics;

pub use metrics::Metrics;
