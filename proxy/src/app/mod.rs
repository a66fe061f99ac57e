//! Composition root: builds every part from checked settings and owns every task.
//! Never here: how a part does its work.

mod build;
mod fault;
mod operations;
pub mod preflight;
mod reload;
mod stop;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use segue_config::{Settings, limits};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use build::{
    control_pool, load_settings, mapped_tables, ruleset, store, token_path, wanted_tables,
};
pub use fault::{Fault, FaultKind, StartError, finding_line};
pub use stop::StopReport;

use crate::console::{self, Console, Token};
use crate::control::{Live, PhaseControl};
use crate::dynamo::Store;
use crate::execute::ledger::Ledger;
use crate::journal::{Journal, Recovery};
use crate::mirror::{MirrorFaults, MirrorParts};
use crate::movement::Sweeper;
use crate::mysql::control::Control;
use crate::session::{self, SessionShared};
use crate::telemetry::{Digests, Metrics};
use operations::SidecarOperations;
use reload::Reloader;

/// A sidecar at work in this process.
pub struct Running {
    /// Where applications connect.
    pub mysql_addr: SocketAddr,
    /// Where the HTTP API listens.
    pub admin_addr: SocketAddr,
    pub token: Token,
    pub metrics: Arc<Metrics>,
    pub live: Arc<Live>,
    parts: stop::Parts,
}

/// What no settings file can ask for.
#[derive(Clone, Copy, Debug, Default)]
pub struct AppOptions {
    /// For tests that show that they would notice a broken sidecar.
    pub mirror_faults: MirrorFaults,
}

/// The two sockets, bound before anything else: a port in use is found at once.
struct Sockets {
    mysql: (TcpListener, SocketAddr),
    admin: (TcpListener, SocketAddr),
}

/// What is connected before the first task starts.
struct Connected {
    control: Control,
    store: Store,
    journal: Journal,
    recovery: Recovery,
    live: Arc<Live>,
    metrics: Arc<Metrics>,
}

/// Starts a sidecar. Returns once it serves; every fault of the start is one [`StartError`].
pub async fn start(settings: Settings) -> Result<Running, StartError> {
    start_with(settings, AppOptions::default()).await
}

/// As [`start`], perhaps broken on purpose.
pub async fn start_with(settings: Settings, options: AppOptions) -> Result<Running, StartError> {
    let tls = session::tls::acceptor(&settings.tls)?;
    let sockets = Sockets {
        mysql: build::listen(settings.listen.mysql, "[listen] mysql").await?,
        admin: build::listen(settings.listen.admin, "[listen] admin").await?,
    };
    let connected = connect(&settings, options).await?;
    let token = build::token(&settings)?;
    let settings = Arc::new(settings);
    let (mysql_addr, admin_addr) = (sockets.mysql.1, sockets.admin.1);
    let (metrics, live) = (connected.metrics.clone(), connected.live.clone());
    let parts = run(settings.clone(), options, sockets, connected, tls, token.clone()).await?;
    tracing::info!(
        mysql = %mysql_addr,
        admin = %admin_addr,
        upstream = settings.mysql.address,
        ruleset = live.current().ruleset.fingerprint,
        "segue serves"
    );
    Ok(Running { mysql_addr, admin_addr, token, metrics, live, parts })
}

/// Everything that can be wrong with the outside is found here, before any task runs.
async fn connect(settings: &Settings, options: AppOptions) -> Result<Connected, StartError> {
    let metrics = Arc::new(Metrics::new());
    let control = within("MySQL", build::control_pool_for(settings, options.mirror_faults)).await?;
    build::same_server(settings, &control).await?;
    let ruleset = build::ruleset(settings, &control).await?;
    build::grants(settings, &control, &ruleset).await?;
    let phases = build::phases(settings, &build::mapped_tables(&ruleset))?;
    for warning in &ruleset.warnings {
        tracing::warn!("contract: {}", finding_line(warning));
    }
    // The journal's lock comes first: it also keeps a second process from the built-in engine's file.
    let (journal, recovery) = build::journal(&settings.journal, &metrics).await?;
    let store = within("DynamoDB", build::store(settings, &metrics)).await?;
    build::tables(settings, &ruleset, &phases, &store).await?;
    let live = Arc::new(Live::new(Arc::new(ruleset), phases));
    Ok(Connected { control, store, journal, recovery, live, metrics })
}

