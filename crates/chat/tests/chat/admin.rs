//! Backend calls and their effect on sockets.

use roomful_chat::{
    ChatError, ErrorCode, Status,
    admin::{Post, Posted},
};
use roomful_store::{Role, RoomChange, RoomKind};
use roomful_testkit::{Error, PATIENCE, SioClient, session::End, token};
use serde_json::{Value, json};

use crate::fixture::{SECRET, START, Server, claims, failed, ok, send, settle};

const PRIVATE: RoomChange = RoomChange {
    kind: Some(RoomKind::Private),
    history: None,
};

fn post(user: &str, text: &str, client_id: Option<&str>) -> Post {
    Post {
        user_id: user.into(),
        text: text.into(),
        client_id: client_id.map(Into::into),
        ..Post::default()
    }
}

#[track_caller]
fn code<T: std::fmt::Debug>(outcome: Result<T, ChatError>) -> ErrorCode {
    outcome.unwrap_err().code()
}

#[tokio::test]
async fn a_private_room_looks_nonexistent_to_strangers() {
    let server = Server::with(|config| config.create_rooms = false).await;
    let (state, created) = server.chat.put_room("club", PRIVATE, None).await.unwrap();
    assert_eq!((created, state.members, state.online), (true, 0, 0));
    let bob = server.connect("bob").await;
    for event in ["chat:join", "chat:get_history", "chat:typing_start"] {
        let private = failed(bob.call(event, &json!("club")).await, "forbidden");
        let unknown = failed(bob.call(event, &json!("nowhere")).await, "forbidden");
        assert_eq!(private, unknown, "{event}");
    }

    let (member, newly) = server.chat.put_member("club", "bob", None).await.unwrap();
    assert_eq!(
        (newly, member.role, member.joined_at),
        (true, Role::Member, START)
    );
    let joined = ok(bob.call("chat:join", &json!("club")).await);
    assert_eq!(joined["online"], 1);
    assert_eq!(server.chat.room("club").await.unwrap().members, 1);

    // A member who left by themselves is a stranger again.
    ok(bob.call("chat:leave", &json!("club")).await);
    let refused = failed(bob.call("chat:join", &json!("club")).await, "forbidden");
    let message = refused["message"].as_str().unwrap();
    assert!(
        message.contains("ask the app to add you as a member"),
        "{message}"
    );
}

#[tokio::test]
async fn backend_membership_changes_reach_the_users_sockets() {
    let server = Server::start().await;
    let alice = server.joined("alice", "lobby").await;
    let (_, newly) = server
        .chat
        .put_member("lobby", "bob", Some(Role::Moderator))
        .await
        .unwrap();
    assert!(newly);
    let told = json!({ "room": "lobby", "userId": "bob" });
    assert_eq!(alice.next_event("chat:member_joined").await.unwrap(), told);
    let (bob, newly) = server.chat.put_member("lobby", "bob", None).await.unwrap();
    assert_eq!((newly, bob.role), (false, Role::Moderator));

    let (phone, desk) = (
        server.joined("bob", "lobby").await,
        server.joined("bob", "lobby").await,
    );
    server.chat.remove_member("lobby", "bob").await.unwrap();
    for socket in [&alice, &phone, &desk] {
        assert_eq!(socket.next_event("chat:member_left").await.unwrap(), told);
    }
    send(&alice, "lobby", "without bob").await;
    let message = json!({ "room": "lobby", "text": "still here?" });
    for socket in [&phone, &desk] {
        failed(socket.call("chat:send_message", &message).await, "forbidden");
        settle(socket).await;
        assert!(socket.drain("chat:receive_message").is_empty());
    }
    assert_eq!(
        code(server.chat.remove_member("lobby", "bob").await),
        ErrorCode::NotFound
    );
    assert_eq!(
        code(server.chat.put_member("nowhere", "bob", None).await),
        ErrorCode::NotFound
    );
    let members = server.chat.members("lobby", None, 10).await.unwrap();
    assert_eq!(members.len(), 1);
    assert_eq!(members[0].user_id, "alice");
}

