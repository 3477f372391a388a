//! The other nodes of a cluster, as the engine sees them: where it forwards requests of their sessions.

use std::{future::Future, net::IpAddr, pin::Pin};

use axum::body::Body;
use http::{Request, Response};

use super::http_error::HttpError;
use crate::node_tag::NodeTag;

/// Future returned by [`Peers::forward`].
pub(crate) type Forwarding<'a> = Pin<Box<dyn Future<Output = Result<Response<Body>, HttpError>> + Send + 'a>>;

/// Connections to the other nodes of a cluster.
pub(crate) trait Peers: Send + Sync {
    /// This node's own tag.
    fn own(&self) -> NodeTag;

    /// The client address that another node vouches for. `None` if the request comes from a client itself.
    /// [`HttpError::Forbidden`] if the request only claims to come from a node.
    fn verified_client(&self, request: &Request<Body>) -> Result<Option<IpAddr>, HttpError>;

    /// Counts a request that another node forwarded for a session of a third node.
    fn misdirected(&self);

    /// Ends this share of the tunnels, in thousandths; their clients reconnect to another node. Single
    /// requests are still forwarded until [`Peers::close`], because a broken poll would end a live session.
    fn drain(&self, progress: u16);

    /// Forwards nothing any more.
    fn close(&self);

    /// Whether nothing is being forwarded.
    fn is_idle(&self) -> bool;

    /// Forwards a request to its owner under `path`. An `upgrade` continues as a tunnel.
    fn forward<'a>(
        &'a self,
        owner: NodeTag,
        path: &'a str,
        request: Request<Body>,
        client: IpAddr,
        upgrade: bool,
    ) -> Forwarding<'a>;
}
