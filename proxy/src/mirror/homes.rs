//! Under which item key each row's item was last written, for rows whose item key can move.
//! Never here: tags, or anything a refresh may rest a condition on.
//!
//! Two transactions that change different rows which decide one item key together (a row and its
//! parent, say) read their old images side by side, and neither sees the key that the row has between
//! their commits. What this process wrote there it remembers here.

use std::num::NonZeroUsize;

use lru::LruCache;
use parking_lot::Mutex;
use segue_rules::refresh::Owner;
use segue_rules::value::ItemKey;

pub(crate) struct Homes(Mutex<LruCache<Owner, ItemKey>>);

impl Homes {
    pub fn new(most: usize) -> Homes {
        Homes(Mutex::new(LruCache::new(NonZeroUsize::new(most).unwrap_or(NonZeroUsize::MIN))))
    }

    pub fn of(&self, owner: &Owner) -> Option<ItemKey> {
        self.0.lock().get(owner).cloned()
    }

    pub fn moved(&self, owner: &Owner, key: &ItemKey) {
        self.0.lock().put(owner.clone(), key.clone());
    }

    pub fn gone(&self, owner: &Owner, key: &ItemKey) {
        let mut homes = self.0.lock();
        if homes.peek(owner) == Some(key) {
            homes.pop(owner);
        }
    }
}
