//! What goes wrong in a cluster beside the kills: one blow at a time, struck and healed.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;
use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::StdRng;
use roomful_testkit::proxy::Weather;
use roomful_testkit::{SioClient, http, token};
use serde_json::json;
use tokio::task::block_in_place;
use tokio::time::{Instant, sleep};

use super::cut::{Behind, Cut, Lost};
use super::network::Dropped;
use super::nodes::Nodes;
use super::presence::Watch;
use super::run::LEASE;
use crate::crowd::Crowd;
use crate::disk::Disk;
use crate::error::TortureError;
use crate::nemesis;
use crate::run::RECOVERY;
use crate::stage::Stage;

/// Of a hundred messages on the bus, how many are lost, and how many are overtaken, in that blow.
const LOST: u32 = 30;
const HELD: u32 = 10;
/// In so many bursts messages are sent meanwhile.
const BURSTS: u64 = 10;
/// Longer than a lease, so that a node that could not renew it is fenced.
const OUTLIVED: Duration = Duration::from_millis(4_500);
/// How soon a node that could not renew its lease for too long must have sent its clients away.
const FENCED: Duration = Duration::from_secs(2);

/// A lesser blow than the kill of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blow {
    /// One between clients and nodes.
    Clients(nemesis::Blow),
    /// A node stands still, and goes on; where it took longer than its lease it has to send its clients away.
    StopNode,
    /// Redis is killed and started again.
    KillRedis,
    /// Redis stands still.
    StopRedis,
    /// Redis forgets everything.
    Forget,
    /// PostgreSQL is killed and started again.
    KillPostgres,
    /// PostgreSQL stands still.
    StopPostgres,
    /// A node does not reach the store.
    NoStore,
    /// A node does not reach the bus.
    NoBus,
    /// Nodes do not reach each other.
    NoPeers,
    /// A node that does not reach the store or the bus is killed: whoever is behind is not told of its end.
    KillCutOff,
    /// The bus loses messages, and lets some overtake others.
    Lossy,
    /// The bus takes its time.
    SlowBus,
    /// A node reaches nothing that is behind it, and is reached from none of it; only clients find it.
    Isolated,
    /// Of what goes between a node and one of those behind it, or all of them, one direction is lost.
    OneWay,
}

impl Blow {
    /// Those that do with proxies.
    pub const COMMON: [Self; 17] = [
        Self::Clients(nemesis::Blow::Cut),
        Self::Clients(nemesis::Blow::HalfOpen),
        Self::Clients(nemesis::Blow::Delay),
        Self::Clients(nemesis::Blow::Deaf),
        Self::Clients(nemesis::Blow::Expire),
        Self::StopNode,
        Self::KillRedis,
        Self::StopRedis,
        Self::Forget,
        Self::KillPostgres,
        Self::StopPostgres,
        Self::NoStore,
        Self::NoBus,
        Self::NoPeers,
        Self::KillCutOff,
        Self::Lossy,
        Self::SlowBus,
    ];

    /// Those that need a network which drops packets.
    pub const OF_NETWORK: [Self; 2] = [Self::Isolated, Self::OneWay];

    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::COMMON.into_iter().chain(Self::OF_NETWORK)
    }
}

/// What was noticed while it fell.
#[derive(Debug, Default)]
pub(super) struct Noticed {
    /// How long it took everybody to see the end of the logs, each time that this was looked at.
    pub(super) tails: Vec<Duration>,
    /// Users who were there when Redis forgot everything, and how often one of them was shown as gone.
    pub(super) forgotten: u64,
    pub(super) shown_as_gone: u64,
    /// The metrics of a node that was killed, as they were right before; they tell what it had closed.
    pub(super) closed: String,
    /// Packets that the network has dropped.
    pub(super) dropped: Dropped,
}

/// Where a blow falls.
pub(super) struct Field<'a> {
    pub(super) stage: &'a Stage,
    pub(super) crowd: &'a Crowd,
    pub(super) nodes: &'a mut Nodes,
    pub(super) rng: &'a mut StdRng,
    /// Messages that are to be sent while it lasts.
    pub(super) messages: u64,
    /// So many are acknowledged when all of them have got through.
    pub(super) acknowledged: u64,
}

