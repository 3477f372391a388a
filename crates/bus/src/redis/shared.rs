//! State that the tasks of one Redis client share.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use super::{
    connector::Connector,
    metrics::Metrics,
    shard::{Shard, ShardMap},
    slots,
    subscriptions::{Listening, Subscriptions},
};
use crate::{BusError, Options};

/// Bytes of the client id before each message.
pub(crate) const CLIENT_ID: usize = 8;

pub(crate) struct Shared {
    /// Marks this client's messages, which it does not deliver to itself.
    pub(crate) id: [u8; CLIENT_ID],
    pub(crate) options: Options,
    /// Prefix of the names of channels.
    pub(crate) channels: String,
    /// Redis Cluster: channels and keys have slots, and channels are sharded.
    pub(crate) is_cluster: bool,
    pub(crate) connector: Connector,
    /// Locked for moments only, and never while a listener runs.
    pub(crate) subscriptions: Mutex<Subscriptions>,
    pub(crate) shard_map: watch::Sender<Arc<ShardMap>>,
    /// Outcome of the latest discovery of masters; `None` until the first one has ended.
    pub(crate) discovered: watch::Sender<Option<Result<(), BusError>>>,
    /// Asks for a new discovery after a failure that a change of masters explains.
    pub(crate) rediscover: Notify,
    pub(crate) closed: AtomicBool,
    pub(crate) metrics: Metrics,
}

impl Shared {
    pub(crate) fn channel(&self, topic: &str) -> String {
        format!("{}{topic}", self.channels)
    }

    pub(crate) fn topic<'a>(&self, channel: &'a str) -> &'a str {
        channel.strip_prefix(&self.channels).unwrap_or_default()
    }

    pub(crate) fn slot(&self, name: &str) -> u16 {
        // Without a cluster one master serves everything.
        if self.is_cluster { slots::slot(name) } else { 0 }
    }

    pub(crate) fn shard(&self, slot: u16) -> Option<Arc<Shard>> {
        self.shard_map.borrow().shard(slot).cloned()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// Waits until the first discovery has ended. Each of its steps has a time limit.
    pub(crate) async fn first_discovery(&self) {
        let mut discovered = self.discovered.subscribe();
        // The sender lives as long as `self`.
        let _ = discovered.wait_for(Option::is_some).await;
    }

    /// Channels that the shard serves now.
    pub(crate) fn channels_of(&self, shard: &Arc<Shard>) -> Vec<Arc<str>> {
        let map = self.shard_map.borrow().clone();
        self.subscriptions.lock().within(|slot| map.serves(slot, shard))
    }

    /// Marks the subscriptions of a shard as unconfirmed after its connection was lost.
    pub(crate) fn connection_lost(&self, shard: &Arc<Shard>) {
        let map = self.shard_map.borrow().clone();
        self.subscriptions
            .lock()
            .unconfirm(|slot| map.serves(slot, shard));
    }

    /// Marks a channel as confirmed on this shard, and reports a gap to listeners that were confirmed before.
    pub(crate) fn confirmed(&self, channel: &str, shard: &Arc<Shard>) {
        let map = self.shard_map.borrow().clone();
        let again = {
            let mut subscriptions = self.subscriptions.lock();
            match subscriptions.slot(channel) {
                Some(slot) if map.serves(slot, shard) => subscriptions.confirm(channel),
                _ => Vec::new(),
            }
        };
        self.report_gap(channel, &again);
    }

    fn report_gap(&self, channel: &str, listening: &[Arc<Listening>]) {
        for listening in listening {
            listening.listener.gap(self.topic(channel));
        }
    }
}
