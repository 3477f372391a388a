//! The subscriptions of a client: the listeners of each channel, and whether Redis has confirmed it.
//!
//! A pure value. The subscriber sends the commands.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::sync::watch;

use crate::BusListener;

/// Channels with at least one listener.
#[derive(Default)]
pub(crate) struct Subscriptions {
    next_id: u64,
    channels: HashMap<Arc<str>, Channel>,
}

struct Channel {
    slot: u16,
    /// Copied on change, which is rare, so that delivering a message only clones the `Arc`.
    listeners: Arc<[Arc<Listening>]>,
    /// Confirmed on the current connection.
    is_confirmed: bool,
    confirmed: watch::Sender<bool>,
}

/// A listener of a channel.
pub(crate) struct Listening {
    id: u64,
    pub(crate) listener: Arc<dyn BusListener>,
    /// Confirmed at least once. From then on, a lost connection means a gap.
    was_confirmed: AtomicBool,
}

/// The result of adding a listener.
pub(crate) struct Added {
    pub(crate) id: u64,
    pub(crate) confirmed: watch::Receiver<bool>,
    /// The channel is new and has to be subscribed.
    pub(crate) is_first: bool,
}

impl Subscriptions {
    pub(crate) fn add(&mut self, channel: &Arc<str>, slot: u16, listener: Arc<dyn BusListener>) -> Added {
        let id = self.next_id;
        self.next_id += 1;
        let is_first = !self.channels.contains_key(channel);
        let entry = self
            .channels
            .entry(Arc::clone(channel))
            .or_insert_with(|| Channel {
                slot,
                listeners: Arc::new([]),
                is_confirmed: false,
                confirmed: watch::Sender::new(false),
            });
        let listening = Arc::new(Listening {
            id,
            listener,
            was_confirmed: AtomicBool::new(entry.is_confirmed),
        });
        entry.listeners = entry.listeners.iter().cloned().chain([listening]).collect();
        Added {
            id,
            confirmed: entry.confirmed.subscribe(),
            is_first,
        }
    }

    /// Removes a listener. Returns true if it was the last one of its channel.
    pub(crate) fn remove(&mut self, channel: &str, id: u64) -> bool {
        let Some(entry) = self.channels.get_mut(channel) else {
            return false;
        };
        let left = entry.listeners.iter().filter(|listening| listening.id != id);
        entry.listeners = left.cloned().collect();
        let is_last = entry.listeners.is_empty();
        if is_last {
            self.channels.remove(channel);
        }
        is_last
    }

    pub(crate) fn len(&self) -> usize {
        self.channels.len()
    }

    /// The slot of a channel with listeners.
    pub(crate) fn slot(&self, channel: &str) -> Option<u16> {
        self.channels.get(channel).map(|channel| channel.slot)
    }

    pub(crate) fn listeners(&self, channel: &str) -> Option<Arc<[Arc<Listening>]>> {
        self.channels
            .get(channel)
            .map(|channel| Arc::clone(&channel.listeners))
    }

    /// Channels in these slots.
    pub(crate) fn within(&self, slots: impl Fn(u16) -> bool) -> Vec<Arc<str>> {
        let channels = self.channels.iter().filter(|(_, channel)| slots(channel.slot));
        channels.map(|(name, _)| Arc::clone(name)).collect()
    }

    /// Marks a channel as confirmed by Redis. Returns the listeners that were confirmed before and so
    /// have a gap.
    pub(crate) fn confirm(&mut self, channel: &str) -> Vec<Arc<Listening>> {
        let Some(entry) = self.channels.get_mut(channel).filter(|entry| !entry.is_confirmed) else {
            return Vec::new();
        };
        entry.is_confirmed = true;
        let again = entry.listeners.iter();
        // `swap` returns false for a listener that was never confirmed: it has missed nothing.
        let again = again.filter(|listening| listening.was_confirmed.swap(true, Ordering::Relaxed));
        let again = again.cloned().collect();
        entry.confirmed.send_replace(true);
        again
    }

    /// Marks the channels in these slots as unconfirmed: their connection is gone.
    pub(crate) fn unconfirm(&mut self, slots: impl Fn(u16) -> bool) {
        for channel in self.channels.values_mut().filter(|channel| slots(channel.slot)) {
            channel.is_confirmed = false;
            if *channel.confirmed.borrow() {
                // Old subscriptions keep their confirmed receiver; new ones wait for the next confirmation.
                channel.confirmed = watch::Sender::new(false);
            }
        }
    }

    /// Removes all listeners. Calls that wait for a confirmation return.
    pub(crate) fn clear(&mut self) {
        self.channels.clear();
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    struct Ignore;

    impl BusListener for Ignore {
        fn message(&self, _: &str, _: Bytes) {}
        fn gap(&self, _: &str) {}
    }

    fn add(subscriptions: &mut Subscriptions) -> Added {
        subscriptions.add(&"a".into(), 0, Arc::new(Ignore))
    }

    fn ids(listening: &[Arc<Listening>]) -> Vec<u64> {
        listening.iter().map(|listening| listening.id).collect()
    }

    #[test]
    fn listeners_that_were_confirmed_before_get_a_gap() {
        let mut subscriptions = Subscriptions::default();
        let first = add(&mut subscriptions);
        assert!(first.is_first && !*first.confirmed.borrow());
        assert_eq!(ids(&subscriptions.confirm("a")), []);
        assert!(*first.confirmed.borrow());

        subscriptions.unconfirm(|_| true);
        let second = add(&mut subscriptions);
        assert!(*first.confirmed.borrow(), "it was confirmed once");
        assert!(!second.is_first && !*second.confirmed.borrow());
        assert_eq!(ids(&subscriptions.confirm("a")), [first.id]);
        assert!(*second.confirmed.borrow());
        assert_eq!(
            ids(&subscriptions.confirm("a")),
            [],
            "a second confirmation reports no gap"
        );

        subscriptions.unconfirm(|_| true);
        assert_eq!(ids(&subscriptions.confirm("a")), [first.id, second.id]);
    }

    #[test]
    fn a_loss_before_the_first_confirmation_is_no_gap() {
        let mut subscriptions = Subscriptions::default();
        let first = add(&mut subscriptions);
        subscriptions.unconfirm(|_| true);
        assert_eq!(ids(&subscriptions.confirm("a")), []);
        assert!(*first.confirmed.borrow());
    }

    #[test]
    fn removing_the_last_listener_removes_the_channel() {
        let mut subscriptions = Subscriptions::default();
        let (first, second) = (add(&mut subscriptions), add(&mut subscriptions));
        assert!(!subscriptions.remove("a", first.id));
        assert!(subscriptions.remove("a", second.id));
        assert!(!subscriptions.remove("a", second.id));
        assert_eq!(subscriptions.len(), 0);
        assert!(add(&mut subscriptions).is_first);
    }
}
