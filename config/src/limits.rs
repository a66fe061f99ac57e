//! Every bound of the process: name, unit, reason.
//! Never here: settings an operator changes (see `settings`).

/// Most dirty keys one transaction carries before they become an owed sweep of the table.
/// Bounds the memory of a session; a larger change is cheaper to sweep.
pub const DIRTY_KEYS_PER_TRANSACTION_MAX: usize = 10_000;

/// Bytes read from MySQL and written to the client in one go. Large enough that a big result costs
/// few system calls, small enough that thousands of connections fit in memory.
pub const RELAY_CHUNK_BYTES: usize = 64 * 1024;

/// Bytes read ahead from a client while MySQL still works on its last command. Only there to notice
/// that the client has gone; pipelined commands fit too.
pub const CLIENT_READ_AHEAD_BYTES: usize = 16 * 1024;

/// Largest command that is held in memory to be planned. A larger one is relayed in pieces and counts
/// as a statement whose keys cannot be known.
pub const COMMAND_PLANNED_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Largest packet of the login exchange (connection attributes, tickets of authentication plugins).
pub const LOGIN_PACKET_BYTES_MAX: usize = 1024 * 1024;

/// Seconds to reach MySQL for a new client connection.
pub const UPSTREAM_CONNECT_SECONDS_MAX: u64 = 10;

/// Seconds a client may take to log in, so that silent sockets do not pile up.
pub const LOGIN_SECONDS_MAX: u64 = 60;

/// Largest answer to a statement of Segue's own on an application's connection (keys of a preselect).
pub const OWN_ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Prepared statements that one session keeps for planning; those beyond it count as opaque.
pub const PREPARED_PER_SESSION_MAX: usize = 16_384;

/// Bytes of COM_STMT_SEND_LONG_DATA kept per statement; beyond it the parameter counts as unknown.
pub const LONG_DATA_BYTES_MAX: usize = 1024 * 1024;

/// Plans kept for all sessions together.
pub const PLAN_CACHE_ENTRIES_MAX: usize = 10_000;

/// Milliseconds to wait after `accept` failed (no file descriptors left) before trying again.
pub const ACCEPT_RETRY_MILLIS: u64 = 100;
