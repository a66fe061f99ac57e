//! What the journal holds of an earlier process is owed again.
//! Never here: opening the journal, what becomes of a debt from then on.

use std::collections::BTreeSet;
use std::time::Instant;

use segue_config::limits;
use segue_rules::value::TableName;

use super::record::Debt;
use super::{Mirror, Recovered, backlog, engine, expand, gap, uncertain};
use crate::journal::{RecordId, Recovery};

/// Takes up every record, owes sweeps for what cannot be read, and starts the mirror's tasks.
pub(super) async fn recover(mirror: &Mirror, recovery: Recovery) -> Recovered {
    let shared = &mirror.shared;
    let settled = shared.now() + shared.settings.late_write;
    let damaged = recovery.damaged_bytes > 0 || recovery.gaps;
    let mut reading = Reading::new(mirror, settled);
    reading.read(&recovery.records).await;
    let Reading { mut recovered, movable, unreadable, .. } = reading;
    recovered.damaged = damaged || !unreadable.is_empty();
    if recovered.damaged {
        mirror.sweep_everything_late("journal-damaged").await;
    }
    if recovery.gaps {
        shared.gap_found().await;
    }
    // Which item keys such rows had between commits was known to the process that is gone.
    for table in &movable {
        mirror.sweep_late(table, "recovered-movable-keys").await;
    }
    // Only now: until the sweeps are on disk, the unreadable records are the only trace.
    for record in unreadable {
        shared.journal.remove(record);
    }
    shared.spawn(engine::dispatch(shared.clone()));
    shared.spawn(uncertain::watch(shared.clone()));
    shared.spawn(gap::watch(shared.clone()));
    if !shared.state.lock().recovered.is_empty() {
        shared.spawn(backlog::refresh_early(shared.clone(), settled));
    }
    shared.spawn(backlog::read_again(shared.clone(), settled));
    recovered
}

/// A journal being read.
struct Reading<'a> {
    mirror: &'a Mirror,
    settled: Instant,
    recovered: Recovered,
    /// Sets of tables that have been looked at for `movable`.
    known: BTreeSet<Vec<TableName>>,
    movable: BTreeSet<TableName>,
    unreadable: Vec<RecordId>,
}

impl<'a> Reading<'a> {
    fn new(mirror: &'a Mirror, settled: Instant) -> Reading<'a> {
        let (recovered, known, movable, unreadable) = Default::default();
        Reading { mirror, settled, recovered, known, movable, unreadable }
    }

    async fn read(&mut self, records: &[RecordId]) {
        let shared = &self.mirror.shared;
        let mut told = shared.now();
        for (chunk, ids) in records.chunks(limits::BACKLOG_READ_RECORDS).enumerate() {
            if shared.now().saturating_duration_since(told) >= limits::START_PROGRESS {
                let read = chunk * limits::BACKLOG_READ_RECORDS;
                tracing::info!(read, of = records.len(), "reading what an earlier run still owes");
                told = shared.now();
            }
            let read = shared.journal.read(ids.to_vec()).await;
            for (record, bytes) in ids.iter().zip(read) {
                match bytes.as_deref().and_then(Debt::decode) {
                    Some(debt) => self.take_up(debt, *record),
                    None => self.unreadable.push(*record),
                }
            }
        }
    }

    fn take_up(&mut self, debt: Debt, record: RecordId) {
        let shared = &self.mirror.shared;
        self.recovered.transactions += 1;
        self.recovered.entries += debt.entries.len();
        let tables: Vec<TableName> = backlog::shape(&debt).tables().cloned().collect();
        if self.known.insert(tables) {
            self.movable.extend(expand::movable(&shared.ruleset(), &debt));
        }
        shared.take_up_recovered(debt, record, self.settled);
    }
}
