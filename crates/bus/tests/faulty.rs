//! A bus at its worst: without faults it obeys the contract, and with them it breaks only what may break.

#![expect(clippy::unwrap_used, reason = "helpers of a test fail the test")]

use std::{collections::HashMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use roomful_bus::{
    Beat, Bus, BusError, Faults, FaultyBus, Hub, Roster as _, Subscription, bus_contract,
    contract::{Harness, Heard, Recorder},
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

async fn hear(bus: &FaultyBus, topic: &str) -> (Arc<Recorder>, Subscription) {
    let recorder = Recorder::new();
    let subscription = bus.subscribe(topic, Arc::<Recorder>::clone(&recorder));
    subscription.heard().await;
    (recorder, subscription)
}

fn pair(seed: u64, faults: Faults) -> (Arc<dyn Bus>, Arc<FaultyBus>) {
    let hub = Hub::default();
    (hub.connect(), FaultyBus::new(hub.connect(), seed, faults))
}

/// What comes of a thousand messages, in the order in which it comes.
async fn thousand(seed: u64) -> Vec<u32> {
    let faults = Faults {
        drop: 0.3,
        duplicate: 0.1,
        delay: 0.2,
        delay_max: Duration::from_millis(50),
        unanswered: 0.0,
    };
    let (a, b) = pair(seed, faults);
    let (at_b, _b) = hear(&b, "t").await;
    for number in 0..1000 {
        a.publish("t", Bytes::from(number.to_string()));
    }
    b.set(Faults::default());
    // Time stands still here but for this: all that is late has come then.
    tokio::time::sleep(Duration::from_millis(51)).await;
    a.publish("t", Bytes::from("1000"));
    let mut heard = Vec::new();
    loop {
        match at_b.text().await.parse().unwrap() {
            1000 => return heard,
            number => heard.push(number),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn messages_are_lost_repeated_and_disordered_by_their_seed() {
    let heard = thousand(7).await;
    let mut times = HashMap::new();
    for number in &heard {
        *times.entry(number).or_insert(0) += 1;
    }
    assert!((650..750).contains(&times.len()), "{}", times.len());
    assert!(
        (40..100).contains(&(heard.len() - times.len())),
        "{}",
        heard.len()
    );
    assert!(times.values().all(|times| *times <= 2));
    assert!(!heard.is_sorted());
    let sorted = |mut heard: Vec<u32>| {
        heard.sort_unstable();
        heard
    };
    let heard = sorted(heard);
    assert_eq!(heard, sorted(thousand(7).await));
    assert_ne!(heard, sorted(thousand(8).await));
}

#[tokio::test]
async fn a_cut_end_is_alone_until_it_is_healed() {
    let (a, b) = pair(1, Faults::default());
    let (at_b, _b) = hear(&b, "t").await;
    let at_a = Recorder::new();
    let _a = a.subscribe("t", Arc::<Recorder>::clone(&at_a));
    b.beat("b", NOTHING, LONG).await.unwrap();
    b.cut();
    a.publish("t", Bytes::from_static(b"lost"));
    b.publish("t", Bytes::from_static(b"lost"));
    for outcome in [b.check().await, b.resign("b").await, b.sweep(1).await.map(drop)] {
        assert!(matches!(outcome, Err(BusError::Unavailable(_))), "{outcome:?}");
    }
    let late = Recorder::new();
    let of_late = b.subscribe("t", Arc::<Recorder>::clone(&late));
    tokio::task::yield_now().await;
    assert!(!of_late.is_heard());
    b.heal();
    of_late.heard().await;
    assert_eq!(at_b.next().await, Heard::Gap("t".into()));
    a.publish("t", Bytes::from_static(b"after"));
    assert_eq!(at_b.text().await, "after");
    assert_eq!(late.text().await, "after");
    b.publish("t", Bytes::from_static(b"after"));
    assert_eq!(at_a.text().await, "after");
    assert_eq!(b.beat("b", NOTHING, LONG).await, Ok(Beat::Renewed));
}

#[tokio::test]
async fn what_was_not_answered_was_done_and_is_told_again() {
    let (a, b) = pair(1, Faults::default());
    let mute = || {
        b.set(Faults {
            unanswered: 1.0,
            ..Faults::default()
        });
    };
    mute();
    assert!(b.beat("b", NOTHING, LONG).await.is_err());
    assert_eq!(a.members().await.unwrap().len(), 1);
    b.set(Faults::default());
    assert_eq!(b.beat("b", NOTHING, LONG).await, Ok(Beat::Began));
    assert_eq!(b.beat("b", NOTHING, LONG).await, Ok(Beat::Renewed));
    a.beat("a", NOTHING, LONG).await.unwrap();
    for key in ["1", "2", "3"] {
        a.put("a", key, NOTHING).await.unwrap();
    }
    a.resign("a").await.unwrap();
    mute();
    assert!(b.sweep(2).await.is_err());
    b.set(Faults::default());
    assert_eq!(a.sweep(3).await.unwrap().len(), 1);
    assert_eq!(b.sweep(1).await.unwrap().len(), 1);
    assert_eq!(b.sweep(3).await.unwrap().len(), 1);
}
