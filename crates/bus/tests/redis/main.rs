//! The bus over a real Redis: the contract suite, and faults of the server.

#![expect(clippy::unwrap_used, reason = "a failed helper fails the test")]

mod cluster;
mod rights;
mod sentinel;
mod tls;
mod trouble;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use roomful_bus::{
    Bus, BusError, Heartbeat, Options, Subscription, bus_contract,
    contract::{Harness, Outcome, Received, Recorder, until},
    open,
};
use roomful_testkit::RedisServer;

/// A lease that outlasts any test.
const LONG: Duration = Duration::from_mins(10);

/// A connected client.
async fn connect(url: &str, options: Options) -> Result<Arc<dyn Bus>, BusError> {
    let bus = open(url, options)?;
    bus.check().await?;
    Ok(bus)
}

/// Options for tests that wait until a lost connection is detected.
fn quick() -> Options {
    let mut options = Options::default();
    options.timeout = Duration::from_millis(300);
    options.ping_interval = Duration::from_millis(100);
    options.retry_max = Duration::from_millis(200);
    options.watch_interval = Duration::from_millis(200);
    options
}

async fn subscribe(bus: &Arc<dyn Bus>, topic: &str) -> (Arc<Recorder>, Subscription) {
    let recorder = Recorder::new();
    let subscription = bus.subscribe(topic, Arc::<Recorder>::clone(&recorder));
    subscription.confirmed().await;
    (recorder, subscription)
}

/// Waits for a gap on the topic, and skips all calls before it.
async fn gap(recorder: &Recorder, topic: &str) {
    while recorder.next().await != Received::Gap(topic.to_owned()) {}
}

/// Publishes until the message arrives: the publisher may reconnect later than the subscriber.
async fn arrives(from: &Arc<dyn Bus>, topic: &str, at: &Recorder, text: &str) -> Outcome {
    let expected = Received::Message(topic.to_owned(), Bytes::from(text.to_owned()));
    until(text, async || {
        from.publish(topic, Bytes::from(text.to_owned()));
        while let Some(received) = at.try_next() {
            if received == expected {
                return Ok(true);
            }
        }
        Ok(false)
    })
    .await
}

/// Arguments for the contract suite, which never restarts Redis: a slow disk must not delay its short leases.
const NO_PERSISTENCE: [&str; 2] = ["--appendonly", "no"];

struct Single(RedisServer);

#[async_trait]
impl Harness for Single {
    async fn connect(&self) -> Result<Arc<dyn Bus>, BusError> {
        connect(&self.0.url(), Options::default()).await
    }
}

mod single {
    use super::{NO_PERSISTENCE, RedisServer, Single, bus_contract};

    bus_contract!(async { Single(RedisServer::start_with(None, &NO_PERSISTENCE).await.unwrap()) });
}

/// A connected client with this scope.
async fn connect_scoped(url: &str, scope: &str) -> Arc<dyn Bus> {
    let mut options = quick();
    options.scope = scope.into();

    connect(url, options).await.unwrap()
}

#[tokio::test]
async fn clients_of_different_scopes_share_neither_topics_nor_members() {
    let redis = RedisServer::start().await.unwrap();
    let url = redis.url();
    let one = connect_scoped(&url, "one").await;
    let (at_one, _one) = subscribe(&one, "t").await;
    for scope in ["", "two", "one"] {
        let (from, to) = (
            connect_scoped(&url, scope).await,
            connect_scoped(&url, scope).await,
        );
        let (at_to, _to) = subscribe(&to, "own").await;
        arrives(&from, "own", &at_to, "ready").await.unwrap();
        from.publish("t", Bytes::copy_from_slice(scope.as_bytes()));
        arrives(&from, "own", &at_to, "sent").await.unwrap();
        for (client, member) in [(&from, "from"), (&to, "to")] {
            assert_eq!(
                client.heartbeat(member, Bytes::new(), LONG).await,
                Ok(Heartbeat::Started)
            );
        }
        assert_eq!(to.members().await.unwrap().len(), 2, "the scope {scope:?}");
    }
    // The message of its own scope was sent last, and is the first that arrives.
    let received = at_one.next().await;
    assert_eq!(
        received,
        Received::Message("t".into(), Bytes::from_static(b"one"))
    );
}
