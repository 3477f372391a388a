//! The connections beyond the total, which are kept for health checks.
//!
//! A connection that sends nothing must not keep a health check out. So when the reserve is full, a new
//! connection takes the place of one that has sent no request yet.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::sync::Notify;

/// The open connections of the reserve, by their numbers, so the oldest is first.
#[derive(Default)]
pub(crate) struct Reserve {
    held: BTreeMap<u64, Held>,
    next: u64,
}

struct Held {
    network: IpAddr,
    connection: Arc<ReservedConnection>,
}

/// A connection of the reserve, shared by its task and the reserve.
#[derive(Default)]
pub(crate) struct ReservedConnection {
    has_asked: AtomicBool,
    evicted: Notify,
}

impl ReservedConnection {
    /// Notes that the head of a request has arrived. The connection keeps its place until it ends.
    pub(crate) fn asked(&self) {
        self.has_asked.store(true, Ordering::Relaxed);
    }

    /// Completes when a newer connection has taken the place of this one.
    pub(crate) async fn evicted(&self) {
        self.evicted.notified().await;
    }
}

/// A place in the reserve.
pub(crate) struct Place {
    /// What [`Reserve::remove`] needs.
    pub(crate) number: u64,
    pub(crate) connection: Arc<ReservedConnection>,
    /// Whether another connection lost its place.
    pub(crate) evicts: bool,
}

impl Reserve {
    /// Takes a place for a connection of `network`. `None` if all `max` places answer a request.
    pub(crate) fn insert(&mut self, max: usize, network: IpAddr) -> Option<Place> {
        let evicts = self.held.len() >= max;
        if evicts {
            let evicted = self.held.remove(&self.dispensable()?)?;
            evicted.connection.evicted.notify_one();
        }
        let number = self.next;
        self.next += 1;
        let connection = Arc::<ReservedConnection>::default();
        let held = Held {
            network,
            connection: Arc::clone(&connection),
        };
        self.held.insert(number, held);
        Some(Place {
            number,
            connection,
            evicts,
        })
    }

    /// Gives the place of an ended connection back. Does nothing if it was evicted.
    pub(crate) fn remove(&mut self, number: u64) {
        self.held.remove(&number);
    }

    /// The oldest connection without a request, of the network that has the most of them. So a flood from
    /// few networks evicts itself.
    fn dispensable(&self) -> Option<u64> {
        let silent = || {
            let asked = |held: &Held| held.connection.has_asked.load(Ordering::Relaxed);
            self.held.iter().filter(move |(_, held)| !asked(held))
        };
        let mut counts = HashMap::<IpAddr, usize>::new();
        for (_, held) in silent() {
            *counts.entry(held.network).or_default() += 1;
        }
        let most = counts.values().max()?;
        silent()
            .find(|(_, held)| counts.get(&held.network) == Some(most))
            .map(|(number, _)| *number)
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn network(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    fn is_evicted(place: &Place) -> bool {
        place.connection.evicted().now_or_never().is_some()
    }

    #[test]
    fn the_oldest_silent_connection_of_the_busiest_network_is_evicted() {
        let mut reserve = Reserve::default();
        let [check, first, second] = [1, 2, 2].map(|last| reserve.insert(3, network(last)).unwrap());
        let third = reserve.insert(3, network(2)).unwrap();
        assert!(third.evicts && is_evicted(&first));
        assert!(!is_evicted(&check), "the network with fewer connections");
        second.connection.asked();
        third.connection.asked();
        let next = reserve.insert(3, network(2)).unwrap();
        assert!(next.evicts && is_evicted(&check), "the only silent one");
        assert!(!is_evicted(&second) && !is_evicted(&third), "they have asked");
    }

    #[test]
    fn places_that_answer_are_kept_and_return_with_the_end_of_their_connections() {
        let mut reserve = Reserve::default();
        let first = reserve.insert(1, network(1)).unwrap();
        first.connection.asked();
        assert!(reserve.insert(1, network(2)).is_none());
        reserve.remove(first.number);
        let second = reserve.insert(1, network(2)).unwrap();
        assert!(!second.evicts);
        let third = reserve.insert(1, network(2)).unwrap();
        reserve.remove(second.number);
        assert!(!reserve.is_empty(), "the evicted connection had no place");
        reserve.remove(third.number);
        assert!(reserve.is_empty());
    }

    #[test]
    fn a_reserve_of_none_admits_nobody() {
        assert!(Reserve::default().insert(0, network(1)).is_none());
    }
}
