//! Tokens at connect and refresh, and the rules common to all events.

use roomful_testkit::{Error, PATIENCE, SioClient, session::End, token};
use serde_json::{Value, json};

use crate::fixture::{SECRET, START, Server, claims, failed, ok, settle};

async fn refusal(server: &Server, auth: &Value) -> Value {
    match server.try_connect(auth).await {
        Err(Error::ConnectRefused(refusal)) => refusal,
        other => panic!("let in: {:?}", other.map(|client| client.id().to_owned())),
    }
}

#[tokio::test]
async fn the_session_event_has_the_user_and_the_limits() {
    let server = Server::start().await;
    let auth = json!({ "token": token::with_claims(SECRET, &claims("alice")) });
    let client = server.try_connect(&auth).await.unwrap();
    let session = client.next_event("session").await.unwrap();
    assert_eq!(session["userId"], "alice");
    assert_eq!(session["sessionId"], client.id());
    assert_eq!(session["expiresAt"], START + 3_600_000);
    assert_eq!(session["recovered"], false);
    assert_eq!(session["serverTime"], START);
    assert_eq!(session["limits"]["textBytes"], 16 * 1024);
    assert_eq!(session["limits"]["rooms"], 200);
}

#[tokio::test]
async fn connections_without_a_valid_token_are_refused() {
    let server = Server::start().await;
    let expired = json!({ "sub": "alice", "exp": START / 1000 });
    let other_issuers = token::with_claims("another secret of thirty-two bytes!!", &claims("alice"));
    for (auth, code) in [
        (Value::Null, "unauthorized"),
        (json!({}), "unauthorized"),
        (json!({ "token": 7 }), "unauthorized"),
        (json!({ "token": "nonsense" }), "unauthorized"),
        (json!({ "token": other_issuers }), "unauthorized"),
        (
            json!({ "token": token::with_claims(SECRET, &expired) }),
            "token_expired",
        ),
    ] {
        let refusal = refusal(&server, &auth).await;
        assert_eq!(refusal["data"]["code"], code, "{auth}: {refusal}");
        assert_eq!(refusal["data"]["retryable"], false);
        assert_eq!(refusal["data"]["message"], refusal["message"]);
    }
    assert_eq!(server.chat.stats().connections, 0);
}

#[tokio::test]
async fn an_expired_token_ends_the_live_socket_after_the_leeway() {
    let server = Server::start().await;
    let client = server
        .connect_with(&json!({ "sub": "alice", "exp": START / 1000 + 60 }))
        .await;
    server.clock.advance(64_999);
    ok(client.call("chat:join", &json!("lobby")).await);
    server.clock.advance(1);
    let error = client.next_event("error").await.unwrap();
    assert_eq!(error["code"], "token_expired");
    // The server closes the transport without a DISCONNECT packet, so that the stock client reconnects.
    assert_ne!(client.wait_end(PATIENCE).await.unwrap(), End::Disconnected);
}

#[tokio::test]
async fn a_client_learns_in_time_that_its_token_is_about_to_end() {
    let server = Server::start().await;
    let client = server
        .connect_with(&json!({ "sub": "alice", "exp": START / 1000 + 60 }))
        .await;
    server.clock.advance(29_999);
    ok(client.call("session:ping", &json!({})).await);
    assert_eq!(client.drain("token:expiring"), Vec::<Value>::new());
    server.clock.advance(1);
    let expiring = client.next_event("token:expiring").await.unwrap();
    assert_eq!(expiring, json!({ "expiresAt": START + 60_000 }));

    // The notice of a short token comes at half of its time, and a refresh replaces it.
    let short =
        json!({ "token": token::with_claims(SECRET, &json!({ "sub": "alice", "exp": START / 1000 + 40 })) });
    ok(client.call("token:refresh", &short).await);
    server.clock.advance(5_000);
    let expiring = client.next_event("token:expiring").await.unwrap();
    assert_eq!(expiring, json!({ "expiresAt": START + 40_000 }));
    let long =
        json!({ "token": token::with_claims(SECRET, &json!({ "sub": "alice", "exp": START / 1000 + 600 })) });
    ok(client.call("token:refresh", &long).await);
    server.clock.advance(500_000);
    ok(client.call("session:ping", &json!({})).await);
    assert_eq!(client.drain("token:expiring"), Vec::<Value>::new());
    server.clock.advance(35_000);
    client.next_event("token:expiring").await.unwrap();
}

