//! Values of rooms, entries, members and users. Times are milliseconds since 1970, set by the caller.

use rand::RngExt as _;

use crate::LogPosition;

/// Key of a room in one store. Never reused, not even after a deletion.
pub type RoomId = i64;

/// A room: a log of entries with dense sequence numbers from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomRow {
    /// Its key.
    pub id: RoomId,
    /// Unique name.
    pub name: String,
    /// 16 random URL-safe characters. Sequence numbers can only be compared within one epoch.
    pub epoch: String,
    /// Sequence number of the newest entry; 0 while there has never been one.
    pub head: u64,
    /// Sequence number of the oldest entry that is still kept; `head + 1` if there is none.
    pub first: u64,
    /// Time of creation.
    pub created_at: i64,
    /// Who may become a member.
    pub kind: RoomKind,
    /// Maximum number of entries, if the room has a limit of its own.
    pub history: Option<u64>,
}

impl RoomRow {
    /// A new epoch with 96 random bits.
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
    /// Every user.
    #[default]
    Public,
    /// Only users added by [`Store::put_member`](crate::Store::put_member).
    Private,
}

/// Changes to a room; `None` keeps a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RoomChange {
    /// [`RoomRow::kind`].
    pub kind: Option<RoomKind>,
    /// [`RoomRow::history`]; `Some(None)` removes the limit.
    pub history: Option<Option<u64>>,
}

/// Kind of an entry. Only messages count as unread; edits, deletes and reactions change their target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EntryKind {
    /// A message of a user.
    Message,
    /// A new body for a message.
    Edit,
    /// Deletes a message: erases its body, its edits, mentions and reactions.
    Delete,
    /// A user's reaction to a message. The body is the emoji, which a user adds once at most.
    Reaction {
        /// Whether the reaction is removed rather than added.
        removed: bool,
    },
    /// A message among the nodes that serve the log, invisible to clients. It has a position like any other
    /// entry, so that every follower of the log sees it.
    Control,
}

impl EntryKind {
    /// Whether entries of this kind change their target.
    pub const fn is_change(self) -> bool {
        matches!(self, Self::Edit | Self::Delete | Self::Reaction { .. })
    }

    /// Whether entries of this kind change the unread counts of the room's members.
    pub const fn changes_unread(self) -> bool {
        matches!(self, Self::Message | Self::Delete)
    }
}

/// Whether a name belongs to a room of the server, which has no outbox records. Names of clients' rooms do
/// not start with a control character.
pub(crate) fn is_internal(name: &str) -> bool {
    name.starts_with(char::is_control)
}

/// An entry to append to a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEntry {
    /// The room.
    pub room: RoomId,
    /// Its kind.
    pub kind: EntryKind,
    /// The message it changes; `None` for a message.
    pub target: Option<u64>,
    /// Its author.
    pub user_id: String,
    /// The author's name at the time.
    pub user_name: Option<String>,
    /// Deduplication key: a second append under the same (room, user, client id) is a retry.
    pub client_id: Option<String>,
    /// JSON text, except for reactions. The store compares it but does not parse it.
    pub body: String,
    /// Users that a message mentions, without repeats.
    pub mentions: Vec<String>,
    /// For an edit: the whole body of the message after it. The store puts it in the place of the message's
    /// body and erases the bodies of earlier edits. Without it earlier texts stay until the message is
    /// deleted.
    pub replacement: Option<String>,
    /// Time of the entry.
    pub at: i64,
    /// Whether its size counts towards its author's [`Quotas::daily_bytes`](crate::Quotas::daily_bytes).
    pub charged: bool,
    /// Whether the author is a moderator by their token, so that freezes and slow mode do not bind them.
    /// Moderators by their role in the room need no mark.
    pub exempt: bool,
    /// Whether the author must be a member of the room. What a node remembers of memberships may be older
    /// than a removal on another node.
    pub as_member: bool,
}

impl NewEntry {
    /// Approximate memory in bytes.
    pub(crate) fn weight(&self) -> usize {
        let name = self.user_name.as_ref().map_or(0, String::len);
        let client_id = self.client_id.as_ref().map_or(0, String::len);
        let mentions: usize = self.mentions.iter().map(String::len).sum();
        let replacement = self.replacement.as_ref().map_or(0, String::len);
        replacement + size_of::<Self>() + self.user_id.len() + self.body.len() + name + client_id + mentions
    }
}

/// What identifies an entry that was appended under a client id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recorded {
    /// Its number in the room.
    pub seq: u64,
    /// Its time.
    pub at: i64,
    /// Its kind.
    pub kind: EntryKind,
    /// The message it changes; `None` for a message.
    pub target: Option<u64>,
}