impl Field<'_> {
    /// Strikes, lets messages be sent, and heals.
    pub(super) async fn strike(&mut self, blow: Blow) -> Result<Noticed, TortureError> {
        let mut noticed = Noticed::default();
        match blow {
            Blow::Clients(blow) => self.strike_clients(blow).await?,
            Blow::StopNode => self.stop_node().await?,
            Blow::KillRedis => {
                self.nodes.redis.kill9().await?;
                self.last().await;
                self.nodes.redis.restart().await?;
            }
            Blow::StopRedis => {
                self.nodes.redis.pause()?;
                self.last().await;
                self.nodes.redis.resume()?;
            }
            Blow::Forget => self.forget(&mut noticed).await?,
            Blow::KillPostgres => {
                block_in_place(|| self.nodes.postgres.kill9())?;
                self.stage.allow(self.messages);
                self.pause(100..1_500).await;
                block_in_place(|| self.nodes.postgres.restart())?;
            }
            Blow::StopPostgres => {
                block_in_place(|| self.nodes.postgres.pause())?;
                self.stage.allow(self.messages);
                self.pause(100..2_500).await;
                block_in_place(|| self.nodes.postgres.resume())?;
            }
            Blow::NoStore | Blow::NoBus | Blow::NoPeers | Blow::Isolated | Blow::OneWay => {
                let cut = self.cut(blow);
                noticed.dropped = self.cut_off(cut).await?;
            }
            Blow::KillCutOff => self.kill_cut_off(&mut noticed).await?,
            Blow::Lossy => noticed.tails = self.lose().await?,
            Blow::SlowBus => {
                for line in &self.nodes.lines {
                    let pause = Duration::from_millis(self.rng.random_range(1..40));
                    line.bus.set(Weather::Slow(pause));
                }
                self.hold().await;
                self.nodes.mend()?;
            }
        }
        Ok(noticed)
    }

    async fn forget(&mut self, noticed: &mut Noticed) -> Result<(), TortureError> {
        let (addrs, node) = (self.nodes.addrs(), self.node());
        let tag = format!("forgotten-{}", self.acknowledged);
        let watch = Watch::set_up(&addrs, node, self.stage.secret, &tag, self.rng).await?;
        self.stage.allow(self.messages);
        let mut redis = self.nodes.redis.client().await?;
        redis.call(&["FLUSHALL"]).await?;
        (noticed.forgotten, noticed.shown_as_gone) = watch.stay(LEASE).await;
        Ok(())
    }

    async fn strike_clients(&mut self, blow: nemesis::Blow) -> Result<(), TortureError> {
        let mut field = nemesis::Field {
            stage: self.stage,
            crowd: self.crowd,
            disk: &Disk::Ordinary,
            rng: self.rng,
            messages: self.messages,
            acknowledged: self.acknowledged,
        };
        field.strike(blow).await
    }

    async fn stop_node(&mut self) -> Result<(), TortureError> {
        let node = self.node();
        let witness = self.witness(node).await?;
        self.nodes.servers[node].pause()?;
        let long = self.last().await;
        self.nodes.servers[node].resume()?;
        if long {
            self.sent_away(&witness, node).await;
        }
        Ok(())
    }

    /// Some lines are dead and do not say so, or are torn as well. Then they come back. Answers what was dropped on them.
    async fn cut_off(&mut self, cut: Cut) -> Result<Dropped, TortureError> {
        let before = self.nodes.dropped()?;
        let witness = match cut.behind.without_lease() {
            Some(node) => Some((node, self.witness(node).await?)),
            None => None,
        };
        if matches!(cut.behind, Behind::Peers) {
            // Nodes talk to each other for those who poll. On a new connection, some do.
            self.crowd.tear();
        }
        self.nodes.cut(cut)?;
        if self.rng.random() {
            self.nodes.tear(cut.behind);
        }
        let long = self.last().await;
        if let Some((node, witness)) = witness
            && long
        {
            self.sent_away(&witness, node).await;
        }
        if self.rng.random() {
            self.nodes.tear(cut.behind);
        }
        self.nodes.mend()?;
        Ok(self.nodes.dropped()? - before)
    }

    /// What the node had begun behind the cut outlives it: that ends by itself, or when news of the node's end gets through
    /// after the cut, which may be later than its return. It is started after the cut, since without what is behind it, it
    /// does not get ready.
    async fn kill_cut_off(&mut self, noticed: &mut Noticed) -> Result<(), TortureError> {
        let before = self.nodes.dropped()?;
        let node = self.node();
        let behind = if self.rng.random() {
            Behind::Store(node)
        } else {
            Behind::Bus(node)
        };
        let lost = Lost::Both;
        self.nodes.cut(Cut { behind, lost })?;
        self.last().await;
        let metrics = http::get(self.nodes.servers[node].addr(), "/metrics").await?;
        noticed.closed = metrics.text();
        self.nodes.servers[node].kill9().await?;
        self.pause(100..1_500).await;
        self.nodes.mend()?;
        noticed.dropped = self.nodes.dropped()? - before;
        Ok(self.nodes.servers[node].restart().await?)
    }

    /// What such a blow cuts. A single direction is lost to any of those that a node may be cut off from.
    fn cut(&mut self, blow: Blow) -> Cut {
        let behind = match blow {
            Blow::NoStore => Behind::Store(self.node()),
            Blow::NoBus => Behind::Bus(self.node()),
            Blow::Isolated => Behind::All(self.node()),
            Blow::OneWay => return self.one_way(),
            _ => Behind::Peers,
        };
        let lost = Lost::Both;
        Cut { behind, lost }
    }

    fn one_way(&mut self) -> Cut {
        let node = self.node();
        let all = [
            Behind::Store(node),
            Behind::Bus(node),
            Behind::Peers,
            Behind::All(node),
        ];
        let behind = all[self.rng.random_range(0..all.len())];
        let lost = if self.rng.random() {
            Lost::FromNode
        } else {
            Lost::ToNode
        };
        Cut { behind, lost }
    }

    /// A client that sits on a node and does nothing: it shows whether it was sent away.
    async fn witness(&self, node: usize) -> Result<SioClient, TortureError> {
        let auth = json!({ "token": token::for_user(self.stage.secret, "witness") });
        Ok(SioClient::connect(self.nodes.servers[node].addr(), "/", &auth).await?)
    }

    /// The lease of a node must have ended, and with it its clients' connections.
    async fn sent_away(&self, witness: &SioClient, node: usize) {
        if witness.wait_end(FENCED).await.is_err() {
            self.stage.trouble(format!(
                "node {node} has had no lease for some time and has kept its clients"
            ));
        }
    }

    /// While messages are lost, the end of each log must be seen all the same: they are sent in bursts, and each has one.
    async fn lose(&mut self) -> Result<Vec<Duration>, TortureError> {
        for line in &self.nodes.lines {
            line.messages.lose(LOST, HELD);
        }
        let mut took = Vec::new();
        let before = self.acknowledged.saturating_sub(self.messages);
        let mut sent = 0;
        for burst in 1..=BURSTS {
            let upto = self.messages * burst / BURSTS;
            self.stage.allow(upto - sent);
            sent = upto;
            let enough = || self.stage.acknowledged() >= before + sent;
            self.stage.wait_until(RECOVERY, enough).await;
            let (said, heads) = (Instant::now(), self.stage.heads());
            let seen = || self.crowd.late(&heads).is_empty();
            if !self.stage.wait_until(RECOVERY, seen).await {
                self.stage
                    .trouble("while the bus lost messages, not all of a log was seen".to_owned());
            }
            took.push(said.elapsed());
        }
        self.nodes.mend()?;
        Ok(took)
    }

    fn node(&mut self) -> usize {
        self.rng.random_range(0..self.nodes.servers.len())
    }

    /// For a time that is shorter than a lease, or longer. Answers whether it was longer.
    async fn last(&mut self) -> bool {
        self.stage.allow(self.messages);
        let long = self.rng.random();
        if long {
            sleep(OUTLIVED.max(LEASE + LEASE / 2)).await;
        } else {
            self.pause(100..1_800).await;
        }
        long
    }

    /// Until what may be sent meanwhile has got through, but not for ever: some of it may have to wait for the end.
    async fn hold(&self) {
        self.stage.allow(self.messages);
        let enough = || self.stage.acknowledged() >= self.acknowledged;
        self.stage.wait_until(nemesis::HOLD, enough).await;
    }

    async fn pause(&mut self, milliseconds: Range<u64>) {
        sleep(Duration::from_millis(self.rng.random_range(milliseconds))).await;
    }
}

impl FromStr for Blow {
    type Err = String;

    /// By the name that reports give it.
    fn from_str(name: &str) -> Result<Self, String> {
        let known = |blow: &Self| blow.to_string() == name;
        Self::all().find(known).ok_or_else(|| {
            let names: Vec<_> = Self::all().map(|blow| blow.to_string()).collect();
            format!("there is no such blow; there are: {}", names.join(", "))
        })
    }
}

impl fmt::Display for Blow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Clients(blow) => return blow.fmt(f),
            Self::StopNode => "stopped node",
            Self::KillRedis => "killed Redis",
            Self::StopRedis => "stopped Redis",
            Self::Forget => "FLUSHALL",
            Self::KillPostgres => "killed PostgreSQL",
            Self::StopPostgres => "stopped PostgreSQL",
            Self::NoStore => "node without store",
            Self::NoBus => "node without bus",
            Self::NoPeers => "nodes without each other",
            Self::KillCutOff => "node killed while cut off",
            Self::Lossy => "lossy bus",
            Self::SlowBus => "slow bus",
            Self::Isolated => "node without all of these",
            Self::OneWay => "one direction lost",
        })
    }
}
