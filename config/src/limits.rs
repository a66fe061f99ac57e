//! Every bound of the process: name, unit, reason.
//! Never here: settings an operator changes (see `settings`).

use std::time::Duration;

/// Most dirty keys one transaction carries before they become an owed sweep of the table.
/// Bounds the memory of a session; a larger change is cheaper to sweep.
pub const DIRTY_KEYS_PER_TRANSACTION_MAX: usize = 10_000;

/// Least `journal.max_bytes`, in bytes: below it ordinary bursts would turn into sweeps.
pub const JOURNAL_BYTES_MIN: u64 = 1 << 20;

/// Most capacity units of a created table: DynamoDB's default quota for one table.
pub const CAPACITY_UNITS_MAX: u64 = 40_000;

/// Digests that are counted while statements are observed; an application has a few thousand.
pub const DIGESTS_MAX: usize = 10_000;

/// Bytes of a digest's text that are kept for the report.
pub const DIGEST_TEXT_BYTES_MAX: usize = 2_048;

/// Digests in one answer of the HTTP API.
pub const DIGESTS_REPORTED_MAX: usize = 1_000;

/// Most `listen.workers`: beyond the processors of large machines.
pub const LISTEN_WORKERS_MAX: u64 = 256;

/// Most `mirror.workers`: each holds a connection to DynamoDB while it writes.
pub const MIRROR_WORKERS_MAX: u64 = 1024;

/// Most bytes of a phases file or a contract that is read, so that a wrong path is no flood.
pub const CONFIGURATION_FILE_BYTES_MAX: u64 = 16 << 20;

/// Least characters of `admin.token`: shorter ones can be guessed.
pub const ADMIN_TOKEN_CHARACTERS_MIN: usize = 16;

/// Most bytes of an HTTP request's body: the largest valid one names a table and a phase.
pub const HTTP_BODY_BYTES_MAX: usize = 16 << 10;

/// Seconds an HTTP request may take before it is answered 503.
pub const HTTP_REQUEST_SECONDS_MAX: u64 = 10;

/// HTTP connections answered at the same time; further ones wait in the kernel's backlog.
pub const HTTP_CONNECTIONS_MAX: usize = 128;

/// Seconds an HTTP connection may stay open: an idle or slow client gives its place back.
pub const HTTP_CONNECTION_SECONDS_MAX: u64 = 60;

/// Milliseconds without a further change before a watched file is read: editors write in steps.
pub const WATCH_SETTLE_MS: u64 = 100;

/// Seconds between looks at watched files that no event announced (network file systems).
pub const WATCH_POLL_SECONDS: u64 = 5;

/// Most `listen.max_connections`: each takes two file descriptors and some ten kilobytes.
pub const CLIENTS_MAX: u64 = 1_000_000;

/// Most seconds of a timeout, a year: as long as MySQL's `wait_timeout` may be.
pub const TIMEOUT_SECONDS_MAX: u64 = 31_536_000;

/// Connections that wait in the kernel to be accepted: enough for the storm after a restart. The kernel
/// cuts it to `net.core.somaxconn`.
pub const LISTEN_BACKLOG: i32 = 4096;

/// Wait for the ends of sessions that were cut off: only their destructors run.
pub const CUT_OFF_SECONDS_MAX: u64 = 5;

/// File descriptors of the process itself: control pool, DynamoDB, HTTP, journal, timers, signals.
pub const OWN_DESCRIPTORS: u64 = 512;

/// Seconds that the mirror gets when another process takes over: it goes on with what is owed.
pub const HANDOVER_MIRROR_SECONDS_MAX: u64 = 1;

/// Seconds beyond the drain that a process waits for the one it takes over from to end.
pub const HANDOVER_GRACE_SECONDS: u64 = 60;

/// Seconds that the mirror gets to apply what it owes on a graceful stop; the rest stays journaled.
pub const STOP_MIRROR_SECONDS_MAX: u64 = 10;

