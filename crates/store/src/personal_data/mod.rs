//! The values of exports and erasures, and the statements that carry them out, in SQL that both stores read.

mod erase;
mod export;
mod rename;

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

pub(crate) use self::{
    erase::{Span, keys},
    export::sql as export_sql,
};
use crate::RoomId;

/// The erasure of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erasure {
    /// The user.
    pub user_id: String,
    /// The id that takes the user's place where a row has to stay. It tells nothing about the user.
    pub alias: String,
    /// Whether the texts of the user's messages stay.
    pub anonymise: bool,
    /// Tokens of the user issued before this time are invalid.
    pub before: i64,
    /// The run that carries it out: a name that no other run has. Only the owner may erase anything.
    pub owner: String,
}

/// A part of an erasure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErasureStep {
    /// The entries of a room, with their states, reactions, mentions and records of deliveries.
    Entries(RoomId),
    /// All other rows about the user in a room.
    Room(RoomId),
    /// The bodies of control entries that name the user. All nodes must have carried them out.
    Control(RoomId),
    /// The user's own rows, in no room.
    User,
    /// Notifications, which name their recipients.
    Notifications,
    /// Records of the outbox.
    Outbox,
    /// Records of the audit log.
    Audit,
}

/// A window of rooms with data about a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomsAbout {
    /// Id and name of each.
    pub rooms: Vec<(RoomId, String)>,
    /// Where the next window begins; `None` after the last.
    pub next: Option<RoomId>,
}

/// A kind of data in an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportPart {
    /// Profile, status and when the user was last seen.
    User,
    /// Use of daily quotas.
    Usage,
    /// When tokens were revoked.
    Revocation,
    /// Since when the outbox has the user as online.
    Online,
    /// Notifications.
    Notification,
    /// Devices that received notifications.
    Device,
    /// Connections that can be resumed.
    Session,
    /// Bans and mutes.
    Sanction,
    /// Users whom the user has blocked.
    Block,
    /// Messages that the user has reported.
    Report,
    /// Reports of the user's messages, without what tells who made them.
    Reported,
    /// Records of the audit log, by or about the user.
    Audit,
    /// Records for webhooks and streams.
    Outbox,
    /// Messages for which such records wait for the user.
    Undelivered,
    /// The membership of a room.
    Member(RoomId),
    /// Messages, edits, deletions and reactions in a room.
    Entry(RoomId),
    /// Reactions in a room that hold now.
    Reaction(RoomId),
    /// Messages of a room that mention the user.
    Mention(RoomId),
    /// Client ids of removed messages of a room.
    Dedup(RoomId),
    /// The last message in a room with slow mode.
    LastSend(RoomId),
}

impl ExportPart {
    /// The parts that belong to no room.
    pub const OF_USER: [Self; 14] = [
        Self::User,
        Self::Usage,
        Self::Revocation,
        Self::Online,
        Self::Notification,
        Self::Device,
        Self::Session,
        Self::Sanction,
        Self::Block,
        Self::Report,
        Self::Reported,
        Self::Audit,
        Self::Outbox,
        Self::Undelivered,
    ];

    /// The parts of a room.
    pub const fn of_room(room: RoomId) -> [Self; 6] {
        [
            Self::Member(room),
            Self::Entry(room),
            Self::Reaction(room),
            Self::Mention(room),
            Self::Dedup(room),
            Self::LastSend(room),
        ]
    }

    /// The room, if the part belongs to one.
    pub const fn room(self) -> Option<RoomId> {
        match self {
            Self::Member(room)
            | Self::Entry(room)
            | Self::Reaction(room)
            | Self::Mention(room)
            | Self::Dedup(room)
            | Self::LastSend(room) => Some(room),
            _ => None,
        }
    }
}

/// A row of an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportRow {
    /// Its key, which ascends.
    pub key: i64,
    /// Its columns by name.
    pub columns: Vec<(String, ExportValue)>,
}

/// A value in an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExportValue {
    /// No value.
    Null,
    /// A number.
    Int(i64),
    /// A text.
    Text(String),
}

/// The columns of an [`Erasure`].
pub(crate) const ERASURES: &str = "SELECT user_id, alias, anonymise, before, owner FROM erasures";

/// Notes an erasure. One that another run owns stays as it is.
pub(crate) const NOTE: &str =
    "INSERT INTO erasures AS e (user_id, alias, anonymise, before, owner) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (user_id) DO UPDATE SET
        anonymise = CASE WHEN excluded.anonymise < e.anonymise THEN excluded.anonymise ELSE e.anonymise END,
        before = CASE WHEN excluded.before > e.before THEN excluded.before ELSE e.before END
    WHERE e.owner = excluded.owner";

/// Revokes the tokens of an erased user. The user's id is hashed.
pub(crate) const REVOKE: &str = "INSERT INTO erased_users AS e (hash, before) VALUES ($1, $2)
    ON CONFLICT (hash) DO UPDATE SET before = excluded.before WHERE e.before < excluded.before";

/// Gives an erasure to another owner.
pub(crate) const TAKE_OVER: &str = "UPDATE erasures SET owner = $1 WHERE user_id = $2 AND owner = $3";

/// Forgets an erasure.
pub(crate) const END: &str = "DELETE FROM erasures WHERE user_id = $1 AND owner = $2";

/// Rooms whose ids are in a window of this size are looked at together.
pub(crate) const ROOMS_WINDOW: i64 = 5_000;

/// The rooms in the window from `$1`, exclusive, to `$2`, inclusive, that hold anything about user `$3`.
pub(crate) const ROOMS_ABOUT: &str = "SELECT r.id, r.name FROM rooms r WHERE r.id > $1 AND r.id <= $2 AND (
    EXISTS (SELECT 1 FROM members t WHERE t.room_id = r.id AND t.user_id = $3)
    OR EXISTS (SELECT 1 FROM entries t WHERE t.room_id = r.id AND t.user_id = $3 AND t.kind = 0)
    OR EXISTS (SELECT 1 FROM mentions t WHERE t.room_id = r.id AND t.user_id = $3)
    OR EXISTS (SELECT 1 FROM dedup_records t WHERE t.room_id = r.id AND t.user_id = $3)
    OR EXISTS (SELECT 1 FROM deletion_counts t WHERE t.room_id = r.id AND t.user_id = $3)
    OR EXISTS (SELECT 1 FROM mention_counts t WHERE t.room_id = r.id AND t.user_id = $3)
    OR EXISTS (SELECT 1 FROM sanctions t WHERE t.room_id = r.id AND t.user_id = $3)
    OR EXISTS (SELECT 1 FROM last_sends t WHERE t.room_id = r.id AND t.user_id = $3)
    OR EXISTS (SELECT 1 FROM outbox_recipients t WHERE t.room_id = r.id AND t.user_id = $3))
    ORDER BY r.id";

/// The hash under which an erased user's revocation is kept.
pub(crate) fn hash(user: &str) -> String {
    let digest = Sha256::new()
        .chain_update("erased user\n")
        .chain_update(user)
        .finalize();
    let mut hex = String::with_capacity(2 * digest.len());
    for byte in digest {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

/// A text as a JSON string. User ids have no control characters.
pub(crate) fn json_string(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
