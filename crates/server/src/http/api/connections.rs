//! The API call that lists the connections of all nodes.

use axum::{Json, extract::State};
use roomful_chat::{
    ChatServer,
    admin::{self, ConnectionFilter, ConnectionKey, ConnectionPage},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    Problem,
    body::Query,
    page::{PageQuery, cursor_key, cut, page_limit},
    problems::Problems,
};

/// Which connections to list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ConnectionsQuery {
    /// Only connections of this user.
    #[param(min_length = 1, max_length = 128)]
    user: Option<String>,
    /// Only connections that are subscribed to this room.
    #[param(min_length = 1, max_length = 128)]
    room: Option<String>,
    /// Only connections to the node of this name.
    #[param(min_length = 1)]
    node: Option<String>,
    /// The most items to return. Defaults to 50, capped at 200.
    #[param(value_type = Option<u64>, minimum = 1, maximum = 4_294_967_295_u64)]
    limit: Option<u32>,
    /// The `next` of the previous page.
    #[param(min_length = 1)]
    cursor: Option<String>,
}

/// A connection.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Connection {
    /// The id from the `session` event.
    session_id: String,
    user_id: String,
    /// The user's name in the token.
    name: Option<String>,
    /// The device's name; empty if the client gave none.
    device: String,
    /// The name of the node.
    node: String,
    /// The client's IP address.
    address: String,
    /// `polling` or `websocket`.
    transport: String,
    /// When the client opened it, in milliseconds since 1970.
    connected_at: i64,
    /// When the token expires, in milliseconds since 1970.
    expires_at: i64,
    /// The number of subscribed rooms.
    rooms: usize,
    /// Bytes that wait for the client.
    queued_bytes: usize,
    /// The key of the list: the serial on the node, and the node's name.
    #[serde(skip)]
    key: String,
}

/// A page of connections, by the names of their nodes, then in the order in which the node admitted them.
#[expect(clippy::struct_field_names, reason = "the API's names")]
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Connections {
    connections: Vec<Connection>,
    /// The cursor of the next page. Absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    /// The nodes that have not answered in time, whose connections are missing.
    missing_nodes: Vec<String>,
}

impl From<admin::Connection> for Connection {
    fn from(row: admin::Connection) -> Self {
        Self {
            key: format!("{} {}", row.serial, row.node),
            session_id: row.session_id,
            user_id: row.user_id,
            name: row.name,
            device: row.device,
            node: row.node,
            address: row.address.to_string(),
            transport: row.transport,
            connected_at: row.connected_at,
            expires_at: row.expires_at,
            rooms: row.rooms,
            queued_bytes: row.queued_bytes,
        }
    }
}

/// The connection behind which a page starts.
fn key_of(cursor: &str) -> Result<ConnectionKey, Problem> {
    let parts = cursor.split_once(' ').and_then(|(serial, node)| {
        let serial = serial.parse().ok()?;
        let node = node.to_owned();
        Some(ConnectionKey { node, serial })
    });
    parts.ok_or_else(PageQuery::foreign_cursor)
}

/// Lists the connections of all nodes.
#[utoipa::path(get, operation_id = "listConnections", path = "/api/v1/connections", tag = "stats",
    params(ConnectionsQuery),
    responses((status = 200, body = Connections), Problems))]
pub(super) async fn list(
    State(chat): State<ChatServer>,
    Query(query): Query<ConnectionsQuery>,
) -> Result<Json<Connections>, Problem> {
    let limit = page_limit(query.limit)?;
    let after = cursor_key(query.cursor.as_deref())?;
    let after = after.as_deref().map(key_of).transpose()?;
    let filter = ConnectionFilter {
        user: query.user,
        room: query.room,
        node: query.node,
    };
    let most = usize::try_from(limit).unwrap_or(usize::MAX).saturating_add(1);
    let ConnectionPage {
        connections: rows,
        missing_nodes,
    } = chat.connections(&filter, after, most).await?;
    let mut connections: Vec<_> = rows.into_iter().map(Connection::from).collect();
    let next = cut(&mut connections, limit, |connection| &connection.key);
    Ok(Json(Connections {
        connections,
        next,
        missing_nodes,
    }))
}
