//! The API call that posts notifications.

use axum::extract::State;
use roomful_chat::{ChatServer, Notify};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::{Problem, audit::Changed, body::Body, problems::Problems};

/// A notification to post.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct NewNotification {
    /// The recipients, at most `notifications.recipients`.
    #[schema(min_items = 1)]
    user_ids: Vec<String>,
    /// The kind of notification, named by the app.
    #[schema(min_length = 1, max_length = 64)]
    kind: String,
    /// The headline.
    #[schema(max_length = 256)]
    title: String,
    /// The text below the headline.
    body: String,
    /// Custom data of the app.
    #[schema(value_type = Option<Object>)]
    data: Option<Value>,
    /// An id for retries: a second post with the same id returns the first result.
    #[schema(min_length = 1, max_length = 128)]
    id: Option<String>,
    /// The user whose act it announces, such as an invitation. Recipients who have blocked them get no copy.
    #[schema(min_length = 1, max_length = 128)]
    from_user_id: Option<String>,
}

/// A posted notification.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PostedNotification {
    /// The given id, or a generated one.
    id: String,
    /// Milliseconds since 1970.
    at: i64,
    /// True if an earlier post with the same id stored it.
    duplicate: bool,
}

/// Posts a notification. Connected devices get it at once, the others when they connect.
#[utoipa::path(post, operation_id = "postNotification", path = "/api/v1/notifications", tag = "notifications",
    request_body = NewNotification,
    responses(
        (status = 201, description = "The notification is stored.", body = PostedNotification),
        Problems))]
pub(super) async fn post(
    State(chat): State<ChatServer>,
    Body(new): Body<NewNotification>,
) -> Result<Changed<PostedNotification>, Problem> {
    let notify = Notify {
        user_ids: new.user_ids,
        kind: new.kind,
        title: new.title,
        body: new.body,
        data: new.data,
        id: new.id,
        from: new.from_user_id,
    };
    let notified = chat.notify(notify).await?;
    let posted = PostedNotification {
        id: notified.id,
        at: notified.at,
        duplicate: notified.duplicate,
    };
    Ok(Changed::to(posted).created(true))
}
