//! What operators ask of all nodes, and this node's own answers.

use super::App;
use crate::{
    cluster::{NodeAnswer, NodeQuery},
    error::ChatError,
};

/// The answers of this node and of others.
pub(crate) struct NodeAnswers {
    /// By the names of the nodes.
    pub(crate) answers: Vec<(String, NodeAnswer)>,
    /// The names of those that have not answered in time.
    pub(crate) missing: Vec<String>,
}

impl App {
    /// Asks all nodes, or the one of this name.
    ///
    /// # Errors
    /// `not_found` if no living node has the name, `unavailable` if the registry can't be asked.
    pub(crate) async fn ask_nodes(
        &self,
        query: NodeQuery,
        node: Option<&str>,
    ) -> Result<NodeAnswers, ChatError> {
        let mut answers = Vec::new();
        let mut missing = Vec::new();
        if node.is_none_or(|wanted| wanted == self.node()) {
            answers.push((self.node().to_owned(), self.own_answer(&query)));
        }
        if let Some(cluster) = &self.cluster {
            for (node, answer) in cluster.ask_others(query, node).await? {
                match answer {
                    Some(answer) => answers.push((node, answer)),
                    None => missing.push(node),
                }
            }
        }
        if answers.is_empty() && missing.is_empty() {
            return Err(ChatError::NotFound("no living node has this name"));
        }
        answers.sort_by(|(one, _), (other, _)| one.cmp(other));
        missing.sort_unstable();
        Ok(NodeAnswers { answers, missing })
    }

    /// This node's answer.
    pub(super) fn own_answer(&self, query: &NodeQuery) -> NodeAnswer {
        match query {
            NodeQuery::Connections(query) => {
                let sockets = match &query.user {
                    Some(user) => self.connections.sockets(user),
                    None => self.namespace.sockets(),
                };
                NodeAnswer::Connections(query.list(self.node(), sockets))
            }
            NodeQuery::Hooks => {
                let hooks = self.config.hooks.as_ref();
                NodeAnswer::Hooks(hooks.map_or_else(Vec::new, |hooks| hooks.states()))
            }
        }
    }
}
