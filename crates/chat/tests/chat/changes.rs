//! Edits, deletions and reactions: permissions, live events, pages.

use roomful_store::Role;
use roomful_testkit::SioClient;
use serde_json::{Value, json};

use crate::fixture::{START, Server, claims, failed, ok, send, seqs, settle};

async fn edit(client: &SioClient, seq: u64, text: &str) -> Result<Value, roomful_testkit::Error> {
    client
        .call(
            "chat:edit_message",
            &json!({ "room": "lobby", "seq": seq, "text": text }),
        )
        .await
}

async fn delete(client: &SioClient, seq: u64) -> Result<Value, roomful_testkit::Error> {
    client
        .call("chat:delete_message", &json!({ "room": "lobby", "seq": seq }))
        .await
}

async fn react(
    client: &SioClient,
    seq: u64,
    emoji: &str,
    remove: bool,
) -> Result<Value, roomful_testkit::Error> {
    let payload = json!({ "room": "lobby", "seq": seq, "emoji": emoji, "remove": remove });
    client.call("chat:react", &payload).await
}

#[tokio::test]
async fn an_edit_is_a_log_entry_and_reaches_all_subscribers() {
    let server = Server::start().await;
    let alice = server.joined("alice", "lobby").await;
    let bob = server.joined("bob", "lobby").await;
    send(&alice, "lobby", "helo").await;
    server.clock.advance(5);
    let edited = ok(edit(&alice, 1, "hello").await);
    let at = START + 5;
    assert_eq!(
        edited,
        json!({ "room": "lobby", "seq": 1, "at": at, "logSeq": 2, "duplicate": false })
    );
    let event =
        json!({ "room": "lobby", "seq": 1, "text": "hello", "userId": "alice", "at": at, "logSeq": 2 });
    assert_eq!(alice.next_event("chat:message_edited").await.unwrap(), event);
    assert_eq!(bob.next_event("chat:message_edited").await.unwrap(), event);
    assert_eq!(
        send(&bob, "lobby", "next").await["seq"],
        3,
        "edits are numbered like messages"
    );

    let page = ok(bob.call("chat:get_history", &json!("lobby")).await);
    assert_eq!(
        (seqs(&page["messages"]), &page["changes"]),
        (vec![1, 3], &json!([]))
    );
    let message = &page["messages"][0];
    assert_eq!(
        (&message["text"], &message["editedAt"], &message["at"]),
        (&json!("hello"), &json!(at), &json!(START))
    );
    let resumed = ok(bob
        .call("chat:join", &json!({ "room": "lobby", "since": 1 }))
        .await);
    assert_eq!(
        (seqs(&resumed["messages"]), &resumed["head"]),
        (vec![3], &json!(3))
    );
    let change =
        json!({ "type": "edited", "seq": 1, "logSeq": 2, "userId": "alice", "at": at, "text": "hello" });
    assert_eq!(resumed["changes"], json!([change]));
}

#[tokio::test]
async fn a_deleted_message_leaves_only_its_seq() {
    let server = Server::start().await;
    let alice = server.joined("alice", "lobby").await;
    let bob = server.joined("bob", "lobby").await;
    let secret =
        json!({ "room": "lobby", "text": "secret", "metadata": { "a": "secret" }, "mentions": ["bob"] });
    ok(alice.call("chat:send_message", &secret).await);
    ok(edit(&alice, 1, "secret too").await);
    ok(react(&bob, 1, "+1", false).await);
    ok(delete(&alice, 1).await);
    let event = json!({ "room": "lobby", "seq": 1, "userId": "alice", "at": START, "logSeq": 4 });
    assert_eq!(bob.next_event("chat:message_deleted").await.unwrap(), event);
    let joined = ok(bob
        .call("chat:join", &json!({ "room": "lobby", "since": 0 }))
        .await);
    assert!(!joined.to_string().contains("secret"), "{joined}");
    let message = &joined["messages"][0];
    assert_eq!(
        *message,
        json!({
            "id": message["id"], "room": "lobby", "seq": 1,
            "userId": "alice", "name": "The alice", "at": START,
            "text": "", "deleted": true,
        })
    );
    assert_eq!(
        joined["changes"],
        json!([
            { "type": "edited", "seq": 1, "logSeq": 2, "userId": "alice", "at": START, "text": "" },
            { "type": "reaction", "seq": 1, "logSeq": 3, "userId": "bob", "at": START,
              "emoji": "+1", "removed": false, "mine": true },
            { "type": "deleted", "seq": 1, "logSeq": 4, "userId": "alice", "at": START },
        ])
    );
    assert_eq!((&joined["unread"], &joined["mentions"]), (&json!(0), &json!(0)));
    failed(edit(&alice, 1, "again").await, "not_found");
    failed(delete(&alice, 1).await, "not_found");
    failed(react(&bob, 1, "+1", true).await, "not_found");
}

