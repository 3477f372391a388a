//! Contract cases for topics: publishing and subscribing.

use std::sync::{Arc, OnceLock, Weak};

use bytes::Bytes;
use parking_lot::Mutex;

use super::{Harness, Outcome, Received, Recorder};
use crate::{Bus, BusError, BusListener, Subscription};

/// Subscribes a recorder to the topic.
async fn subscribe(bus: &Arc<dyn Bus>, topic: &str) -> (Arc<Recorder>, Subscription) {
    let recorder = Recorder::new();
    let subscription = bus.subscribe(topic, Arc::<Recorder>::clone(&recorder));
    subscription.confirmed().await;
    assert!(subscription.is_confirmed(), "{topic}");
    (recorder, subscription)
}

pub async fn a_message_reaches_all_other_clients_but_not_its_sender(harness: &impl Harness) -> Outcome {
    let (a, b, c) = (
        harness.connect().await?,
        harness.connect().await?,
        harness.connect().await?,
    );
    let (at_a, _a) = subscribe(&a, "t").await;
    let (at_b, _b) = subscribe(&b, "t").await;
    let (at_c, _c) = subscribe(&c, "t").await;
    a.publish("t", Bytes::from_static(b"from a"));
    assert_eq!(at_b.text().await, "from a");
    assert_eq!(at_c.text().await, "from a");
    // The next message proves that a's own message did not come first.
    b.publish("t", Bytes::from_static(b"from b"));
    assert_eq!(at_a.text().await, "from b");
    assert_eq!(at_c.text().await, "from b");
    c.publish("t", Bytes::from_static(b"from c"));
    assert_eq!(at_b.text().await, "from c");
    Ok(())
}

pub async fn only_subscribers_receive_a_topic(harness: &impl Harness) -> Outcome {
    let (a, b) = (harness.connect().await?, harness.connect().await?);
    let (at_b, _b) = subscribe(&b, "t").await;
    let (at_u, _u) = subscribe(&b, "u").await;
    a.publish("v", Bytes::from_static(b"v"));
    a.publish("tt", Bytes::from_static(b"tt"));
    a.publish("t", Bytes::from_static(b"t"));
    assert_eq!(
        at_b.next().await,
        Received::Message("t".into(), Bytes::from_static(b"t"))
    );
    assert!(at_u.is_empty(), "{at_u:?}");
    Ok(())
}

pub async fn several_listeners_of_one_client_receive_a_topic(harness: &impl Harness) -> Outcome {
    let (a, b) = (harness.connect().await?, harness.connect().await?);
    let (first, _first) = subscribe(&b, "t").await;
    let (second, _second) = subscribe(&b, "t").await;
    a.publish("t", Bytes::from_static(b"1"));
    assert_eq!(first.text().await, "1");
    assert_eq!(second.text().await, "1");
    Ok(())
}

pub async fn a_dropped_subscription_receives_nothing(harness: &impl Harness) -> Outcome {
    let (a, b) = (harness.connect().await?, harness.connect().await?);
    let (first, of_first) = subscribe(&b, "t").await;
    let (second, of_second) = subscribe(&b, "t").await;
    let (other, _other) = subscribe(&b, "u").await;
    drop(of_first);
    a.publish("t", Bytes::from_static(b"1"));
    assert_eq!(second.text().await, "1");
    drop(of_second);
    a.publish("t", Bytes::from_static(b"2"));
    let (third, _third) = subscribe(&b, "t").await;
    a.publish("t", Bytes::from_static(b"3"));
    // The second message may still arrive, in order, but not at dropped subscriptions.
    while third.text().await != "3" {}
    a.publish("u", Bytes::from_static(b"4"));
    assert_eq!(other.text().await, "4");
    assert!(first.is_empty() && second.is_empty(), "{first:?}, {second:?}");
    Ok(())
}

pub async fn messages_of_one_client_arrive_in_order(harness: &impl Harness) -> Outcome {
    let (a, b) = (harness.connect().await?, harness.connect().await?);
    let (at_b, _b) = subscribe(&b, "t").await;
    for number in 0..2000 {
        a.publish("t", Bytes::from(number.to_string()));
    }
    for number in 0..2000 {
        assert_eq!(at_b.text().await, number.to_string());
    }
    Ok(())
}

/// A listener that publishes and subscribes when it gets a message.
struct Busy {
    bus: OnceLock<Weak<dyn Bus>>,
    at: Arc<Recorder>,
    more: Mutex<Vec<Subscription>>,
}

impl BusListener for Busy {
    fn message(&self, topic: &str, message: Bytes) {
        let Some(bus) = self.bus.get().and_then(Weak::upgrade) else {
            return;
        };
        assert_eq!(topic, "t");
        let more = bus.subscribe("more", Arc::<Recorder>::clone(&self.at));
        // Also drops the only subscription to another topic.
        drop(bus.subscribe("less", Arc::<Recorder>::clone(&self.at)));
        self.more.lock().push(more);
        bus.publish("answer", message);
    }

    fn gap(&self, _: &str) {}
}

