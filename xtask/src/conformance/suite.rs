//! The suites, the modes of their clients, and the ways to the server.
//! Never here: running them.

use clap::ValueEnum;
use xtask::servers::Kind;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Suite {
    /// Suite `main` of MySQL's regression tests
    Mysql,
    /// mysql_client_test: MySQL's C API
    Client,
    /// Chosen tests of MariaDB's regression tests
    Mariadb,
}

/// How the tests' clients talk to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// Text protocol, no TLS
    Plain,
    /// Prepared statements wherever possible
    Ps,
    /// Prepared statements with cursors
    Cursor,
    /// Text protocol within TLS
    Tls,
}

/// How the clients reach the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Path {
    #[value(skip)]
    Direct,
    MysqlOnly,
    DualWrite,
}

impl Suite {
    pub fn name(self) -> &'static str {
        match self {
            Suite::Mysql => "mysql",
            Suite::Client => "client",
            Suite::Mariadb => "mariadb",
        }
    }

    pub fn kind(self) -> Kind {
        match self {
            Suite::Mysql | Suite::Client => Kind::Mysql97,
            Suite::Mariadb => Kind::MariaDb,
        }
    }

    /// mysql_client_test has its own statements; there is nothing to choose but TLS.
    pub fn has(self, mode: Mode) -> bool {
        self != Suite::Client || matches!(mode, Mode::Plain | Mode::Tls)
    }
}

impl Mode {
    pub const ALL: [Mode; 4] = [Mode::Plain, Mode::Ps, Mode::Cursor, Mode::Tls];

    pub fn name(self) -> &'static str {
        match self {
            Mode::Plain => "plain",
            Mode::Ps => "ps",
            Mode::Cursor => "cursor",
            Mode::Tls => "tls",
        }
    }

    /// The test runner's option.
    pub fn option(self) -> Option<&'static str> {
        match self {
            Mode::Plain | Mode::Tls => None,
            Mode::Ps => Some("--ps-protocol"),
            Mode::Cursor => Some("--cursor-protocol"),
        }
    }
}

impl Path {
    pub const THROUGH: [Path; 2] = [Path::MysqlOnly, Path::DualWrite];

    pub fn name(self) -> &'static str {
        match self {
            Path::Direct => "direct",
            Path::MysqlOnly => "mysql-only",
            Path::DualWrite => "dual-write",
        }
    }
}
