//! What the chores and the system tests share: real servers and drivers, found, set up and
//! started.
//! Never here: product code, or anything asynchronous.

pub mod keeper;
pub mod python;
pub mod servers;
