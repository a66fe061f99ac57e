//! Counts statements by digest while observation is on.
//! Never here: deciding anything by what was counted.

use std::time::{Duration, Instant};

use segue_rules::catalog::Catalog;
use segue_rules::plan::reading;
use segue_rules::sql::{Digested, digest};

use super::Connection;
use super::command::Command;
use crate::wire::command::{QUERY, STMT_EXECUTE};
use crate::wire::query::text_at;
use crate::wire::scan::Seen;

impl Connection {
    /// The moment from which a statement's time is counted; `None` while observation is off.
    pub fn observed_from(&self) -> Option<Instant> {
        self.shared.observed.as_ref().map(|observed| observed.begin())
    }

    /// Counts a statement that was planned anyway.
    pub(super) fn observe(&self, digested: &Digested, begun: Option<Instant>, seen: Seen) {
        let (Some(observed), Some(begun)) = (&self.shared.observed, begun) else { return };
        if let Some(counter) = observed.counter(digested.hash, &digested.text) {
            counter.note(begun.elapsed(), seen.error.is_some());
        }
    }

    /// Counts what a relayed command holds. Where settings of the session are not known, text is read
    /// under the server's defaults: asking would add a statement to the application's connection.
    pub fn observe_relayed(
        &mut self,
        command: &Command,
        catalog: &Catalog,
        begun: Option<Instant>,
        seen: Seen,
    ) {
        let Some(begun) = begun else { return };
        if command.rest.is_some() {
            return;
        }
        let (elapsed, failed) = (begun.elapsed(), seen.error.is_some());
        match command.code {
            QUERY => self.observe_text(command, catalog, elapsed, failed),
            STMT_EXECUTE => self.observe_prepared(command, catalog, elapsed, failed),
            _ => {}
        }
    }

    fn observe_text(&self, command: &Command, catalog: &Catalog, elapsed: Duration, failed: bool) {
        let payload = command.payload();
        let Ok(at) = text_at(&payload, self.capabilities) else { return };
        let Some(observed) = &self.shared.observed else { return };
        let facts = self.facts();
        let statements = digest(&payload[at..], reading(catalog, facts.sql_mode, &facts.charset));
        for (i, statement) in statements.iter().enumerate() {
            if let Some(counter) = observed.counter(statement.hash, &statement.text) {
                // One answer, one time: the first statement's.
                let elapsed = if i == 0 { elapsed } else { Duration::ZERO };
                counter.note(elapsed, failed && i + 1 == statements.len());
            }
        }
    }

    fn observe_prepared(
        &mut self,
        command: &Command,
        catalog: &Catalog,
        elapsed: Duration,
        failed: bool,
    ) {
        let facts = self.facts();
        let Some(observed) = &self.shared.observed else { return };
        let Some(prepared) = self.prepared.get_mut(&command.payload()) else { return };
        if prepared.counter.is_none() {
            let reading = reading(catalog, facts.sql_mode, &facts.charset);
            let statements = digest(&prepared.text, reading);
            let counter = |statement: &Digested| observed.counter(statement.hash, &statement.text);
            prepared.counter = statements.first().and_then(counter);
        }
        if let Some(counter) = &prepared.counter {
            counter.note(elapsed, failed);
        }
    }
}
