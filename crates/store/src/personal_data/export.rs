//! The queries of an export.

use super::ExportPart;

/// The query of a part. Its parameters: the user, the key to begin behind, for a part of a room the room,
/// and the limit. The first column is the key.
pub(crate) const fn sql(part: ExportPart) -> &'static str {
    match part {
        ExportPart::User => {
            "SELECT CAST(0 AS bigint), name, avatar, metadata, profile_set_at, last_seen, status, status_text
             FROM users WHERE user_id = $1 AND CAST(0 AS bigint) > $2 LIMIT $3"
        }
        ExportPart::Usage => {
            "SELECT CAST(0 AS bigint), day, rooms, bytes FROM user_usage
             WHERE user_id = $1 AND CAST(0 AS bigint) > $2 LIMIT $3"
        }
        ExportPart::Revocation => {
            "SELECT CAST(0 AS bigint), before FROM revocations
             WHERE user_id = $1 AND CAST(0 AS bigint) > $2 LIMIT $3"
        }
        ExportPart::Online => {
            "SELECT CAST(0 AS bigint), user_name, since FROM online_users
             WHERE user_id = $1 AND CAST(0 AS bigint) > $2 LIMIT $3"
        }
        ExportPart::Notification => {
            "SELECT u.seq, u.seq AS seq, n.id, n.at, n.body, u.read_at
             FROM user_notifications u JOIN notifications n ON n.key = u.notification
             WHERE u.user_id = $1 AND u.seq > $2 ORDER BY u.seq LIMIT $3"
        }
        // A user has a few devices, and the key is no number: all come at once.
        ExportPart::Device => {
            "SELECT CAST(0 AS bigint), device, delivered, at FROM notified_devices
             WHERE user_id = $1 AND CAST(0 AS bigint) > $2 AND CAST($3 AS bigint) > 0"
        }
        ExportPart::Session => {
            "SELECT id, sid, created_at, lost_at FROM sessions
             WHERE user_id = $1 AND id > $2 ORDER BY id LIMIT $3"
        }
        ExportPart::Sanction => {
            "SELECT s.room_id * 2 + s.kind, r.name AS room, s.kind, s.until, s.reason, s.actor, s.at
             FROM sanctions s LEFT JOIN rooms r ON r.id = s.room_id
             WHERE s.user_id = $1 AND s.room_id * 2 + s.kind > $2 ORDER BY s.room_id, s.kind LIMIT $3"
        }
        // The number of blocks of a user is limited, and the key is no number: all come at once.
        ExportPart::Block => {
            "SELECT CAST(0 AS bigint), blocked_id, at FROM blocks
             WHERE user_id = $1 AND CAST(0 AS bigint) > $2 AND CAST($3 AS bigint) > 0"
        }
        ExportPart::Report => {
            "SELECT id, room, seq, author, reason, comment, at, state, resolved_at FROM reports
             WHERE reporter = $1 AND id > $2 ORDER BY id LIMIT $3"
        }
        ExportPart::Reported => {
            "SELECT id, room, seq, reason, message, at, state, resolved_at FROM reports
             WHERE author = $1 AND id > $2 ORDER BY id LIMIT $3"
        }
        ExportPart::Audit => {
            "SELECT id, at, actor, action, room, user_id, status, before, after FROM audit
             WHERE (user_id = $1 OR actor = $1) AND id > $2 ORDER BY id LIMIT $3"
        }
        ExportPart::Outbox => {
            "SELECT n, id, sink, kind, at, state, room, seq, user_name, client_id, body FROM outbox
             WHERE user_id = $1 AND n > $2 ORDER BY n LIMIT $3"
        }
        ExportPart::Undelivered => {
            "SELECT t.record, o.sink, o.room, t.seq FROM outbox_recipients t JOIN outbox o ON o.n = t.record
             WHERE t.user_id = $1 AND t.record > $2 ORDER BY t.record LIMIT $3"
        }
        ExportPart::Member(_) => {
            "SELECT CAST(0 AS bigint), active, joined_at, read_seq, read_at, delivered_seq, role, membership
             FROM members
             WHERE user_id = $1 AND CAST(0 AS bigint) > $2 AND room_id = $3 AND CAST($4 AS bigint) > 0"
        }
        ExportPart::Entry(_) => {
            "SELECT seq, seq AS seq, kind, at, target, client_id, user_name, body FROM entries
             WHERE user_id = $1 AND seq > $2 AND room_id = $3 ORDER BY seq LIMIT $4"
        }
        // A message may have several reactions of one user: all of a message come together.
        ExportPart::Reaction(_) => {
            "SELECT seq, seq AS seq, emoji FROM reactions
             WHERE user_id = $1 AND seq > $2 AND room_id = $3 AND seq IN
                (SELECT DISTINCT seq FROM reactions WHERE user_id = $1 AND seq > $2 AND room_id = $3
                 ORDER BY seq LIMIT $4)
             ORDER BY seq"
        }
        ExportPart::Mention(_) => {
            "SELECT seq, seq AS seq FROM mentions
             WHERE user_id = $1 AND seq > $2 AND room_id = $3 ORDER BY seq LIMIT $4"
        }
        ExportPart::Dedup(_) => {
            "SELECT seq, seq AS seq, kind, at, client_id FROM dedup_records
             WHERE user_id = $1 AND seq > $2 AND room_id = $3 ORDER BY seq LIMIT $4"
        }
        ExportPart::LastSend(_) => {
            "SELECT CAST(0 AS bigint), at FROM last_sends
             WHERE user_id = $1 AND CAST(0 AS bigint) > $2 AND room_id = $3 AND CAST($4 AS bigint) > 0"
        }
    }
}
