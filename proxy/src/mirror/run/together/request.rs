//! One TransactWriteItems for the members of a group, and what its answer teaches each of them.
//! Never here: reading MySQL, how often it is tried.

use std::collections::BTreeMap;
use std::time::SystemTime;

use segue_rules::entity::BOOKKEEPING;
use segue_rules::refresh::{Event, Existing, Owner, Step, Write};
use segue_rules::value::{Item, ItemKey};

use super::{Member, Together};
use crate::dynamo::{Arrival, Expect, StoreError, TransactOutcome, TransactWrite, WriteOutcome};
use crate::mirror::bookkeeping;
use crate::mirror::run::{Outcome, expected};

/// One of several parts of a transaction's items.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part<'a> {
    pub id: &'a str,
    pub number: usize,
    pub parts: usize,
}

pub(super) enum Sent {
    Done,
    /// Conditions failed; every machine waits for the row to be read.
    Refused,
}

/// One write of the request.
struct Order {
    member: usize,
    write: Write,
    expect: Expect,
    /// Of a put.
    tag: String,
    item: Option<Item>,
    may_come_late: bool,
}

/// Items that are put, with their tags and owners.
pub(super) type Puts = BTreeMap<ItemKey, (String, Owner)>;

impl Together<'_> {
    pub(super) async fn send(
        &self,
        members: &mut [Member<'_>],
        part: Option<Part<'_>>,
    ) -> Result<Sent, Outcome> {
        let (orders, puts) = orders(members, part)?;
        let Some(first) = orders.first() else {
            members.iter_mut().for_each(|member| member.pass(&puts));
            return Ok(Sent::Done);
        };
        for order in &orders {
            let run = &members[order.member].run;
            run.wait_for_partition(&order.write.key)?;
            if order.may_come_late {
                // Since it was settled, the row may have lived elsewhere.
                self.shared.homes.unsettle(&run.me);
            }
        }
        members[first.member].run.pause().await;
        let writes: Vec<TransactWrite> = orders
            .iter()
            .map(|order| TransactWrite {
                table: members[order.member].run.table,
                key: &order.write.key,
                item: order.item.as_ref(),
                expect: &order.expect,
            })
            .collect();
        let token = uuid::Uuid::new_v4().to_string();
        let answer = self.shared.store.transact(&writes, &token).await;
        self.tell_paces(&orders, &answer);
        match answer {
            Ok(TransactOutcome::Done) => Ok(done(members, &orders, &puts)),
            Ok(TransactOutcome::Refused(refused)) => {
                let refused: BTreeMap<usize, Option<Existing>> = refused
                    .into_iter()
                    .map(|(at, item)| (at, item.as_ref().map(bookkeeping::read)))
                    .collect();
                // All or nothing: where one of our tags stands, everything was written before.
                if refused.iter().any(|(at, existing)| orders[*at].is_ours(existing)) {
                    return Ok(done(members, &orders, &puts));
                }
                learn(members, &orders, refused).await
            }
            Ok(TransactOutcome::Cancelled { error, .. }) => Err(Outcome::from(error)),
            Err(error @ StoreError::Transient { arrival, .. }) => {
                let late = orders.iter().filter(|order| order.may_come_late);
                for order in late.filter(|_| arrival == Arrival::MayBeLate) {
                    let target = members[order.member].run.target;
                    self.shared.owe_late(target, &order.write.key).await;
                }
                Err(Outcome::from(error))
            }
            // One of them is at fault, or all are: each will say so by itself.
            Err(StoreError::Rejected { .. }) => Err(Outcome::Apart),
        }
    }

    fn tell_paces(&self, orders: &[Order], answer: &Result<TransactOutcome, StoreError>) {
        let now = self.shared.now();
        for (at, order) in orders.iter().enumerate() {
            let answer = match answer {
                Err(error) => Err(error.clone()),
                Ok(TransactOutcome::Cancelled { at: turned_away, error }) => {
                    if !turned_away.contains(&at) {
                        continue;
                    }
                    Err(error.clone())
                }
                Ok(_) => Ok(WriteOutcome::Done),
            };
            self.shared.paces.answered(&order.write.key, now, &answer);
        }
    }
}

impl Order {
    fn is_ours(&self, existing: &Option<Existing>) -> bool {
        let tag = existing.as_ref().and_then(|existing| existing.tag.as_ref());
        self.write.put && tag == Some(&self.tag)
    }
}

