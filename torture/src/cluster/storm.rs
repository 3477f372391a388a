//! A reconnect storm: drops all clients at once and measures how soon they are back, and the cost.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use roomful_testkit::session::{Incoming, Session};
use roomful_testkit::{packet::Kind, token};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep, timeout};

use super::nodes::Nodes;
use super::report::Storm;
use crate::error::TortureError;

/// Clients per room.
const ROOM: usize = 20;
/// Average interval between two messages of one client.
const SAYS: Duration = Duration::from_secs(20);
/// How long to measure the ordinary state. In a thorough measurement, each client sends once in this time.
const STEADY: Duration = Duration::from_secs(5);
const STEADY_THOROUGHLY: Duration = SAYS;
/// How late the database reports its transactions. A connection reports when a transaction ends and its
/// last report is a second old. It reports the rest after ten idle seconds (PostgreSQL's
/// `PGSTAT_MIN_INTERVAL` and `PGSTAT_IDLE_INTERVAL`); only a thorough measurement waits for that.
const STATS_DELAY: Duration = Duration::from_millis(1_500);
const STATS_DELAY_THOROUGHLY: Duration = Duration::from_secs(12);
/// Deadline for all clients to arrive first, and to come back.
const ARRIVAL: Duration = Duration::from_mins(2);
const CONNECT: Duration = Duration::from_secs(20);
/// Pause after a refused join.
const REST: Duration = Duration::from_millis(200);
/// The stock client's reconnection delay: the first one, and the longest.
const BACK_OFF: Duration = Duration::from_secs(1);
const MAX_BACK_OFF: Duration = Duration::from_secs(5);
/// New clients per second while they arrive.
const ARRIVE: u64 = 200;

/// Counts of the clients by state.
#[derive(Debug, Default)]
struct Presence {
    here: AtomicUsize,
    recovered: AtomicUsize,
    joined: AtomicUsize,
}

struct Guest {
    number: usize,
    addrs: Vec<SocketAddr>,
    secret: &'static str,
    presence: Arc<Presence>,
    /// Changes when all clients are dropped.
    drops: watch::Receiver<u64>,
    rng: StdRng,
    claim: Option<(String, Option<String>)>,
    /// The client's position in its room's log.
    log: Option<(Value, u64)>,
}

/// Connects clients, lets them chat, and drops all of them at once. A thorough measurement takes half a
/// minute more.
pub(super) async fn storm(
    nodes: &Nodes,
    secret: &'static str,
    clients: usize,
    seed: u64,
    thoroughly: bool,
) -> Result<Storm, TortureError> {
    let (told, steady) = if thoroughly {
        (STATS_DELAY_THOROUGHLY, STEADY_THOROUGHLY)
    } else {
        (STATS_DELAY, STEADY)
    };
    let presence = Arc::new(Presence::default());
    let (drop_all, drops) = watch::channel(0);
    let _guests = connect_guests(nodes, secret, clients, seed, &presence, &drops).await;
    let all = |presence: &Presence| presence.here.load(Ordering::SeqCst) >= clients;
    wait(ARRIVAL, || all(&presence)).await;
    sleep(told).await;
    let (commits, since) = (nodes.commits()?, Instant::now());
    sleep(steady).await;
    let before = rate(nodes.commits()? - commits, since.elapsed());

    let memory = nodes.memory()?;
    nodes.forget_peaks()?;
    let (commits, dropped) = (nodes.commits()?, Instant::now());
    for counter in [&presence.recovered, &presence.joined] {
        counter.store(0, Ordering::SeqCst);
    }
    drop_all.send_replace(1);
    // Wait until the first clients notice the drop.
    wait(ARRIVAL, || !all(&presence)).await;
    let back = wait(ARRIVAL, || all(&presence)).await;
    let took = dropped.elapsed();
    let [recovered, joined] =
        [&presence.recovered, &presence.joined].map(|counter| counter.load(Ordering::SeqCst));
    let peaks = nodes.peaks()?;
    sleep(told).await;
    let more = beyond(before, nodes.commits()? - commits, dropped.elapsed());
    let grown = peaks.iter().zip(&memory);
    let grown = grown.map(|(peak, before)| kibibytes(*peak) / kibibytes(*before));
    Ok(Storm {
        clients,
        back: back.then_some(took),
        recovered,
        joined,
        commits_before: before,
        commits_during: before + more / took.as_secs_f64(),
        commits_each: more / f64::from(u32::try_from(clients).unwrap_or(u32::MAX)),
        memory: peaks.iter().copied().max().unwrap_or_default(),
        memory_grown: grown.fold(0.0, f64::max),
    })
}

/// Connects clients one after the other. They disconnect when the returned value is dropped.
async fn connect_guests(
    nodes: &Nodes,
    secret: &'static str,
    clients: usize,
    seed: u64,
    presence: &Arc<Presence>,
    drops: &watch::Receiver<u64>,
) -> JoinSet<()> {
    let mut guests = JoinSet::new();
    for number in 0..clients {
        let guest = Guest {
            number,
            addrs: nodes.addrs(),
            secret,
            presence: Arc::clone(presence),
            drops: drops.clone(),
            rng: StdRng::seed_from_u64(seed.wrapping_add(number as u64)),
            claim: None,
            log: None,
        };
        guests.spawn(guest.run());
        sleep(Duration::from_micros(1_000_000 / ARRIVE)).await;
    }
    guests
}

