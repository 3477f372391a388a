//! Backend calls that show the connections of all nodes.

use super::{room_name, user_id};
use crate::{
    app::NodeAnswers,
    cluster::{NodeAnswer, NodeQuery},
    connection_list::ConnectionQuery,
    error::ChatError,
    server::ChatServer,
};

pub use crate::connection_list::{Connection, ConnectionKey};

/// Which connections to list. The default lists all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConnectionFilter {
    /// Only connections of this user.
    pub user: Option<String>,
    /// Only connections that are subscribed to this room.
    pub room: Option<String>,
    /// Only connections to the node of this name.
    pub node: Option<String>,
}

/// Connections of several nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionPage {
    /// By the name of their node, then in the order of admission.
    pub connections: Vec<Connection>,
    /// The nodes that have not answered in time, whose connections are missing.
    pub missing_nodes: Vec<String>,
}

impl ChatServer {
    /// The connections of all nodes: the first `limit` behind `after`. Each node looks at each of its
    /// connections once, or at those of the user.
    ///
    /// # Errors
    /// `invalid_request` for an invalid id or name, `not_found` if no living node has the name, `unavailable`
    /// if the registry of nodes can't be asked.
    pub async fn connections(
        &self,
        filter: &ConnectionFilter,
        after: Option<ConnectionKey>,
        limit: usize,
    ) -> Result<ConnectionPage, ChatError> {
        filter.user.as_deref().map(user_id).transpose()?;
        filter.room.as_deref().map(room_name).transpose()?;
        let query = NodeQuery::Connections(ConnectionQuery {
            user: filter.user.clone(),
            room: filter.room.clone(),
            after,
            limit,
        });
        let NodeAnswers { answers, missing } = self.app.ask_nodes(query, filter.node.as_deref()).await?;
        let lists = answers.into_iter().map(|(_, answer)| match answer {
            NodeAnswer::Connections(connections) => connections,
            NodeAnswer::Hooks(_) => Vec::new(),
        });
        Ok(ConnectionPage {
            connections: lists.flatten().take(limit).collect(),
            missing_nodes: missing,
        })
    }
}
