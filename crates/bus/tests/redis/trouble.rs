//! Faults of a single Redis: it dies, hangs, restarts, or loses its data.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use roomful_bus::{
    Bus, BusError, Heartbeat, Options,
    contract::{Recorder, until},
    open,
};
use roomful_testkit::RedisServer;

use super::{LONG, arrives, connect, gap, quick, subscribe};

const NOTHING: Bytes = Bytes::new();

#[tokio::test]
async fn a_restart_reports_a_gap_and_keeps_the_leases() {
    let mut redis = RedisServer::start().await.unwrap();
    let (a, b) = (
        connect(&redis.url(), quick()).await.unwrap(),
        connect(&redis.url(), quick()).await.unwrap(),
    );
    let (at_b, _b) = subscribe(&b, "t").await;
    assert_eq!(a.heartbeat("a", NOTHING, LONG).await, Ok(Heartbeat::Started));
    a.put("a", "key", Bytes::from_static(b"value")).await.unwrap();
    redis.kill9().await.unwrap();
    until("the lost connection", async || Ok(a.check().await.is_err()))
        .await
        .unwrap();
    assert!(matches!(
        a.heartbeat("a", NOTHING, LONG).await,
        Err(BusError::Unavailable(_))
    ));
    // The other client detects the loss by itself, on its subscriber connection.
    let unconfirmed = async || Ok(!b.subscribe("t", Recorder::new()).is_confirmed());
    until("the lost connection of the other client", unconfirmed)
        .await
        .unwrap();
    // Subscriptions made while Redis is down are confirmed later, and have no gap.
    let (late, new) = (Recorder::new(), Recorder::new());
    let of_late = b.subscribe("t", Arc::<Recorder>::clone(&late));
    let of_new = b.subscribe("u", Arc::<Recorder>::clone(&new));
    redis.restart().await.unwrap();
    of_late.confirmed().await;
    of_new.confirmed().await;
    gap(&at_b, "t").await;
    assert!(late.is_empty() && new.is_empty(), "{late:?}, {new:?}");
    arrives(&a, "t", &at_b, "after").await.unwrap();
    arrives(&a, "u", &new, "after").await.unwrap();
    // The test server persists its data.
    assert_eq!(a.heartbeat("a", NOTHING, LONG).await, Ok(Heartbeat::Renewed));
    assert_eq!(b.entries(&["key".into()]).await.unwrap().concat().len(), 1);
}

#[tokio::test]
async fn thousands_of_topics_are_subscribed_again() {
    let mut redis = RedisServer::start().await.unwrap();
    let (a, b) = (
        connect(&redis.url(), quick()).await.unwrap(),
        connect(&redis.url(), quick()).await.unwrap(),
    );
    let recorder = Recorder::new();
    let topics: Vec<_> = (0..3000).map(|number| format!("topic {number}")).collect();
    let all: Vec<_> = topics
        .iter()
        .map(|topic| b.subscribe(topic, Arc::<Recorder>::clone(&recorder)))
        .collect();
    for subscription in &all {
        subscription.confirmed().await;
    }
    redis.kill9().await.unwrap();
    redis.restart().await.unwrap();
    for _ in &topics {
        assert!(matches!(
            recorder.next().await,
            roomful_bus::contract::Received::Gap(_)
        ));
    }
    arrives(&a, "topic 2999", &recorder, "after").await.unwrap();
}

#[tokio::test]
async fn a_hanging_redis_is_detected() {
    let redis = RedisServer::start().await.unwrap();
    let (a, b) = (
        connect(&redis.url(), quick()).await.unwrap(),
        connect(&redis.url(), quick()).await.unwrap(),
    );
    let (at_b, _b) = subscribe(&b, "t").await;
    assert_eq!(a.heartbeat("a", NOTHING, LONG).await, Ok(Heartbeat::Started));
    redis.pause().unwrap();
    let asked = tokio::time::Instant::now();
    let answer = a.heartbeat("a", NOTHING, LONG).await;
    assert!(matches!(answer, Err(BusError::Unavailable(_))), "{answer:?}");
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
    // A subscription made meanwhile is not confirmed.
    let late = b.subscribe("u", Recorder::new());
    until("the second failure", async || Ok(b.check().await.is_err()))
        .await
        .unwrap();
    assert!(!late.is_confirmed());
    redis.resume().unwrap();
    late.confirmed().await;
    gap(&at_b, "t").await;
    arrives(&a, "t", &at_b, "after").await.unwrap();
    until("the membership registry", async || Ok(a.check().await.is_ok()))
        .await
        .unwrap();
    assert_eq!(a.heartbeat("a", NOTHING, LONG).await, Ok(Heartbeat::Renewed));
}

