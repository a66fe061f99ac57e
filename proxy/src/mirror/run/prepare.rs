//! Before MySQL is read: tags that are known, the machine of each key.
//! Never here: steps of a refresh.

use std::collections::BTreeSet;

use segue_rules::entity::{Entity, Ruleset};
use segue_rules::refresh::{Moment, Owner, Refresh};
use segue_rules::value::ItemKey;

use super::{Outcome, refused};
use crate::mirror::bookkeeping;
use crate::mirror::parts::Shared;
use crate::mirror::queue::Target;

/// How keys of an entity end while a table that it reads is frozen.
pub(super) fn frozen(ruleset: &Ruleset, entity: &Entity) -> Option<impl Fn() -> Outcome> {
    let (table, reason) = ruleset.frozen_entity(entity.id)?;
    let reason = format!("table {table} is frozen: {reason}");
    Some(move || refused(reason.clone()))
}

pub(super) fn machine(
    shared: &Shared,
    entity: &Entity,
    target: &Target,
    mut stale: BTreeSet<ItemKey>,
    moment: Moment,
) -> Refresh {
    let owner = Owner { entity: entity.name.clone(), key: bookkeeping::encode_key(&target.key) };
    let own_key = if entity.key_from_row_key { entity.key_of(&target.key) } else { None };
    if !shared.faults.skip_old_image {
        stale.extend(shared.homes.of(&owner));
    }
    let tags = stale
        .iter()
        .chain(&own_key)
        .filter_map(|key| Some((key.clone(), shared.tags.known_at(key, &owner, moment)?)))
        .collect();
    Refresh::new(owner, own_key, stale, tags)
}
