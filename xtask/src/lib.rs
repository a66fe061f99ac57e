//! What the chores and the system tests share: real servers, found, set up and started.
//! Never here: product code, or anything asynchronous.

pub mod keeper;
pub mod servers;