#[tokio::test]
async fn leases_start_anew_after_redis_lost_data() {
    let redis = RedisServer::start().await.unwrap();
    let bus = connect(&redis.url(), Options::default()).await.unwrap();
    bus.heartbeat("a", NOTHING, LONG).await.unwrap();
    bus.put("a", "key", NOTHING).await.unwrap();
    let mut client = redis.client().await.unwrap();
    // Removes the scripts as well.
    client.call(&["SCRIPT", "FLUSH"]).await.unwrap();
    client.call(&["FLUSHALL"]).await.unwrap();
    assert_eq!(bus.put("a", "key", NOTHING).await, Err(BusError::Expired));
    assert_eq!(bus.heartbeat("a", NOTHING, LONG).await, Ok(Heartbeat::Started));
    assert_eq!(bus.entries(&["key".into()]).await.unwrap().concat(), []);
    assert_eq!(bus.heartbeat("a", NOTHING, LONG).await, Ok(Heartbeat::Renewed));
    bus.put("a", "key", NOTHING).await.unwrap();
    // Loses the member's hash, as an eviction does; later one write, as a failover does.
    client
        .call(&["DEL", "{roomful:membership}:member:a"])
        .await
        .unwrap();
    assert_eq!(bus.heartbeat("a", NOTHING, LONG).await, Ok(Heartbeat::Started));
    bus.put("a", "key", NOTHING).await.unwrap();
    bus.put("a", "key", NOTHING).await.unwrap();
    client
        .call(&["HINCRBY", "{roomful:membership}:member:a", ".writes", "-1"])
        .await
        .unwrap();
    assert_eq!(bus.heartbeat("a", NOTHING, LONG).await, Ok(Heartbeat::Started));
    assert_eq!(bus.entries(&["key".into()]).await.unwrap().concat(), []);
    assert_eq!(bus.heartbeat("a", NOTHING, LONG).await, Ok(Heartbeat::Renewed));
}

#[tokio::test]
async fn a_started_lease_is_reported_until_the_client_knows_it() {
    let redis = RedisServer::start().await.unwrap();
    let one = connect(&redis.url(), Options::default()).await.unwrap();
    let other = connect(&redis.url(), Options::default()).await.unwrap();
    // The second client does not know the lease, as if its answer was lost.
    one.heartbeat("a", NOTHING, LONG).await.unwrap();
    assert_eq!(other.heartbeat("a", NOTHING, LONG).await, Ok(Heartbeat::Started));
}

