//! The values that go into a store and come out of it. Times are milliseconds since 1970, set by the caller.

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

/// What an entry is. Only messages count as unread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EntryKind {
    /// Something a user said.
    Message,
}

/// An entry to be appended to a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEntry {
    /// The room it goes to.
    pub room: RoomId,
    /// What it is.
    pub kind: EntryKind,
    /// Its author.
    pub user_id: String,
    /// The author's name at the time.
    pub user_name: Option<String>,
    /// The author's key for it. A second append under the same (room, user, key) is a retry.
    pub client_id: Option<String>,
    /// JSON text. The store compares it, but does not read it.
    pub body: String,
    /// When it was said.
    pub at: i64,
}

/// An entry of a room's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its place in the room, from 1.
    pub seq: u64,
    /// What it is.
    pub kind: EntryKind,
    /// Its author.
    pub user_id: String,
    /// The author's name at the time.
    pub user_name: Option<String>,
    /// The author's key for it.
    pub client_id: Option<String>,
    /// JSON text, exactly as appended.
    pub body: String,
    /// When it was said.
    pub at: i64,
}

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
    /// It was appended before, under the same client id and with the same kind and body.
    Duplicate {
        /// The place it got then.
        seq: u64,
        /// The time it got then.
        at: i64,
    },
}

/// Why one entry of an otherwise successful append was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rejected {
    /// The same (room, user, client id) stands for an entry with another kind or body.
    Conflict {
        /// Where that entry is.
        seq: u64,
    },
    /// There is no such room.
    NoSuchRoom,
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
    /// When the present membership began.
    pub joined_at: i64,
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

/// Which entries of a room to read, and how many at most.
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
    /// The newest entries up to `upto`.
    Last {
        /// The newest one wanted, inclusive.
        upto: u64,
    },
    /// The newest entries older than this one.
    Before(u64),
    /// The oldest entries newer than `seq`.
    After {
        /// The one already known, exclusive.
        seq: u64,
        /// The newest one wanted, inclusive.
        upto: u64,
    },
}

/// A page of a room's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    /// Oldest first, dense.
    pub entries: Vec<Entry>,
    /// Whether the range holds more kept entries: older ones for `Last` and `Before`, newer ones for `After`.
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
    /// Messages by others beyond the mark.
    pub unread: u64,
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
}
