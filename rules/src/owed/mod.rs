//! What is owed until DynamoDB has acknowledged it: when a debt is taken up, what its work is, when its
//! journal record may go.
//! Never here: clocks (times are handed in), queues over many keys, stores, the steps of a refresh.

mod backlog;
mod fate;
mod group;
mod hot;
mod job;
mod ledger;
mod pace;
mod reach;
mod sweep;
mod uncertain;

pub use backlog::{Backlog, Print, Shape, Shelved};
pub use fate::{Answer, Fate, fate};
pub use group::{Group, Groups};
pub use hot::{Heat, HotKeys};
pub use job::{Asked, Job, JobState, Parking};
pub use ledger::{Closed, Counts, DebtId, Ending, EntryId, Ledger};
pub use pace::{Pace, Room, Taken};
pub use reach::Reach;
pub use sweep::{Turn, TurnState};
pub use uncertain::{Patience, Sight, Verdict};
