//! Sanctions, blocks and rules of rooms in PostgreSQL.

use async_trait::async_trait;
use tokio_postgres::Row;

use super::{
    PostgresStore,
    conn::{Conn, Param, Step, column},
    failure::Failure,
    rooms,
    value::{Columns as _, num, text},
};
use crate::{
    AppendResult, Block, ModerationAct, Mute, NewEntry, Restrictions, Role, RoomId, RoomRules, Sanction,
    SanctionPage, StoreError,
    append::{
        ALL_SANCTIONS_OF, BLOCKS, Ends, FORGET_SANCTIONS, Guards, MESSAGES_OF, MODERATORS, MUTES, RoomGuard,
        SANCTIONS, SANCTIONS_OF, authors, mentions,
    },
    moderation::{end_of, room_of, scope},
    numbers::Numbered as _,
    store::Moderation,
};

/// Whether there is any sanction, rule or erasure, or a block that concerns one of these users. If not, an
/// append loads no guards.
const IS_MODERATED: &str = "SELECT EXISTS (SELECT 1 FROM sanctions) OR EXISTS (SELECT 1 FROM room_rules)
        OR EXISTS (SELECT 1 FROM erasures)
        OR EXISTS (SELECT 1 FROM blocks WHERE user_id = ANY($1))
        OR EXISTS (SELECT 1 FROM blocks WHERE blocked_id = ANY($1))";

/// The lock of a user's bans. New memberships share it; a ban takes it alone, and ends them all.
const BAN_LOCK: i64 = 0x726f_6f6d_6261_6e73;

/// Keeps bans of the user out until the transaction ends, for a new membership. A statement after it sees
/// every ban that was there before.
pub(super) async fn lock_out_bans(conn: &Conn, user: &str) -> Result<(), Failure> {
    const SQL: &str = "SELECT pg_advisory_xact_lock_shared(hashtextextended($1, $2))::text";
    conn.row(SQL, &[&text(user), &BAN_LOCK]).await.map(drop)
}

/// Locks what an act concerns. False if its room does not exist.
pub(super) async fn lock(conn: &Conn, act: &ModerationAct) -> Result<bool, Failure> {
    const SQL: &str = "SELECT pg_advisory_xact_lock(hashtextextended($1, $2))::text";
    if let Some(room) = act.room()
        && rooms::lock(conn, room).await?.is_none()
    {
        return Ok(false);
    }
    if let Some(user) = act.bans() {
        conn.row(SQL, &[&text(user), &BAN_LOCK]).await?;
    }
    Ok(true)
}

