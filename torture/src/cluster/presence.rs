//! Presence when a node dies: users who were only on it go offline soon; users who reconnect at once, to
//! another node or to a live one, never do.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use roomful_testkit::{Error, SioClient, token};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::run::{GRACE, LEASE};

/// Users of each kind.
const EACH: usize = 4;
/// Beyond lease and grace: the interval in which nodes look for dead members.
const LOOK: Duration = Duration::from_secs(2);
/// The longest time that a ghost may be shown.
pub(super) const GHOST: Duration = LEASE.saturating_add(GRACE).saturating_add(LOOK);
/// How long to wait for a ghost that is late, to measure how late it is.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long to keep watching after all ghosts have gone.
const AFTERMATH: Duration = Duration::from_millis(500);
/// Interval between two reads of the watchers' events.
const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// Connect timeout, and the pause after a failed attempt.
const CONNECT: Duration = Duration::from_secs(1);
const REST: Duration = Duration::from_millis(50);
const ATTEMPTS: u32 = 20;

/// Observations of one kill.
#[derive(Debug, Default)]
pub(super) struct Sighting {
    /// How long each other node showed each user of the dead node as online.
    pub(super) ghosts: Vec<Duration>,
    /// Users who reconnected to another node at once.
    pub(super) movers: u64,
    /// Users who reconnected at once to a live node that had lost their connection.
    pub(super) returners: u64,
    /// Users who reconnected at once and were shown as offline, with the node.
    pub(super) flaps: Vec<String>,
}

/// Users on a node that is about to die, and the watchers on the other nodes.
pub(super) struct Watch {
    loners: Vec<(String, SioClient)>,
    movers: Vec<String>,
    /// Users on the other nodes, who lose their connections on this signal.
    returners: Vec<String>,
    cut: watch::Sender<()>,
    moving: JoinSet<()>,
    watchers: Vec<(SocketAddr, SioClient)>,
}

impl Watch {
    /// Connects users to the node `victim`, and waits until all other nodes show them as online.
    pub(super) async fn set_up(
        addrs: &[SocketAddr],
        victim: usize,
        secret: &'static str,
        tag: &str,
        rng: &mut StdRng,
    ) -> Result<Self, Error> {
        let there = addrs[victim];
        let others: Vec<_> = addrs.iter().copied().filter(|addr| *addr != there).collect();
        let (mut loners, mut movers, mut moving) = (Vec::new(), Vec::new(), JoinSet::new());
        for number in 0..EACH {
            let loner = format!("loner-{tag}-{number}");
            let client = connect(there, &auth(secret, &loner)).await?;
            loners.push((loner, client));
            let mover = format!("mover-{tag}-{number}");
            let client = connect(there, &auth(secret, &mover)).await?;
            let (others, mind) = (others.clone(), StdRng::seed_from_u64(rng.random()));
            moving.spawn(keep_moving(client, others, auth(secret, &mover), mind));
            movers.push(mover);
        }
        let (mut returners, cut) = (Vec::new(), watch::Sender::new(()));
        for (number, addr) in others.iter().copied().cycle().take(EACH).enumerate() {
            let returner = format!("returner-{tag}-{number}");
            let auth = auth(secret, &returner);
            let client = connect(addr, &auth).await?;
            let mind = StdRng::seed_from_u64(rng.random());
            moving.spawn(keep_returning(client, cut.subscribe(), addr, auth, mind));
            returners.push(returner);
        }
        let mut watchers = Vec::new();
        for addr in others {
            let watcher = connect(addr, &auth(secret, "watcher")).await?;
            watchers.push((addr, watcher));
        }
        let watch = Self {
            loners,
            movers,
            returners,
            cut,
            moving,
            watchers,
        };
        let deadline = Instant::now() + PATIENCE;
        while !watch.offline().await?.is_empty() {
            if Instant::now() > deadline {
                return Err(Error::TimedOut {
                    what: "users to be shown as online".into(),
                    waited: PATIENCE,
                    seen: format!("{:?} are not", watch.offline().await?),
                });
            }
            sleep(REST).await;
        }
        for (_, watcher) in &watch.watchers {
            watcher.drain("presence:offline");
        }
        Ok(watch)
    }