#[tokio::test]
async fn a_refreshed_token_takes_effect_at_once_on_the_same_socket() {
    let server = Server::start().await;
    let client = server
        .connect_with(&json!({ "sub": "alice", "exp": START / 1000 + 60 }))
        .await;
    ok(client.call("chat:join", &json!("lobby")).await);
    ok(client.call("chat:join", &json!("room-1")).await);
    let other = server.joined("bob", "lobby").await;
    let refresh = |claims: Value| json!({ "token": token::with_claims(SECRET, &claims) });

    let foreign = refresh(json!({ "sub": "mallory", "exp": START / 1000 + 600 }));
    failed(client.call("token:refresh", &foreign).await, "unauthorized");
    failed(
        client
            .call("token:refresh", &json!({ "token": "nonsense" }))
            .await,
        "unauthorized",
    );
    failed(client.call("token:refresh", &json!({})).await, "invalid_request");

    let narrower = refresh(json!({ "sub": "alice", "exp": START / 1000 + 600, "rooms": ["room-*"] }));
    let data = ok(client.call("token:refresh", &narrower).await);
    assert_eq!(data["expiresAt"], START + 600_000);
    failed(
        client
            .call("chat:send_message", &json!({ "room": "lobby", "text": "hi" }))
            .await,
        "forbidden",
    );
    failed(client.call("chat:join", &json!("lobby")).await, "forbidden");
    ok(other
        .call(
            "chat:send_message",
            &json!({ "room": "lobby", "text": "not for alice" }),
        )
        .await);

    server.clock.advance(300_000);
    ok(client
        .call(
            "chat:send_message",
            &json!({ "room": "room-1", "text": "still here" }),
        )
        .await);
    assert_eq!(
        client.next_event("chat:receive_message").await.unwrap()["room"],
        "room-1"
    );
}

#[tokio::test]
async fn malformed_events_get_an_error_and_affect_nobody_else() {
    let server = Server::start().await;
    let client = server.connect("alice").await;
    let error = failed(client.call("chat:explode", &json!({})).await, "invalid_request");
    assert!(error["message"].as_str().unwrap().contains("chat:explode"));
    for (event, payload) in [
        ("chat:join", Value::Null),
        ("chat:join", json!(7)),
        ("chat:join", json!([])),
        ("chat:join", json!({})),
        ("chat:join", json!({ "room": 7 })),
        ("chat:join", json!("")),
        ("chat:join", json!(" lobby")),
        ("chat:join", json!("a\u{0}b")),
        ("chat:join", json!("x".repeat(129))),
        ("chat:join", json!({ "room": "lobby", "since": -1 })),
        ("chat:join", json!({ "room": "lobby", "since": 1.5 })),
        ("chat:join", json!({ "room": "lobby", "since": "1" })),
        ("chat:join", json!({ "room": "lobby", "since": 1u64 << 60 })),
        ("chat:join", json!({ "room": "lobby", "epoch": 7 })),
        ("chat:join", json!({ "room": "lobby", "limit": -1 })),
        ("chat:send_message", json!("lobby")),
        (
            "chat:get_history",
            json!({ "room": "lobby", "before": 3, "after": 1 }),
        ),
        ("chat:get_history", json!({ "room": "lobby", "before": 0 })),
        ("chat:message_read", json!("lobby")),
        ("chat:message_read", json!({ "room": "lobby", "seq": 0 })),
        ("presence:subscribe", json!({})),
        ("presence:subscribe", json!({ "users": "bob" })),
        ("presence:subscribe", json!({ "users": [7] })),
        ("presence:subscribe", json!({ "users": vec!["x"; 201] })),
    ] {
        server.clock.advance(1_000);
        failed(client.call(event, &payload).await, "invalid_request");
    }
    failed(
        client.call_with("chat:join", &[], PATIENCE).await,
        "invalid_request",
    );
    ok(client.call("chat:join", &json!("lobby")).await);
}