/// An entry of a room's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its number in the room, from 1.
    pub seq: u64,
    /// Its kind.
    pub kind: EntryKind,
    /// The message it changes; `None` for a message.
    pub target: Option<u64>,
    /// Its author.
    pub user_id: String,
    /// The author's name at the time.
    pub user_name: Option<String>,
    /// Its deduplication key.
    pub client_id: Option<String>,
    /// The text exactly as appended; empty for a deleted message and its edits.
    pub body: String,
    /// Time of the entry.
    pub at: i64,
    /// Later changes of a message.
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

/// How many of the first entries fit into a page of `max_bytes`. The first one always does.
pub(crate) fn count_fitting<'a>(entries: impl Iterator<Item = &'a Entry>, max_bytes: usize) -> usize {
    let mut bytes = 0usize;
    let fits = |(at, entry): &(usize, &Entry)| {
        bytes = bytes.saturating_add(entry.bytes());
        *at == 0 || bytes <= max_bytes
    };
    entries.enumerate().take_while(fits).count()
}

/// Later changes of a message. The default stands for an unchanged message, and for entries of other kinds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MessageState {
    /// The last edit.
    pub edit: Option<Edit>,
    /// Whether it is deleted.
    pub deleted: bool,
    /// The reactions, in the order of their first use.
    pub reactions: Vec<Reactions>,
}

/// The last edit of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// The edit's body.
    pub body: String,
    /// Time of the edit.
    pub at: i64,
}

/// The users who reacted to a message with the same emoji.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reactions {
    /// The emoji.
    pub emoji: String,
    /// Some of the users, by id: the emoji's share of [`REACTING_USERS`].
    pub user_ids: Vec<String>,
    /// Number of users.
    pub count: u64,
}

/// A reaction to a message with one emoji.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reaction {
    /// The room.
    pub room: RoomId,
    /// The message.
    pub seq: u64,
    /// The emoji.
    pub emoji: String,
}

/// Users that one message lists, over all its reactions.
pub const REACTING_USERS: u32 = 100;

/// Outcome of appending an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// The entry is new.
    New {
        /// Its number.
        seq: u64,
        /// Its time.
        at: i64,
    },
    /// The entry was appended before: same client id, kind, target and body. The body of a deleted message
    /// is erased, and not compared.
    Duplicate {
        /// The number of the first append.
        seq: u64,
        /// The time of the first append.
        at: i64,
    },
    /// The reaction to add exists already, or the one to remove does not: there is no new entry.
    Unchanged,
}

/// Why one entry of an otherwise successful append was rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rejected {
    /// The same (room, user, client id) belongs to an entry with another kind, target or body.
    Conflict {
        /// The number of that entry.
        seq: u64,
    },
    /// There is no such room.
    NoSuchRoom,
    /// The target is not a message, or is deleted or no longer kept.
    NoSuchMessage,
    /// The message has the maximum of different reactions, see [`Options::reactions`](crate::Options).
    TooManyReactions,
    /// The message was edited as often as [`Quotas::edits`](crate::Quotas::edits) allows.
    TooManyEdits,
    /// The author has appended as much today as [`Quotas::daily_bytes`](crate::Quotas::daily_bytes) allows.
    DailyBytes,
    /// The author is banned from the room or from all rooms.
    Banned,
    /// The author is not a member of the room, and must be, see [`NewEntry::as_member`].
    NotMember,
    /// The author may not send, edit or react.
    Muted {
        /// When that ends; `None` for never.
        until: Option<i64>,
    },
    /// The room is in slow mode, and the author sent a message a short time ago.
    SlowMode {
        /// Milliseconds until the author may send again.
        retry_after_ms: u64,
    },
    /// The room is frozen.
    Frozen,
    /// The room has two members, and one of them has blocked the other.
    Blocked,
}

/// A user's membership of a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The user.
    pub user_id: String,
    /// Entries up to this one are read. Only grows, also when the user leaves and returns.
    pub read_seq: u64,
    /// When the mark last advanced; `None` while it is 0.
    pub read_at: Option<i64>,
    /// Entries up to this one have reached the user. Only grows, and is at least `read_seq`.
    pub delivered_seq: u64,
    /// Start of the current membership.
    pub joined_at: i64,
    /// Number of the user's memberships in this room, from 1. A user who leaves and returns begins the next
    /// one.
    pub membership: u64,
    /// Role in the room, which ends with the membership.
    pub role: Role,
}

/// Role of a member in a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Role {
    /// An ordinary member.
    #[default]
    Member,
    /// A member who may also delete messages of others, and ban and mute members.
    Moderator,
    /// A moderator whom other moderators may not act against.
    Owner,
}

/// Outcome of a join.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    /// The room, with its head at that time.
    pub room: RoomRow,
    /// The membership.
    pub member: Member,
    /// Whether the user was not a member before.
    pub newly: bool,
}

