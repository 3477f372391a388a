//! The values that go into a store and come out of it. Times are milliseconds since 1970, set by the caller.

use rand::RngExt as _;

/// A room's key inside one store. Never given to another room, not even after a deletion.
pub type RoomId = i64;

/// A room: a log of entries with dense sequence numbers from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomRow {
    /// Key for all other calls.
    pub id: RoomId,
    /// Unique name, as clients know it.
    pub name: String,
    /// 16 random URL-safe characters. Sequence numbers can only be compared within one epoch.
    pub epoch: String,
    /// Sequence number of the newest entry; 0 while there has never been one.
    pub head: u64,
    /// Sequence number of the oldest entry that is still kept; `head + 1` if there is none.
    pub first: u64,
    /// When the room was created.
    pub created_at: i64,
    /// Who may become a member.
    pub kind: RoomKind,
    /// Entries kept at most, where that is fewer than everywhere else.
    pub history: Option<u64>,
}

impl RoomRow {
    /// An epoch for a room that begins, or begins anew: 96 random bits.
    pub(crate) fn new_epoch() -> String {
        const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let mut rng = rand::rng();
        (0..16)
            .map(|_| char::from(ALPHABET[rng.random_range(0..ALPHABET.len())]))
            .collect()
    }
}

/// Who may become a member of a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum RoomKind {
    /// Whoever joins.
    #[default]
    Public,
    /// Only those put there by [`Store::put_member`](crate::Store::put_member).
    Private,
}

/// What is to change of a room; `None` leaves it as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RoomChange {
    /// [`RoomRow::kind`].
    pub kind: Option<RoomKind>,
    /// [`RoomRow::history`]; `Some(None)` takes the limit away.
    pub history: Option<Option<u64>>,
}

/// What an entry is. Only messages count as unread; the others change the message that they name as their target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EntryKind {
    /// Something a user said.
    Message,
    /// Another body for a message.
    Edit,
    /// The end of a message: what it and its edits said, its mentions and its reactions are forgotten.
    Delete,
    /// A user's reaction to a message. The body is the reaction itself, which a user has once at most.
    Reaction {
        /// Taken back, not added.
        removed: bool,
    },
    /// Word among those who serve the log together; no part of what was said. It has its place in the order of all entries
    /// like any other, so that nobody who follows the order misses it.
    Control,
}

impl EntryKind {
    /// Whether it changes the message that it names as its target.
    pub const fn is_change(self) -> bool {
        matches!(self, Self::Edit | Self::Delete | Self::Reaction { .. })
    }
}

/// Whether a room of this name is the server's own: nobody outside is told that it was created. No room of a client begins
/// with a control character.
pub(crate) fn is_internal(name: &str) -> bool {
    name.starts_with(char::is_control)
}

/// An entry to be appended to a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEntry {
    /// The room it goes to.
    pub room: RoomId,
    /// What it is.
    pub kind: EntryKind,
    /// The message that it is about; `None` for a message.
    pub target: Option<u64>,
    /// Its author.
    pub user_id: String,
    /// The author's name at the time.
    pub user_name: Option<String>,
    /// The author's key for it. A second append under the same (room, user, key) is a retry.
    pub client_id: Option<String>,
    /// JSON text, but for reactions. The store compares it, but does not read it.
    pub body: String,
    /// Whom a message mentions, without repeats.
    pub mentions: Vec<String>,
    /// When it was said.
    pub at: i64,
}

impl NewEntry {
    /// The memory that it takes, about.
    pub(crate) fn weight(&self) -> usize {
        let name = self.user_name.as_ref().map_or(0, String::len);
        let client_id = self.client_id.as_ref().map_or(0, String::len);
        let mentions: usize = self.mentions.iter().map(String::len).sum();
        size_of::<Self>() + self.user_id.len() + self.body.len() + name + client_id + mentions
    }
}

/// An entry of a room's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its place in the room, from 1.
    pub seq: u64,
    /// What it is.
    pub kind: EntryKind,
    /// The message that it is about; `None` for a message.
    pub target: Option<u64>,
    /// Its author.
    pub user_id: String,
    /// The author's name at the time.
    pub user_name: Option<String>,
    /// The author's key for it.
    pub client_id: Option<String>,
    /// The text exactly as appended; empty for a deleted message and its edits.
    pub body: String,
    /// When it was said.
    pub at: i64,
    /// What has become of a message.
    pub state: MessageState,
}

impl Entry {
    /// The bytes that count against the size of a page.
    pub(crate) fn bytes(&self) -> usize {
        let edit = self.state.edit.as_ref().map_or(0, |edit| edit.body.len());
        let users = self
            .state
            .reactions
            .iter()
            .flat_map(|reaction| &reaction.user_ids);
        self.body.len() + edit + users.map(String::len).sum::<usize>()
    }
}

/// What has become of a message since it was said. The default, of one that was left alone, is also what entries that
/// are no messages have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MessageState {
    /// The last edit.
    pub edit: Option<Edit>,
    /// Whether it is deleted.
    pub deleted: bool,
    /// The reactions, in the order in which they first came.
    pub reactions: Vec<Reactions>,
}

/// The last edit of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// The edit's body.
    pub body: String,
    /// When it was made.
    pub at: i64,
}

/// All who reacted to a message in the same way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reactions {
    /// The reaction.
    pub emoji: String,
    /// Some of the users, by id: as many as the message's share of [`REACTING_USERS`] lets in.
    pub user_ids: Vec<String>,
    /// How many users in all.
    pub count: u64,
}

/// The users that are named with one message, over all its reactions.
pub const REACTING_USERS: u32 = 100;

