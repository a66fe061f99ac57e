//! The model: several sidecars, MySQL and DynamoDB in miniature, every order of events within bounds.
//! The decisions are those of `segue_rules`, called as the mirror calls them; only what surrounds them (who
//! is asked when, what is lost on the way) is the model's own.
//! Never here: a decision of the product, written down a second time.
//!
//! ```text
//! transactions --owe--> journal, commit --> ledger --> job --> refresh --> requests in flight --> items
//!                          ^ survives a crash          (all of this does not)       (may come late)
//! ```

mod actions;
mod broken;
mod explore;
mod properties;
mod refreshes;
mod scenario;
mod scenarios;
mod sidecar;
mod store;
mod sweeps;
mod tell;
mod transactions;
mod world;

pub use broken::Broken;
pub use explore::{Found, Report, counterexample, explore};
pub use scenario::{Change, Layout, Scenario, Touch};
pub use scenarios::{Size, all, breakages, named};
