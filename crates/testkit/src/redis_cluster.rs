//! A real Redis Cluster of masters without replicas, but for those that a test adds.

use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::ports::free_port;
use crate::{Error, PATIENCE, RedisServer};

/// How many slots a cluster has.
const SLOTS: usize = 16_384;

/// How often another port is tried.
const PORTS: usize = 3;

/// The running nodes. Dropping it kills them.
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<RedisServer>,
    ports: Vec<Ports>,
    /// Whether clients that come by TLS are served, and the nodes talk by it.
    tls: bool,
    args: Vec<String>,
}

/// The ports that a node has beside the plain one, on which this testkit asks.
#[derive(Debug, Clone, Copy)]
struct Ports {
    /// Where nodes talk to each other.
    between: u16,
    tls: Option<u16>,
}

impl RedisCluster {
    /// Starts so many masters, each with an equal share of the slots, and waits until all are agreed.
    /// `args` are further arguments of `redis-server`.
    ///
    /// # Errors
    /// [`Error::Redis`] if `redis-server` is not installed, or they don't agree in time.
    pub async fn start(masters: usize, args: &[&str]) -> Result<Self, Error> {
        Self::start_on(masters, false, args).await
    }

    /// The same for clients that come by TLS. `args` name the certificates, which the nodes show each
    /// other too.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn start_with_tls(masters: usize, args: &[&str]) -> Result<Self, Error> {
        Self::start_on(masters, true, args).await
    }

    async fn start_on(masters: usize, tls: bool, args: &[&str]) -> Result<Self, Error> {
        let mut cluster = Self {
            nodes: Vec::new(),
            ports: Vec::new(),
            tls,
            args: args.iter().map(ToString::to_string).collect(),
        };
        for index in 0..masters {
            cluster.add_node().await?;
            let first = (SLOTS * index / masters).to_string();
            let last = (SLOTS * (index + 1) / masters - 1).to_string();
            cluster
                .call(index, &["CLUSTER", "ADDSLOTSRANGE", &first, &last])
                .await?;
        }
        cluster.wait_agreed().await?;
        Ok(cluster)
    }

    /// Adds a replica of a master, and waits until it follows.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn add_replica(&mut self, master: usize) -> Result<(), Error> {
        let index = self.add_node().await?;
        self.wait_agreed().await?;
        let id = self.call(master, &["CLUSTER", "MYID"]).await?;
        let id = id.as_str().unwrap_or_default().to_owned();
        self.wait("a replica to know its master", async |cluster| {
            Ok(cluster.call(index, &["CLUSTER", "REPLICATE", &id]).await.is_ok())
        })
        .await?;
        self.wait("a replica to follow", async |cluster| {
            let info = cluster.call(index, &["INFO", "replication"]).await?;
            Ok(info
                .as_str()
                .is_some_and(|info| info.contains("master_link_status:up")))
        })
        .await
    }

    /// The nodes, masters first, in the order of their slots.
    pub fn nodes(&self) -> &[RedisServer] {
        &self.nodes
    }

    /// The nodes, to be killed.
    pub fn nodes_mut(&mut self) -> &mut [RedisServer] {
        &mut self.nodes
    }

    /// Where the first node serves by TLS, if it does.
    pub fn tls_port(&self) -> Option<u16> {
        self.ports.first()?.tls
    }

    /// Asks a node.
    pub async fn call(&self, node: usize, words: &[&str]) -> Result<Value, Error> {
        let node = self
            .nodes
            .get(node)
            .ok_or_else(|| Error::Redis("no such node".into()))?;
        node.client().await?.call(words).await
    }

    async fn add_node(&mut self) -> Result<usize, Error> {
        let mut tries = 0;
        let (node, ports) = loop {
            tries += 1;
            match self.start_node().await {
                Ok(started) => break started,
                Err(error) if tries == PORTS => return Err(error),
                // Somebody was quicker to take another port, most likely.
                Err(_) => {}
            }
        };
        if let (Some(first), Some(ports)) = (self.nodes.first(), self.ports.first()) {
            let shown = ports.tls.unwrap_or(first.addr().port()).to_string();
            let between = ports.between.to_string();
            let mut client = node.client().await?;
            client
                .call(&["CLUSTER", "MEET", "127.0.0.1", &shown, &between])
                .await?;
        }
        self.nodes.push(node);
        self.ports.push(ports);
        Ok(self.nodes.len() - 1)
    }

    async fn start_node(&self) -> Result<(RedisServer, Ports), Error> {
        let ports = Ports {
            between: free_port()?,
            tls: self.tls.then(free_port).transpose()?,
        };
        let (between, tls) = (ports.between.to_string(), ports.tls.map(|port| port.to_string()));
        let mut args = vec![
            "--cluster-enabled",
            "yes",
            "--cluster-port",
            &between,
            "--cluster-node-timeout",
            "1000",
            // A replica is served at once.
            "--repl-diskless-sync-delay",
            "0",
            // A replica takes over however long it has not heard of its master.
            "--cluster-replica-validity-factor",
            "0",
        ];
        if let Some(port) = &tls {
            args.extend(["--tls-port", port, "--tls-cluster", "yes"]);
        }
        args.extend(self.args.iter().map(String::as_str));
        let node = RedisServer::start_with(None, &args).await?;
        Ok((node, ports))
    }

    /// Waits until every node knows every other, and that all slots are served.
    async fn wait_agreed(&self) -> Result<(), Error> {
        let known = format!("cluster_known_nodes:{}\r", self.nodes.len());
        self.wait("the nodes to agree", async |cluster| {
            for index in 0..cluster.nodes.len() {
                let info = cluster.call(index, &["CLUSTER", "INFO"]).await?;
                let info = info.as_str().unwrap_or_default();
                if !info.contains("cluster_state:ok") || !info.contains(&known) {
                    return Ok(false);
                }
            }
            Ok(true)
        })
        .await
    }

    async fn wait(
        &self,
        what: &str,
        mut is_so: impl AsyncFnMut(&Self) -> Result<bool, Error>,
    ) -> Result<(), Error> {
        let deadline = Instant::now() + PATIENCE;
        while !is_so(self).await? {
            if Instant::now() > deadline {
                return Err(Error::Redis(format!("waited {PATIENCE:?} for {what}")));
            }
            // Nodes gossip, and tell nobody when they are done.
            sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }
}