#[tokio::test]
async fn deleting_a_room_ends_all_subscriptions_and_frees_its_name() {
    let server = Server::start().await;
    let (alice, bob) = (
        server.joined("alice", "lobby").await,
        server.joined("bob", "lobby").await,
    );
    let before = ok(alice.call("chat:join", &json!("lobby")).await);
    send(&alice, "lobby", "one").await;
    server.chat.delete_room("lobby").await.unwrap();
    for socket in [&alice, &bob] {
        let told = socket.next_event("chat:room_deleted").await.unwrap();
        assert_eq!(told, json!({ "room": "lobby" }));
    }
    let message = json!({ "room": "lobby", "text": "x" });
    failed(bob.call("chat:send_message", &message).await, "forbidden");
    assert_eq!(code(server.chat.delete_room("lobby").await), ErrorCode::NotFound);
    assert_eq!(server.chat.stats().rooms, 0);

    let again = json!({ "room": "lobby", "since": 1, "epoch": before["epoch"] });
    let after = ok(bob.call("chat:join", &again).await);
    assert_eq!((&after["head"], &after["reset"]), (&json!(0), &json!(true)));
    assert_ne!(after["epoch"], before["epoch"]);
    assert_eq!(after["online"], 1, "alice is not in the new room");
    send(&bob, "lobby", "two").await;
    settle(&alice).await;
    assert_eq!(
        alice.drain("chat:receive_message").len(),
        1,
        "only the first message"
    );
}

#[tokio::test]
async fn a_posted_message_is_delivered_like_a_clients_message() {
    let server = Server::start().await;
    let alice = server.joined("alice", "lobby").await;
    let one = server
        .chat
        .post("lobby", post("bot", "hello", Some("1")))
        .await
        .unwrap();
    assert_eq!(
        (one.room.as_str(), one.seq, one.at, one.duplicate),
        ("lobby", 1, START, false)
    );
    let received = alice.next_event("chat:receive_message").await.unwrap();
    assert_eq!(
        received,
        json!({
            "id": one.id, "room": "lobby", "seq": 1,
            "userId": "bot", "at": START, "clientId": "1", "text": "hello",
        })
    );
    let again = server.chat.post("lobby", post("bot", "hello", Some("1"))).await;
    let expected = Posted {
        duplicate: true,
        ..one
    };
    assert_eq!(again.unwrap(), expected);

    // The author gets their stored name, unless the post has one.
    server.store.touch_user("carol", Some("Carol"), 1).await.unwrap();
    let named = Post {
        name: Some("The bot\u{7}".into()),
        ..post("bot", "two", None)
    };
    for (message, name) in [(post("carol", "three", None), "Carol"), (named, "The bot")] {
        server.chat.post("lobby", message).await.unwrap();
        assert_eq!(
            alice.next_event("chat:receive_message").await.unwrap()["name"],
            name
        );
    }
    let cases = [
        ("lobby", post("bot", "other", Some("1")), ErrorCode::Conflict),
        ("lobby", post("bot", "", None), ErrorCode::InvalidRequest),
        ("lobby", post("", "x", None), ErrorCode::InvalidRequest),
        (
            "lobby",
            post("bot", &"x".repeat(16 * 1024 + 1), None),
            ErrorCode::PayloadTooLarge,
        ),
        (
            "lobby",
            Post {
                reply_to: Some(99),
                ..post("bot", "x", None)
            },
            ErrorCode::InvalidRequest,
        ),
        ("nowhere", post("bot", "x", None), ErrorCode::NotFound),
        (" ", post("bot", "x", None), ErrorCode::InvalidRequest),
    ];
    for (room, message, expected) in cases {
        assert_eq!(code(server.chat.post(room, message).await), expected, "{room}");
    }
    let page: Value = serde_json::from_str(
        server
            .chat
            .history("lobby", None, Some(1), Some(1))
            .await
            .unwrap()
            .get(),
    )
    .unwrap();
    assert_eq!(
        (&page["messages"][0]["seq"], &page["more"]),
        (&json!(2), &json!(true))
    );
    assert_eq!(
        code(server.chat.history("lobby", Some(1), Some(1), None).await),
        ErrorCode::InvalidRequest
    );
    assert_eq!(
        code(server.chat.history("nowhere", None, None, None).await),
        ErrorCode::NotFound
    );
    let stats = server.chat.stats();
    assert_eq!((stats.messages.committed, stats.messages.delivered), (3, 3));
    assert!((stats.per_second.committed - 3.0).abs() < 1e-9);
}