pub async fn a_listener_may_publish_and_subscribe(harness: &impl Harness) -> Outcome {
    let (a, b) = (harness.connect().await?, harness.connect().await?);
    let (at_a, _a) = subscribe(&a, "answer").await;
    let at_b = Recorder::new();
    let busy = Arc::new(Busy {
        bus: OnceLock::new(),
        at: Arc::clone(&at_b),
        more: Mutex::default(),
    });
    let _ = busy.bus.set(Arc::downgrade(&b));
    let subscription = b.subscribe("t", Arc::<Busy>::clone(&busy));
    subscription.confirmed().await;
    a.publish("t", Bytes::from_static(b"question"));
    assert_eq!(at_a.text().await, "question");
    let more = busy.more.lock().pop();
    if let Some(more) = &more {
        more.confirmed().await;
    }
    a.publish("more", Bytes::from_static(b"more"));
    assert_eq!(at_b.text().await, "more");
    Ok(())
}

pub async fn thousands_of_topics_come_and_go(harness: &impl Harness) -> Outcome {
    let (a, b) = (harness.connect().await?, harness.connect().await?);
    let at_b = Recorder::new();
    let topic = |number: usize| format!("topic {number}");
    let subscribe_to = |number| b.subscribe(&topic(number), Arc::<Recorder>::clone(&at_b));
    let mut all: Vec<_> = (0..3000).map(subscribe_to).collect();
    for subscription in &all {
        subscription.confirmed().await;
    }
    // Drops every second topic, and subscribes to every fourth one again.
    let mut number = 0;
    all.retain(|_| {
        number += 1;
        number % 2 == 1
    });
    let back: Vec<_> = (0..3000)
        .filter(|number| number % 4 == 1)
        .map(subscribe_to)
        .collect();
    for subscription in &back {
        subscription.confirmed().await;
    }
    let subscribed: Vec<_> = (0..3000).filter(|number| number % 4 != 3).collect();
    for number in 0..3000 {
        a.publish(&topic(number), Bytes::new());
        // Waits for each message, so that the smallest queue suffices.
        if number % 4 != 3 {
            assert_eq!(at_b.next().await, Received::Message(topic(number), Bytes::new()));
        }
    }
    assert_eq!(subscribed.len(), all.len() + back.len());
    assert!(at_b.is_empty(), "{at_b:?}");
    Ok(())
}

pub async fn resubscribing_at_once_loses_no_message(harness: &impl Harness) -> Outcome {
    let (a, b) = (harness.connect().await?, harness.connect().await?);
    let (_, mut last) = subscribe(&b, "t").await;
    for round in 0..200 {
        let recorder = Recorder::new();
        // All interleavings of unsubscribe and subscribe.
        if round % 3 == 0 {
            drop(last);
            last = b.subscribe("t", Arc::<Recorder>::clone(&recorder));
        } else if round % 3 == 1 {
            drop(last);
            drop(b.subscribe("t", Recorder::new()));
            tokio::task::yield_now().await;
            last = b.subscribe("t", Arc::<Recorder>::clone(&recorder));
        } else {
            let next = b.subscribe("t", Arc::<Recorder>::clone(&recorder));
            drop(last);
            last = next;
        }
        last.confirmed().await;
        let text = round.to_string();
        a.publish("t", Bytes::from(text.clone()));
        assert_eq!(recorder.text().await, text);
    }
    Ok(())
}

pub async fn any_bytes_are_valid_in_topics_and_messages(harness: &impl Harness) -> Outcome {
    let (a, b) = (harness.connect().await?, harness.connect().await?);
    let long = "x".repeat(1000);
    let topics = ["", " ", "a b", "{a}", "{}", "a*[b]?", "\r\n", "ü€𝄞", "\0", &long];
    for topic in topics {
        let (at_b, _b) = subscribe(&b, topic).await;
        let all_bytes: Vec<u8> = (0..=255).collect();
        for message in [Vec::new(), all_bytes, vec![0; 300_000]] {
            let message = Bytes::from(message);
            a.publish(topic, message.clone());
            assert!(
                at_b.next().await == Received::Message(topic.to_owned(), message),
                "{topic:?}"
            );
        }
    }
    Ok(())
}

pub async fn a_closed_client_neither_sends_nor_receives(harness: &impl Harness) -> Outcome {
    let (a, b, c) = (
        harness.connect().await?,
        harness.connect().await?,
        harness.connect().await?,
    );
    a.check().await?;
    let (at_a, _a) = subscribe(&a, "t").await;
    let (at_c, _c) = subscribe(&c, "t").await;
    a.publish("t", Bytes::from_static(b"the last one"));
    a.close().await;
    assert_eq!(at_c.text().await, "the last one");
    a.publish("t", Bytes::from_static(b"too late"));
    let late = a.subscribe("t", Arc::<Recorder>::clone(&at_a));
    late.confirmed().await;
    b.publish("t", Bytes::from_static(b"to the others"));
    assert_eq!(at_c.text().await, "to the others");
    assert!(at_a.is_empty(), "{at_a:?}");
    a.close().await;
    assert!(matches!(a.check().await, Err(BusError::Unavailable(_))));
    assert!(matches!(a.members().await, Err(BusError::Unavailable(_))));
    Ok(())
}
