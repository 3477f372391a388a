//! Who stops reading, and comes back.

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

/// A member of the hall that reads only when it is told to.
struct Reader {
    session: Session,
    /// The messages that it has read.
    read: Vec<u64>,
    /// The ephemeral events that it has read.
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

    /// Reads one packet; nothing at the end.
    async fn next(&mut self) -> Option<Kind> {
        let next = self.session.next_within(PATIENCE, "what was sent").await.unwrap();
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

/// A counter since the last look.
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

/// Says something long, and has `other` hear it.
async fn say(alice: &SioClient, other: &SioClient, text: &str) -> u64 {
    let sent = send(alice, "hall", text).await["seq"].as_u64().unwrap();
    assert_eq!(other.next_event(RECEIVE).await.unwrap()["seq"], sent);
    sent
}

#[tokio::test]
async fn who_stops_reading_is_sent_away_and_misses_nothing_once_back() {
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
        assert!(head < 5_000, "the stopped readers are never sent away");
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
async fn what_is_ephemeral_collapses_to_its_newest_state_for_who_is_busy() {
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
    // Until the kernels take no more: then each change finds an earlier one waiting.
    let (mut changes, mut superseded, mut collapsed, mut head) = (0, 0, false, 0);
    while !collapsed {
        head = say(&alice, &healthy, &text).await;
        for number in 0..CHANGES {
            change(number % 2 == 0).await;
        }
        let now = count(&figures, "roomful_outbox_dropped_total", "superseded");
        (changes, superseded) = (changes + CHANGES, superseded + now);
        collapsed = now >= CHANGES - 1;
        assert!(head < 1_000, "nothing ever waits");
    }
    change(true).await;
    (changes, superseded) = (changes + 1, superseded + 1);
    assert_eq!(count(&figures, "roomful_outbox_dropped_total", "superseded"), 1);
    let last = say(&alice, &healthy, "the end").await;
    while slow.read.last() != Some(&last) {
        assert!(slow.next().await.is_some(), "was sent away");
    }
    assert_eq!(slow.read, (1..=head + 1).collect::<Vec<_>>());
    assert_eq!(slow.ephemeral.len() as u64, changes - superseded);
    // Who says something types no more.
    assert_eq!(slow.ephemeral.last().unwrap(), "chat:typing_stop");
}

/// One thread for all: what a batch delivers can only be written when the batch lets others have a turn.
#[tokio::test]
async fn who_reads_all_the_time_is_no_slow_reader_however_much_is_said_at_once() {
    const SENDERS: u64 = 4;
    const EACH: u64 = 60;
    let (figures, server) = on_record().await;
    let healthy = server.joined("hale", "hall").await;
    let mut senders = Vec::new();
    for number in 0..SENDERS {
        senders.push(server.joined(&format!("sender{number}"), "hall").await);
    }
    // Over ten times what may wait for one client.
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
