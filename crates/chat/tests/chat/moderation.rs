//! Bans, mutes, frozen rooms and slow mode, by moderators and by the backend.

use roomful_chat::{ErrorCode, Rate, admin::Impose};
use roomful_store::{Role, RoomChange, RoomKind, SanctionKind};
use roomful_testkit::{SioClient, token};
use serde_json::{Value, json};

use crate::fixture::{SECRET, START, Server, claims, failed, new_store, ok, send, settle};

/// A server whose room `lobby` has an owner, a moderator and two members, all joined in this order.
async fn lobby() -> (Server, [SioClient; 4]) {
    let server = Server::with(|config| config.rates.enabled = false).await;
    let mut clients = Vec::new();
    for user in ["olga", "mona", "ann", "bob"] {
        clients.push(server.joined(user, "lobby").await);
    }
    for (user, role) in [("olga", Role::Owner), ("mona", Role::Moderator)] {
        server.chat.put_member("lobby", user, Some(role)).await.unwrap();
    }
    (server, clients.try_into().ok().unwrap())
}

/// Acts in the room `lobby`; `more` has further fields.
pub(crate) async fn moderate(
    client: &SioClient,
    action: &str,
    more: Value,
) -> Result<Value, roomful_testkit::Error> {
    let mut ask = json!({ "room": "lobby", "action": action });
    for (field, value) in more.as_object().unwrap() {
        ask[field] = value.clone();
    }
    client.call("chat:moderate", &ask).await
}

fn impose(room: Option<&str>, user: &str, kind: SanctionKind) -> Impose {
    Impose {
        room: room.map(Into::into),
        user_id: user.into(),
        kind,
        until: None,
        reason: None,
        actor: "key:test".into(),
    }
}

async fn say(client: &SioClient) -> Result<Value, roomful_testkit::Error> {
    client
        .call("chat:send_message", &json!({ "room": "lobby", "text": "hi" }))
        .await
}

#[tokio::test]
async fn a_ban_removes_the_user_on_all_devices_until_it_is_lifted() {
    let (server, [olga, mona, ann, bob]) = lobby().await;
    let phone = server.joined("ann", "lobby").await;
    let banned = ok(moderate(&mona, "ban", json!({ "userId": "ann", "reason": "spam" })).await);
    assert_eq!(
        banned,
        json!({ "room": "lobby", "action": "ban", "userId": "ann" })
    );
    let told = json!({ "room": "lobby", "action": "ban", "userId": "ann", "reason": "spam" });
    for client in [&olga, &mona, &ann, &phone] {
        assert_eq!(client.next_event("chat:moderation").await.unwrap(), told);
    }
    for client in [&ann, &phone] {
        let removed = json!({ "room": "lobby", "reason": "banned" });
        assert_eq!(client.next_event("chat:room_removed").await.unwrap(), removed);
        failed(say(client).await, "banned");
        failed(client.call("chat:join", &json!("lobby")).await, "banned");
    }
    let left = bob.next_event("chat:member_left").await.unwrap();
    assert_eq!(left["userId"], "ann");
    settle(&bob).await;
    assert!(bob.drain("chat:moderation").is_empty());
    send(&bob, "lobby", "without ann").await;
    settle(&ann).await;
    assert!(ann.drain("chat:receive_message").is_empty());

    let added = server.chat.put_member("lobby", "ann", None).await;
    assert_eq!(added.unwrap_err().code(), ErrorCode::Banned);
    ok(moderate(&mona, "unban", json!({ "userId": "ann" })).await);
    ok(ann.call("chat:join", &json!("lobby")).await);
    ok(say(&ann).await);
}

#[tokio::test]
async fn a_muted_user_reads_and_deletes_but_does_not_write() {
    let (server, [_, mona, ann, bob]) = lobby().await;
    send(&ann, "lobby", "first").await;
    let until = START + 60_000;
    ok(moderate(&mona, "mute", json!({ "userId": "ann", "until": until })).await);
    let told = ann.next_event("chat:moderation").await.unwrap();
    assert_eq!((&told["action"], &told["until"]), (&json!("mute"), &json!(until)));
    failed(say(&ann).await, "muted");
    let edit = json!({ "room": "lobby", "seq": 1, "text": "changed" });
    failed(ann.call("chat:edit_message", &edit).await, "muted");
    let reaction = json!({ "room": "lobby", "seq": 1, "emoji": "+1" });
    failed(ann.call("chat:react", &reaction).await, "muted");
    ok(ann
        .call("chat:delete_message", &json!({ "room": "lobby", "seq": 1 }))
        .await);
    send(&bob, "lobby", "still heard").await;
    assert_eq!(
        ann.next_event("chat:receive_message").await.unwrap()["text"],
        "first"
    );
    assert_eq!(
        ann.next_event("chat:receive_message").await.unwrap()["text"],
        "still heard"
    );
    // The mute ends by itself.
    server.clock.advance(60_000);
    ok(say(&ann).await);
}