#[tokio::test]
async fn a_failure_without_a_callback_arrives_as_an_error_event() {
    let server = Server::start().await;
    let client = server.connect("alice").await;
    client
        .emit("chat:send_message", &json!({ "room": "lobby", "text": "hi" }))
        .await
        .unwrap();
    let error = client.next_event("error").await.unwrap();
    assert_eq!(
        (&error["code"], &error["event"]),
        (&json!("forbidden"), &json!("chat:send_message"))
    );
    assert_eq!(error["retryable"], false);
    client.emit(&"x".repeat(1_000), &json!({})).await.unwrap();
    let error = client.next_event("error").await.unwrap();
    assert_eq!(error["event"].as_str().unwrap().len(), 64);
}

#[tokio::test]
async fn a_clients_own_error_event_is_acked() {
    let server = Server::start().await;
    let client = server.connect("alice").await;
    let odd = json!({ "message": "\u{1b}[2J it broke" });
    for payload in [odd, json!({ "message": { "nested": true } }), json!({})] {
        ok(client.call("error", &payload).await);
    }
    assert!(
        client.drain("error").is_empty(),
        "a client error causes no error event"
    );
}

#[tokio::test]
async fn null_counts_as_absent_and_a_fraction_of_zero_as_whole() {
    let server = Server::start().await;
    let alice = server.connect("alice").await;
    let join = json!({ "room": "lobby", "since": null, "epoch": null, "limit": 3.0 });
    ok(alice.call("chat:join", &join).await);
    let message = json!({
        "room": "lobby", "text": "hi", "clientId": null, "replyTo": null, "mentions": null, "metadata": null,
    });
    assert_eq!(ok(alice.call("chat:send_message", &message).await)["seq"], 1);
    assert_eq!(
        ok(alice
            .call("chat:message_read", &json!({ "room": "lobby", "seq": 1.0 }))
            .await)["readSeq"],
        1
    );
    assert_eq!(
        ok(alice.call("chat:inbox", &Value::Null).await)["rooms"][0]["room"],
        "lobby"
    );
    ok(alice.call("notification:list", &Value::Null).await);
    ok(alice
        .call("presence:set_status", &json!({ "status": "away", "text": null }))
        .await);
    for seq in [json!(1.5), json!(-1.0), json!(1e300)] {
        failed(
            alice
                .call("chat:message_read", &json!({ "room": "lobby", "seq": seq }))
                .await,
            "invalid_request",
        );
    }
}

