//! The limit of open files: raised as far as it goes, and compared with what the settings need.
//! Never here: opening them.

use rustix::process::{Resource, getrlimit, setrlimit};
use segue_config::{Settings, limits};

/// What the process may open and what it may come to need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Descriptors {
    /// `None`: unlimited.
    pub allowed: Option<u64>,
    pub needed: u64,
}

impl Descriptors {
    /// Two for each client, one a leg.
    fn new(allowed: Option<u64>, clients_max: usize) -> Self {
        Descriptors { allowed, needed: clients_max as u64 * 2 + limits::OWN_DESCRIPTORS }
    }

    /// The hard limit, to which a start raises the soft one.
    pub fn of(settings: &Settings) -> Self {
        Self::new(getrlimit(Resource::Nofile).maximum, settings.listen.clients_max)
    }

    pub fn are_enough(self) -> bool {
        self.allowed.is_none_or(|allowed| self.needed <= allowed)
    }

    /// What is wrong, and what to do.
    pub fn complaint(self) -> (String, String) {
        let allowed = self.allowed.unwrap_or(u64::MAX);
        let fits = allowed.saturating_sub(limits::OWN_DESCRIPTORS) / 2;
        (
            format!(
                "listen.max_connections may need {} open files, and the limit is {allowed}: about \
                 {fits} clients fit",
                self.needed
            ),
            format!(
                "raise the hard limit (LimitNOFILE, `ulimit -Hn`) to {}, or lower \
                 listen.max_connections",
                self.needed
            ),
        )
    }
}

/// Raises the soft limit to the hard one and reports what there is.
pub(super) fn raise(settings: &Settings) {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        limit.current = limit.maximum;
        if let Err(error) = setrlimit(Resource::Nofile, limit) {
            tracing::warn!(%error, "the limit of open files could not be raised");
        }
    }
    let descriptors =
        Descriptors::new(getrlimit(Resource::Nofile).current, settings.listen.clients_max);
    tracing::info!(allowed = descriptors.allowed, needed = descriptors.needed, "open files");
    if !descriptors.are_enough() {
        let (what, remedy) = descriptors.complaint();
        tracing::warn!(remedy, "{what}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_descriptors_a_client_and_those_of_the_process_must_fit() {
        let own = limits::OWN_DESCRIPTORS;
        assert!(Descriptors::new(Some(200 + own), 100).are_enough());
        assert!(Descriptors::new(None, 100).are_enough());
        let few = Descriptors::new(Some(199 + own), 100);
        assert!(!few.are_enough());
        assert!(few.complaint().0.contains("99 clients"), "{:?}", few.complaint());
    }
}
