//! The owed sweep of one table: who waits for the run under way, and who for the next one.
//! Never here: going through the table, reasons, times.

use std::mem;

/// ```text
/// (none) --owe--> Waiting (barrier) --> Ready --start--> Running --done--> (none) or Ready
///                                         ^                 | failed
///                                         +----- due ---- Failed
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TurnState {
    /// Waits for transactions that began before it.
    Waiting,
    Ready,
    Running,
    /// Starts anew soon.
    Failed,
}

/// `E`: who waits for the sweep.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Turn<E> {
    state: TurnState,
    /// Barriers not yet passed.
    barriers: usize,
    waiters: Vec<E>,
    /// Requests that came while it ran: it runs again for them.
    next: Vec<E>,
}

impl<E> Turn<E> {
    pub fn new(waiter: E) -> Turn<E> {
        Turn { state: TurnState::Ready, barriers: 0, waiters: vec![waiter], next: Vec::new() }
    }

    pub fn state(&self) -> TurnState {
        self.state
    }

    /// Everybody who waits.
    pub fn waiting(&self) -> usize {
        self.waiters.len() + self.next.len()
    }

    /// One more waits. `true`: for the next run, because this one may be past the rows in question.
    pub fn owe(&mut self, waiter: E) -> bool {
        let runs = self.state == TurnState::Running;
        if runs { &mut self.next } else { &mut self.waiters }.push(waiter);
        runs
    }

    /// Takes out everybody who waits for the same run as the one who came last.
    pub fn superseded(&mut self) -> Vec<E> {
        let runs = self.state == TurnState::Running;
        let waiters = if runs { &mut self.next } else { &mut self.waiters };
        let last = waiters.len().saturating_sub(1);
        waiters.drain(..last).collect()
    }

    /// The next start waits for one more barrier.
    pub fn hold(&mut self) {
        self.barriers += 1;
        if self.state != TurnState::Running {
            self.state = TurnState::Waiting;
        }
    }

    /// A barrier was passed.
    pub fn release(&mut self) {
        self.barriers = self.barriers.saturating_sub(1);
        if self.barriers == 0 && self.state == TurnState::Waiting {
            self.state = TurnState::Ready;
        }
    }

    pub fn start(&mut self) {
        self.state = TurnState::Running;
    }

    /// The run is done: who waited for it, and whether there is another.
    pub fn done(&mut self) -> (Vec<E>, bool) {
        let waiters = mem::replace(&mut self.waiters, mem::take(&mut self.next));
        self.state = if self.barriers > 0 { TurnState::Waiting } else { TurnState::Ready };
        (waiters, !self.waiters.is_empty())
    }

    /// The run could not be finished: it starts anew for everybody.
    pub fn failed(&mut self) {
        self.waiters.append(&mut self.next);
        self.state = if self.barriers > 0 { TurnState::Waiting } else { TurnState::Failed };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_those_who_wait_for_the_same_run_are_superseded() {
        let mut turn = Turn::new(1);
        turn.owe(2);
        assert_eq!(turn.superseded(), vec![1]);
        turn.start();
        assert!(turn.owe(3) && turn.superseded().is_empty());
        assert!(turn.owe(4));
        assert_eq!(turn.superseded(), vec![3]);
        assert_eq!(turn.done(), (vec![2], true));
        turn.start();
        assert_eq!(turn.done(), (vec![4], false));
    }

    #[test]
    fn who_comes_during_a_run_waits_for_the_next() {
        let mut turn = Turn::new(1);
        assert!(!turn.owe(2));
        turn.start();
        assert!(turn.owe(3));
        assert_eq!(turn.done(), (vec![1, 2], true));
        assert_eq!(turn.state(), TurnState::Ready);
        turn.start();
        turn.owe(4);
        turn.failed();
        assert_eq!((turn.state(), turn.waiting()), (TurnState::Failed, 2));
        turn.start();
        assert_eq!(turn.done(), (vec![3, 4], false));
    }
}
