//! Moderation: bans, mutes, frozen rooms, slow mode, and the users whom a user has blocked.

use crate::RoomId;

/// The room id under which sanctions for all rooms are stored. No room has it.
pub(crate) const ALL_ROOMS: RoomId = 0;
/// The end of a sanction that has none.
pub(crate) const FOREVER: i64 = i64::MAX;

/// What a sanction forbids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SanctionKind {
    /// Everything: the user can be no member. In all rooms, they cannot even connect.
    Ban,
    /// Sending, editing and reacting.
    Mute,
}

impl SanctionKind {
    /// All kinds.
    pub const ALL: [Self; 2] = [Self::Ban, Self::Mute];
}

/// A ban or a mute of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sanction {
    /// The room; `None` for all rooms.
    pub room: Option<RoomId>,
    /// The user.
    pub user_id: String,
    /// The forbidden action.
    pub kind: SanctionKind,
    /// When it ends by itself; `None` for never.
    pub until: Option<i64>,
    /// Why, for people.
    pub reason: Option<String>,
    /// Who imposed it.
    pub actor: String,
    /// When it was imposed.
    pub at: i64,
}

/// Restrictions on the members of a room who are not its moderators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RoomRules {
    /// Whether nobody may send, edit or react.
    pub frozen: bool,
    /// Milliseconds between two messages of one user; 0 without slow mode.
    pub slow_mode_ms: i64,
}

/// What restrains a user from writing into a room.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Restrictions {
    /// The room's rules. They do not bind its moderators and owners.
    pub rules: RoomRules,
    /// When the user last sent a message there, if the room is in slow mode.
    pub last_send: Option<i64>,
    /// The mute that ends last, of this room or of all rooms.
    pub mute: Option<Mute>,
}

impl Restrictions {
    /// The wait of a plain member for their next message, in milliseconds.
    pub fn wait_ms(&self, now: i64) -> u64 {
        let wait = |last| slow_mode_wait(self.rules.slow_mode_ms, last, now);
        self.last_send.map_or(0, wait)
    }
}

/// How long a slow mode makes an author wait after a message at `last`, in milliseconds. A clock that was set
/// back far locks nobody out. Clocks of two nodes may differ a little.
pub(crate) fn slow_mode_wait(slow_mode_ms: i64, last: i64, now: i64) -> u64 {
    let waited = now.saturating_sub(last);
    if waited < -slow_mode_ms {
        return 0;
    }
    u64::try_from(slow_mode_ms - waited.max(0)).unwrap_or_default()
}

/// A mute, as the muted user sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mute {
    /// When it ends by itself; `None` for never.
    pub until: Option<i64>,
    /// Why, for people.
    pub reason: Option<String>,
}

/// Something that a moderator does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModerationAct {
    /// Bans or mutes a user, in place of an earlier sanction of the same kind and room. A ban also ends the
    /// user's membership of the room, or of all rooms.
    Impose(Sanction),
    /// Ends a ban or a mute.
    Lift {
        /// The room; `None` for the sanction for all rooms.
        room: Option<RoomId>,
        /// The user.
        user_id: String,
        /// Which sanction.
        kind: SanctionKind,
    },
    /// Changes the rules of a room; `None` keeps a value.
    Restrict {
        /// The room.
        room: RoomId,
        /// [`RoomRules::frozen`].
        frozen: Option<bool>,
        /// [`RoomRules::slow_mode_ms`].
        slow_mode_ms: Option<i64>,
    },
    /// A user blocks another one. An earlier block stays as it is.
    Block {
        /// The user who blocks.
        user_id: String,
        /// The user whom they block.
        blocked_id: String,
        /// When.
        at: i64,
    },
    /// A user ends a block.
    Unblock {
        /// The user who blocked.
        user_id: String,
        /// The user whom they blocked.
        blocked_id: String,
    },
}

/// A user whom another one has blocked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The blocked user.
    pub user_id: String,
    /// Since when.
    pub at: i64,
}

impl Sanction {
    /// Whether it holds at a time.
    pub fn holds_at(&self, now: i64) -> bool {
        self.until.is_none_or(|until| until > now)
    }
}

/// The room id that stands for a sanction's room.
pub(crate) fn scope(room: Option<RoomId>) -> RoomId {
    room.unwrap_or(ALL_ROOMS)
}

/// The room of a stored sanction.
pub(crate) fn room_of(scope: RoomId) -> Option<RoomId> {
    (scope != ALL_ROOMS).then_some(scope)
}

/// The end of a stored sanction.
pub(crate) fn end_of(until: i64) -> Option<i64> {
    (until != FOREVER).then_some(until)
}

impl ModerationAct {
    /// The room that must exist for it; `None` if it concerns all rooms.
    pub(crate) fn room(&self) -> Option<RoomId> {
        match self {
            Self::Impose(sanction) => sanction.room,
            Self::Lift { room, .. } => *room,
            Self::Restrict { room, .. } => Some(*room),
            Self::Block { .. } | Self::Unblock { .. } => None,
        }
    }

    /// The user whom it bans.
    pub(crate) fn bans(&self) -> Option<&str> {
        match self {
            Self::Impose(sanction) if sanction.kind == SanctionKind::Ban => Some(&sanction.user_id),
            _ => None,
        }
    }
}

/// The sanctions to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SanctionPage {
    /// The room; `None` for the sanctions for all rooms.
    pub room: Option<RoomId>,
    /// Bans or mutes.
    pub kind: SanctionKind,
    /// The page begins behind this user.
    pub after: Option<String>,
    /// Only sanctions that hold at this time.
    pub now: i64,
    /// Maximum number of sanctions.
    pub limit: u32,
}
