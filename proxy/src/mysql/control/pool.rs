//! The pool: session state, time-outs, one place where a statement is sent.
//! Never here: the text of statements.

use std::sync::Arc;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, OptsBuilder, Pool, PoolConstraints, PoolOpts, Value};
use segue_config::limits;
use segue_rules::catalog::ServerKind;
use segue_rules::value::Row;

use super::catalog::text;
use super::cell::row_to_cells;
use super::fault::classify;
use super::server::server_kind;
use super::{ControlError, TextRows};

/// Which changes the control account's statements see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    Committed,
    /// For tests that show what goes wrong with it.
    Uncommitted,
}

/// The control pool. Cheap to clone. Sessions run with `time_zone='+00:00'`, `NAMES utf8mb4`,
/// `sql_mode=''`, READ COMMITTED.
#[derive(Clone)]
pub struct Control {
    pool: Pool,
    /// `host:port`, for messages: the URL holds a password.
    address: Arc<str>,
    server: ServerKind,
}

impl Control {
    /// Opens the pool and tries one connection. `pool_max`: most connections, at least one, at most
    /// `CONTROL_CONNECTIONS_MAX`.
    pub async fn connect(url: &str, pool_max: usize) -> Result<Control, ControlError> {
        Control::connect_reading(url, pool_max, Reads::Committed).await
    }

    /// As [`Control::connect`], with a choice of what its statements see.
    pub async fn connect_reading(
        url: &str,
        pool_max: usize,
        reads: Reads,
    ) -> Result<Control, ControlError> {
        // The URL itself is never quoted: it holds a password.
        let opts = Opts::from_url(url).map_err(|error| {
            ControlError::Rejected(format!("the control URL cannot be used: {error}"))
        })?;
        let address = format!("{}:{}", opts.ip_or_hostname(), opts.tcp_port()).into();
        let pool_max = pool_max.clamp(1, limits::CONTROL_CONNECTIONS_MAX);
        let constraints = PoolConstraints::new(0, pool_max).expect("0 is not above the maximum");
        // COM_RESET_CONNECTION would cost a round trip and all prepared statements at every use. The
        // session's state is never changed after the set-up, so there is nothing to reset; `setup`
        // (not `init`) still repeats it should the driver ever reset a connection.
        let pool_opts =
            PoolOpts::default().with_constraints(constraints).with_reset_connection(false);
        let builder = OptsBuilder::from_opts(opts)
            .pool_opts(pool_opts)
            .prefer_socket(false)
            .tcp_nodelay(true)
            .stmt_cache_size(limits::CONTROL_STATEMENTS_CACHED)
            .setup(session_setup(reads));
        let mut control = Control { pool: Pool::new(builder), address, server: ServerKind::MySql };
        let rows = control.execute("SELECT VERSION(), @@version_comment", vec![]).await?;
        let word = |position| {
            rows.first().and_then(|row| row.get(position)).and_then(text).unwrap_or_default()
        };
        control.server = server_kind(&word(0), &word(1));
        Ok(control)
    }

    /// The family of the server the first connection met.
    pub fn server(&self) -> ServerKind {
        self.server
    }

    /// `host:port` of the server.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Closes every connection that is not in use.
    pub async fn close(&self) {
        let closing = self.pool.clone().disconnect();
        if tokio::time::timeout(limits::CONTROL_CONNECT_TIMEOUT, closing).await.is_err() {
            tracing::warn!("the control connections did not close in time");
        }
    }

    pub(super) async fn connection(&self) -> Result<Session, ControlError> {
        match tokio::time::timeout(limits::CONTROL_CONNECT_TIMEOUT, self.pool.get_conn()).await {
            Ok(Ok(connection)) => Ok(Session { connection, in_snapshot: false, timed_out: false }),
            Ok(Err(error)) => Err(self.located(classify(error))),
            Err(_) => Err(self.located(ControlError::Transient(format!(
                "no connection within {} s",
                limits::CONTROL_CONNECT_TIMEOUT.as_secs()
            )))),
        }
    }

    fn located(&self, error: ControlError) -> ControlError {
        match error {
            ControlError::Transient(reason) => {
                ControlError::Transient(format!("{}: {reason}", self.address))
            }
            ControlError::Rejected(reason) => {
                ControlError::Rejected(format!("{}: {reason}", self.address))
            }
        }
    }

    /// One prepared statement on any connection. A connection that died in the pool (a server restart)
    /// is replaced once: everything sent here only reads.
    pub(super) async fn execute(
        &self,
        sql: &str,
        parameters: Vec<Value>,
    ) -> Result<Vec<Row>, ControlError> {
        let mut session = self.connection().await?;
        match session.execute(sql, parameters.clone()).await {
            Err(ControlError::Transient(_)) if session.is_lost() && !session.timed_out => {
                drop(session);
                self.connection().await?.execute(sql, parameters).await
            }
            answer => answer,
        }
    }

