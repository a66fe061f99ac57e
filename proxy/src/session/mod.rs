//! One client: greeting, login, then commands and their answers until either side ends.
//! Never here: what to do with a statement (see `execute`), or how items are kept in step.

mod authentication;
mod client;
mod drain;
pub mod entrance;
mod idle;
pub mod listener;
mod login;
mod pin;
pub mod tls;
mod workers;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use segue_config::limits;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::TaskTracker;

use crate::control::Live;
use crate::execute::Execution;
use crate::execute::failure::{SessionError, client_io};
use crate::execute::ledger::Ledger;
use crate::execute::planner::PlanCache;
use crate::mysql::upstream::Upstream;
use crate::telemetry::{Cut, Digests, Metrics};
use crate::wire::channel::Channel;
use crate::wire::frame::put_packet;
use crate::wire::response::ErrPacket;
use crate::wire::transport::Transport;
use client::Client;
pub use drain::Drain;
use entrance::Entrance;
use pin::Scopes;
pub use workers::Workers;

/// What clients are given; all of it settings.
#[derive(Clone, Copy, Debug)]
pub struct ClientLimits {
    /// Most of them at a time.
    pub clients_max: usize,
    pub login_timeout: Duration,
    /// `None`: for ever.
    pub idle_timeout: Option<Duration>,
}

/// What all sessions share.
pub struct SessionShared {
    scopes: Scopes,
    metrics: Arc<Metrics>,
    upstream: Upstream,
    entrance: Entrance,
    execution: Arc<Execution>,
    limits: ClientLimits,
    /// One for each client that may come.
    places: Arc<Semaphore>,
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
    pub entrance: Entrance,
    pub limits: ClientLimits,
}

impl SessionShared {
    pub fn new(parts: SessionParts) -> Self {
        let SessionParts { live, ledger, metrics, observed, upstream, entrance, limits } = parts;
        let scopes = Scopes::new(live, ledger.is_some());
        let plans = PlanCache::default();
        let execution = Arc::new(Execution { ledger, plans, metrics: metrics.clone(), observed });
        let places = Arc::new(Semaphore::new(limits.clients_max));
        SessionShared { scopes, metrics, upstream, entrance, execution, limits, places }
    }
}

/// Accepts clients until the drain begins; `workers` carry their `sessions`, one task each. Returns when
/// all have gone; the caller sets the deadline, and cuts off those that are left by dropping this.
pub async fn serve(
    listener: TcpListener,
    workers: Workers,
    shared: Arc<SessionShared>,
    sessions: TaskTracker,
    drain: Drain,
) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = drain.begun() => break,
        };
        match accepted {
            Ok((stream, _)) => {
                let Ok(place) = shared.places.clone().try_acquire_owned() else {
                    shared.refuse(&stream);
                    continue;
                };
                match stream.into_std() {
                    Ok(stream) => {
                        let session = session(stream, shared.clone(), drain.clone(), place);
                        workers.run(&sessions, session);
                    }
                    Err(error) => {
                        tracing::warn!(%error, "a client could not be handed to a worker");
                    }
                }
            }
            Err(error) => {
                // Out of file descriptors, most likely: wait for some sessions to end.
                tracing::warn!(%error, "cannot accept a client");
                tokio::time::sleep(Duration::from_millis(limits::ACCEPT_RETRY_MILLIS)).await;
            }
        }
    }
    drop(listener);
    sessions.close();
    sessions.wait().await;
}

impl SessionShared {
    /// Tells a client that there is no place for it, in the server's words.
    fn refuse(&self, stream: &TcpStream) {
        self.metrics.cut(Cut::TooMany);
        let error = ErrPacket::new(1040, b"08004", "Too many connections");
        let mut packet = Vec::new();
        put_packet(&mut packet, 0, &error.write_before_login());
        // The buffer of a fresh connection takes it. A client that has gone needs no word.
        let _: io::Result<usize> = stream.try_write(&packet);
    }
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

async fn session(
    stream: std::net::TcpStream,
    shared: Arc<SessionShared>,
    drain: Drain,
    _place: OwnedSemaphorePermit,
) {
    let _connected = Connected::new(&shared.metrics);
    match converse(stream, &shared, drain).await {
        Ok(()) => {}
        Err(SessionError::LoginTimeout) => shared.metrics.cut(Cut::LoginTimeout),
        Err(error @ SessionError::Upstream(_)) => {
            shared.metrics.upstream_failures.inc();
            tracing::warn!(%error, "a client could not be connected");
        }
        Err(error @ (SessionError::Login(_) | SessionError::ProxyHeader { .. })) => {
            tracing::warn!(%error, "a client could not be connected");
        }
        Err(error) => tracing::debug!(%error, "a session ended early"),
    }
}

async fn converse(
    stream: std::net::TcpStream,
    shared: &Arc<SessionShared>,
    drain: Drain,
) -> Result<(), SessionError> {
    let mut stream = TcpStream::from_std(stream).map_err(client_io)?;
    stream.set_nodelay(true).map_err(client_io)?;
    let addresses = shared.entrance.addresses(&mut stream).await?;
    let client = Channel::new(Transport::Plain(stream), limits::CLIENT_READ_AHEAD_BYTES);
    // Boxed: most sessions are long past it, and would carry its room along.
    let login = Box::pin(login::log_in(client, addresses, &shared.upstream, &shared.entrance));
    let logged_in = tokio::time::timeout(shared.limits.login_timeout, login)
        .await
        .map_err(|_| SessionError::LoginTimeout)??;
    match logged_in {
        Some(logged_in) => Client::new(logged_in, shared.clone()).serve(drain).await,
        None => Ok(()),
    }
}
