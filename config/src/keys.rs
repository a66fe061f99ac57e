//! The one table of settings: name, type, default, meaning. Parsing, environment names and the
//! reference page all come from it.
//! Never here: reading a value.

use crate::limits;

/// What a key holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `ip:port` to listen on.
    Listen,
    /// `host:port` to connect to.
    HostPort,
    /// `mysql://user:password@host:port/database`.
    MysqlUrl,
    /// `aws`, `embedded` or an `http(s)://` address.
    Endpoint,
    Text,
    /// Relative paths in the file stand for the file's folder, in the environment for the working
    /// directory.
    Path,
    Choice(&'static [&'static str]),
    Integer {
        min: u64,
        max: u64,
    },
    /// IP networks, parted by commas.
    Networks,
    /// A number of bytes, or a text such as `"512 MiB"`.
    Bytes {
        min: u64,
    },
}

/// Whether and what a key is when it is not given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    Required,
    Default(&'static str),
    /// Not set; the text says what that means.
    Unset(&'static str),
}

/// One setting.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    pub section: &'static str,
    pub name: &'static str,
    pub kind: Kind,
    pub absent: Absent,
    /// One or two sentences for the reference page.
    pub doc: &'static str,
}

impl Key {
    /// `section.name`.
    pub fn path(&self) -> String {
        format!("{}.{}", self.section, self.name)
    }

    /// `SEGUE_SECTION_NAME`.
    pub fn variable(&self) -> String {
        format!("SEGUE_{}_{}", self.section, self.name).to_uppercase()
    }
}

const fn key(
    section: &'static str,
    name: &'static str,
    kind: Kind,
    absent: Absent,
    doc: &'static str,
) -> Key {
    Key { section, name, kind, absent, doc }
}

use Absent::{Default, Required, Unset};

