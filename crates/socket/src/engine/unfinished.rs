//! Limits on the bytes of unfinished messages: sums over the server and per address, and the choice of the
//! connections to close when a sum exceeds its limit.

use std::{cmp::Reverse, collections::HashMap, net::IpAddr, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::time::Instant;

use super::{Engine, session::Session};
use crate::{connection_limit::client_network, reason::Reason, throttled_log::ThrottledLog};

/// Shortest time between two log lines about closed connections.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// The sums of a server.
pub(super) struct UnfinishedBytes {
    /// Locked only while a message is unfinished: a message that arrives in one read does not count.
    sums: Mutex<Sums>,
    log: ThrottledLog,
}

#[derive(Debug, Default)]
struct Sums {
    total: usize,
    /// Addresses with unfinished bytes.
    by_address: HashMap<IpAddr, usize>,
}

/// A sum over its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Excess {
    Server,
    Address(IpAddr),
}

impl UnfinishedBytes {
    pub(super) fn new() -> Self {
        UnfinishedBytes {
            sums: Mutex::default(),
            log: ThrottledLog::new(LOG_EVERY),
        }
    }
}

impl Sums {
    /// Replaces a holder's bytes.
    fn change(&mut self, address: IpAddr, before: usize, after: usize) {
        self.total = (self.total + after).saturating_sub(before);
        let of_address = self.by_address.entry(address).or_default();
        *of_address = (*of_address + after).saturating_sub(before);
        if *of_address == 0 {
            self.by_address.remove(&address);
        }
    }

    fn excess(&self, address: IpAddr, max: usize, max_per_ip: usize) -> Option<Excess> {
        if self.by_address.get(&address).is_some_and(|&sum| sum > max_per_ip) {
            Some(Excess::Address(address))
        } else {
            (self.total > max).then_some(Excess::Server)
        }
    }
}

impl Engine {
    /// Replaces the bytes of one holder, a decoder or a POST body, in the sums. If a sum exceeds its limit,
    /// closes the connections that hold most.
    pub(super) fn change_unfinished(&self, address: IpAddr, before: usize, after: usize) {
        let address = client_network(address);
        let settings = &self.settings;
        let mut sums = self.unfinished.sums.lock();
        sums.change(address, before, after);
        let excess = sums.excess(
            address,
            settings.max_unfinished_bytes,
            settings.max_unfinished_bytes_per_ip,
        );
        drop(sums);
        #[allow(clippy::cast_precision_loss)] // a gauge
        self.metrics.unfinished.increment(after as f64 - before as f64);
        if after > before
            && let Some(excess) = excess
        {
            self.close_largest(excess);
        }
    }

    /// Closes connections until the sum is an eighth below its limit, so that the search is not repeated
    /// for each further byte. Connections outside any namespace go first, then those with the most bytes.
    fn close_largest(&self, excess: Excess) {
        let (limit, address) = match excess {
            Excess::Server => (self.settings.max_unfinished_bytes, None),
            Excess::Address(address) => (self.settings.max_unfinished_bytes_per_ip, Some(address)),
        };
        let counts = |session: &Arc<Session>| {
            let included = address.is_none_or(|address| client_network(session.address()) == address);
            included && session.unfinished() > 0 && session.is_open()
        };
        let mut sessions = self.registry.sessions_where(counts);
        sessions.sort_by_cached_key(|session| (session.is_established(), Reverse(session.unfinished())));
        let mut sum: usize = sessions.iter().map(|session| session.unfinished()).sum();
        let mut closed = 0;
        for session in sessions {
            if sum <= limit / 8 * 7 {
                break;
            }
            sum = sum.saturating_sub(session.unfinished());
            session.end(Reason::OutOfMemory);
            closed += 1;
        }
        if closed == 0 {
            // The bytes belong to connections that are closing already.
            return;
        }
        if let Some(connections) = self.unfinished.log.record_many(Instant::now(), closed) {
            let limit_of = match excess {
                Excess::Server => "max_unfinished",
                Excess::Address(_) => "max_unfinished_per_ip",
            };
            tracing::warn!(
                connections,
                limit_of,
                ?address,
                "closed connections with too many unfinished bytes"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const B: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    #[test]
    fn sums_are_kept_per_address_and_in_total() {
        let mut sums = Sums::default();
        sums.change(A, 0, 60);
        assert_eq!(sums.excess(A, 100, 50), Some(Excess::Address(A)));
        sums.change(A, 60, 50);
        assert_eq!(sums.excess(A, 100, 50), None);
        sums.change(B, 0, 50);
        assert_eq!(sums.excess(B, 100, 50), None);
        sums.change(B, 0, 1);
        assert_eq!(sums.excess(A, 100, 50), Some(Excess::Server));
        sums.change(B, 51, 0);
        sums.change(A, 50, 0);
        assert_eq!((sums.total, sums.by_address.len()), (0, 0));
    }
}