/// Every write of every member. An item that one member puts and another would delete is put.
fn orders(members: &[Member<'_>], part: Option<Part<'_>>) -> Result<(Vec<Order>, Puts), Outcome> {
    let (mut orders, mut puts) = (Vec::new(), Puts::new());
    for (member, of) in members.iter().enumerate() {
        for write in of.writes().ok_or(Outcome::Apart)? {
            let tag = uuid::Uuid::new_v4().to_string();
            let owner = of.run.me.clone();
            if write.put && puts.insert(write.key.clone(), (tag.clone(), owner)).is_some() {
                // Two rows meet on one item.
                return Err(Outcome::Apart);
            }
            let item = write.put.then(|| of.stamped(&tag, part));
            let may_come_late = write.put && of.machine.put_may_come_late();
            let expect = expected(write.expect.clone());
            orders.push(Order { member, write, expect, tag, item, may_come_late });
        }
    }
    orders.retain(|order: &Order| order.write.put || !puts.contains_key(&order.write.key));
    Ok((orders, puts))
}

fn done(members: &mut [Member<'_>], orders: &[Order], puts: &Puts) -> Sent {
    for order in orders {
        match (order.write.put, &order.expect) {
            (true, _) => members[order.member].run.count("written"),
            (false, Expect::Absent) => {}
            (false, _) => members[order.member].run.count("deleted"),
        }
    }
    members.iter_mut().for_each(|member| member.pass(puts));
    Sent::Done
}

/// Nothing was written. What stands in the way teaches those who met it; all start again at the read.
async fn learn(
    members: &mut [Member<'_>],
    orders: &[Order],
    refused: BTreeMap<usize, Option<Existing>>,
) -> Result<Sent, Outcome> {
    // A put ends its machine's wait for answers, so it is told last.
    let (puts, deletes): (Vec<_>, Vec<_>) =
        refused.into_iter().partition(|(at, _)| orders[*at].write.put);
    for (at, existing) in deletes {
        let (Order { member, write, .. }, event) = (&orders[at], existing.clone());
        let member = &mut members[*member];
        member.run.learnt(&write.key, Event::DeleteConflict { existing: event });
        member.machine.delete_refused(&write.key, existing);
    }
    for (at, existing) in puts {
        let Order { member, write, tag, .. } = &orders[at];
        let member = &mut members[*member];
        let event = Event::PutConflict { tag: tag.clone(), existing };
        let event = member.run.learnt(&write.key, event);
        let mut step = member.machine.next(event);
        if let Step::CheckOwner { owner, key } = &step {
            let holds = member.run.holds(owner, key).await?;
            step = member.machine.next(Event::OwnerHolds(holds));
        }
        if step != Step::ReadRow {
            return Err(Outcome::Apart);
        }
    }
    for member in members.iter_mut().filter(|member| !member.machine.is_reading()) {
        member.machine.again();
    }
    Ok(Sent::Refused)
}

impl Member<'_> {
    /// The item built from the row, with its bookkeeping.
    fn stamped(&self, tag: &str, part: Option<Part<'_>>) -> Item {
        let run = &self.run;
        let mut item = self.read.as_ref().and_then(|read| read.item.clone()).unwrap_or_default();
        let mut map = bookkeeping::stamp(&run.me, tag, &run.ruleset.fingerprint, SystemTime::now());
        if let Some(Part { id, number, parts }) = part {
            bookkeeping::mark_part(&mut map, id, number, parts);
        }
        item.insert(BOOKKEEPING.to_owned(), map);
        item
    }

    /// Every write passed: tells the machine, as far as it need not read the row again.
    pub(super) fn pass(&mut self, puts: &Puts) {
        loop {
            let event = match &self.step {
                Step::Put { key, .. } => {
                    let Some((tag, _)) = puts.get(key) else { return };
                    self.run.learnt(key, Event::PutDone { tag: tag.clone() })
                }
                Step::Delete { key, .. } => match puts.get(key) {
                    // Another row's item stands there now.
                    Some((tag, owner)) => {
                        let (tag, owner) = (Some(tag.clone()), Some(owner.clone()));
                        Event::DeleteConflict { existing: Some(Existing { tag, owner }) }
                    }
                    None => self.run.learnt(key, Event::DeleteDone),
                },
                _ => return,
            };
            self.step = self.machine.next(event);
        }
    }
}
