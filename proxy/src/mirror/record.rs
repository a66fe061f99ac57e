//! What one transaction owes, as it stands in the journal and in memory until it is done.
//! Never here: reading MySQL, or how the journal stores bytes.

use segue_rules::txn::Dirty;
use segue_rules::value::{Cell, ItemKey, SourceKey, TableName};
use serde::{Deserialize, Serialize};

use super::uncertain::Session;

/// Version of the serialised form; a record of another version is swept instead of guessed at.
const VERSION: u8 = 1;

/// The debt of one transaction.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Debt {
    pub entries: Vec<Dirty>,
    #[serde(default)]
    pub old: OldImage,
    /// Who commits it. `None`: it is a sweep of Segue's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<Session>,
}

/// What only the committed state before the commit could tell.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct OldImage {
    /// Rows in MySQL's own spelling of their keys, found by unique keys, or reached by cascades.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<SourceKey>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<OldLink>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub driving: Vec<OldDriving>,
}

/// Values of a joined row's link columns before the commit.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct OldLink {
    pub table: TableName,
    pub columns: Vec<usize>,
    pub values: Vec<Cell>,
}

/// A driving row and the item key it had before the commit.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct OldDriving {
    pub entity: String,
    pub table: TableName,
    pub key: Vec<Cell>,
    pub item: Option<ItemKey>,
}

#[derive(Serialize, Deserialize)]
struct Envelope<D> {
    v: u8,
    debt: D,
}

impl Debt {
    pub fn encode(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(&Envelope { v: VERSION, debt: self })
    }

    /// `None`: not a record this version understands.
    pub fn decode(bytes: &[u8]) -> Option<Debt> {
        let envelope: Envelope<Debt> = serde_json::from_slice(bytes).ok()?;
        (envelope.v == VERSION).then_some(envelope.debt)
    }

    /// A debt of whole tables.
    pub fn sweeps<'a>(tables: impl IntoIterator<Item = &'a TableName>, reason: &str) -> Debt {
        let sweep =
            |table: &TableName| Dirty::Sweep { table: table.clone(), reason: reason.to_owned() };
        Debt { entries: tables.into_iter().map(sweep).collect(), ..Debt::default() }
    }

    /// Whether it asks for whole tables and nothing else.
    pub fn is_sweeps(&self) -> bool {
        self.entries.iter().all(|dirty| matches!(dirty, Dirty::Sweep { .. }))
    }

    /// Replaces the range intents by what MySQL's answer told.
    pub fn narrow(&mut self, exact: Vec<Dirty>) {
        self.entries.retain(|dirty| !matches!(dirty, Dirty::Range { .. }));
        self.entries.extend(exact);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_debt_survives_its_journal_form() {
        let table: TableName = "orders".into();
        let key = vec![
            Cell::UInt(u64::MAX),
            Cell::Text("é".into()),
            Cell::Bytes(vec![0, 255]),
            Cell::Time { negative: true, hours: 838, minutes: 59, seconds: 59, micros: 1 },
        ];
        let debt = Debt {
            entries: vec![
                Dirty::Key(SourceKey { table: table.clone(), key: key.clone() }),
                Dirty::Range { table: table.clone(), from: 7, to: None },
            ],
            old: OldImage {
                rows: vec![SourceKey { table: table.clone(), key: key.clone() }],
                links: vec![OldLink {
                    table: table.clone(),
                    columns: vec![2],
                    values: key.clone(),
                }],
                driving: vec![OldDriving { entity: "Order".into(), table, key, item: None }],
            },
            session: Some(Session::now(4_000_000_000)),
        };
        let bytes = debt.encode().unwrap();
        assert_eq!(Debt::decode(&bytes), Some(debt));
    }

    #[test]
    fn foreign_bytes_are_no_debt() {
        assert_eq!(Debt::decode(b"{\"v\":9,\"debt\":{\"entries\":[]}}"), None);
        assert_eq!(Debt::decode(b"\0"), None);
    }

    #[test]
    fn narrowing_replaces_only_ranges() {
        let table: TableName = "t".into();
        let sweep = Dirty::Sweep { table: table.clone(), reason: "x".into() };
        let mut debt = Debt {
            entries: vec![Dirty::Range { table: table.clone(), from: 1, to: None }, sweep.clone()],
            ..Debt::default()
        };
        let exact = Dirty::Range { table, from: 4, to: Some(5) };
        debt.narrow(vec![exact.clone()]);
        assert_eq!(debt.entries, vec![sweep, exact]);
    }
}
