//! What is going on, in numbers, in all and per node.

use axum::{Json, extract::State};
use roomful_chat::ChatServer;
use serde::Serialize;
use utoipa::ToSchema;

use super::openapi::Problems;

/// What is going on.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Stats {
    #[serde(flatten)]
    all: Figures,
    /// The same for each node. This build serves on one.
    nodes: Vec<Node>,
}

/// The figures of one node.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Node {
    /// Which.
    node: &'static str,
    #[serde(flatten)]
    figures: Figures,
}

/// Figures.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Figures {
    /// Authenticated connections.
    connections: usize,
    /// Users who are online.
    users: usize,
    /// Rooms that somebody is subscribed to.
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
pub(super) async fn show(State(chat): State<ChatServer>) -> Json<Stats> {
    let stats = chat.stats();
    let figures = Figures {
        connections: stats.connections,
        users: stats.users,
        rooms: stats.rooms,
        messages_in: stats.messages.committed,
        messages_out: stats.messages.delivered,
        messages_in_per_second: stats.per_second.committed,
        messages_out_per_second: stats.per_second.delivered,
    };
    Json(Stats {
        all: figures.clone(),
        nodes: vec![Node {
            node: "local",
            figures,
        }],
    })
}