/// The durable place of an appended entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// It is a new entry.
    New {
        /// Its place.
        seq: u64,
        /// Its time.
        at: i64,
    },
    /// It was appended before, under the same client id and with the same kind, target and body. (What a deleted
    /// message said is forgotten, and not compared.)
    Duplicate {
        /// The place it got then.
        seq: u64,
        /// The time it got then.
        at: i64,
    },
    /// A reaction that is there already was added, or one that is not was taken back: there is no new entry.
    Unchanged,
}

/// Why one entry of an otherwise successful append was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rejected {
    /// The same (room, user, client id) stands for an entry of another kind, or with another target or body.
    Conflict {
        /// Where that entry is.
        seq: u64,
    },
    /// There is no such room.
    NoSuchRoom,
    /// The target is no message, or one that is deleted or no longer kept.
    NoSuchMessage,
    /// The message has as many different reactions as it may have, see [`Options::reactions`](crate::Options).
    TooManyReactions,
}

/// A user's membership of a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The member.
    pub user_id: String,
    /// All entries up to and including this one are read. Only grows, also over leaving and coming back.
    pub read_seq: u64,
    /// When the mark last grew; `None` while it is 0.
    pub read_at: Option<i64>,
    /// All entries up to and including this one have reached the user. Only grows, and is never behind `read_seq`.
    pub delivered_seq: u64,
    /// When the present membership began.
    pub joined_at: i64,
    /// Which of the user's memberships of this room it is, counted from 1: who leaves and comes back is in another one.
    pub membership: u64,
    /// What they may do there. Ends with the membership.
    pub role: Role,
}

/// What a member may do in a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Role {
    /// What everybody may.
    #[default]
    Member,
    /// Also what concerns the messages of others.
    Moderator,
}

/// The answer to a join.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    /// The room, with its head at that moment.
    pub room: RoomRow,
    /// The membership.
    pub member: Member,
    /// False if the user was a member before.
    pub newly: bool,
}

/// Which part of a room's log to read, and how much at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// Which.
    pub range: Range,
    /// How many at most. A page may be shorter, see [`Options::page_bytes`](crate::Options::page_bytes).
    pub limit: u32,
}

/// A stretch of a room's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Range {
    /// The newest messages up to `upto`, without the other entries between them.
    Last {
        /// The newest one wanted, inclusive.
        upto: u64,
    },
    /// The newest messages older than this entry, without the other entries between them.
    Before(u64),
    /// The oldest entries of every kind newer than `seq`.
    After {
        /// The one already known, exclusive.
        seq: u64,
        /// The newest one wanted, inclusive.
        upto: u64,
    },
}

impl Range {
    /// Its first entry, and the one after its last.
    pub(crate) fn span(self) -> std::ops::Range<u64> {
        match self {
            Self::Last { upto } => 0..upto.saturating_add(1),
            Self::Before(seq) => 0..seq,
            Self::After { seq, upto } => seq.saturating_add(1)..upto.saturating_add(1),
        }
    }

    /// Whether it is read from its end, and messages only.
    pub(crate) fn newest_first(self) -> bool {
        !matches!(self, Self::After { .. })
    }
}

/// A page of a room's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    /// Oldest first; dense for `After`. Messages come in their present state.
    pub entries: Vec<Entry>,
    /// Whether the range holds more that is kept: older messages for `Last` and `Before`, newer entries for `After`.
    pub more: bool,
    /// The room's oldest kept entry, see [`RoomRow::first`]. Whoever asks for entries after `seq` has missed some
    /// for good if `seq + 1 < first`.
    pub first: u64,
    /// The room's newest entry.
    pub head: u64,
}

/// The answer to a read mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marked {
    /// The mark now.
    pub read_seq: u64,
    /// Whether this call moved it.
    pub advanced: bool,
    /// What is beyond the mark.
    pub unread: Unread,
}

/// The answer to a delivered mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivered {
    /// The mark now.
    pub delivered_seq: u64,
    /// Whether this call moved it.
    pub advanced: bool,
}

/// What a member has not read: messages by others beyond the read mark that are kept and not deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unread {
    /// How many.
    pub messages: u64,
    /// How many of them mention the member.
    pub mentions: u64,
}

/// A room as one of its members sees it in the list of their rooms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxRow {
    /// The room.
    pub room: RoomRow,
    /// The membership.
    pub member: Member,
    /// The newest message, if it is kept; it may be a deleted one.
    pub last_message: Option<Entry>,
    /// What the member has not read.
    pub unread: Unread,
    /// Where the room stands in the order.
    pub cursor: InboxCursor,
}

/// A place in the order of an inbox: by the time of the last message, newest first, then by room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct InboxCursor {
    /// When the last message was said, or the room was created.
    pub active_at: i64,
    /// The room.
    pub room: RoomId,
}

/// A page of a user's rooms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inbox {
    /// Latest first.
    pub rooms: Vec<InboxRow>,
    /// Whether there are more behind the last one.
    pub more: bool,
}

/// What is remembered of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserRow {
    /// The user.
    pub user_id: String,
    /// The name last given.
    pub name: Option<String>,
    /// The latest time given.
    pub last_seen: i64,
    /// What they chose to show as.
    pub status: ChosenStatus,
    /// What they say about it.
    pub status_text: Option<String>,
}

/// What a user chose to show as while they are online.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ChosenStatus {
    /// There.
    #[default]
    Online,
    /// Not at the screen.
    Away,
    /// Not to be disturbed.
    Busy,
    /// To others, as if they were not there at all.
    Invisible,
}
