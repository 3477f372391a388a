//! Allocations of a chat server for each message: as many in a large room as in a small one.
//!
//! The server's runtime is on the test's thread, and only that thread's allocations count. The clients have
//! another runtime.

#![allow(clippy::unwrap_used)] // a test that can't go on fails

use std::sync::Arc;

use allocation_counter::measure;
use roomful_chat::{HookEvent, Hooks, Question, Verdict};
use roomful_testkit::SioClient;
use tokio::runtime::{self, Runtime};

#[allow(dead_code)] // it is the other tests' too
#[path = "chat/fixture.rs"]
mod fixture;

use fixture::{Server, send};

/// Enough messages that occasional allocations (a growing map, a queue's next block) stay small against one
/// for each delivery.
const MESSAGES: u64 = 20;

/// The runtime of the server and that of the clients.
fn runtimes() -> (Runtime, Runtime) {
    let here = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let there = runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    (here, there)
}

/// The server's allocations for [`MESSAGES`] consecutive messages in a room of this many clients.
fn count(members: usize) -> u64 {
    count_with(members, None)
}

fn count_with(members: usize, hooks: Option<Arc<dyn Hooks>>) -> u64 {
    let (here, there) = runtimes();
    let server = Server::with(|config| {
        config.rates.enabled = false;
        config.hooks = hooks;
    });
    let server = Arc::new(here.block_on(server));
    let started = Arc::clone(&server);
    let everybody = there.spawn(async move {
        let mut everybody = Vec::new();
        for number in 0..members {
            everybody.push(started.joined(&format!("user{number}"), "hall").await);
        }
        talk(&everybody).await;
        everybody
    });
    let everybody = here.block_on(everybody).unwrap();
    let talk = there.spawn(async move { talk(&everybody).await });
    measure(|| here.block_on(talk).unwrap()).count_total
}

/// The first client sends, and all of them receive.
async fn talk(everybody: &[SioClient]) {
    for number in 0..MESSAGES {
        let text = format!("message {number}");
        send(&everybody[0], "hall", &text).await;
        for client in everybody {
            assert_eq!(
                client.next_event("chat:receive_message").await.unwrap()["text"],
                text
            );
        }
    }
}

#[test]
fn allocations_per_message_do_not_grow_with_the_room() {
    // From the message's bytes to its ack, without the store's own thread.
    const MESSAGE: u64 = 37;
    let (few, many) = (count(10), count(110));
    assert!(few < MESSAGES * (MESSAGE + 1), "{few} for {MESSAGES} messages");
    assert!(
        many < few + MESSAGES,
        "{many} instead of {few}, with 100 further members"
    );
}

/// Hooks that nothing concerns, and that fail if they are asked.
#[derive(Debug)]
struct Unconcerned;

#[async_trait::async_trait]
impl Hooks for Unconcerned {
    fn concerns(&self, _event: HookEvent, _room: Option<&str>) -> bool {
        false
    }

    async fn ask(&self, question: Question<'_>) -> Verdict {
        panic!("asked: {question:?}");
    }
}

#[test]
fn hooks_cost_nothing_where_they_are_not_concerned() {
    let (without, with) = (count(2), count_with(2, Some(Arc::new(Unconcerned))));
    assert!(with < without + MESSAGES, "{with} instead of {without}");
}

#[test]
fn an_idle_client_uses_little_memory() {
    // Includes the request's headers, about 700 bytes, which chat does not keep.
    const BYTES: i64 = 5_500;
    const CLIENTS: i64 = 500;
    let (here, there) = runtimes();
    let server = Arc::new(here.block_on(Server::with(|config| config.rates.enabled = false)));
    let gather = |clients: std::ops::Range<i64>| {
        let server = Arc::clone(&server);
        let crowd = there.spawn(async move {
            let mut crowd = Vec::new();
            for number in clients {
                let (user, room) = (format!("user{number}"), format!("room{}", number / 10));
                crowd.push(server.joined(&user, &room).await);
            }
            crowd
        });
        here.block_on(crowd).unwrap()
    };
    // Users who come again: the store's thread frees what this one allocates to store a first profile.
    here.block_on(async {
        for number in 0..2 * CLIENTS {
            let (user, name) = (format!("user{number}"), format!("The user{number}"));
            let taken = server.store.take_profile(&user, Some(&name), None, 0).await;
            taken.unwrap();
        }
    });
    let _first = gather(0..CLIENTS);
    let mut more = Vec::new();
    let held = measure(|| more = gather(CLIENTS..2 * CLIENTS)).bytes_current / CLIENTS;
    assert!(held < BYTES, "{held} bytes for each");
}