/// Seconds a first answer of MySQL or DynamoDB may take at start.
pub const START_ANSWER_SECONDS_MAX: u64 = 15;

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

/// Keys in the refresh queue (up to 1.5 KiB each, while they are tried again and again) before new ones collapse
/// to an owed sweep. Changes of joined rows and parked keys get there; debts wait in the journal long before.
pub const OWED_KEYS_MAX: usize = 200_000;

/// Captured entries of one table that are worked on from memory (about 2 KiB each with their keys); further ones
/// wait in the journal. Far more than are under way at once, so a DynamoDB that answers is never waited for.
pub const ENTRIES_WORKED_ON_MAX: u64 = 2_048;

/// Debts that wait in the journal alone (about 100 bytes each) before new ones become owed sweeps.
pub const BACKLOG_DEBTS_MAX: usize = 1_000_000;

/// Debts read from the journal at once.
pub const BACKLOG_READ_RECORDS: usize = 256;

/// Debts of an earlier process that wait in memory for the end of its writes and commits; further ones wait in
/// the journal.
pub const DEBTS_WAITING_MAX: usize = 4_096;

/// Keys in the queue while rows owed by an earlier process are refreshed early.
pub const BACKLOG_EARLY_REFRESHES: usize = 1_024;

/// Entries of one table, worked on from memory, beyond which the record of an AUTO_INCREMENT insert is written
/// anew with its key: after a crash, the range that it was owed as may have grown by all rows inserted since.
pub const ENTRIES_NARROWED_IN_MEMORY_MAX: u64 = 256;

/// Time between two lines of the log while a long journal is read at start.
pub const START_PROGRESS: Duration = Duration::from_secs(2);

/// Writes of one TransactWriteItems: DynamoDB's limit.
pub const TRANSACTION_ITEMS_MAX: usize = 100;

/// Bytes of their items together: DynamoDB's limit is 4 MB; a part is left for what is counted differently.
pub const TRANSACTION_BYTES_MAX: usize = 4_000_000;

/// Keys that are read at once because their transactions share keys; a transaction of more is written key by
/// key. Their items are in memory at the same time.
pub const GROUP_KEYS_MAX: usize = 10_000;

/// Reads of a group that another commit overtook before it is written with what it shows; with the waits between
/// them it is behind by no more than a few seconds.
pub const GROUP_OVERTAKEN_MAX: u32 = 24;

/// First and longest wait in milliseconds before a group that was overtaken is read again.
pub const GROUP_RETRY_MS_MIN: u64 = 2;
pub const GROUP_RETRY_MS_MAX: u64 = 200;

/// A backstop for keys that wait for the refresh of another of their group, which wakes them.
pub const GROUP_WAIT: Duration = Duration::from_secs(1);

/// Between two log lines about transactions that were not written whole.
pub const TORN_LOGGED_EVERY: Duration = Duration::from_secs(10);

/// Keys of one entity that a refresh reads with one view query.
pub const REFRESH_BATCH_KEYS_MAX: usize = 100;

/// Batches of refreshes under way at the same time.
pub const REFRESH_BATCHES_CONCURRENT: usize = 8;

/// Of them, batches that only keys of a commit of now may take: what is owed for long does not delay them.
pub const REFRESH_BATCHES_LIVE: usize = 2;

/// A commit counts as one of now for so long, and for so many attempts.
pub const LIVE_FOR: Duration = Duration::from_secs(5);
pub const LIVE_ATTEMPTS: u32 = 4;

/// Keys that grow old looked at in one go: bounds how long the queue is held.
pub const LIVE_AGED_AT_ONCE: usize = 1_000;

/// A batch that takes longer makes room for the next; some of its writes hang.
pub const REFRESH_BATCH_LINGERS: Duration = Duration::from_millis(250);

/// Batches that linger at the same time (each holds up to `REFRESH_BATCH_KEYS_MAX` keys).
pub const REFRESH_BATCHES_LINGERING: usize = 32;

