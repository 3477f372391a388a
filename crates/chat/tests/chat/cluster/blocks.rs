//! Blocks between users whose connections are on different nodes.

use roomful_store::{RoomChange, RoomKind};
use serde_json::json;

use super::Nodes;
use crate::{
    blocks::{block, say, unblock},
    fixture::{failed, ok, settle},
};

#[tokio::test]
async fn a_block_on_one_node_takes_effect_on_all() {
    let nodes = Nodes::start(2).await;
    let private = RoomChange {
        kind: Some(RoomKind::Private),
        history: None,
    };
    let members = Some(vec!["ann".to_owned(), "bob".to_owned()]);
    nodes[0].chat.put_room("pair", private, members).await.unwrap();
    let (ann, tablet) = (
        nodes[0].joined("ann", "pair").await,
        nodes[1].joined("ann", "pair").await,
    );
    let bob = nodes[1].joined("bob", "pair").await;
    ok(bob.call("presence:subscribe", &json!({ "users": ["ann"] })).await);
    settle(&bob).await;
    drop(bob.drain("presence:online"));

    let at = block(&ann, "bob").await["at"].clone();
    // From the answer on, no node accepts a message.
    failed(say(&bob, "pair").await, "forbidden");
    failed(say(&tablet, "pair").await, "forbidden");
    let told = json!({ "userId": "bob", "blocked": true, "at": at });
    assert_eq!(tablet.next_event("user:block_changed").await.unwrap(), told);
    assert_eq!(bob.next_event("presence:offline").await.unwrap()["userId"], "ann");

    unblock(&tablet, "bob").await;
    ok(say(&bob, "pair").await);
    assert_eq!(
        ann.next_event("user:block_changed").await.unwrap()["blocked"],
        false
    );
    assert_eq!(bob.next_event("presence:online").await.unwrap()["userId"], "ann");
}
