//! Where long work stands, kept in a file so that it can go on after an end of any kind.
//! Never here: what is kept.

use std::io::Write;
use std::path::{Path, PathBuf};

use segue_config::limits::CHECKPOINT_EVERY;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

/// A file that holds the state of one piece of work.
#[derive(Debug)]
pub struct Checkpoint {
    path: PathBuf,
    saved: Instant,
}

#[derive(Debug, thiserror::Error)]
#[error("{}: {error}", path.display())]
pub struct CheckpointError {
    pub path: PathBuf,
    #[source]
    error: std::io::Error,
}

impl Checkpoint {
    /// `name`: of the kind of work; the file is made in the folder when there is something to keep.
    pub fn new(folder: &Path, name: &str) -> Checkpoint {
        Checkpoint { path: folder.join(format!("{name}.json")), saved: Instant::now() }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is kept; `None`: nothing, or nothing that can be read.
    pub fn load<S: DeserializeOwned>(&self) -> Result<Option<S>, CheckpointError> {
        let bytes = match std::fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.error(error)),
        };
        let state = serde_json::from_slice(&bytes);
        if let Err(error) = &state {
            let path = self.path.display();
            tracing::warn!(%path, %error, "a checkpoint cannot be read; the work begins anew");
        }
        Ok(state.ok())
    }

    /// Whether the last save is so long ago that the work since then is worth another.
    pub fn is_due(&self) -> bool {
        self.saved.elapsed() >= CHECKPOINT_EVERY
    }

    /// Replaces what is kept, as a whole.
    pub fn save(&mut self, state: &impl Serialize) -> Result<(), CheckpointError> {
        self.saved = Instant::now();
        self.replace(state).map_err(|error| self.error(error))
    }

    fn replace(&self, state: &impl Serialize) -> std::io::Result<()> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder)?;
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        serde_json::to_writer(std::io::BufWriter::new(&mut file), state)?;
        file.flush()?;
        file.as_file().sync_all()?;
        file.persist(&self.path)?;
        Ok(())
    }

    /// The work is done.
    pub fn remove(self) -> Result<(), CheckpointError> {
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(self.error(error)),
            _ => Ok(()),
        }
    }

    fn error(&self, error: std::io::Error) -> CheckpointError {
        CheckpointError { path: self.path.clone(), error }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_is_kept_until_the_work_is_done() {
        let folder = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let open = || Checkpoint::new(&folder.path().join("new"), "work");
            assert_eq!(open().load::<Vec<u32>>().unwrap(), None);
            open().save(&vec![1, 2]).unwrap();
            assert_eq!(open().load().unwrap(), Some(vec![1, 2]));
            open().save(&"other").unwrap();
            assert_eq!(open().load::<Vec<u32>>().unwrap(), None);
            open().remove().unwrap();
            open().remove().unwrap();
            assert_eq!(open().load::<String>().unwrap(), None);
        });
    }
}
