//! The master that Sentinels name: found, lost, and found again elsewhere.

use std::{net::TcpListener, time::Duration};

use bytes::Bytes;
use roomful_bus::{Beat, BusError, contract::until, open};
use roomful_testkit::{
    RedisServer, Sentinel,
    sentinel::{MASTER, Watched},
};

use super::{LONG, arrives, end, gap, hear, quick};

const NOTHING: Bytes = Bytes::new();

#[tokio::test]
async fn a_failover_is_followed() {
    let mut watched = Watched::start("pw").await.unwrap();
    // The first of them is not there.
    let gone = roomful_testkit::ports::free_port().unwrap();
    let url = format!(
        "redis+sentinel://:pw@127.0.0.1:{gone},{}/{MASTER}/0",
        watched.sentinel.addr()
    );
    let (a, b) = (
        end(&url, quick()).await.unwrap(),
        end(&url, quick()).await.unwrap(),
    );
    let (at_b, _b) = hear(&b, "t").await;
    arrives(&a, "t", &at_b, "before").await.unwrap();
    assert_eq!(a.beat("a", NOTHING, LONG).await, Ok(Beat::Began));
    a.put("a", "key", NOTHING).await.unwrap();

    watched.master.kill9().await.unwrap();
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

/// What a node is told at its start that asks these Sentinels, in this order, as a user of theirs.
async fn told(servers: [u16; 3]) -> BusError {
    let servers = servers.map(|port| format!("127.0.0.1:{port}")).join(",");
    let url = format!("redis+sentinel://{servers}/{MASTER}?sentinel_user=watcher&sentinel_password=s3cret");
    open(&url, quick()).unwrap().check().await.unwrap_err()
}

#[tokio::test]
async fn a_refused_user_is_told_however_long_others_are_silent() {
    let master = RedisServer::start().await.unwrap();
    let sentinel = Sentinel::start(MASTER, master.addr(), None, Duration::from_secs(5))
        .await
        .unwrap();
    let refusing = sentinel.addr().port();
    // The system takes connections for them, and nobody answers.
    let silent = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let [one, two] = silent
        .each_ref()
        .map(|silent| silent.local_addr().unwrap().port());
    for servers in [[refusing, one, two], [one, two, refusing]] {
        let error = told(servers).await;
        assert!(matches!(error, BusError::SignIn(_)), "{servers:?}: {error:?}");
    }
}

#[tokio::test]
async fn a_sentinel_that_has_no_answer_yet_may_have_one_soon_whoever_refuses_the_user() {
    let master = RedisServer::start().await.unwrap();
    let start = async |name| Sentinel::start(name, master.addr(), None, Duration::from_secs(5)).await;
    let (refusing, other) = (start(MASTER).await.unwrap(), start("another").await.unwrap());
    let mut client = other.client().await.unwrap();
    let user = ["ACL", "SETUSER", "watcher", "on", ">s3cret", "+@all"];
    client.call(&user).await.unwrap();
    let gone = roomful_testkit::ports::free_port().unwrap();
    let [refusing, unknowing] = [&refusing, &other].map(|sentinel| sentinel.addr().port());
    for servers in [[refusing, unknowing, gone], [unknowing, refusing, gone]] {
        let error = told(servers).await;
        assert!(
            matches!(&error, BusError::Unavailable(what) if what.contains("no master")),
            "{servers:?}: {error:?}"
        );
    }
}
