//! A Redis that dies, hangs, comes back and forgets.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use roomful_bus::{
    Beat, Bus, BusError, Options,
    contract::{Recorder, until},
    open,
};
use roomful_testkit::RedisServer;

use super::{LONG, arrives, end, gap, hear, quick};

const NOTHING: Bytes = Bytes::new();

#[tokio::test]
async fn killed_and_started_again_with_a_gap_told_and_its_memory_kept() {
    let mut redis = RedisServer::start().await.unwrap();
    let (a, b) = (
        end(&redis.url(), quick()).await.unwrap(),
        end(&redis.url(), quick()).await.unwrap(),
    );
    let (at_b, _b) = hear(&b, "t").await;
    assert_eq!(a.beat("a", NOTHING, LONG).await, Ok(Beat::Began));
    a.put("a", "key", Bytes::from_static(b"value")).await.unwrap();
    redis.kill9().await.unwrap();
    until("the loss", async || Ok(a.check().await.is_err()))
        .await
        .unwrap();
    assert!(matches!(
        a.beat("a", NOTHING, LONG).await,
        Err(BusError::Unavailable(_))
    ));
    // The other end notices by itself, on the connection that it hears with. Whoever came before would be told of the gap.
    let unheard = async || Ok(!b.subscribe("t", Recorder::new()).is_heard());
    until("the other's loss", unheard).await.unwrap();
    // Who comes while it is down is heard later, and has missed nothing.
    let (late, new) = (Recorder::new(), Recorder::new());
    let of_late = b.subscribe("t", Arc::<Recorder>::clone(&late));
    let of_new = b.subscribe("u", Arc::<Recorder>::clone(&new));
    redis.restart().await.unwrap();
    of_late.heard().await;
    of_new.heard().await;
    gap(&at_b, "t").await;
    assert!(late.is_empty() && new.is_empty(), "{late:?}, {new:?}");
    arrives(&a, "t", &at_b, "after").await.unwrap();
    arrives(&a, "u", &new, "after").await.unwrap();
    // It writes all to disk here.
    assert_eq!(a.beat("a", NOTHING, LONG).await, Ok(Beat::Renewed));
    assert_eq!(b.entries(&["key".into()]).await.unwrap().concat().len(), 1);
}

#[tokio::test]
async fn thousands_of_topics_are_heard_again() {
    let mut redis = RedisServer::start().await.unwrap();
    let (a, b) = (
        end(&redis.url(), quick()).await.unwrap(),
        end(&redis.url(), quick()).await.unwrap(),
    );
    let recorder = Recorder::new();
    let topics: Vec<_> = (0..3000).map(|number| format!("topic {number}")).collect();
    let all: Vec<_> = topics
        .iter()
        .map(|topic| b.subscribe(topic, Arc::<Recorder>::clone(&recorder)))
        .collect();
    for subscription in &all {
        subscription.heard().await;
    }
    redis.kill9().await.unwrap();
    redis.restart().await.unwrap();
    for _ in &topics {
        assert!(matches!(
            recorder.next().await,
            roomful_bus::contract::Heard::Gap(_)
        ));
    }
    arrives(&a, "topic 2999", &recorder, "after").await.unwrap();
}

#[tokio::test]
async fn a_redis_that_hangs_is_noticed() {
    let redis = RedisServer::start().await.unwrap();
    let (a, b) = (
        end(&redis.url(), quick()).await.unwrap(),
        end(&redis.url(), quick()).await.unwrap(),
    );
    let (at_b, _b) = hear(&b, "t").await;
    assert_eq!(a.beat("a", NOTHING, LONG).await, Ok(Beat::Began));
    redis.pause().unwrap();
    let asked = tokio::time::Instant::now();
    let answer = a.beat("a", NOTHING, LONG).await;
    assert!(matches!(answer, Err(BusError::Unavailable(_))), "{answer:?}");
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
    // Someone comes meanwhile, which can't be heard.
    let late = b.subscribe("u", Recorder::new());
    until("the second failure", async || Ok(b.check().await.is_err()))
        .await
        .unwrap();
    assert!(!late.is_heard());
    redis.resume().unwrap();
    late.heard().await;
    gap(&at_b, "t").await;
    arrives(&a, "t", &at_b, "after").await.unwrap();
    until("the roster", async || Ok(a.check().await.is_ok()))
        .await
        .unwrap();
    assert_eq!(a.beat("a", NOTHING, LONG).await, Ok(Beat::Renewed));
}

