//! Pages of the log as clients see them: messages and changes, with pictures and the reader's own reactions.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use roomful_store::{History, Reaction, RoomId};

use super::view::Event;
use crate::{
    app::App,
    error::ChatError,
    events::log::{ChangeKind, LoggedChange, MessageView},
    room::Room,
    types::UserId,
};

/// A page of the log, split into messages and their changes.
pub(crate) struct PageView<'a> {
    pub(crate) messages: Vec<MessageView<'a>>,
    pub(crate) changes: Vec<LoggedChange<'a>>,
}

/// The data that pages show beyond their entries.
pub(crate) struct PageContext {
    /// The URLs of those authors who have a picture.
    pictures: foldhash::HashMap<UserId, Arc<str>>,
    /// The reader; `None` for the backend, which gets no `mine`.
    reader: Option<UserId>,
    /// The reader's own reactions among those whose pages do not name all users.
    own: HashMap<(RoomId, u64), HashSet<String>>,
}

impl PageContext {
    /// Reads the context of pages of several rooms. Calls the store at most twice: for authors that are not
    /// cached, and for reactions of more users than their page names.
    ///
    /// # Errors
    /// `unavailable`, `internal`: the store failed.
    pub(crate) async fn read<'a>(
        app: &App,
        reader: Option<&UserId>,
        pages: impl Iterator<Item = (RoomId, &'a History)>,
    ) -> Result<Self, ChatError> {
        let (mut authors, mut unknown) = (Vec::new(), Vec::new());
        for (room, history) in pages {
            authors.extend(history.entries.iter().map(|entry| entry.user_id.as_str()));
            if let Some(reader) = reader {
                unknown.extend(unnamed(room, history, reader));
            }
        }
        let own = async {
            match reader {
                Some(reader) if !unknown.is_empty() => app.store.own_reactions(reader, unknown).await,
                _ => Ok(Vec::new()),
            }
        };
        let (authors, own) = futures_util::join!(app.profiles.of_authors(authors), own);
        let mut by_message: HashMap<_, HashSet<_>> = HashMap::new();
        for Reaction { room, seq, emoji } in own? {
            by_message.entry((room, seq)).or_default().insert(emoji);
        }
        let pictures = authors
            .into_iter()
            .filter_map(|(user, profile)| Some((user, profile.avatar.clone()?)));
        Ok(Self {
            pictures: pictures.collect(),
            reader: reader.cloned(),
            own: by_message,
        })
    }

    /// The size of the pictures' URLs in a page, in bytes.
    pub(crate) fn bytes(&self, history: &History) -> usize {
        let avatars = history
            .entries
            .iter()
            .filter_map(|entry| self.avatar(&entry.user_id));
        avatars.map(|url| url.len()).sum()
    }

    fn avatar(&self, user: &str) -> Option<&Arc<str>> {
        self.pictures.get(user)
    }

    fn mark_own(&self, room: RoomId, message: &mut MessageView<'_>) {
        let Some(reader) = &self.reader else { return };
        let own = self.own.get(&(room, message.seq));
        for reactions in &mut message.reactions {
            let named = reactions.user_ids.iter().any(|user| **user == **reader);
            reactions.mine = Some(named || own.is_some_and(|own| own.contains(reactions.emoji)));
        }
    }
}

/// The reactions of a page that do not name all their users, so that the reader may be one of them.
fn unnamed(room: RoomId, history: &History, reader: &str) -> impl Iterator<Item = Reaction> {
    history.entries.iter().flat_map(move |entry| {
        let reactions = entry.state.reactions.iter().filter(move |reactions| {
            reactions.count > reactions.user_ids.len() as u64
                && !reactions.user_ids.iter().any(|user| user == reader)
        });
        reactions.map(move |reactions| Reaction {
            room,
            seq: entry.seq,
            emoji: reactions.emoji.clone(),
        })
    })
}

impl<'a> PageView<'a> {
    pub(crate) fn of(room: &'a Room, history: &'a History, context: &PageContext) -> Self {
        let (mut messages, mut changes) = (Vec::new(), Vec::new());
        for entry in &history.entries {
            match Event::of(room, entry, context.avatar(&entry.user_id).cloned()) {
                Some(Event::Message(mut message)) => {
                    context.mark_own(room.id, &mut message);
                    messages.push(message);
                }
                Some(Event::Change(kind, mut change)) => {
                    if kind == ChangeKind::Reaction {
                        let is_readers = |reader: &UserId| *change.user_id == **reader;
                        change.mine = context.reader.as_ref().map(is_readers);
                    }
                    changes.push(LoggedChange { kind, change });
                }
                None => {}
            }
        }
        Self { messages, changes }
    }
}