#[tokio::test]
async fn authors_and_moderators_edit_and_delete_messages() {
    let server = Server::start().await;
    let alice = server.joined("alice", "lobby").await;
    let bob = server.joined("bob", "lobby").await;
    let mut of_moderator = claims("mona");
    of_moderator["roles"] = json!(["support", "moderator"]);
    let mona = server.connect_with(&of_moderator).await;
    failed(delete(&mona, 1).await, "forbidden");
    ok(mona.call("chat:join", &json!("lobby")).await);
    for n in 1..=3 {
        send(&alice, "lobby", &n.to_string()).await;
    }
    failed(edit(&bob, 1, "mine").await, "forbidden");
    failed(delete(&bob, 1).await, "forbidden");
    ok(edit(&mona, 1, "kinder").await);
    ok(delete(&mona, 1).await);
    for event in ["chat:message_edited", "chat:message_deleted"] {
        assert_eq!(alice.next_event(event).await.unwrap()["userId"], "mona");
    }
    // The app can make a user moderator of one room.
    server
        .chat
        .put_member("lobby", "bob", Some(Role::Moderator))
        .await
        .unwrap();
    ok(delete(&bob, 2).await);
    ok(edit(&bob, 3, "kinder").await);

    // A seq without a message is `not_found` for everybody: a mutation's seq, a future one, an invalid one.
    for seq in [4, 12, 1] {
        failed(edit(&alice, seq, "?").await, "not_found");
        failed(delete(&mona, seq).await, "not_found");
        failed(react(&alice, seq, "+1", false).await, "not_found");
    }
    let mallory = server.connect("mallory").await;
    failed(react(&mallory, 3, "+1", false).await, "forbidden");
    failed(edit(&mallory, 3, "?").await, "forbidden");
}

#[tokio::test]
async fn a_user_has_one_reaction_per_emoji() {
    let server = Server::start().await;
    let alice = server.joined("alice", "lobby").await;
    let bob = server.joined("bob", "lobby").await;
    send(&alice, "lobby", "hi").await;
    let first = ok(react(&bob, 1, "\u{1F44D}\u{1F3FD}", false).await);
    assert_eq!(
        (&first["logSeq"], &first["duplicate"]),
        (&json!(2), &json!(false))
    );
    let again = ok(react(&bob, 1, "\u{1F44D}\u{1F3FD}", false).await);
    assert_eq!(again, json!({ "room": "lobby", "seq": 1, "duplicate": true }));
    ok(react(&alice, 1, "\u{1F44D}\u{1F3FD}", false).await);
    ok(react(&alice, 1, "x", false).await);
    ok(react(&alice, 1, "x", true).await);
    ok(react(&alice, 1, "x", true).await);
    settle(&bob).await;
    let told: Vec<_> = bob
        .drain("chat:reaction")
        .iter()
        .map(|event| json!([event["userId"], event["emoji"], event["removed"], event["logSeq"]]))
        .collect();
    let thumb = "\u{1F44D}\u{1F3FD}";
    assert_eq!(
        json!(told),
        json!([
            ["bob", thumb, false, 2],
            ["alice", thumb, false, 3],
            ["alice", "x", false, 4],
            ["alice", "x", true, 5],
        ])
    );
    let page = ok(alice.call("chat:get_history", &json!("lobby")).await);
    assert_eq!(
        page["messages"][0]["reactions"],
        json!([{ "emoji": thumb, "userIds": ["alice", "bob"], "count": 2, "mine": true }])
    );
    for emoji in [
        json!(""),
        json!("a\n"),
        json!("x".repeat(33)),
        json!(7),
        Value::Null,
    ] {
        let payload = json!({ "room": "lobby", "seq": 1, "emoji": emoji });
        failed(alice.call("chat:react", &payload).await, "invalid_request");
    }
    server.clock.advance(60_000);
    for n in 0..19 {
        ok(react(&alice, 1, &n.to_string(), false).await);
    }
    failed(react(&alice, 1, "one more", false).await, "invalid_request");
}

#[tokio::test]
async fn a_retried_mutation_gets_the_first_ack() {
    let server = Server::start().await;
    let alice = server.joined("alice", "lobby").await;
    send(&alice, "lobby", "hi").await;
    for (event, payload) in [
        (
            "chat:edit_message",
            json!({ "room": "lobby", "seq": 1, "text": "ho", "clientId": "e" }),
        ),
        (
            "chat:react",
            json!({ "room": "lobby", "seq": 1, "emoji": "+1", "clientId": "r" }),
        ),
        (
            "chat:delete_message",
            json!({ "room": "lobby", "seq": 1, "clientId": "d" }),
        ),
    ] {
        let first = ok(alice.call(event, &payload).await);
        server.clock.advance(1_000);
        let mut expected = first.clone();
        expected["duplicate"] = json!(true);
        assert_eq!(ok(alice.call(event, &payload).await), expected, "{event}");
    }
    let another = json!({ "room": "lobby", "seq": 1, "emoji": "-1", "clientId": "r" });
    failed(alice.call("chat:react", &another).await, "conflict");
}

