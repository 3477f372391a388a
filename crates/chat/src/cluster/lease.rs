//! This node's lease, which says how long its registry entries are valid.
//!
//! A node that fails to renew its lease closes its connections before the lease ends. The other nodes then
//! treat its clients as offline, so the clients have to reconnect to a node that is part of the cluster.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use parking_lot::RwLock;
use rand::RngExt as _;
use roomful_bus::Heartbeat;
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};

use super::{Cluster, NodeEvents, boot_clock::BootTime};
use crate::outage_log::OutageLog;

/// How long a stopping node waits for the bus to take its lease back.
pub(super) const LEAVE_TIMEOUT: Duration = Duration::from_secs(2);
/// The shortest wait before the next heartbeat.
const MIN_WAIT: Duration = Duration::from_millis(50);

/// The lease of this node's present incarnation.
pub(crate) struct Lease {
    node: String,
    incarnation: RwLock<Arc<str>>,
    term: watch::Sender<Term>,
}

#[derive(Clone, Copy, Default)]
struct Term {
    /// Counts the leases of this process.
    number: u64,
    /// The earliest end of the lease, as far as this node knows; `None` without a lease. Code compares
    /// the clock with this time and does not rely on a task to notice the end: a pause may stop the whole
    /// process.
    ends: Option<BootTime>,
}

impl Term {
    fn lasts(self) -> bool {
        self.ends.is_some_and(|ends| !ends.has_passed())
    }
}

impl Lease {
    pub(super) fn new(node: &str) -> Self {
        Self {
            node: node.to_owned(),
            incarnation: RwLock::new(new_incarnation(node)),
            term: watch::Sender::default(),
        }
    }

    /// The name of this node's present incarnation in the registry.
    pub(super) fn incarnation(&self) -> Arc<str> {
        Arc::clone(&self.incarnation.read())
    }

    pub(super) fn lasts(&self) -> bool {
        self.term.borrow().lasts()
    }

    /// The number of the lease, as long as it lasts.
    pub(super) fn number(&self) -> Option<u64> {
        let term = *self.term.borrow();
        term.lasts().then_some(term.number)
    }

    /// Waits until there is a lease.
    pub(super) async fn acquired(&self) {
        // The sender lives as long as `self`.
        let _ = self.term.subscribe().wait_for(|term| term.lasts()).await;
    }

    /// The lease lasts until `ends`. Returns whether it is the same lease as before.
    fn extend(&self, ends: BootTime) -> bool {
        let mut is_same = false;
        self.term.send_modify(|term| {
            is_same = term.ends.is_some();
            term.number += u64::from(!is_same);
            term.ends = Some(ends);
        });
        is_same
    }

    /// The lease is over. Returns whether there was one.
    fn end(&self) -> bool {
        self.term.send_if_modified(|term| term.ends.take().is_some())
    }

    /// The registry has declared this incarnation dead.
    fn begin_incarnation(&self) {
        *self.incarnation.write() = new_incarnation(&self.node);
    }
}

/// A name that no earlier incarnation has had.
fn new_incarnation(node: &str) -> Arc<str> {
    format!("{node}.{:016x}", rand::rng().random::<u64>()).into()
}

/// Sends heartbeats until the node is gone. Three of them may fail before the lease ends.
pub(super) async fn keep(cluster: Arc<Cluster>) {
    let ttl = cluster.config.lease;
    let (every, usable) = (ttl / 3, ttl * 4 / 5);
    let mut renewed: Option<BootTime> = None;
    let mut outage = OutageLog::default();
    loop {
        let Some(node) = cluster.events.upgrade() else {
            return;
        };
        let asked = BootTime::now();
        // An answer is useless after the lease has ended.
        let patience = renewed.map_or(every, |at| (at + usable).left());
        let patience = patience.clamp(MIN_WAIT, every);
        cluster.heartbeat_open.store(true, Ordering::Release);
        let (incarnation, info) = (cluster.lease.incarnation(), cluster.info(node.stats()));
        match timeout(patience, cluster.config.bus.heartbeat(&incarnation, info, ttl)).await {
            Ok(Ok(answer @ (Heartbeat::Renewed | Heartbeat::Started))) => {
                renewed = Some(asked);
                outage.ended("renewed the lease again");
                renew(&cluster, &*node, asked + usable, answer);
            }
            Ok(Ok(Heartbeat::Expired)) => {
                end_lease(&cluster, &*node, "it has expired");
                cluster.lease.begin_incarnation();
                renewed = None;
                continue;
            }
            Ok(Err(error)) => outage.failed("failed to renew the lease, retrying", &error),
            Err(_) => outage.failed(
                "failed to renew the lease, retrying",
                &"the registry does not answer",
            ),
        }
        let ends = renewed.map(|at| at + usable);
        let over = ends.is_none_or(BootTime::has_passed);
        if over {
            end_lease(&cluster, &*node, "renewing it failed");
            renewed = None;
        }
        drop(node);
        // A node without a lease tries more often.
        let next = if over { asked + every / 5 } else { asked + every };
        let next = ends.filter(|_| !over).map_or(next, |ends| next.min(ends));
        // Or at once, if the registry has forgotten this node.
        let next_heartbeat = timeout(next.left().max(MIN_WAIT), cluster.forgotten.notified());
        tokio::select! {
            _ = next_heartbeat => {}
            () = cluster.leaving.notified() => return leave(&cluster).await,
        }
    }
}

/// Gives the lease back. The node's users stay online for the grace, so that they can return on another node.
async fn leave(cluster: &Cluster) {
    if cluster.lease.end() {
        let (bus, incarnation) = (&cluster.config.bus, cluster.lease.incarnation());
        match timeout(LEAVE_TIMEOUT, bus.leave(&incarnation, cluster.grace)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "failed to give the lease back, it expires by itself"),
            // `Cluster::leave` logs it.
            Err(_) => return,
        }
    }
    cluster.has_left.send_replace(true);
}

/// A heartbeat was answered.
fn renew(cluster: &Cluster, node: &dyn NodeEvents, ends: BootTime, answer: Heartbeat) {
    let is_same = cluster.lease.extend(ends);
    let was_forgotten = is_same && answer == Heartbeat::Started;
    if was_forgotten {
        // The other nodes have to notice it, too, and to put their entries again.
        *cluster.incomplete_until.lock() = Some(Instant::now() + cluster.config.lease);
    }
    cluster.heartbeat_open.store(false, Ordering::Release);
    if !is_same || was_forgotten {
        node.lease_began();
    }
}

fn end_lease(cluster: &Cluster, node: &dyn NodeEvents, cause: &str) {
    if cluster.lease.end() {
        cluster.leases_lost.increment(1);
        let clients = node.lease_lost();
        cluster.clients_disconnected.increment(clients);
        tracing::error!(cause, clients, "lost the lease, closed all connections");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_ends_by_its_time_whether_or_not_a_task_has_noticed() {
        let lease = Lease::new("node");
        assert_eq!(lease.number(), None, "not yet");
        let hour = Duration::from_hours(1);
        assert!(!lease.extend(BootTime::now() + hour));
        assert_eq!((lease.lasts(), lease.number()), (true, Some(1)));
        // Like a process that was paused.
        assert!(lease.extend(BootTime::now()));
        assert_eq!((lease.lasts(), lease.number()), (false, None));
        assert!(lease.end() && !lease.end());
        assert!(!lease.extend(BootTime::now() + hour));
        assert_eq!(lease.number(), Some(2), "another one");
    }
}