/// Milliseconds over which those who wait for a paused partition come back.
pub const PARTITION_PAUSES_APART_MS: u64 = 50;

/// Hot keys are counted, and named, for so long at a time.
pub const HOT_KEYS_WINDOW: Duration = Duration::from_secs(60);

/// Hot keys named at a time.
pub const HOT_KEYS_NAMED_MAX: usize = 10;

/// Writes in a window from which a key is hot: one a second.
pub const HOT_KEY_WRITES_MIN: u64 = 60;

/// Characters of a hot key's value in its label.
pub const HOT_KEY_CHARS_MAX: usize = 100;

/// Items of one batch that are written at the same time.
pub const REFRESH_WRITES_CONCURRENT: usize = 16;

/// Lost races (failed conditions) of one refresh before it backs off.
pub const REFRESH_CONFLICTS_MAX: usize = 16;

/// First and longest pause between two looks at MySQL's connections while commits of unknown end wait.
pub const UNCERTAIN_POLL_MIN: Duration = Duration::from_millis(50);
pub const UNCERTAIN_POLL_MAX: Duration = Duration::from_secs(2);

/// Wait before the second refresh after a commit of unknown end where MySQL's connections cannot be
/// seen. Above `innodb_lock_wait_timeout`'s default of 50 s: most statements have ended by then.
pub const UNCERTAIN_GRACE: Duration = Duration::from_secs(60);

/// Longest wait for the end of a connection after a commit of unknown end: a statement may run for
/// hours, but nothing may be owed for ever.
pub const UNCERTAIN_WAIT_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// First and longest wait in milliseconds before a refresh that met a passing fault is tried again.
pub const REFRESH_RETRY_MS_MIN: u64 = 50;
pub const REFRESH_RETRY_MS_MAX: u64 = 5_000;

/// Times in a row that two rows must be seen to have one item key before one of them is parked.
pub const COLLISIONS_BEFORE_PARKED: u32 = 3;

/// First and longest wait in milliseconds before a parked key whose cause may lie outside of the row
/// (missing table, denied access, collision) is tried again.
pub const PARKED_RETRY_MS_MIN: u64 = 30_000;
pub const PARKED_RETRY_MS_MAX: u64 = 600_000;

/// Items read with one request: DynamoDB's limit of a BatchGetItem.
pub const ITEMS_READ_AT_ONCE: usize = 100;
/// Fewer tags are not worth a request of their own.
pub const TAGS_LOOKED_UP_MIN: usize = 4;

/// Items created with one request: DynamoDB's limit of a BatchExecuteStatement.
pub const CREATED_AT_ONCE: usize = 25;
/// Their bytes in one request: more would hold up too much for one answer that is lost.
pub const CREATED_AT_ONCE_BYTES: usize = 1 << 20;
/// Such requests of one batch of keys at the same time.
pub const CREATIONS_CONCURRENT: usize = 4;
/// Longest text of one PartiQL statement that DynamoDB takes.
pub const STATEMENT_BYTES_MAX: usize = 8_192;
/// Puts at the same time in place of one batch, where batches are refused.
pub const PUTS_INSTEAD_OF_BATCH: usize = 8;

/// Tags of items kept in memory (about 200 bytes each); a miss costs one failed condition.
pub const TAGS_CACHED_MAX: usize = 100_000;

/// Rows with movable item keys whose last item key is kept in memory (about 300 bytes each).
pub const HOMES_CACHED_MAX: usize = 100_000;

/// Keys that a sweep reads from MySQL at once.
pub const SWEEP_SCAN_KEYS: usize = 1_000;

/// Refreshes that a sweep keeps waiting in the queue; live refreshes go first all the same.
pub const SWEEP_REFRESHES_IN_FLIGHT: usize = 256;

/// Milliseconds before a sweep that failed starts anew.
pub const SWEEP_RETRY_MS: u64 = 5_000;