/// Starts every task.
async fn run(
    settings: Arc<Settings>,
    options: AppOptions,
    sockets: Sockets,
    connected: Connected,
    tls: TlsAcceptor,
    token: Token,
) -> Result<stop::Parts, StartError> {
    let Connected { control, store, journal, recovery, live, metrics } = connected;
    let (tracker, ended) = (TaskTracker::new(), CancellationToken::new());
    let (stop_sessions, stop_rest) = (CancellationToken::new(), CancellationToken::new());
    let parts = MirrorParts {
        control: control.clone(),
        store: store.clone(),
        journal: journal.clone(),
        recovery,
        metrics: metrics.clone(),
        rulesets: build::rulesets(&live),
        served: build::served(&live),
        settings: build::mirror_settings(&settings),
        faults: options.mirror_faults,
    };
    let mirror = build::mirror(parts).await;
    // Sweeps that must not start before older transactions ended carry a barrier of their own.
    tracker.spawn(Sweeper::without_barrier(mirror.clone()).run());
    let phases =
        Arc::new(PhaseControl::new(live.clone(), settings.phases_path.clone(), metrics.clone()));
    let operations = Arc::new(SidecarOperations {
        live: live.clone(),
        mirror: mirror.clone(),
        control: control.clone(),
        store: store.clone(),
        metrics: metrics.clone(),
    });
    let observed = settings.observe_statements.then(|| Arc::new(Digests::default()));
    let ledger: Arc<dyn Ledger> = Arc::new(mirror.clone());
    let sessions = build::session_parts(&settings, &live, ledger, &metrics, &observed, tls);
    let (shared, workers) = (Arc::new(SessionShared::new(sessions)), build::workers(&settings)?);
    let sessions =
        tokio::spawn(session::serve(sockets.mysql.0, workers, shared, stop_sessions.clone()));
    let console = Arc::new(Console {
        live: live.clone(),
        phases: phases.clone(),
        metrics: metrics.clone(),
        observed,
        operations: operations.clone(),
        token,
    });
    let failed = ended.clone();
    tracker.spawn(serve_console(sockets.admin.0, console, stop_rest.clone(), failed));
    let reloader =
        Reloader::new(settings, live.clone(), phases, control.clone(), store.clone(), operations)?;
    tracker.spawn(reloader.run(stop_rest.clone()));
    Ok(stop::Parts {
        sessions,
        tracker,
        ended,
        stop_sessions,
        stop_rest,
        mirror,
        journal,
        control,
        store,
        live,
    })
}

/// The sidecar does not go on without its HTTP side: `failed` tells.
async fn serve_console(
    listener: TcpListener,
    console: Arc<Console>,
    stop: CancellationToken,
    failed: CancellationToken,
) {
    if let Err(error) = console::serve(listener, console, stop).await {
        tracing::error!(%error, "the HTTP side ended");
        failed.cancel();
    }
}

/// Bounds the first answer of a store.
async fn within<T>(
    store: &str,
    answer: impl Future<Output = Result<T, Fault>>,
) -> Result<T, Fault> {
    let limit = Duration::from_secs(limits::START_ANSWER_SECONDS_MAX);
    tokio::time::timeout(limit, answer).await.unwrap_or_else(|_| {
        Err(Fault::new(
            FaultKind::Unreachable,
            format!("{store} gave no answer within {} s", limit.as_secs()),
            "",
            "check the address and the network",
        ))
    })
}

impl Running {
    /// Waits until a part ended that the sidecar cannot do without.
    pub async fn wait(&self) {
        self.parts.ended.cancelled().await;
    }

    /// Stops gracefully: lets statements finish, applies what is owed as far as time allows, closes the
    /// journal. What is then still owed is applied after the next start.
    pub async fn stop(self) -> StopReport {
        self.parts.stop().await
    }
}