/// The guards of a batch. The caller holds the lock of the log.
pub(super) async fn guards(conn: &Conn, appends: &[&[NewEntry]]) -> Result<Guards, Failure> {
    const SANCTIONS: &str = "SELECT s.room_id, s.user_id, s.kind, s.until
        FROM unnest($1::text[]) t (user_id) JOIN sanctions s ON s.user_id = t.user_id";
    const ERASED: &str = "SELECT user_id FROM erasures WHERE user_id = ANY($1)";
    const RULES: &str = "SELECT t.room_id, t.user_id, r.frozen, r.slow_mode, coalesce(m.role, 0), l.at
        FROM unnest($1::bigint[], $2::text[]) t (room_id, user_id)
        JOIN room_rules r ON r.room_id = t.room_id
        LEFT JOIN members m ON m.room_id = t.room_id AND m.user_id = t.user_id AND m.active = 1
        LEFT JOIN last_sends l ON l.room_id = t.room_id AND l.user_id = t.user_id";
    // Rooms of two members, of whom one has blocked the other.
    const BLOCKED: &str = "SELECT t.room_id, t.user_id
        FROM unnest($1::bigint[], $2::text[]) t (room_id, user_id)
        CROSS JOIN LATERAL (
            SELECT count(*) AS members, bool_or(m.user_id = t.user_id) AS is_member,
                min(m.user_id) FILTER (WHERE m.user_id <> t.user_id) AS other
            FROM (SELECT user_id FROM members WHERE room_id = t.room_id AND active = 1 LIMIT 3) m) p
        WHERE p.members = 2 AND p.is_member AND EXISTS (SELECT 1 FROM blocks b
            WHERE b.user_id = t.user_id AND b.blocked_id = p.other
                OR b.user_id = p.other AND b.blocked_id = t.user_id)";
    const BLOCKED_MENTIONS: &str = "SELECT b.blocked_id, b.user_id
        FROM unnest($1::text[], $2::text[]) t (author, mentioned)
        JOIN blocks b ON b.user_id = t.mentioned AND b.blocked_id = t.author";
    let mut guards = Guards::default();
    let (authors, mentions) = (authors(appends), mentions(appends));
    let name = |user: &str| text(user).into_owned();
    let in_rooms = || -> Vec<Param> {
        vec![
            column(&authors, |author| author.0),
            column(&authors, |author| name(author.1)),
        ]
    };
    let mut steps = vec![
        Step::new(SANCTIONS, vec![names(&authors)]),
        Step::new(RULES, in_rooms()),
        Step::new(BLOCKED, in_rooms()),
        Step::new(ERASED, vec![names(&authors)]),
    ];
    if !mentions.is_empty() {
        let params = vec![
            column(&mentions, |mention| name(mention.0)),
            column(&mentions, |mention| name(mention.1)),
        ];
        steps.push(Step::new(BLOCKED_MENTIONS, params));
    }
    let mut answers = conn.send(&steps).await?.into_iter();
    for row in answers.next().unwrap_or_default() {
        let ends: &mut Ends = guards.sanctions.entry((row.int(0)?, row.text(1)?)).or_default();
        let until = row.int(3)?;
        match row.kind(2)? {
            crate::SanctionKind::Ban => ends.ban = until,
            crate::SanctionKind::Mute => ends.mute = until,
        }
    }
    for row in answers.next().unwrap_or_default() {
        let guard: &mut RoomGuard = guards.rooms.entry(row.int(0)?).or_default();
        let user = row.text(1)?;
        guard.frozen = row.int(2)? != 0;
        guard.slow_mode_ms = row.int(3)?;
        if let Some(last) = row.opt_int(5)? {
            guard.last_sends.insert(user.clone(), last);
        }
        if row.kind::<Role>(4)? != Role::Member {
            guard.moderators.insert(user);
        }
    }
    for row in answers.next().unwrap_or_default() {
        guards.blocked.insert((row.int(0)?, row.text(1)?));
    }
    for row in answers.next().unwrap_or_default() {
        guards.refuse_user(&row.text(0)?);
    }
    for row in answers.next().unwrap_or_default() {
        guards.blocked_mentions.insert((row.text(0)?, row.text(1)?));
    }
    Ok(guards)
}

/// The step that tells whether a batch needs guards.
pub(super) fn is_moderated(appends: &[&[NewEntry]]) -> Step {
    Step::new(IS_MODERATED, vec![names(&authors(appends))])
}

/// The users among authors, each once.
fn names(authors: &[(RoomId, &str)]) -> Param {
    let mut users: Vec<&str> = authors.iter().map(|author| author.1).collect();
    users.sort_unstable();
    users.dedup();
    column(&users, |user| text(user).into_owned())
}

/// The step that stores when users last sent messages in rooms with slow mode; none for most batches.
pub(super) fn note_sends(sends: &[(RoomId, String, i64)]) -> Option<Step> {
    const SQL: &str = "INSERT INTO last_sends (room_id, user_id, at)
        SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[])
        ON CONFLICT (room_id, user_id) DO UPDATE SET at = excluded.at";
    let params = vec![
        column(sends, |send| send.0),
        column(sends, |send| text(&send.1).into_owned()),
        column(sends, |send| send.2),
    ];
    (!sends.is_empty()).then(|| Step::new(SQL, params))
}

fn sanction(row: &Row) -> Result<Sanction, Failure> {
    Ok(Sanction {
        room: room_of(row.int(0)?),
        user_id: row.text(1)?,
        kind: row.kind(2)?,
        until: end_of(row.int(3)?),
        reason: row.opt_text(4)?,
        actor: row.text(5)?,
        at: row.int(6)?,
    })
}