#[tokio::test]
async fn slow_mode_and_freezing_bind_all_but_moderators() {
    let (server, [_, mona, ann, bob]) = lobby().await;
    ok(moderate(&mona, "slow_mode", json!({ "seconds": 10 })).await);
    let told = bob.next_event("chat:moderation").await.unwrap();
    assert_eq!(
        told,
        json!({ "room": "lobby", "action": "slow_mode", "seconds": 10 })
    );
    ok(say(&ann).await);
    server.clock.advance(4_000);
    let error = failed(say(&ann).await, "slow_mode");
    assert_eq!(
        (&error["retryAfterMs"], &error["retryable"]),
        (&json!(6_000), &json!(true))
    );
    ok(say(&bob).await);
    for _ in 0..2 {
        ok(say(&mona).await);
    }
    server.clock.advance(6_000);
    ok(say(&ann).await);

    ok(moderate(&mona, "freeze", json!({})).await);
    failed(say(&bob).await, "forbidden");
    ok(say(&mona).await);
    let mut of_support = claims("support");
    of_support["roles"] = json!(["moderator"]);
    let support = server.connect_with(&of_support).await;
    ok(support.call("chat:join", &json!("lobby")).await);
    ok(say(&support).await);
    let (before, after) = server
        .chat
        .restrict_room("lobby", Some(false), Some(0))
        .await
        .unwrap();
    assert_eq!((before.frozen, before.slow_mode_ms), (true, 10_000));
    assert_eq!((after.frozen, after.slow_mode_ms), (false, 0));
    for _ in 0..2 {
        ok(say(&bob).await);
    }
}

#[tokio::test]
async fn a_ban_from_all_rooms_ends_connections_and_refuses_new_ones() {
    let (server, [.., ann, bob]) = lobby().await;
    ok(ann.call("chat:join", &json!("second")).await);
    let (sanction, before) = server
        .chat
        .impose(impose(None, "ann", SanctionKind::Ban))
        .await
        .unwrap();
    assert_eq!((sanction.room, sanction.at, before), (None, START, None));
    let ended = ann.next_event("session:ended").await.unwrap();
    assert_eq!(
        (&ended["code"], &ended["retryable"]),
        (&json!("banned"), &json!(false))
    );
    assert_eq!(bob.next_event("chat:member_left").await.unwrap()["userId"], "ann");
    let token = token::with_claims(SECRET, &claims("ann"));
    let refused = server
        .try_connect(&json!({ "token": token }))
        .await
        .err()
        .unwrap();
    assert!(format!("{refused:?}").contains("banned"), "{refused:?}");
    for room in ["lobby", "second"] {
        let members = server.chat.members(room, None, 10).await.unwrap();
        assert!(
            members.iter().all(|member| member.user_id != "ann"),
            "{members:?}"
        );
    }
    let post = roomful_chat::admin::Post {
        user_id: "ann".into(),
        text: "from the backend".into(),
        ..Default::default()
    };
    let refused = server.chat.post("lobby", post).await.unwrap_err();
    assert_eq!(refused.code(), ErrorCode::Banned);
    let lifted = server.chat.lift(None, "ann", SanctionKind::Ban, "key:test").await;
    assert_eq!(lifted.unwrap().user_id, "ann");
    let again = server.chat.lift(None, "ann", SanctionKind::Ban, "key:test").await;
    assert_eq!(again.unwrap_err().code(), ErrorCode::NotFound);
    server.joined("ann", "lobby").await;
}

