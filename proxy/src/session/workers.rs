//! The threads that carry sessions. Each runs a runtime of its own: a session stays on one thread from
//! its first byte to its last, so nothing on a statement's path is stolen or woken across cores.
//! Never here: what a session does.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::runtime::{Builder, Handle};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

/// Ends its threads when it is dropped, and with them the sessions that are left.
pub struct Workers {
    workers: Vec<Worker>,
    _stop: DropGuard,
}

struct Worker {
    runtime: Handle,
    sessions: Arc<AtomicUsize>,
}

/// A session's place on a worker.
struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Workers {
    /// Starts `count` threads, at least one.
    pub fn start(count: usize) -> io::Result<Workers> {
        let stop = CancellationToken::new();
        let workers = (0..count.max(1)).map(|number| Worker::start(number, stop.clone()));
        let workers = workers.collect::<io::Result<Vec<Worker>>>()?;
        Ok(Workers { workers, _stop: stop.drop_guard() })
    }

    /// Runs a session on the thread that carries the fewest.
    pub fn run(&self, tracker: &TaskTracker, session: impl Future<Output = ()> + Send + 'static) {
        let worker = self.lightest();
        worker.sessions.fetch_add(1, Ordering::Relaxed);
        let place = Place(worker.sessions.clone());
        let placed = async move {
            let _place = place;
            session.await;
        };
        tracker.spawn_on(placed, &worker.runtime);
    }

    fn lightest(&self) -> &Worker {
        let lightest = self.workers.iter().min_by_key(|w| w.sessions.load(Ordering::Relaxed));
        lightest.expect("there is at least one worker")
    }
}

impl Worker {
    fn start(number: usize, stop: CancellationToken) -> io::Result<Worker> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        std::thread::Builder::new()
            .name(format!("relay-{number}"))
            .spawn(move || runtime.block_on(stop.cancelled()))?;
        Ok(Worker { runtime: handle, sessions: Arc::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn sessions_are_spread_evenly_and_give_their_place_back() {
        let workers = Workers::start(2).unwrap();
        let (tracker, go) = (TaskTracker::new(), CancellationToken::new());
        for _ in 0..6 {
            let go = go.clone();
            workers.run(&tracker, async move { go.cancelled().await });
        }
        let carried = || -> Vec<usize> {
            workers.workers.iter().map(|w| w.sessions.load(Ordering::Relaxed)).collect()
        };
        assert_eq!(carried(), [3, 3]);
        go.cancel();
        tracker.close();
        tracker.wait().await;
        assert_eq!(carried(), [0, 0]);
    }
}
