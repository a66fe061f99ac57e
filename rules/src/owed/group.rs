//! Which keys are written together, because one transaction changed them.
//! Never here: runs, stores, times.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

/// Transactions of several keys whose items have not been written yet, committed or about to be. `T`: transactions; `K`: keys.
///
/// Two transactions that share a key belong together: whoever reads MySQL for the one sees rows of the
/// other, and must not write half of them.
#[derive(Clone, Debug)]
pub struct Groups<T, K> {
    members: HashMap<T, Members<K>>,
    transactions: HashMap<K, BTreeSet<T>>,
}

#[derive(Clone, Debug)]
struct Members<K> {
    keys: BTreeSet<K>,
    /// MySQL has not answered its commit.
    coming: bool,
    /// A part of it has been shown, or may have been.
    torn: bool,
}

/// Keys that belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group<T, K> {
    pub keys: BTreeSet<K>,
    pub transactions: BTreeSet<T>,
    /// Those whose commit may show already, or may not. They are written along as they are, and once more when
    /// they have been committed.
    pub coming: BTreeSet<T>,
    /// There are more that belong to it than may be taken at once.
    pub cut: bool,
}

impl<T, K> Default for Groups<T, K> {
    fn default() -> Self {
        Groups { members: HashMap::new(), transactions: HashMap::new() }
    }
}

impl<T: Copy + Ord + Hash, K: Clone + Ord + Hash> Groups<T, K> {
    /// A transaction that is about to be committed changes these keys.
    pub fn announce(&mut self, transaction: T, keys: impl IntoIterator<Item = K>) {
        self.insert(transaction, keys, true);
    }

    /// A committed transaction changed these keys. `torn`: it cannot be shown whole any more.
    pub fn join(&mut self, transaction: T, keys: impl IntoIterator<Item = K>, torn: bool) {
        let members = self.insert(transaction, keys, false);
        members.coming = false;
        members.torn |= torn;
    }

    /// One more key, of a transaction that is known.
    pub fn add(&mut self, transaction: T, key: K) {
        if self.members.contains_key(&transaction) {
            self.insert(transaction, [key], false);
        }
    }

    fn insert(
        &mut self,
        transaction: T,
        keys: impl IntoIterator<Item = K>,
        coming: bool,
    ) -> &mut Members<K> {
        let new = || Members { keys: BTreeSet::new(), coming, torn: false };
        let members = self.members.entry(transaction).or_insert_with(new);
        for key in keys {
            self.transactions.entry(key.clone()).or_default().insert(transaction);
            members.keys.insert(key);
        }
        members
    }

    /// Everything that must be written together with a key: `most` keys, or those of one transaction where they
    /// are more. `None`: it may be written alone.
    pub fn around(&self, key: &K, most: usize) -> Option<Group<T, K>> {
        let first = self.transactions.get(key)?;
        let (keys, transactions, coming) = Default::default();
        let mut group = Group { keys, transactions, coming, cut: false };
        let mut todo: Vec<T> = first.iter().rev().copied().collect();
        while let Some(transaction) = todo.pop() {
            let Some(members) = self.members.get(&transaction) else { continue };
            let side = match members.coming {
                true => &mut group.coming,
                false => &mut group.transactions,
            };
            if side.contains(&transaction) {
                continue;
            }
            let more = members.keys.difference(&group.keys).count();
            if !group.keys.is_empty() && group.keys.len() + more > most {
                group.cut = true;
                continue;
            }
            side.insert(transaction);
            for key in &members.keys {
                if group.keys.insert(key.clone()) {
                    todo.extend(self.transactions.get(key).into_iter().flatten());
                }
            }
        }
        Some(group)
    }