async fn of_user(conn: &Conn, room: Option<RoomId>, user: &str, now: i64) -> Result<Vec<Sanction>, Failure> {
    let rows = conn
        .rows(SANCTIONS_OF, &[&scope(room), &text(user), &now])
        .await?;
    rows.iter().map(sanction).collect()
}

/// For each user and time, whether a ban from all rooms holds.
pub(super) async fn banned(conn: &Conn, asks: Vec<(String, i64)>) -> Result<Vec<bool>, Failure> {
    const SQL: &str = "SELECT s.user_id IS NOT NULL
        FROM unnest($1::text[], $2::bigint[]) WITH ORDINALITY t (user_id, now, at)
        LEFT JOIN sanctions s ON s.room_id = 0 AND s.user_id = t.user_id AND s.kind = 0 AND s.until > t.now
        ORDER BY t.at";
    let users: Vec<_> = asks.iter().map(|ask| text(&ask.0)).collect();
    let times: Vec<_> = asks.iter().map(|ask| ask.1).collect();
    let rows = conn.rows(SQL, &[&users, &times]).await?;
    rows.iter().map(|row| row.flag(0)).collect()
}

/// For each user, those of the candidates who have blocked them.
pub(super) async fn blockers(
    conn: &Conn,
    asks: Vec<(String, Vec<String>)>,
) -> Result<Vec<Vec<String>>, Failure> {
    const SQL: &str = "SELECT t.ask, b.user_id
        FROM unnest($1::bigint[], $2::text[], $3::text[]) t (ask, user_id, candidate)
        JOIN blocks b ON b.user_id = t.candidate AND b.blocked_id = t.user_id";
    let mut blockers = vec![Vec::new(); asks.len()];
    let (mut numbers, mut users, mut candidates) = (Vec::new(), Vec::new(), Vec::new());
    for (number, (user, of)) in (1_i64..).zip(&asks) {
        for candidate in of {
            numbers.push(number);
            users.push(text(user));
            candidates.push(text(candidate));
        }
    }
    for row in conn.rows(SQL, &[&numbers, &users, &candidates]).await? {
        if let Some(of) = blockers.get_mut(row.ordinal(0)?) {
            of.push(row.text(1)?);
        }
    }
    Ok(blockers)
}

async fn page(conn: &Conn, page: &SanctionPage) -> Result<Vec<Sanction>, Failure> {
    let after = text(page.after.as_deref().unwrap_or_default());
    let rows = conn
        .rows(
            SANCTIONS,
            &[
                &scope(page.room),
                &page.kind.number(),
                &after,
                &page.now,
                &i64::from(page.limit),
            ],
        )
        .await?;
    rows.iter().map(sanction).collect()
}

async fn restrictions(
    conn: &Conn,
    rooms: &[RoomId],
    user: &str,
    now: i64,
) -> Result<Vec<Restrictions>, Failure> {
    const SQL: &str = "SELECT coalesce(r.frozen, 0), coalesce(r.slow_mode, 0), l.at, m.until, m.reason
        FROM unnest($1::bigint[]) WITH ORDINALITY t (room_id, place)
        LEFT JOIN room_rules r ON r.room_id = t.room_id
        LEFT JOIN last_sends l ON l.room_id = t.room_id AND l.user_id = $2
        LEFT JOIN LATERAL (SELECT until, reason FROM sanctions
            WHERE room_id IN (0, t.room_id) AND user_id = $2 AND kind = 1 AND until > $3
            ORDER BY until DESC LIMIT 1) m ON true
        ORDER BY t.place";
    let of_room = |row: &Row| {
        let mute = |until| -> Result<Mute, Failure> {
            Ok(Mute {
                until: end_of(until),
                reason: row.opt_text(4)?,
            })
        };
        Ok(Restrictions {
            rules: RoomRules {
                frozen: row.int(0)? != 0,
                slow_mode_ms: row.int(1)?,
            },
            last_send: row.opt_int(2)?,
            mute: row.opt_int(3)?.map(mute).transpose()?,
        })
    };
    let rows = conn.rows(SQL, &[&rooms, &text(user), &now]).await?;
    rows.iter().map(of_room).collect()
}