    /// The node died at `death`. At the same time, some users of other nodes lose their connections.
    pub(super) async fn look(mut self, death: Instant) -> Result<Sighting, Error> {
        self.cut.send_replace(());
        let mut sighting = Sighting {
            movers: self.movers.len() as u64,
            returners: self.returners.len() as u64,
            ..Sighting::default()
        };
        let mut ghosts: HashSet<(SocketAddr, String)> = HashSet::new();
        for (addr, _) in &self.watchers {
            ghosts.extend(self.loners.iter().map(|(loner, _)| (*addr, loner.clone())));
        }
        // A user wrongly taken for a ghost is shown as offline at about the same time as the ghosts.
        let mut settled = None;
        while settled.is_none_or(|at: Instant| at.elapsed() < AFTERMATH) && death.elapsed() < PATIENCE {
            for (addr, watcher) in &self.watchers {
                for event in watcher.drain("presence:offline") {
                    let user = event["userId"].as_str().unwrap_or_default();
                    if ghosts.remove(&(*addr, user.to_owned())) {
                        sighting.ghosts.push(death.elapsed());
                    } else if self.back().any(|back| back == user) {
                        sighting.flaps.push(format!("{addr} showed {user} as offline"));
                    }
                }
            }
            if ghosts.is_empty() {
                settled.get_or_insert_with(Instant::now);
            }
            sleep(LOOK_AGAIN).await;
        }
        sighting.ghosts.extend(ghosts.iter().map(|_| death.elapsed()));
        for user in self.offline().await? {
            if self.back().any(|back| back == user) {
                sighting
                    .flaps
                    .push(format!("{user} is still shown as offline at the end"));
            }
        }
        self.moving.shutdown().await;
        Ok(sighting)
    }

    /// All users stay connected; watches for `long` whether one is shown as offline. Returns the number of
    /// users, and of such reports.
    pub(super) async fn stay(self, long: Duration) -> (u64, u64) {
        sleep(long).await;
        let users: Vec<_> = self.users().collect();
        let here = |user: &Value| users.iter().any(|here| user == here);
        let gone = self.watchers.iter().map(|(_, watcher)| {
            let events = watcher.drain("presence:offline");
            events.iter().filter(|event| here(&event["userId"])).count()
        });
        (users.len() as u64, gone.sum::<usize>() as u64)
    }

    /// Users who reconnect at once.
    fn back(&self) -> impl Iterator<Item = &str> {
        self.movers.iter().chain(&self.returners).map(|user| &**user)
    }

    /// The watched users.
    fn users(&self) -> impl Iterator<Item = &str> {
        self.loners.iter().map(|(user, _)| &**user).chain(self.back())
    }

    /// Users whom some watched node does not show as online.
    async fn offline(&self) -> Result<Vec<String>, Error> {
        let users: Vec<_> = self.users().collect();
        let mut offline = Vec::new();
        for (_, watcher) in &self.watchers {
            let known = watcher
                .call("presence:subscribe", &json!({ "users": users }))
                .await?;
            let known = known["data"]["users"].as_array().cloned().unwrap_or_default();
            let shown = |user: &str| {
                known
                    .iter()
                    .any(|shown| shown["userId"] == user && shown["status"] == "online")
            };
            offline.extend(users.iter().filter(|user| !shown(user)).map(ToString::to_string));
        }
        Ok(offline)
    }
}

fn auth(secret: &str, user: &str) -> Value {
    json!({ "token": token::for_user(secret, user) })
}

/// Retries: a node that recovers from a fault may still refuse connections.
pub(super) async fn connect(addr: SocketAddr, auth: &Value) -> Result<SioClient, Error> {
    for _ in 0..ATTEMPTS {
        if let Ok(Ok(client)) = timeout(CONNECT, SioClient::connect(addr, "/", auth)).await {
            return Ok(client);
        }
        sleep(REST).await;
    }
    SioClient::connect(addr, "/", auth).await
}

/// A user whose connection is cut on a signal, and who then reconnects to the same node as soon as possible.
async fn keep_returning(
    client: SioClient,
    mut cut: watch::Receiver<()>,
    addr: SocketAddr,
    auth: Value,
    rng: StdRng,
) {
    // An error means that the watching has ended.
    if cut.changed().await.is_ok() {
        client.cut().await;
        keep_moving(client, vec![addr], auth, rng).await;
    }
}

/// Connects to one of these nodes as soon as the current connection has ended.
async fn keep_moving(mut client: SioClient, addrs: Vec<SocketAddr>, auth: Value, mut rng: StdRng) {
    loop {
        while client.wait_end(PATIENCE).await.is_err() {}
        client = loop {
            let Some(addr) = addrs.choose(&mut rng).copied() else {
                return;
            };
            if let Ok(Ok(client)) = timeout(CONNECT, SioClient::connect(addr, "/", &auth)).await {
                break client;
            }
            sleep(REST).await;
        };
    }
}
