//! Every bound of the process: name, unit, reason.
//! Never here: settings an operator changes (see `settings`).

/// Most dirty keys one transaction carries before they become an owed sweep of the table.
/// Bounds the memory of a session; a larger change is cheaper to sweep.
pub const DIRTY_KEYS_PER_TRANSACTION_MAX: usize = 10_000;
