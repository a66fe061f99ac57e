//! Command codes: the first byte of a packet that a client sends after the login.
//!
//! See dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_command_phase.html.

pub const QUIT: u8 = 0x01;
pub const INIT_DB: u8 = 0x02;
pub const QUERY: u8 = 0x03;
pub const FIELD_LIST: u8 = 0x04;
pub const REFRESH: u8 = 0x07;
pub const STATISTICS: u8 = 0x09;
pub const PROCESS_INFO: u8 = 0x0a;
pub const PROCESS_KILL: u8 = 0x0c;
pub const DEBUG: u8 = 0x0d;
pub const PING: u8 = 0x0e;
pub const CHANGE_USER: u8 = 0x11;
pub const BINLOG_DUMP: u8 = 0x12;
pub const TABLE_DUMP: u8 = 0x13;
pub const REGISTER_SLAVE: u8 = 0x15;
pub const STMT_PREPARE: u8 = 0x16;
pub const STMT_EXECUTE: u8 = 0x17;
pub const STMT_SEND_LONG_DATA: u8 = 0x18;
pub const STMT_CLOSE: u8 = 0x19;
pub const STMT_RESET: u8 = 0x1a;
pub const SET_OPTION: u8 = 0x1b;
pub const STMT_FETCH: u8 = 0x1c;
pub const BINLOG_DUMP_GTID: u8 = 0x1e;
pub const RESET_CONNECTION: u8 = 0x1f;
pub const CLONE: u8 = 0x20;
pub const SUBSCRIBE_GROUP_REPLICATION: u8 = 0x21;
/// MariaDB's.
pub const STMT_BULK_EXECUTE: u8 = 0xfa;

/// Which packets answer a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerShape {
    /// The server says nothing.
    None,
    /// One packet of any kind.
    Single,
    /// OK, ERR, LOCAL INFILE request or result set, several of them where the status says so.
    Results,
    /// COM_STMT_PREPARE's own answer.
    Prepare,
    /// Rows without column definitions.
    Rows,
    /// Column definitions up to an EOF packet.
    Fields,
    /// An authentication exchange.
    Authentication,
    /// The command phase ends, unless an error is the answer: bytes flow in both directions from now on.
    Duplex,
}

/// The shape of the answer to `code`. Codes that nobody knows get one packet: an error.
pub fn answer_shape(code: u8) -> AnswerShape {
    match code {
        QUIT | STMT_CLOSE | STMT_SEND_LONG_DATA => AnswerShape::None,
        QUERY | STMT_EXECUTE | STMT_BULK_EXECUTE | PROCESS_INFO => AnswerShape::Results,
        STMT_PREPARE => AnswerShape::Prepare,
        STMT_FETCH => AnswerShape::Rows,
        FIELD_LIST => AnswerShape::Fields,
        CHANGE_USER => AnswerShape::Authentication,
        BINLOG_DUMP | BINLOG_DUMP_GTID | TABLE_DUMP | CLONE | SUBSCRIBE_GROUP_REPLICATION => {
            AnswerShape::Duplex
        }
        _ => AnswerShape::Single,
    }
}
