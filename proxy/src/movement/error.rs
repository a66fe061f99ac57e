//! Why work on whole tables ended before its end.
//! Never here: what is done about it.

use super::checkpoint::CheckpointError;
use crate::mirror::SurveyError;

#[derive(Debug, thiserror::Error)]
pub enum MovementError {
    #[error(transparent)]
    Survey(#[from] SurveyError),
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// Somebody asked for it. What was done so far is in the checkpoint.
    #[error("interrupted")]
    Interrupted,
}
