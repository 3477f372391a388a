//! The addresses of the other nodes, kept from the directory: looked up at once, asked for anew on a miss.

use std::{collections::HashMap, sync::Arc, time::Duration};

use http::uri::Authority;
use parking_lot::RwLock;
use tokio::{
    sync::{Mutex, Semaphore},
    time::Instant,
};

use super::{Directory, NodeTag};

/// Requests that may wait for the directory at a time. Whoever makes up tags fills this and nothing else.
const MAX_WAITING: usize = 1024;
/// How long the directory may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long a node is known that the directory does not list any more. One that is dead refuses connections meanwhile.
const KEPT: Duration = Duration::from_secs(15);

/// Another node.
pub(super) struct Peer {
    pub(super) tag: NodeTag,
    pub(super) authority: Authority,
    /// One for each connection to it that is in use.
    pub(super) seats: Arc<Semaphore>,
}

/// A node as the directory listed it.
struct Known {
    peer: Arc<Peer>,
    /// When that was, last.
    at: Instant,
}

pub(super) struct AddressBook {
    directory: Arc<dyn Directory>,
    /// Connections in use to each peer.
    seats: usize,
    refresh_every: Duration,
    peers: RwLock<HashMap<NodeTag, Known>>,
    /// Async, since it is held while the directory is asked: one caller asks, and who waits finds the answer.
    refreshes: Mutex<Refreshes>,
    waiting: Semaphore,
}

#[derive(Default)]
struct Refreshes {
    /// When the directory was asked last, answered or not.
    begun: Option<Instant>,
    /// When the last question began that came to its end, with or without success.
    ended: Option<Instant>,
}

impl AddressBook {
    pub(super) fn new(directory: Arc<dyn Directory>, seats: usize, refresh_every: Duration) -> Self {
        AddressBook {
            directory,
            seats,
            refresh_every,
            peers: RwLock::default(),
            refreshes: Mutex::default(),
            waiting: Semaphore::new(MAX_WAITING),
        }
    }

    fn known(&self, tag: NodeTag) -> Option<Arc<Peer>> {
        self.peers.read().get(&tag).map(|known| Arc::clone(&known.peer))
    }

    /// The node of this tag; asks the directory if it is not known. That waits until it may be asked again, since the
    /// node may have come just after the last time.
    pub(super) async fn find(&self, tag: NodeTag) -> Option<Arc<Peer>> {
        if let Some(peer) = self.known(tag) {
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
        self.known(tag)
    }

    async fn refresh(&self) {
        let nodes = match tokio::time::timeout(PATIENCE, self.directory.nodes()).await {
            Ok(Ok(nodes)) => nodes,
            // What is known stays: most of it is still true.
            Ok(Err(error)) => return tracing::warn!(%error, "can't read who is in the cluster"),
            Err(_) => return tracing::warn!("reading who is in the cluster takes too long"),
        };
        let mut peers = self.peers.write();
        let now = Instant::now();
        for card in nodes {
            let Ok(authority) = card.authority() else {
                tracing::warn!(advertise = ?card.advertise, "a node advertises an address that is none");
                continue;
            };
            let listed = match peers.get(&card.tag) {
                Some(known) if known.peer.authority == authority => Arc::clone(&known.peer),
                _ => Arc::new(Peer {
                    tag: card.tag,
                    authority,
                    seats: Arc::new(Semaphore::new(self.seats)),
                }),
            };
            peers.insert(
                card.tag,
                Known {
                    peer: listed,
                    at: now,
                },
            );
        }
        // A directory that has forgotten all lists nobody until each node has given its next sign of life.
        peers.retain(|_, known| now.duration_since(known.at) < KEPT);
    }

    /// A node could not be reached: the next request for it asks the directory whether it is still there.
    pub(super) fn doubt(&self, peer: &Arc<Peer>) {
        let mut peers = self.peers.write();
        if peers
            .get(&peer.tag)
            .is_some_and(|known| Arc::ptr_eq(&known.peer, peer))
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
    use crate::cluster::NodeCard;

    #[derive(Default)]
    struct Listed {
        nodes: parking_lot::Mutex<Vec<NodeCard>>,
        asked: AtomicUsize,
    }

    #[async_trait]
    impl Directory for Listed {
        async fn nodes(&self) -> Result<Vec<NodeCard>, BusError> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
            Ok(self.nodes.lock().clone())
        }
    }

    fn card() -> NodeCard {
        NodeCard {
            tag: NodeTag::random(),
            advertise: "127.0.0.1:1".to_owned(),
        }
    }

    fn book() -> (Arc<Listed>, AddressBook) {
        let listed = Arc::new(Listed::default());
        let book = AddressBook::new(listed.clone(), 1, Duration::from_millis(500));
        (listed, book)
    }

    #[tokio::test(start_paused = true)]
    async fn many_who_miss_at_once_ask_once() {
        let (listed, book) = book();
        let there = card();
        listed.nodes.lock().push(there.clone());
        let finds = (0..100).map(|_| book.find(there.tag));
        for peer in futures_util::future::join_all(finds).await {
            assert_eq!(peer.unwrap().tag, there.tag);
        }
        assert_eq!(listed.asked.load(Ordering::Relaxed), 1);
        book.find(there.tag).await.unwrap();
        assert_eq!(listed.asked.load(Ordering::Relaxed), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn made_up_tags_do_not_drive_the_directory_and_a_newcomer_is_found() {
        let (listed, book) = book();
        assert!(book.find(NodeTag::random()).await.is_none());
        tokio::time::advance(Duration::from_millis(1)).await;
        let newcomer = card();
        listed.nodes.lock().push(newcomer.clone());
        let before = Instant::now();
        assert!(book.find(newcomer.tag).await.is_some(), "asked again, later");
        assert!(before.elapsed() >= Duration::from_millis(498));
        assert_eq!(listed.asked.load(Ordering::Relaxed), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_question_given_up_midway_answers_nobody() {
        let (listed, book) = book();
        let there = card();
        listed.nodes.lock().push(there.clone());
        assert!(book.find(there.tag).now_or_never().is_none());
        assert!(book.find(there.tag).await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn who_was_not_reached_is_asked_for_again() {
        let (listed, book) = book();
        let there = card();
        listed.nodes.lock().push(there.clone());
        let peer = book.find(there.tag).await.unwrap();
        listed.nodes.lock().clear();
        book.doubt(&peer);
        assert!(book.find(there.tag).await.is_none());
    }
}
