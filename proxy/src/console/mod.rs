//! The HTTP side for operators: metrics, health, phases, owed work, sweeps.
//! Never here: how an operation is done (see [`Operations`]), or when phases may change.

mod answer;
mod guard;
mod listener;
mod operations;
mod routes;
#[cfg(test)]
mod tests;
mod token;

use std::sync::Arc;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use operations::{FaultsAtWork, Health, Operations, Part};
pub use token::{Token, TokenError};

use crate::control::{Live, PhaseControl};
use crate::telemetry::{Digests, Metrics};

/// What the requests work on.
pub struct Console {
    pub live: Arc<Live>,
    pub phases: Arc<PhaseControl>,
    pub metrics: Arc<Metrics>,
    /// `None`: statements are not observed.
    pub observed: Option<Arc<Digests>>,
    pub operations: Arc<dyn Operations>,
    pub token: Token,
}

/// Answers requests until `stop`; running requests finish.
pub async fn serve(
    listener: TcpListener,
    console: Arc<Console>,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let exposure = guard::Exposure::of(listener.local_addr()?);
    let router = routes::router(console, exposure);
    axum::serve(listener::Limited::new(listener), router)
        .with_graceful_shutdown(stop.cancelled_owned())
        .await
}

/// Whether a request's body asks for a change of phase: for checks of what the API reads.
pub fn reads_phase_change(body: &[u8]) -> bool {
    routes::phase_change(body).is_ok()
}

/// Whether a request's body asks for sweeps: for checks of what the API reads.
pub fn reads_sweep(body: &[u8]) -> bool {
    routes::from_json::<routes::SweepRequest>(body).is_ok()
}
