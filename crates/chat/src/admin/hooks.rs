//! The backend call that shows the state of the hooks on all nodes.

use crate::{
    app::NodeAnswers,
    cluster::{NodeAnswer, NodeQuery},
    error::ChatError,
    hooks::HookState,
    server::ChatServer,
};

/// The hooks of several nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookStates {
    /// The hooks of each node, by its name.
    pub nodes: Vec<(String, Vec<HookState>)>,
    /// The nodes that have not answered in time.
    pub missing_nodes: Vec<String>,
}

impl ChatServer {
    /// The state of the hooks on all nodes, or on the node of this name.
    ///
    /// # Errors
    /// `not_found` if no living node has the name, `unavailable` if the registry of nodes can't be asked.
    pub async fn hooks(&self, node: Option<&str>) -> Result<HookStates, ChatError> {
        let NodeAnswers { answers, missing } = self.app.ask_nodes(NodeQuery::Hooks, node).await?;
        let nodes = answers.into_iter().map(|(node, answer)| match answer {
            NodeAnswer::Hooks(hooks) => (node, hooks),
            NodeAnswer::Connections(_) => (node, Vec::new()),
        });
        Ok(HookStates {
            nodes: nodes.collect(),
            missing_nodes: missing,
        })
    }
}
