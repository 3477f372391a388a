//! Several nodes as one server: any node accepts a request and forwards it to the owner of its session, so
//! load balancers need no sticky sessions.
//!
//! | module | for |
//! |---|---|
//! | `directory`, `peer_cache` | addresses of the owners; the node connects to nothing else |
//! | `request_signature` | the proof that a request comes from another node |
//! | `forward`, `response_body`, `tunnel` | the request, its response, and the stream of an upgrade |

mod directory;
mod forward;
mod forward_error;
mod forward_permit;
mod metrics;
mod peer_cache;
mod request_signature;
mod response_body;
mod tunnel;

use std::{fmt, sync::Arc, time::Duration};

use roomful_bus::Bus;

use self::forward::ForwardingPeers;

pub use self::directory::{Directory, MembershipDirectory, NodeAddress};
pub use crate::node_tag::{BadTag, NodeTag};
use crate::{
    cors::Cors,
    engine::{EngineServer, Peers, Service},
    settings::Settings,
};

/// Shortest accepted secret in bytes.
const MIN_SECRET: usize = 16;

/// An invalid cluster setting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClusterError {
    /// The advertised address is not `host:port`.
    #[error("{0:?} can't be advertised to other nodes: it must be host:port")]
    Advertise(String),
    /// The secret is too short.
    #[error("the cluster's secret must have at least {MIN_SECRET} bytes")]
    Secret,
}

/// Limits and deadlines of forwarding.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ForwardLimits {
    /// How long connecting to a peer may take (2 s).
    pub connect_timeout: Duration,
    /// Requests and tunnels to one peer at a time (10,000); more get 503. Each parked poll and each
    /// upgraded client of another node's session is one, with its own TCP connection.
    pub max_per_peer: usize,
    /// Idle connections kept per peer (64).
    pub max_idle: usize,
    /// Shortest time between two reads of the directory (500 ms).
    pub refresh_every: Duration,
}

impl Default for ForwardLimits {
    fn default() -> Self {
        ForwardLimits {
            connect_timeout: Duration::from_secs(2),
            max_per_peer: 10_000,
            max_idle: 64,
            refresh_every: Duration::from_millis(500),
        }
    }
}

/// This node's membership in a cluster, for [`crate::Builder::cluster`]. Use it for one server: each run of
/// a node has its own tag, which starts the ids of its sessions.
///
/// ```no_run
/// use std::{sync::Arc, time::Duration};
/// use roomful_bus::{Bus, Hub};
/// use roomful_socket::{WebSocketServer, cluster::Cluster};
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let bus: Arc<dyn Bus> = Hub::default().connect(); // use Redis between processes
/// let cluster = Cluster::on_bus("10.0.0.1:3000", b"a secret of all the nodes", bus.clone())?;
/// // Publish the address before clients connect, and renew it well before the lease ends.
/// bus.heartbeat("node-1/start-17", cluster.node_address().to_bytes(), Duration::from_secs(15)).await?;
/// let server = WebSocketServer::builder().cluster(cluster).build();
/// # Ok(())
/// # }
/// ```
///
/// The nodes speak plain HTTP/1.1 to the advertised address, where [`crate::WebSocketServer::router`] must
/// be served. Keep it in a private network. Each forwarded request carries an HMAC under the secret, so an
/// owner trusts only its peers about the client's address. The node that the client reached checks the
/// origin.
///
/// If the owner of a session is gone or unreachable, the client gets "Session ID unknown" (400, code 1) at
/// once, as for any ended session. The stock client then reconnects.
#[derive(Clone)]
pub struct Cluster {
    address: NodeAddress,
    secret: Arc<[u8]>,
    also_accepted: Vec<Arc<[u8]>>,
    directory: Arc<dyn Directory>,
    bus: Option<Arc<dyn Bus>>,
    bounds: ForwardLimits,
    prefix: String,
}

impl Cluster {
    /// A node that others reach at `advertise` (`host:port`, plain HTTP) and that finds them in
    /// `directory`. All nodes share the same `secret` of at least 16 bytes.
    pub fn new(advertise: &str, secret: &[u8], directory: Arc<dyn Directory>) -> Result<Self, ClusterError> {
        if secret.len() < MIN_SECRET {
            return Err(ClusterError::Secret);
        }
        let address = NodeAddress {
            tag: NodeTag::random(),
            advertise: advertise.to_owned(),
        };
        address.authority()?;
        Ok(Cluster {
            address,
            secret: secret.into(),
            also_accepted: Vec::new(),
            directory,
            bus: None,
            bounds: ForwardLimits::default(),
            prefix: String::new(),
        })
    }

    /// Like [`Cluster::new`], with the members of the bus as directory. Namespaces and rooms then span all
    /// nodes of the bus.
    pub fn on_bus(advertise: &str, secret: &[u8], bus: Arc<dyn Bus>) -> Result<Self, ClusterError> {
        let directory = Arc::new(MembershipDirectory::new(Arc::clone(&bus)));
        let cluster = Self::new(advertise, secret, directory)?;
        Ok(Cluster {
            bus: Some(bus),
            ..cluster
        })
    }

    /// Accepts requests that nodes signed with this `secret`, too, so that nodes can change their secret one
    /// after the other.
    ///
    /// # Errors
    /// If it has less than 16 bytes.
    pub fn also_accept(mut self, secret: &[u8]) -> Result<Self, ClusterError> {
        if secret.len() < MIN_SECRET {
            return Err(ClusterError::Secret);
        }
        self.also_accepted.push(secret.into());
        Ok(self)
    }

    /// The engine's connections to the other nodes.
    pub(crate) fn peers(&self, settings: &Settings) -> Arc<dyn Peers> {
        Arc::new(ForwardingPeers::new(self, settings))
    }

    pub(crate) fn adapter(&self) -> Option<(NodeTag, Arc<dyn Bus>)> {
        Some((self.address.tag, Arc::clone(self.bus.as_ref()?)))
    }

    /// This node's address. Put it into the `info` of the node's lease on the bus before the node takes
    /// clients.
    pub fn node_address(&self) -> &NodeAddress {
        &self.address
    }

    /// Replaces the default limits.
    pub fn bounds(mut self, bounds: ForwardLimits) -> Self {
        self.bounds = bounds;
        self
    }

    /// Path prefix at which the nodes' routers are nested (`axum::Router::nest`).
    pub fn nested_at(mut self, prefix: &str) -> Self {
        prefix.trim_end_matches('/').clone_into(&mut self.prefix);
        self
    }
}

impl EngineServer {
    /// Like [`EngineServer::new`], as a node of a cluster.
    pub fn in_cluster(settings: Settings, cors: Cors, service: Arc<dyn Service>, cluster: &Cluster) -> Self {
        let peers = cluster.peers(&settings);
        Self::with_peers(settings, cors, service, Some(peers))
    }
}

/// Checks an address for [`Cluster::new`].
///
/// # Errors
/// [`ClusterError::Advertise`] if it is not `host:port`.
pub fn check_advertised(advertise: &str) -> Result<(), ClusterError> {
    directory::authority(advertise).map(drop)
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster")
            .field("address", &self.address)
            .field("bounds", &self.bounds)
            .finish_non_exhaustive()
    }
}
