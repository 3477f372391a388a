//! What the app's backend does, and what the sockets see of it.

use roomful_chat::{
    ChatError, ErrorCode, Status,
    admin::{Post, Posted},
};
use roomful_store::{Role, RoomChange, RoomKind};
use roomful_testkit::{Error, PATIENCE, session::End, token};
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
async fn a_private_room_answers_strangers_as_if_there_were_none() {
    let server = Server::with(|config| config.create_rooms = false).await;
    let (state, created) = server.chat.put_room("club", PRIVATE).await.unwrap();
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

    // Who has left by themselves is a stranger again.
    ok(bob.call("chat:leave", &json!("club")).await);
    failed(bob.call("chat:join", &json!("club")).await, "forbidden");
}

#[tokio::test]
async fn members_come_and_go_by_the_backend_and_their_sockets_notice() {
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
async fn a_deleted_room_ends_for_all_and_its_name_is_free() {
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
    assert_eq!(after["online"], 1, "alice is not in the new one");
    send(&bob, "lobby", "two").await;
    settle(&alice).await;
    assert_eq!(alice.drain("chat:receive_message").len(), 1, "only the first one");
}

#[tokio::test]
async fn a_post_takes_the_way_of_every_message() {
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
        json!({ "id": one.id, "room": "lobby", "seq": 1, "userId": "bot", "at": START, "clientId": "1", "text": "hello" })
    );
    let again = server.chat.post("lobby", post("bot", "hello", Some("1"))).await;
    let expected = Posted {
        duplicate: true,
        ..one
    };
    assert_eq!(again.unwrap(), expected);

    // What is remembered of a user names them, unless the post does.
    server.store.see_user("carol", Some("Carol"), 1).await.unwrap();
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
async fn a_user_is_sent_away_from_all_devices_and_may_come_back() {
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
async fn revoked_tokens_are_of_no_use_any_more() {
    let server = Server::start().await;
    let issued = |at_ms: i64| json!({ "sub": "bob", "exp": START / 1000 + 3_600, "iat": at_ms / 1000 });
    let auth = |claims: &Value| json!({ "token": token::with_claims(SECRET, claims) });
    let live = server.connect_with(&issued(START - 5_000)).await;
    let other = server.connect("alice").await;
    server.clock.advance(500);
    let revoked = server.chat.revoke_user("bob").await.unwrap();
    assert_eq!((revoked.before, revoked.closed), (START + 1_000, 1));
    assert_eq!(ends(&live).await, End::Disconnected);

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
async fn where_users_stand_is_told() {
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
async fn the_invisible_are_told_of_where_one_user_is_asked_for() {
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
