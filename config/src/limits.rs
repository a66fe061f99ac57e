//! Every bound of the process: name, unit, reason.
//! Never here: settings an operator changes (see `settings`).

use std::time::Duration;

/// Most dirty keys one transaction carries before they become an owed sweep of the table.
/// Bounds the memory of a session; a larger change is cheaper to sweep.
pub const DIRTY_KEYS_PER_TRANSACTION_MAX: usize = 10_000;

/// Longest wait for a TCP (and TLS) connection to DynamoDB. Longer means the network is gone.
pub const DYNAMODB_CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Longest wait for one DynamoDB request; single-digit milliseconds are normal, a full scan page takes
/// up to a second. The caller retries, so a lost answer must not be waited for.
pub const DYNAMODB_ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);

/// Longest wait for the credential chain (instance metadata, SSO, assumed roles) to answer.
pub const DYNAMODB_CREDENTIALS_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest wait until a created table and its indexes are ACTIVE; AWS takes seconds to minutes.
pub const DYNAMODB_TABLE_ACTIVE_TIMEOUT: Duration = Duration::from_secs(300);

/// Pause between two looks at a table that is being created.
pub const DYNAMODB_TABLE_POLL_INTERVAL: Duration = Duration::from_millis(250);

/// Longest wait for the embedded engine to answer its last requests when it stops.
pub const DYNAMODB_EMBEDDED_STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// Most key tuples in one statement of the control account. More parameters make a statement slow to
/// plan; MySQL's range optimiser counts each tuple.
pub const CONTROL_KEYS_PER_STATEMENT_MAX: usize = 100;

/// Most chunks of keys read in one snapshot transaction: a long one keeps MySQL from purging old rows.
pub const CONTROL_CHUNKS_PER_SNAPSHOT_MAX: usize = 100;

/// Connections of the control account's pool, unless the caller asks for fewer.
pub const CONTROL_CONNECTIONS_MAX: usize = 16;

/// Prepared statements kept for each control connection: a dozen queries in eight sizes each, and room.
pub const CONTROL_STATEMENTS_CACHED: usize = 256;

/// Longest wait for a control connection (a free one of the pool, or a new one).
pub const CONTROL_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest wait for one statement of the control account: they look rows up by key.
pub const CONTROL_STATEMENT_TIMEOUT: Duration = Duration::from_secs(30);

/// Longest wait of a control statement for a metadata lock (a DDL statement at work).
pub const CONTROL_LOCK_WAIT_SECONDS: u32 = 10;

/// Bytes after which the journal begins a new segment. A segment is the unit of compaction: it is read at
/// once, and appends wait while it is.
pub const JOURNAL_SEGMENT_BYTES: u64 = 16 << 20;

/// Most bytes of one journal record; a transaction's dirty keys stay far below.
pub const JOURNAL_RECORD_BYTES_MAX: usize = 64 << 20;

/// Most bytes of records that one write (and one sync) of the journal carries, beyond its first record.
pub const JOURNAL_BATCH_BYTES_MAX: usize = 8 << 20;

/// Longest delay before removals are written when nothing else is: a crash within it brings finished
/// records back, which costs a refresh each.
pub const JOURNAL_REMOVAL_DELAY: Duration = Duration::from_millis(100);

/// Pause before removals are tried again after the disk refused them.
pub const JOURNAL_RETRY_DELAY: Duration = Duration::from_secs(1);
