//! `Shard`: the connections to one master. `ShardMap`: which shard serves which slot.

use std::{collections::HashSet, mem, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use super::{publish_queue::PublishQueue, url::ServerAddr};
use crate::Options;

/// The traffic to and from one master.
pub(crate) struct Shard {
    pub(crate) addr: ServerAddr,
    pub(crate) queue: Arc<PublishQueue>,
    /// Channels whose listeners have changed since the subscriber last looked.
    changed: Mutex<HashSet<Arc<str>>>,
    pub(crate) channels_changed: Notify,
    /// Turns true when the queue is closed and the publisher has emptied it.
    pub(crate) drained: watch::Sender<bool>,
}

impl Shard {
    pub(crate) fn new(addr: ServerAddr, options: &Options) -> Arc<Self> {
        Arc::new(Self {
            addr,
            queue: PublishQueue::new(options.queue_messages, options.queue_bytes),
            changed: Mutex::default(),
            channels_changed: Notify::new(),
            drained: watch::Sender::new(false),
        })
    }

    /// Asks the subscriber to compare these channels with its subscriptions: the first listener came, or
    /// the last one left.
    pub(crate) fn recheck(&self, channels: impl IntoIterator<Item = Arc<str>>) {
        self.changed.lock().extend(channels);
        self.channels_changed.notify_one();
    }

    pub(crate) fn take_changed(&self) -> HashSet<Arc<str>> {
        mem::take(&mut *self.changed.lock())
    }
}

/// The shards and their slots.
#[derive(Default)]
pub(crate) struct ShardMap {
    pub(crate) shards: Vec<Arc<Shard>>,
    /// In a Redis Cluster: for each slot, the index of its shard in `shards`.
    pub(crate) by_slot: Option<Vec<Option<u16>>>,
}

impl ShardMap {
    pub(crate) fn shard(&self, slot: u16) -> Option<&Arc<Shard>> {
        match &self.by_slot {
            None => self.shards.first(),
            Some(by_slot) => self.shards.get(usize::from((*by_slot.get(usize::from(slot))?)?)),
        }
    }

    pub(crate) fn serves(&self, slot: u16, shard: &Arc<Shard>) -> bool {
        self.shard(slot)
            .is_some_and(|serving| Arc::ptr_eq(serving, shard))
    }
}
