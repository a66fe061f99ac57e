//! Ways to break the product on purpose, each of which the model must notice.
//! Never here: how the product works unbroken.

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Broken {
    Nothing,
    /// Writes carry no condition.
    NoTagCheck,
    /// A failed condition is answered by the same write under the tag found, without another read.
    NoReadAfterConflict,
    /// A created item is not checked against its row again.
    NoRereadAfterCreate,
    /// Tags count from one for each item instead of being unique.
    Counters,
    /// Tags learnt while a row is being read serve its write.
    TagLearntAfterRead,
    /// The debt is journaled when the commit has been answered.
    JournalAfterCommit,
    /// A live refresh that finds its item equal writes nothing.
    SkipWhenEqual,
    /// The journal record goes when the write is sent.
    SettledBeforeAcknowledged,
    /// A commit of unknown end is refreshed and settled at once.
    UncertainSettledEarly,
    /// A commit of unknown end counts as rolled back.
    UncertainForgotten,
    /// What is requested while a key's refresh runs is settled by that refresh.
    RequestServedByRunUnderWay,
    /// What is owed to a sweep under way is settled by it.
    SweepServesLatecomers,
    /// Sweeps do not look for items without their row.
    SweepWithoutStrays,
    /// Old item keys are not read before a commit.
    NoOldImage,
    /// Rows are read with changes that may yet be rolled back.
    ReadUncommitted,
    /// A put that was given up is not expected to arrive any more.
    LateWritesForgotten,
    /// Of the puts that were given up, only those on absence are expected.
    OnlyAbsenceComesLate,
    /// A refresh is done though a transaction may move its row that does not know of its item.
    NoRestForMovedItems,
}