#[tokio::test]
async fn what_redis_forgets_begins_anew() {
    let redis = RedisServer::start().await.unwrap();
    let bus = end(&redis.url(), Options::default()).await.unwrap();
    bus.beat("a", NOTHING, LONG).await.unwrap();
    bus.put("a", "key", NOTHING).await.unwrap();
    let mut client = redis.client().await.unwrap();
    // The scripts too.
    client.call(&["SCRIPT", "FLUSH"]).await.unwrap();
    client.call(&["FLUSHALL"]).await.unwrap();
    assert_eq!(bus.put("a", "key", NOTHING).await, Err(BusError::Lapsed));
    assert_eq!(bus.beat("a", NOTHING, LONG).await, Ok(Beat::Began));
    assert_eq!(bus.entries(&["key".into()]).await.unwrap().concat(), []);
    assert_eq!(bus.beat("a", NOTHING, LONG).await, Ok(Beat::Renewed));
    bus.put("a", "key", NOTHING).await.unwrap();
    // All that hangs on the lease, as when Redis makes room; then one write of many, as after a failover.
    client.call(&["DEL", "{roomful:roster}:member:a"]).await.unwrap();
    assert_eq!(bus.beat("a", NOTHING, LONG).await, Ok(Beat::Began));
    bus.put("a", "key", NOTHING).await.unwrap();
    bus.put("a", "key", NOTHING).await.unwrap();
    client
        .call(&["HINCRBY", "{roomful:roster}:member:a", ".writes", "-1"])
        .await
        .unwrap();
    assert_eq!(bus.beat("a", NOTHING, LONG).await, Ok(Beat::Began));
    assert_eq!(bus.entries(&["key".into()]).await.unwrap().concat(), []);
    assert_eq!(bus.beat("a", NOTHING, LONG).await, Ok(Beat::Renewed));
}

#[tokio::test]
async fn a_begin_whose_answer_was_lost_is_told_again() {
    let redis = RedisServer::start().await.unwrap();
    let one = end(&redis.url(), Options::default()).await.unwrap();
    let other = end(&redis.url(), Options::default()).await.unwrap();
    // For an end that was told nothing, the lease that another began has not.
    one.beat("a", NOTHING, LONG).await.unwrap();
    assert_eq!(other.beat("a", NOTHING, LONG).await, Ok(Beat::Began));
}

