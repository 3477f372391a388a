//! Backend calls for posting and reading messages, on the same path as clients' messages.

use std::sync::Arc;

use roomful_store::{EntryKind, NewEntry, RoomId};
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_value};

use super::{NO_ROOM, existing, user_id};
use crate::{
    app::Sender,
    error::ChatError,
    events::chat::{GetHistory, SendMessage, Span},
    handlers::message::{self, Admitted},
    log::pending::{PendingWrite, WriteContent},
    middleware::auth::display_name,
    reply::{Answer, Reply},
    server::ChatServer,
    types::{Limits, Metadata},
};

/// A message to post. The fields are those of `chat:send_message`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Post {
    /// The author, who need not be a member.
    #[serde(skip)]
    pub user_id: String,
    /// The author's name; if absent, their stored one.
    #[serde(skip)]
    pub name: Option<String>,
    /// The text.
    pub text: String,
    /// The idempotency key: a second post of the same room, author and id gets the first one's result.
    pub client_id: Option<String>,
    /// The seq of the message that this one replies to.
    pub reply_to: Option<u64>,
    /// The ids of the mentioned users.
    pub mentions: Vec<String>,
    /// The app's own fields.
    #[serde(skip)]
    pub metadata: Option<Metadata>,
}

impl Post {
    /// Applies the rules for messages of clients.
    fn checked(self, room: &str, limits: &Limits) -> Result<SendMessage, ChatError> {
        let mut payload = to_value(&self).map_err(|error| broken(&error))?;
        payload["room"] = room.into();
        SendMessage::posted(payload, self.metadata, limits)
    }

    /// The log entry of a message that another system accepted at the time `at`, for an import. The room's
    /// name is only checked.
    ///
    /// # Errors
    /// The validation errors of `chat:send_message`.
    pub fn into_entry(
        self,
        (room, name): (RoomId, &str),
        at: i64,
        limits: &Limits,
    ) -> Result<NewEntry, ChatError> {
        let user = user_id(&self.user_id)?;
        let user_name = self.name.as_deref().and_then(display_name);
        let SendMessage { client_id, draft, .. } = self.checked(name, limits)?;
        Ok(NewEntry {
            room,
            kind: EntryKind::Message,
            target: None,
            user_id: user.to_string(),
            user_name: user_name.map(|name| name.to_string()),
            client_id,
            body: serde_json::to_string(&draft).map_err(|error| broken(&error))?,
            mentions: draft.mentions,
            replacement: None,
            at,
            charged: false,
            // The other system has accepted it.
            exempt: true,
            as_member: false,
        })
    }
}

/// The result of a post.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Posted {
    /// Its id.
    pub id: String,
    /// Its room.
    pub room: String,
    /// Its seq in the room.
    pub seq: u64,
    /// Its time, in milliseconds since 1970.
    pub at: i64,
    /// Whether an earlier post had this id.
    pub duplicate: bool,
}

impl ChatServer {
    /// Posts a message. `Ok` means that it is committed and on its way to the room's sockets. Dropping the
    /// future does not cancel a post that is queued for its commit.
    ///
    /// # Errors
    /// `refused` if a rule or a hook does not allow it, `not_found` if the room does not exist, `conflict` if
    /// the id belongs to another message, and the validation errors of `chat:send_message`.
    pub async fn post(&self, room: &str, mut post: Post) -> Result<Posted, ChatError> {
        let app = &self.app;
        let user = user_id(&post.user_id)?;
        let room = existing(app, room).await?;
        let name = post.name.take();
        let asked = post.checked(room.name.as_str(), &app.config.limits)?;
        let SendMessage {
            client_id, mut draft, ..
        } = asked;
        let sender = Sender {
            user: &user,
            client_id: client_id.as_deref(),
            exempt: false,
        };
        let Admitted { body, stored } = message::admit(app, &room, sender, &mut draft).await?;
        let profile = app.profiles.one(&user).await?;
        let name = match name {
            Some(name) => display_name(&name),
            None => profile.name.clone(),
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
            avatar: profile.avatar.clone(),
            client_id,
            content: WriteContent::Message(draft),
            body,
            replacement: None,
            charged: false,
            exempt: false,
            as_member: false,
            reply,
        };
        match stored {
            Some(stored) => pending.answer_retry(&room, stored),
            None => app.appender.submit(room, pending, place),
        }
        let answer: Answer = answer.await.unwrap_or(Err(ChatError::Internal));
        match answer {
            Ok(sent) => serde_json::from_str(sent.get()).map_err(|error| broken(&error)),
            // The backend needs no membership, so this means that the room was deleted meanwhile.
            Err(ChatError::Forbidden) => Err(NO_ROOM),
            Err(error) => Err(error),
        }
    }

    /// A page of a room's messages as `chat:get_history` returns it: the newest ones, the newest before a
    /// seq, or the oldest after one.
    ///
    /// # Errors
    /// `not_found` if the room does not exist, `invalid_request` with both `before` and `after`.
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
        message::answer_history(app, &room, &ask, None, reply).await;
        match answer.await.unwrap_or(Err(ChatError::Internal)) {
            Err(ChatError::Forbidden) => Err(NO_ROOM),
            answer => answer,
        }
    }
}

fn broken(error: &serde_json::Error) -> ChatError {
    tracing::error!(%error, "failed to convert a posted message to JSON and back");
    ChatError::Internal
}
