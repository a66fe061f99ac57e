//! Goes through whole tables: owed sweeps, one at a time, behind live refreshes; backfill, comparisons, repairs.
//! Never here: spawning tasks, reading the stores directly, deciding that a sweep is owed.

mod backfill;
mod checkpoint;
mod error;
mod flight;
mod persist;
mod progress;
mod repair;
mod sweep;
mod throttle;
mod validator;
mod verify;

use std::pin::Pin;
use std::sync::Arc;

pub use backfill::{Backfill, BackfillOptions, BackfillReport, Copied, ParkedRow};
pub use checkpoint::{Checkpoint, CheckpointError};
pub use error::MovementError;
pub use progress::{Part, Progress};
pub use repair::{Repair, RepairCounts};
pub use validator::{Validation, Validator};
pub use verify::{
    Class, Difference, NamedDifference, Tally, Verifier, VerifyOptions, VerifyReport,
};

use crate::mirror::Mirror;

/// A wait that a sweep does before it starts.
pub type Barrier = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Carries out the sweeps that a mirror owes.
pub struct Sweeper {
    mirror: Mirror,
    start_barrier: Arc<dyn Fn() -> Barrier + Send + Sync>,
}

impl Sweeper {
    /// `start_barrier` is awaited before each sweep: it ends when no transaction is left that began
    /// under other phases or another contract than the live ones.
    pub fn new(mirror: Mirror, start_barrier: Arc<dyn Fn() -> Barrier + Send + Sync>) -> Sweeper {
        Sweeper { mirror, start_barrier }
    }

    /// A sweeper whose sweeps start at once.
    pub fn without_barrier(mirror: Mirror) -> Sweeper {
        Sweeper::new(mirror, Arc::new(|| Box::pin(std::future::ready(()))))
    }

    /// Runs until the mirror stops. Dropped in the middle of a sweep, that sweep stays owed.
    pub async fn run(self) {
        while let Some(ticket) = self.mirror.next_sweep().await {
            (self.start_barrier)().await;
            if let Some(reason) = sweep::frozen(&self.mirror, &ticket.table) {
                ticket.held(reason);
                continue;
            }
            tracing::info!(table = %ticket.table, reason = %ticket.reason, "a sweep starts");
            match sweep::sweep(&self.mirror, &ticket).await {
                Ok(()) => {
                    tracing::info!(table = %ticket.table, "a sweep is done");
                    ticket.done();
                }
                Err(error) => {
                    tracing::warn!(table = %ticket.table, %error, "a sweep failed and starts anew");
                    ticket.failed(error.to_string());
                }
            }
        }
    }
}
