//! The live ruleset and phases (arc-swap), phase changes, watched files, the audit log.
//! Never here: statements, packets, HTTP.

mod audit;
mod live;
mod phases;
mod store_file;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod watch;

pub use audit::{AuditLog, AuditRecord};
pub use live::{Generation, Live, Pinned};
pub use phases::{
    PhaseChange, PhaseChangeRefused, PhaseControl, Reloaded, RulesetRefused, Target, change_file,
    check_change, read_file,
};
pub use store_file::{read_bounded, write_atomically};
pub use watch::FileWatch;
