//! What the tasks of one end share, and which master carries what.

use std::{
    collections::HashSet,
    mem,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use super::{
    dial::Dialer,
    metrics::Metrics,
    outbox::Outbox,
    slots,
    target::Place,
    topics::{Listening, Topics},
};
use crate::{BusError, Options};

/// How many bytes of a message say whose it is.
pub(crate) const ID: usize = 8;

pub(crate) struct Shared {
    /// Whose messages are one's own.
    pub(crate) id: [u8; ID],
    pub(crate) options: Options,
    /// What its channels' names begin with.
    pub(crate) channels: String,
    /// Channels and keys have slots, and channels are published in their slot only.
    pub(crate) is_cluster: bool,
    pub(crate) dialer: Dialer,
    /// Held for moments only, and never while a listener is called.
    pub(crate) topics: Mutex<Topics>,
    pub(crate) route: watch::Sender<Arc<Route>>,
    /// How the last round of asking who is master has ended; `None` until the first has.
    pub(crate) found: watch::Sender<Option<Result<(), BusError>>>,
    /// Something failed as it does when another server has become master.
    pub(crate) refresh: Notify,
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
        // Without a cluster, the one master has them all.
        if self.is_cluster { slots::slot(name) } else { 0 }
    }

    pub(crate) fn lane(&self, slot: u16) -> Option<Arc<Lane>> {
        self.route.borrow().lane(slot).cloned()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// Waits until it was asked once who is master. Each that was asked had its own bound in time.
    pub(crate) async fn first_found(&self) {
        let mut found = self.found.subscribe();
        // The sender lives as long as this.
        let _ = found.wait_for(Option::is_some).await;
    }

    /// The topics that a lane carries by the route of now.
    pub(crate) fn topics_of(&self, lane: &Arc<Lane>) -> Vec<Arc<str>> {
        let route = self.route.borrow().clone();
        self.topics.lock().within(|slot| route.is(slot, lane))
    }

    /// Marks what a lane carries as not heard.
    pub(crate) fn lost(&self, lane: &Arc<Lane>) {
        let route = self.route.borrow().clone();
        self.topics.lock().lost(|slot| route.is(slot, lane));
    }

    /// The topic is in effect on this lane.
    pub(crate) fn confirmed(&self, channel: &str, lane: &Arc<Lane>) {
        let route = self.route.borrow().clone();
        let again = {
            let mut topics = self.topics.lock();
            match topics.slot(channel) {
                Some(slot) if route.is(slot, lane) => topics.confirmed(channel),
                _ => Vec::new(),
            }
        };
        self.tell_gap(channel, &again);
    }

    fn tell_gap(&self, channel: &str, listening: &[Arc<Listening>]) {
        for listening in listening {
            listening.listener.gap(self.topic(channel));
        }
    }
}

/// Which lane carries which slots.
#[derive(Default)]
pub(crate) struct Route {
    pub(crate) lanes: Vec<Arc<Lane>>,
    /// For each slot its lane, by its place in `lanes`; in a cluster only.
    pub(crate) by_slot: Option<Vec<Option<u16>>>,
}

impl Route {
    pub(crate) fn lane(&self, slot: u16) -> Option<&Arc<Lane>> {
        match &self.by_slot {
            None => self.lanes.first(),
            Some(by_slot) => self.lanes.get(usize::from((*by_slot.get(usize::from(slot))?)?)),
        }
    }

    pub(crate) fn is(&self, slot: u16, lane: &Arc<Lane>) -> bool {
        self.lane(slot).is_some_and(|carrier| Arc::ptr_eq(carrier, lane))
    }
}

/// What goes to and comes from one master.
pub(crate) struct Lane {
    pub(crate) place: Place,
    pub(crate) outbox: Arc<Outbox>,
    /// Channels that have to be subscribed or unsubscribed, unless it is so already.
    unsettled: Mutex<HashSet<Arc<str>>>,
    pub(crate) unsettled_more: Notify,
    /// All that could be sent was, after the outbox was closed.
    pub(crate) drained: watch::Sender<bool>,
}

impl Lane {
    pub(crate) fn new(place: Place, options: &Options) -> Arc<Self> {
        Arc::new(Self {
            place,
            outbox: Outbox::new(options.queue_messages, options.queue_bytes),
            unsettled: Mutex::default(),
            unsettled_more: Notify::new(),
            drained: watch::Sender::new(false),
        })
    }

    /// Someone came to a channel, or the last one left it.
    pub(crate) fn unsettle(&self, channels: impl IntoIterator<Item = Arc<str>>) {
        self.unsettled.lock().extend(channels);
        self.unsettled_more.notify_one();
    }

    pub(crate) fn take_unsettled(&self) -> HashSet<Arc<str>> {
        mem::take(&mut *self.unsettled.lock())
    }
}
