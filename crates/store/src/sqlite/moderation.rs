//! Sanctions, blocks and rules of rooms in SQLite.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::{
    SqliteStore,
    append::Moderate,
    batch::Batch,
    column::Seq,
    guards::{has_blocked, rules},
    statement::with_index,
    write::Write,
};
use crate::{
    AppendResult, Block, ModerationAct, Mute, NewEntry, Restrictions, RoomId, RoomRules, Sanction,
    SanctionPage, StoreError,
    append::{
        ALL_SANCTIONS_OF, BLOCKS, FORGET_SANCTIONS, MESSAGES_OF, MODERATORS, MUTES, SANCTIONS, SANCTIONS_OF,
    },
    moderation::{end_of, room_of, scope},
    store::Moderation,
};

/// Deletes ended sanctions.
struct Forget {
    cutoff: i64,
}

impl Write for Forget {
    type Answer = u64;

    fn apply(&self, batch: &mut Batch<'_>) -> rusqlite::Result<u64> {
        let removed = batch
            .conn
            .prepare_cached(FORGET_SANCTIONS)?
            .execute([self.cutoff])?;
        Ok(removed as u64)
    }
}

fn sanction(row: &Row<'_>) -> rusqlite::Result<Sanction> {
    Ok(Sanction {
        room: room_of(row.get(0)?),
        user_id: row.get(1)?,
        kind: row.get(2)?,
        until: end_of(row.get(3)?),
        reason: row.get(4)?,
        actor: row.get(5)?,
        at: row.get(6)?,
    })
}

