//! A candidate as a cluster: two processes on the servers' core, and what stands behind them.

use std::net::SocketAddr;

use crate::behind::Behind;
use crate::error::BenchError;
use crate::server::{Server, Start};
use crate::spent::{Serving, Spent};

/// How many processes a cluster has.
pub(crate) const NODES: usize = 2;

/// A running cluster. Its servers end before what they talk to.
#[derive(Debug)]
pub(crate) struct Cluster {
    nodes: Vec<Server>,
    behind: Behind,
}

impl Cluster {
    /// Starts what the candidate needs, then its processes, one after the other: the first makes the tables.
    pub(crate) fn start(start: &Start<'_>) -> Result<Self, BenchError> {
        let behind = Behind::start(start.mode)?;
        let start = Start {
            links: Some(behind.links()),
            ..*start
        };
        let nodes = (0..NODES).map(|_| Server::start(&start, start.place.fresh_folder()?));
        let nodes = nodes.collect::<Result<_, _>>()?;
        Ok(Self { nodes, behind })
    }

    /// Where a node listens, counted round.
    pub(crate) fn addr(&self, node: usize) -> SocketAddr {
        self.nodes[node % NODES].addr()
    }
}

impl Serving for Cluster {
    fn spent(&self) -> Result<Spent, BenchError> {
        let nodes = self.nodes.iter().map(|node| Ok(node.usage()?.cpu));
        Ok(Spent {
            nodes: nodes.collect::<Result<_, BenchError>>()?,
            redis: self.behind.redis()?,
            postgres: self.behind.postgres()?,
        })
    }
}
