//! Tests of a cluster whose Redis or PostgreSQL fails, loses data or is restored from a backup.

use std::time::Duration;

use roomful_testkit::{PostgresServer, RedisServer, SioClient, http};
use serde_json::json;
use tokio::time::timeout;

use crate::nodes::{Nodes, ok, say, seq};

/// Sends a message and retries until it is acknowledged, as a client does. Returns its seq.
async fn send_with_retries(client: &SioClient, text: &str) -> u64 {
    let message = json!({ "room": "lobby", "text": text, "clientId": text });
    loop {
        let ack = client.call("chat:send_message", &message).await.unwrap();
        if ack["ok"] == true {
            return ack["data"]["seq"].as_u64().unwrap();
        }
        assert_eq!(ack["error"]["retryable"], true, "{ack}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_flow_without_redis_until_the_lease_ends_and_again_after_its_return() {
    let mut nodes = Nodes::start(2).await;
    let alice = nodes.joined(0, "alice", "lobby").await;
    let bob = nodes.joined(1, "bob", "lobby").await;
    nodes.redis.kill9().await.unwrap();
    // Each node polls the store once a second, so messages arrive late without the bus, but they arrive.
    say(&alice, "lobby", "one").await;
    assert_eq!(seq(&bob.next_event("chat:receive_message").await.unwrap()), 1);
    // Without leases no node knows which others are alive, so both close their connections.
    bob.wait_end(Duration::from_secs(30)).await.unwrap();
    alice.wait_end(Duration::from_secs(30)).await.unwrap();
    assert!(!nodes.is_ready(0).await && !nodes.is_ready(1).await);
    // New connections get 503 at once, so that a load balancer tries another node.
    let handshake = "/socket.io/?EIO=4&transport=polling";
    assert_eq!(http::get(nodes[0].addr(), handshake).await.unwrap().status, 503);
    let key = format!("Bearer {}", nodes.key());
    let headers = [
        ("authorization", key.as_str()),
        ("content-type", "application/json"),
    ];
    let post = br#"{"userId": "alice", "text": "by the API", "clientId": "api"}"#;
    let path = "/api/v1/rooms/lobby/messages";
    let refused = http::request(nodes[0].addr(), "POST", path, &headers, post).await;
    let refused = refused.unwrap();
    assert_eq!(refused.status, 503);
    assert!(refused.text().contains("lease"), "{}", refused.text());
    nodes.redis.restart().await.unwrap();
    while !nodes.is_ready(0).await || !nodes.is_ready(1).await {}
    for node in 0..2 {
        let log = nodes[node].wait_log("1 clients sent away").await.unwrap();
        let warnings = log.lines().filter(|line| line.contains("\"level\":\"WARN\""));
        assert!(
            warnings.count() < 20,
            "a line for each change, not for each attempt: {log}"
        );
        // One line for Redis, and one more for the lease if it ended later.
        let not_ready = log.matches("not ready: Redis unreachable").count();
        assert!((1..=2).contains(&not_ready), "{log}");
        assert_eq!(log.matches("ready again after ").count(), 1, "{log}");
    }
    let alice = nodes.joined(0, "alice", "lobby").await;
    let (bob, recovered) = nodes.come_back(1, "bob", &bob.claim()).await;
    assert!(recovered);
    say(&alice, "lobby", "two").await;
    assert_eq!(seq(&bob.next_event("chat:receive_message").await.unwrap()), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_redis_password_ends_the_start() {
    let postgres = PostgresServer::start_with(&["fsync=off"]).unwrap();
    let redis = RedisServer::start_with(Some("right"), &[]).await.unwrap();
    let store = postgres.new_database().unwrap();
    for user in [":wr0ng@", ""] {
        let folder = tempfile::tempdir().unwrap();
        let mut server = tokio::process::Command::new(env!("CARGO_BIN_EXE_roomful"));
        server
            .args(["serve", "--listen", "127.0.0.1:0"])
            .env("ROOMFUL_DATA", folder.path())
            .env("ROOMFUL_STORE_URL", &store)
            .env("ROOMFUL_AUTH_SECRET", "0123456789abcdef0123456789abcdef")
            .env("ROOMFUL_BUS_URL", format!("redis://{user}{}", redis.addr()))
            .kill_on_drop(true);
        let ended = timeout(Duration::from_secs(30), server.output()).await;
        let ended = ended.expect("the server keeps running").unwrap();
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!(ended.status.code(), Some(2), "{said}");
        let last = said.lines().last().unwrap();
        assert!(
            last.starts_with('{')
                && last.contains(
                    "\"error\":\"environment variable ROOMFUL_BUS_URL: bus.url: the bus refuses the user"
                ),
            "{said}"
        );
        assert!(!said.contains("wr0ng"), "{said}");
    }
    let database = store.rsplit('/').next().unwrap();
    let open = postgres.sql(database, "SELECT count(*) FROM nodes WHERE NOT ended");
    assert_eq!(open.unwrap().trim(), "0", "the next start would see another node");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_start_waits_for_redis_and_readyz_tells_why() {
    let postgres = PostgresServer::start_with(&["fsync=off"]).unwrap();
    let mut redis = RedisServer::start().await.unwrap();
    redis.kill9().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let port = roomful_testkit::ports::free_port().unwrap();
    let log = std::fs::File::create(folder.path().join("log")).unwrap();
    let mut server = tokio::process::Command::new(env!("CARGO_BIN_EXE_roomful"))
        .args(["serve", "--listen", &format!("127.0.0.1:{port}")])
        .env("ROOMFUL_DATA", folder.path())
        .env("ROOMFUL_STORE_URL", postgres.new_database().unwrap())
        .env("ROOMFUL_AUTH_SECRET", "0123456789abcdef0123456789abcdef")
        .env("ROOMFUL_BUS_URL", format!("redis://{}", redis.addr()))
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], port));
    let log = || std::fs::read_to_string(folder.path().join("log")).unwrap();
    let deadline = tokio::time::Instant::now() + roomful_testkit::PATIENCE;
    let in_time = || assert!(tokio::time::Instant::now() < deadline, "{}", log());
    while !log().contains("not ready: Redis unreachable") {
        assert_eq!(server.try_wait().unwrap(), None, "it does not wait: {}", log());
        in_time();
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let answer = http::get(address, "/readyz").await.unwrap();
    assert_eq!(
        (answer.status, &answer.json()["checks"]["bus"]),
        (503, &json!("failed"))
    );
    assert!(!log().contains("is ready"), "{}", log());
    redis.restart().await.unwrap();
    while http::get(address, "/readyz")
        .await
        .map_or(0, |answer| answer.status)
        != 200
    {
        in_time();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn presence_is_restored_after_redis_loses_its_data() {
    let nodes = Nodes::start(2).await;
    let alice = nodes.joined(0, "alice", "lobby").await;
    let bob = nodes.joined(1, "bob", "lobby").await;
    let mut redis = nodes.redis.client().await.unwrap();
    redis.call(&["FLUSHALL"]).await.unwrap();
    loop {
        let online = ok(alice
            .call("chat:get_online_users", &json!("lobby"))
            .await
            .unwrap());
        let known = ok(alice
            .call("presence:subscribe", &json!({ "users": ["bob"] }))
            .await
            .unwrap());
        if online["users"].as_array().unwrap().len() == 2 && known["users"][0]["status"] == "online" {
            break;
        }
    }
    say(&bob, "lobby", "still here").await;
    assert_eq!(seq(&alice.next_event("chat:receive_message").await.unwrap()), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sends_survive_kills_of_postgresql() {
    let nodes = Nodes::start(2).await;
    let alice = nodes.joined(0, "alice", "lobby").await;
    let bob = nodes.joined(1, "bob", "lobby").await;
    let mut sent = Vec::new();
    for round in 0..3 {
        for n in 0..5 {
            sent.push(send_with_retries(&alice, &format!("a{round}-{n}")).await);
            sent.push(send_with_retries(&bob, &format!("b{round}-{n}")).await);
        }
        nodes.postgres.kill9().unwrap();
        let (postgres, text) = (&nodes.postgres, format!("down {round}"));
        let waiting = send_with_retries(&alice, &text);
        let (seq, ()) = tokio::join!(waiting, async { postgres.restart().unwrap() });
        sent.push(seq);
    }
    assert!(sent.is_sorted() && sent.windows(2).all(|two| two[0] < two[1]));
    let last = *sent.last().unwrap();
    for client in [&alice, &bob] {
        for n in 1..=last {
            assert_eq!(seq(&client.next_event("chat:receive_message").await.unwrap()), n);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_reset_after_a_restore_from_an_old_backup() {
    let nodes = Nodes::start(2).await;
    let alice = nodes.joined(0, "alice", "lobby").await;
    let bob = nodes.joined(1, "bob", "lobby").await;
    say(&alice, "lobby", "kept").await;
    let joined = ok(alice.call("chat:join", &json!("lobby")).await.unwrap());
    nodes.postgres.stop().unwrap();
    let backup = nodes.postgres.copy_data().unwrap();
    nodes.postgres.restart().unwrap();
    send_with_retries(&alice, "lost in the restore").await;
    send_with_retries(&alice, "this too").await;
    nodes.postgres.stop().unwrap();
    nodes.postgres.put_back(&backup).unwrap();
    nodes.postgres.restart().unwrap();
    // The clients' offsets are invalid now, so all nodes close their connections.
    alice.wait_end(Duration::from_secs(30)).await.unwrap();
    bob.wait_end(Duration::from_secs(30)).await.unwrap();
    let ask = json!({ "room": "lobby", "since": 3, "epoch": joined["epoch"] });
    for (node, user) in [(0, "alice"), (1, "bob")] {
        let client = nodes.joined(node, user, "other").await;
        let joined = ok(client.call("chat:join", &ask).await.unwrap());
        assert_eq!(
            (&joined["reset"], &joined["head"]),
            (&json!(true), &json!(1)),
            "{joined}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_with_a_different_secret_warns() {
    const WORD: &str = "have another auth.secret or cluster.secret";
    let nodes = Nodes::start(2).await;
    let other = nodes
        .with_secret("another one, as long as a secret has to be")
        .await;
    other.wait_log(WORD).await.unwrap();
    for node in 0..2 {
        assert!(!nodes[node].log().contains(WORD), "{}", nodes[node].log());
    }
}