/// The end and the reason of a mute, if there is one in the columns from `at` on.
fn mute(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<(i64, Option<String>)>> {
    let until: Option<i64> = row.get(at)?;
    until.map(|until| Ok((until, row.get(at + 1)?))).transpose()
}

fn restrictions(conn: &Connection, room: RoomId, user: &str, now: i64) -> rusqlite::Result<Restrictions> {
    // Each join looks up at most one row. One for both mutes would build a temporary table on each call.
    const SQL: &str = "SELECT coalesce(r.frozen, 0), coalesce(r.slow_mode, 0), l.at,
            here.until, here.reason, everywhere.until, everywhere.reason
        FROM (SELECT 1)
        LEFT JOIN room_rules r ON r.room_id = ?1
        LEFT JOIN last_sends l ON l.room_id = ?1 AND l.user_id = ?2
        LEFT JOIN sanctions here
            ON here.room_id = ?1 AND here.user_id = ?2 AND here.kind = 1 AND here.until > ?3
        LEFT JOIN sanctions everywhere
            ON everywhere.room_id = 0 AND everywhere.user_id = ?2 AND everywhere.kind = 1
                AND everywhere.until > ?3";
    conn.prepare_cached(SQL)?
        .query_row(params![room, user, now], |row| {
            let mutes = [mute(row, 3)?, mute(row, 5)?].into_iter().flatten();
            Ok(Restrictions {
                rules: RoomRules {
                    frozen: row.get(0)?,
                    slow_mode_ms: row.get(1)?,
                },
                last_send: row.get(2)?,
                mute: mutes.max_by_key(|(until, _)| *until).map(|(until, reason)| Mute {
                    until: end_of(until),
                    reason,
                }),
            })
        })
}

#[async_trait]
impl Moderation for SqliteStore {
    async fn moderate(&self, act: ModerationAct, control: NewEntry) -> Result<AppendResult, StoreError> {
        self.write(Moderate { act, control }).await
    }

    async fn sanctions_of(
        &self,
        room: Option<RoomId>,
        user: &str,
        now: i64,
    ) -> Result<Vec<Sanction>, StoreError> {
        let user = user.to_owned();
        self.read(move |conn| {
            conn.prepare_cached(SANCTIONS_OF)?
                .query_map(params![scope(room), user, now], sanction)?
                .collect()
        })
        .await
    }

    async fn all_sanctions_of(&self, user: &str, now: i64, limit: u32) -> Result<Vec<Sanction>, StoreError> {
        let user = user.to_owned();
        self.read(move |conn| {
            conn.prepare_cached(ALL_SANCTIONS_OF)?
                .query_map(params![user, now, limit], sanction)?
                .collect()
        })
        .await
    }

    async fn sanctions(&self, page: SanctionPage) -> Result<Vec<Sanction>, StoreError> {
        self.read(move |conn| {
            let params = params![
                scope(page.room),
                page.kind,
                page.after.unwrap_or_default(),
                page.now,
                page.limit
            ];
            conn.prepare_cached(SANCTIONS)?
                .query_map(params, sanction)?
                .collect()
        })
        .await
    }

    async fn mutes_among(
        &self,
        room: RoomId,
        users: &[String],
        now: i64,
    ) -> Result<Vec<Sanction>, StoreError> {
        let sql = format!("{MUTES} AND user_id = $3");
        let users = users.to_vec();
        self.read(move |conn| {
            let mut find = conn.prepare_cached(&sql)?;
            let mut mutes = Vec::new();
            for user in users {
                mutes.extend(find.query_row(params![room, now, user], sanction).optional()?);
            }
            Ok(mutes)
        })
        .await
    }

    async fn restrictions(
        &self,
        rooms: &[RoomId],
        user: &str,
        now: i64,
    ) -> Result<Vec<Restrictions>, StoreError> {
        let (rooms, user) = (rooms.to_vec(), user.to_owned());
        self.read(move |conn| {
            rooms
                .iter()
                .map(|room| restrictions(conn, *room, &user, now))
                .collect()
        })
        .await
    }

    async fn room_rules(&self, room: RoomId) -> Result<RoomRules, StoreError> {
        self.read(move |conn| rules(conn, room)).await
    }

    async fn is_banned(&self, user: &str, now: i64) -> Result<bool, StoreError> {
        const SQL: &str =
            "SELECT 1 FROM sanctions WHERE room_id = 0 AND user_id = ?1 AND kind = 0 AND until > ?2";
        let user = user.to_owned();
        self.read(move |conn| conn.prepare_cached(SQL)?.exists(params![user, now]))
            .await
    }

    async fn moderators(&self, room: RoomId, limit: u32) -> Result<Vec<String>, StoreError> {
        self.read(move |conn| {
            conn.prepare_cached(&with_index(MODERATORS))?
                .query_map(params![room, limit], |row| row.get(0))?
                .collect()
        })
        .await
    }

    async fn messages_of(
        &self,
        room: RoomId,
        user: &str,
        before: u64,
        limit: u32,
    ) -> Result<Vec<u64>, StoreError> {
        let user = user.to_owned();
        self.read(move |conn| {
            conn.prepare_cached(MESSAGES_OF)?
                .query_map(params![room, Seq(before), user, limit], |row| {
                    Ok(row.get::<_, Seq>(0)?.0)
                })?
                .collect()
        })
        .await
    }

    async fn blocks(&self, user: &str) -> Result<Vec<Block>, StoreError> {
        let user = user.to_owned();
        let block = |row: &Row<'_>| {
            Ok(Block {
                user_id: row.get(0)?,
                at: row.get(1)?,
            })
        };
        self.read(move |conn| conn.prepare_cached(BLOCKS)?.query_map([user], block)?.collect())
            .await
    }

    async fn blockers_among(&self, user: &str, candidates: &[String]) -> Result<Vec<String>, StoreError> {
        let (user, candidates) = (user.to_owned(), candidates.to_vec());
        self.read(move |conn| {
            let mut blockers = Vec::new();
            for candidate in candidates {
                if has_blocked(conn, &candidate, &user)? {
                    blockers.push(candidate);
                }
            }
            Ok(blockers)
        })
        .await
    }

    async fn forget_sanctions(&self, cutoff: i64) -> Result<u64, StoreError> {
        self.write(Forget { cutoff }).await
    }
}