    /// The same for a statement that is not prepared: its text does not come again.
    pub(super) async fn text(&self, sql: &str) -> Result<TextRows, ControlError> {
        let mut session = self.connection().await?;
        match session.text(sql).await {
            Err(ControlError::Transient(_)) if session.is_lost() && !session.timed_out => {
                drop(session);
                self.connection().await?.text(sql).await
            }
            answer => answer,
        }
    }
}

/// A connection taken from the pool; it goes back when dropped. The driver closes one that was dropped
/// in the middle of an answer.
pub(super) struct Session {
    connection: Conn,
    /// A snapshot transaction may be open.
    in_snapshot: bool,
    /// A statement got no answer in time: another try would wait as long.
    timed_out: bool,
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.in_snapshot {
            // Whoever gets this connection next must not read the old snapshot: the driver resets it first.
            self.connection.reset_connection(true);
        }
    }
}

impl Session {
    /// Runs a prepared statement (the driver caches it) over the binary protocol.
    pub(super) async fn execute(
        &mut self,
        sql: &str,
        parameters: Vec<Value>,
    ) -> Result<Vec<Row>, ControlError> {
        let answer = self.connection.exec::<mysql_async::Row, _, _>(sql, parameters);
        let answer = in_time(answer).await;
        self.timed_out |= answer.is_none();
        let rows = settle(answer)?;
        Ok(rows.into_iter().map(row_to_cells).collect())
    }

    /// Opens a read-only transaction whose statements all see one snapshot.
    pub(super) async fn begin_snapshot(&mut self) -> Result<(), ControlError> {
        self.in_snapshot = true;
        // Holds for the next transaction only; READ COMMITTED gives each statement a snapshot of its own.
        self.command("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ").await?;
        self.command("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY").await
    }

    pub(super) async fn end_snapshot(&mut self) -> Result<(), ControlError> {
        self.command("COMMIT").await?;
        self.in_snapshot = false;
        Ok(())
    }

    /// Runs a statement that returns nothing and takes no parameters.
    async fn command(&mut self, sql: &str) -> Result<(), ControlError> {
        settle(in_time(self.connection.query_drop(sql)).await)
    }

    /// Runs a statement over the text protocol (`SHOW ...`).
    pub(super) async fn query(&mut self, sql: &str) -> Result<Vec<Row>, ControlError> {
        let answer = in_time(self.connection.query::<mysql_async::Row, _>(sql)).await;
        let rows = settle(answer)?;
        Ok(rows.into_iter().map(row_to_cells).collect())
    }

    /// Runs a statement over the text protocol; its values as they came.
    async fn text(&mut self, sql: &str) -> Result<TextRows, ControlError> {
        let answer = in_time(self.connection.query::<mysql_async::Row, _>(sql)).await;
        self.timed_out |= answer.is_none();
        let bytes = |value| match value {
            Value::NULL => Ok(None),
            Value::Bytes(bytes) => Ok(Some(bytes)),
            _ => Err(ControlError::Rejected("a value of an unexpected type".to_owned())),
        };
        // tidy: allowed because the driver's `Row::unwrap` takes the values out; it is no Option's.
        let row = |row: mysql_async::Row| row.unwrap().into_iter().map(bytes).collect();
        settle(answer)?.into_iter().map(row).collect()
    }

    fn is_lost(&self) -> bool {
        self.connection.is_disconnected()
    }
}

/// `None`: no answer in time.
async fn in_time<T>(
    answer: impl Future<Output = mysql_async::Result<T>>,
) -> Option<mysql_async::Result<T>> {
    tokio::time::timeout(limits::CONTROL_STATEMENT_TIMEOUT, answer).await.ok()
}

fn settle<T>(answer: Option<mysql_async::Result<T>>) -> Result<T, ControlError> {
    match answer {
        Some(answer) => answer.map_err(classify),
        None => Err(ControlError::Transient(format!(
            "no answer within {} s",
            limits::CONTROL_STATEMENT_TIMEOUT.as_secs()
        ))),
    }
}

fn session_setup(reads: Reads) -> Vec<String> {
    vec![
        format!(
            "SET NAMES utf8mb4, time_zone = '+00:00', sql_mode = '', autocommit = 1, \
             lock_wait_timeout = {}",
            limits::CONTROL_LOCK_WAIT_SECONDS
        ),
        match reads {
            Reads::Committed => "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED".to_owned(),
            Reads::Uncommitted => {
                "SET SESSION TRANSACTION ISOLATION LEVEL READ UNCOMMITTED".to_owned()
            }
        },
    ]
}