#[tokio::test]
async fn a_mutation_takes_effect_after_earlier_sends() {
    let server = Server::with(|config| config.rates.enabled = false).await;
    let alice = server.joined("alice", "lobby").await;
    for n in 1..=20u64 {
        let message = json!({ "room": "lobby", "text": n.to_string() });
        alice.emit("chat:send_message", &message).await.unwrap();
    }
    assert_eq!(ok(edit(&alice, 20, "last").await)["logSeq"], 21);
    // Mutations may also follow each other without waiting for acks.
    for n in 1..=10u64 {
        let reaction = json!({ "room": "lobby", "seq": n, "emoji": "+1" });
        alice.emit("chat:react", &reaction).await.unwrap();
    }
    assert_eq!(send(&alice, "lobby", "next").await["seq"], 32);
    let page = ok(alice
        .call("chat:get_history", &json!({ "room": "lobby", "after": 20 }))
        .await);
    let places: Vec<_> = page["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| change["logSeq"].clone())
        .collect();
    assert_eq!(json!(places), json!((21..=31).collect::<Vec<_>>()));
    assert_eq!(seqs(&page["messages"]), [32]);
}

#[tokio::test]
async fn delivered_marks_grow_and_include_read_marks() {
    let server = Server::start().await;
    let alice = server.joined("alice", "lobby").await;
    let bob = server.joined("bob", "lobby").await;
    for n in 1..=4 {
        send(&alice, "lobby", &n.to_string()).await;
    }
    let delivered = async |seq: u64| {
        let payload = json!({ "room": "lobby", "seq": seq });
        ok(bob.call("chat:message_delivered", &payload).await)
    };
    assert_eq!(delivered(2).await, json!({ "room": "lobby", "deliveredSeq": 2 }));
    assert_eq!(delivered(1).await["deliveredSeq"], 2);
    let told = json!({ "room": "lobby", "userId": "bob", "seq": 2, "at": START });
    assert_eq!(alice.next_event("chat:message_delivered").await.unwrap(), told);
    ok(bob
        .call("chat:message_read", &json!({ "room": "lobby", "seq": 3 }))
        .await);
    assert_eq!(delivered(1).await["deliveredSeq"], 3);
    assert_eq!(delivered(99).await["deliveredSeq"], 4, "limited to the head");
    assert_eq!(
        alice.next_event("chat:message_delivered").await.unwrap()["seq"],
        4
    );
    settle(&alice).await;
    assert!(alice.drain("chat:message_delivered").is_empty());
    assert!(
        bob.drain("chat:message_delivered").is_empty(),
        "the own socket gets only the ack"
    );
    let joined = ok(bob.call("chat:join", &json!("lobby")).await);
    assert_eq!(
        (&joined["readSeq"], &joined["deliveredSeq"]),
        (&json!(3), &json!(4))
    );
    let mallory = server.connect("mallory").await;
    let payload = json!({ "room": "lobby", "seq": 1 });
    failed(
        mallory.call("chat:message_delivered", &payload).await,
        "forbidden",
    );
}

#[tokio::test]
async fn reactions_say_whether_they_are_the_receivers_own() {
    let server = Server::with(|config| config.rates.enabled = false).await;
    let alice = server.joined("alice", "lobby").await;
    let bob = server.joined("bob", "lobby").await;
    send(&alice, "lobby", "hi").await;
    let react = json!({ "room": "lobby", "seq": 1, "emoji": "+1", "clientId": "r1" });
    ok(alice.call("chat:react", &react).await);
    for (client, mine) in [(&alice, true), (&bob, false)] {
        let event = client.next_event("chat:reaction").await.unwrap();
        assert_eq!((&event["mine"], &event["clientId"]), (&json!(mine), &json!("r1")));
        let page = ok(client.call("chat:get_history", &json!("lobby")).await);
        assert_eq!(page["messages"][0]["reactions"][0]["mine"], mine);
    }
    // Also when the page names only some of the users.
    for n in 0..120 {
        let user = server.joined(&format!("aa{n}"), "lobby").await;
        ok(user
            .call("chat:react", &json!({ "room": "lobby", "seq": 1, "emoji": "+1" }))
            .await);
        user.abort().await;
    }
    for (client, mine) in [(&alice, true), (&bob, false)] {
        let joined = ok(client.call("chat:join", &json!("lobby")).await);
        let reactions = &joined["messages"][0]["reactions"][0];
        let named = reactions["userIds"].as_array().unwrap();
        assert!(!named.contains(&json!("alice")), "{reactions}");
        assert_eq!(
            (&reactions["count"], &reactions["mine"]),
            (&json!(121), &json!(mine))
        );
    }
}