async fn ends(client: &roomful_testkit::SioClient) -> End {
    client.wait_end(PATIENCE).await.unwrap()
}

#[tokio::test]
async fn disconnect_user_closes_all_devices_and_allows_a_new_connection() {
    let server = Server::start().await;
    let (one, two, other) = (
        server.connect("bob").await,
        server.connect("bob").await,
        server.connect("alice").await,
    );
    assert_eq!(server.chat.user("bob").await.unwrap().devices.len(), 2);
    assert_eq!(server.chat.disconnect_user("bob").await.unwrap(), 2);
    assert_eq!(ends(&one).await, End::Disconnected);
    assert_eq!(ends(&two).await, End::Disconnected);
    settle(&other).await;
    assert_eq!(server.chat.disconnect_user("bob").await.unwrap(), 0);
    server.connect("bob").await;
}

#[tokio::test]
async fn revoked_tokens_cannot_connect() {
    let server = Server::start().await;
    let issued = |at_ms: i64| json!({ "sub": "bob", "exp": START / 1000 + 3_600, "iat": at_ms / 1000 });
    let auth = |claims: &Value| json!({ "token": token::with_claims(SECRET, claims) });
    let bob = server.connect_with(&issued(START - 5_000)).await;
    let other = server.connect("alice").await;
    server.clock.advance(500);
    let revoked = server.chat.revoke_user("bob").await.unwrap();
    assert_eq!((revoked.before, revoked.closed), (START + 1_000, 1));
    assert_eq!(ends(&bob).await, End::Disconnected);

    let refused = async |claims: &Value| match server.try_connect(&auth(claims)).await {
        Err(Error::ConnectRefused(refusal)) => assert_eq!(refusal["data"]["code"], "unauthorized"),
        other => panic!("let in: {:?}", other.map(|client| client.id().to_owned())),
    };
    refused(&issued(START - 5_000)).await;
    refused(&issued(START)).await;
    refused(&claims("bob")).await;
    server.clock.advance(500);
    let fresh = server.connect_with(&issued(START + 1_000)).await;
    let stale = json!({ "token": token::with_claims(SECRET, &issued(START)) });
    failed(fresh.call("token:refresh", &stale).await, "unauthorized");
    settle(&other).await;
    server.connect("alice").await;
}

#[tokio::test]
async fn the_backend_reads_presence_of_users() {
    let server = Server::start().await;
    let bob = server.joined("bob", "lobby").await;
    let state = server.chat.user("bob").await.unwrap();
    assert_eq!(
        (state.presence.status, state.presence.last_seen),
        (Status::Online, Some(START))
    );
    assert_eq!(
        (state.devices[0].session_id.as_str(), state.devices[0].rooms),
        (bob.id(), 1)
    );
    assert_eq!(code(server.chat.user("nobody").await), ErrorCode::NotFound);
    let asked = ["nobody", "bob"].map(String::from).to_vec();
    let states = server.chat.presence(asked).await.unwrap();
    assert_eq!(
        states
            .iter()
            .map(|state| (state.status, state.last_seen))
            .collect::<Vec<_>>(),
        [(Status::Offline, None), (Status::Online, Some(START))]
    );
    let many = vec![String::from("bob"); 201];
    assert_eq!(code(server.chat.presence(many).await), ErrorCode::InvalidRequest);
}

