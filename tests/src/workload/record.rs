//! Every statement of a run with its answer, to understand a failure by.
//! Never here: judging answers.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Instant;

use mysql_async::Error;
use parking_lot::Mutex;

use super::Statement;

/// What the clients of one run sent and heard. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Record {
    began: Instant,
    /// Tells the clients of several runs apart.
    run: usize,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Record {
    /// `began`: where its clock starts.
    pub fn new(began: Instant) -> Record {
        Record { began, run: 0, lines: Arc::default() }
    }

    /// The same record for another run at the same time.
    pub fn of(&self, run: usize) -> Record {
        Record { run, ..self.clone() }
    }

    pub(super) fn note(
        &self,
        client: usize,
        sent: Instant,
        connection: u32,
        statement: &Statement,
        error: Option<&Error>,
    ) {
        let at = |instant: Instant| instant.saturating_duration_since(self.began).as_secs_f64();
        let (begin, end) = (at(sent), at(Instant::now()));
        let mut line =
            format!("{begin:9.4} {end:9.4} client {}.{client} [{connection}] ", self.run);
        let _ = write!(line, "{:?}: {}", statement.protocol, statement.text());
        if let Some(error) = error {
            let _ = write!(line, "  --> {error}");
        }
        self.lines.lock().push(line);
    }

    /// One line a statement, in the order of the answers.
    pub fn text(&self) -> String {
        self.lines.lock().join("\n")
    }
}
