//! Posting and reading messages without a socket, by the way that clients' messages take.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{
    Map, Value,
    value::{RawValue, to_value},
};

use super::{NO_ROOM, existing, user_id};
use crate::{
    app::App,
    error::ChatError,
    events::chat::{GetHistory, SendMessage, Span},
    handlers::message,
    log::pending::{PendingWrite, WriteContent},
    middleware::auth::display_name,
    reply::{Answer, Reply},
    server::ChatServer,
    types::UserId,
};

/// A message to be posted. The fields are those of `chat:send_message`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Post {
    /// Its author, who need not be a member.
    #[serde(skip)]
    pub user_id: String,
    /// The author's name; without one, that which is remembered of them.
    #[serde(skip)]
    pub name: Option<String>,
    /// What it says.
    pub text: String,
    /// A second post under the same (room, author, id) is a retry and gets the first answer.
    pub client_id: Option<String>,
    /// The seq of the message that it answers.
    pub reply_to: Option<u64>,
    /// The ids of the users that it mentions.
    pub mentions: Vec<String>,
    /// The app's own fields.
    pub metadata: Option<Map<String, Value>>,
}

/// Where a posted message is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Posted {
    /// Its id.
    pub id: String,
    /// Its room.
    pub room: String,
    /// Its place in the room.
    pub seq: u64,
    /// Its time, in milliseconds since 1970.
    pub at: i64,
    /// It was there already, from an earlier post under the same id.
    pub duplicate: bool,
}

impl ChatServer {
    /// Posts a message. When this returns `Ok` it is committed and on its way to the room's sockets; so it may be when
    /// the future is dropped.
    ///
    /// # Errors
    /// `not_found` if there is no such room, `conflict` if the id stands for another message, and those of
    /// `chat:send_message` for what may not be said.
    pub async fn post(&self, room: &str, post: Post) -> Result<Posted, ChatError> {
        let app = &self.app;
        let user = user_id(&post.user_id)?;
        let room = existing(app, room).await?;
        let mut payload = to_value(&post).map_err(|error| broken(&error))?;
        payload["room"] = room.name.as_str().into();
        let SendMessage { client_id, draft, .. } = SendMessage::posted(payload, &app.config.limits)?;
        let body = message::body(app, &room, &draft).await?;
        let name = match post.name {
            Some(name) => display_name(&name),
            None => remembered_name(app, &user).await?,
        };
        let place = Arc::clone(&app.calls)
            .acquire_owned()
            .await
            .map_err(|_| ChatError::Internal)?;
        app.typing.stop(&user, room.id);
        let (reply, answer) = Reply::to_caller(Arc::clone(&app.metrics));
        let pending = PendingWrite {
            user,
            name,
            client_id,
            content: WriteContent::Message(draft),
            body,
            replacement: None,
            reply,
        };
        app.appender.submit(room, pending, place);
        let answer: Answer = answer.await.unwrap_or(Err(ChatError::Internal));
        match answer {
            Ok(sent) => serde_json::from_str(sent.get()).map_err(|error| broken(&error)),
            // Nothing is forbidden here: the room was deleted meanwhile.
            Err(ChatError::Forbidden) => Err(NO_ROOM),
            Err(error) => Err(error),
        }
    }

    /// A page of a room's messages, as `chat:get_history` answers it: the newest ones, or the newest ones before a seq,
    /// or the oldest ones after one.
    ///
    /// # Errors
    /// `not_found` if there is no such room; `invalid_request` if both ends are given.
    pub async fn history(
        &self,
        room: &str,
        before: Option<u64>,
        after: Option<u64>,
        limit: Option<u32>,
    ) -> Result<Box<RawValue>, ChatError> {
        let app = &self.app;
        let room = existing(app, room).await?;
        let span = match (before, after) {
            (None, None) => Span::Latest,
            (Some(before), None) => Span::Before(before),
            (None, Some(after)) => Span::After(after),
            (Some(_), Some(_)) => {
                let message = "before and after exclude each other; give one";
                return Err(ChatError::InvalidRequest(message.to_owned()));
            }
        };
        let limits = &app.config.limits;
        let ask = GetHistory {
            room: room.name.clone(),
            span,
            limit: limit.unwrap_or(limits.default_page).min(limits.max_page),
        };
        let (reply, answer) = Reply::to_caller(Arc::clone(&app.metrics));
        message::answer_history(app, &room, &ask, reply).await;
        match answer.await.unwrap_or(Err(ChatError::Internal)) {
            Err(ChatError::Forbidden) => Err(NO_ROOM),
            answer => answer,
        }
    }
}

async fn remembered_name(app: &App, user: &UserId) -> Result<Option<Arc<str>>, ChatError> {
    let known = app.store.users(&[user.to_string()]).await?.pop();
    Ok(known.and_then(|user| user.name).map(Arc::from))
}

fn broken(error: &serde_json::Error) -> ChatError {
    tracing::error!(%error, "a posted message can't be turned into JSON and back");
    ChatError::Internal
}
