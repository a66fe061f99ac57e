//! `segue.toml` with `SEGUE_...` overrides: raw text in, checked `Settings` out.
//! Never here: reading anything but the given text and variables.

use std::net::SocketAddr;
use std::path::PathBuf;

/// Checked settings of the process.
#[derive(Clone, Debug)]
pub struct Settings {
    pub listen: Listen,
    pub mysql: Mysql,
    pub tls: Tls,
    pub dynamodb: Dynamodb,
    pub contract: Contract,
    pub journal: Journal,
    /// The phases file (`[phases] path`).
    pub phases_path: PathBuf,
    /// Token for the HTTP API (`SEGUE_ADMIN_TOKEN` or `[admin] token`).
    pub admin_token: Option<String>,
}

#[derive(Clone, Debug)]
pub struct Listen {
    pub mysql: SocketAddr,
    pub admin: SocketAddr,
}

#[derive(Clone, Debug)]
pub struct Mysql {
    /// Relay target, `host:port`.
    pub address: String,
    pub control_url: String,
    pub upstream_tls: UpstreamTls,
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
    Embedded { file: Option<PathBuf> },
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
