//! MySQL and MariaDB for tests: one server per test binary, one database per test, or a server of
//! one's own to stop and kill.
//! Never here: starting the process (see `xtask::servers`).

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts};
use parking_lot::Mutex;
use tokio::sync::OnceCell;
use xtask::servers::{Installation, Kind, ServerProcess};

use super::process::scratch_root;
use super::skip::skip;

/// A running server. Ends with the test binary, or when dropped.
pub struct Server {
    process: Arc<Mutex<ServerProcess>>,
    kind: Kind,
    port: u16,
    url: String,
}

/// A database of one test. It is dropped with the server, not before: a failed test can be looked at.
#[derive(Clone, Debug)]
pub struct Database {
    pub name: String,
    /// `mysql://root@127.0.0.1:PORT/NAME`.
    pub url: String,
}

static MYSQL: OnceCell<Option<Server>> = OnceCell::const_new();
static MARIADB: OnceCell<Option<Server>> = OnceCell::const_new();

impl Server {
    /// The server that all tests of this binary share; `None` (and a recorded skip) where it cannot be
    /// had. A server that is there but does not start is a failure.
    pub async fn shared(kind: Kind) -> Option<&'static Server> {
        let reason = match Installation::find(kind) {
            Err(reason) => reason,
            Ok(_) => {
                let cell = match kind {
                    Kind::Mysql97 => &MYSQL,
                    Kind::MariaDb => &MARIADB,
                };
                let start = async || Server::start(kind).await.expect("the server starts");
                return cell.get_or_init(async || Some(start().await)).await.as_ref();
            }
        };
        skip(&reason);
        None
    }

    /// A server of one's own, or `None` and a recorded skip. Servers that run by themselves are no use
    /// to tests that stop them.
    pub async fn own(kind: Kind) -> Option<Server> {
        Server::own_with(kind, &[]).await
    }

    /// The same, with further command line options.
    pub async fn own_with(kind: Kind, options: &[String]) -> Option<Server> {
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        match Installation::find(kind) {
            Ok(Installation::Running { .. }) => {
                skip("the given server cannot be stopped by tests");
                None
            }
            Ok(_) => Some(Server::start_with(kind, &options).await.expect("the server starts")),
            Err(reason) => {
                skip(&reason);
                None
            }
        }
    }

    /// Starts a server with private data on a free loopback port.
    pub async fn start(kind: Kind) -> Result<Server> {
        Server::start_with(kind, &[]).await
    }

    /// Starts a server with further command line options.
    pub async fn start_with(kind: Kind, options: &[&str]) -> Result<Server> {
        let options: Vec<String> = options.iter().map(|&option| option.to_owned()).collect();
        let start = move || {
            let installation = Installation::find(kind).map_err(anyhow::Error::msg)?;
            ServerProcess::start(kind, &installation, &scratch_root(), &options)
        };
        let process = tokio::task::spawn_blocking(start).await.context("join")??;
        let (port, url) = (process.port(), process.url().to_owned());
        Ok(Server { process: Arc::new(Mutex::new(process)), kind, port, url })
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Process id, where it was started here.
    pub fn pid(&self) -> Option<u32> {
        self.process.lock().pid()
    }

    /// `mysql://root@127.0.0.1:PORT`, without a database.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// `HOST:PORT`, as `[mysql] address` takes it.
    pub fn address(&self) -> String {
        let rest = self.url.split_once("://").map_or(self.url.as_str(), |(_, rest)| rest);
        let host = rest.rsplit('@').next().unwrap_or(rest);
        host.split('/').next().unwrap_or(host).to_owned()
    }

    /// A direct connection as root, without a database.
    pub async fn connect(&self) -> Result<Conn> {
        let opts = Opts::from_url(&self.url).context("read the server's URL")?;
        Conn::new(opts).await.context("connect to the server")
    }

    /// Empties the cache of caching_sha2_password: the next login needs the password itself.
    pub async fn forget_passwords(&self) -> Result<()> {
        let mut connection = self.connect().await?;
        connection.query_drop("FLUSH PRIVILEGES").await?;
        connection.disconnect().await.context("disconnect")
    }

    /// A new database whose name begins with `name`, filled by `schema` (statements parted by `;`).
    pub async fn database(&self, name: &str, schema: &str) -> Result<Database> {
        static SERIAL: AtomicU32 = AtomicU32::new(0);
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let name = format!("{name}_{}_{serial}", std::process::id());
        let mut connection = self.connect().await?;
        connection.query_drop(format!("DROP DATABASE IF EXISTS `{name}`")).await?;
        let create = format!("CREATE DATABASE `{name}` CHARACTER SET utf8mb4");
        connection.query_drop(create).await?;
        connection.query_drop(format!("USE `{name}`")).await?;
        if !schema.trim().is_empty() {
            connection.query_drop(schema).await.context("create the test's tables")?;
        }
        connection.disconnect().await?;
        let url = format!("{}/{name}", self.url);
        Ok(Database { name, url })
    }

    pub async fn stop(&self) -> Result<()> {
        self.with(ServerProcess::stop).await
    }

    /// `kill -9`.
    pub async fn kill_hard(&self) -> Result<()> {
        self.with(ServerProcess::kill_hard).await
    }

    /// Starts it again on the same port and data.
    pub async fn restart(&self) -> Result<()> {
        self.with(ServerProcess::restart).await
    }

    async fn with(
        &self,
        work: impl FnOnce(&mut ServerProcess) -> Result<()> + Send + 'static,
    ) -> Result<()> {
        let process = Arc::clone(&self.process);
        tokio::task::spawn_blocking(move || work(&mut process.lock())).await.context("join")?
    }
}