/// The transactions reported in this time beyond the rate before the storm. They all belong to the storm,
/// even if it ended some time ago. So divide them by the storm's own duration: a longer wait for the
/// reports must not make the storm look milder.
fn beyond(before: f64, commits: u64, over: Duration) -> f64 {
    (rate(commits, over) - before) * over.as_secs_f64()
}

fn rate(commits: u64, took: Duration) -> f64 {
    f64::from(u32::try_from(commits).unwrap_or(u32::MAX)) / took.as_secs_f64()
}

fn kibibytes(bytes: u64) -> f64 {
    f64::from(u32::try_from(bytes >> 10).unwrap_or(u32::MAX))
}

/// True if it happened in time.
async fn wait(patience: Duration, reached: impl Fn() -> bool) -> bool {
    let deadline = Instant::now() + patience;
    while !reached() {
        if Instant::now() > deadline {
            return false;
        }
        sleep(Duration::from_millis(10)).await;
    }
    true
}

impl Guest {
    async fn run(mut self) {
        let mut pause = BACK_OFF;
        loop {
            let Some(addr) = self.addrs.choose(&mut self.rng).copied() else {
                return;
            };
            let auth = self.auth();
            if let Ok(Ok((session, welcome))) = timeout(CONNECT, Session::connect(addr, "/", &auth)).await {
                pause = BACK_OFF;
                self.visit(session, &welcome).await;
            }
            let jitter = self.rng.random_range(0.5..1.5);
            sleep(pause.mul_f64(jitter)).await;
            pause = (pause * 2).min(MAX_BACK_OFF);
        }
    }

    fn auth(&self) -> Value {
        let user = format!("guest-{}", self.number);
        let mut auth = json!({ "token": token::for_user(self.secret, &user) });
        if let Some((pid, Some(offset))) = &self.claim {
            auth["pid"] = Value::from(&**pid);
            auth["offset"] = Value::from(&**offset);
        }
        auth
    }

    async fn visit(&mut self, mut session: Session, welcome: &Value) {
        let pid = welcome["pid"].as_str().unwrap_or_default();
        let recovered = self.claim.as_ref().is_some_and(|(mine, _)| mine == pid);
        let mut here = recovered;
        if recovered {
            self.presence.recovered.fetch_add(1, Ordering::SeqCst);
            self.presence.here.fetch_add(1, Ordering::SeqCst);
        } else {
            self.claim = Some((pid.to_owned(), None));
            self.join(&mut session).await;
        }
        self.drops.mark_unchanged();
        let first = SAYS.mul_f64(self.rng.random_range(0.0..1.0));
        let mut says = interval(SAYS);
        says.reset_after(first);
        loop {
            tokio::select! {
                _ = self.drops.changed() => {
                    session.into_ws().abort();
                    break;
                }
                _ = says.tick() => {
                    let say = json!({ "room": self.room(), "text": "still here" });
                    // A failed write shows as the end of the stream on the reading side.
                    let _ = session.emit(Some(1), "chat:send_message", &say).await;
                }
                incoming = session.next() => match incoming {
                    Incoming::Ended(_) => break,
                    Incoming::Packet(packet) if packet.kind == Kind::Ack && packet.id == Some(0) => {
                        let data = &packet.data[0]["data"];
                        if let Some(head) = data["head"].as_u64() {
                            self.log = Some((data["epoch"].clone(), head));
                            self.presence.joined.fetch_add(1, Ordering::SeqCst);
                            self.presence.here.fetch_add(usize::from(!here), Ordering::SeqCst);
                            here = true;
                        } else {
                            sleep(REST).await;
                            self.join(&mut session).await;
                        }
                    }
                    Incoming::Packet(packet) => self.handle_event(&packet.data),
                },
            }
        }
        self.presence.here.fetch_sub(usize::from(here), Ordering::SeqCst);
    }

    fn handle_event(&mut self, args: &Value) {
        let last = args.as_array().and_then(|args| args.last());
        if let (Some((_, offset)), Some(Value::String(last))) = (&mut self.claim, last) {
            *offset = Some(last.clone());
        }
        if let (Some((_, head)), "chat:receive_message") =
            (&mut self.log, args[0].as_str().unwrap_or_default())
        {
            *head = args[1]["seq"].as_u64().unwrap_or_default().max(*head);
        }
    }

    async fn join(&self, session: &mut Session) {
        let mut ask = json!({ "room": self.room() });
        if let Some((epoch, head)) = &self.log {
            ask["epoch"] = epoch.clone();
            ask["since"] = (*head).into();
        }
        // A failed write shows as the end of the stream on the reading side.
        let _ = session.emit(Some(0), "chat:join", &ask).await;
    }

    fn room(&self) -> String {
        format!("hall-{}", self.number / ROOM)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn to_look_at_a_storm_for_longer_does_not_make_it_milder() {
        // Two seconds with 400 transactions a second more than the 100 before.
        for rest in [0, 2, 12] {
            let told = 2 * 500 + rest * 100;
            let more = beyond(100.0, told, Duration::from_secs(2 + rest));
            assert!((more - 800.0).abs() < 1e-6, "{more} after {rest} s");
        }
    }
}
