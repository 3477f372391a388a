//! How often a chat server asks for memory to deliver a message: as often in a large room as in a small one.
//!
//! The server has a runtime on the test's thread, the only one whose allocations are counted; its clients have another.

#![allow(clippy::unwrap_used)] // a test that can't go on fails

use std::sync::Arc;

use allocation_counter::measure;
use roomful_testkit::SioClient;
use tokio::runtime;

#[allow(dead_code)] // it is the other tests' too
#[path = "chat/fixture.rs"]
mod fixture;

use fixture::{Server, send};

/// Enough that what happens now and then (a map grows, a queue's next block) stays small beside one for each delivery.
const MESSAGES: u64 = 20;

/// How often the server allocates for [`MESSAGES`] messages, one after the other, in a room of so many.
fn count(members: usize) -> u64 {
    let here = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let there = runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let server = Arc::new(here.block_on(Server::with(|config| config.rates.enabled = false)));
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

/// The first of them speaks, all hear it.
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
fn a_message_costs_the_same_however_many_get_it() {
    // From its bytes to its ack, without what the store's own thread does.
    const MESSAGE: u64 = 38;
    let (few, many) = (count(10), count(110));
    assert!(few < MESSAGES * (MESSAGE + 1), "{few} for {MESSAGES} messages");
    assert!(
        many < few + MESSAGES,
        "{many} instead of {few}, with 100 further members"
    );
}

#[test]
fn idle() {
    let here = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let there = runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let server = Arc::new(here.block_on(Server::with(|config| config.rates.enabled = false)));
    let gather = |from: usize, to: usize| {
        let server = Arc::clone(&server);
        let crowd = there.spawn(async move {
            let mut crowd = Vec::new();
            for n in from..to {
                crowd.push(
                    server
                        .joined(&format!("user{n}"), &format!("room{}", n / 10))
                        .await,
                );
            }
            crowd
        });
        let mut kept = Vec::new();
        let info = measure(|| kept = here.block_on(crowd).unwrap());
        (kept, info)
    };
    let (_a, _) = gather(0, 1000);
    let (_b, info) = gather(1000, 2000);
    println!(
        "{:?} per client {} bytes {} allocs",
        info,
        info.bytes_current / 1000,
        info.count_current / 1000
    );
}
