//! The nodes, PostgreSQL and Redis, and the proxies between all of them, each of which a fault can disturb.

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
use crate::moderation::Setup;
use crate::run::SETTINGS;

/// Pause between two readiness checks of a node that is not ready.
const LOOK: Duration = Duration::from_millis(20);

pub(super) struct Nodes {
    pub(super) servers: Vec<ServerProcess>,
    pub(super) lines: Vec<Lines>,
    pub(super) redis: RedisServer,
    pub(super) postgres: PostgresServer,
    /// The network between nodes and proxies, if the nodes have namespaces.
    pub(super) network: Option<Network>,
    pub(super) database: String,
}

/// The proxies of one node.
pub(super) struct Lines {
    pub(super) store: Proxy,
    pub(super) bus: Proxy,
    /// Behind `bus`; loses and reorders messages.
    pub(super) messages: LossyRedis,
    /// From the other nodes to this one.
    pub(super) peers: Proxy,
}

impl Nodes {
    pub(super) async fn start(options: &Options, setup: Option<&Setup>) -> Result<Self, TortureError> {
        // A run with only a storm uses the default heartbeat.
        let wanted = |name: &str| options.rounds > 0 || !name.contains("__PING_");
        let settings = SETTINGS.iter().filter(|(name, _)| wanted(name));
        let settings = settings.map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
        let settings: Vec<_> = settings.chain(options.env.clone()).collect();
        // The runs do not simulate power cuts, so PostgreSQL need not sync.
        let postgres = block_in_place(|| PostgresServer::start_with(&["fsync=off"]))?;
        let url = block_in_place(|| postgres.new_database())?;
        let database = url.rsplit('/').next().unwrap_or_default().to_owned();
        let redis = RedisServer::start().await?;
        let network = match options.cut_by {
            CutBy::Network(tcp) => Some(Network::start(options.nodes, tcp)),
            CutBy::Proxies => None,
        };
        let network = network.transpose()?;
        let run_state = network.as_ref().map_or(Ipv4Addr::LOCALHOST, |_| network::STAGE);
        let store = SocketAddr::from((Ipv4Addr::LOCALHOST, postgres.port()));
        let (mut lines, mut starting) = (Vec::new(), Vec::new());
        for node in 0..options.nodes {
            let listen = match &network {
                Some(_) => network::node(node),
                None => SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?)),
            };
            let messages = LossyRedis::start(redis.addr(), options.seed.wrapping_add(node as u64)).await?;
            let line = Lines {
                store: Proxy::start_at(run_state, store).await?,
                bus: Proxy::start_at(run_state, messages.addr()).await?,
                messages,
                peers: Proxy::start_at(run_state, listen).await?,
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
            if let Some(setup) = setup {
                setup.apply(&mut config);
            }
            // Start all at once, so that they compete to create the tables.
            starting.push(tokio::spawn(ServerProcess::start_with(config)));
            lines.push(line);
        }
        let mut servers = Vec::new();
        for server in starting {
            let ended = |error| Error::Server(format!("failed to start a node: {error}"));
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

    /// The addresses at which clients reach the nodes without a proxy.
    pub(super) fn addrs(&self) -> Vec<SocketAddr> {
        self.servers.iter().map(ServerProcess::addr).collect()
    }

    /// Waits until all nodes are ready. True if they were in time.
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
                // There is no event for readiness, so poll.
                sleep(LOOK).await;
            }
        }
        true
    }

    /// Transactions that the database has finished so far, reads included.
    pub(super) fn commits(&self) -> Result<u64, TortureError> {
        let ask = format!(
            "SELECT xact_commit FROM pg_stat_database WHERE datname = '{}'",
            self.database
        );
        let answer = block_in_place(|| self.postgres.sql("postgres", &ask))?;
        Ok(answer.trim().parse().unwrap_or_default())
    }

    /// Resident memory of each node, in bytes.
    pub(super) fn memory(&self) -> Result<Vec<u64>, TortureError> {
        let each = self.servers.iter().map(|server| Ok(Usage::of(server.pid())?.rss));
        each.collect()
    }

    /// Resets the peak memory of each node.
    pub(super) fn forget_peaks(&self) -> Result<(), TortureError> {
        for server in &self.servers {
            memory::forget_peak(server.pid())?;
        }
        Ok(())
    }

    /// Peak memory of each node since the reset, in bytes.
    pub(super) fn peaks(&self) -> Result<Vec<u64>, TortureError> {
        let each = self.servers.iter().map(|server| Ok(memory::peak(server.pid())?));
        each.collect()
    }

    /// Messages that the bus proxies have dropped.
    pub(super) fn lost(&self) -> u64 {
        self.lines.iter().map(|line| line.messages.lost()).sum()
    }
}

impl Lines {
    /// The environment of the node behind these proxies.
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

/// The environment that shifts a node's wall clock, but not its monotonic clock.
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
