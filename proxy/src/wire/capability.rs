//! Capability flags of the handshake, and which of them a relay can understand.
//! Never here: reading them from packets.
//!
//! See dev.mysql.com/doc/dev/mysql-server/latest/group__group__cs__capabilities__flags.html and
//! mariadb.com/kb/en/connection/#capabilities.

pub type Capabilities = u32;

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

/// Capabilities that would change the framing into something that the relay does not read.
pub const NOT_UNDERSTOOD: Capabilities = COMPRESS | ZSTD_COMPRESSION | CAPABILITY_EXTENSION;

/// MariaDB's extended capabilities that leave the framing as it is: only extended metadata, which
/// adds a field inside of column definitions. Progress reports, COM_MULTI, bulk operations, cached
/// metadata and unit results change which packets make up an answer.
pub const MARIADB_EXTENDED_UNDERSTOOD: u32 = 1 << 3;
