//! Tests of streams through failures of Redis or the server: nothing is lost, and first copies keep their
//! order.

use std::collections::HashMap;

use roomful_testkit::{RedisServer, ServerProcess};

use super::{
    KEY, MESSAGES, attempts, client, commands::roomful, config, messages, more_attempts, reader::Entry,
    reader::Reader, say,
};

/// The texts in the order of their first copy. All copies of a text must have the same id.
fn texts(entries: &[Entry]) -> Vec<&str> {
    let mut ids: HashMap<&str, &str> = HashMap::new();
    let mut texts = Vec::new();
    for entry in entries {
        let id = ids.entry(entry.text()).or_insert_with(|| {
            texts.push(entry.text());
            &entry.id
        });
        assert_eq!(*id, entry.id, "one id for {:?}", entry.text());
    }
    texts
}

async fn all_come(redis: &RedisServer, said: &[String]) {
    let mut reader = Reader::start(redis).await;
    let entries = reader
        .wait("all messages", |entries| texts(entries).len() >= said.len())
        .await;
    assert_eq!(texts(entries), said);
}

#[tokio::test]
async fn nothing_is_lost_over_kills_of_redis() {
    let mut redis = RedisServer::start().await.unwrap();
    let server = ServerProcess::start_with(messages(&redis)).await.unwrap();
    let alice = client(&server, "alice", "lobby").await;
    let mut said = Vec::new();
    for round in 0..4 {
        // Some messages are in flight when Redis dies, the others follow while it is down.
        for n in 0..20 {
            if n == 10 {
                redis.kill9().await.unwrap();
            }
            said.push(format!("{round}.{n}"));
            say(&alice, &said[said.len() - 1]).await;
        }
        let before = attempts(&server, "unreachable").await;
        more_attempts(&server, "unreachable", before).await;
        redis.restart().await.unwrap();
        all_come(&redis, &said).await;
    }
}

#[tokio::test]
async fn nothing_is_lost_when_redis_hangs_and_goes_on() {
    let redis = RedisServer::start().await.unwrap();
    let settings = messages(&redis).env("ROOMFUL__OUTBOX__TIMEOUT", "200ms");
    let server = ServerProcess::start_with(settings).await.unwrap();
    let alice = client(&server, "alice", "lobby").await;
    let mut said = Vec::new();
    for round in 0..3 {
        for n in 0..10 {
            if n == 5 {
                redis.pause().unwrap();
            }
            said.push(format!("{round}.{n}"));
            say(&alice, &said[said.len() - 1]).await;
        }
        // One timeout on the open connection, and one on a new connection.
        let before = attempts(&server, "timeout").await;
        more_attempts(&server, "timeout", before + 1).await;
        redis.resume().unwrap();
        all_come(&redis, &said).await;
    }
}

#[tokio::test]
async fn waiting_records_survive_a_kill_of_the_server() {
    let mut redis = RedisServer::start().await.unwrap();
    redis.kill9().await.unwrap();
    let mut server = ServerProcess::start_with(messages(&redis)).await.unwrap();
    let alice = client(&server, "alice", "lobby").await;
    let said: Vec<_> = (0..300).map(|n| n.to_string()).collect();
    for text in &said {
        say(&alice, text).await;
    }
    more_attempts(&server, "unreachable", 0).await;
    server.kill9().await.unwrap();
    redis.restart().await.unwrap();
    server.restart().await.unwrap();
    all_come(&redis, &said).await;
}

#[tokio::test]
async fn a_kill_of_the_server_repeats_records_but_loses_none() {
    let redis = RedisServer::start().await.unwrap();
    let mut server = ServerProcess::start_with(messages(&redis)).await.unwrap();
    let mut said = Vec::new();
    for round in 0..4 {
        let alice = client(&server, "alice", "lobby").await;
        for n in 0..25 {
            said.push(format!("{round}.{n}"));
            say(&alice, &said[said.len() - 1]).await;
        }
        server.kill9().await.unwrap();
        server.restart().await.unwrap();
    }
    all_come(&redis, &said).await;
}

#[tokio::test]
async fn records_wait_while_redis_refuses_them() {
    let redis = RedisServer::start().await.unwrap();
    let mut operator = redis.client().await.unwrap();
    let server = ServerProcess::start_with(messages(&redis)).await.unwrap();
    let alice = client(&server, "alice", "lobby").await;
    let other = "list";
    let troubles: [(&str, &[&str], &[&str]); 4] = [
        (
            "OOM",
            &["CONFIG", "SET", "maxmemory", "1"],
            &["CONFIG", "SET", "maxmemory", "0"],
        ),
        (
            "READONLY",
            &["REPLICAOF", "127.0.0.1", "1"],
            &["REPLICAOF", "NO", "ONE"],
        ),
        (
            "NOPERM",
            &["ACL", "SETUSER", "default", "-xadd"],
            &["ACL", "SETUSER", "default", "+xadd"],
        ),
        ("WRONGTYPE", &["RPUSH", other, "x"], &["RENAME", other, "gone"]),
    ];
    let mut said = Vec::new();
    for (name, begin, end) in troubles {
        operator.call(begin).await.unwrap();
        if name == "WRONGTYPE" {
            operator.call(&["RENAME", KEY, "kept"]).await.unwrap();
            operator.call(&["RENAME", other, KEY]).await.unwrap();
        }
        for n in 0..3 {
            said.push(format!("{name}.{n}"));
            say(&alice, &said[said.len() - 1]).await;
        }
        let before = attempts(&server, "refused").await;
        more_attempts(&server, "refused", before).await;
        let list = ["webhooks", "list", "--state", "pending"];
        let (_, listed) = roomful(&redis.url(), &server.data(), &list).await;
        assert!(listed.contains(name), "{name}:\n{listed}");
        if name == "WRONGTYPE" {
            operator.call(&["RENAME", KEY, other]).await.unwrap();
            operator.call(&["RENAME", "kept", KEY]).await.unwrap();
        }
        operator.call(end).await.unwrap();
        all_come(&redis, &said).await;
    }
}

#[tokio::test]
async fn a_wrong_password_is_logged_without_its_text_and_retried() {
    let redis = RedisServer::start_with(Some("right-one-0123"), &[])
        .await
        .unwrap();
    let url = format!("redis://:wrong-one-0123@{}", redis.addr());
    let server = ServerProcess::start_with(config(&url, MESSAGES, 1_000))
        .await
        .unwrap();
    let alice = client(&server, "alice", "lobby").await;
    say(&alice, "hello").await;
    more_attempts(&server, "refused", 0).await;
    let mut operator = redis.client().await.unwrap();
    let asked = ["CONFIG", "SET", "requirepass", "wrong-one-0123"];
    operator.call(&asked).await.unwrap();
    let read = ["XREAD", "BLOCK", "0", "STREAMS", KEY, "0"];
    let read = operator.call(&read).await.unwrap().to_string();
    assert!(read.contains("hello"), "{read}");
    let log = server.wait_log("AUTH failed").await.unwrap();
    assert!(
        log.contains("AUTH failed") && log.contains("\"sink\":\"app\""),
        "{log}"
    );
    assert!(!log.contains("wrong-one-0123"), "{log}");
}
