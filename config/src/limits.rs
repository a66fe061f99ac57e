//! Every bound of the process: name, unit, reason.
//! Never here: settings an operator changes (see `settings`).

/// Most dirty keys one transaction carries before they become an owed sweep of the table.
/// Bounds the memory of a session; a larger change is cheaper to sweep.
pub const DIRTY_KEYS_PER_TRANSACTION_MAX: usize = 10_000;

/// Milliseconds that reading the committed image before a commit may take. The application waits
/// for it while it holds row locks; beyond it the tables become owed sweeps.
pub const OLD_IMAGE_READ_MS_MAX: u64 = 5_000;

/// Rows that one transaction's old image may reach (cascades, driving rows of joins). Beyond it the
/// tables are swept: the application waits while they are read.
pub const OLD_IMAGE_ROWS_MAX: usize = 10_000;

/// Driving keys that one transaction may expand to after its commit; beyond it a sweep is cheaper.
pub const EXPANDED_KEYS_MAX: usize = 100_000;

/// Expansions that read MySQL at the same time; bounds the control pool's connections.
pub const EXPANSIONS_CONCURRENT: usize = 4;

/// Keys in the refresh queue (about 200 bytes each) before new ones collapse to an owed sweep.
pub const OWED_KEYS_MAX: usize = 1_000_000;

/// Keys of one entity that a refresh reads with one view query.
pub const REFRESH_BATCH_KEYS_MAX: usize = 100;

/// Batches of refreshes under way at the same time.
pub const REFRESH_BATCHES_CONCURRENT: usize = 8;

/// Items of one batch that are written at the same time.
pub const REFRESH_WRITES_CONCURRENT: usize = 16;

/// Lost races (failed conditions) of one refresh before it backs off.
pub const REFRESH_CONFLICTS_MAX: usize = 16;

/// First and longest wait in milliseconds before a refresh that met a passing fault is tried again.
pub const REFRESH_RETRY_MS_MIN: u64 = 50;
pub const REFRESH_RETRY_MS_MAX: u64 = 5_000;

/// First and longest wait in milliseconds before a parked key whose cause may lie outside of the row
/// (missing table, denied access, collision) is tried again.
pub const PARKED_RETRY_MS_MIN: u64 = 30_000;
pub const PARKED_RETRY_MS_MAX: u64 = 600_000;

/// Tags of items kept in memory (about 200 bytes each); a miss costs one failed condition.
pub const TAGS_CACHED_MAX: usize = 100_000;

/// Keys that a sweep reads from MySQL at once.
pub const SWEEP_SCAN_KEYS: usize = 1_000;

/// Refreshes that a sweep keeps waiting in the queue; live refreshes go first all the same.
pub const SWEEP_REFRESHES_IN_FLIGHT: usize = 256;

/// Milliseconds before a sweep that failed starts anew.
pub const SWEEP_RETRY_MS: u64 = 5_000;

/// Parked keys listed in one report.
pub const PARKED_LISTED_MAX: usize = 1_000;
