//! Events to logs and metrics, and redaction of what must not leave the process.
//! Never here: decisions that depend on a metric.

mod clock;
mod digests;
mod logging;
mod metrics;
pub mod redact;

pub use clock::{timestamp, timestamp_now};
pub use digests::{DigestCounter, Digests};
pub use logging::init_logging;
pub use metrics::{Cut, HotKey, Metrics, Written, sum_of_metric};
