//! The questions to the app's hooks. Without a hook for an event they cost one comparison.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use roomful_store::{EntryKind, Recorded, Role, RoomKind};
use serde_json::value::RawValue;

use super::App;
use crate::{
    error::ChatError,
    hooks::{HookEvent, Hooks, Question, QuestionedMessage, Replacement, Verdict},
    room::Room,
    types::{Claims, Draft, RoomName, UserId},
};

/// The author of a message or an edit.
#[derive(Clone, Copy)]
pub(crate) struct Sender<'a> {
    pub(crate) user: &'a UserId,
    pub(crate) client_id: Option<&'a str>,
    /// Whether frozen rooms and slow mode do not bind them in any room.
    pub(crate) exempt: bool,
}

impl App {
    /// Asks about a new message, and changes it by the answer. Asks nobody about the retry of a stored
    /// message, and returns that message. Asks nobody about a message that the log would refuse.
    ///
    /// # Errors
    /// `refused`, `unavailable`; `conflict` if the client id belongs to another kind of entry; those of the
    /// log for a sender who may not write.
    pub(crate) async fn ask_about_message(
        &self,
        room: &Room,
        sender: Sender<'_>,
        draft: &mut Draft,
    ) -> Result<Option<Recorded>, ChatError> {
        let Some(hooks) = self.hooks_for(HookEvent::Send, Some(room.name.as_str())) else {
            return Ok(None);
        };
        let stored = self.stored(room, sender, (EntryKind::Message, None));
        if let Some(recorded) = stored.await? {
            return Ok(Some(recorded));
        }
        self.check_may_write(room, sender, EntryKind::Message).await?;
        let message = QuestionedMessage {
            seq: None,
            text: &draft.text,
            client_id: sender.client_id,
            reply_to: draft.reply_to,
            mentions: &draft.mentions,
            metadata: draft.metadata.as_ref(),
        };
        if let Some(replacement) = self.ask(hooks, question(sender.user, room, message)).await? {
            replacement.apply(draft);
        }
        Ok(None)
    }

    /// Asks about an edit of the message `seq`, and changes its text by the answer. Asks nobody about the
    /// retry of a stored edit, and returns that edit.
    ///
    /// # Errors
    /// Those of [`Self::ask_about_message`].
    pub(crate) async fn ask_about_edit(
        &self,
        room: &Room,
        sender: Sender<'_>,
        (seq, text): (u64, &mut String),
    ) -> Result<Option<Recorded>, ChatError> {
        let Some(hooks) = self.hooks_for(HookEvent::Send, Some(room.name.as_str())) else {
            return Ok(None);
        };
        let stored = self.stored(room, sender, (EntryKind::Edit, Some(seq)));
        if let Some(recorded) = stored.await? {
            return Ok(Some(recorded));
        }
        self.check_may_write(room, sender, EntryKind::Edit).await?;
        let message = QuestionedMessage {
            seq: Some(seq),
            text,
            client_id: sender.client_id,
            reply_to: None,
            mentions: &[],
            metadata: None,
        };
        let replacement = self.ask(hooks, question(sender.user, room, message)).await?;
        if let Some(new) = replacement.and_then(|replacement| replacement.text) {
            *text = new;
        }
        Ok(None)
    }

    /// Refuses a sender with a ban or mute, or under the room's rules. The log decides again when
    /// it takes the entry.
    async fn check_may_write(
        &self,
        room: &Room,
        sender: Sender<'_>,
        kind: EntryKind,
    ) -> Result<(), ChatError> {
        if self.is_banned_from(Some(room.id), sender.user).await? {
            return Err(ChatError::Banned);
        }
        let now = self.clock.now_ms();
        let restrictions = self.store.restrictions(&[room.id], sender.user, now).await?;
        let restrictions = restrictions.into_iter().next().unwrap_or_default();
        if restrictions.mute.is_some() {
            return Err(ChatError::Muted);
        }
        let refused = match (restrictions.rules.frozen, restrictions.wait_ms(now)) {
            (true, _) => ChatError::Frozen,
            (false, retry_after_ms @ 1..) if kind == EntryKind::Message => {
                ChatError::SlowMode { retry_after_ms }
            }
            _ => return Ok(()),
        };
        let member = self.store.member(room.id, sender.user).await?;
        if sender.exempt || member.is_some_and(|member| member.role > Role::Member) {
            return Ok(());
        }
        Err(refused)
    }

