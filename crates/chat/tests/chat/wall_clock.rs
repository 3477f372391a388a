//! Steps of the wall clock while the server runs, as NTP or an operator makes them.

use roomful_testkit::{PATIENCE, SioClient};
use serde_json::json;

use crate::{
    cluster::Nodes,
    fixture::{Server, ok, send, settle},
};

/// Far more than the tests let pass.
const MONTH_MS: i64 = 30 * 24 * 3_600 * 1_000;
/// Less than the validity of the tokens.
const STEP_FORWARD_MS: i64 = 600_000;
/// Rounds of [`pass_time_until_offline`]: 1,000 s, far below [`MONTH_MS`].
const ROUNDS: usize = 200;

/// Lets time pass until the observer learns that somebody went offline.
async fn pass_time_until_offline(advance: impl Fn(), observer: &SioClient) {
    for _ in 0..ROUNDS {
        advance();
        settle(observer).await;
        if !observer.drain("presence:offline").is_empty() {
            return;
        }
    }
    // The news may still be under way between two nodes.
    observer.next_event("presence:offline").await.unwrap();
}

async fn wait_for_connections(server: &Server, left: usize) {
    while server.chat.stats().connections > left {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn after_a_step_back_users_go_offline_on_time() {
    let server = Server::start().await;
    let alice = server.joined("alice", "lobby").await;
    server.joined("bob", "lobby").await.abort().await;
    wait_for_connections(&server, 1).await;
    settle(&alice).await;
    server.clock.step_wall(-MONTH_MS);
    pass_time_until_offline(|| server.clock.advance(5_000), &alice).await;
}

#[tokio::test]
async fn a_step_forward_does_not_cut_the_grace_short() {
    let server = Server::start().await;
    let alice = server.joined("alice", "lobby").await;
    server.joined("bob", "lobby").await.abort().await;
    wait_for_connections(&server, 1).await;
    settle(&alice).await;
    server.clock.step_wall(STEP_FORWARD_MS);
    settle(&alice).await;
    let _bob = server.joined("bob", "lobby").await;
    settle(&alice).await;
    assert!(alice.drain("presence:offline").is_empty());
}

#[tokio::test]
async fn after_a_step_back_typing_ends_on_time() {
    let server = Server::start().await;
    let (alice, bob) = (
        server.joined("alice", "lobby").await,
        server.joined("bob", "lobby").await,
    );
    ok(alice.call("chat:typing_start", &json!("lobby")).await);
    bob.next_event("chat:typing_start").await.unwrap();
    server.clock.step_wall(-MONTH_MS);
    server.clock.advance(6_000);
    bob.next_event("chat:typing_stop").await.unwrap();
}

#[tokio::test]
async fn after_a_step_back_unread_counts_arrive_on_time() {
    let server = Server::start().await;
    let alice = server.joined("alice", "lobby").await;
    let _laptop = server.joined("bob", "lobby").await;
    let phone = server.connect("bob").await;
    send(&alice, "lobby", "before the step").await;
    server.clock.step_wall(-MONTH_MS);
    for _ in 0..ROUNDS {
        server.clock.advance(1_000);
        settle(&phone).await;
        if !phone.drain("chat:unread").is_empty() {
            return;
        }
    }
    panic!("no chat:unread within {ROUNDS} s");
}

#[tokio::test]
async fn a_token_expires_by_the_wall_clock() {
    let server = Server::start().await;
    let alice = server.joined("alice", "lobby").await;
    server.clock.step_wall(-STEP_FORWARD_MS);
    server.clock.advance(3_600_000);
    settle(&alice).await;
    server.clock.step_wall(2 * STEP_FORWARD_MS);
    alice.wait_end(PATIENCE).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_step_back_users_of_another_node_go_offline_on_time() {
    let nodes = Nodes::start(2).await;
    let alice = nodes[0].joined("alice", "lobby").await;
    let bob = nodes[1].joined("bob", "lobby").await;
    alice.next_event("presence:online").await.unwrap();
    bob.abort().await;
    wait_for_connections(&nodes[1], 0).await;
    nodes.clock.step_wall(-MONTH_MS);
    pass_time_until_offline(|| nodes.clock.advance(5_000), &alice).await;
}
