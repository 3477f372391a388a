//! A reference implementation of a room with plain lists, for comparison with the engines.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    Appended, Delivered, Edit, Entry, EntryKind, History, InboxCursor, InboxRow, Joined, LogPosition, Marked,
    Member, MessageState, NewEntry, Page, Range, Reactions, Rejected, Retention, Role, RoomRow, Unread,
};

/// The entries that a room keeps.
pub(super) const KEEP: u64 = 12;
/// The emojis that a message may have.
pub(super) const REACTIONS: u32 = 3;

/// A room as plain lists.
pub(super) struct ReferenceRoom {
    pub(super) row: RoomRow,
    entries: Vec<Entry>,
    /// All entries with a client id as they were appended, also those that are no longer kept.
    remembered: Vec<Entry>,
    /// All messages that were deleted.
    deleted: BTreeSet<u64>,
    /// Users that each message mentions.
    mentions: BTreeMap<u64, Vec<String>>,
    /// Members, and whether they are active.
    members: BTreeMap<&'static str, (Member, bool)>,
    /// The number of the newest message in the order of all rooms of the case; 0 without a message.
    latest: u64,
    newest: Option<u64>,
}

impl ReferenceRoom {
    pub(super) fn new(row: RoomRow) -> Self {
        Self {
            row,
            entries: Vec::new(),
            remembered: Vec::new(),
            deleted: BTreeSet::new(),
            mentions: BTreeMap::new(),
            members: BTreeMap::new(),
            newest: None,
            latest: 0,
        }
    }

    /// `number` counts the entries of the case.
    pub(super) fn append(&mut self, new: NewEntry, number: u64) -> Result<Appended, Rejected> {
        let earlier =
            |e: &&Entry| new.client_id.is_some() && e.client_id == new.client_id && e.user_id == new.user_id;
        if let Some(known) = self.remembered.iter().find(earlier) {
            let wiped = match known.kind {
                EntryKind::Message => self.deleted.contains(&known.seq),
                EntryKind::Edit => known.target.is_some_and(|target| self.deleted.contains(&target)),
                _ => false,
            };
            let alike = known.kind == new.kind && known.target == new.target;
            let (seq, at) = (known.seq, known.at);
            return if alike && (wiped || known.body == new.body) {
                Ok(Appended::Duplicate { seq, at })
            } else {
                Err(Rejected::Conflict { seq })
            };
        }
        if let Some(answer) = self.change(&new) {
            return answer;
        }
        self.row.head += 1;
        let seq = self.row.head;
        if new.kind == EntryKind::Message {
            self.newest = Some(seq);
            self.latest = number;
            let others = new.mentions.into_iter().filter(|user| *user != new.user_id);
            self.mentions.insert(seq, others.collect());
        }
        let entry = Entry {
            seq,
            kind: new.kind,
            target: new.target,
            user_id: new.user_id,
            user_name: new.user_name,
            client_id: new.client_id,
            body: new.body,
            at: new.at,
            state: MessageState::default(),
        };
        if entry.client_id.is_some() {
            self.remembered.push(entry.clone());
        }
        self.entries.push(entry);
        self.keep(KEEP);
        Ok(Appended::New { seq, at: new.at })
    }

    /// Applies a change. Returns the answer if it cannot be applied.
    fn change(&mut self, new: &NewEntry) -> Option<Result<Appended, Rejected>> {
        if matches!(new.kind, EntryKind::Message | EntryKind::Control) {
            return None;
        }
        let is_target =
            |e: &&mut Entry| Some(e.seq) == new.target && e.kind == EntryKind::Message && !e.state.deleted;
        let Some(message) = self.entries.iter_mut().find(is_target) else {
            return Some(Err(Rejected::NoSuchMessage));
        };
        let seq = message.seq;
        match new.kind {
            EntryKind::Message | EntryKind::Control => {}
            EntryKind::Edit => {
                message.state.edit = Some(Edit {
                    body: new.body.clone(),
                    at: new.at,
                });
            }
            EntryKind::Delete => {
                message.body.clear();
                message.state = MessageState {
                    deleted: true,
                    ..MessageState::default()
                };
                self.mentions.remove(&seq);
                self.deleted.insert(seq);
                let edits = |e: &&mut Entry| e.kind == EntryKind::Edit && e.target == Some(seq);
                self.entries.iter_mut().filter(edits).for_each(|e| e.body.clear());
            }
            EntryKind::Reaction { removed } => return react(&mut message.state.reactions, new, removed),
        }
        None
    }

    fn keep(&mut self, max: u64) {
        while self.entries.len() as u64 > max {
            self.entries.remove(0);
        }
        self.row.first = self.entries.first().map_or(self.row.head + 1, |entry| entry.seq);
    }

    pub(super) fn trim(&mut self, limits: Retention, now: i64) {
        self.keep(limits.max_entries);
        while self
            .entries
            .first()
            .is_some_and(|entry| entry.at < now - limits.max_age_ms)
        {
            self.keep(self.entries.len() as u64 - 1);
        }
    }

