//! Who hears what on this end, and whether Redis has confirmed it. Pure: what is said to Redis, and when, is the ear's.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::sync::watch;

use crate::Listener;

/// The topics that somebody on this end listens to, by the names of their channels.
#[derive(Default)]
pub(crate) struct Topics {
    next: u64,
    topics: HashMap<Arc<str>, Topic>,
}

struct Topic {
    slot: u16,
    /// Copied when it changes, which is seldom, so that a message does not copy it.
    listeners: Arc<[Arc<Listening>]>,
    /// Confirmed on the connection of now.
    on: bool,
    heard: watch::Sender<bool>,
}

/// A subscription.
pub(crate) struct Listening {
    id: u64,
    pub(crate) listener: Arc<dyn Listener>,
    /// It was in effect once: from then on, a loss is a gap.
    heard: AtomicBool,
}

/// A subscription that was just made.
pub(crate) struct Added {
    pub(crate) id: u64,
    pub(crate) heard: watch::Receiver<bool>,
    /// Nobody heard this topic before.
    pub(crate) is_first: bool,
}

impl Topics {
    pub(crate) fn add(&mut self, channel: &Arc<str>, slot: u16, listener: Arc<dyn Listener>) -> Added {
        let id = self.next;
        self.next += 1;
        let is_first = !self.topics.contains_key(channel);
        let topic = self.topics.entry(Arc::clone(channel)).or_insert_with(|| Topic {
            slot,
            listeners: Arc::new([]),
            on: false,
            heard: watch::Sender::new(false),
        });
        let listening = Arc::new(Listening {
            id,
            listener,
            heard: AtomicBool::new(topic.on),
        });
        topic.listeners = topic.listeners.iter().cloned().chain([listening]).collect();
        Added {
            id,
            heard: topic.heard.subscribe(),
            is_first,
        }
    }

    /// Whether nobody hears the topic any more.
    pub(crate) fn remove(&mut self, channel: &str, id: u64) -> bool {
        let Some(topic) = self.topics.get_mut(channel) else {
            return false;
        };
        let left = topic.listeners.iter().filter(|listening| listening.id != id);
        topic.listeners = left.cloned().collect();
        let is_last = topic.listeners.is_empty();
        if is_last {
            self.topics.remove(channel);
        }
        is_last
    }

    pub(crate) fn len(&self) -> usize {
        self.topics.len()
    }

    /// The slot of a topic that somebody hears.
    pub(crate) fn slot(&self, channel: &str) -> Option<u16> {
        self.topics.get(channel).map(|topic| topic.slot)
    }

    pub(crate) fn listeners(&self, channel: &str) -> Option<Arc<[Arc<Listening>]>> {
        self.topics.get(channel).map(|topic| Arc::clone(&topic.listeners))
    }

    /// The topics in these slots.
    pub(crate) fn within(&self, slots: impl Fn(u16) -> bool) -> Vec<Arc<str>> {
        let topics = self.topics.iter().filter(|(_, topic)| slots(topic.slot));
        topics.map(|(channel, _)| Arc::clone(channel)).collect()
    }

    /// Redis has confirmed the subscription. Answers with those who have to be told of a gap.
    pub(crate) fn confirmed(&mut self, channel: &str) -> Vec<Arc<Listening>> {
        let Some(topic) = self.topics.get_mut(channel).filter(|topic| !topic.on) else {
            return Vec::new();
        };
        topic.on = true;
        let again = topic.listeners.iter();
        // `swap` is false for those who were not in effect before: they have missed nothing that they could expect.
        let again = again.filter(|listening| listening.heard.swap(true, Ordering::Relaxed));
        let again = again.cloned().collect();
        topic.heard.send_replace(true);
        again
    }

    /// The connection that carried these slots is gone.
    pub(crate) fn lost(&mut self, slots: impl Fn(u16) -> bool) {
        for topic in self.topics.values_mut().filter(|topic| slots(topic.slot)) {
            topic.on = false;
            if *topic.heard.borrow() {
                // Those who wait on the old one have been heard; those who come now have to wait again.
                topic.heard = watch::Sender::new(false);
            }
        }
    }

    /// Ends all subscriptions, and all waiting for them.
    pub(crate) fn clear(&mut self) {
        self.topics.clear();
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    struct Deaf;

    impl Listener for Deaf {
        fn message(&self, _: &str, _: Bytes) {}
        fn gap(&self, _: &str) {}
    }

    fn add(topics: &mut Topics) -> Added {
        topics.add(&"a".into(), 0, Arc::new(Deaf))
    }

    fn ids(listening: &[Arc<Listening>]) -> Vec<u64> {
        listening.iter().map(|listening| listening.id).collect()
    }

    #[test]
    fn a_gap_is_told_to_those_who_were_heard_before() {
        let mut topics = Topics::default();
        let first = add(&mut topics);
        assert!(first.is_first && !*first.heard.borrow());
        assert_eq!(ids(&topics.confirmed("a")), []);
        assert!(*first.heard.borrow());

        topics.lost(|_| true);
        let second = add(&mut topics);
        assert!(*first.heard.borrow(), "it was in effect once");
        assert!(!second.is_first && !*second.heard.borrow());
        assert_eq!(ids(&topics.confirmed("a")), [first.id]);
        assert!(*second.heard.borrow());
        assert_eq!(ids(&topics.confirmed("a")), [], "a second confirmation is none");

        topics.lost(|_| true);
        assert_eq!(ids(&topics.confirmed("a")), [first.id, second.id]);
    }

    #[test]
    fn a_loss_before_the_first_confirmation_is_no_gap() {
        let mut topics = Topics::default();
        let first = add(&mut topics);
        topics.lost(|_| true);
        assert_eq!(ids(&topics.confirmed("a")), []);
        assert!(*first.heard.borrow());
    }

    #[test]
    fn the_last_one_ends_the_topic() {
        let mut topics = Topics::default();
        let (first, second) = (add(&mut topics), add(&mut topics));
        assert!(!topics.remove("a", first.id));
        assert!(topics.remove("a", second.id));
        assert!(!topics.remove("a", second.id));
        assert_eq!(topics.len(), 0);
        assert!(add(&mut topics).is_first);
    }
}
