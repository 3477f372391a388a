//! The registry: entries of living nodes, and duties that one node has for all.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use roomful_bus::{Entry, ExpiredEntry};
use serde::Serialize;
use serde_json::Value;
use tokio::time::{Duration, Instant};

use super::{Cluster, bus_message::encode};
use crate::{
    error::ChatError,
    stats::{NodeStats, Stats},
};

/// Entries of dead nodes that are removed at a time.
const SWEEP_BATCH: usize = 1_000;
/// How long a node has a duty unless it claims it again.
const DUTY: Duration = Duration::from_secs(10);

impl Cluster {
    /// Puts this node's entry. Returns the entries of other living nodes under the key.
    pub(crate) async fn put<T: Serialize>(&self, key: &str, value: &T) -> Result<Vec<Entry>, ChatError> {
        let incarnation = self.lease.incarnation();
        Ok(self.config.bus.put(&incarnation, key, encode(value)).await?)
    }

    /// Removes this node's entry. Returns the entries of other living nodes under the key.
    pub(crate) async fn remove(&self, key: &str) -> Result<Vec<Entry>, ChatError> {
        Ok(self.config.bus.remove(&self.lease.incarnation(), key).await?)
    }

    /// The entries of other living nodes under these keys, in their order.
    pub(crate) async fn others(&self, keys: &[String]) -> Result<Vec<Vec<Entry>>, ChatError> {
        let mut found = self.config.bus.entries(keys).await?;
        let me = self.lease.incarnation();
        for entries in &mut found {
            entries.retain(|entry| *entry.member != *me);
        }
        Ok(found)
    }

    /// The incarnations of the other living nodes.
    pub(crate) async fn other_members(&self) -> Result<Vec<String>, ChatError> {
        let others = self.other_infos().await?;
        Ok(others.into_iter().map(|entry| entry.member).collect())
    }

    /// The figures of the other living nodes, as of their last heartbeats.
    pub(crate) async fn other_nodes(&self) -> Result<Vec<NodeStats>, ChatError> {
        let others = self.other_infos().await?;
        let read = |entry: &Entry| serde_json::from_slice(&entry.value).ok();
        Ok(others.iter().filter_map(read).collect())
    }

    /// Whether the registry is sure that an incarnation of a node is dead. This node's present one is alive.
    ///
    /// # Errors
    /// `unavailable` if the registry cannot be read.
    pub(crate) async fn is_dead(&self, incarnation: &str) -> Result<bool, ChatError> {
        let members = self.config.bus.members().await?;
        let is_known = members.iter().any(|entry| entry.member == incarnation);
        Ok(!is_known && self.is_complete().await?)
    }

    pub(super) async fn other_infos(&self) -> Result<Vec<Entry>, ChatError> {
        let mut members = self.config.bus.members().await?;
        let me = self.lease.incarnation();
        members.retain(|entry| *entry.member != *me);
        Ok(members)
    }

    /// What this node's heartbeat tells the registry.
    pub(super) fn info(&self, stats: Stats) -> Bytes {
        let mut info = self.config.info.clone();
        let own = NodeStats {
            node: self.config.node.clone(),
            stats,
        };
        if let Ok(Value::Object(own)) = serde_json::to_value(own) {
            info.extend(own);
        }
        encode(&info)
    }

    /// True if absence from the registry can be trusted, for entries that were read before this call.
    ///
    /// A registry that has lost its content, like Redis after a restart without persistence, is incomplete
    /// until all nodes have put their entries again. Asked before the read, this would prove nothing: the
    /// registry may lose its content in between.
    pub(crate) async fn is_complete(&self) -> Result<bool, ChatError> {
        let me = self.lease.incarnation();
        let members = self.config.bus.members().await?;
        if !members.iter().any(|entry| *entry.member == *me) {
            self.forgotten.notify_one();
            return Ok(false);
        }
        // The registry may have lost this node, and know it again by a heartbeat whose answer would tell.
        if self.heartbeat_open.load(Ordering::Acquire) {
            return Ok(false);
        }
        let incomplete_until = *self.incomplete_until.lock();
        Ok(incomplete_until.is_none_or(|until| until <= Instant::now()))
    }

    /// Removes entries of dead nodes. Each is returned to one node only.
    pub(crate) async fn take_expired(&self) -> Result<Vec<ExpiredEntry>, ChatError> {
        Ok(self.config.bus.take_expired(SWEEP_BATCH).await?)
    }

    /// Whether this node currently holds `duty`, which one node carries out for all. False if the registry
    /// can't be asked.
    pub(crate) async fn is_leader_for(&self, duty: &str) -> bool {
        let claimed = self
            .config
            .bus
            .acquire_lock(&self.lease.incarnation(), duty, DUTY)
            .await;
        claimed.unwrap_or(false)
    }
}
