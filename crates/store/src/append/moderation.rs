//! The statements that carry out acts of moderation, in SQL that both stores read.

use super::mutations::{Param, Statement};
use crate::{
    ModerationAct, RoomId, SanctionKind,
    moderation::{FOREVER, scope},
    numbers::Numbered as _,
};

/// The condition that no ban keeps a user out of a room, and that the user is not being erased. Room, user
/// and time are the first three parameters.
pub(crate) const MAY_ENTER: &str = "NOT EXISTS (SELECT 1 FROM sanctions
        WHERE room_id IN (0, $1) AND user_id = $2 AND kind = 0 AND until > $3)
    AND NOT EXISTS (SELECT 1 FROM erasures WHERE user_id = $2)";

/// The sanctions of a user that hold at a time, in a room and in all rooms.
pub(crate) const SANCTIONS_OF: &str = "SELECT room_id, user_id, kind, until, reason, actor, at FROM sanctions
    WHERE room_id IN (0, $1) AND user_id = $2 AND until > $3 ORDER BY room_id, kind";
/// The same in all rooms and in single rooms, those in all rooms first.
pub(crate) const ALL_SANCTIONS_OF: &str =
    "SELECT room_id, user_id, kind, until, reason, actor, at FROM sanctions
    WHERE user_id = $1 AND until > $2 ORDER BY room_id, kind LIMIT $3";
/// A page of the sanctions of a room and kind that hold at a time, with the same columns.
pub(crate) const SANCTIONS: &str = "SELECT room_id, user_id, kind, until, reason, actor, at FROM sanctions
    WHERE room_id = $1 AND kind = $2 AND user_id > $3 AND until > $4 ORDER BY user_id LIMIT $5";
/// The mutes of a room that hold at a time, with the same columns. A condition on the users follows.
pub(crate) const MUTES: &str = "SELECT room_id, user_id, kind, until, reason, actor, at FROM sanctions
    WHERE room_id = $1 AND kind = 1 AND until > $2";
/// The users whom a user has blocked.
pub(crate) const BLOCKS: &str = "SELECT blocked_id, at FROM blocks WHERE user_id = $1 ORDER BY blocked_id";
/// Deletes the sanctions that ended before a time.
pub(crate) const FORGET_SANCTIONS: &str = "DELETE FROM sanctions WHERE until < $1";
/// The moderators of a room.
pub(crate) const MODERATORS: &str = "SELECT user_id FROM members
    WHERE room_id = $1 AND active = 1 AND role > 0 ORDER BY user_id LIMIT $2";
/// The messages of a user before an entry that are kept and not deleted.
pub(crate) const MESSAGES_OF: &str = "SELECT e.seq FROM entries e JOIN rooms r ON r.id = e.room_id
    WHERE e.room_id = $1 AND e.seq < $2 AND e.seq >= r.first AND e.kind = 0 AND e.user_id = $3
        AND NOT EXISTS (SELECT 1 FROM message_states s
            WHERE s.room_id = e.room_id AND s.seq = e.seq AND s.deleted = 1)
    ORDER BY e.seq DESC LIMIT $4";

const IMPOSE: &str = "INSERT INTO sanctions (room_id, user_id, kind, until, reason, actor, at)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
    ON CONFLICT (room_id, user_id, kind) DO UPDATE SET until = excluded.until, reason = excluded.reason,
        actor = excluded.actor, at = excluded.at";
const LIFT: &str = "DELETE FROM sanctions WHERE room_id = $1 AND user_id = $2 AND kind = $3";
const END_MEMBERSHIP: &str =
    "UPDATE members SET active = 0, role = 0 WHERE room_id = $1 AND user_id = $2 AND active = 1";
