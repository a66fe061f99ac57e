//! The further looks at what differed: it settles, or it is a difference.
//! Never here: the first look.

use std::sync::Arc;
use std::time::Duration;

use segue_config::limits::{ITEMS_READ_AT_ONCE, VERIFY_LOOKS_MAX};
use segue_rules::diff::Verdict;
use segue_rules::entity::{DynamoTable, Entity};
use segue_rules::value::{Cell, ItemKey};

use super::report::{Class, Difference, NamedDifference};
use super::state::Suspect;
use super::{Verifier, table_of};
use crate::mirror::{Look, Standing};
use crate::movement::error::MovementError;
use crate::movement::persist::persist;

impl Verifier {
    /// Looks again at everything that waits for it, until nothing does.
    pub(super) async fn settle_all(&mut self) -> Result<(), MovementError> {
        while let Some(batch) = self.next_batch() {
            let looked = self.look_again(&batch).await;
            if looked.is_err() {
                self.state.suspects.extend(batch);
                return looked;
            }
        }
        Ok(())
    }

    /// Those at the front that can be looked at together.
    fn next_batch(&mut self) -> Option<Vec<Suspect>> {
        let suspects = &mut self.state.suspects;
        let first = suspects.pop_front()?;
        let mut batch = vec![first];
        while batch.len() < ITEMS_READ_AT_ONCE
            && let Some(next) = suspects.front()
            && next.entity == batch[0].entity
            && next.stray.is_some() == batch[0].stray.is_some()
            && next.looks == batch[0].looks
        {
            batch.extend(suspects.pop_front());
        }
        Some(batch)
    }

    async fn look_again(&mut self, batch: &[Suspect]) -> Result<(), MovementError> {
        let entities = &self.ruleset.entities;
        let entity = entities.iter().find(|entity| entity.name == batch[0].entity).cloned();
        let Some(entity) = entity else { return Ok(()) };
        let Some(table) = table_of(&self.ruleset, &entity).cloned() else { return Ok(()) };
        self.wait_for(batch).await?;
        match batch[0].stray.is_some() {
            true => self.strays_again(&entity, &table, batch).await,
            false => self.rows_again(&entity, &table, batch).await,
        }
    }

    /// Until the youngest has had its time, which is twice as long after each look.
    async fn wait_for(&self, batch: &[Suspect]) -> Result<(), MovementError> {
        let due = batch
            .iter()
            .map(|suspect| suspect.seen + pause(self.options.settle, suspect.looks))
            .max();
        let Some(due) = due else { return Ok(()) };
        tokio::select! {
            () = self.stop.cancelled() => Err(MovementError::Interrupted),
            () = tokio::time::sleep_until(due) => Ok(()),
        }
    }

    async fn rows_again(
        &mut self,
        entity: &Arc<Entity>,
        table: &DynamoTable,
        batch: &[Suspect],
    ) -> Result<(), MovementError> {
        let keys: Vec<Vec<Cell>> = batch.iter().map(|suspect| suspect.row_key.clone()).collect();
        let survey = self.survey.clone();
        let looks = persist(|| survey.compare(entity, table, &keys)).await?;
        for (suspect, look) in batch.iter().zip(looks) {
            self.take_again(entity, suspect, look);
        }
        Ok(())
    }

    fn take_again(&mut self, entity: &Entity, suspect: &Suspect, look: Look) {
        let (first, rests) = (suspect.looks == 0, look.print == suspect.print);
        if first {
            self.state.report.count(&entity.name, |tally| tally.rows += 1);
        }
        let (class, attributes, reason) = match &look.standing {
            Standing::NoItem | Standing::Item(Verdict::Equal | Verdict::Expired) => {
                return self.state.report.count(&entity.name, |tally| match first {
                    true => tally.equal += 1,
                    false => tally.in_flight += 1,
                });
            }
            Standing::Unbuildable(reason) => (Class::Parked, Vec::new(), Some(reason.clone())),
            Standing::Item(Verdict::Missing) => (Class::Missing, Vec::new(), None),
            Standing::Item(Verdict::Different(differences)) => {
                let show = self.options.show_values;
                let named = differences.iter().cloned();
                let named = named.map(|difference| NamedDifference::of(difference, show));
                (Class::Different, named.collect(), None)
            }
        };
        if !rests && suspect.looks < self.options.looks_max {
            let mut again = Suspect::row(&entity.name, look);
            again.looks = suspect.looks + 1;
            return self.state.suspects.push_back(again);
        }
        self.state.report.found(Difference {
            class: if rests { class } else { Class::Unsettled },
            entity: Some(entity.name.clone()),
            row_key: Some(look.row_key),
            item_key: look.item_key,
            attributes,
            reason,
        });
    }

    async fn strays_again(
        &mut self,
        entity: &Arc<Entity>,
        table: &DynamoTable,
        batch: &[Suspect],
    ) -> Result<(), MovementError> {
        let (survey, ruleset) = (self.survey.clone(), self.ruleset.clone());
        for suspect in batch {
            let Some(key) = &suspect.stray else { continue };
            let look = || survey.stray_again(&ruleset, table, key);
            match persist(look).await? {
                None => self.state.report.count(&entity.name, |tally| tally.in_flight += 1),
                Some(stray) => self.state.report.found(Difference {
                    class: Class::Extra,
                    entity: Some(stray.entity.name.clone()),
                    row_key: Some(stray.row_key),
                    item_key: Some(stray.key),
                    attributes: Vec::new(),
                    reason: None,
                }),
            }
        }
        Ok(())
    }

    /// Items without readable bookkeeping that no row explains.
    pub(super) async fn judge_foreign(&mut self) -> Result<(), MovementError> {
        let (survey, ruleset) = (self.survey.clone(), self.ruleset.clone());
        let foreign: Vec<ItemKey> = self.state.foreign.iter().cloned().collect();
        for key in foreign {
            let table = ruleset.tables.iter().find(|table| table.name == key.table);
            let Some(table) = table else { continue };
            if persist(|| survey.is_foreign(&ruleset, table, &key)).await? {
                self.state.report.found(Difference {
                    class: Class::Extra,
                    entity: None,
                    row_key: None,
                    item_key: Some(key.clone()),
                    attributes: Vec::new(),
                    reason: Some("no readable bookkeeping, and no row has this item".to_owned()),
                });
            }
            self.state.foreign.remove(&key);
            if self.stop.is_cancelled() {
                return Err(MovementError::Interrupted);
            }
        }
        Ok(())
    }
}

/// Nothing before the first look.
fn pause(settle: Duration, looks: u32) -> Duration {
    match looks.checked_sub(1) {
        None => Duration::ZERO,
        Some(doublings) => settle * 2u32.saturating_pow(doublings.min(VERIFY_LOOKS_MAX)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_moves_gets_longer_to_settle() {
        let settle = Duration::from_secs(2);
        assert_eq!([0, 1, 2, 3].map(|looks| pause(settle, looks).as_secs()), [0, 2, 4, 8]);
    }
}
