//! Slow readers: one client in a hundred stops reading. Measures the others' latency, the server's memory,
//! and what the stopped clients miss.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use roomful_testkit::session::{Incoming, Session};
use roomful_testkit::{PATIENCE, token};
use serde_json::{Value, json};

use crate::candidate::SECRET;
use crate::error::BenchError;
use crate::loader::connected_clients::{ConnectedClients, Plan, room_name, user_name};
use crate::loader::histogram::Latencies;
use crate::server::Server;
use crate::workload::traffic::{Load, Traffic, to_f64};
use crate::workload::{Entrant, Figures, Scene, Workload};

const MEMBERS: usize = 10_000;
/// One client in so many stops.
const STOPPED: usize = 100;
/// Long texts, so that the kernel's own buffers are full before a heartbeat is missed.
const TEXT: usize = 4000;
const PER_SECOND: f64 = 10.0;
/// Interval and number of memory readings until all stopped clients are disconnected.
const STEP: Duration = Duration::from_millis(250);
const STEPS: usize = 160;
/// Messages per page of history: less than a client's outbox holds.
const PAGE: usize = 20;

pub(super) const WORKLOAD: Workload = Workload {
    name: "slow-readers",
    title: "Slow readers: 100 of 10,000 members stop",
    about: "Durable messages of 4 KB, ten a second on a schedule. First all read; then one client in a \
        hundred stops (its kernel takes as much as a phone's, not as much as loopback's), until the server \
        has sent all of those away. Then they read what the kernel still had for them, come back, and ask \
        for what is after it.",
    entrants: &[Entrant::chat("roomful")],
    shown: &[
        "p99_ratio",
        "p99_alone_ms",
        "p99_beside_ms",
        "stopped_kib",
        "stopped_closed",
        "stopped_counted",
        "missed",
    ],
    clients: MEMBERS,
    most_rounds: 3,
    long: true,
    measure,
};

fn measure(scene: &Scene<'_>) -> Result<Figures, BenchError> {
    let members = if scene.pace.quick { MEMBERS / 10 } else { MEMBERS };
    let server = scene.serve()?;
    fill_caches(scene, &server)?;
    let plan = Plan {
        narrow_each: STOPPED,
        ..scene.plan(members, 1, members)
    };
    let connected = ConnectedClients::connect(server.addr(), scene.candidate.dialect, plan)?;
    let mut traffic = Traffic::new(connected, true).with_text(TEXT);
    let load = Load::Open(PER_SECOND);
    traffic.run(load, scene.pace.warm_up, "warming up")?;
    traffic.settle()?;
    let alone = traffic.run(load, scene.pace.measured * 2, "all read")?;
    traffic.settle()?;

    let before = server.usage()?.rss;
    let stopped: Vec<_> = (0..members).step_by(STOPPED).collect();
    traffic.pause_readers(stopped.iter().copied())?;
    let (mut beside, mut most) = (Latencies::new(), before);
    let mut closed = 0;
    for _ in 0..STEPS {
        let tally = traffic.run(load, STEP, "some have stopped reading")?;
        beside.add(&tally.delivery);
        most = most.max(server.usage()?.rss);
        closed = slow_consumers(&server);
        if closed >= stopped.len() {
            break;
        }
    }
    traffic.settle()?;
    let seen = traffic.drain_paused(scene.pace.measured)?;
    let missed = missed(server.addr(), &seen)?;
    let (p99_alone, p99_beside) = (alone.delivery.millis(0.99), beside.millis(0.99));
    Ok(Figures::from([
        ("p99_alone_ms".to_owned(), p99_alone),
        ("p99_beside_ms".to_owned(), p99_beside),
        ("p99_ratio".to_owned(), p99_beside / p99_alone),
        (
            "stopped_kib".to_owned(),
            to_f64(most - before) / 1024.0 / to_f64(stopped.len() as u64),
        ),
        ("stopped_closed".to_owned(), to_f64(traffic.gone() as u64)),
        ("stopped_counted".to_owned(), to_f64(closed as u64)),
        ("missed".to_owned(), to_f64(missed)),
    ]))
}

/// Sends messages in private rooms until SQLite's caches are full, so that later growth belongs to the
/// readers.
fn fill_caches(scene: &Scene<'_>, server: &Server) -> Result<(), BenchError> {
    const ALONE: usize = 64;
    let connected = scene.connect(server, ALONE, ALONE, 1)?;
    let mut traffic = Traffic::new(connected, true).with_text(TEXT);
    traffic.run(Load::Closed(ALONE), scene.pace.measured, "filling caches")?;
    traffic.settle().map(drop)
}

fn slow_consumers(server: &Server) -> usize {
    let metrics = server.get("/metrics");
    let mut lines = metrics.lines();
    let count = lines.find_map(|line| line.strip_prefix("roomful_closed_total{cause=\"slow_consumer\"} "));
    count.and_then(|count| count.trim().parse().ok()).unwrap_or(0)
}

/// Reconnects the disconnected clients; returns the number of messages that they cannot get any more.
fn missed(addr: SocketAddr, seen: &HashMap<usize, u64>) -> Result<u64, BenchError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(BenchError::Loader)?.block_on(async {
        let mut missed = 0;
        for (&client, &last) in seen {
            let back = come_back(addr, client, last).await;
            missed += back.map_err(|error| BenchError::Lost(client, error.to_string()))?;
        }
        Ok(missed)
    })
}

async fn come_back(addr: SocketAddr, client: usize, last: u64) -> Result<u64, roomful_testkit::Error> {
    let auth = json!({ "token": token::for_user(SECRET, &user_name(client)) });
    let (mut session, _) = Session::connect(addr, "/", &auth).await?;
    let room = room_name(0);
    let join = json!({ "room": room, "limit": 1 });
    let head = ask(&mut session, "chat:join", &join).await?["head"]
        .as_u64()
        .unwrap_or(0);
    let (mut after, mut got) = (last, 0);
    while after < head {
        let page = json!({ "room": room, "after": after, "limit": PAGE });
        let page = ask(&mut session, "chat:get_history", &page).await?;
        let messages = page["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
        let seqs = messages.iter().filter_map(|message| message["seq"].as_u64());
        got += seqs.clone().filter(|&seq| seq > after && seq <= head).count() as u64;
        match seqs.max() {
            Some(seq) if seq > after => after = seq,
            _ => break,
        }
    }
    Ok(head.saturating_sub(last).saturating_sub(got))
}

async fn ask(session: &mut Session, event: &str, argument: &Value) -> Result<Value, roomful_testkit::Error> {
    session.emit(Some(1), event, argument).await?;
    loop {
        match session.next_within(PATIENCE, event).await? {
            Incoming::Packet(packet) if packet.id == Some(1) => return Ok(packet.data[0]["data"].clone()),
            Incoming::Packet(_) => {}
            Incoming::Ended(end) => {
                return Err(roomful_testkit::Error::Closed {
                    reason: format!("{end:?}"),
                    what: event.to_owned(),
                });
            }
        }
    }
}
