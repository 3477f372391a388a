//! What is published reaches others, and only them.

use std::sync::{Arc, OnceLock, Weak};

use bytes::Bytes;
use parking_lot::Mutex;

use super::{Harness, Heard, Outcome, Recorder};
use crate::{Bus, BusError, Listener, Subscription};

/// A recorder that hears the topic.
async fn hear(bus: &Arc<dyn Bus>, topic: &str) -> (Arc<Recorder>, Subscription) {
    let recorder = Recorder::new();
    let subscription = bus.subscribe(topic, Arc::<Recorder>::clone(&recorder));
    subscription.heard().await;
    assert!(subscription.is_heard(), "{topic}");
    (recorder, subscription)
}

pub async fn others_hear_what_an_end_publishes_and_itself_does_not(harness: &impl Harness) -> Outcome {
    let (a, b, c) = (
        harness.connect().await?,
        harness.connect().await?,
        harness.connect().await?,
    );
    let (at_a, _a) = hear(&a, "t").await;
    let (at_b, _b) = hear(&b, "t").await;
    let (at_c, _c) = hear(&c, "t").await;
    a.publish("t", Bytes::from_static(b"of a"));
    assert_eq!(at_b.text().await, "of a");
    assert_eq!(at_c.text().await, "of a");
    // What comes after it shows that its own did not.
    b.publish("t", Bytes::from_static(b"of b"));
    assert_eq!(at_a.text().await, "of b");
    assert_eq!(at_c.text().await, "of b");
    c.publish("t", Bytes::from_static(b"of c"));
    assert_eq!(at_b.text().await, "of c");
    Ok(())
}

pub async fn who_is_not_subscribed_hears_nothing(harness: &impl Harness) -> Outcome {
    let (a, b) = (harness.connect().await?, harness.connect().await?);
    let (at_b, _b) = hear(&b, "t").await;
    let (at_u, _u) = hear(&b, "u").await;
    a.publish("v", Bytes::from_static(b"v"));
    a.publish("tt", Bytes::from_static(b"tt"));
    a.publish("t", Bytes::from_static(b"t"));
    assert_eq!(
        at_b.next().await,
        Heard::Message("t".into(), Bytes::from_static(b"t"))
    );
    assert!(at_u.is_empty(), "{at_u:?}");
    Ok(())
}

pub async fn several_listeners_of_one_end_hear_a_topic(harness: &impl Harness) -> Outcome {
    let (a, b) = (harness.connect().await?, harness.connect().await?);
    let (first, _first) = hear(&b, "t").await;
    let (second, _second) = hear(&b, "t").await;
    a.publish("t", Bytes::from_static(b"1"));
    assert_eq!(first.text().await, "1");
    assert_eq!(second.text().await, "1");
    Ok(())
}

pub async fn an_ended_subscription_hears_no_more(harness: &impl Harness) -> Outcome {
    let (a, b) = (harness.connect().await?, harness.connect().await?);
    let (first, of_first) = hear(&b, "t").await;
    let (second, of_second) = hear(&b, "t").await;
    let (other, _other) = hear(&b, "u").await;
    drop(of_first);
    a.publish("t", Bytes::from_static(b"1"));
    assert_eq!(second.text().await, "1");
    drop(of_second);
    a.publish("t", Bytes::from_static(b"2"));
    let (third, _third) = hear(&b, "t").await;
    a.publish("t", Bytes::from_static(b"3"));
    // The second may still come late; in order it is, and not to who has left.
    while third.text().await != "3" {}
    a.publish("u", Bytes::from_static(b"4"));
    assert_eq!(other.text().await, "4");
    assert!(first.is_empty() && second.is_empty(), "{first:?}, {second:?}");
    Ok(())
}

pub async fn messages_of_one_end_come_in_order(harness: &impl Harness) -> Outcome {
    let (a, b) = (harness.connect().await?, harness.connect().await?);
    let (at_b, _b) = hear(&b, "t").await;
    for number in 0..2000 {
        a.publish("t", Bytes::from(number.to_string()));
    }
    for number in 0..2000 {
        assert_eq!(at_b.text().await, number.to_string());
    }
    Ok(())
}

/// Answers what it hears, and begins to listen to something else.
struct Busy {
    bus: OnceLock<Weak<dyn Bus>>,
    at: Arc<Recorder>,
    more: Mutex<Vec<Subscription>>,
}

impl Listener for Busy {
    fn message(&self, topic: &str, message: Bytes) {
        let Some(bus) = self.bus.get().and_then(Weak::upgrade) else {
            return;
        };
        assert_eq!(topic, "t");
        let more = bus.subscribe("more", Arc::<Recorder>::clone(&self.at));
        // The last one of another topic ends here too.
        drop(bus.subscribe("less", Arc::<Recorder>::clone(&self.at)));
        self.more.lock().push(more);
        bus.publish("answer", message);
    }

