//! Several nodes as one server: a request may reach any of them and is passed on to the one that owns its session, so
//! that no load balancer has to be sticky.
//!
//! | read | for |
//! |---|---|
//! | `tag` | how a session's id names its owner |
//! | `directory`, `book` | where the owner is reached; nothing else is ever connected to |
//! | `seal` | what shows that a request comes from another node |
//! | `forward`, `answer`, `tunnel` | the request, its answer, and the upgrade's stream |

mod answer;
mod book;
mod directory;
mod forward;
mod metrics;
mod seal;
mod tag;
mod tunnel;

use std::{fmt, sync::Arc, time::Duration};

use roomful_bus::Bus;

pub(crate) use self::forward::{CLOSED, Failure, Peers};
pub use self::{
    directory::{Directory, NodeCard, RosterDirectory},
    tag::{BadTag, NodeTag},
};

/// Bytes of the shortest secret that is taken.
const MIN_SECRET: usize = 16;

/// What can't be meant in a cluster's settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClusterError {
    /// The advertised address is no `host:port`.
    #[error("{0:?} can't be advertised to other nodes: it must be host:port")]
    Advertise(String),
    /// The secret is too short.
    #[error("the cluster's secret must have at least {MIN_SECRET} bytes")]
    Secret,
}

/// Bounds and delays of passing requests on.
#[derive(Debug, Clone)]
pub struct ForwardBounds {
    /// How long connecting to a peer may take (2 s).
    pub connect_timeout: Duration,
    /// Requests and tunnels to one peer at a time; more are refused with 503 (10,000). Each parked poll and each upgraded
    /// client that came through this node to another's session is one, and one TCP connection.
    pub max_per_peer: usize,
    /// Idle connections kept to one peer (64).
    pub max_idle: usize,
    /// How often the directory is asked at most (each 500 ms).
    pub refresh_every: Duration,
}

impl Default for ForwardBounds {
    fn default() -> Self {
        ForwardBounds {
            connect_timeout: Duration::from_secs(2),
            max_per_peer: 10_000,
            max_idle: 64,
            refresh_every: Duration::from_millis(500),
        }
    }
}

/// This node's part in a cluster, for [`crate::Builder::cluster`]. Serves one server: each start of a node has a tag of its
/// own, which its sessions' ids begin with.
///
/// ```no_run
/// use std::{sync::Arc, time::Duration};
/// use roomful_bus::{Bus, Hub};
/// use roomful_socket::{WebSocketServer, cluster::Cluster};
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let bus: Arc<dyn Bus> = Hub::default().connect(); // Redis, where nodes are processes
/// let cluster = Cluster::on_bus("10.0.0.1:3000", b"a secret of all the nodes", bus.clone())?;
/// // Say where this node is before clients come, and again well before the lease ends.
/// bus.beat("node-1/start-17", cluster.card().to_bytes(), Duration::from_secs(15)).await?;
/// let server = WebSocketServer::builder().cluster(cluster).build();
/// # Ok(())
/// # }
/// ```
///
/// The other nodes speak plain HTTP/1.1 to the advertised address, where [`crate::WebSocketServer::router`] must answer:
/// keep it in a private network. A request carries an HMAC under the secret, so an owner believes nobody but its peers as
/// to who the client is. Origins are checked once, at the node that the client reached.
///
/// A client whose session's node is gone, or can't be reached, hears "Session ID unknown" (400, code 1) at once, as of any
/// session that has ended: the stock client connects anew.
#[derive(Clone)]
pub struct Cluster {
    card: NodeCard,
    secret: Arc<[u8]>,
    directory: Arc<dyn Directory>,
    bus: Option<Arc<dyn Bus>>,
    bounds: ForwardBounds,
    prefix: String,
}

impl Cluster {
    /// A node that others reach at `advertise` (`host:port`, plain HTTP) and that finds them in `directory`. All nodes have
    /// the same `secret`, of at least 16 bytes.
    pub fn new(advertise: &str, secret: &[u8], directory: Arc<dyn Directory>) -> Result<Self, ClusterError> {
        if secret.len() < MIN_SECRET {
            return Err(ClusterError::Secret);
        }
        let card = NodeCard {
            tag: NodeTag::random(),
            advertise: advertise.to_owned(),
        };
        card.authority()?;
        Ok(Cluster {
            card,
            secret: secret.into(),
            directory,
            bus: None,
            bounds: ForwardBounds::default(),
            prefix: String::new(),
        })
    }

    /// As [`Cluster::new`], with the bus's roster as directory; and namespaces and rooms reach over all nodes of the bus.
    pub fn on_bus(advertise: &str, secret: &[u8], bus: Arc<dyn Bus>) -> Result<Self, ClusterError> {
        let directory = Arc::new(RosterDirectory::new(Arc::clone(&bus)));
        let cluster = Self::new(advertise, secret, directory)?;
        Ok(Cluster {
            bus: Some(bus),
            ..cluster
        })
    }

    pub(crate) fn adapter(&self) -> Option<(NodeTag, Arc<dyn Bus>)> {
        Some((self.card.tag, Arc::clone(self.bus.as_ref()?)))
    }

    /// What the other nodes have to know of this one. Whoever keeps the node's lease on the bus puts it into its info,
    /// before the node takes clients.
    pub fn card(&self) -> &NodeCard {
        &self.card
    }

    /// Other bounds than the usual ones.
    pub fn bounds(mut self, bounds: ForwardBounds) -> Self {
        self.bounds = bounds;
        self
    }

    /// Where the nodes' routers are nested, if they are (`axum::Router::nest`): what stands before the server's own path.
    pub fn nested_at(mut self, prefix: &str) -> Self {
        prefix.trim_end_matches('/').clone_into(&mut self.prefix);
        self
    }
}

/// Whether other nodes can be told this address, see [`Cluster::new`].
///
/// # Errors
/// [`ClusterError::Advertise`] if it is no `host:port`.
pub fn check_advertised(advertise: &str) -> Result<(), ClusterError> {
    directory::authority(advertise).map(drop)
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster")
            .field("card", &self.card)
            .field("bounds", &self.bounds)
            .finish_non_exhaustive()
    }
}
