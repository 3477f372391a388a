//! Faults in a cluster beside the kills: one at a time, injected and healed.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;
use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::StdRng;
use roomful_testkit::proxy::LinkCondition;
use roomful_testkit::{SioClient, http, token};
use serde_json::json;
use tokio::task::block_in_place;
use tokio::time::{Instant, sleep};

use super::cut::{Behind, Cut, Lost};
use super::network::Dropped;
use super::nodes::Nodes;
use super::presence::{Watch, connect};
use super::run::LEASE;
use crate::client_pool::ClientPool;
use crate::disk::Disk;
use crate::error::TortureError;
use crate::nemesis;
use crate::run::RECOVERY;
use crate::run_state::RunState;

/// Percentage of bus messages that are lost, and that are overtaken, during the lossy-bus fault.
const LOST: u32 = 30;
const HELD: u32 = 10;
/// Number of bursts in which clients send during a fault.
const BURSTS: u64 = 10;
/// Longer than a lease, so that a node that cannot renew it is fenced.
const OUTLIVED: Duration = Duration::from_millis(4_500);
/// How soon a node without a lease must have disconnected its clients.
const FENCED: Duration = Duration::from_secs(2);

/// A fault that is milder than killing a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A fault between clients and nodes.
    Clients(nemesis::Fault),
    /// A node freezes and continues. If that took longer than its lease, it must disconnect its clients.
    StopNode,
    /// Redis is killed and restarted.
    KillRedis,
    /// Redis freezes.
    StopRedis,
    /// Redis loses its data.
    Forget,
    /// PostgreSQL is killed and restarted.
    KillPostgres,
    /// PostgreSQL freezes.
    StopPostgres,
    /// A node cannot reach the store.
    NoStore,
    /// A node cannot reach the bus.
    NoBus,
    /// Nodes cannot reach each other.
    NoPeers,
    /// A node that cannot reach the store or the bus is killed, so its connections to them stay half open.
    KillCutOff,
    /// The bus loses and reorders messages.
    Lossy,
    /// The bus is slow.
    SlowBus,
    /// A node is cut off from store, bus and other nodes, in both directions; only clients reach it.
    Isolated,
    /// One direction between a node and store, bus or other nodes is lost, or between it and all of them.
    OneWay,
}

impl Fault {
    /// Faults that work with proxies.
    pub const COMMON: [Self; 17] = [
        Self::Clients(nemesis::Fault::Cut),
        Self::Clients(nemesis::Fault::HalfOpen),
        Self::Clients(nemesis::Fault::Delay),
        Self::Clients(nemesis::Fault::PausedReaders),
        Self::Clients(nemesis::Fault::Expire),
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

    /// Faults that need a network that drops packets.
    pub const OF_NETWORK: [Self; 2] = [Self::Isolated, Self::OneWay];

    /// All faults.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::COMMON.into_iter().chain(Self::OF_NETWORK)
    }
}

/// Observations during a fault.
#[derive(Debug, Default)]
pub(super) struct Noticed {
    /// How long all clients took to see the end of the logs, for each check.
    pub(super) tails: Vec<Duration>,
    /// Users who were online when Redis lost its data, and how often one of them was reported offline.
    pub(super) forgotten: u64,
    pub(super) shown_as_gone: u64,
    /// The metrics of a node right before its kill; they count the connections it had closed.
    pub(super) closed: String,
    /// Packets that the network dropped.
    pub(super) dropped: Dropped,
}

/// The system that a fault acts on.
pub(super) struct FaultTarget<'a> {
    pub(super) run_state: &'a RunState,
    pub(super) client_pool: &'a ClientPool,
    pub(super) nodes: &'a mut Nodes,
    pub(super) rng: &'a mut StdRng,
    /// Messages to send during the fault.
    pub(super) messages: u64,
    /// The number of acknowledged messages when all of them have got through.
    pub(super) acknowledged: u64,
}