#[tokio::test]
async fn an_invisible_user_shows_as_such_only_to_the_backends_single_user_call() {
    let server = Server::start().await;
    let bob = server.joined("bob", "lobby").await;
    let ask = json!({ "status": "invisible", "text": "Ssh" });
    ok(bob.call("presence:set_status", &ask).await);
    server.clock.advance(1_000);
    let truth = server.chat.user("bob").await.unwrap();
    assert_eq!(
        (
            truth.presence.status,
            truth.presence.last_seen,
            truth.devices.len()
        ),
        (Status::Invisible, Some(START + 1_000), 1)
    );
    assert_eq!(truth.presence.text.as_deref(), Some("Ssh"));
    let shown = server.chat.presence(vec!["bob".into()]).await.unwrap().remove(0);
    assert_eq!(
        (shown.status, shown.text, shown.last_seen),
        (Status::Offline, None, Some(START))
    );
    let lobby = server.chat.room("lobby").await.unwrap();
    assert_eq!(lobby.online, 0);
}

/// The next `chat:room_removed`, as (room, reason).
async fn removed(client: &SioClient) -> (Value, Value) {
    let event = client.next_event("chat:room_removed").await.unwrap();
    (event["room"].clone(), event["reason"].clone())
}

#[tokio::test]
async fn put_members_of_a_private_room_ends_all_other_memberships() {
    let server = Server::start().await;
    let mallory = server.joined("mallory", "dm:alice:bob").await;
    let alice = server.joined("alice", "dm:alice:bob").await;
    let members = |ids: &[&str]| Some(ids.iter().map(|id| (*id).to_owned()).collect());
    let public = RoomChange::default();
    let refused = server
        .chat
        .put_room("dm:alice:bob", public, members(&["alice"]))
        .await;
    assert_eq!(code(refused), ErrorCode::InvalidRequest);
    let invalid = server
        .chat
        .put_room("dm:alice:bob", PRIVATE, members(&["\u{200b}"]))
        .await;
    assert_eq!(code(invalid), ErrorCode::InvalidRequest);

    let (state, created) = server
        .chat
        .put_room("dm:alice:bob", PRIVATE, members(&["alice", "bob", "bob"]))
        .await
        .unwrap();
    assert_eq!((created, state.members), (false, 2));
    assert_eq!(removed(&mallory).await, (json!("dm:alice:bob"), json!("removed")));
    assert_eq!(
        alice.next_event("chat:member_left").await.unwrap()["userId"],
        "mallory"
    );
    for event in ["chat:get_history", "chat:join"] {
        failed(mallory.call(event, &json!("dm:alice:bob")).await, "forbidden");
    }
    send(&alice, "dm:alice:bob", "between us").await;
    settle(&mallory).await;
    assert!(mallory.drain("chat:receive_message").is_empty());
    assert!(alice.drain("chat:room_removed").is_empty());
    let bob = server.connect("bob").await;
    assert_eq!(
        ok(bob.call("chat:join", &json!("dm:alice:bob")).await)["unread"],
        1
    );
}

