//! Refreshes under way, never more than a limit.
//! Never here: which rows, or what follows from how they end.

use std::pin::Pin;

use futures_util::stream::{FuturesUnordered, StreamExt};
use segue_rules::entity::Entity;
use segue_rules::value::{Cell, ItemKey};

use crate::mirror::{Mirror, RefreshEnd};

type Refreshing<T> = Pin<Box<dyn Future<Output = (T, RefreshEnd)> + Send>>;

/// Refreshes under way; each carries what its caller wants to know it by.
pub(super) struct Flight<T> {
    mirror: Mirror,
    most: usize,
    refreshes: FuturesUnordered<Refreshing<T>>,
}

impl<T: Send + 'static> Flight<T> {
    pub fn new(mirror: &Mirror, most: usize) -> Self {
        Flight { mirror: mirror.clone(), most, refreshes: FuturesUnordered::new() }
    }

    /// Whether one must land before another may start.
    pub fn is_full(&self) -> bool {
        self.refreshes.len() >= self.most
    }

    /// `stale`: an item key that the row may have had.
    pub fn launch(&mut self, name: T, entity: &Entity, key: Vec<Cell>, stale: Option<ItemKey>) {
        let refresh = self.mirror.refresh(entity, key, stale);
        self.refreshes.push(Box::pin(async move { (name, refresh.await) }));
    }

    /// The next that has ended; `None`: none is under way.
    pub async fn land(&mut self) -> Option<(T, RefreshEnd)> {
        self.refreshes.next().await
    }
}