/// Milliseconds before a sweep that waits for another ruleset is looked at again, were the ruleset's news lost.
pub const SWEEP_HELD_MS: u64 = 600_000;

/// Parked keys listed in one report.
pub const PARKED_LISTED_MAX: usize = 1_000;

/// Longest wait for a TCP (and TLS) connection to DynamoDB. Longer means the network is gone.
pub const DYNAMODB_CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Longest wait for one DynamoDB request; single-digit milliseconds are normal, a full scan page takes
/// up to a second. The caller retries, so a lost answer must not be waited for.
pub const DYNAMODB_ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);

/// Rules of one fault script: each request is held against all of them.
pub const FAULT_RULES_MAX: usize = 100;

/// Longest `delay_ms` of a fault: beyond it a request is as good as lost.
pub const FAULT_DELAY_MAX: Duration = Duration::from_secs(600);

/// Answers of reads kept for stale ones, while a script is in force.
pub const FAULT_ANSWERS_KEPT_MAX: usize = 1_000;

/// Most `dynamodb.late_write_seconds`: a day, far beyond any signature.
pub const LATE_WRITE_SECONDS_MAX: u64 = 86_400;

/// Longest wait for the credential chain (instance metadata, SSO, assumed roles) to answer.
pub const DYNAMODB_CREDENTIALS_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest wait until a created table and its indexes are ACTIVE; AWS takes seconds to minutes.
pub const DYNAMODB_TABLE_ACTIVE_TIMEOUT: Duration = Duration::from_secs(300);

/// Pause between two looks at a table that is being created.
pub const DYNAMODB_TABLE_POLL_INTERVAL: Duration = Duration::from_millis(250);

/// Longest wait for the embedded engine to answer its last requests when it stops.
pub const DYNAMODB_EMBEDDED_STOP_TIMEOUT: Duration = Duration::from_secs(5);

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

/// Most bytes of a PROXY header: addresses take 52, the rest is for extensions, which are not read.
pub const PROXY_HEADER_BYTES_MAX: usize = 4 * 1024;

/// Seconds for a load balancer's PROXY header: it is the first thing sent, before any client's turn.
pub const PROXY_HEADER_SECONDS_MAX: u64 = 10;

/// Largest answer to a statement of Segue's own on an application's connection (keys of a preselect).
pub const OWN_ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Prepared statements that one session keeps for planning; those beyond it count as opaque.
pub const PREPARED_PER_SESSION_MAX: usize = 16_384;

/// Bytes of COM_STMT_SEND_LONG_DATA kept per statement; beyond it the parameter counts as unknown.
pub const LONG_DATA_BYTES_MAX: usize = 1024 * 1024;

/// Plans kept for all sessions together.
pub const PLAN_CACHE_ENTRIES_MAX: usize = 10_000;

/// Bytes of a statement's text beyond which its plan is not kept: INSERTs of many rows have ever new
/// texts, and a full cache must stay below some 100 MiB.
pub const PLAN_CACHE_TEXT_BYTES_MAX: usize = 8 * 1024;

/// Milliseconds to wait after `accept` failed (no file descriptors left) before trying again.
pub const ACCEPT_RETRY_MILLIS: u64 = 100;

/// Milliseconds that MySQL and DynamoDB get to answer a look at the health.
pub const HEALTH_ANSWER_MS_MAX: u64 = 2_000;

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

/// Time between looks at the definitions of mapped tables, which others may change without Segue seeing it.
pub const DEFINITIONS_LOOK_SECONDS: u64 = 30;

/// Times as long as a look at the definitions took, the next one waits at least: looking costs MySQL at most one
/// percent of a processor.
pub const DEFINITIONS_LOOK_REST: u32 = 100;

/// Longest wait for one statement of the control account: they look rows up by key.
pub const CONTROL_STATEMENT_TIMEOUT: Duration = Duration::from_secs(30);

/// Longest wait of a control statement for a metadata lock (a DDL statement at work).
pub const CONTROL_LOCK_WAIT_SECONDS: u32 = 10;