const END_MEMBERSHIPS: &str = "UPDATE members SET active = 0, role = 0 WHERE user_id = $1 AND active = 1";
const RESTRICT: &str = "INSERT INTO room_rules AS r (room_id, frozen, slow_mode)
    VALUES ($1, coalesce(CAST($2 AS bigint), 0), coalesce(CAST($3 AS bigint), 0))
    ON CONFLICT (room_id) DO UPDATE SET frozen = coalesce(CAST($2 AS bigint), r.frozen),
        slow_mode = coalesce(CAST($3 AS bigint), r.slow_mode)";
const UNRESTRICT: &str = "DELETE FROM room_rules WHERE room_id = $1 AND frozen = 0 AND slow_mode = 0";
const END_SLOW_MODE: &str = "DELETE FROM last_sends WHERE room_id = $1
    AND NOT EXISTS (SELECT 1 FROM room_rules r WHERE r.room_id = last_sends.room_id AND r.slow_mode > 0)";
const BLOCK: &str = "INSERT INTO blocks (user_id, blocked_id, at) VALUES ($1, $2, $3)
    ON CONFLICT (user_id, blocked_id) DO NOTHING";
const UNBLOCK: &str = "DELETE FROM blocks WHERE user_id = $1 AND blocked_id = $2";
const ROOM_DELETED: [&str; 4] = [
    "DELETE FROM reports WHERE room_id = $1",
    "DELETE FROM sanctions WHERE room_id = $1",
    "DELETE FROM room_rules WHERE room_id = $1",
    "DELETE FROM last_sends WHERE room_id = $1",
];

/// The statements that carry out an act, in this order.
pub(crate) fn statements(act: &ModerationAct) -> Vec<Statement<'_>> {
    match act {
        ModerationAct::Impose(sanction) => {
            let (room, user) = (Param::Int(scope(sanction.room)), Param::Text(&sanction.user_id));
            let mut statements = vec![Statement {
                sql: IMPOSE,
                params: vec![
                    room,
                    user,
                    Param::Int(sanction.kind.number()),
                    Param::Int(sanction.until.unwrap_or(FOREVER)),
                    Param::OptText(sanction.reason.as_deref()),
                    Param::Text(&sanction.actor),
                    Param::Int(sanction.at),
                ],
            }];
            match (sanction.kind, sanction.room) {
                (SanctionKind::Mute, _) => {}
                (SanctionKind::Ban, Some(_)) => statements.push(Statement {
                    sql: END_MEMBERSHIP,
                    params: vec![room, user],
                }),
                (SanctionKind::Ban, None) => statements.push(Statement {
                    sql: END_MEMBERSHIPS,
                    params: vec![user],
                }),
            }
            statements
        }
        ModerationAct::Lift { room, user_id, kind } => vec![Statement {
            sql: LIFT,
            params: vec![
                Param::Int(scope(*room)),
                Param::Text(user_id),
                Param::Int(kind.number()),
            ],
        }],
        ModerationAct::Restrict {
            room,
            frozen,
            slow_mode_ms,
        } => {
            let room = Param::Int(*room);
            let restrict = Statement {
                sql: RESTRICT,
                params: vec![
                    room,
                    Param::OptInt(frozen.map(i64::from)),
                    Param::OptInt(*slow_mode_ms),
                ],
            };
            let rest = [UNRESTRICT, END_SLOW_MODE].map(|sql| Statement {
                sql,
                params: vec![room],
            });
            std::iter::once(restrict).chain(rest).collect()
        }
        ModerationAct::Block {
            user_id,
            blocked_id,
            at,
        } => vec![Statement {
            sql: BLOCK,
            params: vec![Param::Text(user_id), Param::Text(blocked_id), Param::Int(*at)],
        }],
        ModerationAct::Unblock { user_id, blocked_id } => vec![Statement {
            sql: UNBLOCK,
            params: vec![Param::Text(user_id), Param::Text(blocked_id)],
        }],
    }
}

/// The statements that delete the contents of a deleted room.
pub(crate) fn room_deleted(room: RoomId) -> [Statement<'static>; 4] {
    ROOM_DELETED.map(|sql| Statement {
        sql,
        params: vec![Param::Int(room)],
    })
}
