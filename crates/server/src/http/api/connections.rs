//! The API call that lists the connections of the node that answers.

use axum::{Json, extract::State};
use roomful_chat::{
    ChatServer,
    admin::{self, ConnectionFilter},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    Problem,
    body::Query,
    page::{PageQuery, cut},
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
    transport: &'static str,
    /// When the client opened it, in milliseconds since 1970.
    connected_at: i64,
    /// When the token expires, in milliseconds since 1970.
    expires_at: i64,
    /// The number of subscribed rooms.
    rooms: usize,
    /// Bytes that wait for the client.
    queued_bytes: usize,
    /// The key of the list.
    #[serde(skip)]
    serial: String,
}

/// A page of connections, in the order in which the node admitted them.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Connections {
    connections: Vec<Connection>,
    /// The cursor of the next page. Absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

impl Connection {
    pub(super) fn of(row: admin::Connection, node: &str) -> Self {
        Self {
            session_id: row.session_id,
            user_id: row.user_id,
            name: row.name,
            device: row.device,
            node: node.to_owned(),
            address: row.address.to_string(),
            transport: row.transport,
            connected_at: row.connected_at,
            expires_at: row.expires_at,
            rooms: row.rooms,
            queued_bytes: row.queued_bytes,
            serial: row.serial.to_string(),
        }
    }
}

/// Lists the connections of the node that answers.
#[utoipa::path(get, operation_id = "listConnections", path = "/api/v1/connections", tag = "stats",
    params(ConnectionsQuery, PageQuery),
    responses((status = 200, body = Connections), Problems))]
pub(super) async fn list(
    State(chat): State<ChatServer>,
    Query(query): Query<ConnectionsQuery>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Connections>, Problem> {
    let limit = page.limit()?;
    let after = match page.after()? {
        Some(cursor) => Some(cursor.parse().map_err(|_| PageQuery::foreign_cursor())?),
        None => None,
    };
    let filter = ConnectionFilter {
        user: query.user,
        room: query.room,
    };
    let most = usize::try_from(limit).unwrap_or(usize::MAX).saturating_add(1);
    let rows = chat.connections(&filter, after, most)?;
    let mut connections: Vec<_> = rows
        .into_iter()
        .map(|row| Connection::of(row, chat.node()))
        .collect();
    let next = cut(&mut connections, limit, |connection| &connection.serial);
    Ok(Json(Connections { connections, next }))
}
