//! Built programs, scratch folders, and keepers moved off the runtime's threads.
//! Never here: what a program is for.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use parking_lot::Mutex;
use xtask::keeper::Keeper;

/// A child process whose commands block a thread for as long as the child takes.
#[derive(Clone)]
pub(super) struct Kept(Arc<Mutex<Keeper>>);

impl Kept {
    pub fn new(keeper: Keeper) -> Self {
        Kept(Arc::new(Mutex::new(keeper)))
    }

    /// Runs `work` on the keeper on a thread that may block.
    pub async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Keeper) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let keeper = Arc::clone(&self.0);
        tokio::task::spawn_blocking(move || work(&mut keeper.lock())).await.context("join")?
    }

    pub fn pid(&self) -> Option<u32> {
        self.0.lock().pid()
    }

    /// Whether the child still runs (a killed one that nobody waited for does not).
    pub fn is_alive(&self) -> bool {
        let Some(pid) = self.pid() else { return false };
        let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        !state.is_empty() && !state.contains(") Z ")
    }
}

/// A program of this workspace, beside the running test binary.
pub fn program(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe().context("find the running program")?;
    let found = own.ancestors().skip(1).take(2).map(|folder| folder.join(name));
    for path in found {
        if path.is_file() {
            return Ok(path);
        }
    }
    bail!("`{name}` is not built: run `cargo build --workspace --bins` (`cargo xtask test` does)")
}

/// A new folder for one process of one test, under `target/segue-test`.
pub fn scratch(name: &str) -> Result<PathBuf> {
    static SERIAL: AtomicU32 = AtomicU32::new(0);
    let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
    let folder = scratch_root().join(format!("{name}-{}-{serial}", std::process::id()));
    if folder.exists() {
        // A folder of an earlier process that had our number.
        std::fs::remove_dir_all(&folder).with_context(|| format!("remove {}", folder.display()))?;
    }
    std::fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    Ok(folder)
}

pub(super) fn scratch_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/segue-test")
}

/// How often a start is looked at.
const POLL: Duration = Duration::from_millis(20);

/// Waits until `ready` says so or the child is dead; `what` and the log go into the error.
pub(super) async fn wait_until<F>(
    what: &str,
    kept: &Kept,
    log: &Path,
    limit: Duration,
    mut ready: impl FnMut() -> F,
) -> Result<()>
where
    F: Future<Output = bool>,
{
    let begin = Instant::now();
    loop {
        if ready().await {
            return Ok(());
        }
        let alive = kept.is_alive();
        if !alive || begin.elapsed() > limit {
            let text = std::fs::read_to_string(log).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            let tail = lines[lines.len().saturating_sub(20)..].join("\n");
            let state = if alive { "is not ready" } else { "ended" };
            bail!("{what} {state} after {:?}; its log ends:\n{tail}", begin.elapsed());
        }
        tokio::time::sleep(POLL).await;
    }
}
