//! Composition root: builds every part from checked settings and owns every task.
//! Never here: how a part does its work.

mod build;
mod descriptors;
mod fault;
mod handover;
mod movement;
mod operations;
pub mod preflight;
mod reload;
mod sockets;
mod stop;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use segue_config::settings::Endpoint;
use segue_config::{Settings, limits};
use segue_rules::entity::Ruleset;
use segue_rules::phase::PhaseMap;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use build::{
    control_pool, load_settings, mapped_tables, ruleset, store, token_path, wanted_tables,
};
pub use fault::{Fault, FaultKind, StartError, finding_line};
pub use movement::{Mover, Stores, movement_fault};
pub use stop::StopReport;

use crate::console::{self, Console, Token};
use crate::control::{Live, PhaseControl};
use crate::dynamo::{Faults, Store};
use crate::execute::ledger::Ledger;
use crate::journal::{Journal, Recovery};
use crate::mirror::{Mirror, MirrorFaults, MirrorParts};
use crate::movement::{Sweeper, Validation, Validator};
use crate::mysql::control::Control;
use crate::session::{self, Drain, SessionShared};
use crate::telemetry::{Digests, Metrics};
use handover::{Giver, Predecessor, Successor};
use operations::SidecarOperations;
use reload::Reloader;
use sockets::{Given, Sockets};

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
    /// Take over from a process that serves with the same journal, if there is one.
    pub take_over: bool,
}

/// Why a sidecar ends without being told to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Another process serves from now on.
    TakenOver,
    /// A part ended that it cannot do without.
    Failed,
}

/// What is connected before the first task starts.
struct Connected {
    control: Control,
    store: Store,
    journal: Journal,
    recovery: Recovery,
    faults: Option<Faults>,
    live: Arc<Live>,
    metrics: Arc<Metrics>,
}

/// Starts a sidecar. Returns once it serves; every fault of the start is one [`StartError`].
pub async fn start(settings: Settings) -> Result<Running, StartError> {
    start_with(settings, AppOptions::default()).await
}

/// As [`start`], perhaps broken on purpose.
pub async fn start_with(settings: Settings, options: AppOptions) -> Result<Running, StartError> {
    let legs = build::legs(&settings)?;
    descriptors::raise(&settings);
    let given = if options.take_over { take_over(&settings, options).await? } else { None };
    let sockets = Sockets::of(&settings, given.unwrap_or_else(Given::by_systemd))?;
    let address = |listener: &TcpListener| listener.local_addr().map_err(sockets::unusable);
    let (mysql_addr, admin_addr) = (address(&sockets.mysql)?, address(&sockets.admin)?);
    let connected = connect(&settings, options).await?;
    let token = build::token(&settings)?;
    let settings = Arc::new(settings);
    let (metrics, live) = (connected.metrics.clone(), connected.live.clone());
    let parts = run(settings.clone(), options, sockets, connected, legs, token.clone()).await?;
    tracing::info!(
        mysql = %mysql_addr,
        admin = %admin_addr,
        upstream = settings.mysql.address,
        ruleset = live.current().ruleset.fingerprint,
        "segue serves"
    );
    Ok(Running { mysql_addr, admin_addr, token, metrics, live, parts })
}

/// Takes the sockets of the process that serves now, once it is sure that this one can follow, and waits
/// for its end. `None`: there is no such process.
async fn take_over(settings: &Settings, options: AppOptions) -> Result<Option<Given>, StartError> {
    let journal = &settings.journal.path;
    if !handover::is_possible(journal).await {
        return Ok(None);
    }
    rehearse(settings, options).await?;
    let (predecessor, given) = Predecessor::take(journal).await?;
    tracing::info!("has the sockets; waits for the other process to end");
    predecessor.gone(settings.shutdown.drain).await?;
    Ok(Some(given))
}

/// Everything that a start does before it needs the journal, so that a process that could not start
/// leaves the one that serves alone.
async fn rehearse(settings: &Settings, options: AppOptions) -> Result<(), StartError> {
    let (control, ruleset, phases) = mapping(settings, options).await?;
    control.close().await;
    // The built-in engine's file belongs to the other process still.
    if !matches!(settings.dynamodb.endpoint, Endpoint::Embedded { .. }) {
        let metrics = Arc::new(Metrics::new());
        let store = within("DynamoDB", build::store(settings, &metrics)).await?;
        build::tables(settings, &ruleset, &phases, &store).await?;
        store.close().await;
    }
    Ok(())
}

/// The control account's pool, and the contract and phases as they fit the server.
async fn mapping(
    settings: &Settings,
    options: AppOptions,
) -> Result<(Control, Ruleset, PhaseMap), StartError> {
    let control = within("MySQL", build::control_pool_for(settings, options.mirror_faults)).await?;
    build::same_server(settings, &control).await?;
    let ruleset = build::ruleset(settings, &control).await?;
    build::grants(settings, &control, &ruleset).await?;
    let phases = build::phases(settings, &build::mapped_tables(&ruleset))?;
    Ok((control, ruleset, phases))
}

