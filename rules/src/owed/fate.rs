//! What becomes of a journaled debt once the statement that committed it has ended, or was never heard of.
//! Never here: the debt itself.

/// What was heard of the commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// MySQL committed, or may have.
    Committed,
    /// MySQL certainly rolled back.
    RolledBack,
    /// Nothing: the connection broke or the process died. MySQL may commit even after that.
    None,
}

/// What to do with the debt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fate {
    /// Its record may go: nothing is owed.
    Forget,
    /// A refresh that begins now sees the commit.
    TakeUp,
    /// Only a refresh that begins later certainly sees the commit, and what late writes have done.
    Wait,
}

/// `session`: whether a connection of MySQL commits the debt, as opposed to a debt of Segue's own.
/// `late_writes`: whether writes made for it may still be on their way, unanswered.
pub fn fate(answer: Answer, session: bool, late_writes: bool) -> Fate {
    match answer {
        Answer::RolledBack => Fate::Forget,
        Answer::Committed => Fate::TakeUp,
        Answer::None if session || late_writes => Fate::Wait,
        Answer::None => Fate::TakeUp,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_certain_rollback_is_forgotten() {
        for session in [false, true] {
            assert_eq!(fate(Answer::RolledBack, session, false), Fate::Forget);
            assert_eq!(fate(Answer::Committed, session, false), Fate::TakeUp);
            assert_eq!(fate(Answer::None, session, true), Fate::Wait);
        }
        assert_eq!(fate(Answer::None, true, false), Fate::Wait);
        assert_eq!(fate(Answer::None, false, false), Fate::TakeUp);
    }
}