#[tokio::test]
async fn expired_entries_are_returned_again_after_a_lost_answer() {
    let redis = RedisServer::start().await.unwrap();
    let bus = connect(&redis.url(), Options::default()).await.unwrap();
    bus.heartbeat("a", NOTHING, LONG).await.unwrap();
    bus.put("a", "key", NOTHING).await.unwrap();
    bus.leave("a", Duration::ZERO).await.unwrap();
    let mut client = redis.client().await.unwrap();
    // Another client has claimed it, and died.
    let key = "{roomful:membership}:claim:a";
    client.call(&["SET", key, "another", "PX", "300"]).await.unwrap();
    assert_eq!(bus.take_expired(10).await.unwrap(), []);
    until("the claim to expire", async || {
        Ok(bus.take_expired(10).await?.len() == 1)
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn every_key_expires() {
    let redis = RedisServer::start().await.unwrap();
    let bus = connect(&redis.url(), Options::default()).await.unwrap();
    for member in ["a", "b"] {
        bus.heartbeat(member, NOTHING, LONG).await.unwrap();
        bus.put(member, "key", NOTHING).await.unwrap();
    }
    assert!(bus.acquire_lock("b", "cleaner", LONG).await.unwrap());
    bus.leave("a", Duration::ZERO).await.unwrap();
    bus.take_expired(10).await.unwrap();
    bus.take_expired(10).await.unwrap();
    let mut client = redis.client().await.unwrap();
    let keys = client.call(&["KEYS", "*"]).await.unwrap();
    let mut keys: Vec<_> = keys
        .as_array()
        .unwrap()
        .iter()
        .map(|key| key.as_str().unwrap())
        .collect();
    keys.sort_unstable();
    let base = "{roomful:membership}";
    let known = [":leases", ":lock:cleaner", ":member:b", ":tombstones"].map(|key| format!("{base}{key}"));
    assert_eq!(keys, known);
    for key in keys {
        let left = client.call(&["PTTL", key]).await.unwrap();
        assert!(left.as_i64().unwrap() > 0, "{key}: {left}");
    }
}

#[tokio::test]
async fn redis_on_a_unix_socket() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("redis.sock");
    let socket = socket.to_str().unwrap();
    let _redis = RedisServer::start_with(Some("pw"), &["--unixsocket", socket])
        .await
        .unwrap();
    let url = format!("redis+unix://{socket}?pass=pw");
    let (a, b) = (
        connect(&url, quick()).await.unwrap(),
        connect(&url, quick()).await.unwrap(),
    );
    let (at_b, _b) = subscribe(&b, "t").await;
    arrives(&a, "t", &at_b, "over its socket").await.unwrap();
    assert_eq!(a.heartbeat("a", NOTHING, LONG).await, Ok(Heartbeat::Started));
}

#[tokio::test]
async fn two_clusters_share_a_redis_under_prefixes() {
    let redis = RedisServer::start().await.unwrap();
    let under = async |prefix: &str| {
        let mut options = Options::default();
        options.prefix = prefix.into();

        connect(&redis.url(), options).await.unwrap()
    };
    let (a, b, other) = (under("one:").await, under("one:").await, under("two:").await);
    let (at_b, _b) = subscribe(&b, "t").await;
    other.publish("t", Bytes::from_static(b"from the other cluster"));
    other.check().await.unwrap();
    arrives(&a, "t", &at_b, "from its own cluster").await.unwrap();
    a.heartbeat("a", NOTHING, LONG).await.unwrap();
    assert_eq!(other.members().await.unwrap(), []);
    assert_eq!(b.members().await.unwrap().len(), 1);
}

#[tokio::test]
async fn without_redis_calls_end_and_no_queue_grows() {
    let url = format!(
        "redis://user:hunter2@127.0.0.1:{}",
        roomful_testkit::ports::free_port().unwrap()
    );
    let bus: Arc<dyn Bus> = open(&url, quick()).unwrap();
    let subscription = bus.subscribe("t", Recorder::new());
    for _ in 0..100_000 {
        bus.publish("t", Bytes::from_static(&[0; 1000]));
    }
    let error = bus.check().await.unwrap_err();
    assert!(
        matches!(&error, BusError::Unavailable(text) if !text.contains("hunter2")),
        "{error}"
    );
    assert!(!subscription.is_confirmed());
    bus.close().await;
    // The closed bus ends the wait.
    subscription.confirmed().await;
    assert!(!subscription.is_confirmed());
}

#[tokio::test]
async fn the_error_of_a_wrong_password_does_not_contain_it() {
    let redis = RedisServer::start_with(Some("hunter2"), &[]).await.unwrap();
    let bus = open(&format!("redis://:swordfish@{}", redis.addr()), quick()).unwrap();
    let BusError::Authentication(text) = bus.check().await.unwrap_err() else {
        panic!("Redis accepted a wrong password");
    };
    assert!(text.contains("password") && !text.contains("swordfish"), "{text}");
    let bus = open(&format!("redis://{}", redis.addr()), quick()).unwrap();
    let without = bus.check().await;
    assert!(matches!(without, Err(BusError::Authentication(_))), "{without:?}");
}

/// Number of SUBSCRIBE commands that Redis refused for lack of permission.
async fn refusals(redis: &RedisServer) -> u32 {
    let mut client = redis.client().await.unwrap();
    let stats = client.call(&["INFO", "commandstats"]).await.unwrap();
    let stats = stats.as_str().unwrap();
    let subscribed = stats.lines().find(|line| line.starts_with("cmdstat_subscribe:"));
    let figures = subscribed.unwrap_or_default().split(',');
    let rejected = figures.filter_map(|figure| figure.strip_prefix("rejected_calls="));
    rejected.map(|count| count.parse::<u32>().unwrap()).sum()
}

#[tokio::test]
async fn refused_subscriptions_are_retried_with_back_off() {
    let redis = RedisServer::start().await.unwrap();
    let mut client = redis.client().await.unwrap();
    let user = [
        "ACL", "SETUSER", "weak", "on", ">pw", "~*", "&*", "-@all", "+ping", "+hello", "+auth",
    ];
    client.call(&user).await.unwrap();
    let mut options = Options::default();
    options.retry_max = Duration::from_secs(2);

    let asked = tokio::time::Instant::now();
    let bus = open(&format!("redis://weak:pw@{}", redis.addr()), options).unwrap();
    let subscription = bus.subscribe("t", Recorder::new());
    until("six refusals", async || Ok(refusals(&redis).await >= 6))
        .await
        .unwrap();
    // Half of 40 + 80 + 160 + 320 + 640 ms at least. Without back-off it would be 40 ms each time.
    assert!(
        asked.elapsed() > Duration::from_millis(620),
        "{:?}",
        asked.elapsed()
    );
    client.call(&["ACL", "SETUSER", "weak", "+@all"]).await.unwrap();
    subscription.confirmed().await;
}
