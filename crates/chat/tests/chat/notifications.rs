//! Notifications: live to all devices, once to each, and later to devices that were offline.

use std::time::Duration;

use roomful_chat::clock::Clock as _;
use roomful_chat::{ErrorCode, Notified, Notify};
use roomful_testkit::proxy::{LinkCondition, Proxy};
use roomful_testkit::{Error, PATIENCE, SioClient, token};
use serde_json::{Value, json};

use crate::{
    fixture::{SECRET, START, Server, claims, failed, ok, settle},
    flaky::on_flaky,
};

fn notify(users: &[&str], title: &str) -> Notify {
    Notify {
        user_ids: users.iter().map(|user| (*user).to_owned()).collect(),
        kind: "mention".into(),
        title: title.into(),
        body: "in the lobby".into(),
        data: Some(json!({ "room": "lobby" })),
        id: Some(format!("id-{title}")),
        from: None,
    }
}

async fn post(server: &Server, users: &[&str], title: &str) -> Notified {
    server.chat.notify(notify(users, title)).await.unwrap()
}

/// A client on a named device.
async fn on(server: &Server, user: &str, device: &str) -> SioClient {
    let auth = json!({ "token": token::with_claims(SECRET, &claims(user)), "device": device });
    server.try_connect(&auth).await.unwrap()
}

async fn receive(client: &SioClient, titles: &[&str]) {
    for title in titles {
        let got = client.next_event("notification:receive").await.unwrap();
        assert_eq!(got["title"], *title, "{got}");
    }
}

/// Checks that no notification is on its way. The server fetches stored ones in parallel to a connection's
/// events, so the caller must know that the fetch has ended.
async fn nothing_more(client: &SioClient) {
    settle(client).await;
    let got = client.drain("notification:receive");
    assert!(got.is_empty(), "{got:?}");
}

