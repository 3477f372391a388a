//! Slow consumers: disconnect and recovery.

use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use roomful_testkit::{
    PATIENCE, Session, SioClient,
    packet::Kind,
    session::{Incoming, Target},
    token,
};
use serde_json::json;

use crate::fixture::{SECRET, Server, claims, ok, send, seqs};

const RECEIVE: &str = "chat:receive_message";

/// A member of the room that reads only on request.
struct Reader {
    session: Session,
    /// The messages read so far.
    read: Vec<u64>,
    /// The ephemeral events read so far.
    ephemeral: Vec<String>,
}

impl Reader {
    async fn joined(server: &Server, user: &str) -> Self {
        let auth = json!({ "token": token::with_claims(SECRET, &claims(user)) });
        let target = Target {
            narrow: true,
            ..server.addr.into()
        };
        let (mut session, _) = Session::connect(target, "/", &auth).await.unwrap();
        let ask = json!({ "room": "hall" });
        session.emit(Some(1), "chat:join", &ask).await.unwrap();
        let mut reader = Self {
            session,
            read: Vec::new(),
            ephemeral: Vec::new(),
        };
        while !matches!(reader.next().await, Some(Kind::Ack)) {}
        reader
    }

    /// Reads one packet; `None` at the end.
    async fn next(&mut self) -> Option<Kind> {
        let next = self.session.next_within(PATIENCE, "a message").await.unwrap();
        let Incoming::Packet(packet) = next else {
            return None;
        };
        if packet.kind == Kind::Event {
            match packet.data[0].as_str().unwrap() {
                RECEIVE => self.read.push(packet.data[1]["seq"].as_u64().unwrap()),
                name if name.starts_with("chat:typing") => self.ephemeral.push(name.to_owned()),
                _ => {}
            }
        }
        Some(packet.kind)
    }
}

/// A counter's increase since the last call.
fn count(figures: &Snapshotter, name: &str, cause: &str) -> u64 {
    let has_cause = |key: &metrics::Key| key.labels().any(|label| label.value() == cause);
    let all = figures.snapshot().into_vec();
    let found = all
        .into_iter()
        .find(|(key, ..)| key.key().name() == name && has_cause(key.key()));
    match found {
        Some((.., DebugValue::Counter(count))) => count,
        _ => 0,
    }
}

async fn on_record() -> (Snapshotter, Server) {
    let recorder = DebuggingRecorder::new();
    let recording = metrics::set_default_local_recorder(&recorder);
    let server = Server::with(|config| {
        config.rates.enabled = false;
        config.typing.pass_every_ms = 0;
    })
    .await;
    drop(recording);
    (recorder.snapshotter(), server)
}

/// Sends a long message and waits until `other` has received it.
async fn say(alice: &SioClient, other: &SioClient, text: &str) -> u64 {
    let sent = send(alice, "hall", text).await["seq"].as_u64().unwrap();
    assert_eq!(other.next_event(RECEIVE).await.unwrap()["seq"], sent);
    sent
}

#[tokio::test]
async fn a_slow_consumer_is_disconnected_and_recovers_everything() {
    let (figures, server) = on_record().await;
    let (alice, healthy) = (
        server.joined("alice", "hall").await,
        server.joined("hale", "hall").await,
    );
    let mut stopped = Vec::new();
    for user in ["slow1", "slow2", "slow3"] {
        stopped.push((user, Reader::joined(&server, user).await));
    }
    let text = "x".repeat(12 * 1024);
    let (mut head, mut gone) = (0, 0);
    while gone < stopped.len() as u64 {
        head = say(&alice, &healthy, &text).await;
        gone += count(&figures, "roomful_closed_total", "slow_consumer");
        assert!(head < 5_000, "the server never disconnects the stopped readers");
    }
    for (user, mut reader) in stopped {
        while reader.next().await.is_some() {}
        assert!(reader.read.len() < usize::try_from(head).unwrap());
        let back = server.connect(user).await;
        let mut more = true;
        while more {
            let since = reader.read.last().copied().unwrap_or_default();
            let ask = json!({ "room": "hall", "since": since, "limit": 200 });
            let joined = ok(back.call("chat:join", &ask).await);
            assert_eq!(joined["reset"], false);
            reader.read.extend(seqs(&joined["messages"]));
            more = joined["more"].as_bool().unwrap();
        }
        assert_eq!(reader.read, (1..=head).collect::<Vec<_>>(), "{user}");
    }
}

#[tokio::test]
async fn ephemeral_events_collapse_to_the_latest_for_a_slow_reader() {
    const CHANGES: u64 = 40;
    let (figures, server) = on_record().await;
    let (alice, healthy) = (
        server.joined("alice", "hall").await,
        server.joined("hale", "hall").await,
    );
    let mut slow = Reader::joined(&server, "slow").await;
    let text = "x".repeat(12 * 1024);
    let change = async |starts: bool| {
        let event = if starts {
            "chat:typing_start"
        } else {
            "chat:typing_stop"
        };
        ok(alice.call(event, &json!("hall")).await);
        healthy.next_event(event).await.unwrap();
    };
    // Fill the kernel's buffers. From then on each change finds an older one queued.
    let (mut changes, mut superseded, mut collapsed, mut head) = (0, 0, false, 0);
    while !collapsed {
        head = say(&alice, &healthy, &text).await;
        for number in 0..CHANGES {
            change(number % 2 == 0).await;
        }
        let now = count(&figures, "roomful_outbox_dropped_total", "superseded");
        (changes, superseded) = (changes + CHANGES, superseded + now);
        collapsed = now >= CHANGES - 1;
        assert!(head < 1_000, "nothing ever queues");
    }
    change(true).await;
    // The kernel may have taken the queued frames meanwhile, so that this change supersedes nothing.
    changes += 1;
    superseded += count(&figures, "roomful_outbox_dropped_total", "superseded");
    let last = say(&alice, &healthy, "the end").await;
    while slow.read.last() != Some(&last) {
        assert!(slow.next().await.is_some(), "the slow reader is still connected");
    }
    assert_eq!(slow.read, (1..=head + 1).collect::<Vec<_>>());
    assert_eq!(slow.ephemeral.len() as u64, changes - superseded);
    // Sending ends typing.
    assert_eq!(slow.ephemeral.last().unwrap(), "chat:typing_stop");
}

/// One runtime thread: queued deliveries are written only when the batch yields.
#[tokio::test]
async fn a_steady_reader_survives_any_burst() {
    const SENDERS: u64 = 4;
    const EACH: u64 = 60;
    let (figures, server) = on_record().await;
    let healthy = server.joined("hale", "hall").await;
    let mut senders = Vec::new();
    for number in 0..SENDERS {
        senders.push(server.joined(&format!("sender{number}"), "hall").await);
    }
    // More than ten times the outgoing buffer of one client.
    let long = json!({ "room": "hall", "text": "x".repeat(12 * 1024) });
    for _ in 0..EACH {
        for sender in &senders {
            sender.emit("chat:send_message", &long).await.unwrap();
        }
    }
    let mut read = Vec::new();
    while read.last() != Some(&(SENDERS * EACH)) {
        read.push(
            healthy.next_event(RECEIVE).await.unwrap()["seq"]
                .as_u64()
                .unwrap(),
        );
    }
    assert_eq!(read, (1..=SENDERS * EACH).collect::<Vec<_>>());
    assert_eq!(count(&figures, "roomful_closed_total", "slow_consumer"), 0);
}