/// Everything that can be wrong with the outside is found here, before any task runs.
async fn connect(settings: &Settings, options: AppOptions) -> Result<Connected, StartError> {
    let metrics = Arc::new(Metrics::new());
    let (control, ruleset, phases) = mapping(settings, options).await?;
    for warning in &ruleset.warnings {
        tracing::warn!("contract: {}", finding_line(warning));
    }
    // The journal's lock comes first: it also keeps a second process from the built-in engine's file.
    let (journal, recovery) = build::journal(&settings.journal, &metrics).await?;
    let faults = build::faults(settings, &metrics)?;
    let store = build::store_with(settings, &metrics, faults.as_ref());
    let store = within("DynamoDB", store).await?;
    build::tables(settings, &ruleset, &phases, &store).await?;
    let live = Arc::new(Live::new(Arc::new(ruleset), phases));
    Ok(Connected { control, store, journal, recovery, faults, live, metrics })
}

/// Starts every task.
async fn run(
    settings: Arc<Settings>,
    options: AppOptions,
    sockets: Sockets,
    connected: Connected,
    legs: build::Legs,
    token: Token,
) -> Result<stop::Parts, StartError> {
    let Connected { control, store, journal, recovery, faults, live, metrics } = connected;
    let (tracker, ended) = (TaskTracker::new(), CancellationToken::new());
    let (drain, stop_rest) = (Drain::new(settings.shutdown.idle), CancellationToken::new());
    let listeners = sockets.listen()?;
    let taken_over = CancellationToken::new();
    let successor = offer(&settings, &sockets, &tracker, &drain, &taken_over);
    drop(sockets);
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
    let validation = validate(&settings, &mirror, &metrics, &tracker, &stop_rest);
    let operations = operations_on(&live, &mirror, &control, &store, faults, validation, &metrics);
    let observed = settings.observe_statements.then(|| Arc::new(Digests::default()));
    let ledger: Arc<dyn Ledger> = Arc::new(mirror.clone());
    let sessions = build::session_parts(&settings, &live, ledger, &metrics, &observed, legs);
    let (shared, workers) = (Arc::new(SessionShared::new(sessions)), build::workers(&settings)?);
    let clients = TaskTracker::new();
    let serve = session::serve(listeners.mysql, workers, shared, clients.clone(), drain.clone());
    let sessions = tokio::spawn(serve);
    let console = Arc::new(Console {
        live: live.clone(),
        phases: phases.clone(),
        metrics: metrics.clone(),
        observed,
        operations: operations.clone(),
        token,
    });
    let failed = ended.clone();
    tracker.spawn(serve_console(listeners.admin, console, stop_rest.clone(), failed));
    let drain_for = settings.shutdown.drain;
    let reloader =
        Reloader::new(settings, live.clone(), phases, control.clone(), store.clone(), operations)?;
    tracker.spawn(reloader.run(stop_rest.clone()));
    Ok(stop::Parts {
        sessions,
        clients,
        tracker,
        ended,
        taken_over,
        successor,
        drain,
        drain_for,
        stop_rest,
        mirror,
        journal,
        control,
        store,
    })
}

/// What the HTTP side and reloads work on.
fn operations_on(
    live: &Arc<Live>,
    mirror: &Mirror,
    control: &Control,
    store: &Store,
    faults: Option<Faults>,
    validation: Arc<Mutex<Validation>>,
    metrics: &Arc<Metrics>,
) -> Arc<SidecarOperations> {
    Arc::new(SidecarOperations {
        live: live.clone(),
        mirror: mirror.clone(),
        control: control.clone(),
        store: store.clone(),
        faults,
        validation,
        metrics: metrics.clone(),
    })
}

/// Starts the second look at applied keys, where it is asked for; its results grow in what this returns.
fn validate(
    settings: &Settings,
    mirror: &Mirror,
    metrics: &Arc<Metrics>,
    tracker: &TaskTracker,
    stop: &CancellationToken,
) -> Arc<Mutex<Validation>> {
    let validator = Validator::new(mirror.clone(), settings.validation.after, metrics.clone());
    let found = validator.found();
    if settings.validation.keys_per_second > 0 {
        tracker.spawn(validator.run(stop.clone()));
    }
    found
}

/// Offers the sockets to a successor until a stop begins.
fn offer(
    settings: &Settings,
    sockets: &Sockets,
    tracker: &TaskTracker,
    drain: &Drain,
    taken_over: &CancellationToken,
) -> Successor {
    let (held, successor) = oneshot::channel();
    match Giver::new(&settings.journal.path, [&sockets.mysql, &sockets.admin]) {
        Ok(giver) => {
            let (drain, taken_over) = (drain.clone(), taken_over.clone());
            tracker.spawn(async move {
                tokio::select! {
                    () = giver.give(held) => taken_over.cancel(),
                    () = drain.begun() => {}
                }
            });
        }
        Err(error) => tracing::warn!(%error, "no other process will be able to take over"),
    }
    successor
}

/// The sidecar does not go on without its HTTP side: `failed` tells.
async fn serve_console(
    listener: tokio::net::TcpListener,
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
    /// Waits until the sidecar has to end.
    pub async fn wait(&self) -> Ended {
        tokio::select! {
            () = self.parts.taken_over.cancelled() => Ended::TakenOver,
            () = self.parts.ended.cancelled() => Ended::Failed,
        }
    }

    /// Stops gracefully: lets statements finish, applies what is owed as far as time allows, closes the
    /// journal. What is then still owed is applied after the next start.
    pub async fn stop(self) -> StopReport {
        self.parts.stop().await
    }
}