async fn rules(conn: &Conn, room: RoomId) -> Result<RoomRules, Failure> {
    let sql = "SELECT frozen, slow_mode FROM room_rules WHERE room_id = $1";
    match conn.row(sql, &[&room]).await? {
        Some(row) => Ok(RoomRules {
            frozen: row.int(0)? != 0,
            slow_mode_ms: row.int(1)?,
        }),
        None => Ok(RoomRules::default()),
    }
}

#[async_trait]
impl Moderation for PostgresStore {
    async fn moderate(&self, act: ModerationAct, control: NewEntry) -> Result<AppendResult, StoreError> {
        self.counted(self.appender.moderate(act, control).await)
    }

    async fn sanctions_of(
        &self,
        room: Option<RoomId>,
        user: &str,
        now: i64,
    ) -> Result<Vec<Sanction>, StoreError> {
        self.checked(of_user(&self.conn().await?, room, user, now).await)
    }

    async fn all_sanctions_of(&self, user: &str, now: i64, limit: u32) -> Result<Vec<Sanction>, StoreError> {
        let conn = self.conn().await?;
        let limit = i64::from(limit);
        let rows = self.checked(conn.rows(ALL_SANCTIONS_OF, &[&text(user), &now, &limit]).await)?;
        self.checked(rows.iter().map(sanction).collect())
    }

    async fn sanctions(&self, page: SanctionPage) -> Result<Vec<Sanction>, StoreError> {
        self.checked(self::page(&self.conn().await?, &page).await)
    }

    async fn mutes_among(
        &self,
        room: RoomId,
        users: &[String],
        now: i64,
    ) -> Result<Vec<Sanction>, StoreError> {
        let sql = format!("{MUTES} AND user_id = ANY($3)");
        let users: Vec<_> = users.iter().map(|user| text(user)).collect();
        let conn = self.conn().await?;
        let rows = self.checked(conn.rows(&sql, &[&room, &now, &users]).await)?;
        self.checked(rows.iter().map(sanction).collect())
    }

    async fn restrictions(
        &self,
        rooms: &[RoomId],
        user: &str,
        now: i64,
    ) -> Result<Vec<Restrictions>, StoreError> {
        self.checked(restrictions(&self.conn().await?, rooms, user, now).await)
    }

    async fn room_rules(&self, room: RoomId) -> Result<RoomRules, StoreError> {
        self.checked(rules(&self.conn().await?, room).await)
    }

    async fn is_banned(&self, user: &str, now: i64) -> Result<bool, StoreError> {
        let ask = (user.to_owned(), now);
        self.counted(self.batched_calls.banned.ask(ask).await)
    }

    async fn moderators(&self, room: RoomId, limit: u32) -> Result<Vec<String>, StoreError> {
        let conn = self.conn().await?;
        let rows = self.checked(conn.rows(MODERATORS, &[&room, &i64::from(limit)]).await)?;
        self.checked(rows.iter().map(|row| row.text(0)).collect())
    }

    async fn messages_of(
        &self,
        room: RoomId,
        user: &str,
        before: u64,
        limit: u32,
    ) -> Result<Vec<u64>, StoreError> {
        let conn = self.conn().await?;
        let rows = conn
            .rows(
                MESSAGES_OF,
                &[&room, &num(before), &text(user), &i64::from(limit)],
            )
            .await;
        self.checked(rows)?
            .iter()
            .map(|row| self.checked(row.num(0)))
            .collect()
    }

    async fn blocks(&self, user: &str) -> Result<Vec<Block>, StoreError> {
        let conn = self.conn().await?;
        let rows = self.checked(conn.rows(BLOCKS, &[&text(user)]).await)?;
        let block = |row: &Row| {
            Ok(Block {
                user_id: row.text(0)?,
                at: row.int(1)?,
            })
        };
        self.checked(rows.iter().map(block).collect())
    }

    async fn blockers_among(&self, user: &str, candidates: &[String]) -> Result<Vec<String>, StoreError> {
        let ask = (user.to_owned(), candidates.to_vec());
        self.counted(self.batched_calls.blockers.ask(ask).await)
    }

    async fn forget_sanctions(&self, cutoff: i64) -> Result<u64, StoreError> {
        let conn = self.conn().await?;
        self.checked(conn.run(FORGET_SANCTIONS, &[&cutoff]).await)
    }
}
