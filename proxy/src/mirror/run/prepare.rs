//! Before MySQL is read: tags that are known or looked up, the machine of each key.
//! Never here: steps of a refresh.

use std::collections::BTreeSet;

use segue_config::limits;
use segue_rules::entity::{DynamoTable, Entity, Ruleset};
use segue_rules::refresh::{Existing, Moment, Owner, Refresh};
use segue_rules::value::ItemKey;

use super::{Outcome, refused};
use crate::dynamo;
use crate::mirror::bookkeeping;
use crate::mirror::parts::Shared;
use crate::mirror::queue::Target;

/// Learns the tags of items that are there already, as those of rows owed for long and of swept ones mostly are:
/// one read for all, instead of a failed condition and another look at MySQL for each.
pub(super) async fn look_up_tags(
    shared: &Shared,
    entity: &Entity,
    table: &DynamoTable,
    batch: &[(Target, BTreeSet<ItemKey>)],
) {
    if !entity.key_from_row_key {
        return;
    }
    let keys: BTreeSet<ItemKey> = batch
        .iter()
        .filter_map(|(target, _)| entity.key_of(&target.key))
        .filter(|key| !shared.tags.is_known(key))
        .take(limits::TAGS_LOOKED_UP_AT_ONCE)
        .collect();
    if keys.len() < limits::TAGS_LOOKED_UP_MIN {
        return;
    }
    let items = match shared.store.bookkeeping(table, &keys).await {
        Ok(items) => items,
        // The refreshes find out by themselves.
        Err(error) => return tracing::debug!(%error, "items could not be looked at beforehand"),
    };
    for item in &items {
        let Existing { tag: Some(tag), owner: Some(owner) } = bookkeeping::read(item) else {
            continue;
        };
        if let Some(key) = dynamo::key_of(table, item) {
            shared.tags.learn(&key, &owner, &tag);
        }
    }
}

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