#[tokio::test]
async fn sanctions_of_offline_users_hold_and_survive_a_restart() {
    let (store, data) = new_store();
    let server = Server::on(store.clone(), data, |_| ()).await;
    let ann = server.joined("ann", "lobby").await;
    drop(ann);
    for (user, kind) in [("ann", SanctionKind::Ban), ("bob", SanctionKind::Mute)] {
        let order = impose(Some("lobby"), user, kind);
        server.chat.impose(order).await.unwrap();
    }
    let restarted = Server::serve(store, server.clock.clone(), |_| (), None).await;
    let ann = restarted.connect("ann").await;
    failed(ann.call("chat:join", &json!("lobby")).await, "banned");
    let bob = restarted.joined("bob", "lobby").await;
    failed(say(&bob).await, "muted");
    let bans = restarted
        .chat
        .sanctions(Some("lobby"), SanctionKind::Ban, None, 10)
        .await
        .unwrap();
    assert_eq!(bans.len(), 1);
}

#[tokio::test]
async fn a_moderator_deletes_all_messages_of_a_user() {
    let (_server, [_, mona, ann, bob]) = lobby().await;
    for _ in 0..3 {
        ok(say(&ann).await);
        ok(say(&bob).await);
    }
    let done = ok(moderate(&mona, "delete_messages", json!({ "userId": "ann" })).await);
    assert_eq!(done["deleted"], 3);
    let page = ok(bob.call("chat:get_history", &json!("lobby")).await);
    for message in page["messages"].as_array().unwrap() {
        assert_eq!(
            message["deleted"] == true,
            message["userId"] == "ann",
            "{message}"
        );
    }
    let again = ok(moderate(&mona, "delete_messages", json!({ "userId": "ann" })).await);
    assert_eq!(again["deleted"], 0);
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table of attempts")]
async fn nobody_moderates_beyond_their_role() {
    let (server, [olga, mona, ann, bob]) = lobby().await;
    server
        .chat
        .put_member("lobby", "milo", Some(Role::Moderator))
        .await
        .unwrap();
    ok(mona.call("chat:join", &json!("second")).await);
    let stranger = server.connect("stranger").await;
    let mut of_support = claims("support");
    of_support["roles"] = json!(["moderator"]);
    let support = server.connect_with(&of_support).await;
    let past = START - 1;
    let long = "x".repeat(501);
    let user = |id: &str| json!({ "userId": id });
    let attempts: Vec<(&str, &SioClient, &str, Value, &str)> = vec![
        ("a member bans", &ann, "ban", user("bob"), "forbidden"),
        ("a member mutes", &ann, "mute", user("bob"), "forbidden"),
        ("a member unbans", &ann, "unban", user("bob"), "forbidden"),
        ("a member freezes", &ann, "freeze", json!({}), "forbidden"),
        ("a member unfreezes", &ann, "unfreeze", json!({}), "forbidden"),
        (
            "a member slows down",
            &ann,
            "slow_mode",
            json!({ "seconds": 5 }),
            "forbidden",
        ),
        (
            "a member deletes",
            &ann,
            "delete_messages",
            user("bob"),
            "forbidden",
        ),
        ("a member bans the owner", &bob, "ban", user("olga"), "forbidden"),
        ("a stranger bans", &stranger, "ban", user("bob"), "forbidden"),
        (
            "a token moderator outside the room",
            &support,
            "ban",
            user("bob"),
            "forbidden",
        ),
        (
            "a moderator bans the owner",
            &mona,
            "ban",
            user("olga"),
            "forbidden",
        ),
        (
            "a moderator mutes the owner",
            &mona,
            "mute",
            user("olga"),
            "forbidden",
        ),
        (
            "a moderator deletes the owner's",
            &mona,
            "delete_messages",
            user("olga"),
            "forbidden",
        ),
        (
            "a moderator bans a moderator",
            &mona,
            "ban",
            user("milo"),
            "forbidden",
        ),
        (
            "a moderator bans themselves",
            &mona,
            "ban",
            user("mona"),
            "invalid_request",
        ),
        (
            "an owner bans themselves",
            &olga,
            "ban",
            user("olga"),
            "invalid_request",
        ),
        ("no user", &mona, "ban", json!({}), "invalid_request"),
        (
            "a user for a freeze",
            &mona,
            "freeze",
            user("bob"),
            "invalid_request",
        ),
        ("an empty user", &mona, "ban", user(""), "invalid_request"),
        (
            "a number as user",
            &mona,
            "ban",
            json!({ "userId": 7 }),
            "invalid_request",
        ),
        (
            "a list as user",
            &mona,
            "ban",
            json!({ "userId": ["bob"] }),
            "invalid_request",
        ),
        (
            "an end in the past",
            &mona,
            "ban",
            json!({ "userId": "bob", "until": past }),
            "invalid_request",
        ),
        (
            "an end now",
            &mona,
            "mute",
            json!({ "userId": "bob", "until": START }),
            "invalid_request",
        ),
        (
            "an end in words",
            &mona,
            "ban",
            json!({ "userId": "bob", "until": "soon" }),
            "invalid_request",
        ),
        (
            "a negative end",
            &mona,
            "ban",
            json!({ "userId": "bob", "until": -1 }),
            "invalid_request",
        ),
        (
            "a huge end",
            &mona,
            "ban",
            json!({ "userId": "bob", "until": 1e300 }),
            "invalid_request",
        ),
        (
            "an end of an unban",
            &mona,
            "unban",
            json!({ "userId": "bob", "until": START + 9 }),
            "invalid_request",
        ),
        (
            "a long reason",
            &mona,
            "ban",
            json!({ "userId": "bob", "reason": long }),
            "payload_too_large",
        ),
        (
            "a reason of no text",
            &mona,
            "ban",
            json!({ "userId": "bob", "reason": {} }),
            "invalid_request",
        ),
        (
            "slow mode without seconds",
            &mona,
            "slow_mode",
            json!({}),
            "invalid_request",
        ),
        (
            "slow mode of a year",
            &mona,
            "slow_mode",
            json!({ "seconds": 31_536_000 }),
            "invalid_request",
        ),
        (
            "negative slow mode",
            &mona,
            "slow_mode",
            json!({ "seconds": -5 }),
            "invalid_request",
        ),
        (
            "half a second",
            &mona,
            "slow_mode",
            json!({ "seconds": 0.5 }),
            "invalid_request",
        ),
        (
            "seconds of a ban",
            &mona,
            "ban",
            json!({ "userId": "bob", "seconds": 5 }),
            "invalid_request",
        ),
        ("an unknown action", &mona, "kick", user("bob"), "invalid_request"),
        (
            "an action in capitals",
            &mona,
            "BAN",
            user("bob"),
            "invalid_request",
        ),
        (
            "an action as SQL",
            &mona,
            "ban'; DROP TABLE sanctions; --",
            user("bob"),
            "invalid_request",
        ),
    ];
    for (attempt, client, action, more, code) in attempts {
        let answer = moderate(client, action, more).await.unwrap();
        assert_eq!(answer["error"]["code"], code, "{attempt}: {answer}");
    }
    let in_second = json!({ "room": "second", "action": "ban", "userId": "bob" });
    failed(mona.call("chat:moderate", &in_second).await, "forbidden");
    for broken in [
        json!(null),
        json!("lobby"),
        json!([]),
        json!({ "room": "lobby" }),
        json!({ "action": "ban" }),
    ] {
        failed(mona.call("chat:moderate", &broken).await, "invalid_request");
    }
    for client in [&olga, &mona, &ann, &bob] {
        ok(say(client).await);
    }
    // Those with the right act all the same: an owner also against moderators.
    ok(moderate(&olga, "mute", user("mona")).await);
    failed(say(&mona).await, "muted");
    ok(moderate(&olga, "ban", user("milo")).await);
    ok(moderate(&mona, "ban", user("nobody-yet")).await);
}

/// What a user learns of their standing from `chat:join` and from `chat:sync`, which must agree.
async fn standing(client: &SioClient) -> Value {
    let joined = ok(client.call("chat:join", &json!("lobby")).await);
    let rooms = json!({ "rooms": [{ "room": "lobby", "since": 0 }] });
    let synced = ok(client.call("chat:sync", &rooms).await);
    let of = |answer: &Value| {
        let fields = ["role", "frozen", "slowMode", "retryAfterMs", "muted"];
        fields.map(|field| answer[field].clone())
    };
    assert_eq!(of(&joined), of(&synced["rooms"][0]));
    let [role, frozen, slow_mode, retry_after_ms, muted] = of(&joined);
    json!([role, frozen, slow_mode, retry_after_ms, muted])
}

#[tokio::test]
async fn a_client_learns_its_standing_when_it_joins_and_when_it_syncs() {
    let (server, [olga, mona, ann, bob]) = lobby().await;
    assert_eq!(standing(&ann).await, json!(["member", false, 0, 0, null]));
    assert_eq!(standing(&olga).await, json!(["owner", false, 0, 0, null]));
    ok(moderate(&mona, "slow_mode", json!({ "seconds": 30 })).await);
    ok(say(&ann).await);
    ok(say(&mona).await);
    ok(moderate(&mona, "freeze", json!({})).await);
    let until = START + 60_000;
    let mute = json!({ "userId": "ann", "until": until, "reason": "loud" });
    ok(moderate(&mona, "mute", mute).await);
    let muted = json!({ "until": until, "reason": "loud" });
    assert_eq!(standing(&ann).await, json!(["member", true, 30, 30_000, muted]));
    assert_eq!(standing(&bob).await, json!(["member", true, 30, 0, null]));
    assert_eq!(standing(&mona).await, json!(["moderator", true, 30, 0, null]));
    ok(moderate(&mona, "mute", json!({ "userId": "ann" })).await);
    assert_eq!(standing(&ann).await[4], json!({}), "a mute without an end");
    server.clock.advance(20_000);
    assert_eq!(standing(&ann).await[3], json!(10_000));
}

#[tokio::test]
async fn moderators_see_mutes_in_the_list_of_members_and_others_do_not() {
    let (server, [_, mona, ann, _]) = lobby().await;
    let until = START + 20_000;
    let mute = json!({ "userId": "ann", "until": until, "reason": "spam" });
    ok(moderate(&mona, "mute", mute).await);
    let mutes = async |client: &SioClient| {
        let page = ok(client.call("chat:get_members", &json!("lobby")).await);
        let muted = |member: &Value| {
            member["muted"]
                .is_object()
                .then(|| (member["userId"].clone(), member["muted"].clone()))
        };
        let members = page["members"].as_array().unwrap().clone();
        members.iter().filter_map(muted).collect::<Vec<_>>()
    };
    let anns = json!({ "until": until, "reason": "spam" });
    assert_eq!(mutes(&mona).await, [(json!("ann"), anns)]);
    assert_eq!(mutes(&ann).await, []);
    server.clock.advance(20_000);
    assert_eq!(mutes(&mona).await, []);
}

#[tokio::test]
async fn strangers_hear_nothing_of_acts_against_them() {
    let (server, [_, mona, ann, _]) = lobby().await;
    let stranger = server.connect("stan").await;
    let mut narrow = claims("ann");
    narrow["rooms"] = json!(["other"]);
    let limited = server.connect_with(&narrow).await;
    for action in ["mute", "unmute", "ban"] {
        ok(moderate(&mona, action, json!({ "userId": "stan", "reason": "a letter" })).await);
    }
    ok(moderate(&mona, "mute", json!({ "userId": "ann" })).await);
    assert_eq!(ann.next_event("chat:moderation").await.unwrap()["action"], "mute");
    for client in [&stranger, &limited] {
        settle(client).await;
    }
    let heard = stranger.drain("chat:moderation");
    assert_eq!(heard.len(), 1, "{heard:?}");
    assert_eq!(
        (&heard[0]["action"], heard[0].get("reason")),
        (&json!("unmute"), None)
    );
    assert!(
        limited.drain("chat:moderation").is_empty(),
        "the token does not allow the room"
    );

    let secret = server.joined("mona", "secret").await;
    server
        .chat
        .put_member("secret", "mona", Some(Role::Moderator))
        .await
        .unwrap();
    let private = RoomChange {
        kind: Some(RoomKind::Private),
        ..RoomChange::default()
    };
    server.chat.put_room("secret", private, None).await.unwrap();
    for action in ["mute", "unmute"] {
        let ask = json!({ "room": "secret", "action": action, "userId": "ann" });
        ok(secret.call("chat:moderate", &ask).await);
    }
    settle(&ann).await;
    assert!(ann.drain("chat:moderation").is_empty(), "the room is private");
}

#[tokio::test]
async fn one_moderator_cannot_act_without_end() {
    let server = Server::with(|config| config.rates.moderation = Rate::new(1, 2)).await;
    let mona = server.joined("mona", "lobby").await;
    server
        .chat
        .put_member("lobby", "mona", Some(Role::Moderator))
        .await
        .unwrap();
    ok(moderate(&mona, "mute", json!({ "userId": "a" })).await);
    ok(moderate(&mona, "mute", json!({ "userId": "b" })).await);
    failed(
        moderate(&mona, "mute", json!({ "userId": "c" })).await,
        "rate_limited",
    );
    server.clock.advance(1_000);
    ok(moderate(&mona, "mute", json!({ "userId": "c" })).await);
}