#[tokio::test]
async fn a_sweep_whose_answer_was_lost_is_found_again() {
    let redis = RedisServer::start().await.unwrap();
    let bus = end(&redis.url(), Options::default()).await.unwrap();
    bus.beat("a", NOTHING, LONG).await.unwrap();
    bus.put("a", "key", NOTHING).await.unwrap();
    bus.resign("a").await.unwrap();
    let mut client = redis.client().await.unwrap();
    // Somebody was given it, and died.
    let claim = "{roomful:roster}:claim:a";
    client
        .call(&["SET", claim, "somebody", "PX", "300"])
        .await
        .unwrap();
    assert_eq!(bus.sweep(10).await.unwrap(), []);
    until("the end of the claim", async || {
        Ok(bus.sweep(10).await?.len() == 1)
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn nothing_stays_in_redis_for_ever() {
    let redis = RedisServer::start().await.unwrap();
    let bus = end(&redis.url(), Options::default()).await.unwrap();
    for member in ["a", "b"] {
        bus.beat(member, NOTHING, LONG).await.unwrap();
        bus.put(member, "key", NOTHING).await.unwrap();
    }
    assert!(bus.hold("b", "sweeper", LONG).await.unwrap());
    bus.resign("a").await.unwrap();
    bus.sweep(10).await.unwrap();
    bus.sweep(10).await.unwrap();
    let mut client = redis.client().await.unwrap();
    let keys = client.call(&["KEYS", "*"]).await.unwrap();
    let mut keys: Vec<_> = keys
        .as_array()
        .unwrap()
        .iter()
        .map(|key| key.as_str().unwrap())
        .collect();
    keys.sort_unstable();
    let base = "{roomful:roster}";
    let known = [":hold:sweeper", ":lapsed", ":leases", ":member:b"].map(|key| format!("{base}{key}"));
    assert_eq!(keys, known);
    for key in keys {
        let left = client.call(&["PTTL", key]).await.unwrap();
        assert!(left.as_i64().unwrap() > 0, "{key}: {left}");
    }
}

#[tokio::test]
async fn by_its_unix_socket() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("redis.sock");
    let socket = socket.to_str().unwrap();
    let _redis = RedisServer::start_with(Some("pw"), &["--unixsocket", socket])
        .await
        .unwrap();
    let url = format!("redis+unix://{socket}?pass=pw");
    let (a, b) = (
        end(&url, quick()).await.unwrap(),
        end(&url, quick()).await.unwrap(),
    );
    let (at_b, _b) = hear(&b, "t").await;
    arrives(&a, "t", &at_b, "by its socket").await.unwrap();
    assert_eq!(a.beat("a", NOTHING, LONG).await, Ok(Beat::Began));
}

#[tokio::test]
async fn two_clusters_share_a_redis_under_prefixes() {
    let redis = RedisServer::start().await.unwrap();
    let under = async |prefix: &str| {
        let options = Options {
            prefix: prefix.into(),
            ..Options::default()
        };
        end(&redis.url(), options).await.unwrap()
    };
    let (a, b, other) = (under("one:").await, under("one:").await, under("two:").await);
    let (at_b, _b) = hear(&b, "t").await;
    other.publish("t", Bytes::from_static(b"of the other"));
    other.check().await.unwrap();
    arrives(&a, "t", &at_b, "of its own").await.unwrap();
    a.beat("a", NOTHING, LONG).await.unwrap();
    assert_eq!(other.members().await.unwrap(), []);
    assert_eq!(b.members().await.unwrap().len(), 1);
}

#[tokio::test]
async fn without_redis_nothing_waits_for_ever_and_nothing_grows() {
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
    assert!(!subscription.is_heard());
    bus.close().await;
    // It will never be, so nobody waits.
    subscription.heard().await;
    assert!(!subscription.is_heard());
}

#[tokio::test]
async fn a_wrong_password_is_told_without_it() {
    let redis = RedisServer::start_with(Some("hunter2"), &[]).await.unwrap();
    let bus = open(&format!("redis://:swordfish@{}", redis.addr()), quick()).unwrap();
    let BusError::SignIn(text) = bus.check().await.unwrap_err() else {
        panic!("it let somebody in");
    };
    assert!(text.contains("password") && !text.contains("swordfish"), "{text}");
    let bus = open(&format!("redis://{}", redis.addr()), quick()).unwrap();
    let without = bus.check().await;
    assert!(matches!(without, Err(BusError::SignIn(_))), "{without:?}");
}

/// How often Redis has refused to subscribe for want of a right.
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
async fn a_redis_that_refuses_subscriptions_is_asked_ever_more_seldom() {
    let redis = RedisServer::start().await.unwrap();
    let mut client = redis.client().await.unwrap();
    let user = [
        "ACL", "SETUSER", "weak", "on", ">pw", "~*", "&*", "-@all", "+ping", "+hello", "+auth",
    ];
    client.call(&user).await.unwrap();
    let options = Options {
        retry_max: Duration::from_secs(2),
        ..Options::default()
    };
    let asked = tokio::time::Instant::now();
    let bus = open(&format!("redis://weak:pw@{}", redis.addr()), options).unwrap();
    let subscription = bus.subscribe("t", Recorder::new());
    until("six refusals", async || Ok(refusals(&redis).await >= 6))
        .await
        .unwrap();
    // At least half of 40 + 80 + 160 + 320 + 640 ms, where it would be 40 ms each time.
    assert!(
        asked.elapsed() > Duration::from_millis(620),
        "{:?}",
        asked.elapsed()
    );
    client.call(&["ACL", "SETUSER", "weak", "+@all"]).await.unwrap();
    subscription.heard().await;
}
