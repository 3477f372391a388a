//! What is going on, in numbers, in all and per node.

use axum::{Json, extract::State};
use roomful_chat::{ChatServer, NodeStats};
use serde::Serialize;
use utoipa::ToSchema;

use super::{super::Problem, openapi::Problems};

/// What is going on.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Stats {
    #[serde(flatten)]
    all: Figures,
    /// The same for each node, the one that answers first; of the others as of their last sign of life.
    nodes: Vec<Node>,
}

/// The figures of one node.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Node {
    /// Which.
    node: String,
    #[serde(flatten)]
    figures: Figures,
}

/// Figures.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Figures {
    /// Authenticated connections.
    connections: usize,
    /// Users who are online; in the sum, one who is on two nodes counts twice.
    users: usize,
    /// Rooms that somebody is subscribed to; in the sum, once for each node.
    rooms: usize,
    /// Messages committed since the start.
    messages_in: u64,
    /// Messages queued for a socket since the start, once for each.
    messages_out: u64,
    /// The same a second, over the last minute or less.
    messages_in_per_second: f64,
    /// The same a second, over the last minute or less.
    messages_out_per_second: f64,
}

/// Shows what is going on.
#[utoipa::path(get, operation_id = "showStats", path = "/api/v1/stats", tag = "stats", responses((status = 200, body = Stats), Problems))]
pub(super) async fn show(State(chat): State<ChatServer>) -> Result<Json<Stats>, Problem> {
    let mut nodes = vec![NodeStats {
        node: chat.node().to_owned(),
        stats: chat.stats(),
    }];
    nodes.extend(chat.other_nodes().await?);
    let nodes: Vec<_> = nodes.into_iter().map(Node::from).collect();
    let mut all = Figures::default();
    for Node { figures, .. } in &nodes {
        all.connections += figures.connections;
        all.users += figures.users;
        all.rooms += figures.rooms;
        all.messages_in += figures.messages_in;
        all.messages_out += figures.messages_out;
        all.messages_in_per_second += figures.messages_in_per_second;
        all.messages_out_per_second += figures.messages_out_per_second;
    }
    Ok(Json(Stats { all, nodes }))
}

impl From<NodeStats> for Node {
    fn from(NodeStats { node, stats }: NodeStats) -> Self {
        let figures = Figures {
            connections: stats.connections,
            users: stats.users,
            rooms: stats.rooms,
            messages_in: stats.messages.committed,
            messages_out: stats.messages.delivered,
            messages_in_per_second: stats.per_second.committed,
            messages_out_per_second: stats.per_second.delivered,
        };
        Self { node, figures }
    }
}