/// Bytes after which the journal begins a new segment. A segment is the unit of compaction: it is read at
/// once, and appends wait while it is.
pub const JOURNAL_SEGMENT_BYTES: u64 = 16 << 20;

/// Most bytes of one journal record; a transaction's dirty keys stay far below.
pub const JOURNAL_RECORD_BYTES_MAX: usize = 64 << 20;

/// Bytes beyond `journal.max_bytes` that are kept for records of owed sweeps, each of which stands for any
/// number of others: at most a few for each table.
pub const JOURNAL_RESERVE_BYTES: u64 = 1 << 20;

/// Most bytes of records that one write (and one sync) of the journal carries, beyond its first record.
pub const JOURNAL_BATCH_BYTES_MAX: usize = 8 << 20;

/// Longest delay before removals are written when nothing else is: a crash within it brings finished
/// records back, which costs a refresh each.
pub const JOURNAL_REMOVAL_DELAY: Duration = Duration::from_millis(100);

/// Pause before removals are tried again after the disk refused them.
pub const JOURNAL_RETRY_DELAY: Duration = Duration::from_secs(1);

/// Attempts of a read by whoever goes through whole tables, and the first and longest wait between them.
pub const SURVEY_ATTEMPTS_MAX: u32 = 12;
pub const SURVEY_RETRY_MIN: Duration = Duration::from_millis(100);
pub const SURVEY_RETRY_MAX: Duration = Duration::from_secs(10);

/// How often a long work notes where it stands: more is repeated after a kill.
pub const CHECKPOINT_EVERY: Duration = Duration::from_secs(2);

/// Batches of rows and items that a comparison reads at the same time.
pub const VERIFY_READS_AT_ONCE: usize = 8;
/// Parts of a DynamoDB table that a comparison scans at the same time.
pub const VERIFY_SEGMENTS: usize = 4;
/// Looks at what differs and keeps moving.
pub const VERIFY_LOOKS_MAX: u32 = 6;
/// What differed at first sight and waits for another look, in memory (about 300 bytes each).
pub const SUSPECTS_MAX: usize = 20_000;
/// Items without readable bookkeeping that wait for a row to explain them, in memory.
pub const FOREIGN_KEPT_MAX: usize = 100_000;
/// Differences in one report; more are counted.
pub const DIFFERENCES_KEPT_MAX: usize = 100_000;

/// Rows that a backfill or a repair refreshes at the same time, queued ones among them.
pub const BACKFILL_IN_FLIGHT: usize = 2_000;
/// Rows after which a backfill's place may move on: as many as are refreshed together.
pub const BACKFILL_CHUNK_ROWS: usize = 100;
/// How long an interrupted backfill waits for them.
pub const BACKFILL_LAND_SECONDS: u64 = 5;
/// How often a backfill looks at how busy MySQL is, and how long it rests where it is too busy.
pub const MYSQL_BUSY_PAUSE: Duration = Duration::from_millis(500);
/// Parked rows listed in a backfill's report; more are counted.
pub const PARKED_ROWS_KEPT_MAX: usize = 10_000;

/// Most keys a second that are looked at again, and the longest time until then.
pub const VALIDATION_RATE_MAX: u64 = 1_000;
pub const VALIDATION_AFTER_SECONDS_MAX: u64 = 3_600;
/// Keys that wait for their second look, in memory (about 200 bytes each); what comes beyond is not looked at.
pub const VALIDATION_WAITING_MAX: usize = 50_000;
/// How often keys are looked at, together.
pub const VALIDATION_EVERY: Duration = Duration::from_secs(1);
/// How long a difference has to rest before it is one.
pub const VALIDATION_SETTLE: Duration = Duration::from_secs(2);
/// Looks at a key that keeps moving: others wait meanwhile.
pub const VALIDATION_LOOKS_MAX: u32 = 3;
/// The last differences that are listed.
pub const VALIDATION_KEPT_MAX: usize = 100;
