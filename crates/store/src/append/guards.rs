//! What moderation forbids the authors of a batch: bans, mutes, frozen rooms, slow mode and blocks.
//!
//! A store loads the guards in the transaction that numbers the entries, so no entry of a banned user has a
//! position after the ban's.

use std::collections::BTreeMap;

use foldhash::{HashMap, HashSet};

use crate::{
    EntryKind, NewEntry, Rejected, RoomId,
    moderation::{ALL_ROOMS, slow_mode_wait},
};

/// A user in a room.
pub(crate) type AuthorKey = (RoomId, String);

/// The sanctions and rules that concern a batch.
#[derive(Debug, Default)]
pub(crate) struct Guards {
    /// Sanctions of the batch's authors, in their rooms and in all rooms.
    pub(crate) sanctions: HashMap<AuthorKey, Ends>,
    /// The rooms of the batch that are frozen or in slow mode.
    pub(crate) rooms: HashMap<RoomId, RoomGuard>,
    /// Authors in rooms of two members, of whom one has blocked the other.
    pub(crate) blocked: HashSet<AuthorKey>,
    /// Authors who must be members of their rooms and are not.
    pub(crate) non_members: HashSet<AuthorKey>,
    /// Authors and users whom they mention and who have blocked them.
    pub(crate) blocked_mentions: HashSet<(String, String)>,
    /// When users last sent a message in a room with slow mode by this batch.
    sent: BTreeMap<AuthorKey, i64>,
}

/// When a user's sanctions end; `i64::MIN` without one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ends {
    pub(crate) ban: i64,
    pub(crate) mute: i64,
}

impl Default for Ends {
    fn default() -> Self {
        Self {
            ban: i64::MIN,
            mute: i64::MIN,
        }
    }
}

/// The rules of a room, with the facts about the batch's authors that they depend on.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct RoomGuard {
    pub(crate) frozen: bool,
    /// Milliseconds between two messages of one user; 0 without slow mode.
    pub(crate) slow_mode_ms: i64,
    /// The authors who are moderators or owners of the room.
    pub(crate) moderators: HashSet<String>,
    /// When each author last sent a message.
    pub(crate) last_sends: HashMap<String, i64>,
}

/// The authors of a batch, each once in each room.
pub(crate) fn authors<'a>(appends: &[&'a [NewEntry]]) -> Vec<(RoomId, &'a str)> {
    authors_of(appends, |entry| entry.kind != EntryKind::Control)
}

/// The authors of a batch who must be members of their rooms, each once in each room.
pub(crate) fn members<'a>(appends: &[&'a [NewEntry]]) -> Vec<(RoomId, &'a str)> {
    authors_of(appends, |entry| entry.as_member)
}

fn authors_of<'a>(appends: &[&'a [NewEntry]], which: impl Fn(&NewEntry) -> bool) -> Vec<(RoomId, &'a str)> {
    let entries = appends.iter().copied().flatten();
    let entries = entries.filter(|entry| which(entry));
    let mut authors: Vec<_> = entries.map(|entry| (entry.room, &*entry.user_id)).collect();
    authors.sort_unstable();
    authors.dedup();
    authors
}

/// The mentions of a batch as author and mentioned user, each once.
pub(crate) fn mentions<'a>(appends: &[&'a [NewEntry]]) -> Vec<(&'a str, &'a str)> {
    let entries = appends.iter().copied().flatten();
    let mut mentions: Vec<_> = entries
        .flat_map(|entry| entry.mentions.iter().map(|user| (&*entry.user_id, &**user)))
        .collect();
    mentions.sort_unstable();
    mentions.dedup();
    mentions
}

impl Guards {
    /// True if nothing is forbidden to any author of the batch, as for most.
    pub(crate) fn is_empty(&self) -> bool {
        self.sanctions.is_empty()
            && self.rooms.is_empty()
            && self.blocked.is_empty()
            && self.non_members.is_empty()
    }

    /// Refuses all entries of a user under erasure, as if they were banned from all rooms.
    pub(crate) fn refuse_user(&mut self, user: &str) {
        let ends = self.sanctions.entry((ALL_ROOMS, user.to_owned())).or_default();
        ends.ban = i64::MAX;
    }

    /// Whether a mention counts for the mentioned user, who may have blocked the author.
    pub(super) fn mention_counts(&self, user: &str, author: &str) -> bool {
        self.blocked_mentions.is_empty()
            || !self
                .blocked_mentions
                .contains(&(author.to_owned(), user.to_owned()))
    }

    /// Whether the author may add this entry.
    pub(super) fn check(&self, entry: &NewEntry) -> Result<(), Rejected> {
        if self.is_empty() || entry.kind == EntryKind::Control {
            return Ok(());
        }
        let ends = self.ends(entry);
        if ends.ban > entry.at {
            return Err(Rejected::Banned);
        }
        let author = || (entry.room, entry.user_id.clone());
        if entry.as_member && !self.non_members.is_empty() && self.non_members.contains(&author()) {
            return Err(Rejected::NotMember);
        }
        // Deletes take nothing but away, so those who may not write may delete.
        if entry.kind == EntryKind::Delete {
            return Ok(());
        }
        if ends.mute > entry.at {
            return Err(Rejected::Muted {
                until: crate::moderation::end_of(ends.mute),
            });
        }
        // Blocks bind moderators, too.
        if !self.blocked.is_empty() && self.blocked.contains(&author()) {
            return Err(Rejected::Blocked);
        }
        match self.rooms.get(&entry.room) {
            Some(room) if !entry.exempt && !room.moderators.contains(&entry.user_id) => room.check(entry),
            _ => Ok(()),
        }
    }

    fn ends(&self, entry: &NewEntry) -> Ends {
        if self.sanctions.is_empty() {
            return Ends::default();
        }
        let of = |room| self.sanctions.get(&(room, entry.user_id.clone())).copied();
        let (here, everywhere) = (
            of(entry.room).unwrap_or_default(),
            of(ALL_ROOMS).unwrap_or_default(),
        );
        Ends {
            ban: here.ban.max(everywhere.ban),
            mute: here.mute.max(everywhere.mute),
        }
    }

    /// Notes that the entry was added.
    pub(super) fn note(&mut self, entry: &NewEntry) {
        if entry.kind != EntryKind::Message {
            return;
        }
        let Some(room) = self
            .rooms
            .get_mut(&entry.room)
            .filter(|room| room.slow_mode_ms > 0)
        else {
            return;
        };
        room.last_sends.insert(entry.user_id.clone(), entry.at);
        self.sent.insert((entry.room, entry.user_id.clone()), entry.at);
    }

    /// When each user last sent a message in each room with slow mode, for those who did in this batch.
    pub(crate) fn take_sent(&mut self) -> Vec<(RoomId, String, i64)> {
        let sent = std::mem::take(&mut self.sent).into_iter();
        sent.map(|((room, user), at)| (room, user, at)).collect()
    }
}

impl RoomGuard {
    fn check(&self, entry: &NewEntry) -> Result<(), Rejected> {
        if self.frozen {
            return Err(Rejected::Frozen);
        }
        if entry.kind != EntryKind::Message || self.slow_mode_ms <= 0 {
            return Ok(());
        }
        let Some(last) = self.last_sends.get(&entry.user_id) else {
            return Ok(());
        };
        match slow_mode_wait(self.slow_mode_ms, *last, entry.at) {
            0 => Ok(()),
            retry_after_ms => Err(Rejected::SlowMode { retry_after_ms }),
        }
    }
}