    fn gap(&self, _: &str) {}
}

pub async fn a_listener_may_publish_and_subscribe(harness: &impl Harness) -> Outcome {
    let (a, b) = (harness.connect().await?, harness.connect().await?);
    let (at_a, _a) = hear(&a, "answer").await;
    let at_b = Recorder::new();
    let busy = Arc::new(Busy {
        bus: OnceLock::new(),
        at: Arc::clone(&at_b),
        more: Mutex::default(),
    });
    let _ = busy.bus.set(Arc::downgrade(&b));
    let subscription = b.subscribe("t", Arc::<Busy>::clone(&busy));
    subscription.heard().await;
    a.publish("t", Bytes::from_static(b"question"));
    assert_eq!(at_a.text().await, "question");
    let more = busy.more.lock().pop();
    if let Some(more) = &more {
        more.heard().await;
    }
    a.publish("more", Bytes::from_static(b"more"));
    assert_eq!(at_b.text().await, "more");
    Ok(())
}

pub async fn thousands_of_topics_come_and_go(harness: &impl Harness) -> Outcome {
    let (a, b) = (harness.connect().await?, harness.connect().await?);
    let at_b = Recorder::new();
    let topic = |number: usize| format!("topic {number}");
    let subscribe = |number| b.subscribe(&topic(number), Arc::<Recorder>::clone(&at_b));
    let mut all: Vec<_> = (0..3000).map(subscribe).collect();
    for subscription in &all {
        subscription.heard().await;
    }
    // Each second one goes, and each fourth one comes back.
    let mut number = 0;
    all.retain(|_| {
        number += 1;
        number % 2 == 1
    });
    let back: Vec<_> = (0..3000)
        .filter(|number| number % 4 == 1)
        .map(subscribe)
        .collect();
    for subscription in &back {
        subscription.heard().await;
    }
    let heard: Vec<_> = (0..3000).filter(|number| number % 4 != 3).collect();
    for number in 0..3000 {
        a.publish(&topic(number), Bytes::new());
        // No more at once than the smallest queue may hold.
        if number % 4 != 3 {
            assert_eq!(at_b.next().await, Heard::Message(topic(number), Bytes::new()));
        }
    }
    assert_eq!(heard.len(), all.len() + back.len());
    assert!(at_b.is_empty(), "{at_b:?}");
    Ok(())
}

pub async fn a_topic_that_is_left_and_taken_up_at_once_is_heard(harness: &impl Harness) -> Outcome {
    let (a, b) = (harness.connect().await?, harness.connect().await?);
    let (_, mut last) = hear(&b, "t").await;
    for round in 0..200 {
        let recorder = Recorder::new();
        // All ways in which the end of one can meet the begin of the next.
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
        last.heard().await;
        let text = round.to_string();
        a.publish("t", Bytes::from(text.clone()));
        assert_eq!(recorder.text().await, text);
    }
    Ok(())
}

pub async fn any_topic_and_any_message_arrive_as_they_were(harness: &impl Harness) -> Outcome {
    let (a, b) = (harness.connect().await?, harness.connect().await?);
    let long = "x".repeat(1000);
    let topics = ["", " ", "a b", "{a}", "{}", "a*[b]?", "\r\n", "ü€𝄞", "\0", &long];
    for topic in topics {
        let (at_b, _b) = hear(&b, topic).await;
        let all_bytes: Vec<u8> = (0..=255).collect();
        for message in [Vec::new(), all_bytes, vec![0; 300_000]] {
            let message = Bytes::from(message);
            a.publish(topic, message.clone());
            assert!(
                at_b.next().await == Heard::Message(topic.to_owned(), message),
                "{topic:?}"
            );
        }
    }
    Ok(())
}

pub async fn a_closed_end_is_silent_and_deaf(harness: &impl Harness) -> Outcome {
    let (a, b, c) = (
        harness.connect().await?,
        harness.connect().await?,
        harness.connect().await?,
    );
    a.check().await?;
    let (at_a, _a) = hear(&a, "t").await;
    let (at_c, _c) = hear(&c, "t").await;
    a.publish("t", Bytes::from_static(b"the last one"));
    a.close().await;
    assert_eq!(at_c.text().await, "the last one");
    a.publish("t", Bytes::from_static(b"too late"));
    let late = a.subscribe("t", Arc::<Recorder>::clone(&at_a));
    late.heard().await;
    b.publish("t", Bytes::from_static(b"to the others"));
    assert_eq!(at_c.text().await, "to the others");
    assert!(at_a.is_empty(), "{at_a:?}");
    a.close().await;
    assert!(matches!(a.check().await, Err(BusError::Unavailable(_))));
    assert!(matches!(a.members().await, Err(BusError::Unavailable(_))));
    Ok(())
}
