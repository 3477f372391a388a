//! The online users, as lifecycle events and reports need them.

use std::collections::HashSet;

use async_trait::async_trait;

use crate::error::ChatError;

/// The online users of all nodes, and the duty of reporting them.
#[async_trait]
pub(crate) trait OnlineUsers: Send + Sync {
    /// Waits until this node has a lease in its cluster, if it is in one.
    async fn lease_held(&self);

    /// Whether this node has a duty that one node has for all, for now.
    async fn is_leader_for(&self, duty: &str) -> bool;

    /// Those of the users who are online on any node.
    ///
    /// # Errors
    /// `unavailable` if the registry can't be asked.
    async fn online_among(&self, users: &[String]) -> Result<HashSet<String>, ChatError>;

    /// As [`OnlineUsers::online_among`], but `None` while absence from the registry proves nothing: it has
    /// lost entries, and other nodes have not put theirs again yet.
    ///
    /// # Errors
    /// `unavailable` if the registry can't be asked.
    async fn confirmed_online(&self, users: &[String]) -> Result<Option<HashSet<String>>, ChatError>;
}
