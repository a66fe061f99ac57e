//! Capability flags of the handshake, and which of them a relay can understand.
//! Never here: reading them from packets.
//!
//! See dev.mysql.com/doc/dev/mysql-server/latest/group__group__cs__capabilities__flags.html and
//! mariadb.com/kb/en/connection/#capabilities.

/// MySQL's 32 flags; above them MariaDB's extended capabilities.
pub type Capabilities = u64;

/// Where MariaDB's extended capabilities begin.
pub const EXTENDED_SHIFT: u32 = 32;

/// "CLIENT_MYSQL" for MariaDB: where a server leaves it out, extended capabilities follow.
pub const LONG_PASSWORD: Capabilities = 1;
pub const CONNECT_WITH_DB: Capabilities = 1 << 3;
pub const COMPRESS: Capabilities = 1 << 5;
pub const LOCAL_FILES: Capabilities = 1 << 7;
pub const PROTOCOL_41: Capabilities = 1 << 9;
pub const SSL: Capabilities = 1 << 11;
pub const SECURE_CONNECTION: Capabilities = 1 << 15;
pub const MULTI_STATEMENTS: Capabilities = 1 << 16;
pub const MULTI_RESULTS: Capabilities = 1 << 17;
pub const PLUGIN_AUTH: Capabilities = 1 << 19;
pub const CONNECT_ATTRS: Capabilities = 1 << 20;
pub const PLUGIN_AUTH_LENENC_DATA: Capabilities = 1 << 21;
pub const SESSION_TRACK: Capabilities = 1 << 23;
pub const DEPRECATE_EOF: Capabilities = 1 << 24;
pub const OPTIONAL_RESULTSET_METADATA: Capabilities = 1 << 25;
pub const ZSTD_COMPRESSION: Capabilities = 1 << 26;
pub const QUERY_ATTRIBUTES: Capabilities = 1 << 27;
pub const MULTI_FACTOR_AUTHENTICATION: Capabilities = 1 << 28;
/// Reserved to announce yet more capabilities; what they would mean is unknown.
pub const CAPABILITY_EXTENSION: Capabilities = 1 << 29;

/// All that packets may be compressed with.
pub const COMPRESSION: Capabilities = COMPRESS | ZSTD_COMPRESSION;

/// Capabilities that would change the framing into something that the relay does not read.
pub const NOT_UNDERSTOOD: Capabilities = CAPABILITY_EXTENSION;

/// COM_STMT_BULK_EXECUTE: one execution with the parameters of many rows.
pub const MARIADB_STMT_BULK_OPERATIONS: Capabilities = 1 << 34;
/// A further field in column definitions.
pub const MARIADB_EXTENDED_METADATA: Capabilities = 1 << 35;
/// A result set leaves out the column definitions that the client has.
pub const MARIADB_CACHE_METADATA: Capabilities = 1 << 36;

/// MariaDB's extended capabilities that the relay reads. Progress reports, COM_MULTI and results for
/// each row of a bulk execution are narrowed away.
pub const MARIADB_EXTENDED_UNDERSTOOD: Capabilities =
    MARIADB_STMT_BULK_OPERATIONS | MARIADB_EXTENDED_METADATA | MARIADB_CACHE_METADATA;

/// All bits above MySQL's.
pub const MARIADB_EXTENDED: Capabilities = !0 << EXTENDED_SHIFT;