    /// Transactions of these keys that are not among `own`: a read of the keys' rows may show them.
    pub fn others<'a>(
        &self,
        keys: impl IntoIterator<Item = &'a K>,
        own: &BTreeSet<T>,
    ) -> BTreeSet<T>
    where
        K: 'a,
    {
        let of = |key| self.transactions.get(key).into_iter().flatten();
        keys.into_iter().flat_map(of).filter(|other| !own.contains(other)).copied().collect()
    }

    /// A part of the transaction may be shown before the rest.
    pub fn tear(&mut self, transaction: T) {
        if let Some(members) = self.members.get_mut(&transaction) {
            members.torn = true;
        }
    }

    /// The transaction's items are written, or are written one by one from now on. Whether it was torn;
    /// `None`: it is not known.
    pub fn leave(&mut self, transaction: T) -> Option<bool> {
        let members = self.members.remove(&transaction)?;
        for key in &members.keys {
            if let Some(of) = self.transactions.get_mut(key) {
                of.remove(&transaction);
                if of.is_empty() {
                    self.transactions.remove(key);
                }
            }
        }
        Some(members.torn)
    }

    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(keys: &[u8], transactions: &[u8], cut: bool) -> Option<Group<u8, u8>> {
        let (keys, transactions) =
            (keys.iter().copied().collect(), transactions.iter().copied().collect());
        Some(Group { keys, transactions, coming: BTreeSet::new(), cut })
    }

    #[test]
    fn transactions_that_share_keys_belong_together() {
        let mut groups = Groups::default();
        groups.join(1, [10, 11], false);
        groups.join(2, [11, 12], false);
        groups.join(3, [20, 21], false);
        assert_eq!(groups.around(&10, 9), group(&[10, 11, 12], &[1, 2], false));
        assert_eq!(groups.around(&20, 9), group(&[20, 21], &[3], false));
        assert_eq!(groups.around(&30, 9), None);
        groups.join(4, [12, 20], false);
        assert_eq!(groups.around(&21, 9), group(&[10, 11, 12, 20, 21], &[1, 2, 3, 4], false));
        assert_eq!(groups.leave(2), Some(false));
        assert_eq!(groups.around(&10, 9), group(&[10, 11], &[1], false));
    }

    #[test]
    fn a_commit_under_way_is_written_along_and_stays() {
        let mut groups = Groups::default();
        groups.join(1, [10, 11], false);
        groups.announce(2, [11, 12]);
        let found = groups.around(&10, 9).unwrap();
        assert_eq!(found.keys, BTreeSet::from([10, 11, 12]));
        assert_eq!((found.transactions, found.coming), ([1].into(), [2].into()));
        groups.leave(1);
        groups.join(2, [12, 13], true);
        assert_eq!(groups.around(&11, 9), group(&[11, 12, 13], &[2], false));
        assert_eq!(groups.leave(2), Some(true));
    }

    #[test]
    fn nothing_is_left_of_transactions_that_left() {
        let mut groups = Groups::default();
        groups.join(1, [10, 11], false);
        groups.join(1, [12], false);
        groups.tear(1);
        assert_eq!((groups.leave(1), groups.leave(1)), (Some(true), None));
        assert!(groups.is_empty() && groups.transactions.is_empty());
    }

    #[test]
    fn a_group_is_cut_between_transactions() {
        let mut groups = Groups::default();
        groups.join(1, [1, 2, 3], false);
        groups.join(2, [3, 4], false);
        assert_eq!(groups.around(&1, 3), group(&[1, 2, 3], &[1], true));
        // One transaction alone is never cut.
        assert_eq!(groups.around(&1, 2), group(&[1, 2, 3], &[1], true));
        assert_eq!(groups.around(&4, 4), group(&[1, 2, 3, 4], &[1, 2], false));
    }

    #[test]
    fn a_read_may_show_only_what_is_written_with_it() {
        let mut groups = Groups::default();
        groups.join(1, [1, 2], false);
        let own = BTreeSet::from([1]);
        assert!(groups.others(&[1, 2], &own).is_empty());
        groups.join(2, [2, 3], false);
        assert_eq!(groups.others(&[1, 2], &own), BTreeSet::from([2]));
        assert_eq!(groups.others(&[3], &BTreeSet::new()), BTreeSet::from([2]));
    }

    /// Against groups found by comparing every pair.
    #[test]
    fn groups_are_the_connected_parts() {
        let mut seed = 7_u32;
        let mut random = move |below: u32| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 16) % below
        };
        for _ in 0..200 {
            let mut groups = Groups::default();
            let mut sets: Vec<BTreeSet<u32>> = Vec::new();
            for transaction in 0..random(8) {
                let keys: BTreeSet<u32> = (0..=random(3)).map(|_| random(12)).collect();
                groups.join(transaction, keys.clone(), false);
                sets.push(keys);
            }
            if !sets.is_empty() && random(2) == 0 {
                groups.leave(0);
                sets[0].clear();
            }
            for key in 0..12 {
                let mut reached = BTreeSet::from([key]);
                while let Some(more) =
                    sets.iter().find(|set| !set.is_disjoint(&reached) && !set.is_subset(&reached))
                {
                    reached.extend(more.iter().copied());
                }
                let alone = !sets.iter().any(|set| set.contains(&key));
                let found = groups.around(&key, 100).map(|group| group.keys);
                assert_eq!(found, (!alone).then_some(reached));
            }
        }
    }
}
