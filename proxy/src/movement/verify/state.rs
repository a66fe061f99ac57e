//! Where a comparison stands: what a checkpoint keeps.
//! Never here: files (see `checkpoint`), comparing.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use segue_config::limits::VERIFY_SEGMENTS;
use segue_rules::entity::Ruleset;
use segue_rules::value::{Cell, Item, ItemKey};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::VerifyOptions;
use super::report::{Class, Difference, VerifyReport};
use crate::mirror::{Look, OwnedItem};

/// How far a scan is.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) enum Place<K> {
    #[default]
    Begin,
    After(K),
    End,
}

/// Something that differed when it was looked at.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Suspect {
    pub entity: String,
    pub row_key: Vec<Cell>,
    /// The item that seemed to have no row; `None`: it is a row that differed from its item.
    pub stray: Option<ItemKey>,
    /// Of the last look.
    pub print: u64,
    /// Looks so far.
    pub looks: u32,
    #[serde(skip, default = "Instant::now")]
    pub seen: Instant,
}

impl Suspect {
    /// A row that nobody has looked at yet.
    pub fn new(entity: String, row_key: Vec<Cell>) -> Suspect {
        Suspect { entity, row_key, stray: None, print: 0, looks: 0, seen: Instant::now() }
    }

    pub fn row(entity: &str, look: Look) -> Suspect {
        let (entity, row_key, print) = (entity.to_owned(), look.row_key, look.print);
        Suspect { entity, row_key, stray: None, print, looks: 1, seen: Instant::now() }
    }

    pub fn item(item: OwnedItem) -> Suspect {
        Suspect {
            entity: item.entity.name.clone(),
            row_key: item.row_key,
            stray: Some(item.key),
            print: 0,
            looks: 1,
            seen: Instant::now(),
        }
    }
}

/// Everything that must outlive an interruption.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct State {
    /// By entity.
    pub rows: BTreeMap<String, Place<Vec<Cell>>>,
    /// By DynamoDB table, for each segment.
    pub scans: BTreeMap<String, Vec<Place<Item>>>,
    pub suspects: VecDeque<Suspect>,
    /// Items without readable bookkeeping that no row has explained so far.
    pub foreign: BTreeSet<ItemKey>,
    pub report: VerifyReport,
}

impl State {
    pub fn new(ruleset: &Ruleset, options: &VerifyOptions) -> State {
        let tables = ruleset.tables.iter();
        let scans = tables.map(|t| (t.name.clone(), vec![Place::Begin; VERIFY_SEGMENTS]));
        State {
            rows: BTreeMap::new(),
            scans: scans.collect(),
            suspects: VecDeque::new(),
            foreign: BTreeSet::new(),
            report: VerifyReport {
                contract: ruleset.fingerprint.clone(),
                tables: options.tables.clone(),
                sample: options.sample,
                ..VerifyReport::default()
            },
        }
    }

    /// What an earlier comparison found is looked at again.
    pub fn take_found(&mut self, found: &Difference) {
        match (&found.entity, &found.row_key) {
            (Some(entity), Some(row_key)) => self.suspects.push_back(Suspect {
                stray: found.item_key.clone().filter(|_| found.class == Class::Extra),
                ..Suspect::new(entity.clone(), row_key.clone())
            }),
            _ => self.foreign.extend(found.item_key.clone()),
        }
    }

    /// Whether both are of the same comparison.
    pub fn is_of(&self, other: &State) -> bool {
        let scope = |state: &State| {
            let report = &state.report;
            (report.contract.clone(), report.tables.clone(), report.sample.to_bits())
        };
        scope(self) == scope(other)
    }

    pub fn row_place(&self, entity: &str) -> Place<Vec<Cell>> {
        self.rows.get(entity).cloned().unwrap_or_default()
    }
}
