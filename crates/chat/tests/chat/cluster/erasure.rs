//! Two runs of one user's erasure, on two nodes.

use std::{sync::Arc, time::Duration};

use roomful_chat::{ChatError, ChatServer, admin::Erased};
use roomful_store::{Erasure, LogPosition, Store};
use serde_json::json;
use tokio::task::JoinHandle;

use super::Nodes;
use crate::fixture::{ok, send};

const USER: &str = "alice-7f3a91";

type Run = JoinHandle<Result<Erased, ChatError>>;

/// The nodes, after a talk of the user with another one.
async fn nodes() -> Nodes {
    let nodes = Nodes::start(2).await;
    let (alice, bob) = (
        nodes[0].joined(USER, "lobby").await,
        nodes[1].joined("bob", "lobby").await,
    );
    send(&alice, "lobby", "hi").await;
    ok(bob
        .call(
            "chat:send_message",
            &json!({ "room": "lobby", "text": "hello", "mentions": [USER] }),
        )
        .await);
    nodes
}

fn erase(chat: &ChatServer) -> Run {
    let chat = chat.clone();
    tokio::spawn(async move { chat.erase_user(USER, true).await })
}

async fn pending(store: &Arc<dyn Store>) -> Option<Erasure> {
    store.erasures().await.unwrap().pop()
}

/// The bodies of all entries of the log that name the user.
async fn naming(store: &Arc<dyn Store>) -> Vec<String> {
    let head = store.log_head().position;
    let entries = store.log_entries(LogPosition(0), head, 1_000).await.unwrap();
    let entries = entries.into_iter().map(|entry| entry.entry);
    let names = entries.filter(|entry| format!("{entry:?}").contains(USER));
    names.map(|entry| entry.body).collect()
}

/// Waits until a run has commanded the other nodes and waits for them.
async fn under_way(store: &Arc<dyn Store>) -> Erasure {
    loop {
        let commanded = naming(store).await;
        if commanded.iter().any(|body| body.contains("ProfileChanged"))
            && let Some(erasure) = pending(store).await
        {
            return erasure;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Lets the time pass that a run waits for.
async fn until_finished(nodes: &Nodes, run: &Run) {
    while !run.is_finished() {
        nodes.clock.advance(5_000);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn a_second_node_waits_for_the_run_of_the_first() {
    let nodes = nodes().await;
    let first = erase(&nodes[0].chat);
    let claimed = under_way(&nodes.store).await;
    let second = erase(&nodes[1].chat);
    until_finished(&nodes, &first).await;
    // The second has changed nothing so far, and now it begins.
    let erased = first.await.unwrap().unwrap();
    assert_eq!(erased.alias, claimed.alias);
    until_finished(&nodes, &second).await;
    assert_ne!(second.await.unwrap().unwrap().alias, claimed.alias);
    assert_eq!(naming(&nodes.store).await, [] as [String; 0]);
    assert_eq!(pending(&nodes.store).await, None);
}

#[tokio::test]
async fn a_run_that_loses_its_claim_ends_and_leaves_the_rest_to_others() {
    let nodes = nodes().await;
    let store = &nodes.store;
    let first = erase(&nodes[0].chat);
    let claimed = under_way(store).await;
    // A node that took this one for dead, and died then.
    assert!(
        store
            .take_over_erasure(USER, &claimed.owner, "dead/1")
            .await
            .unwrap()
    );
    let head = store.log_head();
    until_finished(&nodes, &first).await;
    let refused = first.await.unwrap().unwrap_err();
    assert!(matches!(refused, ChatError::Unavailable(_)), "{refused:?}");
    assert_eq!(store.log_head(), head, "it names the user no more");
    assert_eq!(pending(store).await.unwrap().owner, "dead/1");

    let again = erase(&nodes[1].chat);
    until_finished(&nodes, &again).await;
    assert_eq!(again.await.unwrap().unwrap().alias, claimed.alias);
    assert_eq!(naming(store).await, [] as [String; 0]);
    assert_eq!(pending(store).await, None);
}

#[tokio::test]
async fn a_run_that_failed_is_resumed_by_its_node() {
    let nodes = nodes().await;
    let store = &nodes.store;
    let first = erase(&nodes[0].chat);
    let claimed = under_way(store).await;
    let moved = |from: &str, to: &str| {
        let (store, from, to) = (Arc::clone(store), from.to_owned(), to.to_owned());
        async move { store.take_over_erasure(USER, &from, &to).await.unwrap() }
    };
    // Without its claim, the run fails like one whose store is away.
    assert!(moved(&claimed.owner, "dead/1").await);
    until_finished(&nodes, &first).await;
    assert!(first.await.unwrap().is_err());
    assert!(moved("dead/1", &claimed.owner).await);
    resume(&nodes).await;
    assert_eq!(naming(store).await, [] as [String; 0]);
}

#[tokio::test]
async fn an_interrupted_run_of_a_dead_node_is_resumed() {
    let nodes = nodes().await;
    let store = &nodes.store;
    let interrupted = Erasure {
        user_id: USER.to_owned(),
        alias: "erased-1".to_owned(),
        anonymise: true,
        before: 1,
        owner: "dead/1".to_owned(),
    };
    store.begin_erasure(interrupted).await.unwrap();
    resume(&nodes).await;
    assert_eq!(naming(store).await, [] as [String; 0]);
}

/// Resumes erasures on all nodes until none is pending.
async fn resume(nodes: &Nodes) {
    let tasks: Vec<_> = (0..2)
        .map(|node| {
            let chat = nodes[node].chat.clone();
            tokio::spawn(async move { chat.resume_erasures().await })
        })
        .collect();
    while pending(&nodes.store).await.is_some() {
        nodes.clock.advance(5_000);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    for task in tasks {
        task.abort();
    }
}