/// Every setting there is, in the order of the reference page.
pub const KEYS: &[Key] = &[
    key(
        "listen",
        "mysql",
        Kind::Listen,
        Default("127.0.0.1:3307"),
        "Where applications connect, as they would to MySQL. Port 0 takes a free port.",
    ),
    key(
        "listen",
        "proxy_protocol_networks",
        Kind::Networks,
        Unset("no PROXY header is read, and every client's address is its connection's"),
        "Load balancers in front of Segue that begin each connection with a PROXY header (version 1 or 2), which \
         names the real client. A connection from these networks must begin with one; from any other address \
         a header is never believed.",
    ),
    key(
        "listen",
        "compression",
        Kind::Choice(&["as-asked", "off"]),
        Default("as-asked"),
        "Whether clients may ask for compressed packets. Where one does, the leg to MySQL is compressed alike, so MySQL \
         must offer it (`protocol_compression_algorithms`). It takes processor time on both legs; \
         where Segue is beside the application, only the leg to MySQL gains.",
    ),
    key(
        "listen",
        "max_connections",
        Kind::Integer { min: 1, max: limits::CLIENTS_MAX },
        Default("5000"),
        "Most clients at a time. A further one is told \"Too many connections\" (1040), as MySQL tells it, before MySQL hears of it. Each takes two file descriptors.",
    ),
    key(
        "listen",
        "login_timeout",
        Kind::Integer { min: 1, max: limits::TIMEOUT_SECONDS_MAX },
        Default("60"),
        "Seconds that a client may take to log in.",
    ),
    key(
        "listen",
        "idle_timeout",
        Kind::Integer { min: 0, max: limits::TIMEOUT_SECONDS_MAX },
        Default("0"),
        "Seconds without a command, in a transaction or not, after which a client is let go as MySQL's `wait_timeout` lets it go: with error 4031 before MySQL, in silence before MariaDB. 0 leaves it to the server.",
    ),
    key(
        "listen",
        "admin",
        Kind::Listen,
        Default("127.0.0.1:9307"),
        "HTTP: metrics, health and the API. On any other address than loopback every request needs the token.",
    ),
    key(
        "listen",
        "workers",
        Kind::Integer { min: 1, max: limits::LISTEN_WORKERS_MAX },
        Unset("half of the processors, at least one"),
        "Threads that relay between applications and MySQL. One relays tens of thousands of statements a second; more than the processors only cost.",
    ),
    key(
        "mysql",
        "address",
        Kind::HostPort,
        Required,
        "The MySQL server that statements are relayed to.",
    ),
    key(
        "mysql",
        "control_url",
        Kind::MysqlUrl,
        Required,
        "Segue's own account on the same server. It reads the schema and the committed rows behind items; the grants are on the page of grants. A secret: prefer the environment.",
    ),
    key(
        "mysql",
        "upstream_tls",
        Kind::Choice(&["as-client", "always", "never"]),
        Default("as-client"),
        "Whether the leg to MySQL is encrypted: as the client's own leg is, always, or never. The page of logins \
         says what that means for each kind of account.",
    ),
    key(
        "mysql",
        "upstream_verify",
        Kind::Choice(&["off", "ca", "identity"]),
        Default("off"),
        "What is asked of MySQL's certificate on an encrypted leg: nothing; that an authority of `upstream_ca` issued \
         it (certificates that MySQL makes itself name no host); or that it is also for the host of `mysql.address`. \
         With `upstream_tls = \"as-client\"` the leg of a client without TLS is not encrypted, and nothing is asked.",
    ),
    key(
        "mysql",
        "upstream_ca",
        Kind::Path,
        Unset("goes with `upstream_verify`"),
        "PEM file with the authorities that may have issued MySQL's certificate; `ca.pem` of its data folder where \
         MySQL made it.",
    ),
    key(
        "mysql",
        "proxy_protocol",
        Kind::Choice(&["off", "v1", "v2"]),
        Default("off"),
        "Whether each client's connection to `mysql.address` begins with a PROXY header that names the real client, \
         and of which version. For MariaDB with `proxy_protocol_networks`, ProxySQL, HAProxy or Percona Server; \
         MySQL itself does not know it and refuses such connections. The control account never sends one.",
    ),
    key(
        "mysql",
        "connect_timeout",
        Kind::Integer { min: 1, max: limits::TIMEOUT_SECONDS_MAX },
        Default("10"),
        "Seconds to reach MySQL for a new client.",
    ),
    key(
        "tls",
        "certificate",
        Kind::Path,
        Unset("a self-signed certificate is made at start"),
        "PEM file with the certificate chain shown to applications that ask for TLS.",
    ),
    key(
        "tls",
        "key",
        Kind::Path,
        Unset("goes with the certificate"),
        "PEM file with the certificate's private key.",
    ),
    key("dynamodb", "region", Kind::Text, Unset("as the AWS SDK finds it"), "AWS region."),
    key(
        "dynamodb",
        "endpoint",
        Kind::Endpoint,
        Default("aws"),
        "`aws`, the address of a DynamoDB-compatible server, or `embedded` for the built-in engine.",
    ),
    key(
        "dynamodb",
        "file",
        Kind::Path,
        Unset("data is kept in memory and lost at exit"),
        "File of the built-in engine. Only with `endpoint = \"embedded\"`.",
    ),
    key(
        "dynamodb",
        "table_prefix",
        Kind::Text,
        Default(""),
        "Put before every table name of the contract.",
    ),
    key(
        "dynamodb",
        "billing",
        Kind::Choice(&["on-demand", "provisioned"]),
        Default("on-demand"),
        "How tables that Segue creates are paid for.",
    ),
    key(
        "dynamodb",
        "read_units",
        Kind::Integer { min: 1, max: limits::CAPACITY_UNITS_MAX },
        Unset("5"),
        "Read capacity units of each created table and index. Only with `billing = \"provisioned\"`.",
    ),
    key(
        "dynamodb",
        "write_units",
        Kind::Integer { min: 1, max: limits::CAPACITY_UNITS_MAX },
        Unset("5"),
        "Write capacity units of each created table and index. Only with `billing = \"provisioned\"`.",
    ),
    key(
        "dynamodb",
        "late_write_seconds",
        Kind::Integer { min: 0, max: limits::LATE_WRITE_SECONDS_MAX },
        Default("300"),
        "Seconds for which a write that DynamoDB did not answer may still arrive. A row whose new item was written so stays owed for that time and is then refreshed once more; so is everything that was owed when Segue was killed. AWS refuses requests older than five minutes.",
    ),
    key(
        "contract",
        "path",
        Kind::Path,
        Required,
        "The migration contract. Watched: a changed contract is checked and taken over while running.",
    ),
    key(
        "contract",
        "database",
        Kind::Text,
        Required,
        "The MySQL database that the contract's tables are in.",
    ),
    key(
        "journal",
        "path",
        Kind::Path,
        Default("var/journal"),
        "Folder of the journal of owed work. One process at a time.",
    ),
    key(
        "journal",
        "durability",
        Kind::Choice(&["fsync", "write"]),
        Default("fsync"),
        "`fsync` survives a power cut; `write` survives only the end of the process and is faster.",
    ),
    key(
        "journal",
        "max_bytes",
        Kind::Bytes { min: limits::JOURNAL_BYTES_MIN },
        Default("1 GiB"),
        "Most bytes of owed work. Beyond it single keys become an owed sweep of their table.",
    ),
    key(
        "movement",
        "path",
        Kind::Path,
        Default("var/movement"),
        "Folder for what backfill, verify and repair note of their work, and for their last reports. One \
         process at a time.",
    ),
    key(
        "validation",
        "keys_per_second",
        Kind::Integer { min: 0, max: limits::VALIDATION_RATE_MAX },
        Default("0"),
        "Most applied keys a second that `segue serve` looks at again after a while, to compare row and item; \
         0 looks at none. A look costs one read of each store. `GET /api/validation` has the results.",
    ),
    key(
        "validation",
        "after_seconds",
        Kind::Integer { min: 1, max: limits::VALIDATION_AFTER_SECONDS_MAX },
        Default("10"),
        "How long after it was applied a key is looked at again.",
    ),
    key(
        "phases",
        "path",
        Kind::Path,
        Default("phases.toml"),
        "The phases file. Watched, and written by the API and `segue phase set`.",
    ),
    key(
        "mirror",
        "workers",
        Kind::Integer { min: 1, max: limits::MIRROR_WORKERS_MAX },
        Default("16"),
        "Items of one batch that are written to DynamoDB at the same time.",
    ),
    key(
        "mirror",
        "transactions",
        Kind::Choice(&["by-item", "whole"]),
        Default("by-item"),
        "`whole` writes the items of one MySQL transaction with one TransactWriteItems, so that a reader of DynamoDB sees all of it or nothing, \
         up to DynamoDB's limit of 100 items; see [whole transactions](../transactions.md). DynamoDB charges such writes twice.",
    ),
    key(
        "faults",
        "injection",
        Kind::Choice(&["off", "on"]),
        Default("off"),
        "Whether requests to DynamoDB can be made to fail on purpose, for tests and game days. While it is `off`, a fault script is refused, by the start and by the API. Leave it off in production.",
    ),
    key(
        "faults",
        "path",
        Kind::Path,
        Unset("faults come by the API alone"),
        "The fault script. Watched; a file that is not there is an empty script. Only with `injection = \"on\"`.",
    ),
    key(
        "observe",
        "statements",
        Kind::Choice(&["off", "on"]),
        Default("off"),
        "Whether statements are counted by digest for `GET /api/digests`, in every phase. Literals are never kept.",
    ),
    key(
        "admin",
        "token",
        Kind::Text,
        Unset(
            "one is generated at start and written to `admin.token` next to the journal folder, mode 0600",
        ),
        "Bearer token of the HTTP API. A secret: prefer the environment.",
    ),
    key(
        "shutdown",
        "drain_seconds",
        Kind::Integer { min: 0, max: limits::TIMEOUT_SECONDS_MAX },
        Default("15"),
        "Seconds that clients get on a graceful stop. Idle ones are let go at its begin, busy ones when they fall idle, from its half on in between two statements; a transaction may take all of it and is then cut off.",
    ),
    key(
        "shutdown",
        "idle_milliseconds",
        Kind::Integer { min: 0, max: limits::TIMEOUT_SECONDS_MAX },
        Default("300"),
        "Milliseconds without a statement after which a client counts as idle on a graceful stop. So clients that have just connected come to their end.",
    ),
    key(
        "log",
        "format",
        Kind::Choice(&["text", "json"]),
        Default("text"),
        "How log lines are written to standard error.",
    ),
    key(
        "log",
        "level",
        Kind::Choice(&["error", "warn", "info", "debug", "trace"]),
        Default("info"),
        "Least severe level that is logged. The variable `RUST_LOG` refines it by module. Libraries below \
         `info` are never logged: some print items.",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_unique_and_documented() {
        let mut names: Vec<String> = KEYS.iter().map(Key::variable).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), KEYS.len());
        assert!(KEYS.iter().all(|key| key.doc.ends_with('.')));
    }

    #[test]
    fn variables_follow_section_and_name() {
        let named = |path| KEYS.iter().find(|key| key.path() == path).map(Key::variable);
        assert_eq!(named("listen.mysql").as_deref(), Some("SEGUE_LISTEN_MYSQL"));
        assert_eq!(named("mysql.control_url").as_deref(), Some("SEGUE_MYSQL_CONTROL_URL"));
    }
}
