//! Sentinels: discovery of the master, and failover.

use std::{net::TcpListener, time::Duration};

use bytes::Bytes;
use roomful_bus::{BusError, Heartbeat, contract::until, open};
use roomful_testkit::{
    RedisServer, Sentinel,
    sentinel::{MASTER, Watched},
};

use super::{LONG, arrives, connect, gap, quick, subscribe};

const NOTHING: Bytes = Bytes::new();

#[tokio::test]
async fn clients_follow_a_failover() {
    let mut watched = Watched::start("pw").await.unwrap();
    // The first Sentinel of the URL does not exist.
    let gone = roomful_testkit::ports::free_port().unwrap();
    let url = format!(
        "redis+sentinel://:pw@127.0.0.1:{gone},{}/{MASTER}/0",
        watched.sentinel.addr()
    );
    let (a, b) = (
        connect(&url, quick()).await.unwrap(),
        connect(&url, quick()).await.unwrap(),
    );
    let (at_b, _b) = subscribe(&b, "t").await;
    arrives(&a, "t", &at_b, "before").await.unwrap();
    assert_eq!(a.heartbeat("a", NOTHING, LONG).await, Ok(Heartbeat::Started));
    a.put("a", "key", NOTHING).await.unwrap();

    watched.master.kill9().await.unwrap();
    gap(&at_b, "t").await;
    arrives(&a, "t", &at_b, "after").await.unwrap();
    until("the membership registry", async || Ok(a.check().await.is_ok()))
        .await
        .unwrap();
    // The write may be lost in the failover. If it is, the heartbeat must say so.
    let heartbeat = a.heartbeat("a", NOTHING, LONG).await.unwrap();
    let entries = b.entries(&["key".into()]).await.unwrap().concat();
    assert_eq!(
        heartbeat == Heartbeat::Renewed,
        entries.len() == 1,
        "{heartbeat:?}"
    );
}

#[tokio::test]
async fn a_refused_user_is_not_reported_as_an_unreachable_sentinel() {
    let master = RedisServer::start().await.unwrap();
    let sentinel = Sentinel::start("mymaster", master.addr(), None, Duration::from_secs(5))
        .await
        .unwrap();
    let gone = roomful_testkit::ports::free_port().unwrap();
    let servers = format!("{},127.0.0.1:{gone}", sentinel.addr());
    let url = format!("redis+sentinel://{servers}/mymaster?sentinel_user=nobody&sentinel_password=wr0ng");
    let refused = open(&url, quick()).unwrap().check().await;
    let Err(BusError::Authentication(text)) = refused else {
        panic!("{refused:?}");
    };
    assert!(!text.contains("wr0ng"), "{text}");
    let url = format!("redis+sentinel://127.0.0.1:{gone}/mymaster");
    let unreachable = open(&url, quick()).unwrap().check().await;
    assert!(
        matches!(unreachable, Err(BusError::Unavailable(_))),
        "{unreachable:?}"
    );
}

/// The error of a check with these Sentinels, asked in this order with a user.
async fn check_error(servers: [u16; 3]) -> BusError {
    let servers = servers.map(|port| format!("127.0.0.1:{port}")).join(",");
    let url = format!("redis+sentinel://{servers}/{MASTER}?sentinel_user=watcher&sentinel_password=s3cret");
    open(&url, quick()).unwrap().check().await.unwrap_err()
}

#[tokio::test]
async fn a_refused_user_is_reported_while_other_sentinels_are_silent() {
    let master = RedisServer::start().await.unwrap();
    let sentinel = Sentinel::start(MASTER, master.addr(), None, Duration::from_secs(5))
        .await
        .unwrap();
    let refusing = sentinel.addr().port();
    // The kernel accepts connections, and no program answers.
    let silent = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let [one, two] = silent
        .each_ref()
        .map(|silent| silent.local_addr().unwrap().port());
    for servers in [[refusing, one, two], [one, two, refusing]] {
        let error = check_error(servers).await;
        assert!(
            matches!(error, BusError::Authentication(_)),
            "{servers:?}: {error:?}"
        );
    }
}

#[tokio::test]
async fn a_sentinel_without_a_master_counts_as_an_outage_even_if_another_refuses_the_user() {
    let master = RedisServer::start().await.unwrap();
    let start = async |name| Sentinel::start(name, master.addr(), None, Duration::from_secs(5)).await;
    let (refusing, other) = (start(MASTER).await.unwrap(), start("another").await.unwrap());
    let mut client = other.client().await.unwrap();
    let user = ["ACL", "SETUSER", "watcher", "on", ">s3cret", "+@all"];
    client.call(&user).await.unwrap();
    let gone = roomful_testkit::ports::free_port().unwrap();
    let [refusing, ignorant] = [&refusing, &other].map(|sentinel| sentinel.addr().port());
    for servers in [[refusing, ignorant, gone], [ignorant, refusing, gone]] {
        let error = check_error(servers).await;
        assert!(
            matches!(&error, BusError::Unavailable(text) if text.contains("no master")),
            "{servers:?}: {error:?}"
        );
    }
}
