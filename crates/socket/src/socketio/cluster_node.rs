//! A server's part in a cluster, as its builder sees it.

use std::{fmt, sync::Arc};

use super::{namespaces::Namespaces, remote_nodes::RemoteNodes};
use crate::{engine::Peers, settings::Settings};

/// This server's part in a cluster.
pub(super) trait ClusterNode: fmt::Debug + Send + Sync {
    /// The engine's connections to the other nodes.
    fn peers(&self, settings: &Settings) -> Arc<dyn Peers>;

    /// The connection of the namespaces to the other nodes. `None` if namespaces stay within a node.
    fn remote_nodes(&self, namespaces: &Arc<Namespaces>, settings: &Settings)
    -> Option<Arc<dyn RemoteNodes>>;
}