    pub(super) fn join(&mut self, user: &'static str, at: i64) -> Joined {
        let fresh = Member {
            user_id: user.into(),
            read_seq: 0,
            read_at: None,
            delivered_seq: 0,
            joined_at: at,
            membership: 0,
            role: Role::Member,
        };
        let (member, active) = self.members.entry(user).or_insert((fresh, false));
        let newly = !std::mem::replace(active, true);
        if newly {
            member.joined_at = at;
            member.membership += 1;
        }
        Joined {
            room: self.row.clone(),
            member: member.clone(),
            newly,
        }
    }

    pub(super) fn leave(&mut self, user: &str) -> bool {
        self.members
            .get_mut(user)
            .is_some_and(|(_, active)| std::mem::take(active))
    }

    pub(super) fn member(&self, user: &str) -> Option<&Member> {
        self.members
            .get(user)
            .filter(|(_, active)| *active)
            .map(|(member, _)| member)
    }

    pub(super) fn unread(&self, user: &str) -> Option<Unread> {
        let mark = self.member(user)?.read_seq;
        let unread = |entry: &&Entry| {
            entry.kind == EntryKind::Message
                && entry.seq > mark
                && entry.user_id != user
                && !entry.state.deleted
        };
        let mentions = |entry: &&Entry| {
            let mentioned = self.mentions.get(&entry.seq);
            mentioned.is_some_and(|users| users.iter().any(|mentioned| mentioned == user))
        };
        let unread: Vec<_> = self.entries.iter().filter(unread).collect();
        Some(Unread {
            messages: unread.len() as u64,
            mentions: unread.into_iter().filter(|entry| mentions(entry)).count() as u64,
        })
    }

    pub(super) fn inbox_row(&self, user: &str) -> Option<InboxRow> {
        let newest = |entry: &&Entry| Some(entry.seq) == self.newest;
        Some(InboxRow {
            room: self.row.clone(),
            member: self.member(user)?.clone(),
            last_message: self.entries.iter().find(newest).cloned(),
            unread: self.unread(user)?,
            cursor: InboxCursor {
                position: LogPosition(self.latest),
                room: self.row.id,
            },
        })
    }

    pub(super) fn deliver(&mut self, user: &str, seq: u64) -> Option<Delivered> {
        let seq = seq.min(self.row.head);
        let (member, _) = self.members.get_mut(user).filter(|(_, active)| *active)?;
        let advanced = seq > member.delivered_seq;
        member.delivered_seq = member.delivered_seq.max(seq);
        Some(Delivered {
            delivered_seq: member.delivered_seq,
            advanced,
        })
    }

    pub(super) fn mark(&mut self, user: &str, seq: u64, at: i64) -> Option<Marked> {
        let seq = seq.min(self.row.head);
        let (member, _) = self.members.get_mut(user).filter(|(_, active)| *active)?;
        let advanced = seq > member.read_seq;
        if advanced {
            (member.read_seq, member.read_at) = (seq, Some(at));
            member.delivered_seq = member.delivered_seq.max(seq);
        }
        let read_seq = member.read_seq;
        Some(Marked {
            read_seq,
            advanced,
            unread: self.unread(user)?,
        })
    }

    pub(super) fn page(&self, Page { range, limit }: Page) -> History {
        let (limit, newest_first) = (limit as usize, !matches!(range, Range::After { .. }));
        let within = |entry: &&Entry| match range {
            Range::Last { upto } => entry.seq <= upto,
            Range::Before(seq) => entry.seq < seq,
            Range::After { seq, upto } => entry.seq > seq && entry.seq <= upto,
        };
        let wanted = |entry: &&Entry| !newest_first || entry.kind == EntryKind::Message;
        let kept = self.entries.iter().filter(within).filter(wanted);
        let mut entries: Vec<Entry> = kept.cloned().collect();
        let more = entries.len() > limit;
        if newest_first {
            entries.drain(..entries.len().saturating_sub(limit));
        } else {
            entries.truncate(limit);
        }
        History {
            entries,
            more,
            first: self.row.first,
            head: self.row.head,
        }
    }
}

fn react(
    reactions: &mut Vec<Reactions>,
    new: &NewEntry,
    removed: bool,
) -> Option<Result<Appended, Rejected>> {
    let at = reactions.iter().position(|known| known.emoji == new.body);
    let reacted = at.is_some_and(|at| reactions[at].user_ids.contains(&new.user_id));
    if reacted != removed {
        return Some(Ok(Appended::Unchanged));
    }
    match at {
        Some(at) if removed => reactions[at].user_ids.retain(|user| *user != new.user_id),
        Some(at) => {
            reactions[at].user_ids.push(new.user_id.clone());
            reactions[at].user_ids.sort();
        }
        None if reactions.len() >= REACTIONS as usize => return Some(Err(Rejected::TooManyReactions)),
        None => reactions.push(Reactions {
            emoji: new.body.clone(),
            user_ids: vec![new.user_id.clone()],
            count: 0,
        }),
    }
    reactions.retain(|known| !known.user_ids.is_empty());
    for known in reactions {
        known.count = known.user_ids.len() as u64;
    }
    None
}
