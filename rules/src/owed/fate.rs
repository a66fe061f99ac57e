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
    /// Only a refresh that begins after the connection's end certainly sees the commit.
    Wait,
}

/// `session`: whether a connection of MySQL commits the debt, as opposed to a debt of Segue's own.
pub fn fate(answer: Answer, session: bool) -> Fate {
    match answer {
        Answer::RolledBack => Fate::Forget,
        Answer::Committed => Fate::TakeUp,
        Answer::None if session => Fate::Wait,
        Answer::None => Fate::TakeUp,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_certain_rollback_is_forgotten() {
        for session in [false, true] {
            assert_eq!(fate(Answer::RolledBack, session), Fate::Forget);
            assert_eq!(fate(Answer::Committed, session), Fate::TakeUp);
            assert_ne!(fate(Answer::None, session), Fate::Forget);
        }
        assert_eq!(fate(Answer::None, true), Fate::Wait);
    }
}
