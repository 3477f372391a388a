//! A Redis user with only the permissions that the docs list.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use roomful_bus::{
    Bus, BusError, Heartbeat, Subscription,
    contract::{Recorder, until},
};
use roomful_testkit::{
    RedisCluster, RedisServer,
    resp::RespClient,
    sentinel::{MASTER, Watched},
};

use super::{LONG, arrives, cluster, connect, connect_scoped, quick, subscribe};

const NOTHING: Bytes = Bytes::new();
const DOCS: &str = include_str!("../../../../docs/cluster-bus.md");

/// A scope like that of a node.
const SCOPE: &str = "0123456789abcdef";

/// Enough topics to have some on each master of a cluster.
const TOPICS: usize = 30;

/// Creates the user of the docs. Returns `user:password` for a URL.
async fn create_user(client: &mut RespClient) -> String {
    let rule = DOCS.lines().find_map(|line| line.strip_prefix("ACL SETUSER "));
    let rule = rule.expect("the docs have a rule").replace("PASSWORD", "pw");
    let rule: Vec<_> = rule.split_whitespace().collect();
    client
        .call(&[&["ACL", "SETUSER"], &rule[..]].concat())
        .await
        .unwrap();
    format!("{}:pw", rule[0])
}

/// Disables the default user for new connections. This client stays connected.
async fn disable_default_user(client: &mut RespClient) {
    let words = ["ACL", "SETUSER", "default", "resetpass", ">other"];
    client.call(&words).await.unwrap();
}

/// Makes every call that a node makes, and asserts that Redis refuses none.
///
/// `admins` are connections to each master, and `channels` is the subcommand of PUBSUB that lists channels.
async fn make_all_calls(url: &str, admins: &mut [RespClient], channels: &str) {
    let (a, b) = (connect_scoped(url, SCOPE).await, connect_scoped(url, SCOPE).await);
    use_topics(&a, &b).await;
    until("all channels to be unsubscribed", async || {
        Ok(answers(admins, &["PUBSUB", channels, "roomful:*"])
            .await
            .is_empty())
    })
    .await
    .unwrap();
    use_membership(&a, &b).await;
    a.close().await;
    // ACL LOG also has refusals that the client retried.
    let refused = answers(admins, &["ACL", "LOG"]).await;
    assert!(refused.is_empty(), "{refused:?}");
}

async fn use_topics(a: &Arc<dyn Bus>, b: &Arc<dyn Bus>) {
    let mut all: Vec<Subscription> = Vec::new();
    for topic in 0..TOPICS {
        let topic = topic.to_string();
        let (at_b, of_b) = subscribe(b, &topic).await;
        arrives(a, &topic, &at_b, "with few rights").await.unwrap();
        all.push(of_b);
    }
}

async fn use_membership(a: &Arc<dyn Bus>, b: &Arc<dyn Bus>) {
    assert_eq!(a.heartbeat("a", NOTHING, LONG).await, Ok(Heartbeat::Started));
    a.heartbeat("b", NOTHING, LONG).await.unwrap();
    a.put("a", "key", NOTHING).await.unwrap();
    a.put("a", "another", NOTHING).await.unwrap();
    a.remove("a", "another").await.unwrap();
    assert!(a.acquire_lock("a", "cleaner", LONG).await.unwrap());
    assert_eq!(b.members().await.unwrap().len(), 2);
    assert_eq!(b.entries(&["key".into()]).await.unwrap().concat().len(), 1);
    a.leave("a", Duration::ZERO).await.unwrap();
    assert_eq!(b.take_expired(10).await.unwrap().len(), 1);
    assert_eq!(b.take_expired(10).await.unwrap(), []);
}

/// The answers of all servers in one list.
async fn answers(admins: &mut [RespClient], words: &[&str]) -> Vec<String> {
    let mut all = Vec::new();
    for admin in admins {
        let answer = admin.call(words).await.unwrap();
        all.extend(answer.as_array().unwrap().iter().map(ToString::to_string));
    }
    all
}

#[tokio::test]
async fn on_a_single_redis() {
    let redis = RedisServer::start().await.unwrap();
    let mut admin = redis.client().await.unwrap();
    let user = create_user(&mut admin).await;
    disable_default_user(&mut admin).await;
    let url = format!("redis://{user}@{}", redis.addr());
    make_all_calls(&url, std::slice::from_mut(&mut admin), "CHANNELS").await;

    // Another prefix is out of its reach.
    let mut options = quick();
    options.prefix = "other:".into();

    let other = connect(&url, options).await.unwrap();
    let refused = other.heartbeat("a", NOTHING, LONG).await;
    assert!(
        matches!(&refused, Err(BusError::Unavailable(text)) if text.contains("NOPERM")),
        "{refused:?}"
    );
    let subscription = other.subscribe("t", Recorder::new());
    until("a refusal", async || {
        let log = admin.call(&["ACL", "LOG"]).await.unwrap();
        Ok(log.to_string().contains("other:t:t"))
    })
    .await
    .unwrap();
    assert!(!subscription.is_confirmed());
}

#[tokio::test]
async fn on_all_masters_of_a_cluster() {
    let cluster = RedisCluster::start(3, &[]).await.unwrap();
    let (mut admins, mut user) = (Vec::new(), String::new());
    for node in cluster.nodes() {
        let mut admin = node.client().await.unwrap();
        user = create_user(&mut admin).await;
        disable_default_user(&mut admin).await;
        admins.push(admin);
    }
    let url = cluster::url(&cluster).replace("://", &format!("://{user}@"));
    make_all_calls(&url, &mut admins, "SHARDCHANNELS").await;
}

#[tokio::test]
async fn on_a_sentinel_too() {
    let watched = Watched::start("pw").await.unwrap();
    let mut admin = watched.master.client().await.unwrap();
    let user = create_user(&mut admin).await;
    let mut at_sentinel = watched.sentinel.client().await.unwrap();
    let rights = DOCS.split('`').find(|code| code.contains("+sentinel|"));
    let rule = format!("ACL SETUSER watcher on >s3cret -@all {}", rights.unwrap());
    at_sentinel
        .call(&rule.split_whitespace().collect::<Vec<_>>())
        .await
        .unwrap();
    at_sentinel
        .call(&["ACL", "SETUSER", "default", "off"])
        .await
        .unwrap();
    let url = format!(
        "redis+sentinel://{user}@{}/{MASTER}?sentinel_user=watcher&sentinel_password=s3cret",
        watched.sentinel.addr()
    );
    make_all_calls(&url, std::slice::from_mut(&mut admin), "CHANNELS").await;
    let log = at_sentinel.call(&["ACL", "LOG"]).await.unwrap();
    assert_eq!(log.as_array().unwrap().len(), 0, "{log}");
}