#[tokio::test]
async fn half_a_surrogate_pair_gets_a_clear_error() {
    let server = Server::start().await;
    let alice = server.joined("alice", "lobby").await;
    for half in [r"\ud83d", r"\ude00", r"\ud83dx", r"\ud83d\ud83d"] {
        let text = format!(r#"42["chat:send_message",{{"room":"lobby","text":"{half}"}}]"#);
        alice.send_text(text).await.unwrap();
        let error = alice.next_event("error").await.unwrap();
        assert_eq!(error["code"], "invalid_request", "{half}: {error}");
        assert!(
            error["message"].as_str().unwrap().contains("surrogate"),
            "{half}: {error}"
        );
    }
    assert_eq!(
        ok(alice.call("chat:get_history", &json!("lobby")).await)["messages"],
        json!([])
    );
}

#[tokio::test]
async fn names_that_show_nothing_or_hold_controls_are_refused() {
    let server = Server::start().await;
    let alice = server.joined("alice", "lobby").await;
    for (event, payload) in [
        ("chat:join", json!({ "room": "\u{200b}" })),
        (
            "chat:react",
            json!({ "room": "lobby", "seq": 1, "emoji": "\u{202e}" }),
        ),
        (
            "chat:send_message",
            json!({ "room": "lobby", "text": "hi", "clientId": "a\n" }),
        ),
        (
            "chat:send_message",
            json!({ "room": "lobby", "text": "hi", "mentions": ["\u{200b}"] }),
        ),
        ("presence:subscribe", json!({ "users": ["\u{2066}\u{2069}"] })),
        (
            "presence:set_status",
            json!({ "status": "away", "text": "a\u{1b}[31m" }),
        ),
    ] {
        failed(alice.call(event, &payload).await, "invalid_request");
    }
    for user in [" ", "\u{200b}\u{feff}", "\u{202e}\u{2066}", "a\u{7}"] {
        let auth = json!({ "token": token::with_claims(SECRET, &claims(user)) });
        assert_eq!(
            refusal(&server, &auth).await["data"]["code"],
            "unauthorized",
            "{user:?}"
        );
    }
    let device = json!({ "token": token::with_claims(SECRET, &claims("bob")), "device": "\u{200b}" });
    assert_eq!(refusal(&server, &device).await["data"]["code"], "invalid_request");
}

#[tokio::test]
async fn one_ping_a_second_is_free() {
    let server = Server::start().await;
    let alice = server.connect("alice").await;
    let ping = async || alice.call("session:ping", &json!({})).await;
    let mut passed = 0;
    while ping().await.unwrap()["ok"] == true {
        passed += 1;
    }
    assert_eq!(passed, 41, "the first one costs no token");
    server.clock.advance(1_000);
    // One free ping, and a second's 20 tokens for the others.
    for _ in 0..21 {
        assert_eq!(ok(ping().await)["serverTime"], START + 1_000);
    }
    failed(ping().await, "rate_limited");
}

#[tokio::test]
async fn the_server_says_why_it_ends_a_connection() {
    let server = Server::start().await;
    let code = async |client: &SioClient| {
        let ended = client.next_event("session:ended").await.unwrap();
        (ended["code"].clone(), ended["retryable"].clone())
    };
    let client = server.connect("alice").await;
    server.chat.disconnect_user("alice").await.unwrap();
    assert_eq!(code(&client).await, (json!("kicked"), json!(false)));
    let client = server.connect("alice").await;
    server.chat.revoke_user("alice").await.unwrap();
    assert_eq!(code(&client).await, (json!("revoked"), json!(false)));
    let mut short = claims("bob");
    short["exp"] = json!(START / 1000 + 60);
    let client = server.connect_with(&short).await;
    server.clock.advance(65_000);
    assert_eq!(code(&client).await, (json!("token_expired"), json!(true)));
}

#[tokio::test]
async fn a_narrower_token_takes_rooms_that_the_socket_is_not_subscribed_to() {
    let server = Server::start().await;
    let _laptop = server.joined("alice", "lobby").await;
    let phone = server.connect("alice").await;
    let narrow = json!({ "sub": "alice", "exp": START / 1000 + 600, "rooms": ["room-*"] });
    let refresh = json!({ "token": token::with_claims(SECRET, &narrow) });
    ok(phone.call("token:refresh", &refresh).await);
    assert_eq!(
        phone.next_event("chat:room_removed").await.unwrap(),
        json!({ "room": "lobby", "reason": "token" })
    );
    ok(phone.call("token:refresh", &refresh).await);
    settle(&phone).await;
    assert!(
        phone.drain("chat:room_removed").is_empty(),
        "it was taken already"
    );
}

#[tokio::test]
async fn a_profile_from_a_token_shows_as_soon_as_its_user_is_connected() {
    let server = Server::start().await;
    let bob = server.connect("bob").await;
    for name in ["Ann", "Anna"] {
        let mut claims = claims("ann");
        claims["name"] = json!(name);
        let _ann = server.connect_with(&claims).await;
        let shown = ok(bob.call("user:get", &json!({ "users": ["ann"] })).await);
        assert_eq!(shown["users"][0]["name"], name);
    }
}
