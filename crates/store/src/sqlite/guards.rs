//! What an append must know of moderation, in SQLite.

use std::collections::HashSet;

use rusqlite::{Connection, OptionalExtension as _, params};

use super::batch::Batch;
use crate::{
    NewEntry, Role, RoomId, RoomRules,
    append::{Ends, Guards, RoomGuard, authors, members, mentions},
    moderation::ALL_ROOMS,
};

/// The guards of a batch. Without any sanction, rule, block or erasure in the store, that costs one look into
/// the memberships of each author.
pub(super) fn guards(batch: &mut Batch<'_>, appends: &[&[NewEntry]]) -> rusqlite::Result<Guards> {
    const ANY: &str = "SELECT EXISTS (SELECT 1 FROM sanctions), EXISTS (SELECT 1 FROM room_rules),
        EXISTS (SELECT 1 FROM blocks), EXISTS (SELECT 1 FROM erasures)";
    let (conn, mut guards) = (batch.conn, Guards::default());
    load_non_members(conn, &members(appends), &mut guards)?;
    if *batch.unmoderated {
        return Ok(guards);
    }
    let [sanctions, rules, blocks, erasures]: [bool; 4] = conn
        .prepare_cached(ANY)?
        .query_row([], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?]))?;
    if !sanctions && !rules && !blocks && !erasures {
        *batch.unmoderated = true;
        return Ok(guards);
    }
    let authors = authors(appends);
    if sanctions {
        load_sanctions(conn, &authors, &mut guards)?;
    }
    if rules {
        let rooms: HashSet<RoomId> = authors.iter().map(|author| author.0).collect();
        for room in rooms {
            if let Some(guard) = load_guard(conn, room, &authors)? {
                guards.rooms.insert(room, guard);
            }
        }
    }
    if blocks {
        load_blocks(conn, &authors, &mentions(appends), &mut guards)?;
    }
    if erasures {
        load_erasures(conn, &authors, &mut guards)?;
    }
    Ok(guards)
}

/// The authors who must be members and are not.
fn load_non_members(
    conn: &Connection,
    authors: &[(RoomId, &str)],
    guards: &mut Guards,
) -> rusqlite::Result<()> {
    let mut query =
        conn.prepare_cached("SELECT 1 FROM members WHERE room_id = ?1 AND user_id = ?2 AND active = 1")?;
    for (room, user) in authors {
        if !query.exists(params![room, user])? {
            guards.non_members.insert((*room, (*user).to_owned()));
        }
    }
    Ok(())
}

/// The authors who are being erased.
fn load_erasures(conn: &Connection, authors: &[(RoomId, &str)], guards: &mut Guards) -> rusqlite::Result<()> {
    let mut query = conn.prepare_cached("SELECT 1 FROM erasures WHERE user_id = ?1")?;
    for (_, user) in authors {
        if query.exists([user])? {
            guards.refuse_user(user);
        }
    }
    Ok(())
}

/// The blocks that concern a batch. For most authors, that is one look into two indexes.
fn load_blocks(
    conn: &Connection,
    authors: &[(RoomId, &str)],
    mentions: &[(&str, &str)],
    guards: &mut Guards,
) -> rusqlite::Result<()> {
    const CONCERNED: &str = "SELECT EXISTS (SELECT 1 FROM blocks WHERE user_id = ?1)
        OR EXISTS (SELECT 1 FROM blocks WHERE blocked_id = ?1)";
    let mut concerned = HashSet::new();
    let mut query = conn.prepare_cached(CONCERNED)?;
    for (_, user) in authors {
        if !concerned.contains(user) && query.query_row([user], |row| row.get(0))? {
            concerned.insert(*user);
        }
    }
    for (room, user) in authors.iter().filter(|author| concerned.contains(author.1)) {
        if has_block(conn, *room, user)? {
            guards.blocked.insert((*room, (*user).to_owned()));
        }
    }
    for (author, mentioned) in mentions.iter().filter(|mention| concerned.contains(mention.0)) {
        if has_blocked(conn, mentioned, author)? {
            guards
                .blocked_mentions
                .insert(((*author).to_owned(), (*mentioned).to_owned()));
        }
    }
    Ok(())
}

