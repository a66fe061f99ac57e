//! One client: greeting, login, then commands and their answers until either side ends.
//! Never here: what to do with a statement (see `execute`), or how items are kept in step.

mod authentication;
mod client;
mod login;
mod pin;
pub mod tls;
mod workers;

use std::sync::Arc;
use std::time::Duration;

use segue_config::limits;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::control::Live;
use crate::execute::Execution;
use crate::execute::failure::{SessionError, client_io};
use crate::execute::ledger::Ledger;
use crate::execute::planner::PlanCache;
use crate::mysql::upstream::Upstream;
use crate::telemetry::{Digests, Metrics};
use crate::wire::channel::Channel;
use crate::wire::transport::Transport;
use client::Client;
use pin::Scopes;
pub use workers::Workers;

/// What all sessions share.
pub struct SessionShared {
    scopes: Scopes,
    metrics: Arc<Metrics>,
    upstream: Upstream,
    tls: TlsAcceptor,
    execution: Arc<Execution>,
}

/// What sessions are built from.
pub struct SessionParts {
    pub live: Arc<Live>,
    /// Where dirty entries go, normally the mirror; `None` relays everything unseen.
    pub ledger: Option<Arc<dyn Ledger>>,
    pub metrics: Arc<Metrics>,
    /// Where statements are counted by digest; `None`: they are not.
    pub observed: Option<Arc<Digests>>,
    pub upstream: Upstream,
    pub tls: TlsAcceptor,
}

impl SessionShared {
    pub fn new(parts: SessionParts) -> Self {
        let SessionParts { live, ledger, metrics, observed, upstream, tls } = parts;
        let scopes = Scopes::new(live, ledger.is_some());
        let plans = PlanCache::default();
        let execution = Execution { ledger, plans, metrics: metrics.clone(), observed };
        SessionShared { scopes, metrics, upstream, tls, execution: Arc::new(execution) }
    }
}

/// Accepts clients until `stop`; `workers` carry their sessions, one task each. After `stop` idle clients are let go at once, others
/// when their transaction ends; returns when all have gone (the caller sets the deadline).
pub async fn serve(
    listener: TcpListener,
    workers: Workers,
    shared: Arc<SessionShared>,
    stop: CancellationToken,
) {
    let tracker = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok((stream, _)) => match stream.into_std() {
                Ok(stream) => workers.run(&tracker, session(stream, shared.clone(), stop.clone())),
                Err(error) => tracing::warn!(%error, "a client could not be handed to a worker"),
            },
            Err(error) => {
                // Out of file descriptors, most likely: wait for some sessions to end.
                tracing::warn!(%error, "cannot accept a client");
                tokio::time::sleep(Duration::from_millis(limits::ACCEPT_RETRY_MILLIS)).await;
            }
        }
    }
    drop(listener);
    tracker.close();
    tracker.wait().await;
}

/// Counts a client while it is connected.
struct Connected<'a>(&'a Metrics);

impl<'a> Connected<'a> {
    fn new(metrics: &'a Metrics) -> Self {
        metrics.connections.inc();
        metrics.connections_total.inc();
        Connected(metrics)
    }
}

impl Drop for Connected<'_> {
    fn drop(&mut self) {
        self.0.connections.dec();
    }
}

async fn session(stream: std::net::TcpStream, shared: Arc<SessionShared>, stop: CancellationToken) {
    let _connected = Connected::new(&shared.metrics);
    match converse(stream, &shared, stop).await {
        Ok(()) => {}
        Err(error @ SessionError::Upstream(_)) => {
            shared.metrics.upstream_failures.inc();
            tracing::warn!(%error, "a client could not be connected");
        }
        Err(error) => tracing::debug!(%error, "a session ended early"),
    }
}

async fn converse(
    stream: std::net::TcpStream,
    shared: &Arc<SessionShared>,
    stop: CancellationToken,
) -> Result<(), SessionError> {
    let stream = TcpStream::from_std(stream).map_err(client_io)?;
    stream.set_nodelay(true).map_err(client_io)?;
    let client = Channel::new(Transport::Plain(stream), limits::CLIENT_READ_AHEAD_BYTES);
    let limit = Duration::from_secs(limits::LOGIN_SECONDS_MAX);
    let logged_in =
        tokio::time::timeout(limit, login::log_in(client, &shared.upstream, &shared.tls))
            .await
            .map_err(|_| SessionError::LoginTimeout)??;
    match logged_in {
        Some(logged_in) => Client::new(logged_in, shared.clone()).serve(stop).await,
        None => Ok(()),
    }
}
