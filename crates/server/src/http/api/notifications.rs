//! Posting notifications to users, wherever they are.

use axum::{Json, extract::State};
use http::StatusCode;
use roomful_chat::{ChatServer, Notify};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::{Problem, body::Body, openapi::Problems};

/// A notification to be posted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct NewNotification {
    /// Whom it goes to; at most `notifications.recipients`.
    #[schema(min_items = 1)]
    user_ids: Vec<String>,
    /// What sort it is, in the app's own words.
    #[schema(min_length = 1, max_length = 64)]
    kind: String,
    /// A line for people.
    #[schema(max_length = 256)]
    title: String,
    /// More for people.
    body: String,
    /// The app's own data.
    #[schema(value_type = Option<Object>)]
    data: Option<Value>,
    /// A second post under the same id is a retry and gets the first answer.
    #[schema(min_length = 1, max_length = 128)]
    id: Option<String>,
}

/// A posted notification.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PostedNotification {
    /// The one given, or the one made for it.
    id: String,
    /// Milliseconds since 1970.
    at: i64,
    /// It was posted already, under the same id.
    duplicate: bool,
}

/// Posts a notification: live to all the users' sockets, and to each other device when it comes back.
#[utoipa::path(post, operation_id = "postNotification", path = "/api/v1/notifications", tag = "notifications",
    request_body = NewNotification,
    responses((status = 201, description = "It is stored.", body = PostedNotification), Problems))]
pub(super) async fn post(
    State(chat): State<ChatServer>,
    Body(new): Body<NewNotification>,
) -> Result<(StatusCode, Json<PostedNotification>), Problem> {
    let notify = Notify {
        user_ids: new.user_ids,
        kind: new.kind,
        title: new.title,
        body: new.body,
        data: new.data,
        id: new.id,
    };
    let notified = chat.notify(notify).await?;
    let posted = PostedNotification {
        id: notified.id,
        at: notified.at,
        duplicate: notified.duplicate,
    };
    Ok((StatusCode::CREATED, Json(posted)))
}
