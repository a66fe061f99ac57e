//! Debts that could not be journaled: while there are any, the journal carries a mark, and whoever finds
//! it at a start sweeps everything.
//! Never here: writing the journal.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, Notify};

use super::parts::Shared;

/// Pause between two looks whether such debts are left.
const POLL: Duration = Duration::from_millis(500);

/// Whether the journal's mark is set, and how many debts are not in it and not yet in the books.
#[derive(Default)]
pub(crate) struct Gap {
    marked: Mutex<bool>,
    set: Notify,
    unwritten: Arc<AtomicUsize>,
}

impl Gap {
    /// Whether a debt is on its way without a record already.
    pub fn is_set(&self) -> bool {
        self.unwritten.load(Ordering::Relaxed) > 0 || self.marked.try_lock().is_ok_and(|m| *m)
    }
}

/// A debt on its way into the books without a record in the journal.
pub(crate) struct Unwritten(Arc<AtomicUsize>);

impl Drop for Unwritten {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Shared {
    /// Marks the journal, on disk when this returns. Hold what it returns until the debt is in the books.
    pub(crate) async fn mark_gap(&self) -> Unwritten {
        let mut marked = self.gap.marked.lock().await;
        self.gap.unwritten.fetch_add(1, Ordering::Relaxed);
        if !*marked {
            match self.journal.mark_gap().await {
                Ok(()) => *marked = true,
                Err(error) => {
                    tracing::error!(%error, "nor can that be noted; a crash now would lose owed keys");
                }
            }
        }
        self.gap.set.notify_one();
        Unwritten(self.gap.unwritten.clone())
    }

    /// The journal was opened with the mark of an earlier process; its sweeps are owed by now.
    pub(crate) async fn gap_found(&self) {
        *self.gap.marked.lock().await = true;
        self.gap.set.notify_one();
    }

    /// Takes the mark away if everything owed is in the journal. `false`: not yet.
    async fn mend_gap(&self) -> bool {
        let mut marked = self.gap.marked.lock().await;
        let unwritten = self.gap.unwritten.load(Ordering::Relaxed);
        if unwritten > 0 || self.state.lock().ledger.unjournaled() > 0 {
            return false;
        }
        if !*marked {
            return true;
        }
        match self.journal.mend_gap().await {
            Ok(()) => {
                *marked = false;
                tracing::info!("everything owed is in the journal again");
                true
            }
            Err(_) => false,
        }
    }
}

/// Takes marks away until the mirror stops.
pub(crate) async fn watch(shared: Arc<Shared>) {
    let stop = shared.stop.clone();
    let watching = async {
        loop {
            shared.gap.set.notified().await;
            while !shared.mend_gap().await {
                tokio::time::sleep(POLL).await;
            }
        }
    };
    let _ = stop.run_until_cancelled(watching).await;
}
