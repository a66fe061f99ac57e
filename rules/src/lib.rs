//! Segue's rules: pure decisions about contracts, statements, items and phases.
//! Never here: I/O, clocks, randomness, async, logging, or any store's client library.

pub mod catalog;
pub mod contract;
pub mod diff;
pub mod entity;
pub mod owed;
pub mod phase;
pub mod plan;
pub mod refresh;
pub mod route;
pub mod sql;
pub mod txn;
pub mod value;
