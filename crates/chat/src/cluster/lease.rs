//! This node's lease: as long as it lasts, what this node says of its users counts. A node that can't renew it sends its
//! clients away before it ends: others will take them for gone, and they are better off on a node that can say that they are
//! there.

use std::{
    sync::{Arc, Weak, atomic::Ordering},
    time::Duration,
};

use parking_lot::RwLock;
use rand::RngExt as _;
use roomful_bus::Beat;
use roomful_socket::Reason;
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};

use super::{Cluster, moment::Moment};
use crate::app::App;

/// How long to wait, at least, before the next sign of life.
const LEAST_WAIT: Duration = Duration::from_millis(50);

/// This node as the roster knows it.
pub(crate) struct Standing {
    node: String,
    member: RwLock<Arc<str>>,
    term: watch::Sender<Term>,
}

/// From when a lease begins until it ends.
#[derive(Clone, Copy, Default)]
struct Term {
    /// Counts them.
    number: u64,
    /// Until when the lease lasts, as far as this node can know; `None` between two of them. That it has ended is told by
    /// this and not by whoever notes it: a process that has stood still goes on wherever it was.
    ends: Option<Moment>,
}

impl Term {
    fn lasts(self) -> bool {
        self.ends.is_some_and(|ends| !ends.is_over())
    }
}

impl Standing {
    pub(super) fn new(node: &str) -> Self {
        Self {
            node: node.to_owned(),
            member: RwLock::new(member(node)),
            term: watch::Sender::default(),
        }
    }

    /// The member that this node is now.
    pub(super) fn member(&self) -> Arc<str> {
        Arc::clone(&self.member.read())
    }

    pub(super) fn lasts(&self) -> bool {
        self.term.borrow().lasts()
    }

    /// The number of the term, as long as it lasts.
    pub(super) fn term(&self) -> Option<u64> {
        let term = *self.term.borrow();
        term.lasts().then_some(term.number)
    }

    /// Waits until the lease lasts.
    pub(super) async fn in_good_standing(&self) {
        // The sender lives as long as this.
        let _ = self.term.subscribe().wait_for(|term| term.lasts()).await;
    }

    /// The lease lasts until then. Answers whether this is no new one.
    fn lasts_until(&self, ends: Moment) -> bool {
        let mut went_on = false;
        self.term.send_modify(|term| {
            went_on = term.ends.is_some();
            term.number += u64::from(!went_on);
            term.ends = Some(ends);
        });
        went_on
    }

    /// The lease is over. Answers whether there was one.
    fn end(&self) -> bool {
        self.term.send_if_modified(|term| term.ends.take().is_some())
    }
}

/// A name that no start of a node ever had.
fn member(node: &str) -> Arc<str> {
    format!("{node}.{:016x}", rand::rng().random::<u64>()).into()
}

/// Renews the lease until the chat is gone. Three renewals may fail before it ends.
pub(super) async fn keep(owner: Weak<App>, cluster: Arc<Cluster>) {
    let ttl = cluster.config.lease;
    let (every, in_time) = (ttl / 3, ttl * 4 / 5);
    let mut renewed: Option<Moment> = None;
    loop {
        let Some(app) = owner.upgrade() else { return };
        let asked = Moment::now();
        let (member, info) = (cluster.standing.member(), cluster.info(app.stats()));
        // No answer is worth waiting for longer than the lease may last.
        let patience = renewed.map_or(every, |at| (at + in_time).left());
        let patience = patience.clamp(Duration::from_millis(50), every);
        cluster.unanswered.store(true, Ordering::Release);
        match timeout(patience, cluster.config.bus.beat(&member, info, ttl)).await {
            Ok(Ok(beat @ (Beat::Renewed | Beat::Began))) => {
                renewed = Some(asked);
                let lasted = cluster.standing.lasts_until(asked + in_time);
                if lasted && beat == Beat::Began {
                    // It was forgotten. The others are to find out, too, and to put again what is theirs.
                    *cluster.doubted_until.lock() = Some(Instant::now() + ttl);
                }
                cluster.unanswered.store(false, Ordering::Release);
                if !lasted || beat == Beat::Began {
                    app.presence.put_all();
                }
            }
            Ok(Ok(Beat::Lapsed)) => {
                fence(&app, &cluster, "it has ended");
                *cluster.standing.member.write() = self::member(&cluster.standing.node);
                renewed = None;
                continue;
            }
            Ok(Err(error)) => tracing::warn!(%error, "this node's lease can't be renewed"),
            Err(_) => tracing::warn!("this node's lease can't be renewed: the roster does not answer"),
        }
        let ends = renewed.map(|at| at + in_time);
        let over = ends.is_none_or(Moment::is_over);
        if over {
            fence(&app, &cluster, "it can't be renewed");
            renewed = None;
        }
        drop(app);
        // Whoever has lost it tries more often than whoever has it.
        let next = if over { asked + every / 5 } else { asked + every };
        let next = ends.filter(|_| !over).map_or(next, |ends| next.min(ends));
        // Or at once, if the roster has forgotten this node.
        let _ = timeout(next.left().max(LEAST_WAIT), cluster.forgotten.notified()).await;
    }
}

fn fence(app: &App, cluster: &Cluster, why: &str) {
    if !cluster.standing.end() {
        return;
    }
    cluster.lost_leases.increment(1);
    tracing::error!(why, "this node has lost its lease: all its clients are sent away");
    for socket in app.namespace.sockets() {
        socket.close(Reason::ForcedClose);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_has_ended_whether_or_not_somebody_noted_it() {
        let standing = Standing::new("node");
        assert_eq!(standing.term(), None, "not yet");
        let hour = Duration::from_hours(1);
        assert!(!standing.lasts_until(Moment::now() + hour));
        assert_eq!((standing.lasts(), standing.term()), (true, Some(1)));
        // As when the process stood still and goes on anywhere.
        assert!(standing.lasts_until(Moment::now()));
        assert_eq!((standing.lasts(), standing.term()), (false, None));
        assert!(standing.end() && !standing.end());
        assert!(!standing.lasts_until(Moment::now() + hour));
        assert_eq!(standing.term(), Some(2), "another one");
    }
}
