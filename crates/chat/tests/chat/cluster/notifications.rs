//! Notifications and unread counts of a user with devices on several nodes.

use roomful_chat::Notify;
use roomful_store::{NewNotification, NotificationPage};
use serde_json::json;

use super::Nodes;
use crate::fixture::{START, ok, send, settle};

#[tokio::test]
async fn a_repeated_post_delivers_a_notification_whose_node_died() {
    let nodes = Nodes::start(2).await;
    let (phone, tablet) = (nodes[0].connect("bob").await, nodes[1].connect("bob").await);
    // A post by a node that died right after storing it, before it notified the user.
    nodes[0].chat.notify(greeting("alice", None)).await.unwrap();
    let page = NotificationPage {
        limit: 1,
        before: None,
        unread_only: false,
    };
    let example = nodes.store.notifications("alice", page).await.unwrap().unwrap();
    let written = NewNotification {
        id: "untold".into(),
        users: vec!["bob".into()],
        body: example.notifications[0].body.clone(),
        at: START,
        from: None,
    };
    nodes.store.notify(written).await.unwrap();
    for again in 0..2 {
        let posted = nodes[0]
            .chat
            .notify(greeting("bob", Some("untold")))
            .await
            .unwrap();
        assert!(posted.duplicate);
        for device in [&phone, &tablet] {
            if again == 0 {
                let notice = device.next_event("notification:receive").await.unwrap();
                assert_eq!(notice["id"], "untold");
            } else {
                settle(device).await;
                assert!(device.drain("notification:receive").is_empty(), "once");
            }
        }
    }
}

fn greeting(user: &str, id: Option<&str>) -> Notify {
    Notify {
        user_ids: vec![user.into()],
        kind: "greeting".into(),
        title: "Hello".into(),
        body: "you".into(),
        data: None,
        id: id.map(Into::into),
        from: None,
    }
}

#[tokio::test]
async fn notifications_and_unread_counts_reach_all_nodes() {
    let nodes = Nodes::start(2).await;
    let (phone, tablet) = (nodes[0].connect("alice").await, nodes[1].connect("alice").await);
    let posted = nodes[0].chat.notify(greeting("alice", None)).await.unwrap();
    for device in [&phone, &tablet] {
        let notice = device.next_event("notification:receive").await.unwrap();
        assert_eq!(notice["id"], posted.id.as_str());
    }
    ok(phone.call("notification:read", &json!({ "all": true })).await);
    assert_eq!(
        tablet.next_event("notification:unread").await.unwrap()["unread"],
        0
    );

    // Alice is a member on one node, and a user on the other one sends.
    ok(phone.call("chat:join", &json!("lobby")).await);
    let bob = nodes[1].joined("bob", "lobby").await;
    send(&bob, "lobby", "hello").await;
    phone.next_event("chat:receive_message").await.unwrap();
    nodes.clock.advance(1_000);
    ok(phone
        .call("chat:message_read", &json!({ "room": "lobby", "seq": 1 }))
        .await);
    loop {
        let unread = tablet.next_event("chat:unread").await.unwrap();
        if unread["unread"] == 0 {
            break;
        }
    }
    assert_eq!(nodes.store.rooms(Some("\u{1f}"), 10).await.unwrap().len(), 1);
}
