//! One change of a user's presence is one event for each socket, in whichever order the nodes learn of it.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use roomful_bus::Bus;
use roomful_store::RoomId;
use roomful_testkit::SioClient;
use serde_json::{Value, json};

use super::Nodes;
use crate::fixture::{START, ok};

/// Another node, as the registry and the bus show it.
struct Peer {
    bus: Arc<dyn Bus>,
    rooms: Vec<(&'static str, RoomId)>,
}

fn shown(status: &str) -> Value {
    json!({ "name": null, "status": status, "text": null })
}

impl Peer {
    async fn join(nodes: &Nodes, rooms: &[&'static str]) -> Self {
        let bus: Arc<dyn Bus> = nodes.hub.connect();
        let lease = Duration::from_hours(1);
        bus.heartbeat("peer", Bytes::new(), lease).await.unwrap();
        let mut ids = Vec::new();
        for name in rooms {
            let room = nodes.store.open_room(name, false, START).await.unwrap().unwrap();
            ids.push((*name, room.id));
        }
        Self { bus, rooms: ids }
    }

    /// Puts the user's entry, or removes it.
    async fn put_user(&self, user: &str, status: Option<&str>) {
        let key = format!("user:{user}");
        match status {
            Some(status) => {
                let entry = json!({ "shown": shown(status), "hidden_since": null, "devices": [] });
                self.bus.put("peer", &key, entry.to_string().into()).await
            }
            None => self.bus.remove("peer", &key).await,
        }
        .unwrap();
    }

    fn announce_user(&self, user: &str) {
        self.bus.publish(&format!("user:{user}"), "\"Presence\"".into());
    }

    /// Puts the list of the room's users, and announces it.
    async fn put_room(&self, room: &str, users: &[(&str, &str)]) {
        let (_, id) = self.rooms.iter().find(|(name, _)| *name == room).unwrap();
        let list: Vec<_> = users
            .iter()
            .map(|(user, status)| json!([user, shown(status)]))
            .collect();
        let list = json!({ "count": list.len(), "users": list });
        let key = format!("room:{id}");
        self.bus.put("peer", &key, list.to_string().into()).await.unwrap();
        self.bus.publish(&key, "\"Presence\"".into());
    }
}

/// Waits for the event about the user.
async fn event(client: &SioClient, name: &str, user: &str) -> Value {
    let event = client.next_event(name).await.unwrap();
    assert_eq!(event["userId"], user, "{name}: {event}");
    event
}

/// Everything about presence that the client has received and not taken.
fn rest(client: &SioClient) -> Vec<Value> {
    let names = ["presence:online", "presence:status", "presence:offline"];
    names.into_iter().flat_map(|name| client.drain(name)).collect()
}

async fn subscribe(client: &SioClient, users: &[&str]) {
    ok(client
        .call("presence:subscribe", &json!({ "users": users }))
        .await);
}

#[tokio::test]
async fn a_change_that_two_rooms_show_one_after_the_other() {
    let nodes = Nodes::start(1).await;
    let alice = nodes[0].joined("alice", "lobby").await;
    ok(alice.call("chat:join", &json!("den")).await);
    let peer = Peer::join(&nodes, &["lobby", "den"]).await;
    for (name, status) in [
        ("presence:online", Some("online")),
        ("presence:status", Some("busy")),
        ("presence:offline", None),
    ] {
        peer.put_user("zoe", status).await;
        let zoe: Vec<_> = status.map(|status| ("zoe", status)).into_iter().collect();
        peer.put_room("lobby", &zoe).await;
        event(&alice, name, "zoe").await;
        let marker = format!("after-{name}");
        peer.put_user(&marker, Some("online")).await;
        let users: Vec<_> = zoe.into_iter().chain([(&*marker, "online")]).collect();
        peer.put_room("den", &users).await;
        event(&alice, "presence:online", &marker).await;
        alice.drain("presence:offline").retain(|event| {
            assert_ne!(event["userId"], "zoe");
            false
        });
        assert_eq!(rest(&alice), Vec::<Value>::new());
    }
}

#[tokio::test]
async fn a_departure_from_two_nodes() {
    let nodes = Nodes::start(1).await;
    let alice = nodes[0].joined("alice", "lobby").await;
    let bob = nodes[0].connect("bob").await;
    subscribe(&bob, &["zoe", "marker"]).await;
    let zoe = nodes[0].joined("zoe", "lobby").await;
    for client in [&alice, &bob] {
        event(client, "presence:online", "zoe").await;
    }
    let peer = Peer::join(&nodes, &["lobby"]).await;
    // The peer has zoe, too. The marker shows that this node has read so.
    for user in ["zoe", "marker"] {
        peer.put_user(user, Some("online")).await;
        peer.announce_user(user);
    }
    peer.put_room("lobby", &[("zoe", "online"), ("marker", "online")])
        .await;
    for client in [&alice, &bob] {
        event(client, "presence:online", "marker").await;
    }
    // Both devices leave: the peer has removed its entry, and not yet its list.
    peer.put_user("zoe", None).await;
    zoe.cut().await;
    while nodes[0].chat.stats().connections > 2 {
        tokio::task::yield_now().await;
    }
    nodes.clock.advance(6_000);
    for client in [&alice, &bob] {
        event(client, "presence:offline", "zoe").await;
    }
    peer.announce_user("zoe");
    peer.put_user("marker", Some("busy")).await;
    peer.announce_user("marker");
    peer.put_room("lobby", &[("marker", "busy")]).await;
    for client in [&alice, &bob] {
        event(client, "presence:status", "marker").await;
        assert_eq!(rest(client), Vec::<Value>::new());
    }
}

/// Zoe has a device on each node. Alice, on the other node, is in a room with her and subscribed to her; Bob
/// is only subscribed.
#[tokio::test]
async fn a_choice_of_a_user_with_devices_on_two_nodes() {
    let nodes = Nodes::start(2).await;
    let alice = nodes[1].joined("alice", "lobby").await;
    let bob = nodes[1].connect("bob").await;
    let zoe = nodes[0].joined("zoe", "lobby").await;
    let _tablet = nodes[1].connect("zoe").await;
    let marker = nodes[0].joined("marker", "lobby").await;
    for user in ["zoe", "marker"] {
        event(&alice, "presence:online", user).await;
    }
    for client in [&alice, &bob] {
        subscribe(client, &["zoe", "marker"]).await;
    }
    for (status, name) in [
        ("busy", "presence:status"),
        ("invisible", "presence:offline"),
        ("away", "presence:online"),
        ("online", "presence:status"),
    ] {
        let choice = json!({ "status": status });
        ok(zoe.call("presence:set_status", &choice).await);
        for watcher in [&alice, &bob] {
            event(watcher, name, "zoe").await;
        }
        // A later change of the marker: what the nodes know of zoe is settled.
        for text in [status, "settled"] {
            let choice = json!({ "status": "busy", "text": text });
            ok(marker.call("presence:set_status", &choice).await);
            for watcher in [&alice, &bob] {
                event(watcher, "presence:status", "marker").await;
            }
        }
        for watcher in [&alice, &bob] {
            assert_eq!(rest(watcher), Vec::<Value>::new(), "after {status}");
        }
    }
}

#[tokio::test]
async fn a_change_of_name_is_no_change_of_status() {
    let nodes = Nodes::start(1).await;
    let alice = nodes[0].joined("alice", "lobby").await;
    let peer = Peer::join(&nodes, &["lobby"]).await;
    peer.put_user("zoe", Some("busy")).await;
    peer.put_room("lobby", &[("zoe", "busy")]).await;
    event(&alice, "presence:online", "zoe").await;
    let (_, id) = peer.rooms[0];
    let renamed = json!({ "name": "Zoe", "status": "busy", "text": null });
    let list = json!({ "count": 2, "users": [["zoe", renamed], ["marker", shown("online")]] });
    peer.put_user("marker", Some("online")).await;
    let key = format!("room:{id}");
    peer.bus.put("peer", &key, list.to_string().into()).await.unwrap();
    peer.bus.publish(&key, "\"Presence\"".into());
    event(&alice, "presence:online", "marker").await;
    assert_eq!(rest(&alice), Vec::<Value>::new());
}

#[tokio::test]
async fn a_list_that_is_older_than_the_end_of_a_membership() {
    let nodes = Nodes::start(1).await;
    let alice = nodes[0].joined("alice", "lobby").await;
    let peer = Peer::join(&nodes, &["lobby"]).await;
    nodes[0].chat.put_member("lobby", "zoe", None).await.unwrap();
    peer.put_user("zoe", Some("busy")).await;
    peer.put_room("lobby", &[("zoe", "busy")]).await;
    event(&alice, "presence:online", "zoe").await;
    // The peer puts its list once more before it learns that the membership has ended.
    nodes[0].chat.remove_member("lobby", "zoe").await.unwrap();
    peer.put_user("marker", Some("online")).await;
    peer.put_room("lobby", &[("zoe", "busy"), ("marker", "online")])
        .await;
    event(&alice, "presence:online", "marker").await;
    peer.put_user("zoe", Some("away")).await;
    for status in ["busy", "away"] {
        peer.put_user("marker", Some(status)).await;
        peer.put_room("lobby", &[("marker", status)]).await;
        event(&alice, "presence:status", "marker").await;
    }
    assert_eq!(rest(&alice), Vec::<Value>::new());
}

#[tokio::test]
async fn a_list_that_lacks_a_user_for_a_moment() {
    let nodes = Nodes::start(1).await;
    let alice = nodes[0].joined("alice", "lobby").await;
    let peer = Peer::join(&nodes, &["lobby"]).await;
    for user in ["zoe", "marker"] {
        peer.put_user(user, Some("online")).await;
    }
    peer.put_room("lobby", &[("zoe", "online"), ("marker", "online")])
        .await;
    for _ in 0..2 {
        alice.next_event("presence:online").await.unwrap();
    }
    // Zoe moves from one connection to another: her own entry stays.
    for (users, status) in [
        (&[("marker", "busy")][..], "busy"),
        (&[("marker", "away"), ("zoe", "online")], "away"),
    ] {
        peer.put_user("marker", Some(status)).await;
        peer.put_room("lobby", users).await;
        event(&alice, "presence:status", "marker").await;
        assert_eq!(rest(&alice), Vec::<Value>::new());
    }
    // While no list has her, her change still reaches the room.
    peer.put_room("lobby", &[("marker", "away")]).await;
    peer.put_user("zoe", None).await;
    peer.put_user("marker", None).await;
    peer.put_room("lobby", &[]).await;
    for _ in 0..2 {
        alice.next_event("presence:offline").await.unwrap();
    }
    assert_eq!(rest(&alice), Vec::<Value>::new());
}
