//! Nodes with what stands behind them, and the lines between all of these, each of which can be hurt on its own.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use roomful_testkit::ports::free_port;
use roomful_testkit::proxy::Proxy;
use roomful_testkit::usage::Usage;
use roomful_testkit::{Error, LossyRedis, PostgresServer, RedisServer, ServerProcess, http, server};
use tokio::task::block_in_place;
use tokio::time::{Instant, sleep};

use super::memory;
use super::network::{self, Network};
use super::run::{CutBy, GRACE, LEASE, Options};
use crate::error::TortureError;
use crate::run::SETTINGS;

/// How often a node is asked whether it is ready, while it is not.
const LOOK: Duration = Duration::from_millis(20);

pub(super) struct Nodes {
    pub(super) servers: Vec<ServerProcess>,
    pub(super) lines: Vec<Lines>,
    pub(super) redis: RedisServer,
    pub(super) postgres: PostgresServer,
    /// Between the nodes and their lines, if they have namespaces of their own.
    pub(super) network: Option<Network>,
    database: String,
}

/// What leads from one node to the others.
pub(super) struct Lines {
    pub(super) store: Proxy,
    pub(super) bus: Proxy,
    /// Lies behind `bus`.
    pub(super) messages: LossyRedis,
    /// From the other nodes to this one.
    pub(super) peers: Proxy,
}

impl Nodes {
    pub(super) async fn start(options: &Options) -> Result<Self, TortureError> {
        // A storm alone meets nodes that look for dead lines as they do when nobody is in a hurry.
        let wanted = |name: &str| options.rounds > 0 || !name.contains("__PING_");
        let settings = SETTINGS.iter().filter(|(name, _)| wanted(name));
        let settings = settings.map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
        let settings: Vec<_> = settings.chain(options.env.clone()).collect();
        // Nobody cuts the power.
        let postgres = block_in_place(|| PostgresServer::start_with(&["fsync=off"]))?;
        let url = block_in_place(|| postgres.new_database())?;
        let database = url.rsplit('/').next().unwrap_or_default().to_owned();
        let redis = RedisServer::start().await?;
        let network = match options.cut_by {
            CutBy::Network(tcp) => Some(Network::start(options.nodes, tcp)),
            CutBy::Proxies => None,
        };
        let network = network.transpose()?;
        let stage = network.as_ref().map_or(Ipv4Addr::LOCALHOST, |_| network::STAGE);
        let store = SocketAddr::from((Ipv4Addr::LOCALHOST, postgres.port()));
        let (mut lines, mut starting) = (Vec::new(), Vec::new());
        for node in 0..options.nodes {
            let listen = match &network {
                Some(_) => network::node(node),
                None => SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?)),
            };
            let messages = LossyRedis::start(redis.addr(), options.seed.wrapping_add(node as u64)).await?;
            let line = Lines {
                store: Proxy::start_at(stage, store).await?,
                bus: Proxy::start_at(stage, messages.addr()).await?,
                messages,
                peers: Proxy::start_at(stage, listen).await?,
            };
            let url = url.replace(&store.to_string(), &line.store.addr().to_string());
            let mut config = line.config(node, &options.binary, &url);
            config.listen = listen;
            config.wrapper = network
                .as_ref()
                .map(|_| network::wrapper(node))
                .unwrap_or_default();
            config.env.extend_from_slice(&settings);
            config.env.extend(clock(node, options.skew)?);
            // All at once: they make the database's tables together.
            starting.push(tokio::spawn(ServerProcess::start_with(config)));
            lines.push(line);
        }
        let mut servers = Vec::new();
        for server in starting {
            let ended = |error| Error::Server(format!("starting a node has failed: {error}"));
            servers.push(server.await.map_err(ended)??);
        }
        Ok(Self {
            servers,
            lines,
            redis,
            postgres,
            network,
            database,
        })
    }

    /// Where clients may connect to without anything in between.
    pub(super) fn addrs(&self) -> Vec<SocketAddr> {
        self.servers.iter().map(ServerProcess::addr).collect()
    }

    /// Waits until all say that they are ready. Answers whether they were in time.
    pub(super) async fn ready(&self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        for server in &self.servers {
            loop {
                let asked = tokio::time::timeout(LOOK * 50, http::get(server.addr(), "/readyz")).await;
                if matches!(asked, Ok(Ok(answer)) if answer.status == 200) {
                    break;
                }
                if Instant::now() > deadline {
                    return false;
                }
                // Being ready again gives no event to wait for.
                sleep(LOOK).await;
            }
        }
        true
    }

    /// Transactions that the database has ended so far, reads included.
    pub(super) fn commits(&self) -> Result<u64, TortureError> {
        let ask = format!(
            "SELECT xact_commit FROM pg_stat_database WHERE datname = '{}'",
            self.database
        );
        let answer = block_in_place(|| self.postgres.sql("postgres", &ask))?;
        Ok(answer.trim().parse().unwrap_or_default())
    }

    /// Bytes of memory of each node.
    pub(super) fn memory(&self) -> Result<Vec<u64>, TortureError> {
        let each = self.servers.iter().map(|server| Ok(Usage::of(server.pid())?.rss));
        each.collect()
    }

    /// From now on each node's peak of memory is that of what comes.
    pub(super) fn forget_peaks(&self) -> Result<(), TortureError> {
        for server in &self.servers {
            memory::forget_peak(server.pid())?;
        }
        Ok(())
    }

    /// Bytes of memory of each node at its peak since that.
    pub(super) fn peaks(&self) -> Result<Vec<u64>, TortureError> {
        let each = self.servers.iter().map(|server| Ok(memory::peak(server.pid())?));
        each.collect()
    }

    /// Messages that the bus was made to lose.
    pub(super) fn lost(&self) -> u64 {
        self.lines.iter().map(|line| line.messages.lost()).sum()
    }
}

impl Lines {
    /// A node at their end.
    fn config(&self, node: usize, binary: &Path, store: &str) -> server::Config {
        server::Config::new(binary)
            .env("ROOMFUL_STORE_URL", store)
            .env("ROOMFUL_BUS_URL", &format!("redis://{}", self.bus.addr()))
            .env("ROOMFUL__CLUSTER__NODE", &format!("node-{node}"))
            .env("ROOMFUL__CLUSTER__ADVERTISE", &self.peers.addr().to_string())
            .env("ROOMFUL__CLUSTER__LEASE", &format!("{}ms", LEASE.as_millis()))
            .env("ROOMFUL__PRESENCE__GRACE", &format!("{}ms", GRACE.as_millis()))
    }
}

/// The environment in which a node's clock is off; what it takes for the passing of time is not.
fn clock(node: usize, skew: Duration) -> Result<Vec<(String, String)>, TortureError> {
    if skew.is_zero() || node == 0 {
        return Ok(Vec::new());
    }
    let folders = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    let mut libraries = folders.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"));
    let library = libraries
        .find(|library| library.is_file())
        .ok_or(TortureError::NoFaketime)?;
    let sign = if node % 2 == 1 { '+' } else { '-' };
    let variables = [
        ("LD_PRELOAD", library.display().to_string()),
        ("FAKETIME", format!("{sign}{}s", skew.as_secs())),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ("DONT_FAKE_MONOTONIC", "1".to_owned()),
    ];
    Ok(variables.map(|(name, text)| (name.to_owned(), text)).to_vec())
}
