//! Driver and server errors to `ControlError`, by error code.
//! Never here: what to do about an error.

use mysql_async::{DriverError, Error};

use super::ControlError;
use crate::telemetry::redact;

/// Server errors that pass by themselves. Codes of MySQL's `mysqld_error.h` and MariaDB's `errmsg.txt`;
/// those above 1900 and below 2000 are MariaDB's.
const TRANSIENT_CODES: &[u16] = &[
    1021, // disk full: waiting for space
    1037, // out of memory
    1038, // out of sort memory
    1040, // too many connections
    1041, // out of resources
    1047, // a Galera node that is not ready
    1053, // server shutdown in progress
    1129, // host blocked after connection errors
    1152, // aborted connection
    1158, 1159, 1160, 1161, // network read and write errors
    1184, // aborted connection
    1203, // too many connections of this user
    1205, // lock wait timeout
    1213, // deadlock
    1226, // resource limit of the account
    1317, // query interrupted
    1412, // table definition changed under a snapshot
    1461, // too many prepared statements
    1615, // prepared statement needs to be prepared again
    1836, // read only mode
    1927, // connection killed (MariaDB)
    1969, // statement time limit (MariaDB)
    3024, // statement time limit (MySQL)
    3032, // offline mode
    3168, 3169, // server not available, session killed
    3572, // a lock that was not to be waited for
    4031, // disconnected for inactivity
];

/// Server errors whose message quotes names of accounts, databases, tables and columns; other messages
/// may quote values.
const NAMES_ONLY_CODES: &[u16] = &[
    1044, 1045, 1142, 1143, 1227, 1370, 1698, // access denied
    1049, 1051, 1054, 1146, // unknown database, table, column
    1130, 1129, // host not allowed, host blocked
];

pub(super) fn classify(error: Error) -> ControlError {
    match error {
        Error::Server(server) => {
            let message = match NAMES_ONLY_CODES.contains(&server.code) {
                true => server.message.clone(),
                false => redact::message(&server.message),
            };
            let text = format!("error {} ({}): {message}", server.code, server.state);
            if TRANSIENT_CODES.contains(&server.code) {
                ControlError::Transient(text)
            } else {
                ControlError::Rejected(text)
            }
        }
        Error::Io(_)
        | Error::Driver(DriverError::ConnectionClosed | DriverError::PoolDisconnected) => {
            ControlError::Transient(error.to_string())
        }
        // Not printed in full: a driver error may carry a row's values or a packet.
        Error::Driver(DriverError::FromValue { .. } | DriverError::FromRow { .. }) => {
            ControlError::Rejected("a value of an unexpected type".to_owned())
        }
        Error::Driver(DriverError::UnexpectedPacket { .. } | DriverError::PacketOutOfOrder) => {
            ControlError::Transient("an unexpected packet".to_owned())
        }
        Error::Driver(_) | Error::Other(_) | Error::Url(_) => {
            ControlError::Rejected(error.to_string())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(code: u16) -> ControlError {
        classify(Error::Server(mysql_async::ServerError {
            code,
            message: "m".into(),
            state: "HY000".into(),
        }))
    }

    #[test]
    fn values_are_cut_from_messages_and_names_are_not() {
        let text = |code| {
            let message = "it is 'a@b'".into();
            let error = mysql_async::ServerError { code, message, state: "HY000".into() };
            classify(Error::Server(error)).to_string()
        };
        assert!(!text(1366).contains("a@b"));
        assert!(text(1045).contains("a@b"));
    }

    #[test]
    fn server_errors_are_told_apart_by_code() {
        assert!(matches!(server(1205), ControlError::Transient(_)));
        assert!(matches!(server(1142), ControlError::Rejected(_)));
        assert!(matches!(server(1054), ControlError::Rejected(_)));
    }
}
