//! A cache of the other nodes' addresses. A miss reads the directory again.

use std::{collections::HashMap, sync::Arc, time::Duration};

use http::uri::Authority;
use parking_lot::RwLock;
use tokio::{
    sync::{Mutex, Semaphore},
    time::Instant,
};

use super::{Directory, NodeTag};

/// Requests that may wait for the directory at a time. Requests with invented tags can fill only this.
const MAX_WAITING: usize = 1024;
/// How long the directory may take to answer.
const TIMEOUT: Duration = Duration::from_secs(2);

/// How long to keep a node that the directory no longer lists. A dead node refuses connections anyway.
const KEEP_UNLISTED: Duration = Duration::from_secs(15);

/// Another node.
pub(super) struct Peer {
    pub(super) tag: NodeTag,
    pub(super) authority: Authority,
    /// One permit per open connection to it.
    pub(super) permits: Arc<Semaphore>,
}

/// A node as last listed by the directory.
struct CachedPeer {
    peer: Arc<Peer>,
    /// Time of that listing.
    at: Instant,
}

pub(super) struct PeerCache {
    directory: Arc<dyn Directory>,
    /// Maximum of open connections per peer.
    permits: usize,
    refresh_every: Duration,
    peers: RwLock<HashMap<NodeTag, CachedPeer>>,
    /// Async, since it is held during the read: one caller reads, and the waiting callers use the result.
    refreshes: Mutex<Refreshes>,
    waiting: Semaphore,
}

#[derive(Default)]
struct Refreshes {
    /// Start of the latest read, answered or not.
    begun: Option<Instant>,
    /// Start of the latest read that has ended, with or without success.
    ended: Option<Instant>,
}

impl PeerCache {
    pub(super) fn new(directory: Arc<dyn Directory>, permits: usize, refresh_every: Duration) -> Self {
        PeerCache {
            directory,
            permits,
            refresh_every,
            peers: RwLock::default(),
            refreshes: Mutex::default(),
            waiting: Semaphore::new(MAX_WAITING),
        }
    }

    fn cached(&self, tag: NodeTag) -> Option<Arc<Peer>> {
        self.peers.read().get(&tag).map(|cached| Arc::clone(&cached.peer))
    }

    /// Finds a node by its tag. On a miss, waits until the directory may be read again, since the node may
    /// have joined just after the last read.
    pub(super) async fn find(&self, tag: NodeTag) -> Option<Arc<Peer>> {
        if let Some(peer) = self.cached(tag) {
            return Some(peer);
        }
        let wanted = Instant::now();
        let _place = self.waiting.try_acquire().ok()?;
        let mut refreshes = self.refreshes.lock().await;
        if refreshes.ended.is_none_or(|ended| ended < wanted) {
            if let Some(begun) = refreshes.begun {
                tokio::time::sleep_until(begun + self.refresh_every).await;
            }
            let begun = Instant::now();
            refreshes.begun = Some(begun);
            self.refresh().await;
            refreshes.ended = Some(begun);
        }
        self.cached(tag)
    }

    async fn refresh(&self) {
        let nodes = match tokio::time::timeout(TIMEOUT, self.directory.nodes()).await {
            Ok(Ok(nodes)) => nodes,
            // Keep the cached nodes: most of them are still correct.
            Ok(Err(error)) => {
                return tracing::warn!(%error, "failed to read the cluster's members, using the cached ones");
            }
            Err(_) => {
                return tracing::warn!("failed to read the cluster's members in time, using the cached ones");
            }
        };
        let mut peers = self.peers.write();
        let now = Instant::now();
        for node in nodes {
            let Ok(authority) = node.authority() else {
                tracing::warn!(advertise = ?node.advertise, "ignored a node with an invalid address");
                continue;
            };
            let listed = match peers.get(&node.tag) {
                Some(cached) if cached.peer.authority == authority => Arc::clone(&cached.peer),
                _ => Arc::new(Peer {
                    tag: node.tag,
                    authority,
                    permits: Arc::new(Semaphore::new(self.permits)),
                }),
            };
            peers.insert(
                node.tag,
                CachedPeer {
                    peer: listed,
                    at: now,
                },
            );
        }
        // A directory that has lost its data lists a node again only after the node's next heartbeat.
        peers.retain(|_, cached| now.duration_since(cached.at) < KEEP_UNLISTED);
    }

    /// Removes a node that could not be reached, so that the next request for it reads the directory.
    pub(super) fn invalidate(&self, peer: &Arc<Peer>) {
        let mut peers = self.peers.write();
        if peers
            .get(&peer.tag)
            .is_some_and(|cached| Arc::ptr_eq(&cached.peer, peer))
        {
            peers.remove(&peer.tag);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use async_trait::async_trait;
    use futures_util::FutureExt;
    use roomful_bus::BusError;

    use super::*;
    use crate::cluster::NodeAddress;

    #[derive(Default)]
    struct Listed {
        nodes: parking_lot::Mutex<Vec<NodeAddress>>,
        asked: AtomicUsize,
    }

    #[async_trait]
    impl Directory for Listed {
        async fn nodes(&self) -> Result<Vec<NodeAddress>, BusError> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
            Ok(self.nodes.lock().clone())
        }
    }

    fn node_address() -> NodeAddress {
        NodeAddress {
            tag: NodeTag::random(),
            advertise: "127.0.0.1:1".to_owned(),
        }
    }

    fn peer_cache() -> (Arc<Listed>, PeerCache) {
        let listed = Arc::new(Listed::default());
        let peer_cache = PeerCache::new(listed.clone(), 1, Duration::from_millis(500));
        (listed, peer_cache)
    }

    #[tokio::test(start_paused = true)]
    async fn concurrent_misses_read_the_directory_once() {
        let (listed, peer_cache) = peer_cache();
        let there = node_address();
        listed.nodes.lock().push(there.clone());
        let finds = (0..100).map(|_| peer_cache.find(there.tag));
        for peer in futures_util::future::join_all(finds).await {
            assert_eq!(peer.unwrap().tag, there.tag);
        }
        assert_eq!(listed.asked.load(Ordering::Relaxed), 1);
        peer_cache.find(there.tag).await.unwrap();
        assert_eq!(listed.asked.load(Ordering::Relaxed), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn invented_tags_do_not_flood_the_directory_and_a_new_node_is_found() {
        let (listed, peer_cache) = peer_cache();
        assert!(peer_cache.find(NodeTag::random()).await.is_none());
        tokio::time::advance(Duration::from_millis(1)).await;
        let newcomer = node_address();
        listed.nodes.lock().push(newcomer.clone());
        let before = Instant::now();
        assert!(
            peer_cache.find(newcomer.tag).await.is_some(),
            "asked again, later"
        );
        assert!(before.elapsed() >= Duration::from_millis(498));
        assert_eq!(listed.asked.load(Ordering::Relaxed), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_cancelled_read_does_not_count() {
        let (listed, peer_cache) = peer_cache();
        let there = node_address();
        listed.nodes.lock().push(there.clone());
        assert!(peer_cache.find(there.tag).now_or_never().is_none());
        assert!(peer_cache.find(there.tag).await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn an_unreachable_node_is_looked_up_again() {
        let (listed, peer_cache) = peer_cache();
        let there = node_address();
        listed.nodes.lock().push(there.clone());
        let peer = peer_cache.find(there.tag).await.unwrap();
        listed.nodes.lock().clear();
        peer_cache.invalidate(&peer);
        assert!(peer_cache.find(there.tag).await.is_none());
    }
}
