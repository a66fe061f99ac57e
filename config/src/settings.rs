//! Checked settings of the process, and reading them from `segue.toml` and `SEGUE_...` variables.
//! Never here: the list of keys (`keys`), checks of single values (`read`).

mod read;
#[cfg(test)]
mod tests;
mod value;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::SettingError;
use crate::network::Network;

/// Checked settings of the process.
#[derive(Clone)]
pub struct Settings {
    pub listen: Listen,
    pub mysql: Mysql,
    pub tls: Tls,
    pub dynamodb: Dynamodb,
    /// How tables that Segue creates are paid for.
    pub billing: Billing,
    pub contract: Contract,
    pub journal: Journal,
    /// Folder of backfill, verify and repair (`[movement] path`).
    pub movement_path: PathBuf,
    pub validation: Validation,
    /// The phases file (`[phases] path`).
    pub phases_path: PathBuf,
    /// How long a write without answer may still arrive (`[dynamodb] late_write_seconds`).
    pub late_write: Duration,
    /// Items of one batch that are written at the same time (`[mirror] workers`).
    pub mirror_workers: usize,
    /// The items of one transaction are written together (`[mirror] transactions`).
    pub whole_transactions: bool,
    /// `None`: requests to DynamoDB cannot be made to fail.
    pub faults: Option<FaultInjection>,
    /// Statements are counted by digest (`[observe] statements`).
    pub observe_statements: bool,
    /// Token for the HTTP API (`SEGUE_ADMIN_TOKEN` or `[admin] token`).
    pub admin_token: Option<String>,
    pub shutdown: Shutdown,
    pub log: Log,
}

#[derive(Clone, Debug)]
pub struct Listen {
    pub mysql: SocketAddr,
    /// Where connections begin with a PROXY header.
    pub proxy_protocol_networks: Vec<Network>,
    /// Clients may ask for compressed packets.
    pub compression: bool,
    pub admin: SocketAddr,
    /// Most clients at a time.
    pub clients_max: usize,
    pub login_timeout: Duration,
    /// `None`: the server alone decides.
    pub idle_timeout: Option<Duration>,
    /// Threads that carry sessions; `None`: as many as suit the machine.
    pub workers: Option<usize>,
}

#[derive(Clone)]
pub struct Mysql {
    /// Relay target, `host:port`.
    pub address: String,
    /// With the control account's password: never logged.
    pub control_url: String,
    pub upstream_tls: UpstreamTls,
    pub upstream_verify: UpstreamVerify,
    pub connect_timeout: Duration,
    /// The header that tells the server of the real client.
    pub proxy_protocol: Option<ProxyProtocol>,
}

/// Versions of the PROXY protocol: text and binary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyProtocol {
    V1,
    V2,
}

/// Whether the leg to MySQL is encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UpstreamTls {
    /// As the client does.
    #[default]
    AsClient,
    Always,
    Never,
}

/// What is asked of the server's certificate. The path is a PEM file of authorities.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum UpstreamVerify {
    #[default]
    Nothing,
    /// One of the authorities issued it.
    Authority(PathBuf),
    /// It is also for the host of `mysql.address`.
    Identity(PathBuf),
}

/// TLS towards clients. Without files a self-signed certificate is made at start.
#[derive(Clone, Debug, Default)]
pub struct Tls {
    pub certificate: Option<PathBuf>,
    pub key: Option<PathBuf>,
}

#[derive(Clone, Debug)]
pub struct Dynamodb {
    pub region: Option<String>,
    pub endpoint: Endpoint,
    pub table_prefix: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// AWS, resolved by `aws-config`.
    Aws,
    Url(String),
    /// The built-in engine; a file keeps its data, `None` is memory.
    Embedded {
        file: Option<PathBuf>,
    },
}

/// Capacity units a second; provisioned ones are the same for a table and each of its indexes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Billing {
    OnDemand,
    Provisioned { read_units: u32, write_units: u32 },
}

/// The second look at applied keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validation {
    /// At most; 0: none.
    pub keys_per_second: u32,
    pub after: Duration,
}

#[derive(Clone, Debug)]
pub struct Contract {
    pub path: PathBuf,
    pub database: String,
}

#[derive(Clone, Debug)]
pub struct Journal {
    pub path: PathBuf,
    /// `fsync` (default) or `write`.
    pub fsync: bool,
    pub bytes_max: u64,
}

/// Faults on purpose are allowed (`[faults] injection = "on"`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultInjection {
    /// The fault script; `None`: it comes by the API alone.
    pub path: Option<PathBuf>,
}

/// What clients get on a graceful stop.
#[derive(Clone, Copy, Debug)]
pub struct Shutdown {
    pub drain: Duration,
    /// Without a statement for so long a client is let go.
    pub idle: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    pub format: LogFormat,
    /// `error` to `trace`.
    pub level: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

impl Settings {
    /// Reads the text of a settings file and the variables that override it. `Err` holds every fault.
    ///
    /// `file_name` is used in messages, and its folder is where relative paths start.
    pub fn parse(
        text: &str,
        file_name: &str,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Settings, Vec<SettingError>> {
        read::settings(text, file_name, env)
    }
}

// Credentials never reach a log by way of `{:?}`.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("listen", &self.listen)
            .field("mysql", &self.mysql)
            .field("tls", &self.tls)
            .field("dynamodb", &self.dynamodb)
            .field("billing", &self.billing)
            .field("contract", &self.contract)
            .field("journal", &self.journal)
            .field("phases_path", &self.phases_path)
            .field("late_write", &self.late_write)
            .field("mirror_workers", &self.mirror_workers)
            .field("whole_transactions", &self.whole_transactions)
            .field("faults", &self.faults)
            .field("observe_statements", &self.observe_statements)
            .field("admin_token", &self.admin_token.as_ref().map(|_| "(redacted)"))
            .field("shutdown", &self.shutdown)
            .field("log", &self.log)
            .finish()
    }
}

impl fmt::Debug for Mysql {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mysql")
            .field("address", &self.address)
            .field("control_url", &"(redacted)")
            .field("upstream_tls", &self.upstream_tls)
            .field("upstream_verify", &self.upstream_verify)
            .field("proxy_protocol", &self.proxy_protocol)
            .field("connect_timeout", &self.connect_timeout)
            .finish()
    }
}
