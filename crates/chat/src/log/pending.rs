//! A write that waits for its commit: its entry, its event and its answer.

use std::{borrow::Cow, sync::Arc};

use roomful_store::{Appended, EntryKind, NewEntry, Recorded, Rejected};

use super::view::{self, Event};
use crate::{
    error::ChatError,
    events::{
        chat::{Sent, message_id},
        log::{ChangeKind, ChangeView, Changed, EditBody, MessageView},
    },
    reply::Reply,
    room::Room,
    types::UserId,
    types::{Change, Draft},
};

/// A message, or a change of one, that waits for its commit.
pub(crate) struct PendingWrite {
    pub(crate) user: UserId,
    pub(crate) name: Option<Arc<str>>,
    pub(crate) avatar: Option<Arc<str>>,
    pub(crate) client_id: Option<String>,
    pub(crate) content: WriteContent,
    /// The body of its entry, as JSON.
    pub(crate) body: String,
    /// For an edit that erases earlier texts: the body of the message after it.
    pub(crate) replacement: Option<String>,
    /// Whether its size counts towards the user's daily quota.
    pub(crate) charged: bool,
    /// Whether the author's token makes them a moderator.
    pub(crate) exempt: bool,
    /// Whether the author must be a member of the room.
    pub(crate) as_member: bool,
    pub(crate) reply: Reply,
}

/// What a write adds to the log.
pub(crate) enum WriteContent {
    Message(Draft),
    /// A change of the message with this seq. The handler has checked that the user may make it.
    Change(u64, Change),
}

impl WriteContent {
    /// The kind of its entry.
    pub(super) const fn kind(&self) -> EntryKind {
        match self {
            Self::Message(_) => EntryKind::Message,
            Self::Change(_, change) => entry_kind(change),
        }
    }
}

/// The body of the entry that makes a change.
pub(crate) fn change_body(change: &Change) -> Result<String, serde_json::Error> {
    match change {
        Change::Edit { text } => serde_json::to_string(&EditBody { text: text.into() }),
        Change::Delete => Ok(String::new()),
        Change::Reaction { emoji, .. } => Ok(emoji.clone()),
    }
}

impl PendingWrite {
    pub(super) fn entry(&self, room: &Room, at: i64) -> NewEntry {
        let (target, mentions) = match &self.content {
            WriteContent::Message(draft) => (None, draft.mentions.clone()),
            WriteContent::Change(seq, _) => (Some(*seq), Vec::new()),
        };
        NewEntry {
            room: room.id,
            kind: self.content.kind(),
            target,
            user_id: self.user.to_string(),
            user_name: self.name.as_deref().map(str::to_owned),
            client_id: self.client_id.clone(),
            body: self.body.clone(),
            mentions,
            at,
            replacement: self.replacement.clone(),
            charged: self.charged,
            exempt: self.exempt,
            as_member: self.as_member,
        }
    }

    /// The event for the room, once the entry has the seq `seq`.
    pub(super) fn event<'a>(&'a self, room: &'a Room, seq: u64, at: i64) -> Event<'a> {
        match &self.content {
            WriteContent::Message(draft) => Event::Message(MessageView {
                id: message_id(&room.epoch, seq),
                room: &room.name,
                seq,
                user_id: &self.user,
                name: self.name.as_deref(),
                avatar: self.avatar.clone(),
                at,
                client_id: self.client_id.as_deref(),
                draft: Cow::Borrowed(draft),
                edited_at: None,
                deleted: false,
                reactions: Vec::new(),
            }),
            WriteContent::Change(target, change) => {
                let bare = view::bare_change((*target, seq), &self.user, self.client_id.as_deref(), at);
                let (kind, change) = match change {
                    Change::Edit { text } => {
                        let text = Some(Cow::Borrowed(text.as_str()));
                        (ChangeKind::Edited, ChangeView { text, ..bare })
                    }
                    Change::Delete => (ChangeKind::Deleted, bare),
                    Change::Reaction { emoji, removed } => {
                        let (emoji, removed) = (Some(emoji.as_str()), Some(*removed));
                        (
                            ChangeKind::Reaction,
                            ChangeView {
                                emoji,
                                removed,
                                ..bare
                            },
                        )
                    }
                };
                Event::Change(kind, change)
            }
        }
    }

    /// Answers the sender of a write that is stored already.
    pub(crate) fn answer_retry(self, room: &Room, stored: Recorded) {
        let Recorded { seq, at, .. } = stored;
        self.answer(room, Ok(Appended::Duplicate { seq, at }));
    }

    /// Answers the sender with what the store made of the write.
    pub(super) fn answer(self, room: &Room, result: Result<Appended, Rejected>) {
        let logged = match result {
            Ok(Appended::New { seq, at }) => Some((seq, at, false)),
            Ok(Appended::Duplicate { seq, at }) => Some((seq, at, true)),
            Ok(Appended::Unchanged) => None,
            Err(rejected) => return self.reply.fail(&refusal(rejected)),
        };
        match (self.content, logged) {
            (WriteContent::Message(_), Some((seq, at, duplicate))) => self.reply.succeed(&Sent {
                id: message_id(&room.epoch, seq),
                room: &room.name,
                seq,
                at,
                duplicate,
            }),
            (WriteContent::Message(_), None) => self.reply.fail(&ChatError::Internal),
            (WriteContent::Change(seq, _), logged) => self.reply.succeed(&Changed {
                room: &room.name,
                seq,
                at: logged.map(|(_, at, _)| at),
                log_seq: logged.map(|(log_seq, ..)| log_seq),
                duplicate: logged.is_none_or(|(.., duplicate)| duplicate),
            }),
        }
    }
}

const fn entry_kind(change: &Change) -> EntryKind {
    match change {
        Change::Edit { .. } => EntryKind::Edit,
        Change::Delete => EntryKind::Delete,
        Change::Reaction { removed, .. } => EntryKind::Reaction { removed: *removed },
    }
}

fn refusal(rejected: Rejected) -> ChatError {
    match rejected {
        Rejected::Conflict { seq } => ChatError::Conflict { seq },
        Rejected::NoSuchRoom | Rejected::NotMember => ChatError::Forbidden,
        Rejected::NoSuchMessage => view::NO_MESSAGE,
        Rejected::TooManyEdits => ChatError::TooManyEdits,
        Rejected::DailyBytes => ChatError::WroteTooMuch,
        Rejected::Banned => ChatError::Banned,
        Rejected::Muted { .. } => ChatError::Muted,
        Rejected::SlowMode { retry_after_ms } => ChatError::SlowMode { retry_after_ms },
        Rejected::Frozen => ChatError::Frozen,
        Rejected::Blocked => ChatError::Blocked,
        Rejected::TooManyReactions => ChatError::InvalidRequest(
            "chat:react: this message has as many different reactions as it may have; take one of them"
                .into(),
        ),
    }
}
