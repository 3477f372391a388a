//! The bus over a real Redis: the contract, and what only a server can do to it.

#![expect(clippy::unwrap_used, reason = "helpers of a test fail the test")]

mod cluster;
mod rights;
mod sentinel;
mod tls;
mod trouble;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use roomful_bus::{
    Beat, Bus, BusError, Options, Subscription, bus_contract,
    contract::{Harness, Heard, Outcome, Recorder, until},
    open,
};
use roomful_testkit::RedisServer;

/// Longer than any test takes.
const LONG: Duration = Duration::from_mins(10);

/// An end that is connected.
async fn end(url: &str, options: Options) -> Result<Arc<dyn Bus>, BusError> {
    let bus = open(url, options)?;
    bus.check().await?;
    Ok(bus)
}

/// Options for tests that wait for a loss to be noticed.
fn quick() -> Options {
    Options {
        timeout: Duration::from_millis(300),
        ping_interval: Duration::from_millis(100),
        retry_max: Duration::from_millis(200),
        watch_interval: Duration::from_millis(200),
        ..Options::default()
    }
}

async fn hear(bus: &Arc<dyn Bus>, topic: &str) -> (Arc<Recorder>, Subscription) {
    let recorder = Recorder::new();
    let subscription = bus.subscribe(topic, Arc::<Recorder>::clone(&recorder));
    subscription.heard().await;
    (recorder, subscription)
}

/// Waits for a gap on the topic, whatever came before it.
async fn gap(recorder: &Recorder, topic: &str) {
    while recorder.next().await != Heard::Gap(topic.to_owned()) {}
}

/// Publishes until the message arrives: the publisher may not know yet that all is well again.
async fn arrives(from: &Arc<dyn Bus>, topic: &str, at: &Recorder, text: &str) -> Outcome {
    let awaited = Heard::Message(topic.to_owned(), Bytes::from(text.to_owned()));
    until(text, async || {
        from.publish(topic, Bytes::from(text.to_owned()));
        while let Some(heard) = at.try_next() {
            if heard == awaited {
                return Ok(true);
            }
        }
        Ok(false)
    })
    .await
}

/// For the contract's servers, which are never started again: leases are short there, and a busy disk is slow.
const FORGETFUL: [&str; 2] = ["--appendonly", "no"];

struct Single(RedisServer);

#[async_trait]
impl Harness for Single {
    async fn connect(&self) -> Result<Arc<dyn Bus>, BusError> {
        end(&self.0.url(), Options::default()).await
    }
}

mod single {
    use super::{FORGETFUL, RedisServer, Single, bus_contract};

    bus_contract!(async { Single(RedisServer::start_with(None, &FORGETFUL).await.unwrap()) });
}

/// An end that is connected, of those who have the scope.
async fn scoped(url: &str, scope: &str) -> Arc<dyn Bus> {
    let options = Options {
        scope: scope.to_owned(),
        ..quick()
    };
    end(url, options).await.unwrap()
}

#[tokio::test]
async fn who_has_another_scope_hears_nothing_of_this_one_and_is_no_member_of_it() {
    let redis = RedisServer::start().await.unwrap();
    let url = redis.url();
    let one = scoped(&url, "one").await;
    let (at_one, _one) = hear(&one, "t").await;
    for scope in ["", "two", "one"] {
        let (from, to) = (scoped(&url, scope).await, scoped(&url, scope).await);
        let (at_to, _to) = hear(&to, "own").await;
        arrives(&from, "own", &at_to, "ready").await.unwrap();
        from.publish("t", Bytes::copy_from_slice(scope.as_bytes()));
        arrives(&from, "own", &at_to, "sent").await.unwrap();
        for (end, member) in [(&from, "from"), (&to, "to")] {
            assert_eq!(end.beat(member, Bytes::new(), LONG).await, Ok(Beat::Began));
        }
        assert_eq!(to.members().await.unwrap().len(), 2, "the scope {scope:?}");
    }
    // What its own have said came last, and is the first that it hears.
    let heard = at_one.next().await;
    assert_eq!(heard, Heard::Message("t".into(), Bytes::from_static(b"one")));
}
