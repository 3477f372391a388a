//! `FaultyBus`: passes the contract suite without faults, and injects the requested ones.

#![expect(clippy::unwrap_used, reason = "a failed helper fails the test")]

use std::{collections::HashMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use roomful_bus::{
    Bus, BusError, Faults, FaultyBus, Heartbeat, Hub, Membership as _, Subscription, bus_contract,
    contract::{Harness, Received, Recorder},
};

const LONG: Duration = Duration::from_mins(10);
const NOTHING: Bytes = Bytes::new();

struct Faultless(Hub);

#[async_trait]
impl Harness for Faultless {
    async fn connect(&self) -> Result<Arc<dyn Bus>, BusError> {
        Ok(FaultyBus::new(self.0.connect(), 1, Faults::default()))
    }
}

bus_contract!(async { Faultless(Hub::default()) });

async fn subscribe(bus: &FaultyBus, topic: &str) -> (Arc<Recorder>, Subscription) {
    let recorder = Recorder::new();
    let subscription = bus.subscribe(topic, Arc::<Recorder>::clone(&recorder));
    subscription.confirmed().await;
    (recorder, subscription)
}

fn pair(seed: u64, faults: Faults) -> (Arc<dyn Bus>, Arc<FaultyBus>) {
    let hub = Hub::default();
    (hub.connect(), FaultyBus::new(hub.connect(), seed, faults))
}

/// The numbers that arrive when a thousand are sent, in the order of arrival.
async fn send_thousand(seed: u64) -> Vec<u32> {
    let faults = Faults {
        drop: 0.3,
        duplicate: 0.1,
        delay: 0.2,
        delay_max: Duration::from_millis(50),
        unanswered: 0.0,
    };
    let (a, b) = pair(seed, faults);
    let (at_b, _b) = subscribe(&b, "t").await;
    for number in 0..1000 {
        a.publish("t", Bytes::from(number.to_string()));
    }
    b.set(Faults::default());
    // The clock is paused: all delayed messages arrive during this sleep.
    tokio::time::sleep(Duration::from_millis(51)).await;
    a.publish("t", Bytes::from("1000"));
    let mut received = Vec::new();
    loop {
        match at_b.text().await.parse().unwrap() {
            1000 => return received,
            number => received.push(number),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_seed_decides_which_messages_are_lost_repeated_and_reordered() {
    let received = send_thousand(7).await;
    let mut times = HashMap::new();
    for number in &received {
        *times.entry(number).or_insert(0) += 1;
    }
    assert!((650..750).contains(&times.len()), "{}", times.len());
    assert!(
        (40..100).contains(&(received.len() - times.len())),
        "{}",
        received.len()
    );
    assert!(times.values().all(|times| *times <= 2));
    assert!(!received.is_sorted());
    let sorted = |mut numbers: Vec<u32>| {
        numbers.sort_unstable();
        numbers
    };
    let received = sorted(received);
    assert_eq!(received, sorted(send_thousand(7).await));
    assert_ne!(received, sorted(send_thousand(8).await));
}

#[tokio::test]
async fn a_partitioned_client_is_alone_until_it_is_healed() {
    let (a, b) = pair(1, Faults::default());
    let (at_b, _b) = subscribe(&b, "t").await;
    let at_a = Recorder::new();
    let _a = a.subscribe("t", Arc::<Recorder>::clone(&at_a));
    b.heartbeat("b", NOTHING, LONG).await.unwrap();
    b.partition();
    a.publish("t", Bytes::from_static(b"lost"));
    b.publish("t", Bytes::from_static(b"lost"));
    for outcome in [
        b.check().await,
        b.leave("b", Duration::ZERO).await,
        b.take_expired(1).await.map(drop),
    ] {
        assert!(matches!(outcome, Err(BusError::Unavailable(_))), "{outcome:?}");
    }
    let late = Recorder::new();
    let of_late = b.subscribe("t", Arc::<Recorder>::clone(&late));
    tokio::task::yield_now().await;
    assert!(!of_late.is_confirmed());
    b.heal();
    of_late.confirmed().await;
    assert_eq!(at_b.next().await, Received::Gap("t".into()));
    a.publish("t", Bytes::from_static(b"after"));
    assert_eq!(at_b.text().await, "after");
    assert_eq!(late.text().await, "after");
    b.publish("t", Bytes::from_static(b"after"));
    assert_eq!(at_a.text().await, "after");
    assert_eq!(b.heartbeat("b", NOTHING, LONG).await, Ok(Heartbeat::Renewed));
}

#[tokio::test]
async fn a_lost_answer_is_repeated_and_its_call_took_effect() {
    let (a, b) = pair(1, Faults::default());
    let lose_answers = || {
        b.set(Faults {
            unanswered: 1.0,
            ..Faults::default()
        });
    };
    lose_answers();
    assert!(b.heartbeat("b", NOTHING, LONG).await.is_err());
    assert_eq!(a.members().await.unwrap().len(), 1);
    b.set(Faults::default());
    assert_eq!(b.heartbeat("b", NOTHING, LONG).await, Ok(Heartbeat::Started));
    assert_eq!(b.heartbeat("b", NOTHING, LONG).await, Ok(Heartbeat::Renewed));
    a.heartbeat("a", NOTHING, LONG).await.unwrap();
    for key in ["1", "2", "3"] {
        a.put("a", key, NOTHING).await.unwrap();
    }
    a.leave("a", Duration::ZERO).await.unwrap();
    lose_answers();
    assert!(b.take_expired(2).await.is_err());
    b.set(Faults::default());
    assert_eq!(a.take_expired(3).await.unwrap().len(), 1);
    assert_eq!(b.take_expired(1).await.unwrap().len(), 1);
    assert_eq!(b.take_expired(3).await.unwrap().len(), 1);
}
