//! The API calls for statistics of the cluster and its nodes.

use axum::{Json, extract::State};
use roomful_chat::{ChatServer, NodeStats, StatsSample};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Problem, body::Query, problems::Problems};

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
#[derive(Debug, Clone, Copy, Default, Serialize, ToSchema)]
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
    let all = nodes.iter().map(|node| node.figures).sum();
    Ok(Json(Stats { all, nodes }))
}

/// Whose figures to show.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct HistoryQuery {
    /// The name of a node. By default the node that answers.
    #[param(min_length = 1)]
    node: Option<String>,
    /// True for the sum of all nodes.
    #[serde(default)]
    all: bool,
}

/// The figures of a node or of all nodes, over the last hours.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct StatsHistory {
    /// The name of the node. Absent for the sum.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    node: Option<String>,
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

/// Shows statistics of the last three hours, as the node that answers has seen them since its start.
#[utoipa::path(get, operation_id = "showStatsHistory", path = "/api/v1/stats/history", tag = "stats",
    params(HistoryQuery), responses((status = 200, body = StatsHistory), Problems))]
pub(super) async fn history(
    State(chat): State<ChatServer>,
    Query(query): Query<HistoryQuery>,
) -> Result<Json<StatsHistory>, Problem> {
    if query.all && query.node.is_some() {
        return Err(Problem::Invalid("node and all exclude each other".into()));
    }
    if query.node.as_deref() == Some("") {
        return Err(Problem::Invalid("node must be the name of a node".into()));
    }
    let own = chat.node();
    let node = (!query.all).then(|| query.node.unwrap_or_else(|| own.to_owned()));
    let figures = |sample: &StatsSample| match &node {
        None => sum(sample),
        Some(node) if node == own => Some(sample.stats.into()),
        Some(node) => of_other(sample, node),
    };
    let samples = chat.stats_history();
    let samples = samples.iter().filter_map(|sample| {
        Some(Sample {
            at: sample.at,
            figures: figures(sample)?,
        })
    });
    Ok(Json(StatsHistory {
        samples: samples.collect(),
        node,
        interval_ms: ChatServer::STATS_INTERVAL_MS,
    }))
}

/// The figures of another node, if they were known.
fn of_other(sample: &StatsSample, node: &str) -> Option<Figures> {
    let mut others = sample.others.iter().flatten();
    others
        .find(|other| other.node == node)
        .map(|other| other.stats.into())
}

/// The sum of all nodes, if their figures were known.
fn sum(sample: &StatsSample) -> Option<Figures> {
    let others = sample.others.as_ref()?.iter().map(|other| other.stats);
    let all = std::iter::once(sample.stats).chain(others);
    Some(all.map(Figures::from).sum())
}

impl std::iter::Sum for Figures {
    fn sum<I: Iterator<Item = Self>>(figures: I) -> Self {
        figures.fold(Self::default(), |sum, figures| Self {
            connections: sum.connections + figures.connections,
            users: sum.users + figures.users,
            rooms: sum.rooms + figures.rooms,
            messages_in: sum.messages_in + figures.messages_in,
            messages_out: sum.messages_out + figures.messages_out,
            messages_in_per_second: sum.messages_in_per_second + figures.messages_in_per_second,
            messages_out_per_second: sum.messages_out_per_second + figures.messages_out_per_second,
        })
    }
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
