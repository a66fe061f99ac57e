//! What a session asks of the mirror, as a trait so that captures can be tested without stores.
//! Never here: how owed entries are kept.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use segue_rules::entity::Ruleset;
use segue_rules::txn::{Dirty, DirtyEntry};

use crate::mirror::{Mirror, Owed, TextRows};

/// Takes dirty entries before a commit is forwarded. See [`Mirror`].
pub trait Ledger: Send + Sync {
    /// `connection`: MySQL's number of the connection that will commit.
    fn owe(
        &self,
        ruleset: Arc<Ruleset>,
        entries: Vec<DirtyEntry>,
        connection: u32,
    ) -> BoxFuture<'_, Box<dyn Debt>>;
    /// Rows of a SELECT of keys among the committed rows, as the text protocol has them; or the reason for a
    /// sweep.
    fn committed_keys<'a>(&'a self, sql: &'a str) -> BoxFuture<'a, Result<TextRows, &'static str>>;
    fn auto_increment_watermark<'a>(
        &'a self,
        ruleset: &'a Arc<Ruleset>,
        table: &'a str,
    ) -> BoxFuture<'a, u64>;
    fn raise_watermark(&self, table: &str, value: u64);
    fn forget_watermark(&self, table: &str);
}

/// Entries that wait for MySQL's answer. Dropping it means that no answer came: MySQL may commit yet.
pub trait Debt: Send + Sync {
    fn committed(self: Box<Self>, narrowed: Option<Vec<Dirty>>);
    fn rolled_back(self: Box<Self>);
}

impl Ledger for Mirror {
    fn owe(
        &self,
        ruleset: Arc<Ruleset>,
        entries: Vec<DirtyEntry>,
        connection: u32,
    ) -> BoxFuture<'_, Box<dyn Debt>> {
        Box::pin(async move {
            let debt: Box<dyn Debt> =
                Box::new(Mirror::owe(self, ruleset, entries, Some(connection)).await);
            debt
        })
    }

    fn committed_keys<'a>(&'a self, sql: &'a str) -> BoxFuture<'a, Result<TextRows, &'static str>> {
        Box::pin(Mirror::committed_keys(self, sql))
    }

    fn auto_increment_watermark<'a>(
        &'a self,
        ruleset: &'a Arc<Ruleset>,
        table: &'a str,
    ) -> BoxFuture<'a, u64> {
        Box::pin(Mirror::auto_increment_watermark(self, ruleset, table))
    }

    fn raise_watermark(&self, table: &str, value: u64) {
        Mirror::raise_watermark(self, table, value);
    }

    fn forget_watermark(&self, table: &str) {
        Mirror::forget_watermark(self, table);
    }
}

impl Debt for Owed {
    fn committed(self: Box<Self>, narrowed: Option<Vec<Dirty>>) {
        Owed::committed(*self, narrowed);
    }

    fn rolled_back(self: Box<Self>) {
        Owed::rolled_back(*self);
    }
}
