//! Watches files for change: events of their folders, and a slow look for where events do not come.
//! Never here: what is done with a changed file.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use segue_config::limits::{WATCH_POLL_SECONDS, WATCH_SETTLE_MS};
use tokio::sync::Notify;

use super::store_file::folder_of;

/// What tells two states of a file apart; `None` where the file is absent.
type Stamp = Option<(u64, Option<SystemTime>)>;

/// Watched files. Folders are watched, because editors replace files.
pub struct FileWatch {
    files: Vec<(PathBuf, Stamp)>,
    event: Arc<Notify>,
    /// Kept alive; `None` where the system refused, then only the slow look works.
    _watcher: Option<RecommendedWatcher>,
}

impl FileWatch {
    /// Starts watching; the present state of the files counts as known.
    pub fn new(paths: &[&Path]) -> FileWatch {
        let event = Arc::new(Notify::new());
        let files = paths.iter().map(|path| (path.to_path_buf(), stamp(path))).collect();
        let watcher = match folder_watcher(paths, event.clone()) {
            Ok(watcher) => Some(watcher),
            Err(error) => {
                tracing::warn!(%error, "files are not watched by events, only every few seconds");
                None
            }
        };
        FileWatch { files, event, _watcher: watcher }
    }

    /// Waits until at least one file differs from when it was last reported; returns those.
    pub async fn changed(&mut self) -> Vec<PathBuf> {
        loop {
            let poll = tokio::time::sleep(Duration::from_secs(WATCH_POLL_SECONDS));
            tokio::select! {
                () = self.event.notified() => {
                    tokio::time::sleep(Duration::from_millis(WATCH_SETTLE_MS)).await;
                }
                () = poll => {}
            }
            let mut changed = Vec::new();
            for (path, known) in &mut self.files {
                let now = stamp(path);
                if now != *known {
                    *known = now;
                    changed.push(path.clone());
                }
            }
            if !changed.is_empty() {
                return changed;
            }
        }
    }
}

fn folder_watcher(paths: &[&Path], event: Arc<Notify>) -> notify::Result<RecommendedWatcher> {
    let mut watcher = notify::recommended_watcher(move |_| event.notify_one())?;
    let folders: BTreeSet<PathBuf> = paths.iter().map(|path| folder_of(path)).collect();
    for folder in folders {
        watcher.watch(&folder, RecursiveMode::NonRecursive)?;
    }
    Ok(watcher)
}

fn stamp(path: &Path) -> Stamp {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.len(), metadata.modified().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::write_atomically;

    #[tokio::test]
    async fn replaced_and_vanished_files_are_reported_once() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("phases.toml");
        write_atomically(&path, "a").expect("written");
        let mut watch = FileWatch::new(&[&path]);
        write_atomically(&path, "ab").expect("written");
        let wait = Duration::from_secs(WATCH_POLL_SECONDS * 2);
        let changed = tokio::time::timeout(wait, watch.changed()).await.expect("reported");
        assert_eq!(changed, vec![path.clone()]);
        std::fs::remove_file(&path).expect("removed");
        let changed = tokio::time::timeout(wait, watch.changed()).await.expect("reported");
        assert_eq!(changed, vec![path.clone()]);
        let again = tokio::time::timeout(Duration::from_millis(300), watch.changed()).await;
        assert!(again.is_err());
    }
}
