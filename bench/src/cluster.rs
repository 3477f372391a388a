//! A candidate as a cluster: two processes on the servers' core, and their services.

use std::net::SocketAddr;

use crate::error::BenchError;
use crate::server::{Server, Start};
use crate::services::Services;
use crate::spent::{Serving, Spent};

/// Processes in a cluster.
pub(crate) const NODES: usize = 2;

/// A running cluster. Its servers end before its services.
#[derive(Debug)]
pub(crate) struct Cluster {
    nodes: Vec<Server>,
    services: Services,
}

impl Cluster {
    /// Starts the services, then the processes one after the other: the first one creates the tables.
    pub(crate) fn start(start: &Start<'_>) -> Result<Self, BenchError> {
        let services = Services::start(start.mode)?;
        let start = Start {
            links: Some(services.links()),
            ..*start
        };
        let nodes = (0..NODES).map(|_| Server::start(&start, start.checkout.fresh_folder()?));
        let nodes = nodes.collect::<Result<_, _>>()?;
        Ok(Self { nodes, services })
    }

    /// The address of a node, round robin.
    pub(crate) fn addr(&self, node: usize) -> SocketAddr {
        self.nodes[node % NODES].addr()
    }
}

impl Serving for Cluster {
    fn spent(&self) -> Result<Spent, BenchError> {
        let nodes = self.nodes.iter().map(|node| Ok(node.usage()?.cpu));
        Ok(Spent {
            nodes: nodes.collect::<Result<_, BenchError>>()?,
            redis: self.services.redis()?,
            postgres: self.services.postgres()?,
        })
    }
}
