//! Tests of the operator's commands for streams, which must not print passwords.

use std::path::Path;

use roomful_testkit::{PATIENCE, RedisServer, ServerProcess};
use tokio::time::timeout;

use super::{ALL, KEY, client, config, messages, more_attempts, reader::Reader, say};

/// Runs a command with the settings of a server that uses the Redis at `url`.
pub(super) async fn roomful(url: &str, data: &Path, args: &[&str]) -> (Option<i32>, String) {
    let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_roomful"))
        .args(args)
        .arg("--data")
        .arg(data)
        .envs(config(url, ALL, 1_000).env)
        .output()
        .await
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    (output.status.code(), text)
}

#[tokio::test]
async fn records_are_listed_and_replayed() {
    let mut redis = RedisServer::start().await.unwrap();
    redis.kill9().await.unwrap();
    let server = ServerProcess::start_with(messages(&redis)).await.unwrap();
    let alice = client(&server, "alice", "lobby").await;
    say(&alice, "hello").await;
    more_attempts(&server, "unreachable", 0).await;
    let list = |state: &'static str| {
        let (url, data) = (redis.url(), server.data());
        timeout(PATIENCE, async move {
            loop {
                let args = ["webhooks", "list", "--state", state];
                let (code, listed) = roomful(&url, &data, &args).await;
                assert_eq!(code, Some(0), "{listed}");
                if listed.lines().count() == 1 && !listed.ends_with("\t0\t-\n") {
                    return listed;
                }
            }
        })
    };
    let listed = list("pending").await.unwrap();
    let fields: Vec<_> = listed.trim_end().split('\t').collect();
    assert_eq!(
        (fields[1], fields[3], fields[4]),
        ("message.created", "app", "pending")
    );
    assert!(fields[6].contains("Connection refused"), "{listed}");
    let delivered = list("delivered");
    redis.restart().await.unwrap();
    let mut reader = Reader::start(&redis).await;
    reader.wait("the message", |entries| !entries.is_empty()).await;
    delivered.await.unwrap();
    let (code, said) = roomful(&redis.url(), &server.data(), &["webhooks", "replay", fields[0]]).await;
    assert_eq!((code, said.as_str()), (Some(0), "1 records are due again\n"));
    let entries = reader
        .wait("the message again", |entries| entries.len() >= 2)
        .await;
    assert!(entries.iter().all(|entry| entry.id == fields[0]), "{entries:#?}");
}

#[tokio::test]
async fn the_doctor_explains_failures_of_a_stream() {
    let mut redis = RedisServer::start_with(Some("right-one-0123"), &[])
        .await
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut operator = redis.client().await.unwrap();
    let wrong = format!("redis://:wrong-one-0123@{}", redis.addr());
    let doctor = async |url: &str| {
        let (code, said) = roomful(url, folder.path(), &["doctor"]).await;
        assert!(!said.contains("-one-0123"), "{said}");
        let line = said.lines().find(|line| line.contains("  stream  ")).unwrap();
        assert!(line.contains("app: "), "{line}");
        (code, line.to_owned())
    };
    let (code, line) = doctor(&redis.url()).await;
    assert!(code == Some(0) && line.starts_with("ok "), "{line}");
    let (code, line) = doctor(&wrong).await;
    assert!(
        code == Some(1) && line.starts_with("FAIL") && line.contains("AUTH failed"),
        "{line}"
    );
    operator
        .call(&["CONFIG", "SET", "appendonly", "no"])
        .await
        .unwrap();
    let (code, line) = doctor(&redis.url()).await;
    assert!(
        code == Some(0) && line.starts_with("warn") && line.contains("appendonly"),
        "{line}"
    );
    operator.call(&["SET", KEY, "text"]).await.unwrap();
    let (code, line) = doctor(&redis.url()).await;
    assert!(code == Some(1) && line.contains("is a string"), "{line}");
    redis.stop().await.unwrap();
    let (code, line) = doctor(&redis.url()).await;
    assert!(code == Some(1) && line.contains("refused"), "{line}");
}

/// Checks the ACL rule in docs/webhooks.md.
#[tokio::test]
async fn the_documented_acl_rule_is_sufficient() {
    let redis = RedisServer::start().await.unwrap();
    let mut operator = redis.client().await.unwrap();
    let rule = "ACL SETUSER roomful on >password ~roomful:events +xadd +multi +exec";
    let words: Vec<_> = rule.split(' ').collect();
    operator.call(&words).await.unwrap();
    let url = format!("redis://roomful:password@{}", redis.addr());
    let server = ServerProcess::start_with(config(&url, ALL, 1_000)).await.unwrap();
    say(&client(&server, "alice", "lobby").await, "hello").await;
    let mut reader = Reader::start(&redis).await;
    reader
        .wait("the message", |entries| {
            entries.iter().any(|entry| entry.text() == "hello")
        })
        .await;
    let (code, said) = roomful(&url, &server.data(), &["doctor"]).await;
    assert!(
        code == Some(0) && said.contains("the check failed: NOPERM"),
        "{said}"
    );
    operator
        .call(&["ACL", "SETUSER", "roomful", "+type", "+info"])
        .await
        .unwrap();
    let (_, said) = roomful(&url, &server.data(), &["doctor"]).await;
    assert!(said.contains("app: Redis answers and persists"), "{said}");
}

#[tokio::test]
async fn check_config_names_the_stream_and_not_its_password() {
    let folder = tempfile::tempdir().unwrap();
    let (code, said) = roomful(
        "rediss://me:hunter2@redis.example/3",
        folder.path(),
        &["check-config"],
    )
    .await;
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains(", stream app") && !said.contains("hunter2"),
        "{said}"
    );
    let (code, said) = roomful(
        "redis://me:hunter2@redis.example/x",
        folder.path(),
        &["check-config"],
    )
    .await;
    assert_eq!((code, said.lines().count()), (Some(2), 1), "{said}");
    assert!(
        said.contains("environment variable ROOMFUL__STREAMS: streams: entry 1: url must be a redis:"),
        "{said}"
    );
    assert!(!said.contains("hunter2"), "{said}");
}