impl Joined {
    /// Whether the user has never been a member before, of a room that has entries: a newcomer who may begin
    /// with everything read.
    pub fn is_first(&self) -> bool {
        self.newly && self.member.membership == 1 && self.room.head > 0
    }
}

/// A part of a room's log to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// The range.
    pub range: Range,
    /// Maximum number of entries. A page may be shorter, see
    /// [`Options::page_bytes`](crate::Options::page_bytes).
    pub limit: u32,
}

/// A range of a room's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Range {
    /// The newest messages up to `upto`, without entries of other kinds.
    Last {
        /// The newest one wanted, inclusive.
        upto: u64,
    },
    /// The newest messages before this entry, without entries of other kinds.
    Before(u64),
    /// The oldest entries of every kind after `seq`.
    After {
        /// The last known one, exclusive.
        seq: u64,
        /// The newest one wanted, inclusive.
        upto: u64,
    },
}

impl Range {
    /// Its first entry, and the end, exclusive.
    pub(crate) fn span(self) -> std::ops::Range<u64> {
        match self {
            Self::Last { upto } => 0..upto.saturating_add(1),
            Self::Before(seq) => 0..seq,
            Self::After { seq, upto } => seq.saturating_add(1)..upto.saturating_add(1),
        }
    }

    /// Whether the range is read backwards, and holds messages only.
    pub(crate) fn newest_first(self) -> bool {
        !matches!(self, Self::After { .. })
    }
}

/// A page of a room's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    /// Oldest first; dense for `After`. Messages have their current state.
    pub entries: Vec<Entry>,
    /// Whether the range holds more: older messages for `Last` and `Before`, newer entries for `After`.
    pub more: bool,
    /// The room's oldest entry, see [`RoomRow::first`]. Entries after `seq` are incomplete if `seq + 1 <
    /// first`.
    pub first: u64,
    /// The room's newest entry.
    pub head: u64,
}

impl History {
    /// The bytes that count against the size of an answer with several pages.
    pub(crate) fn bytes(&self) -> usize {
        let entries = self.entries.iter();
        entries.map(|entry| entry.bytes() + size_of::<Entry>()).sum()
    }

    /// Drops the entries. The page still says whether there are any.
    pub fn empty(&mut self) {
        self.more |= !self.entries.is_empty();
        self.entries.clear();
    }
}

/// Outcome of a read mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marked {
    /// The current mark.
    pub read_seq: u64,
    /// Whether this call moved it.
    pub advanced: bool,
    /// Unread messages after the mark.
    pub unread: Unread,
}

/// Outcome of a delivered mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivered {
    /// The current mark.
    pub delivered_seq: u64,
    /// Whether this call moved it.
    pub advanced: bool,
}

/// Unread messages of a member: those by others after the read mark that are stored and not deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unread {
    /// Number of messages.
    pub messages: u64,
    /// Number of messages that mention the member.
    pub mentions: u64,
}

/// A room in the inbox of a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxRow {
    /// The room.
    pub room: RoomRow,
    /// The membership.
    pub member: Member,
    /// The newest message, if it is stored; it may be a deleted one.
    pub last_message: Option<Entry>,
    /// Unread messages of the member.
    pub unread: Unread,
    /// Where the room stands in the order.
    pub cursor: InboxCursor,
}

/// A place in the order of an inbox: by the position of the last message, newest first, then by room.
///
/// Positions order rooms instead of times, since a wall clock can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct InboxCursor {
    /// The position of the last message, or of the newest entry of the log when the room was created.
    pub position: LogPosition,
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

/// A known user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserRow {
    /// The user.
    pub user_id: String,
    /// The last display name.
    pub name: Option<String>,
    /// The URL of their picture.
    pub avatar: Option<String>,
    /// The app's own fields: a JSON object.
    pub metadata: Option<String>,
    /// When the app's backend set the profile; 0 if it never did.
    pub profile_set_at: i64,
    /// The latest time the user was seen; 0 if they never connected.
    pub last_seen: i64,
    /// The chosen status.
    pub status: ChosenStatus,
    /// Text of the status.
    pub status_text: Option<String>,
}

impl UserRow {
    /// The latest time the user was seen; `None` if they never connected.
    pub fn seen(&self) -> Option<i64> {
        (self.last_seen > 0).then_some(self.last_seen)
    }
}

/// A change of a profile: `None` leaves a field as it is, `Some(None)` removes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProfileChange {
    /// The display name.
    pub name: Option<Option<String>>,
    /// The URL of the picture.
    pub avatar: Option<Option<String>>,
    /// The app's own fields: a JSON object.
    pub metadata: Option<Option<String>>,
}

/// The status that a user chose for when they are online.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ChosenStatus {
    /// Available.
    #[default]
    Online,
    /// Away from the screen.
    Away,
    /// Busy.
    Busy,
    /// Shown to others as offline.
    Invisible,
}
