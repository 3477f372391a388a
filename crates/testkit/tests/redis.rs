//! The Redis fixture: answered writes survive a kill, and a pause keeps connections open.

use std::time::Duration;

use roomful_testkit::{Error, RedisServer};
use serde_json::json;
use tokio::time::timeout;

#[tokio::test]
async fn what_was_answered_outlives_a_kill_and_a_stop() {
    let mut redis = RedisServer::start().await.unwrap();
    let addr = redis.addr();
    let mut client = redis.client().await.unwrap();
    client.call(&["RPUSH", "list", "a", "bü"]).await.unwrap();
    redis.kill9().await.unwrap();
    assert!(client.call(&["PING"]).await.is_err());
    redis.restart().await.unwrap();
    let mut client = redis.client().await.unwrap();
    client.call(&["RPUSH", "list", ""]).await.unwrap();
    redis.stop().await.unwrap();
    redis.restart().await.unwrap();
    let mut client = redis.client().await.unwrap();
    let list = client.call(&["LRANGE", "list", "0", "-1"]).await.unwrap();
    assert_eq!(list, json!(["a", "bü", ""]));
    assert_eq!(client.call(&["GET", "none"]).await.unwrap(), json!(null));
    assert_eq!(redis.addr(), addr);
}

#[tokio::test]
async fn a_pause_is_silence_until_it_ends() {
    let redis = RedisServer::start().await.unwrap();
    let mut client = redis.client().await.unwrap();
    redis.pause().unwrap();
    let mut ping = Box::pin(client.call(&["INCR", "n"]));
    let silence = timeout(Duration::from_millis(50), &mut ping).await;
    assert!(silence.is_err(), "{silence:?}");
    redis.resume().unwrap();
    assert_eq!(ping.await.unwrap(), json!(1));
}

#[tokio::test]
async fn errors_are_told_and_a_password_is_asked_for() {
    let redis = RedisServer::start_with(Some("open-sesame"), &["--databases", "1"])
        .await
        .unwrap();
    assert!(redis.url().starts_with("redis://:open-sesame@127.0.0.1:"));
    let mut client = redis.client().await.unwrap();
    let error = client.call(&["SELECT", "1"]).await.unwrap_err();
    assert!(
        matches!(&error, Error::Redis(text) if text.contains("out of range")),
        "{error}"
    );
    let mut stranger = roomful_testkit::resp::RespClient::connect(redis.addr(), None)
        .await
        .unwrap();
    let error = stranger.call(&["PING"]).await.unwrap_err();
    assert!(
        matches!(&error, Error::Redis(text) if text.starts_with("NOAUTH")),
        "{error}"
    );
}
