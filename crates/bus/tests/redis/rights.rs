//! A user who may do only what the bus needs, by the very rules that the docs give.

use std::sync::Arc;

use bytes::Bytes;
use roomful_bus::{
    Beat, Bus, BusError, Options, Subscription,
    contract::{Recorder, until},
};
use roomful_testkit::{
    RedisCluster, RedisServer,
    resp::RespClient,
    sentinel::{MASTER, Watched},
};

use super::{LONG, arrives, cluster, end, hear, quick, scoped};

const NOTHING: Bytes = Bytes::new();
const DOCS: &str = include_str!("../../../../docs/cluster-bus.md");

/// As a node has one.
const SCOPE: &str = "0123456789abcdef";

/// So many topics lie on all masters of a cluster.
const TOPICS: usize = 30;

/// Makes the user, and has its name and its password, as a URL has them.
async fn admit(client: &mut RespClient) -> String {
    let rule = DOCS.lines().find_map(|line| line.strip_prefix("ACL SETUSER "));
    let rule = rule.expect("the docs have a rule").replace("PASSWORD", "pw");
    let rule: Vec<_> = rule.split(' ').collect();
    client
        .call(&[&["ACL", "SETUSER"], &rule[..]].concat())
        .await
        .unwrap();
    format!("{}:pw", rule[0])
}

/// Lets nobody in without a user. Who is in already, as this client is, stays.
async fn lock(client: &mut RespClient) {
    let words = ["ACL", "SETUSER", "default", "resetpass", ">other"];
    client.call(&words).await.unwrap();
}

/// Asks of all that a node asks for. `admins` have a connection to each master, and `channels` says how they list channels.
async fn live(url: &str, admins: &mut [RespClient], channels: &str) {
    let (a, b) = (scoped(url, SCOPE).await, scoped(url, SCOPE).await);
    talk(&a, &b).await;
    until("all to have left their topics", async || {
        Ok(answers(admins, &["PUBSUB", channels, "roomful:*"])
            .await
            .is_empty())
    })
    .await
    .unwrap();
    keep_the_roster(&a, &b).await;
    a.close().await;
    // Nothing was refused on the way that was not noticed.
    let refused = answers(admins, &["ACL", "LOG"]).await;
    assert!(refused.is_empty(), "{refused:?}");
}

async fn talk(a: &Arc<dyn Bus>, b: &Arc<dyn Bus>) {
    let mut all: Vec<Subscription> = Vec::new();
    for topic in 0..TOPICS {
        let topic = topic.to_string();
        let (at_b, of_b) = hear(b, &topic).await;
        arrives(a, &topic, &at_b, "with few rights").await.unwrap();
        all.push(of_b);
    }
}

async fn keep_the_roster(a: &Arc<dyn Bus>, b: &Arc<dyn Bus>) {
    assert_eq!(a.beat("a", NOTHING, LONG).await, Ok(Beat::Began));
    a.beat("b", NOTHING, LONG).await.unwrap();
    a.put("a", "key", NOTHING).await.unwrap();
    a.put("a", "another", NOTHING).await.unwrap();
    a.remove("a", "another").await.unwrap();
    assert!(a.hold("a", "sweeper", LONG).await.unwrap());
    assert_eq!(b.members().await.unwrap().len(), 2);
    assert_eq!(b.entries(&["key".into()]).await.unwrap().concat().len(), 1);
    a.resign("a").await.unwrap();
    assert_eq!(b.sweep(10).await.unwrap().len(), 1);
    assert_eq!(b.sweep(10).await.unwrap(), []);
}

/// What all of them answer with, in one list.
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
    let user = admit(&mut admin).await;
    lock(&mut admin).await;
    let url = format!("redis://{user}@{}", redis.addr());
    live(&url, std::slice::from_mut(&mut admin), "CHANNELS").await;

    // Under another prefix it may do nothing.
    let options = Options {
        prefix: "other:".into(),
        ..quick()
    };
    let other = end(&url, options).await.unwrap();
    let refused = other.beat("a", NOTHING, LONG).await;
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
    assert!(!subscription.is_heard());
}

#[tokio::test]
async fn on_all_masters_of_a_cluster() {
    let cluster = RedisCluster::start(3, &[]).await.unwrap();
    let (mut admins, mut user) = (Vec::new(), String::new());
    for node in cluster.nodes() {
        let mut admin = node.client().await.unwrap();
        user = admit(&mut admin).await;
        lock(&mut admin).await;
        admins.push(admin);
    }
    let url = cluster::url(&cluster).replace("://", &format!("://{user}@"));
    live(&url, &mut admins, "SHARDCHANNELS").await;
}

#[tokio::test]
async fn on_a_sentinel_too() {
    let watched = Watched::start("pw").await.unwrap();
    let mut admin = watched.master.client().await.unwrap();
    let user = admit(&mut admin).await;
    let mut at_sentinel = watched.sentinel.client().await.unwrap();
    let rights = DOCS.split('`').find(|code| code.contains("+sentinel|"));
    let rule = format!("ACL SETUSER watcher on >s3cret -@all {}", rights.unwrap());
    at_sentinel
        .call(&rule.split(' ').collect::<Vec<_>>())
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
    live(&url, std::slice::from_mut(&mut admin), "CHANNELS").await;
    let log = at_sentinel.call(&["ACL", "LOG"]).await.unwrap();
    assert_eq!(log.as_array().unwrap().len(), 0, "{log}");
}
