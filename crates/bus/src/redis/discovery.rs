//! Discovery: asks Sentinels or cluster nodes for the current masters.

use redis::{RedisResult, Value, aio::MultiplexedConnection};

use super::{
    connector::{Connector, bus_error},
    slots::{self, SlotRange},
    url::{Deployment, RedisUrl, ServerAddr},
};
use crate::BusError;

/// The current masters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Topology {
    /// One master serves everything.
    Single(ServerAddr),
    /// Each master serves some slots.
    Cluster(Vec<SlotRange>),
}

pub(crate) struct Discovery {
    deployment: Deployment,
    connector: Connector,
    /// Servers to ask, the best first.
    servers: Vec<ServerAddr>,
    /// Connection to the server that answered last.
    open: Option<(ServerAddr, MultiplexedConnection)>,
}

impl Discovery {
    pub(crate) fn new(url: RedisUrl, connector: &Connector) -> Self {
        let (servers, connector) = match &url.deployment {
            Deployment::Fixed(_) => (Vec::new(), connector.clone()),
            Deployment::Sentinel {
                sentinels,
                credentials,
                ..
            } => (sentinels.clone(), connector.with_credentials(credentials)),
            Deployment::Cluster { nodes } => (nodes.clone(), connector.clone()),
        };
        Self {
            deployment: url.deployment,
            connector,
            servers,
            open: None,
        }
    }

    /// True if the URL itself names the master.
    pub(crate) fn is_fixed(&self) -> bool {
        matches!(self.deployment, Deployment::Fixed(_))
    }

    /// Asks another server next time, since this one may be partitioned from the others.
    pub(crate) fn skip_current(&mut self) {
        if self.open.take().is_some() && !self.servers.is_empty() {
            self.servers.rotate_left(1);
        }
    }

    /// Asks one server after another until one answers.
    ///
    /// # Errors
    /// [`BusError::Authentication`] if all reachable servers refuse the user.
    pub(crate) async fn discover(&mut self) -> Result<Topology, BusError> {
        if let Deployment::Fixed(addr) = &self.deployment {
            return Ok(Topology::Single(addr.clone()));
        }
        if let Some((addr, mut connection)) = self.open.take()
            && let Ok(topology) = self.ask(&addr, &mut connection).await
        {
            self.open = Some((addr, connection));
            return Ok(topology);
        }
        let mut failures = Failures::default();
        for index in 0..self.servers.len() {
            let Some(addr) = self.servers.get(index).cloned() else {
                break;
            };
            let mut connection = match self.connector.connect(&addr, None).await {
                Ok(connection) => connection,
                Err(error) => {
                    failures.not_connected(error);
                    continue;
                }
            };
            match self.ask(&addr, &mut connection).await {
                Ok(topology) => {
                    self.servers.rotate_left(index);
                    self.open = Some((addr, connection));
                    self.learn_servers(&topology);
                    return Ok(topology);
                }
                Err(error) => failures.unanswered = Some(error),
            }
        }
        Err(failures.most_specific())
    }

    async fn ask(
        &self,
        addr: &ServerAddr,
        connection: &mut MultiplexedConnection,
    ) -> Result<Topology, BusError> {
        let (master, mut command) = match &self.deployment {
            Deployment::Sentinel { master, .. } => (Some(master), redis::cmd("SENTINEL")),
            _ => (None, redis::cmd("CLUSTER")),
        };
        match master {
            Some(master) => command.arg("GET-MASTER-ADDR-BY-NAME").arg(master),
            None => command.arg("SLOTS"),
        };
        let answer: RedisResult<Value> = self.connector.in_time(command.query_async(connection)).await;
        let answer = answer.map_err(|error| bus_error(&error))?;
        let topology = if master.is_some() {
            single(answer)
        } else {
            cluster(answer, addr)
        };
        topology.ok_or_else(|| BusError::Unavailable("no master is known yet".into()))
    }

    /// Remembers the masters of a cluster as servers to ask: the nodes of the URL may be replaced over time.
    fn learn_servers(&mut self, topology: &Topology) {
        let Topology::Cluster(ranges) = topology else {
            return;
        };
        let Deployment::Cluster { nodes } = &self.deployment else {
            return;
        };
        let first = self.servers.first().cloned();
        let masters = ranges.iter().map(|range| &range.master);
        let mut servers: Vec<ServerAddr> = Vec::new();
        for addr in first.iter().chain(masters).chain(nodes) {
            if !servers.contains(addr) {
                servers.push(addr.clone());
            }
        }
        self.servers = servers;
    }
}

/// The failures of one discovery: the latest of each kind.
#[derive(Default)]
struct Failures {
    unreachable: Option<BusError>,
    refused: Option<BusError>,
    unanswered: Option<BusError>,
}

impl Failures {
    fn not_connected(&mut self, error: BusError) {
        match error {
            BusError::Authentication(_) => self.refused = Some(error),
            _ => self.unreachable = Some(error),
        }
    }

    /// A server that accepts the user may answer soon, so its failure comes first: it is an outage. A
    /// refused user comes before unreachable servers.
    fn most_specific(self) -> BusError {
        let failure = self.unanswered.or(self.refused).or(self.unreachable);
        failure.unwrap_or_else(|| BusError::Unavailable("the URL names no server".into()))
    }
}

fn single(answer: Value) -> Option<Topology> {
    let (host, port): (String, u16) = redis::from_redis_value(answer).ok()?;
    Some(Topology::Single(ServerAddr::Tcp { host, port }))
}

fn cluster(answer: Value, asked: &ServerAddr) -> Option<Topology> {
    let ServerAddr::Tcp { host, .. } = asked else {
        return None;
    };
    let ranges = slots::parse(answer, host)?;
    (!ranges.is_empty()).then_some(Topology::Cluster(ranges))
}