#[tokio::test]
async fn all_sockets_of_a_user_learn_of_added_and_removed_rooms() {
    let server = Server::start().await;
    let (phone, laptop) = (server.connect("bob").await, server.connect("bob").await);
    let mut narrow = claims("bob");
    narrow["rooms"] = json!(["lobby"]);
    let limited = server.connect_with(&narrow).await;
    let both = [&phone, &laptop];
    server.chat.put_room("club", PRIVATE, None).await.unwrap();
    server.chat.put_member("club", "bob", None).await.unwrap();
    for client in both {
        let added = client.next_event("chat:room_added").await.unwrap();
        assert_eq!(added, json!({ "room": "club", "at": START }));
    }
    server
        .chat
        .put_member("club", "bob", Some(Role::Moderator))
        .await
        .unwrap();
    server.chat.remove_member("club", "bob").await.unwrap();
    for client in both {
        assert_eq!(removed(client).await, (json!("club"), json!("removed")));
    }
    for (event, reason) in [("chat:leave", "left"), ("delete", "deleted")] {
        ok(phone.call("chat:join", &json!("lobby")).await);
        for client in [&phone, &laptop, &limited] {
            assert_eq!(
                client.next_event("chat:room_added").await.unwrap()["room"],
                "lobby"
            );
        }
        if event == "delete" {
            server.chat.delete_room("lobby").await.unwrap();
        } else {
            ok(laptop.call(event, &json!("lobby")).await);
        }
        for client in [&phone, &laptop, &limited] {
            assert_eq!(removed(client).await, (json!("lobby"), json!(reason)));
        }
    }
    settle(&limited).await;
    assert!(
        limited.drain("chat:room_added").is_empty(),
        "its token does not allow the club"
    );

    // A narrower token takes the room from its own socket only.
    ok(phone.call("chat:join", &json!("hall")).await);
    ok(laptop.call("chat:join", &json!("hall")).await);
    let token = token::with_claims(SECRET, &narrow);
    ok(phone.call("token:refresh", &json!({ "token": token })).await);
    assert_eq!(removed(&phone).await, (json!("hall"), json!("token")));
    settle(&laptop).await;
    assert!(laptop.drain("chat:room_removed").is_empty());
}

#[tokio::test]
async fn a_token_dated_in_the_future_does_not_survive_a_revocation() {
    let server = Server::start().await;
    let issued = |at: f64| json!({ "sub": "bob", "exp": START / 1000 + 3_600, "iat": at });
    let seconds = |ms: i64| f64::from(u32::try_from(ms / 1_000).unwrap());
    let now = seconds(START);
    let refused = async |at: f64| {
        let auth = json!({ "token": token::with_claims(SECRET, &issued(at)) });
        match server.try_connect(&auth).await {
            Err(Error::ConnectRefused(refusal)) => {
                assert_eq!(refusal["data"]["code"], "unauthorized", "{at}");
            }
            other => panic!("let in: {:?}", other.map(|client| client.id().to_owned())),
        }
    };
    // Beyond the issuer's tolerated lead, with or without a revocation.
    refused(now + 10.5).await;
    refused(now + 60.0).await;
    let bob = server.connect_with(&issued(now + 4.0)).await;
    let revoked = server.chat.revoke_user("bob").await.unwrap();
    assert_eq!(revoked.before, START + 5_000);
    assert_eq!(ends(&bob).await, End::Disconnected);
    // Tokens no later than the one in use stay void when their date has come.
    let void = [0.0, 0.5, 1.0, 4.0, 4.999];
    for passed in [0, 5_000] {
        server.clock.advance(passed);
        for ahead in void {
            refused(now + ahead).await;
        }
    }
    // Later ones may have existed before the revocation: they are void until their date has come.
    refused(now + 6.0).await;
    let fresh = server.connect_with(&issued(now + 5.0)).await;
    let refresh = async |at: f64| {
        let token = token::with_claims(SECRET, &issued(at));
        fresh.call("token:refresh", &json!({ "token": token })).await
    };
    failed(refresh(now + 4.0).await, "unauthorized");
    failed(refresh(now + 5.5).await, "unauthorized");
    server.clock.advance(1_000);
    ok(refresh(now + 6.0).await);
    // Nothing of the revocation is left but its date.
    server.clock.advance(9_000);
    failed(refresh(now + 4.0).await, "unauthorized");
    ok(refresh(now + 24.0).await);
}
