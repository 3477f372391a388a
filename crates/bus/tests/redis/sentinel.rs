//! The master that Sentinels name: found, lost, and found again elsewhere.

use std::time::Duration;

use bytes::Bytes;
use roomful_bus::{Beat, BusError, contract::until, open};
use roomful_testkit::{RedisServer, Sentinel};

use super::{LONG, arrives, end, gap, hear, quick};

const NOTHING: Bytes = Bytes::new();

#[tokio::test]
async fn a_failover_is_followed() {
    let mut master = RedisServer::start_with(
        Some("pw"),
        &["--masterauth", "pw", "--repl-diskless-sync-delay", "0"],
    )
    .await
    .unwrap();
    let port = master.addr().port().to_string();
    let replica = RedisServer::start_with(
        Some("pw"),
        &["--masterauth", "pw", "--replicaof", "127.0.0.1", &port],
    )
    .await
    .unwrap();
    let mut client = replica.client().await.unwrap();
    until("the replica", async || {
        let info = client.call(&["INFO", "replication"]).await.unwrap();
        Ok(info.as_str().unwrap().contains("master_link_status:up"))
    })
    .await
    .unwrap();
    let sentinel = Sentinel::start("mymaster", master.addr(), Some("pw"), Duration::from_millis(500))
        .await
        .unwrap();
    let mut client = sentinel.client().await.unwrap();
    until("the Sentinel to know the replica", async || {
        let replicas = client.call(&["SENTINEL", "REPLICAS", "mymaster"]).await.unwrap();
        Ok(!replicas.as_array().unwrap().is_empty())
    })
    .await
    .unwrap();

    // The first of them is not there.
    let gone = roomful_testkit::ports::free_port().unwrap();
    let url = format!(
        "redis+sentinel://:pw@127.0.0.1:{gone},{}/mymaster/0",
        sentinel.addr()
    );
    let (a, b) = (
        end(&url, quick()).await.unwrap(),
        end(&url, quick()).await.unwrap(),
    );
    let (at_b, _b) = hear(&b, "t").await;
    arrives(&a, "t", &at_b, "before").await.unwrap();
    assert_eq!(a.beat("a", NOTHING, LONG).await, Ok(Beat::Began));
    a.put("a", "key", NOTHING).await.unwrap();

    master.kill9().await.unwrap();
    gap(&at_b, "t").await;
    arrives(&a, "t", &at_b, "after").await.unwrap();
    until("the roster", async || Ok(a.check().await.is_ok()))
        .await
        .unwrap();
    // Whether the write came across is not certain; what is not there has to be put again.
    let beat = a.beat("a", NOTHING, LONG).await.unwrap();
    let entries = b.entries(&["key".into()]).await.unwrap().concat();
    assert_eq!(beat == Beat::Renewed, entries.len() == 1, "{beat:?}");
}

#[tokio::test]
async fn a_sentinel_that_refuses_its_user_is_told_from_one_that_is_gone() {
    let master = RedisServer::start().await.unwrap();
    let sentinel = Sentinel::start("mymaster", master.addr(), None, Duration::from_secs(5))
        .await
        .unwrap();
    let gone = roomful_testkit::ports::free_port().unwrap();
    let servers = format!("{},127.0.0.1:{gone}", sentinel.addr());
    let url = format!("redis+sentinel://{servers}/mymaster?sentinel_user=nobody&sentinel_password=wr0ng");
    let refused = open(&url, quick()).unwrap().check().await;
    let Err(BusError::SignIn(what)) = refused else {
        panic!("{refused:?}");
    };
    assert!(!what.contains("wr0ng"), "{what}");
    let url = format!("redis+sentinel://127.0.0.1:{gone}/mymaster");
    let unreachable = open(&url, quick()).unwrap().check().await;
    assert!(
        matches!(unreachable, Err(BusError::Unavailable(_))),
        "{unreachable:?}"
    );
}