/// Whether the room has two members, of whom one has blocked the other.
fn has_block(conn: &Connection, room: RoomId, user: &str) -> rusqlite::Result<bool> {
    const MEMBERS: &str = "SELECT user_id FROM members INDEXED BY members_active
        WHERE room_id = ?1 AND active = 1 LIMIT 3";
    let members: Vec<String> = conn
        .prepare_cached(MEMBERS)?
        .query_map([room], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let [first, second] = &members[..] else {
        return Ok(false);
    };
    let other = match user {
        user if first == user => second,
        user if second == user => first,
        _ => return Ok(false),
    };
    Ok(has_blocked(conn, user, other)? || has_blocked(conn, other, user)?)
}

/// Whether a user has blocked another one.
pub(super) fn has_blocked(conn: &Connection, user: &str, other: &str) -> rusqlite::Result<bool> {
    conn.prepare_cached("SELECT 1 FROM blocks WHERE user_id = ?1 AND blocked_id = ?2")?
        .exists([user, other])
}

fn load_sanctions(
    conn: &Connection,
    authors: &[(RoomId, &str)],
    guards: &mut Guards,
) -> rusqlite::Result<()> {
    const SQL: &str = "SELECT max(CASE kind WHEN 0 THEN until END), max(CASE kind WHEN 1 THEN until END)
        FROM sanctions WHERE room_id = ?1 AND user_id = ?2";
    let mut query = conn.prepare_cached(SQL)?;
    let mut load = |room: RoomId, user: &str| -> rusqlite::Result<()> {
        let ends: (Option<i64>, Option<i64>) =
            query.query_row(params![room, user], |row| Ok((row.get(0)?, row.get(1)?)))?;
        if ends != (None, None) {
            let ends = Ends {
                ban: ends.0.unwrap_or(i64::MIN),
                mute: ends.1.unwrap_or(i64::MIN),
            };
            guards.sanctions.insert((room, user.to_owned()), ends);
        }
        Ok(())
    };
    for (room, user) in authors {
        load(*room, user)?;
        load(ALL_ROOMS, user)?;
    }
    Ok(())
}

fn load_guard(
    conn: &Connection,
    room: RoomId,
    authors: &[(RoomId, &str)],
) -> rusqlite::Result<Option<RoomGuard>> {
    const AUTHOR: &str = "SELECT
        (SELECT role FROM members WHERE room_id = ?1 AND user_id = ?2 AND active = 1),
        (SELECT at FROM last_sends WHERE room_id = ?1 AND user_id = ?2)";
    let rules = rules(conn, room)?;
    if rules == RoomRules::default() {
        return Ok(None);
    }
    let mut guard = RoomGuard {
        frozen: rules.frozen,
        slow_mode_ms: rules.slow_mode_ms,
        ..RoomGuard::default()
    };
    let mut query = conn.prepare_cached(AUTHOR)?;
    for (_, user) in authors.iter().filter(|author| author.0 == room) {
        let (role, last): (Option<Role>, Option<i64>) =
            query.query_row(params![room, user], |row| Ok((row.get(0)?, row.get(1)?)))?;
        if role.is_some_and(|role| role != Role::Member) {
            guard.moderators.insert((*user).to_owned());
        }
        if let Some(last) = last {
            guard.last_sends.insert((*user).to_owned(), last);
        }
    }
    Ok(Some(guard))
}

/// Stores when users last sent messages in rooms with slow mode.
pub(super) fn note_sends(conn: &Connection, sends: Vec<(RoomId, String, i64)>) -> rusqlite::Result<()> {
    const SQL: &str = "INSERT INTO last_sends (room_id, user_id, at) VALUES (?1, ?2, ?3)
        ON CONFLICT (room_id, user_id) DO UPDATE SET at = excluded.at";
    for (room, user, at) in sends {
        conn.prepare_cached(SQL)?.execute(params![room, user, at])?;
    }
    Ok(())
}

/// The rules of a room.
pub(super) fn rules(conn: &Connection, room: RoomId) -> rusqlite::Result<RoomRules> {
    let rules = conn
        .prepare_cached("SELECT frozen, slow_mode FROM room_rules WHERE room_id = ?1")?
        .query_row([room], |row| {
            Ok(RoomRules {
                frozen: row.get(0)?,
                slow_mode_ms: row.get(1)?,
            })
        })
        .optional()?;
    Ok(rules.unwrap_or_default())
}