    /// Asks before a join makes the user a member. Does not ask about joins that make no new membership, and
    /// about those that fail anyway.
    ///
    /// # Errors
    /// `refused`, `unavailable`; `internal` if the store failed.
    pub(crate) async fn ask_to_join(&self, user: &UserId, name: &RoomName) -> Result<(), ChatError> {
        let Some(hooks) = self.hooks_for(HookEvent::Join, Some(name.as_str())) else {
            return Ok(());
        };
        let may_become_member = match self.rooms.open(name, None).await? {
            None => self.config.may_create(name.as_str()),
            Some(room) => {
                let row = self.store.room(room.id).await?;
                let is_public = row.is_some_and(|row| row.kind == RoomKind::Public);
                is_public && self.store.member(room.id, user).await?.is_none()
            }
        };
        if !may_become_member {
            return Ok(());
        }
        let question = Question {
            event: HookEvent::Join,
            user,
            room: Some(name.as_str()),
            message: None,
            claims: None,
        };
        self.ask(hooks, question).await.map(drop)
    }

    /// Asks before a client with a verified token connects.
    ///
    /// # Errors
    /// `refused`, `unavailable`.
    pub(crate) async fn ask_to_connect(&self, claims: &Claims, token: &str) -> Result<(), ChatError> {
        let Some(hooks) = self.hooks_for(HookEvent::Connect, None) else {
            return Ok(());
        };
        let all = all_claims(token);
        let question = Question {
            event: HookEvent::Connect,
            user: &claims.user,
            room: None,
            message: None,
            claims: all.as_deref(),
        };
        self.ask(hooks, question).await.map(drop)
    }

    /// Whether a hook is asked about messages of the room.
    pub(crate) fn asks_about_messages(&self, room: &Room) -> bool {
        self.hooks_for(HookEvent::Send, Some(room.name.as_str()))
            .is_some()
    }

    fn hooks_for(&self, event: HookEvent, room: Option<&str>) -> Option<&dyn Hooks> {
        let hooks = self.config.hooks.as_deref();
        hooks.filter(|hooks| hooks.concerns(event, room))
    }

    /// The entry that the user stored under this client id. Does not compare the text, since a hook may have
    /// replaced it.
    pub(super) async fn stored(
        &self,
        room: &Room,
        sender: Sender<'_>,
        (kind, target): (EntryKind, Option<u64>),
    ) -> Result<Option<Recorded>, ChatError> {
        let Some(client_id) = sender.client_id else {
            return Ok(None);
        };
        let Some(recorded) = self.store.recorded(room.id, sender.user, client_id).await? else {
            return Ok(None);
        };
        if (recorded.kind, recorded.target) != (kind, target) {
            return Err(ChatError::Conflict { seq: recorded.seq });
        }
        // Another node may have stored it. Clients get the entry before the ack.
        self.follower.catch_up_to(room, recorded.seq).await?;
        Ok(Some(recorded))
    }

    /// The replacement that the hooks ask for, if they allow the event.
    async fn ask(&self, hooks: &dyn Hooks, question: Question<'_>) -> Result<Option<Replacement>, ChatError> {
        match hooks.ask(question).await {
            Verdict::Allow => Ok(None),
            Verdict::Replace(replacement) => {
                replacement.check(&self.config.limits).map_err(|error| {
                    tracing::error!(%error, "a hook replaced a message by an invalid one");
                    ChatError::Internal
                })?;
                Ok(Some(replacement))
            }
            Verdict::Refuse(reason) => Err(ChatError::Refused(reason)),
            Verdict::Undecided => Err(ChatError::Undecided),
            Verdict::Busy => Err(ChatError::Unavailable(
                "the app has too many requests to decide about",
            )),
        }
    }
}

fn question<'a>(user: &'a UserId, room: &'a Room, message: QuestionedMessage<'a>) -> Question<'a> {
    Question {
        event: HookEvent::Send,
        user,
        room: Some(room.name.as_str()),
        message: Some(message),
        claims: None,
    }
}

/// The claims of a verified token, as its issuer wrote them.
fn all_claims(token: &str) -> Option<Box<RawValue>> {
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    serde_json::from_slice(&payload).ok()
}
