//! Who changed what: an append-only file of JSON lines next to the phases file.
//! Never here: deciding, or reading the log back.

use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::store_file;
use crate::telemetry::timestamp_now;

/// One line of the log.
#[derive(Clone, Debug, Serialize)]
pub struct AuditRecord<'a> {
    pub who: &'a str,
    /// `default`, a table's name, `file` or `contract`.
    pub what: &'a str,
    pub from: String,
    pub to: String,
    /// `asked` before the change is written, `failed` if writing it then failed.
    pub outcome: &'static str,
}

/// The log's file. Lines are synced before a change takes effect.
#[derive(Clone, Debug)]
pub struct AuditLog {
    path: PathBuf,
}

impl AuditLog {
    /// `phases.toml` is accompanied by `phases.audit.jsonl`.
    pub fn beside(phases_path: &Path) -> AuditLog {
        AuditLog { path: phases_path.with_extension("audit.jsonl") }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn append(&self, record: &AuditRecord<'_>) -> io::Result<()> {
        #[derive(Serialize)]
        struct Line<'a> {
            when: String,
            #[serde(flatten)]
            record: &'a AuditRecord<'a>,
        }
        let line = serde_json::to_string(&Line { when: timestamp_now(), record })?;
        store_file::append_line(&self.path, &line)
    }
}
