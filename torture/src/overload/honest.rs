//! Honest users: they chat at a steady pace, log in, and measure how long the server takes.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use roomful_testkit::session::Target;
use roomful_testkit::{SioClient, token};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, timeout};

use crate::error::TortureError;

/// Rooms, and members of each.
const ROOMS: usize = 5;
const MEMBERS: usize = 4;
/// The interval between two messages of one user.
const SEND_EVERY: Duration = Duration::from_millis(250);
/// The interval between two logins of new connections.
const LOGIN_EVERY: Duration = Duration::from_millis(200);
/// A login that takes longer has failed.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(5);
/// The honest users' address: limits per address must not let attackers count against them.
const SOURCE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 9));

/// One measured wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    /// When it ended.
    pub(super) at: Instant,
    pub(super) took: Duration,
}

/// What the honest users have seen.
#[derive(Debug)]
pub(super) struct Seen {
    start: Instant,
    pub(super) acks: Mutex<Vec<Sample>>,
    pub(super) deliveries: Mutex<Vec<Sample>>,
    failed_logins: AtomicU64,
    failed_sends: AtomicU64,
}

impl Seen {
    fn note(samples: &Mutex<Vec<Sample>>, since: Instant) {
        let at = Instant::now();
        samples.lock().push(Sample { at, took: at - since });
    }

    pub(super) fn failed_logins(&self) -> u64 {
        self.failed_logins.load(Ordering::Relaxed)
    }

    pub(super) fn failed_sends(&self) -> u64 {
        self.failed_sends.load(Ordering::Relaxed)
    }
}

/// The waits that ended within a span.
pub(super) fn waits(samples: &[Sample], from: Instant, upto: Instant) -> impl Iterator<Item = Duration> {
    let within = samples
        .iter()
        .filter(move |sample| sample.at >= from && sample.at < upto);
    within.map(|sample| sample.took)
}

/// The 99th percentile of the waits that ended within a span; zero without any.
pub(super) fn p99(samples: &[Sample], from: Instant, upto: Instant) -> Duration {
    let mut waits: Vec<_> = waits(samples, from, upto).collect();
    waits.sort_unstable();
    let index = (waits.len() * 99).div_ceil(100).saturating_sub(1);
    waits.get(index).copied().unwrap_or_default()
}

/// Connected users. Dropping the value ends them.
#[derive(Debug)]
pub(super) struct HonestUsers {
    pub(super) seen: Arc<Seen>,
    _tasks: JoinSet<()>,
}

impl HonestUsers {
    /// Connects all users and lets them chat.
    pub(super) async fn start(addr: SocketAddr, secret: &str) -> Result<Self, TortureError> {
        let seen = Arc::new(Seen {
            start: Instant::now(),
            acks: Mutex::default(),
            deliveries: Mutex::default(),
            failed_logins: AtomicU64::new(0),
            failed_sends: AtomicU64::new(0),
        });
        let mut tasks = JoinSet::new();
        for n in 0..ROOMS * MEMBERS {
            let client = Arc::new(login(addr, secret, &format!("honest-{n}")).await?);
            let room = format!("honest-{}", n % ROOMS);
            client.call("chat:join", &json!({ "room": room })).await?;
            tasks.spawn(listen(Arc::clone(&client), Arc::clone(&seen)));
            tasks.spawn(chat(client, room, Arc::clone(&seen)));
        }
        tasks.spawn(keep_logging_in(addr, secret.to_owned(), Arc::clone(&seen)));
        Ok(Self { seen, _tasks: tasks })
    }
}

async fn login(addr: SocketAddr, secret: &str, user: &str) -> Result<SioClient, TortureError> {
    let mut target = Target::from(addr);
    target.source = Some(SOURCE);
    let auth = json!({ "token": token::for_user(secret, user) });
    Ok(SioClient::connect(target, "/", &auth).await?)
}

/// Sends messages at a steady pace. A message that takes long delays the next one.
async fn chat(client: Arc<SioClient>, room: String, seen: Arc<Seen>) {
    let mut ticks = interval(SEND_EVERY);
    for number in 0_u64.. {
        ticks.tick().await;
        let since = Instant::now();
        let sent = (since - seen.start).as_micros();
        let message = json!({ "room": room, "text": sent.to_string(), "clientId": number.to_string() });
        match client.call("chat:send_message", &message).await {
            Ok(ack) if ack["ok"] == true => Seen::note(&seen.acks, since),
            _ => drop(seen.failed_sends.fetch_add(1, Ordering::Relaxed)),
        }
        if client.end().is_some() {
            return;
        }
    }
}

async fn listen(client: Arc<SioClient>, seen: Arc<Seen>) {
    while let Ok(message) = client.next_event("chat:receive_message").await {
        let text = message["text"]
            .as_str()
            .or_else(|| message["message"]["text"].as_str());
        if let Some(sent) = text.and_then(|text| text.parse().ok()) {
            Seen::note(&seen.deliveries, seen.start + Duration::from_micros(sent));
        }
    }
}

/// Logs new users in, who join a room and leave.
async fn keep_logging_in(addr: SocketAddr, secret: String, seen: Arc<Seen>) {
    let mut ticks = interval(LOGIN_EVERY);
    for number in 0_u64.. {
        ticks.tick().await;
        let whole = async {
            let client = login(addr, &secret, &format!("visitor-{}", number % 20)).await?;
            let joined: Value = client.call("chat:join", &json!({ "room": "visitors" })).await?;
            client.close().await?;
            Ok::<_, TortureError>(joined["ok"] == true)
        };
        if !matches!(timeout(LOGIN_TIMEOUT, whole).await, Ok(Ok(true))) {
            seen.failed_logins.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p99_counts_the_span_only() {
        let start = Instant::now();
        let after = |ms| start + Duration::from_millis(ms);
        let sample = |n: u64| Sample {
            at: after(n),
            took: Duration::from_millis(n),
        };
        let samples: Vec<_> = (0..300).map(sample).collect();
        assert_eq!(p99(&samples, after(100), after(200)), Duration::from_millis(198));
        assert_eq!(p99(&samples, after(400), after(500)), Duration::ZERO);
    }
}
