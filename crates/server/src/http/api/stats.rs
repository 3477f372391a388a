//! The API call for statistics of the cluster and its nodes.

use axum::{Json, extract::State};
use roomful_chat::{ChatServer, NodeStats, StatsSample};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Problem, problems::Problems};

/// Statistics of the cluster.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Stats {
    #[serde(flatten)]
    all: Figures,
    /// The same figures per node: first the node that answers, then the others as of their last heartbeat.
    nodes: Vec<Node>,
}

/// The figures of one node.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Node {
    /// The node's name.
    node: String,
    #[serde(flatten)]
    figures: Figures,
}

/// The figures of a node or of all nodes.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Figures {
    /// Authenticated connections.
    connections: usize,
    /// Online users. In the sum, a user with connections to two nodes counts twice.
    users: usize,
    /// Rooms with a subscribed connection. In the sum, a room counts once per node.
    rooms: usize,
    /// Messages committed since the start.
    messages_in: u64,
    /// Messages queued for sockets since the start, counted per socket.
    messages_out: u64,
    /// Messages committed per second, over the last minute or less.
    messages_in_per_second: f64,
    /// Messages queued for sockets per second, over the last minute or less.
    messages_out_per_second: f64,
}

/// Shows statistics.
#[utoipa::path(get, operation_id = "showStats", path = "/api/v1/stats", tag = "stats",
    responses((status = 200, body = Stats), Problems))]
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

/// The figures of the node that answers, over the last hours.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct StatsHistory {
    /// Milliseconds between two samples.
    interval_ms: i64,
    /// At most 720 samples, oldest first.
    samples: Vec<Sample>,
}

/// The figures at one time.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Sample {
    /// Milliseconds since 1970.
    at: i64,
    #[serde(flatten)]
    figures: Figures,
}

/// Shows statistics of the last three hours, for the node that answers.
#[utoipa::path(get, operation_id = "showStatsHistory", path = "/api/v1/stats/history", tag = "stats",
    responses((status = 200, body = StatsHistory), Problems))]
pub(super) async fn history(State(chat): State<ChatServer>) -> Json<StatsHistory> {
    let sample = |StatsSample { at, stats }| Sample {
        at,
        figures: stats.into(),
    };
    Json(StatsHistory {
        interval_ms: ChatServer::STATS_INTERVAL_MS,
        samples: chat.stats_history().into_iter().map(sample).collect(),
    })
}

impl From<NodeStats> for Node {
    fn from(NodeStats { node, stats }: NodeStats) -> Self {
        Self {
            node,
            figures: stats.into(),
        }
    }
}

impl From<roomful_chat::Stats> for Figures {
    fn from(stats: roomful_chat::Stats) -> Self {
        Self {
            connections: stats.connections,
            users: stats.users,
            rooms: stats.rooms,
            messages_in: stats.messages.committed,
            messages_out: stats.messages.delivered,
            messages_in_per_second: stats.per_second.committed,
            messages_out_per_second: stats.per_second.delivered,
        }
    }
}
