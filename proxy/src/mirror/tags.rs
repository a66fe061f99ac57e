//! The tags of items as last seen, with the moment each was learnt.
//! Never here: deciding which condition a write carries, or whether a tag may serve one.

use std::num::NonZeroUsize;

use lru::LruCache;
use parking_lot::Mutex;
use segue_rules::refresh::{Moment, Owner, Seen};
use segue_rules::value::ItemKey;

struct Inner {
    now: Moment,
    tags: LruCache<ItemKey, Seen>,
}

/// A bounded cache of item tags. An item that is not in it is treated as absent, which costs one
/// failed condition and nothing else.
pub(crate) struct Tags(Mutex<Inner>);

impl Tags {
    pub fn new(most: usize) -> Tags {
        let most = NonZeroUsize::new(most).unwrap_or(NonZeroUsize::MIN);
        Tags(Mutex::new(Inner { now: Moment::default(), tags: LruCache::new(most) }))
    }

    /// Now; a tag learnt later must not be used for what is read from here on.
    pub fn now(&self) -> Moment {
        self.0.lock().now
    }

    /// The tag of this owner's item, if it was learnt no later than `moment`.
    pub fn known_at(&self, key: &ItemKey, owner: &Owner, moment: Moment) -> Option<String> {
        let mut inner = self.0.lock();
        let seen = inner.tags.get(key)?;
        seen.serves(owner, moment).then(|| seen.tag.clone())
    }

    pub fn learn(&self, key: &ItemKey, owner: &Owner, tag: &str) {
        let mut inner = self.0.lock();
        inner.now = inner.now.next();
        let (tag, owner, learnt) = (tag.to_owned(), owner.clone(), inner.now);
        inner.tags.put(key.clone(), Seen { tag, owner, learnt });
    }

    pub fn is_known(&self, key: &ItemKey) -> bool {
        self.0.lock().tags.contains(key)
    }

    pub fn forget(&self, key: &ItemKey) {
        self.0.lock().tags.pop(key);
    }
}

#[cfg(test)]
mod tests {
    use segue_rules::value::Attribute;

    use super::*;

    #[test]
    fn a_tag_learnt_after_the_read_began_is_not_used() {
        let tags = Tags::new(8);
        let key = ItemKey { table: "T".into(), pk: Attribute::S("a".into()), sk: None };
        let owner = |name: &str| Owner { entity: name.into(), key: Vec::new() };
        let before = tags.now();
        tags.learn(&key, &owner("me"), "one");
        assert_eq!(tags.known_at(&key, &owner("me"), before), None);
        let after = tags.now();
        assert_eq!(tags.known_at(&key, &owner("me"), after), Some("one".to_owned()));
        assert_eq!(tags.known_at(&key, &owner("other"), after), None);
        tags.learn(&key, &owner("me"), "two");
        assert_eq!(tags.known_at(&key, &owner("me"), after), None);
        tags.forget(&key);
        assert_eq!(tags.known_at(&key, &owner("me"), tags.now()), None);
    }
}
