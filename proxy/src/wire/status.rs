//! Server status flags of OK and EOF packets.
//!
//! See dev.mysql.com/doc/dev/mysql-server/latest/mysql__com_8h.html (SERVER_STATUS_flags_enum).

pub type StatusFlags = u16;

pub const IN_TRANS: StatusFlags = 1;
pub const AUTOCOMMIT: StatusFlags = 1 << 1;
pub const MORE_RESULTS_EXISTS: StatusFlags = 1 << 3;
pub const CURSOR_EXISTS: StatusFlags = 1 << 6;
pub const NO_BACKSLASH_ESCAPES: StatusFlags = 1 << 9;
pub const PS_OUT_PARAMS: StatusFlags = 1 << 12;
pub const IN_TRANS_READONLY: StatusFlags = 1 << 13;
