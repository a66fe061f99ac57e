//! Under which item key each row's item was last written, for rows whose item key can move; and which
//! of these keys everybody knows who may move the row away.
//! Never here: tags, or anything a refresh may rest a condition on.
//!
//! Two transactions that change different rows which decide one item key together (a row and its
//! parent, say) read their old images side by side, and neither sees the key that the row has between
//! their commits. What this process wrote there it remembers here. Another sidecar cannot: so a key counts
//! as settled only once no transaction was open that may have read its old image before.

use std::num::NonZeroUsize;

use lru::LruCache;
use parking_lot::Mutex;
use segue_rules::refresh::Owner;
use segue_rules::value::ItemKey;

pub(crate) struct Homes {
    written: Mutex<LruCache<Owner, ItemKey>>,
    settled: Mutex<LruCache<Owner, ItemKey>>,
}

impl Homes {
    pub fn new(most: usize) -> Homes {
        let cache = || LruCache::new(NonZeroUsize::new(most).unwrap_or(NonZeroUsize::MIN));
        Homes { written: Mutex::new(cache()), settled: Mutex::new(cache()) }
    }

    pub fn of(&self, owner: &Owner) -> Option<ItemKey> {
        self.written.lock().get(owner).cloned()
    }

    pub fn moved(&self, owner: &Owner, key: &ItemKey) {
        self.written.lock().put(owner.clone(), key.clone());
    }

    pub fn gone(&self, owner: &Owner, key: &ItemKey) {
        let mut homes = self.written.lock();
        if homes.peek(owner) == Some(key) {
            homes.pop(owner);
        }
    }

    pub fn settled(&self, owner: &Owner) -> Option<ItemKey> {
        self.settled.lock().get(owner).cloned()
    }

    /// The row's item is to be created anew.
    pub fn unsettle(&self, owner: &Owner) {
        self.settled.lock().pop(owner);
    }

    pub fn settle(&self, owner: &Owner, key: &ItemKey) {
        self.settled.lock().put(owner.clone(), key.clone());
    }
}