impl FaultTarget<'_> {
    /// Injects the fault, lets clients send messages, and heals it.
    pub(super) async fn inject(&mut self, fault: Fault) -> Result<Noticed, TortureError> {
        let mut noticed = Noticed::default();
        match fault {
            Fault::Clients(fault) => self.inject_client_fault(fault).await?,
            Fault::StopNode => self.stop_node().await?,
            Fault::KillRedis => {
                self.nodes.redis.kill9().await?;
                self.last().await;
                self.nodes.redis.restart().await?;
            }
            Fault::StopRedis => {
                self.nodes.redis.pause()?;
                self.last().await;
                self.nodes.redis.resume()?;
            }
            Fault::Forget => self.forget(&mut noticed).await?,
            Fault::KillPostgres => {
                block_in_place(|| self.nodes.postgres.kill9())?;
                self.run_state.allow(self.messages);
                self.pause(100..1_500).await;
                block_in_place(|| self.nodes.postgres.restart())?;
            }
            Fault::StopPostgres => {
                block_in_place(|| self.nodes.postgres.pause())?;
                self.run_state.allow(self.messages);
                self.pause(100..2_500).await;
                block_in_place(|| self.nodes.postgres.resume())?;
            }
            Fault::NoStore | Fault::NoBus | Fault::NoPeers | Fault::Isolated | Fault::OneWay => {
                let cut = self.cut(fault);
                noticed.dropped = self.cut_off(cut).await?;
            }
            Fault::KillCutOff => self.kill_cut_off(&mut noticed).await?,
            Fault::Lossy => noticed.tails = self.lose().await?,
            Fault::SlowBus => {
                for line in &self.nodes.lines {
                    let pause = Duration::from_millis(self.rng.random_range(1..40));
                    line.bus.set(LinkCondition::Slow(pause));
                }
                self.wait_delivered().await;
                self.nodes.heal()?;
            }
        }
        Ok(noticed)
    }

    async fn forget(&mut self, noticed: &mut Noticed) -> Result<(), TortureError> {
        let (addrs, node) = (self.nodes.addrs(), self.node());
        let tag = format!("forgotten-{}", self.acknowledged);
        let watch = Watch::set_up(&addrs, node, self.run_state.secret, &tag, self.rng).await?;
        self.run_state.allow(self.messages);
        let mut redis = self.nodes.redis.client().await?;
        redis.call(&["FLUSHALL"]).await?;
        (noticed.forgotten, noticed.shown_as_gone) = watch.stay(LEASE).await;
        Ok(())
    }

    async fn inject_client_fault(&mut self, fault: nemesis::Fault) -> Result<(), TortureError> {
        let mut target = nemesis::FaultTarget {
            run_state: self.run_state,
            client_pool: self.client_pool,
            disk: &Disk::Ordinary,
            rng: self.rng,
            messages: self.messages,
            acknowledged: self.acknowledged,
        };
        target.inject(fault).await
    }

    async fn stop_node(&mut self) -> Result<(), TortureError> {
        let node = self.node();
        let witness = self.witness(node).await?;
        self.nodes.servers[node].pause()?;
        let long = self.last().await;
        self.nodes.servers[node].resume()?;
        if long {
            self.check_disconnected(&witness, node).await;
        }
        Ok(())
    }

    /// Makes some connections silent, or cuts them as well, then restores them. Returns the dropped packets.
    async fn cut_off(&mut self, cut: Cut) -> Result<Dropped, TortureError> {
        let before = self.nodes.dropped()?;
        let witness = match cut.behind.without_lease() {
            Some(node) => Some((node, self.witness(node).await?)),
            None => None,
        };
        if matches!(cut.behind, Behind::Peers) {
            // Nodes talk to each other for polling clients. New connections make some clients poll.
            self.client_pool.tear();
        }
        self.nodes.cut(cut)?;
        if self.rng.random() {
            self.nodes.tear(cut.behind);
        }
        let long = self.last().await;
        if let Some((node, witness)) = witness
            && long
        {
            self.check_disconnected(&witness, node).await;
        }
        if self.rng.random() {
            self.nodes.tear(cut.behind);
        }
        self.nodes.heal()?;
        Ok(self.nodes.dropped()? - before)
    }

    /// Requests that the node began behind the partition survive its kill. They end by themselves, or when
    /// the news of the node's end gets through after the heal, possibly after its restart. The node
    /// restarts after the heal, since without store and bus it would not become ready.
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
        self.nodes.heal()?;
        noticed.dropped = self.nodes.dropped()? - before;
        Ok(self.nodes.servers[node].restart().await?)
    }

    /// The partition of such a fault. A single direction can be lost towards store, bus or nodes.
    fn cut(&mut self, fault: Fault) -> Cut {
        let behind = match fault {
            Fault::NoStore => Behind::Store(self.node()),
            Fault::NoBus => Behind::Bus(self.node()),
            Fault::Isolated => Behind::All(self.node()),
            Fault::OneWay => return self.one_way(),
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

    /// A client that stays idle on a node, to observe whether the node disconnects it.
    async fn witness(&self, node: usize) -> Result<SioClient, TortureError> {
        let auth = json!({ "token": token::for_user(self.run_state.secret, "witness") });
        Ok(connect(self.nodes.servers[node].addr(), &auth).await?)
    }

    /// Checks that the node's lease has ended, and its clients' connections with it.
    async fn check_disconnected(&self, witness: &SioClient, node: usize) {
        if witness.wait_end(FENCED).await.is_err() {
            self.run_state.add_problem(format!(
                "node {node} has had no lease for some time and still has its clients"
            ));
        }
    }

    /// Clients send in bursts; even while the bus loses messages, all must see the end of each log.
    async fn lose(&mut self) -> Result<Vec<Duration>, TortureError> {
        for line in &self.nodes.lines {
            line.messages.lose(LOST, HELD);
        }
        let mut took = Vec::new();
        let before = self.acknowledged.saturating_sub(self.messages);
        let mut sent = 0;
        for burst in 1..=BURSTS {
            let upto = self.messages * burst / BURSTS;
            self.run_state.allow(upto - sent);
            sent = upto;
            let enough = || self.run_state.acknowledged() >= before + sent;
            self.run_state.wait_until(RECOVERY, enough).await;
            let (said, heads) = (Instant::now(), self.run_state.heads());
            let seen = || self.client_pool.late(&heads).is_empty();
            if !self.run_state.wait_until(RECOVERY, seen).await {
                self.run_state.add_problem(
                    "while the bus lost messages, some clients did not see the end of a log".to_owned(),
                );
            }
            took.push(said.elapsed());
        }
        self.nodes.heal()?;
        Ok(took)
    }

    fn node(&mut self) -> usize {
        self.rng.random_range(0..self.nodes.servers.len())
    }

    /// Waits for less than a lease, or for more. True if for more.
    async fn last(&mut self) -> bool {
        self.run_state.allow(self.messages);
        let long = self.rng.random();
        if long {
            sleep(OUTLIVED.max(LEASE + LEASE / 2)).await;
        } else {
            self.pause(100..1_800).await;
        }
        long
    }

    /// Waits until the fault's messages have got through, up to a limit: some may have to wait for the heal.
    async fn wait_delivered(&self) {
        self.run_state.allow(self.messages);
        let enough = || self.run_state.acknowledged() >= self.acknowledged;
        self.run_state.wait_until(nemesis::HOLD, enough).await;
    }

    async fn pause(&mut self, milliseconds: Range<u64>) {
        sleep(Duration::from_millis(self.rng.random_range(milliseconds))).await;
    }
}

impl FromStr for Fault {
    type Err = String;

    /// Parses the name that reports use.
    fn from_str(name: &str) -> Result<Self, String> {
        let known = |fault: &Self| fault.to_string() == name;
        Self::all().find(known).ok_or_else(|| {
            let names: Vec<_> = Self::all().map(|fault| fault.to_string()).collect();
            format!("unknown fault; choose one of: {}", names.join(", "))
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Clients(fault) => return fault.fmt(f),
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