async fn gone(server: &Server, client: SioClient, left: usize) {
    client.close().await.unwrap();
    while server.chat.stats().connections > left {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_notification_reaches_all_sockets_of_its_users() {
    let server = Server::start().await;
    let phone = on(&server, "alice", "phone").await;
    let (tab, other_tab) = (server.connect("alice").await, server.connect("alice").await);
    let bob = server.connect("bob").await;
    let carol = server.connect("carol").await;
    let posted = post(&server, &["alice", "bob", "alice"], "hi").await;
    assert_eq!(
        posted,
        Notified {
            id: "id-hi".into(),
            at: START,
            duplicate: false
        }
    );
    let expected = json!({
        "id": "id-hi", "kind": "mention", "title": "hi", "body": "in the lobby",
        "data": { "room": "lobby" }, "at": START,
    });
    for client in [&phone, &tab, &other_tab, &bob] {
        assert_eq!(client.next_event("notification:receive").await.unwrap(), expected);
        nothing_more(client).await;
    }
    nothing_more(&carol).await;
}

#[tokio::test]
async fn a_second_socket_of_a_device_gets_notifications_from_its_session_event_on() {
    let (store, server) = on_flaky().await;
    let tab = server.connect("alice").await;
    settle(&tab).await;
    let held = store.hooks.beginning.lock().await;
    let other_tab = server.connect("alice").await;
    post(&server, &["alice"], "hi").await;
    receive(&tab, &["hi"]).await;
    drop(held);
    receive(&other_tab, &["hi"]).await;
    nothing_more(&other_tab).await;
}

#[tokio::test]
async fn an_offline_device_gets_missed_notifications_once() {
    let server = Server::start().await;
    post(&server, &["alice"], "1").await;
    post(&server, &["alice"], "2").await;
    let phone = on(&server, "alice", "phone").await;
    receive(&phone, &["1", "2"]).await;
    // A named device has its own mark. Two sockets without a name share one.
    let tablet = on(&server, "alice", "tablet").await;
    receive(&tablet, &["1", "2"]).await;
    let tab = server.connect("alice").await;
    receive(&tab, &["1", "2"]).await;
    let second_tab = server.connect("alice").await;
    post(&server, &["alice"], "3").await;
    for client in [&phone, &tablet, &tab, &second_tab] {
        receive(client, &["3"]).await;
    }
    gone(&server, phone, 3).await;
    post(&server, &["alice"], "4").await;
    for client in [&tablet, &tab, &second_tab] {
        receive(client, &["4"]).await;
    }
    let phone = on(&server, "alice", "phone").await;
    receive(&phone, &["4"]).await;
    for client in [&phone, &tablet, &tab, &second_tab] {
        nothing_more(client).await;
    }
}

#[tokio::test]
async fn missed_notifications_do_not_overflow_the_connection() {
    let server = Server::with(|config| config.rates.enabled = false).await;
    for n in 0..300 {
        let mut large = notify(&["alice"], &n.to_string());
        large.body = "x".repeat(4 * 1024);
        server.chat.notify(large).await.unwrap();
    }
    let alice = server.connect("alice").await;
    for n in 0..300 {
        receive(&alice, &[&n.to_string()]).await;
    }
    post(&server, &["alice"], "live").await;
    receive(&alice, &["live"]).await;
    nothing_more(&alice).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connecting_during_posts_loses_and_repeats_nothing() {
    let server = std::sync::Arc::new(Server::with(|config| config.rates.enabled = false).await);
    let posters: Vec<_> = (0..4)
        .map(|n| {
            let server = std::sync::Arc::clone(&server);
            tokio::spawn(async move {
                for m in 0..50 {
                    post(&server, &["alice"], &format!("{n}-{m}")).await;
                }
            })
        })
        .collect();
    let mut got = Vec::new();
    let mut round = 0;
    while got.len() < 200 {
        let phone = on(&server, "alice", "phone").await;
        round += 1;
        let some = if round < 10 { 15 } else { 200 };
        for _ in got.len()..200.min(got.len() + some) {
            let event = phone.next_event("notification:receive").await.unwrap();
            got.push(event["id"].as_str().unwrap().to_owned());
        }
        let rest = end(&server, phone).await;
        got.extend(rest.iter().map(|event| event["id"].as_str().unwrap().to_owned()));
    }
    for poster in posters {
        poster.await.unwrap();
    }
    let mut ids = got.clone();
    ids.sort();
    ids.dedup();
    assert_eq!((ids.len(), got.len()), (200, 200), "each notification once");
    // Notifications of one poster arrive in their order.
    for n in 0..4 {
        let prefix = format!("id-{n}-");
        let of_one: Vec<usize> = got
            .iter()
            .filter_map(|id| id.strip_prefix(&prefix)?.parse().ok())
            .collect();
        assert_eq!(of_one, (0..50).collect::<Vec<_>>());
    }
}

/// Disconnects the client after all queued notifications, and returns them.
async fn end(server: &Server, client: SioClient) -> Vec<Value> {
    let exp = server.clock.now_ms() / 1_000 + 1;
    let short = token::with_claims(SECRET, &json!({ "sub": "alice", "exp": exp }));
    ok(client.call("token:refresh", &json!({ "token": short })).await);
    server.clock.advance(10_000);
    client.wait_end(PATIENCE).await.unwrap();
    client.drain("notification:receive")
}

#[tokio::test]
async fn a_notification_lost_in_a_disconnect_comes_again() {
    let server = Server::start().await;
    let far = Proxy::start(server.addr).await.unwrap();
    far.set(LinkCondition::Slow(Duration::from_millis(200)));
    let auth = json!({ "token": token::with_claims(SECRET, &claims("alice")), "device": "phone" });
    let phone = SioClient::connect(far.addr(), "/", &auth).await.unwrap();
    phone.next_event("session").await.unwrap();
    // A leaving client reads nothing more, but this is already on its way.
    post(&server, &["alice"], "crossing").await;
    phone.close().await.unwrap();
    let phone = on(&server, "alice", "phone").await;
    receive(&phone, &["crossing"]).await;
}

#[tokio::test]
async fn a_repeated_id_posts_nothing() {
    let server = Server::start().await;
    let alice = server.connect("alice").await;
    post(&server, &["alice", "bob"], "hi").await;
    receive(&alice, &["hi"]).await;
    server.clock.advance(1_000);
    let again = post(&server, &["bob", "alice"], "hi").await;
    assert_eq!((again.duplicate, again.at), (true, START));
    let mut other = notify(&["alice", "bob"], "hi");
    other.body = "elsewhere".into();
    let error = server.chat.notify(other).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::Conflict);
    let fewer = server.chat.notify(notify(&["alice"], "hi")).await.unwrap_err();
    assert_eq!(fewer.code(), ErrorCode::Conflict);
    nothing_more(&alice).await;
    // Without an id every post is new.
    let nameless = || Notify {
        id: None,
        ..notify(&["alice"], "again")
    };
    let ids = [
        server.chat.notify(nameless()).await.unwrap().id,
        server.chat.notify(nameless()).await.unwrap().id,
    ];
    assert_ne!(ids[0], ids[1]);
    receive(&alice, &["again", "again"]).await;
}

/// Turns a valid notification into an invalid one.
type Spoil = fn(&mut Notify);

#[tokio::test]
async fn invalid_notifications_are_refused() {
    let server = Server::start().await;
    let too_many: Vec<String> = (0..1_001).map(|n| n.to_string()).collect();
    let cases: [(Spoil, ErrorCode); 10] = [
        (|n| n.user_ids.clear(), ErrorCode::InvalidRequest),
        (|n| n.user_ids = vec![String::new()], ErrorCode::InvalidRequest),
        (|n| n.user_ids = vec!["a\nb".into()], ErrorCode::InvalidRequest),
        (|n| n.kind = String::new(), ErrorCode::InvalidRequest),
        (|n| n.kind = "x".repeat(65), ErrorCode::InvalidRequest),
        (|n| n.title = "x".repeat(257), ErrorCode::InvalidRequest),
        (|n| n.id = Some(String::new()), ErrorCode::InvalidRequest),
        (|n| n.id = Some("x".repeat(129)), ErrorCode::InvalidRequest),
        (|n| n.body = "x".repeat(4_097), ErrorCode::PayloadTooLarge),
        (
            |n| n.data = Some(json!("x".repeat(4_095))),
            ErrorCode::PayloadTooLarge,
        ),
    ];
    for (spoil, code) in cases {
        let mut bad = notify(&["alice"], "hi");
        spoil(&mut bad);
        assert_eq!(
            server.chat.notify(bad.clone()).await.unwrap_err().code(),
            code,
            "{bad:?}"
        );
    }
    let mut bad = notify(&["alice"], "hi");
    bad.user_ids = too_many;
    let error = server.chat.notify(bad.clone()).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidRequest);
    bad.user_ids.pop();
    assert!(!server.chat.notify(bad).await.unwrap().duplicate);
}

#[tokio::test]
async fn notifications_are_listed_newest_first_and_can_be_read() {
    let server = Server::start().await;
    let (phone, tab) = (on(&server, "alice", "phone").await, server.connect("alice").await);
    for title in ["1", "2", "3", "4"] {
        post(&server, &["alice"], title).await;
        server.clock.advance(1_000);
    }
    post(&server, &["bob"], "not hers").await;
    let titles = |list: &Value| -> Vec<String> {
        let all = list["notifications"].as_array().unwrap();
        all.iter()
            .map(|n| n["title"].as_str().unwrap().to_owned())
            .collect()
    };
    let list = async |ask: Value| ok(phone.call("notification:list", &ask).await);
    let all = ok(phone.call_with("notification:list", &[], PATIENCE).await);
    assert_eq!(titles(&all), ["4", "3", "2", "1"]);
    assert_eq!((&all["unread"], &all["more"]), (&json!(4), &json!(false)));
    let page = list(json!({ "limit": 2, "before": "id-4" })).await;
    assert_eq!(
        (titles(&page), &page["more"]),
        (vec!["3".into(), "2".into()], &json!(true))
    );

    let read = ok(phone.call("notification:read", &json!({ "id": "id-2" })).await);
    assert_eq!(read, json!({ "unread": 3 }));
    assert_eq!(tab.next_event("notification:unread").await.unwrap(), read);
    ok(phone.call("notification:read", &json!({ "id": "id-2" })).await);
    let unread = list(json!({ "unreadOnly": true })).await;
    assert_eq!(titles(&unread), ["4", "3", "1"]);
    let all = list(json!({})).await;
    assert_eq!(all["notifications"][2]["readAt"], START + 4_000);
    assert_eq!(
        ok(phone.call("notification:read", &json!({ "all": true })).await),
        json!({ "unread": 0 })
    );
    assert_eq!(tab.next_event("notification:unread").await.unwrap()["unread"], 0);
    settle(&tab).await;
    settle(&phone).await;
    assert!(
        tab.drain("notification:unread").is_empty(),
        "only a change causes an event"
    );
    assert!(
        phone.drain("notification:unread").is_empty(),
        "the reader gets only the ack"
    );

    for ask in [json!({ "id": "id-not hers" }), json!({ "id": "nothing" })] {
        failed(phone.call("notification:read", &ask).await, "not_found");
    }
    failed(
        phone
            .call("notification:list", &json!({ "before": "nothing" }))
            .await,
        "not_found",
    );
    for ask in [
        json!({}),
        json!({ "id": "a", "all": true }),
        json!({ "all": 1 }),
        json!({ "id": 7 }),
    ] {
        failed(phone.call("notification:read", &ask).await, "invalid_request");
    }
}

#[tokio::test]
async fn an_offline_device_learns_which_notifications_were_read() {
    let server = Server::start().await;
    post(&server, &["alice"], "1").await;
    let tab = server.connect("alice").await;
    receive(&tab, &["1"]).await;
    ok(tab.call("notification:read", &json!({ "all": true })).await);
    let phone = on(&server, "alice", "phone").await;
    let got = phone.next_event("notification:receive").await.unwrap();
    assert_eq!(got["readAt"], START);
}

#[tokio::test]
async fn device_names_are_validated() {
    let server = Server::start().await;
    for device in [json!(""), json!("x".repeat(65)), json!(7), json!({})] {
        let auth = json!({ "token": token::with_claims(SECRET, &claims("alice")), "device": device });
        let Err(Error::ConnectRefused(refusal)) = server.try_connect(&auth).await else {
            panic!("let in with {device}");
        };
        assert_eq!(refusal["data"]["code"], "invalid_request");
    }
    let auth = json!({ "token": token::with_claims(SECRET, &claims("alice")), "device": null });
    server.try_connect(&auth).await.unwrap();
}

#[tokio::test]
async fn delivered_notifications_are_remembered_after_a_restart() {
    let server = Server::start().await;
    post(&server, &["alice"], "1").await;
    let phone = on(&server, "alice", "phone").await;
    receive(&phone, &["1"]).await;
    gone(&server, phone, 0).await;
    server.chat.drain().await;
    let page = server
        .store
        .undelivered("alice", "phone", roomful_store::DeliveredUpto::Stored, 9, 1_000)
        .await
        .unwrap();
    assert!(page.notifications.is_empty());
}
