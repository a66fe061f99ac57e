//! Reads that are tried again while what keeps them from working may pass.
//! Never here: what is read.

use std::time::Duration;

use segue_config::limits::{SURVEY_ATTEMPTS_MAX, SURVEY_RETRY_MAX, SURVEY_RETRY_MIN};

use crate::mirror::SurveyError;

/// Repeats a read until it works, is refused for good, or has failed too often. A deadlock or a lost connection
/// is no end of a table.
pub(super) async fn persist<T, R>(read: impl FnMut() -> R) -> Result<T, SurveyError>
where
    R: Future<Output = Result<T, SurveyError>>,
{
    persist_from(SURVEY_RETRY_MIN, read).await
}

async fn persist_from<T, R>(
    mut wait: Duration,
    mut read: impl FnMut() -> R,
) -> Result<T, SurveyError>
where
    R: Future<Output = Result<T, SurveyError>>,
{
    for _ in 1..SURVEY_ATTEMPTS_MAX {
        match read().await {
            Err(error) if error.passing => {
                tracing::warn!(%error, "a read is tried again");
                tokio::time::sleep(wait).await;
                wait = Duration::min(wait * 2, SURVEY_RETRY_MAX);
            }
            answer => return answer,
        }
    }
    read().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_may_pass_is_tried_again_and_what_may_not_is_not() {
        // Tries that fail, with errors that may pass or not; how many there were.
        let tries = async |failing: u32, passing| {
            let mut tries = 0;
            let answer = persist_from(Duration::from_micros(1), || {
                tries += 1;
                std::future::ready(match tries > failing {
                    true => Ok(()),
                    false => Err(SurveyError { reason: "no".into(), passing }),
                })
            });
            let worked = answer.await.is_ok();
            (worked, tries)
        };
        assert_eq!(tries(2, true).await, (true, 3));
        assert_eq!(tries(2, false).await, (false, 1));
        assert_eq!(tries(u32::MAX, true).await, (false, SURVEY_ATTEMPTS_MAX));
    }
}
